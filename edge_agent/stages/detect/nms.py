"""Non-maximum suppression: of boxes of a label that overlap much, only the best stays."""

from __future__ import annotations

import numpy as np

from edge_agent import geometry
from edge_agent.records import BoolArray, FloatArray, IntArray

MAX_CANDIDATES = 300
"""Only this many of the best go in, usually; a frame with more is noise, and the cost grows with the square."""


def suppress(
    boxes: FloatArray, scores: FloatArray, label_ids: IntArray, max_iou: float, most: int = MAX_CANDIDATES
) -> IntArray:
    """Choose the boxes that stay, greedily from the best score down.

    Args:
        boxes: (N, 4) xyxy.
        scores: (N,).
        label_ids: (N,); boxes of different labels do not suppress each other.
        max_iou: two of a label that overlap more than this are one.
        most: only so many of the best go in.

    Returns:
        (K,) indexes, best first; equal scores in the order they came, so that the same input gives the same output.
    """
    order = np.argsort(-scores, kind="stable")[:most]
    if len(order) <= 1:
        return order
    ranked, labels = boxes[order], label_ids[order]
    return order[those_that_stay((geometry.iou(ranked, ranked) > max_iou) & (labels[:, None] == labels))]


def those_that_stay(rivals: BoolArray) -> BoolArray:
    """Of boxes, the best first, those that are left when each that stays takes its worse rivals away.

    Args:
        rivals: (N, N), which of two that are one.
    """
    stays, others = np.ones(len(rivals), np.bool_), ~rivals
    for index in range(len(rivals)):
        if stays[index]:
            stays[index + 1 :] &= others[index, index + 1 :]
    return stays
