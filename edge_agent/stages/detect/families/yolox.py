"""YOLOX: one row a cell of three grids: centre, size, objectness and class scores.

Source: Z. Ge et al., "YOLOX: Exceeding YOLO Series in 2021", arXiv:2107.08430, §2; layout as Megvii-BaseDetection/YOLOX
(Apache-2.0) exports it: sigmoid in, grid and `exp` left out, or in when it is told to decode.
"""

from __future__ import annotations

import functools
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
    cells_of,
    corners,
    picked,
    reaching,
    seen_as,
)
from edge_agent.stages.detect.units import Unit, scale_to, unit_of

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
    decoded = unit_of(answer.outputs[0][0][:, :4], answer.size, cells_of(answer.size, _STRIDES[:1]) - 1) == "pixels"
    if decoded and not has_objectness(answer):
        return
    yield seen_as(
        RAW_BGR,
        answer,
        family=DECODED if decoded else FAMILY,
        why=f"cells of strides 8, 16 and 32, each a box, objectness and {classes} classes; boxes are "
        + ("pixels" if decoded else "offsets in their cells"),
        size_step=_STRIDES[-1],
        classes=classes,
        class_columns=(ClassColumns(output=0, axis=2, first=BOX_AND_OBJECTNESS),),
        decode=functools.partial(decode_with_objectness, 0, "pixels") if decoded else _decode,
    )


def _decode(outputs: Sequence[NDArray[Any]], size: tuple[int, int], wanted: IntArray, floors: FloatArray) -> Candidates:
    rows = outputs[0][0]  # (cells, 5 + classes)

    def boxes_of(cells: IntArray) -> FloatArray:
        places, strides = _grid(size)
        places, strides = places[cells], strides[cells]
        centres = (rows[cells, 0:2] + places) * strides
        halves = np.exp(rows[cells, 2:4]) * strides / 2
        return np.concatenate([centres - halves, centres + halves], axis=1).astype(np.float32)

    return reaching(_scores(rows, wanted), wanted, floors, boxes_of)


def has_objectness(answer: Answer) -> bool:
    """Whether the column for it says anything: a model without one has 1 there, always."""
    return bool((answer.outputs[0][0][:, 4] != 1).any())


def decode_with_objectness(
    place: int,
    unit: Unit,
    outputs: Sequence[NDArray[Any]],
    size: tuple[int, int],
    wanted: IntArray,
    floors: FloatArray,
) -> Candidates:
    """Read rows of a box, objectness and class scores, in the output at that place."""
    rows = outputs[place][0]
    scale = scale_to(unit, size)
    return reaching(_scores(rows, wanted), wanted, floors, lambda cells: corners(rows[cells, :4]) * scale)


def _scores(rows: FloatArray, wanted: IntArray) -> FloatArray:
    """Objectness times the scores of the wanted classes, (cells, K)."""
    return rows[:, 4:5] * rows[:, picked(BOX_AND_OBJECTNESS + wanted)]


@functools.lru_cache(maxsize=4)
def _grid(size: tuple[int, int]) -> tuple[IntArray, IntArray]:
    """Of every cell of a picture of that size, grid by grid, each row by row: its column and row, and its stride.

    (cells, 2) and (cells, 1).
    """
    places, strides = [], []
    for stride in _STRIDES:
        down, across = np.mgrid[0 : -(-size[1] // stride), 0 : -(-size[0] // stride)]
        places.append(np.stack([across.ravel(), down.ravel()], axis=1))
        strides.append(np.full((down.size, 1), stride))
    return np.concatenate(places), np.concatenate(strides)
