"""NanoDet-Plus: one row a cell of four grids, class scores first, then the four sides' distributions.

Source: RangiLyu/nanodet (Apache-2.0), `nanodet_plus_head.py`: the scores are 0..1 in what it exports, and a cell's
point is its top left corner.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import Any

from numpy.typing import NDArray

from edge_agent.records import FloatArray, IntArray
from edge_agent.stages.detect.families.nanodet import BINS, LOOK, boxes_around, grid_of
from edge_agent.stages.detect.head import (
    Answer,
    Candidates,
    ClassColumns,
    Head,
    cells_of,
    picked,
    reaching,
    seen_as,
)

FAMILY = "nanodet-plus"

_STRIDES = (8, 16, 32, 64)
_SIDES = 4


def recognise(answer: Answer) -> Iterator[Head]:
    """One output `(1, cells, classes + 4 * bins)` with as many cells as the four grids have."""
    if len(answer.shapes) != 1 or len(answer.shapes[0]) != 3:  # noqa: PLR2004
        return
    _batch, cells, columns = answer.shapes[0]
    if cells != cells_of(answer.size, _STRIDES):
        return
    for bins in sorted(BINS):
        if columns > _SIDES * bins:
            classes = columns - _SIDES * bins
            yield seen_as(
                LOOK,
                answer,
                family=FAMILY,
                why=f"cells of strides 8, 16, 32 and 64, each {classes} classes and 4 x {bins} bins",
                size_step=_STRIDES[-2],
                classes=classes,
                class_columns=(ClassColumns(output=0, axis=2),),
                decode=functools.partial(_decode, classes),
            )


def _decode(
    classes: int, outputs: Sequence[NDArray[Any]], size: tuple[int, int], wanted: IntArray, floors: FloatArray
) -> Candidates:
    rows = outputs[0][0]
    grid = grid_of(size, _STRIDES, 0.0)
    return reaching(
        rows[:, picked(wanted)], wanted, floors, lambda cells: boxes_around(rows[cells, classes:], cells, grid)
    )
