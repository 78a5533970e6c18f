"""How like an object each box is: by overlap, by height, by score, and by how well the object's place is known."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from edge_agent.records import FloatArray, IntArray

_DOUBT_WEIGHT = 3.0
"""How fast the overlap that is asked for falls with the doubt about an object's place, in its widths."""

_TINY = np.float32(1e-12)
"""Instead of a union without area, for no division by zero."""

LEAST_OVERLAP = 0.03
"""No less is asked for, however little is known."""


class Pairs(NamedTuple):
    """Objects and boxes that overlap at all; of hundreds of each, few pairs do.

    Attributes:
        rows: (K,) int64, of the object.
        columns: (K,) int64, of the box.
        similarity: (K,) float32, more than 0, at most 1: intersection over union, times the ratio of their heights.
    """

    rows: IntArray
    columns: IntArray
    similarity: FloatArray


def pairs_of(places: FloatArray, boxes: FloatArray) -> Pairs:
    """Find which boxes may be which objects, and how well they fit.

    Overlap alone cannot tell a person from the one half as tall whom he hides; heights can.

    Args:
        places: (N, 4) xyxy pixels, where the objects are presumed to be.
        boxes: (M, 4) xyxy pixels.

    Source: the product of overlap and heights is from M. Yang et al., "Hybrid-SORT: Weak Cues Matter for Online
    Multi-Object Tracking", AAAI 2024, §3.2, where the heights' overlap is meant; their ratio does not count a
    difference of places twice.
    """
    numbers, box_numbers = np.ascontiguousarray(places.T), np.ascontiguousarray(boxes.T)
    across = (numbers[0, :, None] < box_numbers[2]) & (numbers[2, :, None] > box_numbers[0])  # of hundreds, some
    cells: IntArray = across.ravel().nonzero()[0]  # several times faster than of two dimensions
    count = max(len(boxes), 1)
    rows, columns = cells // count, cells % count
    one, other = numbers.take(rows, axis=1), box_numbers.take(columns, axis=1)
    sides = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
    touching = (np.minimum(sides[0], sides[1]) > 0).nonzero()[0]
    if len(touching) < len(rows):
        rows, columns, sides = rows.take(touching), columns.take(touching), sides.take(touching, axis=1)
        one, other = one.take(touching, axis=1), other.take(touching, axis=1)
    (wide, tall), (box_wide, box_tall) = one[2:] - one[:2], other[2:] - other[:2]
    shared = sides[0] * sides[1]
    overlap = shared / np.maximum(wide * tall + box_wide * box_tall - shared, _TINY)
    return Pairs(rows, columns, overlap * np.minimum(tall, box_tall) / np.maximum(tall, box_tall))


def least_overlaps(widths: FloatArray, deviations: FloatArray, match_iou: float) -> FloatArray:
    """How well a box must fit each object.

    An object whose place is well known overlaps its box much, or it is another's. Whoever was out of sight, or walks
    fast past a slow camera, may be found beside where he was presumed.

    Args:
        widths: (N,) of the objects, pixels.
        deviations: (N,) standard deviation of where they are, across, pixels.
        match_iou: what is asked for where there is no doubt.

    Returns:
        (N,) 0..1.
    """
    doubts = deviations / np.maximum(widths, 1)
    return np.maximum(match_iou * np.exp(-_DOUBT_WEIGHT * doubts), min(LEAST_OVERLAP, match_iou))
