"""What DeepStream is given: a row a cell with its best class only, not suppressed.

Source: marcoslucianops/DeepStream-Yolo (MIT), `utils/export_damoyolo.py`, for YOLO of every kind: corners, score and
number of the class, in one tensor of six columns or, in older versions, in three. Boxes are pixels.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_agent.records import FloatArray, IntArray
from edge_agent.stages.detect.head import (
    PADDED_RGB,
    Answer,
    Candidates,
    Decode,
    Head,
    cells_of,
    chosen,
    decode_numbered,
    seen_as,
)

FAMILY = "deepstream"

_COLUMNS = 6
_GRIDS = ((8, 16, 32), (8, 16, 32, 64))
_BOXES = (1, 3)  # a cell


def recognise(answer: Answer) -> Iterator[Head]:
    """One output `(1, rows, 6)`, or three, `(1, rows, 4)` and twice `(1, rows, 1)`, with rows as grids have cells."""
    shapes = answer.shapes
    if not shapes or any(len(shape) != 3 or shape[1] != shapes[0][1] for shape in shapes):  # noqa: PLR2004
        return
    if shapes[0][1] not in {cells_of(answer.size, strides) * boxes for strides in _GRIDS for boxes in _BOXES}:
        return
    if len(shapes) == 1 and shapes[0][2] == _COLUMNS and _are_things(answer.outputs[0][0], answer.classes):
        yield _head(answer, "one row", _decode)
    if sorted(shape[2] for shape in shapes) != [1, 1, 4]:
        return
    boxes = next(place for place, shape in enumerate(shapes) if shape[2] == 4)  # noqa: PLR2004
    rest = [place for place in range(3) if place != boxes]
    whole = [place for place in rest if bool((answer.outputs[place] == np.round(answer.outputs[place])).all())]
    labels = [place for place in rest if answer.place("classes", "labels") == place] or whole
    if len(labels) == 1:
        places = (boxes, sum(rest) - labels[0], labels[0])
        yield _head(answer, "a row in three outputs", functools.partial(decode_numbered, places))


def _are_things(rows: FloatArray, classes: int | None) -> bool:
    """Whether all are corners in order, a score, and a whole number that counts classes."""
    left, top, right, bottom, scores, labels = rows.T
    are_in_order = bool((right >= left).all() and (bottom >= top).all())
    are_scores = bool(((scores >= 0) & (scores <= 1)).all())
    are_labels = bool(((labels == np.round(labels)) & (labels >= 0)).all())
    # Zeros alone may be scores of a class that is nowhere: only labels that are told can speak for them.
    return are_in_order and are_scores and are_labels and (bool(labels.any()) or classes is not None)


def _head(answer: Answer, row: str, decode: Decode) -> Head:
    return seen_as(
        PADDED_RGB,
        answer,
        "boxes in pixels",
        family=FAMILY,
        why=f"{row} for each of {answer.shapes[0][1]} boxes of its grids: corners, a score and the number of its class",
        size_step=32,
        classes=None,
        decode=decode,
    )


def _decode(
    outputs: Sequence[NDArray[Any]], _size: tuple[int, int], wanted: IntArray, floors: FloatArray
) -> Candidates:
    rows = outputs[0][0]
    return chosen(rows[:, :4], rows[:, 4], rows[:, 5], wanted, floors)
