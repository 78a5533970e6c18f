"""YOLOv8, v9, v11, v12: a column a cell, or a row where it was turned: centre, size and class scores, no objectness.

Source: the shape of what they export, as those who use such files describe it; not tried with trained weights. Boxes
are pixels, scores 0..1.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import Any

from numpy.typing import NDArray

from edge_agent.records import FloatArray, IntArray
from edge_agent.stages.detect.head import (
    PADDED_RGB,
    Answer,
    Candidates,
    ClassColumns,
    Head,
    are_pixels,
    cells_of,
    corners,
    picked,
    reaching,
    seen_as,
)

FAMILY = "yolov8"

_GRIDS = ((8, 16, 32), (8, 16, 32, 64))
_BOX = 4


def recognise(answer: Answer) -> Iterator[Head]:
    """One output `(1, 4 + classes, cells)` or `(1, cells, 4 + classes)`."""
    if len(answer.shapes) != 1 or len(answer.shapes[0]) != 3:  # noqa: PLR2004
        return
    for is_turned in (False, True):
        _batch, columns, cells = answer.shapes[0] if not is_turned else (1, *answer.shapes[0][:0:-1])
        for strides in _GRIDS:
            rows = answer.outputs[0][0] if is_turned else answer.outputs[0][0].T
            finest = cells_of(answer.size, strides[:1])
            if cells == cells_of(answer.size, strides) and columns > _BOX and are_pixels(rows, answer.size, finest - 1):
                yield seen_as(
                    PADDED_RGB,
                    answer,
                    family=FAMILY,
                    why=f"a box and {columns - _BOX} classes for each cell of strides {', '.join(map(str, strides))}, "
                    "without objectness",
                    size_step=strides[-1],
                    classes=columns - _BOX,
                    class_columns=(ClassColumns(output=0, axis=2 if is_turned else 1, first=_BOX),),
                    decode=functools.partial(_decode, is_turned),
                )


def _decode(
    is_turned: bool,  # noqa: FBT001 - bound by position
    outputs: Sequence[NDArray[Any]],
    _size: tuple[int, int],
    wanted: IntArray,
    floors: FloatArray,
) -> Candidates:
    rows = outputs[0][0] if is_turned else outputs[0][0].T  # (cells, 4 + classes)
    return reaching(rows[:, picked(_BOX + wanted)], wanted, floors, lambda cells: corners(rows[cells, :_BOX]))
