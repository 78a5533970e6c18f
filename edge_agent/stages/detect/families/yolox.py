"""YOLOX: one row a cell of three grids: centre, size, objectness and class scores.

Source: Z. Ge et al., "YOLOX: Exceeding YOLO Series in 2021", arXiv:2107.08430, §2; layout as Megvii-BaseDetection/YOLOX
(Apache-2.0) exports it: sigmoid in, grid and `exp` left out, or in when it is told to decode. YOLOv6 gives the latter.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_agent.records import FloatArray, IntArray
from edge_agent.stages.detect.head import (
    RAW_BGR,
    Answer,
    Candidates,
    ClassColumns,
    Head,
    above,
    are_pixels,
    cells_of,
    corners,
    seen_as,
)

FAMILY = "yolox"
DECODED = "yolox-decoded"

_STRIDES = (8, 16, 32)
BOX_AND_OBJECTNESS = 5


def recognise(answer: Answer) -> Iterator[Head]:
    """One output `(1, cells, 5 + classes)` with just as many cells as the three grids of the input have."""
    if len(answer.shapes) != 1 or len(answer.shapes[0]) != 3:  # noqa: PLR2004
        return
    _batch, cells, columns = answer.shapes[0]
    if cells != cells_of(answer.size, _STRIDES) or columns <= BOX_AND_OBJECTNESS:
        return
    classes = columns - BOX_AND_OBJECTNESS
    decoded = are_pixels(answer.outputs[0][0], answer.size, cells_of(answer.size, _STRIDES[:1]) - 1)
    yield seen_as(
        RAW_BGR,
        answer,
        family=DECODED if decoded else FAMILY,
        why=f"cells of strides 8, 16 and 32, each a box, objectness and {classes} classes; boxes are "
        + ("pixels" if decoded else "offsets in their cells"),
        size_step=_STRIDES[-1],
        classes=classes,
        class_columns=(ClassColumns(output=0, axis=2, first=BOX_AND_OBJECTNESS),),
        decode=decode_with_objectness if decoded else _decode,
    )


def _decode(outputs: Sequence[NDArray[Any]], size: tuple[int, int], wanted: IntArray, floors: FloatArray) -> Candidates:
    rows = outputs[0][0]  # (cells, 5 + classes)
    wanted_scores = rows[:, 4:5] * rows[:, BOX_AND_OBJECTNESS + wanted]  # (cells, K)
    cells, columns = above(wanted_scores, floors)
    places = np.concatenate([_places(size, stride) for stride in _STRIDES])[cells]  # (N, 2) cells from the left, top
    strides = np.concatenate([np.full(len(_places(size, stride)), stride) for stride in _STRIDES])[cells, None]
    centres = (rows[cells, 0:2] + places) * strides
    halves = np.exp(rows[cells, 2:4]) * strides / 2
    boxes = np.concatenate([centres - halves, centres + halves], axis=1).astype(np.float32)
    return Candidates(boxes=boxes, scores=wanted_scores[cells, columns], label_ids=wanted[columns])


def decode_with_objectness(
    outputs: Sequence[NDArray[Any]], _size: tuple[int, int], wanted: IntArray, floors: FloatArray
) -> Candidates:
    """Read rows of a box in pixels, objectness and class scores."""
    rows = outputs[0][0]
    wanted_scores = rows[:, 4:5] * rows[:, BOX_AND_OBJECTNESS + wanted]
    cells, columns = above(wanted_scores, floors)
    return Candidates(boxes=corners(rows[cells, :4]), scores=wanted_scores[cells, columns], label_ids=wanted[columns])


def _places(size: tuple[int, int], stride: int) -> IntArray:
    """Column and row of every cell of a grid, row by row: (cells, 2)."""
    rows, columns = np.mgrid[0 : -(-size[1] // stride), 0 : -(-size[0] // stride)]
    return np.stack([columns.ravel(), rows.ravel()], axis=1)
