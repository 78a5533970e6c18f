"""`explain`: real replays of the built-in clip, each sentence held against what the events say by themselves."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import pytest
import videos
from program import run_program, write_config

from edge_agent.cli.main import main
from edge_agent.clips import PEDESTRIANS
from edge_agent.errors import StorageError
from edge_agent.records import Condition, ConditionName
from edge_agent.stages.detect.filters import FilterSettings
from edge_agent.stages.trail.entries import Confirming, EventEntry, Figures, Judged, WatchEntry, to_line
from edge_agent.tools.explain import EventId, at, of_event, seconds
from edge_agent.tools.explain_conditions import RULE_WORDS, condition_words
from edge_agent.tools.explain_words import in_words

ASPECT = 768 / 576
CAMERA: dict[str, Any] = {
    "id": "campus",
    "source": "file://clip.mp4",
    "detect": {"filters": {"person": {"min_height": 0.1}}},
    "zones": {"road": {"polygon": [[0, 0.33], [0.35, 0.38], [0.5, 0.62], [0, 0.42]]}},
    "lines": {"middle": {"from": [0.5, 0.6], "to": [0.5, 0.25], "labels": ["person"]}},
    "rules": [
        {"name": "loiter", "kind": "dwell", "zone": "road", "after_s": 5},
        {"name": "busy", "kind": "occupancy", "at_least": 7, "for_s": 1},
        {"name": "night", "kind": "dwell", "after_s": 1, "schedule": {"from": "22:00", "to": "05:00"}},
    ],
}


@dataclass(frozen=True)
class Replayed:
    """A clip that was replayed: its events, and where its trail and its configuration are."""

    events: list[dict[str, Any]]
    trail: Path
    config: Path

    def by(self, rule: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event.get("rule", {}).get("name") == rule]

    def of(self, track: str, reason: str) -> list[dict[str, Any]]:
        return [e for e in self.events if e.get("object", {}).get("id") == track and reason in e["reason"]]


def replayed(folder: Path, camera: dict[str, Any], clip: Path = PEDESTRIANS) -> Replayed:
    settings = {"device": {"id": "demo", "timezone": "UTC"}, "cameras": [camera]}
    config = write_config(folder / "c.yaml", settings)
    more = ("--explain", "trail.jsonl", "--at", "1970-01-01T12:00")
    done = run_program("replay", clip, "-c", config, *more, cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    events = [json.loads(line)["payload"] for line in done.stdout.splitlines()]
    return Replayed(events, folder / "trail.jsonl", config)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Replayed:
    return replayed(tmp_path_factory.mktemp("explain"), CAMERA)


@pytest.fixture
def explained(capsys: pytest.CaptureFixture[str], clip: Replayed) -> Any:
    def explain(*arguments: str) -> list[str]:
        assert main(["explain", *arguments, "--trail", str(clip.trail)]) == 0
        printed, complaint = capsys.readouterr()
        assert complaint == ""
        return printed.splitlines()

    return explain


def moment_s(text: str) -> float:
    """Seconds since noon of `…T12:00:04.200Z`."""
    match = re.search(r"T12:(\d\d):(\d\d\.\d+)Z", text)
    assert match
    return int(match[1]) * 60 + float(match[2])


def numbers(lines: Sequence[str], pattern: str) -> list[float]:
    """The numbers of the only line that matches."""
    [match] = [match for line in lines if (match := re.search(pattern, line))]
    return [float(number) for number in match.groups()]


# Three events


def test_why_somebody_was_said_to_loiter(clip: Replayed, explained: Any) -> None:
    event = clip.by("loiter")[0]
    lines = explained(event["event_id"])
    name, at_s = event["object"]["id"], moment_s(event["time"])
    assert lines[0] == f"event {event['event_id']} at {event['time']}: {name}, update: dwell, by rule loiter"
    dwelt_s, wanted_s = numbers(lines, r"rule loiter: it had been in zone road for ([\d.]+) s, ([\d.]+) s wanted \(aft")
    assert wanted_s == 5
    assert 5 <= dwelt_s < 5.2 + 1e-6  # at the first of five looks a second at which it is enough
    [since] = [line for line in lines if line.startswith(f"{name}: in zone road since ")]
    since_s = moment_s(since)
    assert at_s - since_s == pytest.approx(dwelt_s)
    entered_s = moment_s(clip.of(name, "zone_entered")[-1]["time"])
    assert 0.5 <= entered_s - since_s < 0.7 + 1e-6  # what inertia_s waits for counts
    assert f"{name}: person, first seen {event['started']}, " in "\n".join(lines)
    score, top = numbers(lines, rf"{name}: scores from [\d.]+ to ([\d.]+), median ([\d.]+)")[::-1]
    assert (score, top) == (event["object"]["score"], event["object"]["top_score"])


def test_why_somebody_was_said_to_have_crossed_a_line(clip: Replayed, explained: Any) -> None:
    event = clip.by("middle")[0]
    way = event["rule"]["direction"]
    lines = explained(event["event_id"])
    left, _top, right, _bottom = event["object"]["box"]
    beyond = abs((left + right) / 2 - 0.5) * ASPECT  # the line stands upright at 0.5; parts of the height
    told, wanted = numbers(
        lines, rf"line middle \({way}\): it was ([\d.]+) of the picture's height beyond the line, more than ([\d.]+) b"
    )
    assert wanted == 0.01
    assert told == pytest.approx(beyond, abs=1e-3)
    hand = {"in": "left", "out": "right"}[way]
    assert f"line middle ({way}): it came from the line's {hand} hand" in lines
    assert f"line middle ({way}): it passed between the line's ends" in lines
    assert not any("did not speak" in line for line in lines)


def test_why_it_was_said_to_be_busy(clip: Replayed, explained: Any) -> None:
    event = clip.by("busy")[0]
    lines = explained(event["event_id"])
    count, wanted = numbers(lines, r"rule busy: (\d+) were in view, at least (\d+) wanted \(at_least\)")
    assert (count, wanted) == (event["rule"]["count"], 7)
    held_s, for_s = numbers(lines, r"rule busy: that had been so for ([\d.]+) s, ([\d.]+) s wanted \(for_s\)")
    assert for_s == 1
    assert held_s == pytest.approx(event["duration_s"], abs=1e-3)
    over = clip.by("busy")[1]
    count, wanted = numbers(explained(over["event_id"]), r"rule busy: (\d+) were in view, at most (\d+) wanted")
    assert (count, wanted) == (over["rule"]["count"], 6)


# Three that did not happen


def test_why_somebody_on_the_road_was_not_said_to_loiter(clip: Replayed, explained: Any) -> None:
    loiterers = {event["object"]["id"] for event in clip.by("loiter")}
    on_the_road = {e["object"]["id"] for e in clip.events if "zone_entered" in e["reason"]}
    left = {e["object"]["id"] for e in clip.events if "zone_left" in e["reason"]}
    name = min((on_the_road & left) - loiterers)
    entered, left_again = clip.of(name, "zone_entered")[0], clip.of(name, "zone_left")[0]
    lines = explained("--camera", "campus", "--at", entered["time"], "--rule", "loiter", "--within", "0s")
    mine = lines[next(at for at, line in enumerate(lines) if line.startswith(f"{name}: rule loiter did not speak")) :]
    dwelt_s, wanted_s = numbers(mine[1:2], r"rule loiter: it had been in zone road for ([\d.]+) s, ([\d.]+) s wanted")
    assert dwelt_s < wanted_s == 5
    longest_s = moment_s(left_again["time"]) - moment_s(entered["time"]) + 0.7  # inertia_s, and one look
    assert dwelt_s <= longest_s + 1e-6
    assert dwelt_s == pytest.approx(moment_s(mine[0]) - _since_s(lines, name))


def _since_s(lines: Sequence[str], name: str) -> float:
    [line] = [line for line in lines if line.startswith(f"{name}: was in zone road from ")]
    return moment_s(line)


def test_why_a_rule_said_nothing_by_day(clip: Replayed, explained: Any) -> None:
    assert clip.by("night") == []
    event = clip.by("loiter")[0]
    lines = explained("--camera", "campus", "--at", event["time"], "--rule", "night", "--within", "0s")
    name = event["object"]["id"]
    at = next(at for at, line in enumerate(lines) if line.startswith(f"{name}: rule night did not speak"))
    assert lines[at].endswith("when 5 of 6 conditions held")
    assert lines[at + 1] == "rule night: it was outside its schedule (schedule)"


def test_why_somebody_was_never_reported(clip: Replayed, explained: Any) -> None:
    window = ("--at", "1970-01-01T12:00:12Z", "--within", "30s")
    told = json.loads("\n".join(explained("--camera", "campus", *window, "--json")))
    reported = {event["object"]["id"] for event in clip.events if "object" in event}
    unreported = [one for one in told["objects"] if f"campus-{one['about']['id']}" not in reported]
    assert unreported
    for one in unreported:
        about, name = one["about"], f"campus-{one['about']['id']}"
        facts = [fact for fact in told["facts"] if fact.startswith(f"{name}: not confirmed, so not reported: ")]
        assert facts
        short = {
            "track.confirm_hits": about["hits"] < 3,
            "track.confirm_score": about["score"] < 0.4,
            "track.confirm_top": about["top"] < 0.6,
        }
        named = {setting for setting in short if any(setting in fact for fact in facts)}
        assert named == {setting for setting, is_short in short.items() if is_short} or "part of another" in facts[0]
    assert all(one["about"]["confirmed"] for one in told["objects"] if one not in unreported)


def test_what_filters_took_is_said_with_its_setting(explained: Any) -> None:
    lines = explained("--camera", "campus", "--at", "1970-01-01T12:00:10Z")
    count, last, wanted = numbers(
        [line for line in lines if line.startswith("camera campus: ")],
        r"a filter took (\d+) boxes; the last had ([\d.]+), at least ([\d.]+) wanted \(detect.filters.person.min_h",
    )
    assert (count > 100, last < wanted, wanted) == (True, True, 0.1)


def test_nobody_looked_for_nothing_moved(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A picture that stays as it is: after the gate has learnt it, it is looked at every refresh_s only."""
    still = tmp_path / "still.mp4"
    with videos.av.open(str(still), "w") as container:
        stream: Any = container.add_stream("libx264", rate=5)
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
        picture = videos.av.VideoFrame(160, 96, "yuv420p")
        for plane, grey in zip(picture.planes, (90, 128, 128), strict=True):
            plane.update(bytes([grey]) * plane.buffer_size)
        for number in range(40 * 5):
            picture.pts = number
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    quiet = replayed(tmp_path, CAMERA, still)
    assert quiet.events == []
    asked = ["explain", "--camera", "campus", "--at", "1970-01-01T12:00:25Z", "-c", str(quiet.config)]
    assert main([*asked, "--trail", str(quiet.trail)]) == 0
    lines = capsys.readouterr().out.splitlines()
    looks, pictures = numbers(
        lines,
        r"nothing moved \(gate\), so nobody looked but now and then \(gate.refresh_s\): .* (\d+) of (\d+) pict",
    )
    assert 2 <= looks <= 4  # every 10 s
    assert 100 < pictures <= 200
    assert "camera campus: no look found anything, not even a weak box (detect.weak)" in lines


# What is not there


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (["RUN/campus/9999"], 69, "event RUN/campus/9999 is not kept: the last one kept of that run has the number "),
        (["feed/campus/3"], 69, "event feed/campus/3 is not kept: nothing of run feed is; the trail goes from "),
        (["RUN/barn/3"], 69, 'event RUN/barn/3 is not kept: the trail knows no camera "barn"'),
        (["RUN/barn/3", "-c"], 78, "barn: no such camera; there are: campus"),
        (["--camera", "barn", "--at", "1970-01-01T12:00"], 69, 'nothing of camera "barn" at 1970-01-01T12:00:00.000Z'),
        (["--camera", "barn", "--at", "1970-01-01T12:00", "-c"], 78, "barn: no such camera; there are: campus"),
        (["--camera", "campus", "--at", "2026-01-01T12:00"], 69, "the trail goes from 1970-01-01T12:00:00.000Z to "),
        (["--camera", "campus", "--at", "1970-01-01T12:00", "--rule", "x", "-c"], 78, "--rule x: camera"),
        ([], 78, "explain wants an EVENT_ID, or --camera NAME and --at TIME"),
        (["--camera", "campus"], 78, "explain wants an EVENT_ID, or --camera NAME and --at TIME"),
        (["--at", "1970-01-01T12:00"], 78, "explain wants an EVENT_ID, or --camera NAME and --at TIME"),
    ],
)
def test_what_cannot_be_explained_is_one_line(
    clip: Replayed, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, complaint: str
) -> None:
    run = clip.events[0]["run_id"]
    arguments = [one.replace("RUN", run) for one in arguments]
    if arguments[-1:] == ["-c"]:
        arguments.append(str(clip.config))
    assert main(["explain", *arguments, "--trail", str(clip.trail)]) == code
    printed, said = capsys.readouterr()
    assert printed == ""
    assert said.startswith("edge-agent: ")
    assert complaint.replace("RUN", run) in said
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["abc"], ["a/b"], ["a/b/c"], ["a/b/-1"], ["a/b/1/2"], ["a//1"], ["a/b/²"],
        ["--camera", "c", "--at", "noon"], ["--camera", "c", "--at", "1970-01-01T12:00", "--within", "soon"],
        ["--camera", "c", "--at", "1970-01-01T12:00", "--within", "-1s"],
    ],
)  # fmt: skip
def test_what_is_no_event_id_and_no_time_is_a_usage_error(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["explain", *arguments, "--trail", "x"])
    assert ended.value.code == 2
    assert "edge-agent explain: error: argument" in capsys.readouterr().err


def test_a_trail_that_is_not_there_or_not_kept_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "a/campus/1", "--trail", str(tmp_path / "none")]) == 69
    assert "none cannot be read: no such file" in capsys.readouterr().err
    settings = {"device": {"id": "demo"}, "outbox": {"path": str(tmp_path / "o.db")}, "cameras": [CAMERA]}
    config = write_config(tmp_path / "c.yaml", {**settings, "explain": {"enabled": False}})
    assert main(["explain", "a/campus/1", "-c", str(config)]) == 78
    assert "explain.enabled is false, so nothing is kept that could explain" in capsys.readouterr().err
    assert main(["explain", "a/campus/1"]) == 78
    assert "explain wants -c CONFIG, or --trail FILE" in capsys.readouterr().err


def test_damage_takes_only_what_it_hits(clip: Replayed, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = clip.trail.read_bytes().splitlines(keepends=True)
    damaged = tmp_path / "damaged.jsonl"
    damaged.write_bytes(b"".join(b"\x00\xff{torn\n" + line for line in lines) + lines[0][:30])
    event = clip.by("loiter")[0]["event_id"]
    printed = []
    for trail in (clip.trail, damaged):
        assert main(["explain", event, "--trail", str(trail)]) == 0
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1]


# Values


def test_every_condition_of_rules_has_words_and_filters_have_their_settings() -> None:
    of_filters = set(FilterSettings.model_fields)
    assert set(RULE_WORDS) == set(get_args(ConditionName)) - of_filters
    for name in RULE_WORDS:
        for direction in (None, "in", "out"):
            for active in (None, True, False):
                judged = Judged(
                    name="r", kind="line", direction=direction, active=active, zone="z", at_ms=0, conditions=()
                )
                for holds in (True, False):
                    words = condition_words(Condition(name, 0.5, 1.0, holds), judged)
                    assert words
                    assert "{" not in words


def watch(run: str, from_s: int, to_s: int) -> WatchEntry:
    return WatchEntry(
        run=run, camera="gate", from_ms=from_s * 1000, at_ms=to_s * 1000, moving=True, frames=9, looks=5
    )  # fmt: skip


@pytest.mark.parametrize(
    ("second", "why"),
    [
        (watch("a", 100, 130), "no picture came from the camera, or the machine stood still"),
        (watch("b", 100, 130), "the agent did not run, or was killed before it could note more"),
    ],
)
def test_a_time_that_nothing_is_kept_of_lies_between_others(second: WatchEntry, why: str) -> None:
    story = at([watch("a", 0, 30), second], "gate", 60_000, 2000, None)
    assert list(in_words(story, None)) == [
        f"camera gate: from 1970-01-01T00:00:30.000Z to 1970-01-01T00:01:40.000Z nobody looked: {why}"
    ]
    with pytest.raises(StorageError, match=r"at 1970-01-01T00:03:20.000Z is kept: the trail goes from"):
        at([watch("a", 0, 30), second], "gate", 200_000, 2000, None)


def test_a_time_of_which_somebody_had_said_that_nobody_is_to_look_is_told_as_such() -> None:
    paused = watch("a", 31, 90).model_copy(update={"moving": False, "paused": True, "looks": 0, "frames": 590})
    story = at([watch("a", 0, 30).model_copy(update={"broke_off": True}), paused], "gate", 60_000, 2000, None)
    [told] = in_words(story, None)
    assert told == (
        "camera gate: from 1970-01-01T00:00:31.000Z to 1970-01-01T00:01:30.000Z paused by a command (pause, or detect "
        "OFF), so nobody looked at the 590 pictures that came"
    )
    assert '"paused":true' in to_line(paused)


def event(seq: int) -> EventEntry:
    about = Figures(
        id=1, label="person", first_ms=0, seen_ms=0, looks=1, hits=1, score=0.5, low=0.5, top=0.5, confirmed=True,
        confirm=Confirming(3, 0, 0.4, 0.6),
    )  # fmt: skip
    return EventEntry(run="a", camera="gate", at_ms=0, seq=seq, type="new", reason=("appeared",), about=about)


@pytest.mark.parametrize(
    ("seq", "why"), [(3, "it is older than what is"), (6, "it was lost"), (8, "a new one is kept within some 10 s")]
)
def test_an_event_that_is_not_kept_is_too_old_lost_or_too_new(seq: int, why: str) -> None:
    with pytest.raises(StorageError, match=why):
        of_event([event(5), event(7)], EventId("a", "gate", seq), None)


def test_a_day_is_the_longest_window() -> None:
    assert (seconds("24h"), seconds("0"), seconds("1m")) == (86_400, 0, 60)
    with pytest.raises(ValueError, match="0 to 24 h"):
        seconds("25h")


def test_no_entry_holds_anything_but_numbers_and_names(clip: Replayed) -> None:
    allowed = {"campus", "person", "road", "loiter", "busy", "night", "middle", clip.events[0]["run_id"]}
    words: set[str] = set()

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                words.add(key)
                walk(inner)
        elif isinstance(value, list):
            for inner in value:
                walk(inner)
        elif isinstance(value, str):
            words.add(value)

    for line in clip.trail.read_text().splitlines():
        assert len(line) < 8000
        walk(json.loads(line))
    assert all(re.fullmatch("[a-z_]{1,16}", word) for word in words - allowed)
    assert to_line(event(1)).isascii()
    assert "demo" not in words
