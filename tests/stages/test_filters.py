"""Box filters: each condition by hand, its bound included, what was taken counted, and the same answer explained."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from builders import boxes_of, detections_of, frame_of, joined
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.records import Box, Detections
from edge_agent.stages.detect.filters import Filters, FilterSettings

FRAME = frame_of(size=(200, 100))
"""20,000 pixels; a box of 20 x 50 takes up 0.05 of it, is half as high, and 0.4 times as wide as high."""

BOX: Box = (90.0, 40.0, 110.0, 90.0)  # stands at (0.5, 0.9)
LEFT_HALF = ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0))
RIGHT_HALF = ((0.5, 0.0), (1.0, 0.0), (1.0, 1.0), (0.5, 1.0))


def filters(label: str = "person", **settings: Any) -> Filters:
    return Filters({label: FilterSettings(**settings)})


@pytest.mark.parametrize(
    ("name", "passing", "failing", "value"),
    [
        ("min_area", 0.05, 0.051, 0.05),
        ("max_area", 0.05, 0.049, 0.05),
        ("min_height", 0.5, 0.51, 0.5),
        ("max_height", 0.5, 0.49, 0.5),
        ("min_ratio", 0.4, 0.41, 0.4),  # in pixels: as parts of the picture it is 0.1 wide, 0.5 high
        ("max_ratio", 0.4, 0.39, 0.4),
        ("within", [RIGHT_HALF], [LEFT_HALF], None),  # a shared edge belongs to one of them
        ("without", [LEFT_HALF], [RIGHT_HALF], None),
    ],
)
def test_a_box_that_just_meets_a_condition_stays_and_one_that_does_not_is_gone_and_counted(
    name: str, passing: Any, failing: Any, value: float | None
) -> None:
    found = detections_of(BOX)
    kept, gone = filters(**{name: passing}), filters(**{name: failing})
    assert len(kept.sift(found, FRAME)) == 1
    assert len(gone.sift(found, FRAME)) == 0
    assert kept.taken == {"person": {name: 0}}
    assert gone.taken == {"person": {name: 1}}
    [[met]], [[unmet]] = kept.explain(found, FRAME), gone.explain(found, FRAME)
    assert (met.name, met.holds, unmet.name, unmet.holds) == (name, True, name, False)
    if value is None:
        assert (met.value, unmet.value) == ((1, 0) if name == "within" else (0, 1))
        assert met.wanted == unmet.wanted == (1 if name == "within" else 0)
    else:
        assert met.value == unmet.value == pytest.approx(value)
        assert (met.wanted, unmet.wanted) == (passing, failing)


def test_a_box_is_counted_once_for_the_first_condition_that_it_does_not_meet() -> None:
    small, wide = (0.0, 0.0, 4.0, 8.0), (50.0, 50.0, 150.0, 90.0)  # 0.0016 and 0.2 of the picture; ratios 0.5 and 2.5
    sifting = filters(min_area=0.01, min_height=0.2, max_ratio=1.0)
    assert sifting.sift(detections_of(small, wide, BOX), FRAME).boxes.tolist() == [list(BOX)]
    assert sifting.taken == {"person": {"min_area": 1, "min_height": 0, "max_ratio": 1}}
    sifting.sift(detections_of(small), FRAME)
    assert sifting.taken == {"person": {"min_area": 2, "min_height": 0, "max_ratio": 1}}
    told = sifting.explain(detections_of(small, wide), FRAME)
    assert [[one.holds for one in conditions] for conditions in told] == [[False, False, True], [True, True, False]]
    assert sifting.taken["person"]["min_area"] == 2  # who asks counts nothing


def test_a_condition_is_for_its_label_only() -> None:
    found = joined([detections_of(BOX, label="car"), detections_of(BOX), detections_of(BOX, label="car", strong=False)])
    sifting = filters("car", min_height=0.9)
    left = sifting.sift(found, FRAME)
    assert left.label_ids.tolist() == [0]
    assert sifting.taken == {"car": {"min_height": 2}}  # a weak box, too
    assert [len(conditions) for conditions in sifting.explain(found, FRAME)] == [1, 0, 1]


@pytest.mark.parametrize("found", [Detections.empty(), detections_of(), detections_of(BOX, label="car")])
def test_where_there_is_nothing_to_ask_what_was_found_is_handed_on_as_it_is(found: Detections) -> None:
    assert filters(min_height=0.9).sift(found, FRAME) is found


def test_a_filter_that_asks_nothing_takes_nothing_and_shows_no_counts() -> None:
    found = detections_of(BOX, (0.0, 0.0, 200.0, 100.0), (0.0, 0.0, 0.0, 0.0))
    sifting = filters()
    assert sifting.sift(found, FRAME) is found
    assert (sifting.taken, sifting.explain(found, FRAME)) == ({}, [(), (), ()])


def test_a_box_that_the_lower_edge_cuts_off_stands_on_that_edge() -> None:
    cut = (90.0, 60.0, 110.0, 100.0)
    assert len(filters(within=[LEFT_HALF, RIGHT_HALF]).sift(detections_of(cut), FRAME)) == 1
    assert len(filters(without=[LEFT_HALF, RIGHT_HALF]).sift(detections_of(cut), FRAME)) == 0


def test_it_stands_where_one_of_several_polygons_is() -> None:
    boxes = [(float(left), 0.0, left + 10.0, 50.0) for left in (5, 45, 85)]  # at x = 0.05, 0.25, 0.45
    strips = [((x, 0.0), (x + 0.1, 0.0), (x + 0.1, 1.0), (x, 1.0)) for x in (0.0, 0.2)]
    assert filters(within=strips).sift(detections_of(*boxes), FRAME).boxes[:, 0].tolist() == [5.0, 45.0]
    assert filters(without=strips).sift(detections_of(*boxes), FRAME).boxes[:, 0].tolist() == [85.0]


parts = st.integers(0, 20).map(lambda twentieth: twentieth / 20)
rectangles = st.tuples(parts, parts, parts, parts).map(
    lambda r: (min(r[0], r[2]) * 200, min(r[1], r[3]) * 100, max(r[0], r[2]) * 200, max(r[1], r[3]) * 100)
)
asked = st.fixed_dictionaries(
    {},
    optional={
        "min_area": parts,
        "max_area": parts.filter(bool),
        "min_height": parts,
        "max_height": parts.filter(bool),
        "min_ratio": parts,
        "max_ratio": parts.filter(bool),
        "within": st.just([LEFT_HALF]),
        "without": st.just([RIGHT_HALF]),
    },
)


@given(people=st.lists(rectangles, max_size=6), cars=st.lists(rectangles, max_size=3), person=asked, car=asked)
def test_what_stays_is_what_meets_all_that_is_explained_and_the_rest_is_counted(
    people: list[Box], cars: list[Box], person: dict[str, Any], car: dict[str, Any]
) -> None:
    sifting = Filters({"person": FilterSettings(**person), "car": FilterSettings(**car)})
    found = joined([detections_of(*people), detections_of(*cars, label="car")])
    meets = np.array([all(one.holds for one in told) for told in sifting.explain(found, FRAME)], np.bool_)
    left = sifting.sift(found, FRAME)
    np.testing.assert_array_equal(left.boxes, found.boxes[meets])
    np.testing.assert_array_equal(left.label_ids, found.label_ids[meets])
    assert sum(sum(counts.values()) for counts in sifting.taken.values()) == len(found) - len(left)
    assert sifting.sift(left, FRAME) is left


def test_scores_and_strength_stay_with_their_boxes() -> None:
    found = joined([detections_of((0.0, 0.0, 4.0, 8.0)), detections_of(BOX, score=0.3, strong=False)])
    left = filters(min_height=0.2).sift(found, FRAME)
    np.testing.assert_array_equal(left.boxes, boxes_of(BOX))
    assert left.scores.tolist() == pytest.approx([0.3])
    assert (left.strong.tolist(), left.label_names) == ([False], found.label_names)
