"""Things that stand: for too long, left behind, and gone."""

from __future__ import annotations

from typing import Any

import pytest
from builders import UTC_NS, frame_of, track_of
from pydantic import ValidationError
from walks import SIZE, Place, Walk, rules_of, story

from edge_agent.records import Box, Condition, Event, Spoken, Track, Tracks
from edge_agent.stages.rules.rules import Rules

# In frames of 128x64 pixels boxes are 8 wide and 16 high, so those at these places are 64 - 8 = 56 pixels apart: 0.875
# of the picture's height. Those at the bench and beside it 16 - 8 = 8: 0.125.
BENCH, BESIDE, DOOR = (0.25, 0.75), (0.375, 0.75), (0.75, 0.75)
ZONES: dict[str, Any] = {"left": {"polygon": [[0, 0], [0.5, 0], [0.5, 1], [0, 1]], "inertia_s": 0}}
BAG = {"kind": "left_behind", "labels": ["suitcase"], "after_s": 5, "stays_s": 2}


def stands(place: Place, begin_s: float = 0, end_s: float = 20) -> tuple[tuple[float, Place], ...]:
    return ((begin_s, place), (end_s, place))


def said(rule: dict[str, Any], *walks: Walk, **more: Any) -> list[tuple[float, int, str]]:
    """When a rule that is named `it` said what of which object."""
    labels = ("person", "suitcase", "cow")
    told = story(rules_of({"name": "it", **rule}, zones=ZONES, labels=labels, **more), walks)
    return [(at_s, track_id, what) for at_s, _, track_id, what in told.by_rules()]


# Still


COW = Walk(track_id=1, label="cow", stops=((0, DOOR), (1, BENCH), (9, BENCH), (10, DOOR), (20, DOOR)))


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        # It lies from 1 s to 9 s, and again from 10 s on.
        ({"after_s": 5}, [(6.0, 1, "stationary"), (15.0, 1, "stationary")]),
        ({"after_s": 9}, [(19.0, 1, "stationary")]),
        ({"after_s": 10.1}, []),
        ({"after_s": 5, "zone": "left"}, [(6.0, 1, "stationary")]),
        ({"after_s": 5, "cooldown_s": 8.95}, [(6.0, 1, "stationary"), (15.0, 1, "stationary")]),
        ({"after_s": 5, "cooldown_s": 12}, [(6.0, 1, "stationary"), (18.0, 1, "stationary")]),  # it lies there still
        ({"after_s": 5, "labels": ["person"]}, []),
    ],
)
def test_what_stands_still_for_long_is_said_once_each_time(
    rule: dict[str, Any], expected: list[tuple[float, int, str]]
) -> None:
    assert said({"kind": "still", **rule}, COW) == expected


def test_what_is_not_seen_may_have_gone_and_is_spoken_of_when_it_is_seen_again() -> None:
    hidden = Walk(track_id=1, label="cow", stops=stands(BENCH), hidden=((4.05, 12.05),))
    assert said({"kind": "still", "after_s": 5}, hidden) == [(12.1, 1, "stationary")]


def test_what_lies_there_already_when_the_schedule_opens_is_said_then() -> None:
    def after_eight(utc_ns: int) -> bool:
        return utc_ns >= UTC_NS + 8 * 10**9

    cow = Walk(track_id=1, label="cow", stops=stands(BENCH))
    assert said({"kind": "still", "after_s": 5}, cow, schedules={"it": after_eight}) == [(8.0, 1, "stationary")]


# Left behind


OWNER_GOES = ((0, BESIDE), (4, BESIDE), (5, DOOR), (20, DOOR))


@pytest.mark.parametrize(
    ("people", "expected"),
    [
        # Nobody ever: alone from the beginning.
        ([], [5.0]),
        # Its owner stands beside it until 4 s and is more than 0.15 away 25 ms later.
        ([OWNER_GOES], [9.0]),
        # Somebody who comes by for less than two seconds is no owner.
        ([((2, DOOR), (3, BESIDE), (4.8, BESIDE), (6, DOOR))], [5.0]),
        # Somebody who comes and stays, near from 4 s on: two seconds later it is said already.
        ([((3, DOOR), (4, BESIDE), (20, BESIDE))], [5.0]),
        ([((1, DOOR), (2, BESIDE), (20, BESIDE))], []),
        # Its owner goes and comes back: the clock begins anew when they have gone again, at 10 s.
        ([((0, BESIDE), (4, BESIDE), (5, DOOR), (6, DOOR), (7, BESIDE), (10, BESIDE), (11, DOOR), (20, DOOR))], [15.0]),
        # One who has left it alone for five seconds, comes back and leaves it again, is said twice.
        (
            [((0, BESIDE), (3, BESIDE), (4, DOOR), (9, DOOR), (10, BESIDE), (13, BESIDE), (14, DOOR), (20, DOOR))],
            [8.0, 18.0],
        ),
        # Two who pass one after the other are no owner either.
        ([((1, DOOR), (2, BESIDE), (3, DOOR)), ((2, DOOR), (3, BESIDE), (4.5, BESIDE), (5, DOOR))], [5.0]),
    ],
)
def test_a_thing_is_left_behind_when_nobody_who_stays_is_near_for_long(
    people: list[tuple[tuple[float, Place], ...]], expected: list[float]
) -> None:
    bag = Walk(track_id=1, label="suitcase", stops=stands(BENCH))
    persons = [Walk(track_id=2 + i, stops=stops) for i, stops in enumerate(people)]
    told = said(BAG, bag, *persons)
    assert [what for _, _, what in told] == ["left_behind"] * len(expected)
    assert [at_s for at_s, _, _ in told] == pytest.approx(expected, abs=0.11)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"near": 0.13}, []),  # 0.125 away
        ({"near": 0.12}, [5.0]),
        ({"people": ["cow"]}, [5.0]),
        ({"people": ["suitcase"]}, [5.0]),  # no thing is its own company
        ({"labels": ["cow"]}, []),
        ({"stays_s": 0}, []),
        ({"after_s": 1.5}, [1.5]),  # before anybody can have stayed for two seconds
    ],
)
def test_who_counts_as_with_a_thing(rule: dict[str, Any], expected: list[float]) -> None:
    bag = Walk(track_id=1, label="suitcase", stops=stands(BENCH))
    assert [at_s for at_s, _, _ in said({**BAG, **rule}, bag, Walk(track_id=2, stops=stands(BESIDE)))] == expected


def test_what_is_carried_about_is_not_left_behind() -> None:
    bag = Walk(track_id=1, label="suitcase", stops=((0, DOOR), (4, BENCH), (8, BENCH), (9, DOOR), (13, DOOR)))
    assert said(BAG, bag) == []
    assert said({**BAG, "after_s": 3.5}, bag) == [(7.5, 1, "left_behind"), (12.5, 1, "left_behind")]


def test_a_person_whose_box_shrinks_for_a_moment_has_not_gone() -> None:
    rules = rules_of({"name": "it", **BAG, "near": 0.05}, labels=("person", "suitcase"))
    for i in range(100):
        # 3 pixels beside it, 0.047 of 64; every tenth frame 8.
        left = 47.0 if i % 10 else 52.0
        tracks = (
            track_of(1, label="suitcase", box=(36, 40, 44, 48), seen_s=i / 10),
            track_of(2, box=(left, 32, 60, 48), seen_s=i / 10),
        )
        assert not by_rule(rules, tracks, i / 10)


def by_rule(rules: Rules, tracks: tuple[Track, ...], at_s: float, ended: tuple[Track, ...] = ()) -> list[Event]:
    told = rules.evaluate(Tracks(live=tracks, ended=ended), frame_of(at_s, size=SIZE))
    return [one for one in told if isinstance(one, Event) and one.rule]


def test_a_thing_among_many_people_is_judged_by_each_of_them() -> None:
    rules = rules_of({"name": "it", **BAG}, labels=("person", "suitcase"))

    def look(at_s: float, *boxes: Box) -> list[Event]:
        people = [track_of(2 + i, box=box, seen_s=at_s) for i, box in enumerate(boxes)]
        return by_rule(rules, (track_of(1, label="suitcase", box=(36, 40, 44, 48), seen_s=at_s), *people), at_s)

    far, near = (100.0, 32.0, 108.0, 48.0), (46.0, 32.0, 54.0, 48.0)
    assert [look(at_s, far, near, far) for at_s in (0.0, 1.0, 2.0, 5.0)] == [[]] * 4
    assert look(9.9, far, far, far) == []
    assert len(look(10.0, far, far, far)) == 1
    assert look(11.0, far, far, far) == []


# Removed


@pytest.mark.parametrize(
    ("rule", "stops", "expected"),
    [
        ({"after_s": 5}, stands(BENCH, 0, 6), [6.1]),
        ({"after_s": 6.1}, stands(BENCH, 0, 6), []),
        ({"after_s": 5, "zone": "left"}, stands(BENCH, 0, 6), [6.1]),
        ({"after_s": 5, "zone": "left"}, stands(DOOR, 0, 6), []),
        ({"after_s": 5, "labels": ["person"]}, stands(BENCH, 0, 6), []),
        # It was seen to move away, however little.
        ({"after_s": 5}, ((0, BENCH), (6, BENCH), (6.5, BESIDE)), []),
        ({"after_s": 5}, ((0, BENCH), (6, BENCH), (8, DOOR), (12, DOOR)), []),
        ({"after_s": 3}, ((0, BENCH), (6, BENCH), (8, DOOR), (12, DOOR)), [12.1]),
    ],
)
def test_what_stood_there_and_was_not_seen_to_move_away_was_removed(
    rule: dict[str, Any], stops: tuple[tuple[float, Place], ...], expected: list[float]
) -> None:
    told = said({"kind": "removed", **rule}, Walk(track_id=1, label="suitcase", stops=stops))
    assert told == [(at_s, 1, "removed") for at_s in expected]


def test_removed_comes_just_before_the_end_and_not_at_the_end_of_everything() -> None:
    rules = rules_of({"name": "it", "kind": "removed", "after_s": 5}, labels=("suitcase",))
    bag = Walk(track_id=1, label="suitcase", stops=stands(BENCH, 0, 6))
    other = Walk(track_id=2, label="suitcase", stops=stands(DOOR, 0, 20))
    events = [(event.track and event.track.id, *event.reason) for _, event in story(rules, [bag, other], 10).events]
    assert events == [
        (1, "appeared"),
        (2, "appeared"),
        (1, "stationary"),
        (2, "stationary"),
        (1, "removed"),
        (1, "disappeared"),
        (2, "removed"),
        (2, "disappeared"),
    ]
    still_there = rules_of({"name": "it", "kind": "removed", "after_s": 5}, labels=("suitcase",))
    by_rule(still_there, (track_of(1, label="suitcase", seen_s=0.0),), 0.0)
    by_rule(still_there, (track_of(1, label="suitcase", seen_s=9.0),), 9.0)
    last = still_there.finish(frame_of(10.0, size=SIZE))
    assert [one.reason for one in last if isinstance(one, Event)] == [("disappeared",)]


# All of them


@pytest.mark.parametrize(
    "rule",
    [
        {"kind": "still"},
        {"kind": "still", "after_s": 0},
        {"kind": "removed"},
        {"kind": "left_behind", "after_s": 5},
        {"kind": "left_behind", "after_s": 5, "labels": []},
        {"kind": "left_behind", "after_s": 5, "labels": ["suitcase"], "people": []},
        {"kind": "left_behind", "after_s": 5, "labels": ["suitcase"], "near": 1.1},
        {"kind": "speed"},
        {"kind": "speed", "over_kmh": 0},
    ],
)
def test_a_rule_that_lacks_what_it_needs_is_refused(rule: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        rules_of({"name": "it", **rule})


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"kind": "still", "after_s": 5}, ["label", "zone", "still_s", "said", "schedule", "cooldown_s"]),
        ({**BAG}, ["label", "zone", "alone_s", "said", "schedule", "cooldown_s"]),
    ],
)
def test_each_is_explained_by_the_conditions_that_it_decides_by(rule: dict[str, Any], expected: list[str]) -> None:
    noted: list[tuple[Condition, ...]] = []

    def note(_spoken: Spoken, _track: Track | None, conditions: tuple[Condition, ...]) -> None:
        noted.append(conditions)

    labels = ("suitcase",)
    bag = Walk(track_id=1, label="suitcase", stops=stands(BENCH))
    told = story(rules_of({"name": "it", **rule}, labels=labels, note=note), [bag]).by_rules()
    assert [[condition.name for condition in conditions] for conditions in noted] == [expected] * len(noted)
    assert sum(all(condition.holds for condition in conditions) for conditions in noted) == len(told) == 1
