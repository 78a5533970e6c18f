"""Looking closer: which parts of a frame, and whose turn it is when there are more than may be looked at."""

from __future__ import annotations

import numpy as np
import pytest
from builders import boxes_of, frame_of
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.records import Box
from edge_agent.stages.detect.parts import Canvas, Part, held
from edge_agent.stages.detect.zoom import MOST_SPOTS, fitting, parts_around

CANVAS = Canvas(width=640, height=360, least_width=64, least_height=36)
COARSEST = 10 / 1.5  # the whole is seen at 10 pixels to one


def parts(*spots: Box, since_s: tuple[float, ...] = (), most: int = 4) -> list[tuple[int, int, int, int]]:
    """Left, top, width and height of each part, in their order."""
    waited = np.array(since_s or [0.0] * len(spots))
    found = parts_around(boxes_of(*spots), waited, CANVAS, most, COARSEST)
    return [(part.left, part.top, part.width, part.height) for part in found]


@pytest.mark.parametrize(
    ("spot", "part"),
    [
        # 20 x 10 with 5 on each side is 30 x 20, and no part is smaller than 64 x 36; around the middle, (310, 175).
        ((300, 170, 320, 180), (278, 156, 64, 36)),
        # 60 x 40 with 15 on each side is 90 x 70, and 4 for rounding: 74 / 36 = 2.056; 64 x 2.056 = 131.6.
        ((300, 160, 360, 200), (264, 142, 132, 74)),
        ((0, 0, 10, 10), (0, 0, 64, 36)),  # in a corner: within the frame
        ((630, 350, 640, 360), (576, 324, 64, 36)),
    ],
)
def test_a_part_has_room_around_a_spot_and_is_no_smaller_than_what_the_model_sees(
    spot: Box, part: tuple[int, int, int, int]
) -> None:
    assert parts(spot) == [part]


def test_spots_that_need_no_more_pixels_together_are_shown_together() -> None:
    # 10 x 10 with 2.5 on each side, twice: 39 x 15 around both, one part of 64 x 36 instead of two.
    assert parts((300, 170, 310, 180), (324, 170, 334, 180)) == [(284, 156, 64, 36)]


def test_spots_far_from_each_other_are_shown_by_a_part_each_as_long_as_there_may_be_so_many() -> None:
    spots: list[Box] = [(100, 100, 110, 110), (300, 100, 310, 110)]
    assert parts(*spots, most=2) == [(72, 86, 64, 36), (272, 86, 64, 36)]
    # Together they are 215 x 15 with their room, 219 / 64 = 3.422: 219 x 123.2, around (205, 105).
    assert parts(*spots, most=1) == [(94, 42, 220, 124)]


def test_what_no_part_can_show_together_goes_by_who_has_waited_longest() -> None:
    corners: list[Box] = [(10, 10, 20, 20), (620, 10, 630, 20), (10, 340, 20, 350), (620, 340, 630, 350)]
    left_top, right_top, left_bottom, right_bottom = parts(*corners)
    assert parts(*corners, since_s=(4, 3, 1, 2), most=2) == [left_bottom, right_bottom]
    assert parts(*corners, since_s=(1, 2, 3, 4), most=1) == [left_top]
    assert parts(*corners, since_s=(4, 1, 3, 3), most=3) == [right_top, left_bottom, right_bottom]


def test_a_group_has_waited_as_long_as_the_one_in_it_that_has_waited_longest() -> None:
    close: list[Box] = [(10, 10, 20, 20), (30, 10, 40, 20)]
    [both] = parts(*close)
    assert parts(*close, (620, 340, 630, 350), since_s=(3, 1, 2), most=1) == [both]


def test_of_very_many_spots_those_are_looked_at_that_have_waited_longest() -> None:
    crowd = [(600.0, 300.0, 610.0, 310.0)] * MOST_SPOTS
    assert parts((10, 10, 20, 20), *crowd, since_s=(5, *[1] * MOST_SPOTS)) == parts(crowd[0])


def test_nothing_to_look_at_is_no_part() -> None:
    assert parts() == []


@pytest.mark.parametrize(
    ("spot", "fits"),
    [
        ((0, 0, 10, 10), True),
        # A part is at most 64 x 6.67 = 426.7 wide: 281 with a quarter of it on each side, and 4 for rounding, is 425.5.
        ((200, 170, 481, 180), True),
        ((200, 170, 482, 180), False),
        ((0, 0, 640, 360), False),
    ],
)
def test_what_would_not_be_shown_larger_does_not_fit(spot: Box, *, fits: bool) -> None:
    assert fitting(boxes_of(spot), CANVAS, COARSEST).tolist() == [fits]


UNIT = st.floats(0, 1)
SPOTS = st.lists(st.tuples(UNIT, UNIT, st.floats(0, 0.2), st.floats(0, 0.2), st.integers(0, 5)), max_size=8)


@given(st.integers(300, 2000), st.integers(300, 2000), SPOTS, st.integers(1, 8))
def test_parts_lie_within_the_frame_and_show_every_spot_if_there_may_be_enough_of_them(
    width: int, height: int, spots: list[tuple[float, float, float, float, int]], most: int
) -> None:
    canvas = Canvas(width=width, height=height, least_width=64, least_height=36)
    coarsest = canvas.scale / 1.5
    boxes = boxes_of(*((x * width, y * height, x * width + w * 99, y * height + h * 99) for x, y, w, h, _ in spots))
    boxes = np.minimum(boxes, np.array([width // 2 * 2, height // 2 * 2] * 2, np.float32))
    fits = fitting(boxes, canvas, coarsest)
    boxes, since_s = boxes[fits], np.array([since_s for *_, since_s in spots], np.float64)[fits]
    found = parts_around(boxes, since_s, canvas, most, coarsest)
    for part in found:
        assert not any(side % 2 for side in (part.left, part.top, part.width, part.height))
        assert part.left >= 0 <= part.top
        assert part.left + part.width <= width
        assert part.top + part.height <= height
        assert canvas.scale_of(part) <= coarsest + 2 / 36  # rounded up to even
    assert len(found) == len(set(found)) <= most
    shown = held(found, boxes)
    assert shown.all() or len(found) == most
    assert shown[since_s == np.min(since_s, initial=9)].any() or not len(boxes)


@pytest.mark.parametrize(
    ("box", "cut"),
    [
        ((110, 60, 150, 80), False),
        ((101, 60, 150, 80), True),  # within two pixels of an end
        ((110, 51, 150, 80), True),
        ((110, 60, 163, 80), True),
        ((110, 60, 150, 85), True),
        ((102, 52, 162, 84), False),
    ],
)
def test_what_ends_with_a_part_is_cut_in_two(box: Box, *, cut: bool) -> None:
    part = Part(left=100, top=50, width=64, height=36)
    assert part.cuts(boxes_of(box), CANVAS, 2.0).tolist() == [cut]
    corners = [Part(left=left, top=top, width=64, height=36) for left in (0, 576) for top in (0, 324)]
    for part in corners:  # where the frame ends, nothing goes on
        at_the_frame = [(0.0, 0.0, 20.0, 20.0), (620.0, 340.0, 640.0, 360.0), (0.0, 340.0, 20.0, 360.0)]
        assert not part.cuts(boxes_of(*at_the_frame), CANVAS, 2.0)[part.holds(boxes_of(*at_the_frame))].any()


def test_planes_of_a_part_are_views() -> None:
    frame = frame_of(size=(641, 361))
    part = Part(left=10, top=20, width=64, height=36).of(frame)
    for plane, whole in ((part.luma, frame.luma), (part.chroma_blue, frame.chroma_blue)):
        assert np.shares_memory(plane, whole)
    assert (part.width, part.height, *part.chroma_red.shape) == (64, 36, 18, 32)
