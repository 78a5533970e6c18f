"""RT-DETR as some exporters join it: a row a query: centre, size and class scores, each thing found once.

Source: the shape of what they export, as those who use such files describe it; not tried with trained weights. Boxes
are parts of the picture, scores 0..1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from numpy.typing import NDArray

from edge_agent.records import FloatArray, IntArray
from edge_agent.stages.detect.families.in_graph import are_cells, are_things
from edge_agent.stages.detect.head import (
    STRETCHED_RGB,
    Answer,
    Candidates,
    ClassColumns,
    Head,
    corners,
    picked,
    reaching,
    seen_as,
)
from edge_agent.stages.detect.units import are_parts, scale_to

FAMILY = "detr-rows"

_MOST_QUERIES = 1000
_BOX = 4


def recognise(answer: Answer) -> Iterator[Head]:
    """One output `(1, rows, 4 + classes)` with up to a thousand rows, of which nothing is more than the picture."""
    if len(answer.shapes) != 1 or len(answer.shapes[0]) != 3:  # noqa: PLR2004
        return
    _batch, rows, columns = answer.shapes[0]
    if columns <= _BOX or rows > _MOST_QUERIES or are_cells(rows, answer.size):
        return
    numbers = answer.outputs[0][0]
    scores = numbers[:, _BOX:]
    if not numbers.any() or not are_parts(numbers) or not ((scores >= 0) & (scores <= 1)).all():
        return
    if columns == _BOX + 2 and are_things(numbers, 4, 5):  # a score and the number of a class
        return
    classes = columns - _BOX
    yield seen_as(
        STRETCHED_RGB,
        answer,
        family=FAMILY,
        why=f"{rows} queries, each with a box in parts of the picture and scores of {classes} classes",
        size_step=32,
        classes=classes,
        class_columns=(ClassColumns(output=0, axis=2, first=_BOX),),
        suppresses=False,
        decode=_decode,
    )


def _decode(outputs: Sequence[NDArray[Any]], size: tuple[int, int], wanted: IntArray, floors: FloatArray) -> Candidates:
    rows = outputs[0][0]
    scale = scale_to("parts", size)
    return reaching(
        rows[:, picked(_BOX + wanted)], wanted, floors, lambda queries: corners(rows[queries, :_BOX]) * scale
    )
