"""Labels that detectors take for one another: a van is a car in one look and a truck in the next."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np

from edge_agent.records import BoolArray

ALIKE = (
    frozenset({"car", "truck", "bus", "van", "train"}),
    frozenset({"bicycle", "motorcycle", "motorbike", "scooter"}),
    frozenset({"cow", "horse", "sheep", "goat", "pig", "donkey", "elephant", "bear", "zebra", "giraffe"}),
    frozenset({"cat", "dog", "fox"}),
    frozenset({"suitcase", "backpack", "handbag", "bag", "box"}),
)
"""Names as in COCO, and some of other collections."""


@functools.lru_cache(maxsize=4)
def table(label_names: Sequence[str]) -> BoolArray:
    """Which labels may be one another, (L, L); each may be itself."""
    groups = np.array([[name in group for group in ALIKE] for name in label_names], np.bool_).reshape(-1, len(ALIKE))
    related: BoolArray = np.any(groups[:, None, :] & groups[None, :, :], axis=2)
    return related | np.eye(len(label_names), dtype=np.bool_)
