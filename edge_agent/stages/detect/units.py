"""In which unit a model that has not chosen yet gives its boxes: the numbers themselves tell."""

from __future__ import annotations

from typing import Literal

import numpy as np

from edge_agent.records import FloatArray

Unit = Literal["pixels", "parts"]
"""Of the picture that the model sees; parts are 0..1 of its width and height."""

SAID: dict[Unit, str] = {"pixels": "pixels", "parts": "parts of the picture"}
"""For people."""


def unit_of(boxes: FloatArray, size: tuple[int, int], last: int) -> Unit | None:
    """The unit of boxes cx, cy, width, height, a row a cell, of a picture of nothing.

    Args:
        boxes: (cells, 4).
        size: of that picture.
        last: which of them is in the bottom right corner of the finest grid, where no centre is far from its cell.

    Returns:
        None where they are offsets in their cells, or all zero, so that nothing tells.
    """
    if bool((boxes[last, :2] > np.array(size) / 3).all()) or np.max(boxes[:, 2:4]) > _MOST_LOGARITHM:
        return "pixels"
    if boxes.any() and np.min(boxes) >= -_BEYOND and np.max(boxes) <= 1 + _BEYOND:
        return "parts"
    return None


def are_parts(boxes: FloatArray) -> bool:
    """Whether corners (N, 4) of things that were chosen already are parts of the picture: nothing is that small."""
    return bool(np.max(boxes, initial=0.0) <= 1 + _BEYOND)


def told_unit(boxes: FloatArray) -> Unit:
    """The unit of corners (N, 4) of things that were chosen already."""
    return "parts" if are_parts(boxes) else "pixels"


def scale_to(unit: Unit, size: tuple[int, int]) -> FloatArray:
    """What makes pixels of corners or of centres and sizes: (4,)."""
    return np.array(size * 2 if unit == "parts" else (1, 1, 1, 1), np.float32)


_MOST_LOGARITHM = 8.0  # of a side in strides: e^8 of the finest are 24000 pixels
_BEYOND = 0.5  # of the picture, that boxes reach over its edges
