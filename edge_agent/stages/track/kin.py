"""Labels that detectors take for one another: a van is a car in one look and a truck in the next."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np

from edge_agent import geometry
from edge_agent.records import BoolArray, Detections, FloatArray, IntArray

ALIKE = (
    frozenset({"car", "truck", "bus", "van", "train"}),
    frozenset({"bicycle", "motorcycle", "motorbike", "scooter"}),
    frozenset({"cow", "horse", "sheep", "goat", "pig", "donkey", "elephant", "bear", "zebra", "giraffe"}),
    frozenset({"cat", "dog", "fox"}),
    frozenset({"suitcase", "backpack", "handbag", "bag", "box"}),
)
"""Names as in COCO, and some of other collections."""

_DOUBLE = 0.8
"""A box that overlaps another by so much is the same thing, taken for something else."""


@functools.lru_cache(maxsize=4)
def table(label_names: Sequence[str]) -> BoolArray:
    """Which labels may be one another, (L, L); each may be itself."""
    groups = np.array([[name in group for group in ALIKE] for name in label_names], np.bool_).reshape(-1, len(ALIKE))
    related: BoolArray = np.any(groups[:, None, :] & groups[None, :, :], axis=2)
    return related | np.eye(len(label_names), dtype=np.bool_)


def singles(found: Detections, columns: IntArray, claimed: IntArray) -> IntArray:
    """Of boxes at (K,) indexes, those that are not the same things as others at (L,), or as better ones of them."""
    if not np.count_nonzero(found.label_ids != found.label_ids[:1]):
        return columns
    columns = columns[~np.any(_doubles(found, columns, claimed), axis=1)]
    better = _is_better(found.scores[columns])
    return columns[~np.any(_doubles(found, columns, columns) & better, axis=1)]


def _doubles(found: Detections, columns: IntArray, others: IntArray) -> BoolArray:
    """Which boxes, at (K,) indexes, are the same things as others, at (L,), under another name: (K, L)."""
    labels, other_labels = found.label_ids[columns], found.label_ids[others]
    apart = np.not_equal.outer(labels, other_labels)
    if not np.count_nonzero(apart):
        return apart
    double = apart & (geometry.iou(found.boxes[columns], found.boxes[others]) >= _DOUBLE)
    if np.count_nonzero(double):
        double &= table(found.label_names)[np.ix_(labels, other_labels)]
    return double


def _is_better(scores: FloatArray) -> BoolArray:
    """Which of (K,) scores the others are better than, (K, K); of two that are equal the first is."""
    ranks = np.argsort(np.argsort(-scores, kind="stable"))
    return np.greater.outer(ranks, ranks)
