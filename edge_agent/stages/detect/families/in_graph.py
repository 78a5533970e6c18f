"""Models whose graph suppresses by itself: three tensors, most often with a count, or one list with a row a thing.

Source: NVIDIA/TensorRT (Apache-2.0), plugin `efficientNMSPlugin`, for the count, boxes, scores and classes, which
Deci-AI/super-gradients (Apache-2.0) gives as well, as "batch"; its "flat" list has the score before the class, that of
YOLOv7's exporter the class before the score. onnx/models (Apache-2.0), SSD, for three tensors without a count. Boxes
are pixels, or parts of the picture where none reaches further.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_agent.records import FloatArray, IntArray
from edge_agent.stages.detect import more_inputs
from edge_agent.stages.detect.head import (
    PADDED_BGR,
    PADDED_RGB,
    Answer,
    Candidates,
    Decode,
    Head,
    Look,
    cells_of,
    chosen,
    seen_as,
)
from edge_agent.stages.detect.units import are_parts, scale_to, told_unit

FAMILY = "nms-in-graph"
FLAT = "nms-flat-yolov7"
FLAT_NAS = "nms-flat-yolo-nas"

_GRIDS = ((8, 16, 32), (8, 16, 32, 64), (4, 8, 16, 32))
_COLUMNS = 7  # picture, left, top, right, bottom, and a score and a class in one order or the other


def recognise(answer: Answer) -> Iterator[Head]:
    """Boxes (1, N, 4), scores (1, N) and classes (1, N), with a count or without; or one list (N, 7) or (1, N, 7)."""
    shapes = answer.shapes
    if len(shapes) == 1 and len(shapes[0]) in {2, 3} and shapes[0][-1] == _COLUMNS:
        yield from _flat(answer)
        return
    boxes = [index for index, shape in enumerate(shapes) if len(shape) == 3 and shape[2] == 4]  # noqa: PLR2004
    if len(boxes) != 1 or more_inputs.TARGET_SIZES in answer.extra_inputs:
        return
    count = _count(answer, answer.outputs[boxes[0]])
    rows = [index for index in range(len(shapes)) if index not in {count, boxes[0]}]
    if len(rows) != 2 or any(shapes[index] != shapes[boxes[0]][:2] for index in rows):  # noqa: PLR2004
        return
    classes = [index for index in rows if _are_classes(answer, index)]
    if len(classes) != 1:
        return
    things = f"at most {shapes[boxes[0]][1]} boxes, scores and numbers of classes"
    why = f"{things}, and no count" if count is None else f"a count, and {things}"
    places = (boxes[0], sum(rows) - classes[0], classes[0])
    yield _head(PADDED_RGB, answer, FAMILY, why, functools.partial(_decode, count, places))


def _count(answer: Answer, boxes: FloatArray) -> int | None:
    """Which output says how many there are; TensorFlow Lite's own is a float beside boxes that are no pixels."""
    for index, output in enumerate(answer.outputs):
        is_whole = output.dtype.kind in "iu"
        if output.shape == (1, 1) or (output.shape in {(1,), ()} and (is_whole or not are_parts(boxes))):
            return index
    return None


def _are_classes(answer: Answer, index: int) -> bool:
    name = answer.names[index].lower()
    return answer.outputs[index].dtype.kind in "iu" or "class" in name or "label" in name


def are_cells(rows: int, size: tuple[int, int]) -> bool:
    """Whether so many rows are the cells of a picture of that width and height, and no list of things."""
    return rows in {cells_of(size, strides) for strides in _GRIDS}


def are_things(rows: FloatArray, score: int, label: int) -> bool:
    """Whether columns of a list (N, …) may be those: scores are seldom whole, and numbers of classes always."""
    are_whole = bool((rows[:, label] == np.round(rows[:, label])).all())
    return are_whole and bool(((rows[:, score] >= 0) & (rows[:, score] <= 1)).all())


def _flat(answer: Answer) -> Iterator[Head]:
    if answer.outputs[0].ndim == 3 and are_cells(answer.shapes[0][1], answer.size):  # noqa: PLR2004
        return
    for family, score, label, look in ((FLAT, 6, 5, PADDED_RGB), (FLAT_NAS, 5, 6, PADDED_BGR)):
        if family == FLAT_NAS and answer.outputs[0].ndim == 3:  # noqa: PLR2004
            continue  # that form is EfficientDet's
        if are_things(answer.outputs[0].reshape(-1, _COLUMNS), score, label):
            why = f"a list of things with seven columns, the score in column {score} and the class in {label}"
            yield _head(look, answer, family, why, functools.partial(_decode_flat, score, label))


def _head(look: Look, answer: Answer, family: str, why: str, decode: Decode) -> Head:
    more = {"size_step": 32, "classes": None, "suppresses": False}
    return seen_as(
        look, answer, "boxes in pixels, if one reaches so far", family=family, why=why, decode=decode, **more
    )


def _decode(
    count: int | None,
    places: Sequence[int],
    outputs: Sequence[NDArray[Any]],
    size: tuple[int, int],
    wanted: IntArray,
    floors: FloatArray,
) -> Candidates:
    boxes, scores, classes = (outputs[place][0] for place in places)
    found = len(scores) if count is None else int(outputs[count].ravel()[0])
    boxes = boxes[:found]
    return chosen(boxes * scale_to(told_unit(boxes), size), scores[:found], classes[:found], wanted, floors)


def _decode_flat(
    score: int,
    label: int,
    outputs: Sequence[NDArray[Any]],
    _size: tuple[int, int],
    wanted: IntArray,
    floors: FloatArray,
) -> Candidates:
    rows = outputs[0].reshape(-1, _COLUMNS)
    return chosen(rows[:, 1:5], rows[:, score], rows[:, label], wanted, floors)
