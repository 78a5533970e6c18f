"""Boxes, polygons and points: arrays in, arrays out."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_agent.records import BoolArray, Box, FloatArray

Point = tuple[float, float]
"""x and y."""


def iou(boxes: FloatArray, others: FloatArray) -> FloatArray:
    """Overlap of every box with every other: intersection over union.

    Args:
        boxes: (N, 4) xyxy.
        others: (M, 4) xyxy.

    Returns:
        (N, M) float32, 0..1; 0 where either box has no area.
    """
    shared = _shared(boxes, others)
    # What a box shares with itself is its area.
    areas, other_areas = (shared.diagonal(),) * 2 if others is boxes else (area(boxes), area(others))
    union = np.add.outer(areas, other_areas)
    union -= shared
    shared /= np.maximum(union, _TINY, out=union)
    return shared


def covered(boxes: FloatArray, others: FloatArray) -> FloatArray:
    """How much of every box every other covers: intersection over the area of the first.

    Args:
        boxes: (N, 4) xyxy.
        others: (M, 4) xyxy.

    Returns:
        (N, M) float32, 0..1; 0 where either box has no area.
    """
    shared = _shared(boxes, others)
    shared /= np.maximum(area(boxes), _TINY)[:, None]
    return shared


def _shared(boxes: FloatArray, others: FloatArray) -> FloatArray:
    """The area that every box shares with every other, (N, M).

    Widths, then heights, which is three times faster than (N, M, 2) arrays.
    """
    numbers = np.ascontiguousarray(boxes.T)  # (4, N)
    other_numbers = numbers if others is boxes else np.ascontiguousarray(others.T)
    numbers, other_numbers = numbers[:, :, None], other_numbers[:, None]
    sides = np.minimum(numbers[2:], other_numbers[2:])  # (2, N, M), so far
    sides -= np.maximum(numbers[:2], other_numbers[:2])
    np.maximum(sides, 0, out=sides)
    shared: FloatArray = np.multiply(sides[0], sides[1], out=sides[0])
    return shared


def area(boxes: FloatArray) -> FloatArray:
    """Area of each box, 0 for a box that is inside out. (N, 4) xyxy in, (N,) out."""
    wide, tall = np.maximum(boxes.T[2:] - boxes.T[:2], 0)
    return np.asarray(wide * tall, boxes.dtype)


def longer_side(boxes: FloatArray) -> FloatArray:
    """Width or height of each box, whichever is more. (N, 4) xyxy in, (N,) out."""
    return np.maximum(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1])


def clip(boxes: FloatArray, width: int, height: int, out: FloatArray | None = None) -> FloatArray:
    """Cut boxes off at the edge of the frame. (N, 4) xyxy pixels in and out; into `out` where it is given."""
    clipped = np.minimum(boxes, at_both_corners(width, height), out=out)  # NumPy's own `clip` takes twice as long
    return np.maximum(clipped, 0, out=clipped)


@functools.lru_cache(maxsize=32)
def at_both_corners(x: float, y: float) -> FloatArray:
    """The same x and y for either corner of a box, (4,); to be read only, for it is kept for the next time."""
    both = np.array([x, y, x, y], np.float32)
    both.flags.writeable = False
    return both


def normalise(box: Box, width: int, height: int) -> Box:
    """Pixels to 0..1 of the frame, cut off at its edge."""
    left, top, right, bottom = box
    return (_unit(left, width), _unit(top, height), _unit(right, width), _unit(bottom, height))


def bottom_centre(box: Box) -> Point:
    """Where a thing stands: the middle of its box's lower side."""
    return ((box[0] + box[2]) / 2, box[3])


def centre(box: Box) -> Point:
    """The middle of a box."""
    return ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)


def top_centre(box: Box) -> Point:
    """The middle of a box's upper side."""
    return ((box[0] + box[2]) / 2, box[1])


def homography(corners: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """What turns the four corners of a rectangle, as a camera sees them, into those of a square.

    Args:
        corners: (4, 2) x, y, those of a convex quadrilateral in order, seen at (0, 0), (1, 0), (1, 1), (0, 1) of it.

    Returns:
        (3, 3), for columns of x, y, 1; the third coordinate is more than 0 at the corners. Found as the null space of
        the eight equations, not with one of its entries taken for 1: that is 0 where the horizon meets the origin.

    Source: R. Hartley and A. Zisserman, Multiple View Geometry, 2nd edition, section 4.1.
    """
    equations: list[list[float]] = []
    for (x, y), (across, along) in zip(np.asarray(corners, np.float64).tolist(), _SQUARE, strict=True):
        equations.append([x, y, 1, 0, 0, 0, -across * x, -across * y, -across])
        equations.append([0, 0, 0, x, y, 1, -along * x, -along * y, -along])
    null = np.linalg.svd(np.array(equations))[2][-1].reshape(3, 3)
    return np.asarray(null * np.sign(null[2] @ (*corners[0], 1.0)), np.float64)


def gap(box: Box, other: Box) -> float:
    """How far two boxes are from each other, xyxy; 0 where they touch or overlap."""
    across = max(other[0] - box[2], box[0] - other[2], 0.0)
    along = max(other[1] - box[3], box[1] - other[3], 0.0)
    return math.hypot(across, along)


def beyond(point: Point, start: Point, end: Point) -> float:
    """How far a point lies to the right hand of who walks from `start` to `end`; less than 0 to their left hand.

    In a picture, whose y grows downwards, that is below a line from left to right. All three in the same square unit,
    which is that of the answer too; `start` and `end` differ.
    """
    along_x, along_y = end[0] - start[0], end[1] - start[1]
    across = along_x * (point[1] - start[1]) - along_y * (point[0] - start[0])
    return across / math.hypot(along_x, along_y)


def passes_between(before: Point, after: Point, start: Point, end: Point) -> bool:
    """Whether the way from `before` to `after` leads between two posts, `start` and `end`, or touches one.

    Only for a way that passes the endless line through both: the posts then lie on either side of the way's own line.
    """
    return _turn(before, after, start) * _turn(before, after, end) <= 0


def _turn(start: Point, end: Point, point: Point) -> float:
    """More than 0 where `point` lies to the right hand of the way, in a picture; 0 on its line."""
    return (end[0] - start[0]) * (point[1] - start[1]) - (end[1] - start[1]) * (point[0] - start[0])


class Edges(NamedTuple):
    """The edges of a polygon, read downwards so that a shared edge gives both polygons the same crossing; (K,) each.

    Attributes:
        start_x: x of the upper end.
        start_y: y of it.
        end_y: y of the lower end.
        run: how far that lies to the right.
        rise: how far it lies below; 1 for a level edge, which no point's height lies between.
    """

    start_x: FloatArray
    start_y: FloatArray
    end_y: FloatArray
    run: FloatArray
    rise: FloatArray


def edges_of(polygon: FloatArray) -> Edges:
    """The edges of a polygon, (K, 2) corners in order; it closes itself."""
    ends = np.roll(polygon, -1, axis=0)
    in_order = (polygon[:, 1] <= ends[:, 1])[:, None]
    start_x, start_y = np.where(in_order, polygon, ends).T
    end_x, end_y = np.where(in_order, ends, polygon).T
    rise = np.where(end_y == start_y, 1, end_y - start_y)
    return Edges(start_x=start_x, start_y=start_y, end_y=end_y, run=end_x - start_x, rise=rise)


def in_polygon(points: FloatArray, polygon: FloatArray | Edges) -> BoolArray:
    """Whether each point lies inside a polygon, by the even-odd rule.

    A ray from the point to the right crosses the outline an odd number of times when the point is inside. Of two
    polygons that share an edge, a point on that edge belongs to one.

    Args:
        points: (N, 2) x, y.
        polygon: (K, 2) corners in order; or its edges, for who asks often.

    Returns:
        (N,) bool.

    Source: the crossing number test of M. Shimrat, Algorithm 112, Communications of the ACM 5(8), 1962.
    """
    edges = polygon if isinstance(polygon, Edges) else edges_of(polygon)
    x, y = points[:, 0, None], points[:, 1, None]  # (N, 1)
    spans = (edges.start_y > y) != (edges.end_y > y)  # (N, K): the edge passes the point's height
    crossing_x = edges.start_x + (y - edges.start_y) * edges.run / edges.rise
    return (np.count_nonzero(spans & (x < crossing_x), axis=1) % 2).astype(np.bool_)


def polygon_mask(polygons: Sequence[Sequence[tuple[float, float]]], width: int, height: int) -> BoolArray:
    """Which pixels of a picture lie in any of the polygons.

    Args:
        polygons: each its corners as x, y in 0..1.
        width: of the picture, pixels.
        height: of the picture, pixels.

    Returns:
        (height, width) bool.
    """
    inside = np.zeros((height, width), np.bool_)
    centres = np.empty((width, 2), np.float32)  # of a row: all at once would take a hundred bytes a pixel
    centres[:, 0] = (np.arange(width) + 0.5) / width
    for polygon in polygons:
        edges = edges_of(np.array(polygon, np.float32))
        for y in range(height):
            centres[:, 1] = (y + 0.5) / height
            inside[y] |= in_polygon(centres, edges)
    return inside


_SQUARE = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))

_TINY = np.float32(1e-12)
"""Instead of a union without area, for no division by zero: what is shared is 0 then."""


def _unit(value: float, length: int) -> float:
    part = value / length
    return 0.0 if part < 0 else 1.0 if part > 1 else part  # half the time of `min` and `max`
