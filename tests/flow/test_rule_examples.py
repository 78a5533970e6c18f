"""The examples of docs/rules.md on the whole built-in clip: each kind of rule speaks of real people."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any, get_args

import program
import pytest

from edge_agent import app, config
from edge_agent.cli.replay import replay_clip
from edge_agent.clips import PEDESTRIANS
from edge_agent.pipeline import Pipeline
from edge_agent.records import Message, RuleKind

PAGE = (Path(__file__).parent.parent.parent / "docs" / "rules.md").read_text()
EXAMPLES = dict(re.findall(r"^```yaml title=(\w+)\.yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))


def replayed(kind: str, folder: Path) -> list[Message]:
    """Everything that a replay of the built-in clip says with the example of a kind."""
    file = folder / f"{kind}.yaml"
    file.write_text(EXAMPLES[kind])
    settings = config.load(file, {})
    return list(replay_clip(PEDESTRIANS, settings, settings.cameras[0], None))


def events_of(messages: list[Message]) -> list[dict[str, Any]]:
    return [program.check_event(message.payload) for message in messages if message.kind != "state"]


SILENT = {"left_behind", "removed"}
"""Nobody leaves a thing in the clip, and no car is taken away."""


def test_each_kind_of_rule_has_its_example() -> None:
    assert sorted(EXAMPLES.keys() - {"night"}) == sorted(get_args(RuleKind))  # that one is about schedules


def test_the_examples_about_things_say_nothing_where_there_are_none(tmp_path: Path) -> None:
    for kind in sorted(SILENT):
        assert [event for event in events_of(replayed(kind, tmp_path)) if "rule" in event] == []


@pytest.mark.parametrize("kind", sorted(EXAMPLES.keys() - SILENT - {"night"}))
def test_the_rule_of_an_example_speaks_and_the_lives_of_objects_go_on_beside_it(kind: str, tmp_path: Path) -> None:
    events = events_of(replayed(kind, tmp_path))
    spoken = [event for event in events if "rule" in event]
    assert {event["rule"]["kind"] for event in spoken} == {kind}
    assert {event["event_type"] for event in spoken} == {"update"}
    assert [event["seq"] for event in events] == list(range(len(events)))
    lives = [event for event in events if "rule" not in event]
    assert sorted(program.objects(lives, "new")) == sorted(program.objects(lives, "end"))
    about = [event for event in spoken if "object" in event]
    assert set(program.objects(about, "update")) <= set(program.objects(lives, "new"))


def test_what_a_line_counts_is_what_it_says(tmp_path: Path) -> None:
    messages = replayed("line", tmp_path)
    said = Counter(event["rule"]["direction"] for event in events_of(messages) if "rule" in event)
    counts = {m.topic.rpartition("/")[2]: int(m.payload) for m in messages if "/line/middle/count/person/" in m.topic}
    assert counts == said
    assert min(counts.values()) >= 3  # people walk both ways


def test_before_the_first_frame_nobody_has_crossed_a_line(tmp_path: Path) -> None:
    file = tmp_path / "line.yaml"
    file.write_text(EXAMPLES["line"])
    settings = config.load(file, {})
    pipeline: Pipeline = app.build_replay(settings, settings.cameras[0], app.load_model(settings), "0" * 16)
    crossed = {message.topic: message.payload for message in pipeline.start() if "/line/" in message.topic}
    assert crossed == {f"edge/demo/camera/campus/line/middle/count/person/{way}": b"0" for way in ("in", "out")}


def test_an_occupancy_is_active_and_not_by_turns_and_not_in_the_end(tmp_path: Path) -> None:
    events = [event for event in events_of(replayed("occupancy", tmp_path)) if "rule" in event]
    assert [event["rule"]["active"] for event in events] == [True, False] * (len(events) // 2)
    assert all((event["rule"]["count"] >= 8) is event["rule"]["active"] for event in events)
    assert all("object" not in event and event["duration_s"] >= 0 for event in events)
