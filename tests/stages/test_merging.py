"""Several looks become one: no thing twice, no two things one."""

from __future__ import annotations

import numpy as np
import pytest
from builders import boxes_of
from hypothesis import given
from hypothesis import strategies as st

from edge_agent import geometry
from edge_agent.records import Box
from edge_agent.stages.detect.head import Candidates
from edge_agent.stages.detect.merging import Seen, merge
from edge_agent.stages.detect.parts import Part

One = tuple[Box, float, int]
WHOLE = Part(left=0, top=0, width=640, height=360)
MAX_IOU = 0.5

A: Box = (100, 100, 120, 150)
A_AGAIN: Box = (101, 101, 121, 151)  # 19 x 49 = 931 of 1069: 0.87
BESIDE: Box = (106, 100, 126, 150)  # 14 x 50 = 700 of 1300: 0.54
BESIDE_AGAIN: Box = (107, 101, 127, 151)  # 0.87 to BESIDE, and 13 x 49 = 637 of 1363 to A: 0.47
FAR: Box = (300, 100, 320, 150)


def seen(*found: One, part: Part = WHOLE, scale: float = 1.0) -> Seen:
    """A look that found these."""
    candidates = Candidates(
        boxes=boxes_of(*(box for box, _, _ in found)),
        scores=np.array([score for _, score, _ in found], np.float32),
        label_ids=np.array([label_id for _, _, label_id in found], np.int64),
    )
    return Seen(part=part, scale=scale, found=candidates)


def merged(*looks: Seen, suppresses: bool = True, most: int = 300) -> list[tuple[Box, float, int]]:
    """What is left, the best first."""
    found = merge(looks, MAX_IOU, suppresses=suppresses, most=most)
    scores = [round(score, 4) for score in found.scores.tolist()]
    boxes = [(left, top, right, bottom) for left, top, right, bottom in found.boxes.tolist()]
    return list(zip(boxes, scores, found.label_ids.tolist(), strict=True))


@pytest.mark.parametrize(
    ("one", "other", "left"),
    [
        ([], [], []),
        ([(A, 0.5, 0)], [], [(A, 0.5, 0)]),
        ([(A, 0.5, 0)], [(A_AGAIN, 0.75, 0)], [(A_AGAIN, 0.75, 0)]),  # the better one stays
        ([(A, 0.5, 0)], [(A_AGAIN, 0.75, 1)], [(A_AGAIN, 0.75, 1), (A, 0.5, 0)]),  # a dog on a person's arm
        ([(A, 0.5, 0)], [(FAR, 0.75, 0)], [(FAR, 0.75, 0), (A, 0.5, 0)]),
        ([(A, 0.75, 0)], [(BESIDE_AGAIN, 0.5, 0)], [(A, 0.75, 0), (BESIDE_AGAIN, 0.5, 0)]),  # two persons
    ],
)
def test_of_boxes_of_one_thing_the_best_stays(one: list[One], other: list[One], left: list[One]) -> None:
    assert merged(seen(*one), seen(*other)) == left


def test_a_model_that_finds_each_thing_once_keeps_those_that_stand_close_together() -> None:
    one = seen((A, 0.9375, 0), (BESIDE, 0.875, 0))
    other = seen((A_AGAIN, 0.75, 0), (BESIDE_AGAIN, 0.8125, 0))
    assert merged(one, other, suppresses=False) == [(A, 0.9375, 0), (BESIDE, 0.875, 0)]
    assert merged(one, other) == [(A, 0.9375, 0), (BESIDE_AGAIN, 0.8125, 0)]  # BESIDE is one with A


def test_what_one_look_missed_is_not_taken_for_its_neighbour() -> None:
    one = seen((A, 0.9375, 0), (BESIDE, 0.875, 0))
    for again in (BESIDE_AGAIN, BESIDE):
        assert len(merged(one, seen((again, 0.75, 0)), suppresses=False)) == 2


PAIR: Box = (98, 98, 128, 152)  # 30 x 54, around A and BESIDE: A is 1000 of its 1620


@pytest.mark.parametrize(
    ("coarse", "fine", "left"),
    [
        # Two that stand together, which the whole shows as one, and surer.
        ([(PAIR, 0.875, 0)], [(A, 0.75, 0), (BESIDE_AGAIN, 0.5, 0)], [(A, 0.75, 0), (BESIDE_AGAIN, 0.5, 0)]),
        ([(PAIR, 0.875, 0)], [(A, 0.25, 0)], [(PAIR, 0.875, 0)]),  # the closer look is in doubt
        ([(PAIR, 0.875, 0)], [(A, 0.75, 1)], [(PAIR, 0.875, 0), (A, 0.75, 1)]),
        ([(PAIR, 0.875, 0)], [(FAR, 0.75, 0)], [(PAIR, 0.875, 0), (FAR, 0.75, 0)]),
        ([(PAIR, 0.875, 0)], [], [(PAIR, 0.875, 0)]),
    ],
)
def test_what_is_shown_clearly_larger_takes_the_place_of_what_is_not(
    coarse: list[One], fine: list[One], left: list[One]
) -> None:
    part = Part(left=90, top=90, width=300, height=100)
    assert merged(seen(*coarse, scale=4.0), seen(*fine, part=part, scale=2.0)) == left
    assert merged(seen(*coarse, scale=4.0), seen(*fine, part=part, scale=3.5))[0] == (*coarse[0],)  # hardly larger
    elsewhere = Part(left=100, top=90, width=300, height=100)  # shows only some of what is in the whole's box
    assert merged(seen(*coarse, scale=4.0), seen(*fine, part=elsewhere, scale=2.0))[0] == (*coarse[0],)


def test_what_has_given_way_itself_takes_no_other_away() -> None:
    sure, middle, closest = (0, 0, 100, 200), (0, 70, 100, 270), (0, 250, 20, 270)
    looks = [seen((sure, 0.9, 0), scale=4.0), seen((middle, 0.5, 0), scale=2.0), seen((closest, 0.26, 0), scale=1.0)]
    assert [box for box, _, _ in merged(*looks[:2])] == [middle]
    assert [box for box, _, _ in merged(*looks[1:])] == [closest]
    assert [box for box, _, _ in merged(*looks)] == [sure, closest]


def test_what_is_closest_to_a_box_may_be_closer_to_another() -> None:
    one = seen((A, 0.9375, 0), (BESIDE, 0.875, 0))
    other = seen((BESIDE, 0.90625, 0))  # 0.54 to A, which has nothing closer there
    assert merged(one, other, suppresses=False) == [(A, 0.9375, 0), (BESIDE, 0.9062, 0)]


def test_a_closer_look_at_one_of_two_does_not_take_the_other_away_from_a_model_that_tells_them_apart() -> None:
    whole = seen((A, 0.75, 0), (BESIDE, 0.75, 0), scale=4.0)
    close = seen((A_AGAIN, 0.875, 0), scale=1.0)
    assert merged(whole, close, suppresses=False) == [(A_AGAIN, 0.875, 0), (BESIDE, 0.75, 0)]


def test_three_looks_at_one_thing_are_one() -> None:
    looks = [seen((A, score, 0)) for score in (0.5, 0.75, 0.625)]
    assert merged(*looks, suppresses=False) == merged(*looks) == [(A, 0.75, 0)]


def test_only_so_many_of_the_best_are_compared() -> None:
    assert merged(seen((A, 0.5, 0)), seen((FAR, 0.75, 0)), most=1) == [(FAR, 0.75, 0)]


COORDINATES = st.integers(0, 40).map(float)
BOXES = st.tuples(COORDINATES, COORDINATES, COORDINATES, COORDINATES).map(
    lambda sides: (sides[0], sides[1], sides[0] + sides[2] + 1, sides[1] + sides[3] + 1)
)
ONES = st.tuples(BOXES, st.sampled_from([0.25, 0.5, 0.75]), st.integers(0, 1))
LOOKS = st.lists(st.lists(ONES, max_size=6), min_size=2, max_size=4)
SCALED = st.lists(st.tuples(st.lists(ONES, max_size=6), st.sampled_from([1.0, 1.2, 2.0, 4.0])), min_size=2, max_size=4)


@given(SCALED, st.booleans(), st.randoms())
def test_the_order_of_looks_does_not_matter(
    looks: list[tuple[list[One], float]],
    suppresses: bool,  # noqa: FBT001
    random: object,
) -> None:
    shuffled = looks.copy()
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    one, other = (
        merged(*(seen(*found, scale=scale) for found, scale in order), suppresses=suppresses)
        for order in (looks, shuffled)
    )
    assert one == other


@given(SCALED)
def test_whatever_is_left_out_shares_its_place_with_something_that_is_left(
    looks: list[tuple[list[One], float]],
) -> None:
    left = merge([seen(*found, scale=scale) for found, scale in looks], MAX_IOU, suppresses=True, most=300)
    for box, _score, label_id in (one for found, _scale in looks for one in found):
        others = left.boxes[left.label_ids == label_id]
        assert (geometry.iou(boxes_of(box), others) > 0).any()


@given(SCALED)
def test_no_two_of_a_label_overlap_more_than_they_may(looks: list[tuple[list[One], float]]) -> None:
    found = merge([seen(*found, scale=scale) for found, scale in looks], MAX_IOU, suppresses=True, most=300)
    overlap = geometry.iou(found.boxes, found.boxes) * np.equal.outer(found.label_ids, found.label_ids)
    assert not (np.triu(overlap, 1) > MAX_IOU).any()


@given(LOOKS)
def test_what_is_left_out_is_one_with_something_better_that_is_left(looks: list[list[One]]) -> None:
    left = merged(*(seen(*look) for look in looks))
    for box, score, label_id in (one for look in looks for one in look):
        better = [other for other, at_least, its in left if its == label_id and at_least >= score]
        assert (box, score, label_id) in left or (geometry.iou(boxes_of(box), boxes_of(*better)) > MAX_IOU).any()
