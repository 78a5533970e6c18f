"""YOLOv8, v9, v11, v12: a column a cell, or a row where it was turned: centre, size and class scores, no objectness.

Source: the shape of what they export, as those who use such files describe it; not tried with trained weights. Boxes
are pixels, or parts of the picture; scores 0..1.
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
    cells_of,
    corners,
    picked,
    reaching,
    seen_as,
)
from edge_agent.stages.detect.units import SAID, Unit, scale_to, unit_of

FAMILY = "yolov8"

_GRIDS = ((8, 16, 32), (8, 16, 32, 64), (4, 8, 16, 32))
_BOX = 4
_COCO = 80


def recognise(answer: Answer) -> Iterator[Head]:
    """One output `(1, 4 + classes, cells)` or `(1, cells, 4 + classes)`."""
    if len(answer.shapes) != 1 or len(answer.shapes[0]) != 3:  # noqa: PLR2004
        return
    for is_turned in (False, True):
        _batch, columns, cells = answer.shapes[0] if not is_turned else (1, *answer.shapes[0][:0:-1])
        for strides in _GRIDS:
            if cells != cells_of(answer.size, strides) or columns <= _BOX:
                continue
            unit = _unit(answer, is_turned, cells_of(answer.size, strides[:1]) - 1)
            if unit is not None:
                yield _head(answer, is_turned, unit, strides, columns - _BOX)


def _unit(answer: Answer, is_turned: bool, last: int) -> Unit | None:  # noqa: FBT001 - as everywhere here
    """In which unit boxes are; None where this is another family's answer.

    A row a cell is YOLOX's way, whose offsets may look like parts: only as many labels as classes speak against it.
    A column a cell nobody else has, so where nothing tells they are what they usually are.
    """
    rows = answer.outputs[0][0] if is_turned else answer.outputs[0][0].T
    unit = unit_of(rows[:, :_BOX], answer.size, last)
    if unit == "pixels" or not is_turned:
        return unit or "pixels"
    return (unit or "pixels") if rows.shape[1] - _BOX == (answer.classes or _COCO) else None


def _head(answer: Answer, is_turned: bool, unit: Unit, strides: tuple[int, ...], classes: int) -> Head:  # noqa: FBT001
    return seen_as(
        PADDED_RGB,
        answer,
        family=FAMILY,
        why=f"a box and {classes} classes for each cell of strides {', '.join(map(str, strides))}, without objectness; "
        f"boxes are {SAID[unit]}",
        size_step=strides[-1],
        classes=classes,
        class_columns=(ClassColumns(output=0, axis=2 if is_turned else 1, first=_BOX),),
        decode=functools.partial(_decode, is_turned, unit),
    )


def _decode(
    is_turned: bool,  # noqa: FBT001 - bound by position
    unit: Unit,
    outputs: Sequence[NDArray[Any]],
    size: tuple[int, int],
    wanted: IntArray,
    floors: FloatArray,
) -> Candidates:
    rows = outputs[0][0] if is_turned else outputs[0][0].T  # (cells, 4 + classes)
    scale = scale_to(unit, size)
    return reaching(rows[:, picked(_BOX + wanted)], wanted, floors, lambda cells: corners(rows[cells, :_BOX]) * scale)
