"""EfficientDet as AutoML exports it: a row a thing: picture, corners whose y comes first, score and class.

Source: google/automl (Apache-2.0), `efficientdet/README.md`: `detections` (1, N, 7), corners in pixels, classes from 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from numpy.typing import NDArray

from edge_agent.records import FloatArray, IntArray
from edge_agent.stages.detect.families.in_graph import are_cells, are_things
from edge_agent.stages.detect.head import IMAGENET_RGB, Answer, Candidates, Head, chosen, seen_as
from edge_agent.stages.detect.units import scale_to, told_unit

FAMILY = "efficientdet"

_COLUMNS = 7
_SCORE, _CLASS = 5, 6
_LOOK = replace(IMAGENET_RGB, resize="letterbox")


def recognise(answer: Answer) -> Iterator[Head]:
    """One output `(1, N, 7)`, a score before a class."""
    if len(answer.shapes) != 1 or len(answer.shapes[0]) != 3 or answer.shapes[0][2] != _COLUMNS:  # noqa: PLR2004
        return
    if are_cells(answer.shapes[0][1], answer.size) or not are_things(answer.outputs[0][0], _SCORE, _CLASS):
        return
    yield seen_as(
        _LOOK,
        answer,
        "numbers of classes begin with 1",
        family=FAMILY,
        why=f"at most {answer.shapes[0][1]} things, each with its picture, corners, y before x, a score and its class",
        size_step=32,
        classes=None,
        coco=90,
        suppresses=False,
        decode=_decode,
    )


def _decode(outputs: Sequence[NDArray[Any]], size: tuple[int, int], wanted: IntArray, floors: FloatArray) -> Candidates:
    rows = outputs[0][0]
    boxes = rows[:, [2, 1, 4, 3]]
    return chosen(boxes * scale_to(told_unit(boxes), size), rows[:, _SCORE], rows[:, _CLASS] - 1, wanted, floors)
