"""Non-maximum suppression: of boxes of a label that overlap much, only the best stays."""

from __future__ import annotations

import numpy as np

from edge_agent import geometry
from edge_agent.records import BoolArray, FloatArray, IntArray

MAX_CANDIDATES = 300
"""Only this many of the best go in, usually; a frame with more is noise, and the cost grows with the square."""


def suppress(
    boxes: FloatArray, scores: FloatArray, label_ids: IntArray | None, max_iou: float, most: int = MAX_CANDIDATES
) -> IntArray:
    """Choose the boxes that stay, greedily from the best score down.

    Args:
        boxes: (N, 4) xyxy.
        scores: (N,).
        label_ids: (N,); boxes of different labels do not suppress each other. None where there is only one.
        max_iou: two of a label that overlap more than this are one.
        most: only so many of the best go in.

    Returns:
        (K,) indexes, best first; equal scores in the order they came, so that the same input gives the same output.
    """
    order = np.argsort(-scores, kind="stable")[:most]
    if len(order) <= 1 or max_iou >= 1:  # nothing overlaps by more than all of it
        return order
    ranked = boxes.take(order, axis=0)
    rivals = geometry.iou(ranked, ranked) > max_iou
    if label_ids is not None:
        labels = label_ids.take(order)
        rivals &= labels[:, None] == labels
    return order.take(those_that_stay(rivals))


def those_that_stay(rivals: BoolArray) -> IntArray:
    """Of boxes, the best first, those that are left when each that stays takes its worse rivals away.

    Args:
        rivals: (N, N), which of two that are one.

    Returns:
        (K,) their indexes, in order.
    """
    # A row as one whole number, a byte a box: on these Python is faster than NumPy, whose every call counts.
    count, numbers = len(rivals), rivals.tobytes()
    stays, gone = [], 0
    for index in range(count):
        if not (gone >> (8 * index)) & 1:
            stays.append(index)
            gone |= int.from_bytes(numbers[index * count : (index + 1) * count], "little")
    return np.array(stays, np.int64)
