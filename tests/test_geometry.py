"""Boxes, polygons and points."""

from __future__ import annotations

import numpy as np
import pytest
from builders import boxes_of
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from edge_agent import geometry
from edge_agent.records import Box, FloatArray

SQUARE = np.array([(0, 0), (10, 0), (10, 10), (0, 10)], np.float32)
ARROW = np.array([(0, 0), (10, 0), (10, 10), (5, 5), (0, 10)], np.float32)  # a notch from below up to its middle

sides = st.integers(-640_000, 640_000).map(lambda number: number / 64)  # pixels, to a 64th: no area is next to nothing


@st.composite
def some_boxes(draw: st.DrawFn) -> FloatArray:
    corners = draw(st.lists(st.tuples(sides, sides, sides, sides), max_size=5))
    return boxes_of(*((min(a, c), min(b, d), max(a, c), max(b, d)) for a, b, c, d in corners))


@pytest.mark.parametrize(
    ("box", "other", "expected"),
    [
        ((0, 0, 10, 10), (0, 0, 10, 10), 1.0),
        ((0, 0, 10, 10), (5, 0, 15, 10), 1 / 3),  # 50 / (100 + 100 - 50)
        ((0, 0, 10, 10), (2, 2, 8, 8), 0.36),  # nested: 36 / 100
        ((0, 0, 10, 10), (10, 0, 20, 10), 0.0),  # touch along a side
        ((0, 0, 10, 10), (10, 10, 20, 20), 0.0),  # touch in a corner
        ((0, 0, 10, 10), (30, 0, 40, 10), 0.0),  # apart in x alone
        (
            (0, 0, 10, 10),
            (20, 20, 40, 40),
            0.0,
        ),  # apart in both, where two negative lengths would multiply to a positive
        ((5, 5, 5, 9), (0, 0, 10, 10), 0.0),  # no area
        ((5, 5, 5, 5), (5, 5, 5, 5), 0.0),  # no area on both sides: not 0 / 0
        ((10, 0, 0, 10), (0, 0, 10, 10), 0.0),  # inside out
        ((0, 0, 1, 1), (0, 0, 1000, 1000), 1e-6),  # 1 / 1 000 000
    ],
)
def test_iou_is_the_shared_area_over_the_area_of_both(box: Box, other: Box, expected: float) -> None:
    assert_allclose(geometry.iou(boxes_of(box), boxes_of(other)), [[expected]], rtol=1e-6)


@pytest.mark.parametrize(("rows", "columns"), [(0, 0), (0, 3), (3, 0), (1, 1), (2, 3)])
def test_iou_has_a_row_a_box_and_a_column_an_other_even_of_none(rows: int, columns: int) -> None:
    box = (0.0, 0.0, 2.0, 2.0)
    overlap = geometry.iou(boxes_of(*[box] * rows), boxes_of(*[box] * columns))
    assert_array_equal(overlap, np.ones((rows, columns), np.float32))
    assert overlap.dtype == np.float32


@given(some_boxes(), some_boxes())
def test_iou_lies_in_0_to_1_and_does_not_care_which_box_comes_first(boxes: FloatArray, others: FloatArray) -> None:
    overlap = geometry.iou(boxes, others)
    assert np.all(overlap >= 0)
    assert np.all(overlap <= 1 + 1e-6)
    assert_allclose(overlap, geometry.iou(others, boxes).T, rtol=1e-5)


@given(some_boxes())
def test_a_box_with_an_area_overlaps_wholly_with_itself(boxes: FloatArray) -> None:
    itself = np.diagonal(geometry.iou(boxes, boxes))
    assert_allclose(itself, (geometry.area(boxes) > 0).astype(np.float32), rtol=1e-5)


@pytest.mark.parametrize(
    ("box", "expected"),
    [((1, 2, 4, 6), 12.0), ((1, 2, 1, 6), 0.0), ((4, 2, 1, 6), 0.0), ((4, 6, 1, 2), 0.0)],  # 3 * 4, and none inside out
)
def test_area_is_width_times_height_and_none_inside_out(box: Box, expected: float) -> None:
    assert_array_equal(geometry.area(boxes_of(box)), [expected])


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ((10, 10, 20, 20), (10, 10, 20, 20)),
        ((-5, -5, 20, 20), (0, 0, 20, 20)),
        ((90, 40, 130, 70), (90, 40, 100, 50)),
        ((0, 0, 100, 50), (0, 0, 100, 50)),  # the frame itself
        ((120, 60, 130, 70), (100, 50, 100, 50)),  # wholly outside: nothing is left of it
    ],
)
def test_clip_cuts_boxes_off_at_the_edge_of_the_frame(box: Box, expected: Box) -> None:
    clipped = geometry.clip(boxes_of(box), 100, 50)
    assert_array_equal(clipped, boxes_of(expected))
    assert clipped.dtype == np.float32


def test_clip_writes_where_it_is_told_to_and_else_leaves_what_it_is_given_as_it_is() -> None:
    boxes = boxes_of((-5, -5, 120, 60))
    geometry.clip(boxes, 100, 50)
    assert_array_equal(boxes, boxes_of((-5, -5, 120, 60)))
    assert geometry.clip(boxes, 100, 50, out=boxes) is boxes
    assert_array_equal(boxes, boxes_of((0, 0, 100, 50)))


def test_what_is_kept_for_both_corners_cannot_be_written() -> None:
    assert geometry.at_both_corners(3, 4.5).tolist() == [3, 4.5, 3, 4.5]
    with pytest.raises(ValueError, match="read-only"):
        geometry.at_both_corners(3, 4.5)[0] = 0


def test_overlap_is_the_same_whether_or_not_both_boxes_are_known_to_be_the_same() -> None:
    boxes = boxes_of((0, 0, 10, 10), (5, 0, 15, 10), (3, 3, 3, 9), (9, 9, 2, 2), (0, 0, 1000, 700.5))
    assert_array_equal(geometry.iou(boxes, boxes), geometry.iou(boxes, boxes.copy()))


def test_clip_of_no_boxes_is_no_boxes() -> None:
    assert geometry.clip(boxes_of(), 100, 50).shape == (0, 4)


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ((0, 0, 200, 100), (0, 0, 1, 1)),
        ((50, 25, 100, 75), (0.25, 0.25, 0.5, 0.75)),
        ((-1, -1, 201, 101), (0, 0, 1, 1)),
        ((300, 300, 400, 400), (1, 1, 1, 1)),
    ],
)
def test_normalise_divides_by_the_frame_and_stays_in_0_to_1(box: Box, expected: Box) -> None:
    assert geometry.normalise(box, 200, 100) == expected


def test_a_thing_stands_on_the_middle_of_the_lower_side_of_its_box() -> None:
    assert geometry.bottom_centre((10.0, 20.0, 30.0, 80.0)) == (20.0, 80.0)


@pytest.mark.parametrize(
    ("point", "in_square", "in_arrow"),
    [
        ((5, 2), True, True),
        ((5, 8), True, False),  # in the notch
        ((1, 8), True, True),  # in the left leg: at y = 8 the notch is 2..8 wide
        ((9, 8), True, True),  # in the right one
        ((-1, 5), False, False),
        ((11, 5), False, False),
        ((5, -1), False, False),
        ((5, 11), False, False),
        ((-1, 0), False, False),  # level with corners, where a ray could count one twice
        ((-1, 10), False, False),
    ],
)
def test_a_point_is_in_a_polygon_when_its_outline_goes_around_it(
    point: tuple[float, float],
    *,
    in_square: bool,
    in_arrow: bool,
) -> None:
    points = np.array([point], np.float32)
    assert geometry.in_polygon(points, SQUARE).tolist() == [in_square]
    assert geometry.in_polygon(points, ARROW).tolist() == [in_arrow]
    assert geometry.in_polygon(points, ARROW[::-1]).tolist() == [in_arrow]  # whichever way round


def test_the_left_and_upper_edges_belong_to_a_polygon_and_the_others_to_its_neighbour() -> None:
    edges = np.array([(0, 5), (5, 0), (0, 0), (10, 5), (5, 10), (10, 10)], np.float32)
    assert geometry.in_polygon(edges, SQUARE).tolist() == [True, True, True, False, False, False]


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 10)), min_size=1))
def test_of_two_polygons_that_share_an_edge_a_point_is_in_at_most_one(points: list[tuple[int, int]]) -> None:
    left, right = SQUARE, SQUARE + np.array([10, 0], np.float32)
    both = np.array([(0, 0), (20, 0), (20, 10), (0, 10)], np.float32)
    places = np.array(points, np.float32)
    in_left, in_right = geometry.in_polygon(places, left), geometry.in_polygon(places, right)
    assert not np.any(in_left & in_right)
    assert_array_equal(in_left | in_right, geometry.in_polygon(places, both))  # and none falls in between


@given(st.integers(1, 200), st.integers(1, 200), st.integers(0, 5))
def test_of_the_two_triangles_of_a_square_a_point_is_in_just_one(x: int, y: int, turns: int) -> None:
    corners = np.roll(np.array([(0, 0), (1, 0), (1, 1), (0, 1)], np.float32), turns, axis=0)
    point = np.array([(x / 201, y / 201)], np.float32)
    halves = [corners[[0, 1, 2]], corners[[0, 2, 3]]]
    assert sum(bool(geometry.in_polygon(point, half)[0]) for half in halves) == 1


def test_no_points_are_in_no_polygon() -> None:
    assert geometry.in_polygon(np.zeros((0, 2), np.float32), SQUARE).shape == (0,)


def test_a_polygon_mask_counts_pixels_by_their_centres() -> None:
    # 4 x 2 pixels, centres at x = .125 .375 .625 .875 and y = .25 .75; the area is x < .5.
    mask = geometry.polygon_mask([((0, 0), (0.5, 0), (0.5, 1), (0, 1))], 4, 2)
    assert mask.tolist() == [[True, True, False, False]] * 2


def test_a_polygon_mask_of_several_areas_is_their_union() -> None:
    upper_left = ((0.0, 0.0), (0.5, 0.0), (0.5, 0.5), (0.0, 0.5))
    left = ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0))
    assert geometry.polygon_mask([upper_left, left], 2, 2).tolist() == [[True, False], [True, False]]


@pytest.mark.parametrize(
    ("polygons", "expected"), [([], False), ([((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))], True)]
)
def test_a_polygon_mask_may_cover_nothing_or_everything(
    polygons: list[tuple[tuple[float, float], ...]],
    *,
    expected: bool,
) -> None:
    mask = geometry.polygon_mask(polygons, 7, 5)
    assert mask.shape == (5, 7)
    assert np.all(mask == expected)
