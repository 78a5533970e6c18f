"""What every tracking metric asks first: how far boxes overlap, and who is best paired with whom."""

from __future__ import annotations

import numpy as np

from edge_agent import runtimes
from edge_agent.records import IntArray
from edge_agent.tools.tracking.rows import Numbers

EPSILON = float(np.finfo(np.float64).eps)
"""An overlap this little under a threshold reaches it, as in TrackEval."""


def require_assignment() -> None:
    """See that scipy is there, before much time is spent.

    Raises:
        RuntimeMissingError: it is not.
    """
    runtimes.load("scipy.optimize")


def best_pairs(gains: Numbers) -> tuple[IntArray, IntArray]:
    """The pairing of rows and columns with the largest sum, each used once; it may hold pairs that gain nothing.

    Args:
        gains: (N, M), 0 or more.

    Returns:
        (K,) rows and (K,) columns.
    """
    rows, columns = runtimes.load("scipy.optimize").linear_sum_assignment(-gains)
    return np.asarray(rows, np.int64), np.asarray(columns, np.int64)


def iou(ltwh: Numbers, others_ltwh: Numbers) -> Numbers:
    """Intersection over union of every box with every other, (N, 4) and (M, 4) to (N, M); 0 where one has no area.

    Not `geometry.iou`, which is of single precision: an overlap of exactly a half must be one here.
    """
    left, top = ltwh[:, 0], ltwh[:, 1]
    right, bottom = left + ltwh[:, 2], top + ltwh[:, 3]
    other_left, other_top = others_ltwh[:, 0], others_ltwh[:, 1]
    other_right, other_bottom = other_left + others_ltwh[:, 2], other_top + others_ltwh[:, 3]
    width = np.minimum.outer(right, other_right) - np.maximum.outer(left, other_left)
    height = np.minimum.outer(bottom, other_bottom) - np.maximum.outer(top, other_top)
    shared = np.maximum(width, 0) * np.maximum(height, 0)
    area = (right - left) * (bottom - top)
    other_area = (other_right - other_left) * (other_bottom - other_top)
    union = np.add.outer(area, other_area) - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > EPSILON)
