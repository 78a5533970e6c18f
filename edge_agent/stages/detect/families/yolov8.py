"""YOLOv8, v9, v11, v12: a column a cell, or a row where it was turned: centre, size and class scores, no objectness.

Source: the shape of what they export, as those who use such files describe it; not tried with trained weights. Boxes
are pixels, or parts of the picture; scores 0..1.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from numpy.typing import NDArray

from edge_agent.records import FloatArray, IntArray
from edge_agent.stages.detect.families.yolov5 import place_beside_maps
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
    place = place_beside_maps(answer)
    if place is None:
        return
    for is_turned in (False, True):
        _batch, columns, cells = answer.shapes[place] if not is_turned else (1, *answer.shapes[place][:0:-1])
        for strides in _GRIDS:
            if cells != cells_of(answer.size, strides) or columns <= _BOX:
                continue
            rows = _rows(answer.outputs, place, is_turned)
            unit = _unit(rows, is_turned, answer, strides)
            if unit is not None:
                yield _head(answer, _Where(place=place, is_turned=is_turned, unit=unit), strides, columns - _BOX)


def _unit(rows: FloatArray, is_turned: bool, answer: Answer, strides: tuple[int, ...]) -> Unit | None:  # noqa: FBT001
    """In which unit boxes are; None where this is another family's answer.

    A row a cell is YOLOX's way, whose offsets may look like parts: only as many labels as classes speak against it.
    A column a cell nobody else has, so where nothing tells they are what they usually are.
    """
    unit = unit_of(rows[:, :_BOX], answer.size, cells_of(answer.size, strides[:1]) - 1)
    if unit == "pixels" or not is_turned:
        return unit or "pixels"
    return (unit or "pixels") if rows.shape[1] - _BOX == (answer.classes or _COCO) else None


class _Where(NamedTuple):
    """How an answer is read: which output, whether it has a row a cell, and in which unit boxes are."""

    place: int
    is_turned: bool
    unit: Unit


def _head(answer: Answer, where: _Where, strides: tuple[int, ...], classes: int) -> Head:
    return seen_as(
        PADDED_RGB,
        answer,
        family=FAMILY,
        why=f"a box and {classes} classes for each cell of strides {', '.join(map(str, strides))}, without objectness; "
        f"boxes are {SAID[where.unit]}",
        size_step=strides[-1],
        classes=classes,
        class_columns=(ClassColumns(output=where.place, axis=2 if where.is_turned else 1, first=_BOX),),
        decode=functools.partial(_decode, where),
    )


def _rows(outputs: Sequence[NDArray[Any]], place: int, is_turned: bool) -> FloatArray:  # noqa: FBT001
    """(cells, 4 + classes)."""
    return outputs[place][0] if is_turned else outputs[place][0].T


def _decode(
    where: _Where, outputs: Sequence[NDArray[Any]], size: tuple[int, int], wanted: IntArray, floors: FloatArray
) -> Candidates:
    rows = _rows(outputs, where.place, where.is_turned)
    scale = scale_to(where.unit, size)
    return reaching(rows[:, picked(_BOX + wanted)], wanted, floors, lambda cells: corners(rows[cells, :_BOX]) * scale)
