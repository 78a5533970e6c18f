"""The rule of speed: who is too fast on the ground, said once while it lasts, at any frame rate."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import pytest
from builders import frame_of, track_of
from hypothesis import given, settings
from hypothesis import strategies as st
from walks import SIZE, Walk, rules_of, story

from edge_agent.records import Condition, Event, Spoken, Track, Tracks
from edge_agent.stages.encode import native
from edge_agent.stages.encode.native import Names
from edge_agent.stages.encode.topics import Topics
from edge_agent.stages.rules.ground import GroundSettings

# Seen from straight above: 128x64 pixels are 12.8 x 6.4 m, 0.1 m each.
GROUND = GroundSettings(corners=((0, 0), (1, 0), (1, 1), (0, 1)), width_m=12.8, length_m=6.4)
ZONES: dict[str, Any] = {"left": {"polygon": [[0, 0], [0.5, 0], [0.5, 1], [0, 1]], "inertia_s": 0}}

# From 0.1 to 0.9 of the width in two seconds: 0.8 * 12.8 m / 2 s = 5.12 m/s = 18.4 km/h.
PASSES = Walk(label="car", stops=((0, (0.1, 0.75)), (2, (0.9, 0.75))))


def said(rule: dict[str, Any], *walks: Walk, rate_hz: float = 10, **more: Any) -> list[tuple[float, int, float | None]]:
    """When a rule that is named `it` called which object how fast."""
    rules = rules_of(
        {"name": "it", "kind": "speed", **rule}, zones=ZONES, labels=("person", "car"), ground=GROUND, **more
    )
    return [
        (round(at_s, 3), event.track.id, event.rule.speed_kmh)
        for at_s, event in story(rules, walks, rate_hz).events
        if event.rule and event.track and event.reason == ("speeding",)
    ]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        # Its speed is known after half a second, and half a second later it has been too fast for half a second.
        ({"over_kmh": 15}, [(1.0, 1, 18.4)]),
        ({"over_kmh": 15, "for_s": 0}, [(0.5, 1, 18.4)]),
        ({"over_kmh": 15, "for_s": 1.4}, [(1.9, 1, 18.4)]),
        ({"over_kmh": 15, "for_s": 1.55}, []),  # it is gone by then
        ({"over_kmh": 18.3}, [(1.0, 1, 18.4)]),
        ({"over_kmh": 18.5}, []),
        ({"over_kmh": 18.5, "for_s": 0}, []),
        ({"over_kmh": 15, "labels": ["person"]}, []),
        ({"over_kmh": 15, "zone": "left", "for_s": 0.4}, [(0.9, 1, 18.4)]),
        ({"over_kmh": 15, "zone": "left"}, []),  # it has left at 1.0 s
    ],
)
def test_who_is_too_fast_for_long_enough_is_said(
    rule: dict[str, Any], expected: list[tuple[float, int, float]]
) -> None:
    assert said(rule, PASSES) == expected


def test_who_stops_and_is_too_fast_again_is_said_again() -> None:
    stops = ((0, (0.1, 0.75)), (1.5, (0.7, 0.75)), (4, (0.7, 0.75)), (5.5, (0.1, 0.75)))
    # Of a second of sightings most must be of the new pace, so it takes 0.7 s until it is too fast again.
    assert [at_s for at_s, _, _ in said({"over_kmh": 15}, Walk(label="car", stops=stops))] == [1.0, 5.2]


def look(rules: Any, at_s: float, x: float, **more: Any) -> list[Event]:
    """What is said of a car whose box has its middle at x pixels."""
    track = track_of(label="car", box=(x - 4, 32, x + 4, 48), seen_s=at_s, **more)
    told = rules.evaluate(Tracks(live=(track,)), frame_of(at_s, size=SIZE))
    return [one for one in told if isinstance(one, Event)]


def drive(rule: dict[str, Any], speeds_kmh: Sequence[float]) -> list[float]:
    """When a car is called too fast that goes at each speed for a second."""
    rules = rules_of({"name": "it", "kind": "speed", **rule}, labels=("car",), ground=GROUND)
    told, at_m = [], 1.0
    for i in range(len(speeds_kmh) * 10):
        told += [i / 10 for event in look(rules, i / 10, at_m * 10) if event.rule]
        at_m += speeds_kmh[i // 10] / 3.6 / 10
    return told


def test_who_wavers_around_the_limit_is_said_once_and_who_slows_down_in_between_twice() -> None:
    rule = {"over_kmh": 5, "for_s": 0.29}
    assert drive(rule, [5.5, 4.7, 5.3, 4.6, 5.4, 4.8]) == [0.8]  # never under nine tenths of the limit
    assert len(drive(rule, [5.5, 2, 2, 5.5, 5.5])) == 2
    assert drive(rule, [4.7, 4.8, 4.9]) == []


def test_where_the_speed_is_not_known_nothing_changes() -> None:
    rules = rules_of({"name": "it", "kind": "speed", "over_kmh": 10}, labels=("car",), ground=GROUND)
    told = [event for i in range(12) for event in look(rules, i / 10, 20 + 5 * i) if event.rule]
    assert len(told) == 1
    # Its box is cut off by the picture's edge for a second, and then seen again, at the same speed: no second time.
    assert [event for i in range(12, 22) for event in look(rules, i / 10, 126) if event.rule] == []
    assert [event for i in range(22, 32) for event in look(rules, i / 10, 20 + 5 * (i - 22)) if event.rule] == []


def test_time_in_which_the_speed_is_not_known_does_not_count() -> None:
    rules = rules_of({"name": "it", "kind": "speed", "over_kmh": 10, "for_s": 1}, labels=("car",), ground=GROUND)
    places = [20 + 5 * i for i in range(10)] + [126] * 10  # too fast from 0.4 s to 0.9 s, then cut off by the edge
    assert [event for i, x in enumerate(places) for event in look(rules, i / 10, x) if event.rule] == []


def test_without_the_ground_nobody_is_too_fast_and_no_event_tells_a_speed() -> None:
    rules = rules_of({"name": "it", "kind": "speed", "over_kmh": 1}, labels=("car",))
    assert {event.rule or event.speed_kmh for _, event in story(rules, [PASSES]).events} == {None}


def test_every_event_of_an_object_tells_its_speed_where_that_is_known() -> None:
    rules = rules_of(
        {"name": "it", "kind": "speed", "over_kmh": 15}, zones=ZONES, labels=("person", "car"), ground=GROUND
    )
    names = Names(topics=Topics(prefix="edge", device="box"), camera="front", run_id="0" * 16)
    contents = [json.loads(native.encode(event, names).payload) for _, event in story(rules, [PASSES]).events]
    assert [(content["event_type"], content["object"].get("speed_kmh")) for content in contents] == [
        ("new", None),  # it was not seen for long enough
        ("update", 18.4),  # has left the zone
        ("update", 18.4),  # too fast
        ("end", None),  # nobody sees how fast it goes any more
    ]
    assert contents[2]["rule"] == {"name": "it", "kind": "speed", "speed_kmh": 18.4}


def test_after_all_is_over_nobody_is_known() -> None:
    rules = rules_of({"name": "it", "kind": "speed", "over_kmh": 10, "for_s": 0}, labels=("car",), ground=GROUND)
    first = [event.seq for i in range(6) for event in look(rules, i / 10, 20 + 5 * i) if event.rule]
    rules.finish(frame_of(0.6, size=SIZE))
    again = [event.seq for i in range(6, 12) for event in look(rules, i / 10, 20 + 5 * i) if event.rule]
    assert [len(first), len(again)] == [1, 1]


def test_it_is_explained_by_the_speed_and_how_long_it_held() -> None:
    noted: list[tuple[Condition, ...]] = []

    def note(_spoken: Spoken, _track: Track | None, conditions: tuple[Condition, ...]) -> None:
        noted.append(conditions)

    said({"over_kmh": 15}, PASSES, note=note)
    assert [condition.name for condition in noted[0]] == [
        "label", "zone", "speed_kmh", "held_s", "said", "schedule", "cooldown_s",
    ]  # fmt: skip
    assert [sum(all(condition.holds for condition in one) for one in noted)] == [1]
    speeds = [one[2] for one in noted]
    assert all(speed.holds == (speed.value > speed.wanted) for speed in speeds)
    # Once it has been too fast for long enough, a little less will do.
    assert [speed.wanted for speed in speeds] == [15.0] * 6 + [13.5] * 11


KMH = st.floats(5, 9) | st.floats(11, 40)
"""Not so near to the limit of 10 that rounding decides."""


@settings(max_examples=40)
@given(st.lists(st.tuples(KMH, st.floats(-0.4, 0.4), st.integers(0, 3)), min_size=1, max_size=3))
def test_at_any_rate_the_same_objects_are_too_fast_at_the_same_time(cars: list[tuple[float, float, int]]) -> None:
    walks = []
    for number, (kmh, slope, begin_s) in enumerate(cars, 1):
        last_s = begin_s + 0.8 * SIZE[0] / 10 / (kmh / 3.6 * math.cos(slope))  # from 0.1 to 0.9 of the width
        # The middle of the road plus as far to the side as it goes; half as many pixels are as many parts.
        side = 0.8 * math.tan(slope)
        stops = ((float(begin_s), (0.1, 0.65 - side / 2)), (last_s, (0.9, 0.65 + side / 2)))
        walks.append(Walk(track_id=number, label="car", stops=stops))
    fine, *others = (said({"over_kmh": 10, "for_s": 0.29}, *walks, rate_hz=rate_hz) for rate_hz in (30, 10, 5))
    # Who is in view for less than a second may be gone before a slow look has seen it thrice.
    brief = {walk.track_id for walk in walks if walk.stops[-1][0] - walk.stops[0][0] < 1.2}
    for coarse in others:
        fine_by_id, coarse_by_id = ({one[1]: one for one in told if one[1] not in brief} for told in (fine, coarse))
        assert fine_by_id.keys() == coarse_by_id.keys()
        for track_id, (at_s, _, speed_kmh) in coarse_by_id.items():
            assert abs(at_s - fine_by_id[track_id][0]) <= 0.2 + 1e-6
            assert speed_kmh == pytest.approx(fine_by_id[track_id][2], abs=0.2)
