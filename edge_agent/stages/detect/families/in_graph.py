"""Models whose graph suppresses by itself: a count and three tensors, or one list with a row a thing.

Source: NVIDIA/TensorRT (Apache-2.0), plugin `efficientNMSPlugin`, for the count, boxes, scores and classes, which
Deci-AI/super-gradients (Apache-2.0) gives as well, as "batch"; its "flat" list has the score before the class, that of
YOLOv7's exporter the class before the score. Boxes are pixels.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_agent.records import FloatArray, IntArray
from edge_agent.stages.detect.head import (
    PADDED_BGR,
    PADDED_RGB,
    Answer,
    Candidates,
    Decode,
    Head,
    Look,
    chosen,
    seen_as,
)

FAMILY = "nms-in-graph"
FLAT = "nms-flat-yolov7"
FLAT_NAS = "nms-flat-yolo-nas"

_COLUMNS = 7  # picture, left, top, right, bottom, and a score and a class in one order or the other


def recognise(answer: Answer) -> Iterator[Head]:
    """A count (1, 1), boxes (1, N, 4), scores (1, N) and classes (1, N); or one list (N, 7)."""
    shapes = answer.shapes
    if len(shapes) == 1 and len(shapes[0]) == 2 and shapes[0][1] == _COLUMNS:  # noqa: PLR2004
        yield from _flat(answer)
        return
    counts = [index for index, shape in enumerate(shapes) if shape == (1, 1)]
    boxes = [index for index, shape in enumerate(shapes) if len(shape) == 3 and shape[2] == 4]  # noqa: PLR2004
    if len(shapes) != 4 or len(counts) != 1 or len(boxes) != 1:  # noqa: PLR2004
        return
    rows = [index for index in range(4) if index not in {counts[0], boxes[0]}]
    if any(shapes[index] != shapes[boxes[0]][:2] for index in rows):
        return
    classes = [index for index in rows if answer.outputs[index].dtype.kind in "iu" or "class" in answer.names[index]]
    if len(classes) != 1:
        return
    (scores,) = (index for index in rows if index != classes[0])
    why = f"a count, and at most {shapes[boxes[0]][1]} boxes, scores and numbers of classes"
    yield _head(PADDED_RGB, answer, FAMILY, why, functools.partial(_decode, (counts[0], boxes[0], scores, classes[0])))


def _flat(answer: Answer) -> Iterator[Head]:
    rows = answer.outputs[0]
    # Scores are seldom whole numbers, and classes always: where something was found, it tells.
    for family, score, label, look in ((FLAT, 6, 5, PADDED_RGB), (FLAT_NAS, 5, 6, PADDED_BGR)):
        are_whole = bool((rows[:, label] == np.round(rows[:, label])).all())
        are_scores = bool(((rows[:, score] >= 0) & (rows[:, score] <= 1)).all())
        if are_whole and are_scores:
            why = f"a list of things with seven columns, the score in column {score} and the class in {label}"
            yield _head(look, answer, family, why, functools.partial(_decode_flat, score, label))


def _head(look: Look, answer: Answer, family: str, why: str, decode: Decode) -> Head:
    more = {"size_step": 32, "classes": None, "suppresses": False}
    return seen_as(look, answer, "boxes in pixels", family=family, why=why, decode=decode, **more)


def _decode(
    places: Sequence[int],
    outputs: Sequence[NDArray[Any]],
    _size: tuple[int, int],
    wanted: IntArray,
    floors: FloatArray,
) -> Candidates:
    count, boxes, scores, classes = (outputs[place][0] for place in places)
    found = int(count[0])
    return chosen(boxes[:found], scores[:found], classes[:found], wanted, floors)


def _decode_flat(
    score: int,
    label: int,
    outputs: Sequence[NDArray[Any]],
    _size: tuple[int, int],
    wanted: IntArray,
    floors: FloatArray,
) -> Candidates:
    rows = outputs[0]
    return chosen(rows[:, 1:5], rows[:, score], rows[:, label], wanted, floors)
