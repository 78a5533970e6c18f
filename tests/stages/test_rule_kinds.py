"""Each kind of rule: of which object, when, and how often it speaks."""

from __future__ import annotations

from typing import Any

import pytest
from builders import UTC_NS
from walks import Place, Walk, rules_of, story

from edge_agent.records import Condition, Spoken, Track
from edge_agent.stages.rules.scene import IsOpen

LEFT, RIGHT = (0.25, 0.75), (0.75, 0.75)
ZONES: dict[str, Any] = {
    "left": {"polygon": [[0, 0], [0.5, 0], [0.5, 1], [0, 1]], "inertia_s": 0.49},
    "right": {"polygon": [[0.5, 0], [1, 0], [1, 1], [0.5, 1]], "inertia_s": 0, "labels": ["person"]},
}
# From the middle of one half to that of the other in a second: half a second later it is in the other half.
THERE_AND_BACK: tuple[tuple[float, Place], ...] = (
    (0, RIGHT),
    (2, RIGHT),
    (3, LEFT),
    (7, LEFT),
    (8, RIGHT),
    (10, RIGHT),
)


def said(rule: dict[str, Any], *walks: Walk, **more: Any) -> list[tuple[Any, ...]]:
    """When a rule that is named `it` said what of which object."""
    told = story(rules_of({"name": "it", **rule}, zones=ZONES, labels=("person", "car"), **more), walks)
    return [(at_s, track_id, what) for at_s, _name, track_id, what in told.by_rules()]


def hours(*spans: tuple[float, float]) -> dict[str, IsOpen]:
    """A schedule of the rule, in seconds of the story."""
    return {"it": lambda utc_ns: any(begin <= (utc_ns - UTC_NS) / 1e9 < end for begin, end in spans)}


# Zone


def test_entering_a_zone_is_said_with_the_update_of_the_object_after_it() -> None:
    rule = {"name": "it", "kind": "zone", "zone": "left"}
    told = story(rules_of(rule, zones=ZONES), [Walk(stops=THERE_AND_BACK)])
    # In the left half from 2.5 s, and again in the right one from 7.5 s; half a second of inertia. The picture's middle
    # belongs to the right half.
    assert [(round(at_s, 3), event.reason, event.rule and event.rule.name) for at_s, event in told.events] == [
        (0.4, ("appeared", "zone_entered"), None),
        (1.0, ("stationary",), None),
        (2.1, ("moving",), None),
        (2.6, ("zone_left",), None),
        (3.1, ("zone_entered",), None),
        (3.1, ("zone_entered",), "it"),
        (4.0, ("stationary",), None),
        (7.1, ("moving",), None),
        (7.5, ("zone_entered",), None),
        (8.0, ("zone_left",), None),
        (9.0, ("stationary",), None),
        (10.1, ("disappeared",), None),
    ]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"zone": "left"}, [(3.1, 1, "zone_entered")]),
        ({"zone": "left", "on": "leave"}, [(8.0, 1, "zone_left")]),
        # It has entered the zone that it appears in, with its `new`; where it disappears it has not left.
        ({"zone": "right"}, [(0.4, 1, "zone_entered"), (7.5, 1, "zone_entered")]),
        ({"zone": "right", "on": "leave"}, [(2.6, 1, "zone_left")]),
        ({"zone": "right", "labels": ["car"]}, []),
        ({"zone": "right", "cooldown_s": 7.05}, [(0.4, 1, "zone_entered"), (7.5, 1, "zone_entered")]),
        (
            {"zone": "right", "cooldown_s": 7.15},
            [(0.4, 1, "zone_entered")],
        ),  # 7.1 s later: too soon, and then it is over
    ],
)
def test_a_zone_rule_speaks_of_who_enters_or_leaves(rule: dict[str, Any], expected: list[Any]) -> None:
    assert said({"kind": "zone", **rule}, Walk(stops=THERE_AND_BACK)) == expected


def test_entering_while_the_schedule_is_closed_is_not_made_up_for() -> None:
    rule = {"kind": "zone", "zone": "left"}
    assert said(rule, Walk(stops=THERE_AND_BACK), schedules=hours((0, 3), (4, 99))) == []
    assert said(rule, Walk(stops=THERE_AND_BACK), schedules=hours((3, 4))) == [(3.1, 1, "zone_entered")]


# Dwell


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        # There from 2.6 s (the first look in it), inertia included, until 7.5 s.
        ({"zone": "left", "after_s": 2.99}, [(5.6, 1, "dwell")]),
        ({"zone": "left", "after_s": 5.5}, []),
        # In view from the beginning.
        ({"after_s": 8.99}, [(9.0, 1, "dwell")]),
        # Appeared in it, and came back into it at 7.5 s: each stay by itself.
        ({"zone": "right", "after_s": 0.99}, [(1.0, 1, "dwell"), (8.5, 1, "dwell")]),
        ({"zone": "right", "after_s": 0.99, "cooldown_s": 8.99}, [(1.0, 1, "dwell"), (10.0, 1, "dwell")]),
        ({"zone": "right", "after_s": 0.99, "cooldown_s": 20}, [(1.0, 1, "dwell")]),
        ({"zone": "right", "after_s": 0.99, "labels": ["car"]}, []),
    ],
)
def test_dwelling_is_said_once_a_stay(rule: dict[str, Any], expected: list[Any]) -> None:
    assert said({"kind": "dwell", **rule}, Walk(stops=THERE_AND_BACK)) == expected


def test_dwelling_that_lasts_when_the_schedule_opens_is_said_then_and_not_again_the_next_day() -> None:
    rule = {"kind": "dwell", "zone": "left", "after_s": 1}
    stays = Walk(stops=((0, LEFT), (10, LEFT)))
    assert said(rule, stays, schedules=hours((3, 4), (6, 7))) == [(3.0, 1, "dwell")]


def test_dwelling_of_one_object_is_silent_in_the_cooldown_of_another() -> None:
    rule = {"kind": "dwell", "zone": "left", "after_s": 1.99, "cooldown_s": 1.49}
    walks = [Walk(track_id=1, stops=((0, LEFT), (9, LEFT))), Walk(track_id=2, stops=((0.5, LEFT), (9, LEFT)))]
    # The second would speak at 2.5 s, in the cooldown; it lasts, so it speaks when that is over.
    assert said(rule, *walks) == [(2.0, 1, "dwell"), (3.5, 2, "dwell")]


def test_who_is_missed_does_not_dwell_on() -> None:
    rule = {"kind": "dwell", "zone": "left", "after_s": 3}
    assert said(rule, Walk(stops=((0, LEFT), (9, LEFT)), hidden=((2, 99),))) == []
    assert said(rule, Walk(stops=((0, LEFT), (9, LEFT)), hidden=((2, 5),))) == [(5.0, 1, "dwell")]


# Occupancy

SHORT = ((1.0, LEFT), (4.0, LEFT))


def occupied(rule: dict[str, Any], *walks: Walk, **more: Any) -> list[tuple[Any, ...]]:
    return [(at_s, what) for at_s, _, what in said({"kind": "occupancy", "for_s": 0.99, **rule}, *walks, **more)]


def test_occupancy_is_said_when_it_has_been_reached_for_so_long_and_when_it_is_over_for_so_long() -> None:
    one, two = Walk(track_id=1, stops=((0, LEFT), (8, LEFT))), Walk(track_id=2, stops=SHORT)
    # The second is confirmed at 1.4 s and has ended at 4.1 s.
    assert occupied({"at_least": 2}, one, two) == [(2.4, (2, True)), (5.1, (1, False))]
    assert occupied({"at_least": 3}, one, two) == []
    assert occupied({"at_least": 2, "for_s": 0}, one, two) == [(1.4, (2, True)), (4.1, (1, False))]
    assert occupied({"at_least": 2, "for_s": 3}, one, two) == []  # for 2.7 s only
    assert occupied({"at_least": 2, "labels": ["car"]}, one, two) == []
    assert occupied({"at_least": 2, "zone": "left"}, one, two) == [(2.4, (2, True)), (5.1, (1, False))]
    assert occupied({"at_least": 2, "zone": "right"}, one, two) == []


def test_an_occupancy_has_no_object_and_tells_since_when() -> None:
    rule = {"name": "it", "kind": "occupancy", "at_least": 1, "for_s": 0.99}
    told = story(rules_of(rule), [Walk(stops=SHORT)], until_s=8)
    events = [(round(at_s, 3), event) for at_s, event in told.events if event.rule]
    assert [(at_s, event.event_type, event.reason, event.track, event.since_s) for at_s, event in events] == [
        (2.4, "update", ("count_changed",), None, pytest.approx(1.4)),
        (5.1, "update", ("count_changed",), None, pytest.approx(4.1)),
    ]


def test_brief_changes_are_no_occupancy() -> None:
    # A third of a second without anybody, and a third of a second with two.
    walks = [
        Walk(track_id=1, stops=((0, LEFT), (3, LEFT))),
        Walk(track_id=2, stops=((2.8, LEFT), (3.5, LEFT))),
        Walk(track_id=3, stops=((3.4, LEFT), (7, LEFT))),
    ]
    assert occupied({"at_least": 1}, *walks) == [(1.4, (1, True)), (7.5, (0, False))]  # the end of the story
    assert occupied({"at_least": 2}, *walks) == []


def test_an_occupancy_is_over_when_its_schedule_closes_and_begins_when_it_opens() -> None:
    stays = Walk(stops=((0, LEFT), (9, LEFT)))
    assert occupied({"at_least": 1}, stays, schedules=hours((3, 5), (7, 99))) == [
        (3.0, (1, True)), (5.0, (1, False)), (7.0, (1, True)), (9.5, (0, False)),
    ]  # fmt: skip


def test_an_occupancy_that_was_said_is_said_to_be_over_whatever_the_cooldown() -> None:
    walks = [Walk(track_id=i, stops=((4.0 * i, LEFT), (4.0 * i + 2, LEFT))) for i in range(3)]
    # Confirmed after 0.4 s, for 1 s then; gone after 2.1 s, for 1 s then. The second is in the cooldown throughout.
    assert occupied({"at_least": 1, "cooldown_s": 5}, *walks) == [
        (1.4, (1, True)), (3.1, (0, False)), (9.4, (1, True)), (10.5, (0, False)),
    ]  # fmt: skip
    # It counts from becoming active: over at 4.9 s, before the second is there for a second at 5.4 s.
    assert occupied({"at_least": 1, "cooldown_s": 3.5}, *walks)[2:4] == [(5.4, (1, True)), (7.1, (0, False))]


# All of them


def test_rules_speak_in_the_order_of_the_configuration_after_what_happens_to_objects() -> None:
    rules = rules_of(
        {"name": "c", "kind": "dwell", "after_s": 0.1},
        {"name": "b", "kind": "occupancy", "at_least": 1, "for_s": 0},
        {"name": "a", "kind": "zone", "zone": "left"},
        zones=ZONES,
    )
    told = story(rules, [Walk(stops=((0, LEFT), (0.9, LEFT)))])
    assert [event.rule and event.rule.name for _, event in told.events] == [None, "c", "b", "a", None, "b"]
    assert [event.seq for _, event in told.events] == [0, 1, 2, 3, 4, 5]


def test_a_rule_speaks_of_nobody_who_is_not_confirmed() -> None:
    rules = rules_of({"name": "it", "kind": "dwell", "after_s": 0.1}, {"name": "b", "kind": "occupancy", "at_least": 1})
    assert story(rules, [Walk(stops=((0, LEFT), (0.3, LEFT)))]).events == []


def test_the_conditions_tell_what_was_missing_and_all_hold_when_a_rule_speaks() -> None:
    told: list[tuple[Spoken, Track | None, tuple[Condition, ...]]] = []

    def note(*one: Any) -> None:
        told.append(one)

    rules = (
        {"name": "d", "kind": "dwell", "zone": "left", "after_s": 2.99, "cooldown_s": 60},
        {"name": "o", "kind": "occupancy", "at_least": 1, "for_s": 0.99},
    )
    quiet = story(rules_of(*rules, zones=ZONES), [Walk(stops=THERE_AND_BACK)])
    heard = story(rules_of(*rules, zones=ZONES, note=note), [Walk(stops=THERE_AND_BACK)])
    assert heard == quiet  # listening changes nothing
    spoken = [(one, track and track.id) for one, track, conditions in told if all(each.holds for each in conditions)]
    assert spoken == [(event.rule, event.track and event.track.id) for _, event in heard.events if event.rule]
    dwells = [conditions for one, _, conditions in told if one.name == "d"]
    assert [(one.name, one.wanted) for one in dwells[0]] == [
        ("label", 1), ("zone", 1), ("dwelt_s", 2.99), ("said", 0), ("schedule", 1), ("cooldown_s", 0),
    ]  # fmt: skip
    last = {one.name: round(one.value, 3) for one in dwells[-1]}
    assert last == {
        "label": 1,
        "zone": 0,
        "dwelt_s": 0,
        "said": 0,
        "schedule": 1,
        "cooldown_s": 55.6,
    }  # 60 - (10 - 5.6)
