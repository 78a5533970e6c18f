"""YOLOv5 and YOLOv7 as accelerators' toolchains like them: raw maps, one a stride, before grid and anchors are applied.

Which anchors a model was trained with, no graph says: a person's file does, or those of the family that is named are
taken.

Source: the anchors as airockchip/rknn_model_zoo (Apache-2.0) lists them, for a model of the usual training on COCO; how
boxes are made of them as those who use such files describe it; not tried with trained weights.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_agent.records import FloatArray, IntArray
from edge_agent.stages.detect.families.yolox import BOX_AND_OBJECTNESS
from edge_agent.stages.detect.head import (
    PADDED_RGB,
    Answer,
    Candidates,
    ClassColumns,
    Head,
    above,
    corners,
    seen_as,
    sigmoid,
)

FAMILY = "yolov5-maps"
YOLOV7 = "yolov7-maps"

_ANCHORS = {
    FAMILY: {
        8: ((10, 13), (16, 30), (33, 23)),
        16: ((30, 61), (62, 45), (59, 119)),
        32: ((116, 90), (156, 198), (373, 326)),
    },
    YOLOV7: {
        8: ((12, 16), (19, 36), (40, 28)),
        16: ((36, 75), (76, 55), (72, 146)),
        32: ((142, 110), (192, 243), (459, 401)),
    },
}
"""Family -> stride -> width and height of the three boxes of a cell, in pixels of the model's input."""

_NAMES = {FAMILY: "YOLOv5", YOLOV7: "YOLOv7"}
_BOXES = 3  # a cell
_STRIDES = (8, 16, 32)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reading:
    """How the maps are read.

    Attributes:
        places: of the map of each stride among the outputs.
        anchors: of each stride.
        are_logits: whether the sigmoid is still to be taken.
    """

    places: Mapping[int, int]
    anchors: Mapping[int, Sequence[tuple[float, float]]]
    are_logits: bool


def recognise(answer: Answer) -> Iterator[Head]:
    """Three maps, `(1, 3 * (5 + classes), rows, columns)` or `(1, 3, rows, columns, 5 + classes)`, one a stride.

    Raises:
        ValueError: the anchors that a person names are none of such a model.
    """
    places = {stride: place for stride in _STRIDES if (place := _place(answer, stride)) is not None}
    widths = {_numbers(answer.shapes[place]) for place in places.values()}
    if len(answer.shapes) != len(_STRIDES) or len(places) != len(_STRIDES) or len(widths) != 1:
        return
    classes = widths.pop() - BOX_AND_OBJECTNESS
    if classes < 1 or set(answer.told.keys) - {"model.anchors"}:
        return
    own = _own_anchors(answer)
    are_logits = any(bool((output < 0).any() or (output > 1).any()) for output in answer.outputs)
    for family, anchors in _ANCHORS.items():
        whose = f"anchors from {answer.told.origin}" if own else f"{_NAMES[family]}'s anchors"
        yield seen_as(
            PADDED_RGB,
            answer,
            "YOLOv5's way to count boxes from anchors, not v3's"
            if own
            else f"{whose} and its way to count boxes from them",
            family=family,
            why=f"maps of strides 8, 16 and 32 with three boxes a cell, each with objectness and {classes} classes, "
            f"{'logits' if are_logits else 'the sigmoid taken'}; {whose}",
            size_step=_STRIDES[-1],
            classes=classes,
            class_columns=tuple(_class_columns(answer, place) for place in places.values()),
            decode=functools.partial(_decode, _Reading(places=places, anchors=own or anchors, are_logits=are_logits)),
        )


def _own_anchors(answer: Answer) -> dict[int, list[tuple[float, float]]] | None:
    """A person's anchors, by stride: widths and heights in pixels, three a stride, the finest first."""
    told = answer.told
    if told.anchors is None:
        return None
    what = f"model.anchors: the numbers in {told.origin}"
    if told.anchors.size != 2 * _BOXES * len(_STRIDES) or told.anchors.shape[1] % 2:
        shape = " x ".join(map(str, told.anchors.shape))
        raise ValueError(f"{what} are {shape}, and maps of three strides take nine widths and heights")
    sizes = told.anchors.reshape(len(_STRIDES), _BOXES, 2)
    areas = sizes.prod(axis=2).mean(axis=1)
    if not (sizes > 0).all() or not (np.diff(areas) > 0).all():
        raise ValueError(f"{what} are no widths and heights that grow from stride to stride")
    if float(np.max(sizes)) < _STRIDES[-1]:
        raise ValueError(f"{what} are all less than {_STRIDES[-1]}; widths and heights are to be in pixels, not cells")
    return {stride: [(float(w), float(h)) for w, h in sizes[place]] for place, stride in enumerate(_STRIDES)}


def _class_columns(answer: Answer, place: int) -> ClassColumns:
    if len(answer.shapes[place]) == 5:  # noqa: PLR2004
        return ClassColumns(output=place, axis=4, first=BOX_AND_OBJECTNESS)
    return ClassColumns(output=place, axis=1, first=BOX_AND_OBJECTNESS, groups=_BOXES)


def _place(answer: Answer, stride: int) -> int | None:
    """Which output has as many rows and columns as the picture has cells of that stride."""
    width, height = (-(-side // stride) for side in answer.size)
    for place, shape in enumerate(answer.shapes):
        if _numbers(shape) and (shape[2], shape[3]) == (height, width):
            return place
    return None


def _numbers(shape: tuple[int, ...]) -> int:
    """How many numbers a map has for each box; 0 where it is no such map."""
    if len(shape) == 5 and shape[1] == _BOXES:  # noqa: PLR2004
        return shape[4]
    return shape[1] // _BOXES if len(shape) == 4 and shape[1] % _BOXES == 0 else 0  # noqa: PLR2004


def _decode(
    reading: _Reading, outputs: Sequence[NDArray[Any]], _size: tuple[int, int], wanted: IntArray, floors: FloatArray
) -> Candidates:
    found = [_read(reading, stride, outputs[reading.places[stride]], wanted, floors) for stride in _STRIDES]
    return Candidates(
        boxes=np.concatenate([one.boxes for one in found]),
        scores=np.concatenate([one.scores for one in found]),
        label_ids=np.concatenate([one.label_ids for one in found]),
    )


def _read(reading: _Reading, stride: int, output: NDArray[Any], wanted: IntArray, floors: FloatArray) -> Candidates:
    """What the map of one stride shows."""
    boxes = _by_box(output)
    objectness = sigmoid(boxes[..., 4]) if reading.are_logits else boxes[..., 4]
    # A score is objectness times that of a class, so it is no more than the objectness.
    anchors, rows, columns = np.nonzero(objectness >= np.min(floors, initial=np.inf))
    likely = boxes[anchors, rows, columns]  # (N, 5 + classes)
    parts = sigmoid(likely) if reading.are_logits else likely
    scores = parts[:, 4:5] * parts[:, BOX_AND_OBJECTNESS + wanted]  # (N, K)
    kept, labels = above(scores, floors)
    cells = np.stack([columns, rows], axis=1)[kept]
    centres = (2 * parts[kept, 0:2] - 0.5 + cells) * stride
    sizes = (2 * parts[kept, 2:4]) ** 2 * np.array(reading.anchors[stride], np.float32)[anchors[kept]]
    return Candidates(
        boxes=corners(np.concatenate([centres, sizes], axis=1)),
        scores=scores[kept, labels].astype(np.float32, copy=False),
        label_ids=wanted[labels],
    )


def _by_box(output: NDArray[Any]) -> NDArray[Any]:
    """A map as (3, rows, columns, 5 + classes), whichever way it lies."""
    if output.ndim == 5:  # noqa: PLR2004
        return output[0]
    _batch, channels, rows, columns = output.shape
    return output.reshape(_BOXES, channels // _BOXES, rows, columns).transpose(0, 2, 3, 1)
