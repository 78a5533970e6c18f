"""YOLOX: one row a cell of three grids: centre, size, objectness and class scores.

Source: Z. Ge et al., "YOLOX: Exceeding YOLO Series in 2021", arXiv:2107.08430, §2; layout as Megvii-BaseDetection/YOLOX
(Apache-2.0) exports it: `exp` and grid left out, sigmoid in.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_agent.records import FloatArray, IntArray, ModelSignature
from edge_agent.stages.detect.head import Candidates, Head, above, fixed_size, takes_pictures

_STRIDES = (8, 16, 32)
_BOX_AND_OBJECTNESS = 5
_RAW = ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))  # YOLOX takes 0..255 as it is
_GREY = 114  # what YOLOX's training pads with


def recognise(signature: ModelSignature) -> Head | None:
    """One output `(1, cells, 5 + classes)` with just as many cells as the three grids of the input have."""
    size = fixed_size(signature) if takes_pictures(signature) else None
    if size is None or len(signature.outputs) != 1 or len(signature.outputs[0].shape) != 3:  # noqa: PLR2004
        return None
    _batch, cells, columns = signature.outputs[0].shape
    if cells != sum(len(_cells(size, stride)) for stride in _STRIDES):
        return None
    if columns is None or columns <= _BOX_AND_OBJECTNESS:
        return None
    mean, std = _RAW
    return Head(
        family="yolox",
        input_size=size,
        size_step=_STRIDES[-1],
        resize="letterbox",
        colour="bgr",
        mean=mean,
        std=std,
        padding=_GREY,
        classes=columns - _BOX_AND_OBJECTNESS,
        decode=_decode,
    )


def _decode(outputs: Sequence[NDArray[Any]], size: tuple[int, int], wanted: IntArray, floors: FloatArray) -> Candidates:
    rows = outputs[0][0]  # (cells, 5 + classes)
    wanted_scores = rows[:, 4:5] * rows[:, _BOX_AND_OBJECTNESS + wanted]  # (cells, K)
    cells, columns = above(wanted_scores, floors)
    corners = np.concatenate([_cells(size, stride) for stride in _STRIDES])[cells]  # (N, 2) cells from the left, top
    strides = np.concatenate([np.full(len(_cells(size, stride)), stride) for stride in _STRIDES])[cells, None]
    centres = (rows[cells, 0:2] + corners) * strides
    halves = np.exp(rows[cells, 2:4]) * strides / 2
    boxes = np.concatenate([centres - halves, centres + halves], axis=1).astype(np.float32)
    return Candidates(boxes=boxes, scores=wanted_scores[cells, columns], label_ids=wanted[columns])


def _cells(size: tuple[int, int], stride: int) -> IntArray:
    """Column and row of every cell of a grid, row by row: (cells, 2)."""
    rows, columns = np.mgrid[0 : size[1] // stride, 0 : size[0] // stride]
    return np.stack([columns.ravel(), rows.ravel()], axis=1)
