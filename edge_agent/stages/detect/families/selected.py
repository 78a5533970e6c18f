"""Models that end in ONNX's NonMaxSuppression: all boxes, all scores, and which of them are chosen.

Source: onnx/onnx (Apache-2.0), operator NonMaxSuppression: scores a row a class, corners whose y comes before x, and
rows of picture, class and box; onnx/models (Apache-2.0), YOLOv3, which ends so.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_agent.records import FloatArray, IntArray
from edge_agent.stages.detect.head import PADDED_RGB, Answer, Candidates, Head, chosen, seen_as
from edge_agent.stages.detect.units import scale_to, told_unit

FAMILY = "nms-selected"

_CHOICE = 3  # picture, class, box
_Y_FIRST = [1, 0, 3, 2]
_CLEARLY = 2.0


def recognise(answer: Answer) -> Iterator[Head]:
    """Outputs `(1, N, 4)`, `(1, classes, N)` and whole numbers `(M, 3)` or `(1, M, 3)`."""
    shapes = answer.shapes
    choices = [
        place
        for place, output in enumerate(answer.outputs)
        if output.dtype.kind in "iu" and output.ndim in {2, 3} and output.shape[-1] == _CHOICE
    ]
    boxes = [place for place, shape in enumerate(shapes) if len(shape) == 3 and shape[2] == 4 and place not in choices]  # noqa: PLR2004
    if len(shapes) != 3 or len(choices) != 1 or len(boxes) != 1:  # noqa: PLR2004
        return
    scores = 3 - choices[0] - boxes[0]
    if len(shapes[scores]) != 3 or shapes[scores][2] != shapes[boxes[0]][1]:  # noqa: PLR2004
        return
    columns = [0, 1, 2, 3] if _x_first(answer.outputs[boxes[0]][0]) else _Y_FIRST
    said = "x before y" if columns != _Y_FIRST else "y before x"
    yield seen_as(
        PADDED_RGB,
        answer,
        family=FAMILY,
        why=f"{shapes[boxes[0]][1]} corners, {said}, scores of {shapes[scores][1]} classes, and which are chosen",
        size_step=32,
        classes=shapes[scores][1],
        suppresses=False,
        decode=functools.partial(_decode, (boxes[0], scores, choices[0]), columns),
    )


def _x_first(boxes: FloatArray) -> bool:
    """Whether the first coordinate is the one that changes from a box to its neighbour, which is beside it."""
    first, second = np.abs(np.diff(boxes[:, :2] + boxes[:, 2:], axis=0)).sum(axis=0)
    return bool(first > second * _CLEARLY)


def _decode(
    places: Sequence[int],
    columns: Sequence[int],
    outputs: Sequence[NDArray[Any]],
    size: tuple[int, int],
    wanted: IntArray,
    floors: FloatArray,
) -> Candidates:
    boxes, scores, choices = (outputs[place] for place in places)
    _pictures, labels, rows = choices.reshape(-1, _CHOICE).T
    there = (rows >= 0) & (labels >= 0)  # where fewer are chosen than there is room for, -1 stands
    labels, rows = labels[there], rows[there]
    corners = boxes[0][rows][:, columns]
    return chosen(corners * scale_to(told_unit(corners), size), scores[0][labels, rows], labels, wanted, floors)
