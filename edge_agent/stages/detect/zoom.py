"""Where to look closer: few and small parts of a frame that show all that is asked for, or whose turn it is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edge_agent import geometry
from edge_agent.records import BoolArray, Box, FloatArray, IntArray
from edge_agent.stages.detect.parts import Canvas, Part

MOST_SPOTS = 32
"""So many are put together at most, those that have waited longest; the effort grows with the cube."""


def parts_around(
    spots: FloatArray, since_s: NDArray[np.float64], canvas: Canvas, most: int, coarsest: float
) -> tuple[Part, ...]:
    """Parts that show spots, each with some room around it.

    Spots are put together where one part needs no more pixels than two, and beyond that as long as there are more parts
    than may be looked at. Where there are more all the same, those go first of which something has waited longest.

    Args:
        spots: (N, 4) xyxy pixels of the frame.
        since_s: (N,) since when each waits.
        canvas: the frame, and how the model sees it.
        most: so many parts at most.
        coarsest: the largest scale to put spots together at.
    """
    oldest = np.argsort(since_s, kind="stable")[:MOST_SPOTS]
    groups = _grouped(_with_room(spots[oldest], canvas), since_s[oldest], canvas, most, coarsest)
    return tuple(canvas.part_around(box, scale) for box, scale in groups[:most])


def fitting(spots: FloatArray, canvas: Canvas, coarsest: float) -> BoolArray:
    """Which spots, (N, 4), a part of that scale can show with some room around them."""
    fits: BoolArray = canvas.scales_around(_with_room(spots, canvas)) <= coarsest
    return fits


def _with_room(spots: FloatArray, canvas: Canvas) -> FloatArray:
    """Spots with room around them, as far as the frame goes."""
    room = geometry.longer_side(spots)[:, None] * np.array([-_ROOM, -_ROOM, _ROOM, _ROOM], np.float32)
    ends = np.array([canvas.width, canvas.height] * 2, np.float32)
    return np.clip(spots + room, 0, ends)


def _grouped(
    boxes: FloatArray, since_s: NDArray[np.float64], canvas: Canvas, most: int, coarsest: float
) -> Sequence[tuple[Box, float]]:
    """Boxes put together, as boxes and the scales that show them, those that have waited longest first."""
    while len(boxes) > 1:
        unions = _unions(boxes)
        scales = canvas.scales_around(unions)
        areas = np.diagonal(scales) ** 2
        more = scales**2 - np.add.outer(areas, areas)  # pixels to look at, in units of the least part
        more[scales > coarsest] = np.inf
        np.fill_diagonal(more, np.inf)
        one, other = divmod(int(np.argmin(more)), len(boxes))  # one < other
        if more[one, other] > (0 if len(boxes) <= most else _ANY):
            break
        boxes[one], since_s[one] = unions[one, other], min(since_s[one], since_s[other])
        boxes, since_s = np.delete(boxes, other, axis=0), np.delete(since_s, other)
    order: IntArray = np.lexsort((boxes[:, 0], boxes[:, 1], since_s))
    scales = canvas.scales_around(boxes)
    return [(_box(boxes[index]), float(scales[index])) for index in order.tolist()]


def _unions(boxes: FloatArray) -> FloatArray:
    """The box around each two, (N, 4) in, (N, N, 4) out."""
    low = np.minimum(boxes[:, None, :2], boxes[None, :, :2])
    high = np.maximum(boxes[:, None, 2:], boxes[None, :, 2:])
    return np.concatenate([low, high], axis=2)


def _box(row: FloatArray) -> Box:
    left, top, right, bottom = row.tolist()
    return left, top, right, bottom


_ROOM = 0.25  # of a spot's longer side, on each of its sides: often only a part of somebody moves
_ANY = np.finfo(np.float32).max
