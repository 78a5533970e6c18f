"""What a person is shown of rules: lines of the live table, captions, and the line with its arrow in a drawing."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builders import frame_of, track_of
from rich.console import Console

from edge_agent.cli.live import LiveTable
from edge_agent.cli.replay import caption
from edge_agent.records import Event, Message, Spoken
from edge_agent.settings import UnitPoint
from edge_agent.stages.encode import native
from edge_agent.stages.encode.native import Names
from edge_agent.stages.encode.topics import Topics
from edge_agent.tools.annotate import Annotator

NAMES = Names(topics=Topics(prefix="edge", device="box"), camera="front", run_id="0" * 16)
CROSSED = Spoken(name="door", kind="line", direction="in")
FULL = Spoken(name="full", kind="occupancy", count=5, active=True)


def message(**fields: Any) -> Message:
    event = Event(seq=0, event_type="update", track=track_of(17), zones=("porch",), frame=frame_of(1.0), **fields)
    return native.encode(event, NAMES)


ABOUT_AN_OBJECT = message(reason=("line_crossed",), rule=CROSSED)
ABOUT_THE_SCENE = native.encode(
    Event(
        seq=1,
        event_type="update",
        reason=("count_changed",),
        track=None,
        zones=(),
        frame=frame_of(1.0),
        rule=FULL,
        since_s=0.0,
    ),
    NAMES,
)


def test_the_live_table_says_what_a_rule_says() -> None:
    shown = io.StringIO()
    table = LiveTable(Console(file=shown, width=200))
    table.show((one.topic, one.payload) for one in (ABOUT_AN_OBJECT, ABOUT_THE_SCENE))
    lines = [line.split() for line in shown.getvalue().splitlines()]
    assert lines == [
        ["13:45:01.000", "front", "update", "front-17", "person", "0.80", "porch", "line_crossed:", "door", "in"],
        ["13:45:01.000", "front", "update", "count_changed:", "full", "5", "true"],
    ]
    assert (table.event_types["update"], table.objects) == (2, set())


@pytest.mark.parametrize("rule", ["text", 7, None, ["door"]])
def test_the_live_table_leaves_out_what_anybody_else_published(rule: object) -> None:
    shown = io.StringIO()
    content = json.loads(ABOUT_THE_SCENE.payload) | {"rule": rule}
    LiveTable(Console(file=shown, width=200)).show([(ABOUT_THE_SCENE.topic, json.dumps(content).encode())])
    assert shown.getvalue() == ""


def test_a_caption_says_what_a_rule_says() -> None:
    assert caption(message(reason=("zone_left", "moving"))) == "update front-17 person: zone_left, moving"
    assert caption(ABOUT_AN_OBJECT) == "update front-17 person door in: line_crossed"
    assert caption(ABOUT_THE_SCENE) == "update full 5 true: count_changed"


@pytest.mark.parametrize(
    ("start", "end", "above", "below"),
    [
        ((0.3, 0.5), (0.7, 0.5), False, True),  # to the right hand of who goes to the right: downwards
        ((0.7, 0.5), (0.3, 0.5), True, False),
    ],
)
def test_a_line_is_drawn_with_an_arrow_the_way_in(
    tmp_path: Path, start: UnitPoint, end: UnitPoint, *, above: bool, below: bool
) -> None:
    frame = frame_of(size=(640, 480))
    bare = Annotator(tmp_path / "bare.mp4", {}).picture(frame, (), ())
    drawn = Annotator(tmp_path / "drawn.mp4", {}, {"door": (start, end)}).picture(frame, (), ())
    changed = np.any(bare != drawn, axis=2)
    assert changed[240, 192:448].all()  # the line, from 0.3 to 0.7 of 640
    assert not changed[:, :180].any()
    # The arrow is 0.05 of 480 long: 24 pixels up or down of the middle.
    assert (changed[220, 310:330].any(), changed[260, 310:330].any()) == (above, below)
