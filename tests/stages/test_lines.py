"""Lines: who has crossed one, which way, and how often that is counted and said."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from builders import UTC_NS
from hypothesis import given
from hypothesis import strategies as st
from walks import Place, Walk, rules_of, story

from edge_agent import geometry
from edge_agent.records import Condition, Spoken, Track
from edge_agent.stages.rules.scene import Note

# Frames are 128 x 64, so x counts twice as much as y. A line from left to right in the middle of the picture:
MIDDLE: dict[str, Any] = {"from": [0.25, 0.5], "to": [0.75, 0.5]}


def crossings(line: dict[str, Any], *stops: tuple[float, Place], hidden: tuple[tuple[float, float], ...] = ()) -> Any:
    """When one object crosses a line, and which way."""
    told = story(rules_of(lines={"door": line}), [Walk(stops=stops, hidden=hidden)])
    return [(at_s, what) for at_s, _name, _object, what in told.by_rules()]


@pytest.mark.parametrize(
    ("point", "start", "end", "distance"),
    [
        ((3.0, 5.0), (0.0, 2.0), (9.0, 2.0), 3.0),  # below a line from left to right: to its right hand
        ((3.0, 1.0), (0.0, 2.0), (9.0, 2.0), -1.0),
        ((3.0, 1.0), (9.0, 2.0), (0.0, 2.0), 1.0),  # the other way round
        ((3.0, 2.0), (0.0, 2.0), (9.0, 2.0), 0.0),
        ((20.0, 5.0), (0.0, 2.0), (9.0, 2.0), 3.0),  # beside its end: the line is endless here
        ((0.0, 0.0), (0.0, 5.0), (5.0, 0.0), -(12.5**0.5)),  # 5 / sqrt(2) from a diagonal
    ],
)
def test_a_point_is_so_far_to_the_right_hand(
    point: geometry.Point, start: geometry.Point, end: geometry.Point, distance: float
) -> None:
    assert geometry.beyond(point, start, end) == pytest.approx(distance)


@pytest.mark.parametrize(
    ("x", "passes"),
    [(0.0, False), (0.99, False), (1.0, True), (2.0, True), (3.0, True), (3.01, False)],
)
def test_a_way_leads_between_two_posts_or_touches_one(x: float, *, passes: bool) -> None:
    assert geometry.passes_between((x, 0.0), (x, 2.0), (1.0, 1.0), (3.0, 1.0)) is passes
    assert geometry.passes_between((x, 2.0), (x, 0.0), (3.0, 1.0), (1.0, 1.0)) is passes


@pytest.mark.parametrize(
    ("stops", "expected"),
    [
        # Downwards at 0.25 of the height a second: at 0.51 after 1.04 s.
        ([(0, (0.5, 0.25)), (2, (0.5, 0.75))], [(1.1, "in")]),
        ([(0, (0.5, 0.75)), (2, (0.5, 0.25))], [(1.1, "out")]),
        ([(0, (0.1, 0.25)), (2, (0.9, 0.75))], [(1.1, "in")]),  # slanting, through its middle
        ([(0, (0.0, 0.25)), (2, (0.4, 0.75))], []),  # slanting, passes at 0.2, beside its end
        ([(0, (0.2, 0.25)), (2, (0.2, 0.75))], []),
        ([(0, (0.75, 0.25)), (2, (0.75, 0.75))], [(1.1, "in")]),  # just its end
        ([(0, (0.5, 0.25)), (1, (0.5, 0.505)), (2, (0.5, 0.25))], []),  # beyond it, but not by 0.01
        ([(0, (0.5, 0.495)), (2, (0.5, 0.75))], []),  # nobody has seen it surely above
        ([(0, (0.5, 0.25)), (2, (0.5, 0.4)), (4, (0.5, 0.25))], []),
        # In, out, and in once more: each way once. Down in 1 s: 0.26 / 0.5 = 0.52 s.
        (
            [(0, (0.5, 0.25)), (1, (0.5, 0.75)), (2, (0.5, 0.25)), (3, (0.5, 0.75))],
            [(0.6, "in"), (1.6, "out")],
        ),
        # Round its end to below it, then up through it.
        (
            [(0, (0.1, 0.25)), (1, (0.1, 0.75)), (2, (0.5, 0.75)), (3, (0.5, 0.25))],
            [(2.6, "out")],
        ),
        # Through it, along it within the hysteresis, and back beside its end: on the same side as before.
        (
            [(0, (0.6, 0.4)), (1, (0.6, 0.508)), (2, (0.9, 0.508)), (3, (0.9, 0.25))],
            [],
        ),
        # Wavering on it counts for nothing; at last it goes on: from 0.5 at 0.25 a second.
        (
            [(0, (0.5, 0.25)), (1, (0.5, 0.505)), (2, (0.5, 0.495)), (3, (0.5, 0.5)), (4, (0.5, 0.75))],
            [(3.1, "in")],
        ),
    ],
)
def test_a_line_is_crossed_between_its_ends_from_surely_before_to_surely_behind(
    stops: list[tuple[float, Place]], expected: list[tuple[float, str]]
) -> None:
    assert crossings(MIDDLE, *stops) == expected


def test_hysteresis_is_a_part_of_the_pictures_height_across_the_line_whatever_its_direction() -> None:
    # Across a vertical line 0.05 of the height is 0.025 of the width: 0.1 a second from 0.4 is at 0.525 after 1.25 s.
    # Who walks down along it has the left of the picture at their right hand.
    line = {"from": [0.5, 0.25], "to": [0.5, 0.75], "hysteresis": 0.05}
    assert crossings(line, (0, (0.4, 0.5)), (2, (0.6, 0.5))) == [(1.3, "out")]
    assert crossings(line, (0, (0.6, 0.5)), (2, (0.4, 0.5))) == [(1.3, "in")]


@pytest.mark.parametrize(
    ("anchor", "at_s"),
    [("bottom", 1.1), ("centre", 1.6), ("top", 2.1)],  # boxes are a quarter high: 0.26, 0.385 and 0.51 at 0.25 a second
)
def test_what_crosses_is_the_anchor(anchor: str, at_s: float) -> None:
    assert crossings({**MIDDLE, "anchor": anchor}, (0, (0.5, 0.25)), (3, (0.5, 1.0))) == [(at_s, "in")]


def test_who_is_not_seen_while_crossing_has_crossed_when_seen_again() -> None:
    assert crossings(MIDDLE, (0, (0.5, 0.25)), (2, (0.5, 0.75)), hidden=((0.75, 1.45),)) == [(1.5, "in")]


def test_who_is_not_seen_has_crossed_nothing_yet() -> None:
    assert crossings(MIDDLE, (0, (0.5, 0.25)), (2, (0.5, 0.75)), hidden=((0.75, 9.0),)) == []


def test_what_crossed_before_it_was_confirmed_is_said_right_after_its_new() -> None:
    # Down in 0.2 s, confirmed after 0.4 s.
    told = story(
        rules_of(lines={"door": MIDDLE}), [Walk(stops=((0, (0.5, 0.25)), (0.2, (0.5, 0.75)), (1, (0.5, 0.9))))]
    )
    assert [(round(at_s, 3), event.reason) for at_s, event in told.events] == [
        (0.4, ("appeared",)),
        (0.4, ("line_crossed",)),
        (1.1, ("disappeared",)),
    ]
    assert told.counts["door", "person", "in"] == 1


def test_what_was_never_confirmed_never_crossed() -> None:
    told = story(rules_of(lines={"door": MIDDLE}), [Walk(stops=((0, (0.5, 0.25)), (0.2, (0.5, 0.75))))])
    assert (told.events, told.counts["door", "person", "in"]) == ([], 0)


def test_crossings_are_counted_by_label_and_direction_from_zero() -> None:
    rules = rules_of(lines={"door": MIDDLE, "cars": {**MIDDLE, "labels": ["car"]}}, labels=("person", "car"))
    assert [(one.line, one.label, one.direction, one.value) for one in rules.begin()[2:]] == [  # type: ignore[union-attr]
        ("door", "person", "in", 0), ("door", "person", "out", 0), ("door", "car", "in", 0), ("door", "car", "out", 0),
        ("cars", "car", "in", 0), ("cars", "car", "out", 0),
    ]  # fmt: skip
    down, up = ((0, (0.5, 0.25)), (2, (0.5, 0.75))), ((0, (0.4, 0.75)), (2, (0.4, 0.25)))
    walks = [Walk(track_id=1, stops=down), Walk(track_id=2, stops=down), Walk(track_id=3, stops=up, label="car")]
    told = story(rules, walks)
    assert told.counts == {("door", "person", "in"): 2, ("door", "car", "out"): 1, ("cars", "car", "out"): 1}
    assert [what[1:] for what in told.by_rules()] == [
        ("door", 1, "in"), ("door", 2, "in"), ("door", 3, "out"), ("cars", 3, "out"),
    ]  # fmt: skip


def test_counts_go_on_after_everything_has_ended() -> None:
    rules, down = rules_of(lines={"door": MIDDLE}), ((0.0, (0.5, 0.25)), (2.0, (0.5, 0.75)))
    story(rules, [Walk(track_id=1, stops=down)])
    assert story(rules, [Walk(track_id=2, stops=down)]).counts == {("door", "person", "in"): 2}


def test_its_cooldown_silences_a_line_but_it_counts_on() -> None:
    walks = [
        Walk(track_id=i, stops=((start_s, (0.5, 0.25)), (start_s + 2, (0.5, 0.75))))
        for i, start_s in ((1, 0.0), (2, 1.0), (3, 3.0))
    ]
    told = story(rules_of(lines={"door": {**MIDDLE, "cooldown_s": 2.5}}), walks)
    assert told.by_rules() == [(1.1, "door", 1, "in"), (4.1, "door", 3, "in")]  # not at 2.1 s
    assert told.counts["door", "person", "in"] == 3


def test_outside_its_schedule_a_line_neither_speaks_nor_counts() -> None:
    walks = [
        Walk(track_id=i, stops=((start_s, (0.5, 0.25)), (start_s + 2, (0.5, 0.75))))
        for i, start_s in ((1, 0.0), (2, 2.0))
    ]
    rules = rules_of(lines={"door": MIDDLE}, schedules={"door": lambda utc_ns: utc_ns >= UTC_NS + 2_000_000_000})
    told = story(rules, walks)
    assert told.by_rules() == [(3.1, "door", 2, "in")]
    assert told.counts["door", "person", "in"] == 1


def test_the_conditions_tell_what_was_missing() -> None:
    told: list[tuple[Spoken, Track | None, tuple[Condition, ...]]] = []
    note: Note = lambda *one: told.append(one)  # noqa: E731  (the arguments are those of a note)
    story(rules_of(lines={"door": MIDDLE}, note=note), [Walk(stops=((0, (0.1, 0.25)), (2, (0.1, 0.75))))])
    # At 1.1 s, beside the line's end: y is 0.525.
    way_in = [conditions for spoken, _, conditions in told if spoken.direction == "in"][11 - 4]
    assert {one.name: (round(one.value, 3), one.wanted, one.holds) for one in way_in} == {
        "label": (1, 1, True),
        "came_from": (1, 1, True),
        "through": (0, 1, False),
        "beyond": (0.025, 0.01, True),
        "said": (0, 0, True),
        "schedule": (1, 1, True),
        "cooldown_s": (0, 0, True),
    }


# Symmetry. All places are multiples of 1/64, so that mirrored arithmetic is exact.
places = st.tuples(st.integers(4, 60), st.integers(16, 60)).map(lambda xy: (xy[0] / 64, xy[1] / 64))
paths = st.lists(places, min_size=2, max_size=12)
ends = st.tuples(places, places).filter(lambda two: two[0] != two[1])
OTHER_WAY = {"in": "out", "out": "in"}


def told_of(path: list[Place], line: dict[str, Any]) -> list[tuple[float, str]]:
    """One object that is seen at each place of a path, four times a second."""
    told = story(rules_of(lines={"door": line}), [walk_of(path)], rate_hz=4)
    return [(at_s, what) for at_s, _name, _object, what in told.by_rules()]


def walk_of(path: list[Place]) -> Walk:
    return Walk(stops=tuple((i / 4, place) for i, place in enumerate(path)))


@given(paths, ends)
def test_a_line_with_its_ends_swapped_says_out_for_in(path: list[Place], line: tuple[Place, Place]) -> None:
    one = told_of(path, {"from": line[0], "to": line[1]})
    other = told_of(path, {"from": line[1], "to": line[0]})
    assert [(at_s, OTHER_WAY[way]) for at_s, way in other] == one


@given(paths, ends)
def test_a_mirrored_picture_says_out_for_in(path: list[Place], line: tuple[Place, Place]) -> None:
    one = told_of(path, {"from": line[0], "to": line[1]})
    mirrored = [(1 - x, y) for x, y in line]
    other = told_of([(1 - x, y) for x, y in path], {"from": mirrored[0], "to": mirrored[1]})
    assert [(at_s, OTHER_WAY[way]) for at_s, way in other] == one


@given(st.lists(paths, min_size=1, max_size=3), ends)
def test_each_object_crosses_at_most_once_in_each_direction_and_all_are_counted(
    several: list[list[Place]], line: tuple[Place, Place]
) -> None:
    walks = [Walk(track_id=i + 1, stops=walk_of(path).stops) for i, path in enumerate(several)]
    told = story(rules_of(lines={"door": {"from": line[0], "to": line[1]}}), walks, rate_hz=4)
    said = [what[1:] for what in told.by_rules()]
    assert len(set(said)) == len(said)
    for way in ("in", "out"):
        assert told.counts["door", "person", way] == sum(what[2] == way for what in said)


@given(paths, st.integers(17, 59))
def test_where_nobody_can_go_round_in_and_out_follow_from_the_sides_alone(path: list[Place], height: int) -> None:
    y = height / 64
    told = told_of(path, {"from": [0, y], "to": [1, y], "hysteresis": 0.001})
    below = [place[1] > y for place in path if place[1] != y]
    ways = ["in" if after else "out" for before, after in pairwise(below) if before != after]
    # Whoever goes in twice has gone out in between; each is said once. A path of one step is never confirmed.
    assert [way for _, way in told] == (list(dict.fromkeys(ways)) if len(path) > 2 else [])
