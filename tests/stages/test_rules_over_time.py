"""What holds of every rule: the rate does not matter, what begins ends, and a clock that is set changes nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, get_args

import pytest
from builders import UTC_NS
from hypothesis import given, settings
from hypothesis import strategies as st
from walks import Place, Told, Walk, rules_of, story

from edge_agent.records import RuleKind
from edge_agent.stages.encode import native
from edge_agent.stages.encode.native import Names
from edge_agent.stages.encode.topics import Topics
from edge_agent.stages.rules.rules import Rules

# Objects stand at a station, or go on to another within 0.3 s, every 2 s. Durations in the settings are not near what
# the differences of such moments can be, and a little less than a multiple of each frame period.
STATIONS: dict[str, Place] = {"porch": (0.25, 0.8), "yard": (0.75, 0.8), "road": (0.25, 0.4), "field": (0.75, 0.4)}
SLOT_S, WAY_S = 2.0, 0.3
ZONES: dict[str, Any] = {
    "left": {"polygon": [[0, 0], [0.5, 0], [0.5, 1], [0, 1]], "inertia_s": 0.59},
    "near": {"polygon": [[0, 0.6], [1, 0.6], [1, 1], [0, 1]], "inertia_s": 0, "labels": ["person"]},
}
LINES: dict[str, Any] = {
    "middle": {"from": [0.5, 0.2], "to": [0.5, 1]},
    "quiet": {"from": [0, 0.6], "to": [1, 0.6], "cooldown_s": 2.99},
}
RULES: tuple[dict[str, Any], ...] = (
    {"name": "comes", "kind": "zone", "zone": "left"},
    {"name": "goes", "kind": "zone", "zone": "near", "on": "leave", "cooldown_s": 2.99},
    {"name": "stays", "kind": "dwell", "zone": "left", "after_s": 2.99},
    {"name": "here", "kind": "dwell", "after_s": 6.99, "labels": ["car"], "cooldown_s": 4.99},
    {"name": "two", "kind": "occupancy", "at_least": 2, "for_s": 0.99},
    {"name": "left-two", "kind": "occupancy", "zone": "left", "at_least": 2, "for_s": 0.99, "cooldown_s": 4.99},
    {"name": "rests", "kind": "still", "after_s": 1.29, "zone": "left"},
    {"name": "alone", "kind": "left_behind", "labels": ["car"], "after_s": 1.29, "near": 0.3, "stays_s": 0.59},
    {"name": "gone", "kind": "removed", "after_s": 1.29, "labels": ["car"]},
)
PERIOD_S = 1 / 5
LATER_S = 128.0
FEW = settings(max_examples=20)  # each is a story of a hundred frames and more


def all_rules(**more: Any) -> Rules:
    return rules_of(*RULES, zones=ZONES, lines=LINES, labels=("person", "car"), **more)


@st.composite
def scenes(draw: st.DrawFn) -> list[Walk]:
    """One to three objects, each a few slots long; those that come later begin at another part of a slot."""
    walks = []
    for track_id in range(1, draw(st.integers(1, 3)) + 1):
        begin_s = SLOT_S * draw(st.integers(0, 3))
        stations = draw(st.lists(st.sampled_from(sorted(STATIONS)), min_size=1, max_size=6))
        label = draw(st.sampled_from(["person", "car"]))
        walks.append(Walk(track_id=track_id, stops=tuple(stops(begin_s, stations)), label=label))
    return walks


def stops(begin_s: float, stations: list[str]) -> Iterator[tuple[float, Place]]:
    for i, station in enumerate(stations):
        at_s = begin_s + i * SLOT_S
        yield at_s, STATIONS[station]
        yield at_s + SLOT_S - WAY_S, STATIONS[station]


def sentences(told: Told, begin_s: float = 0.0) -> list[tuple[Any, ...]]:
    """What was said of each object and by each rule, in order of these and then of time."""
    return sorted(
        (
            event.track.id if event.track else 0,
            event.rule.name if event.rule else "",
            round(at_s - begin_s, 3),
            event.event_type,
            event.rule and (event.rule.direction, event.rule.active),
        )
        for at_s, event in told.events
    )


@pytest.mark.parametrize("rate_hz", [10, 5])
@given(scenes())
@FEW
def test_the_same_scene_gives_the_same_events_at_any_rate_up_to_one_frame(rate_hz: int, scene: list[Walk]) -> None:
    at_full_rate, at_less = story(all_rules(), scene, 30), story(all_rules(), scene, rate_hz)
    assert at_less.counts == at_full_rate.counts
    fine, coarse = sentences(at_full_rate), sentences(at_less)
    assert [(who, rule, *what) for who, rule, _, *what in coarse] == [
        (who, rule, *what) for who, rule, _, *what in fine
    ]
    for (*_, coarse_s, _, _), (*_, fine_s, _, _) in zip(coarse, fine, strict=True):
        assert abs(coarse_s - fine_s) < PERIOD_S


def test_the_scenes_above_make_every_rule_speak() -> None:
    """But for that of speed, which needs the ground: tests/stages/test_speed.py."""
    walks = [
        Walk(track_id=1, stops=tuple(stops(0, ["yard", "porch", "porch", "road", "field", "porch"]))),
        Walk(track_id=2, stops=tuple(stops(2, ["porch", "porch", "road", "road", "yard"])), label="car"),
    ]
    told = story(all_rules(), walks)
    names = {event.rule.name for _, event in told.events if event.rule}
    assert names == {*LINES, *(rule["name"] for rule in RULES)}
    assert {event.rule.kind for _, event in told.events if event.rule} == set(get_args(RuleKind)) - {"speed"}


@st.composite
def wild_scenes(draw: st.DrawFn) -> list[Walk]:
    """Objects that come, go and jump at any moment, some of them for a frame or two."""
    walks = []
    for track_id in range(1, draw(st.integers(1, 4)) + 1):
        at_s, path = draw(st.floats(0, 4)), []
        for place in draw(st.lists(st.tuples(st.floats(0, 1), st.floats(0.3, 1)), min_size=2, max_size=8)):
            path.append((at_s, place))
            at_s += draw(st.floats(0.05, 3))
        hidden = tuple((begin_s, begin_s + 1.0) for begin_s in draw(st.lists(st.floats(0, 10), max_size=2)))
        label = draw(st.sampled_from(["person", "car"]))
        walks.append(Walk(track_id=track_id, stops=tuple(path), label=label, hidden=hidden))
    return walks


@given(wild_scenes())
@FEW
def test_what_begins_ends_and_rules_speak_only_in_between(scene: list[Walk]) -> None:
    present: set[int] = set()
    active: dict[str, bool] = {}
    lived: set[int] = set()
    for seq, (_, event) in enumerate(story(all_rules(), scene).events):
        assert event.seq == seq
        if event.track is None:
            assert event.rule is not None
            assert event.rule.active is not active.get(event.rule.name, False)  # by turns, beginning with true
            active[event.rule.name] = bool(event.rule.active)
        elif event.event_type == "new":
            assert event.track.id not in lived
            present.add(event.track.id)
            lived.add(event.track.id)
        else:
            assert event.track.id in present
            if event.event_type == "end":
                present.remove(event.track.id)
    assert present == set()
    assert not any(active.values())


@given(wild_scenes(), st.lists(st.integers(-(10**18), 10**18), min_size=1, max_size=6))
@FEW
def test_a_clock_that_is_set_changes_no_event_and_makes_no_duration_negative(
    scene: list[Walk], jumps: list[int]
) -> None:
    def jumping(at_s: float) -> int:
        return UTC_NS + round(at_s * 1e9) + jumps[int(at_s) % len(jumps)]

    steady, set_often = story(all_rules(), scene), story(all_rules(), scene, utc_ns=jumping)
    assert sentences(set_often) == sentences(steady)
    names = Names(topics=Topics(prefix="edge", device="box"), camera="front", run_id="0" * 16)
    for (_, event), (_, before) in zip(set_often.events, steady.events, strict=True):
        content, as_steady = (json.loads(native.encode(one, names).payload) for one in (event, before))
        assert content["duration_s"] == as_steady["duration_s"] >= 0
        assert content.get("object", {}).get("age_s", 0) >= 0


@given(scenes())
@FEW
def test_rules_remember_nobody_who_has_gone(scene: list[Walk]) -> None:
    """Told once more, long after, it is the same story; with the same ids, too, which would betray any memory."""
    later = [replace(walk, stops=tuple((at_s + LATER_S, place) for at_s, place in walk.stops)) for walk in scene]
    rules = all_rules()
    first, second = story(rules, scene, 8), story(rules, later, 8, begin_s=LATER_S)
    assert sentences(second, LATER_S) == sentences(first)


@given(wild_scenes())
@FEW
def test_nothing_is_kept_of_those_who_have_gone(scene: list[Walk]) -> None:
    rules = all_rules()
    story(rules, scene)
    kept = [
        (rule, name)
        for rule in vars(rules)["_rules"]
        for name, value in vars(rule).items()
        if isinstance(value, set | dict) and value and name != "_counts"
    ]
    assert kept == []
