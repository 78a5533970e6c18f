"""DETR's descendants: RT-DETR, D-FINE, RF-DETR: some hundred things, each found once, so nothing is suppressed.

Source: Y. Zhao et al., "DETRs Beat YOLOs on Real-time Object Detection", arXiv:2304.08069, §4; outputs as
lyuwenyu/RT-DETR (Apache-2.0), Peterande/D-FINE (Apache-2.0) and roboflow/rf-detr (Apache-2.0) export them, and
huggingface/transformers (Apache-2.0).
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_agent.records import FloatArray, IntArray
from edge_agent.stages.detect.head import (
    IMAGENET_RGB,
    STRETCHED_RGB,
    Answer,
    Candidates,
    ClassColumns,
    Head,
    cells_of,
    corners,
    decode_numbered,
    picked,
    reaching,
    seen_as,
    sigmoid,
)

FAMILY = "detr"
DEPLOYED = "detr-deployed"

SIZE_INPUT = "orig_target_sizes"
"""What the deployed form wants to know besides the picture: the size in which boxes are to be given."""

_MOST_QUERIES = 1000


def recognise(answer: Answer) -> Iterator[Head]:
    """Class logits and boxes of queries; or what was made of them: `labels`, `boxes` and `scores`."""
    places = tuple(answer.place(name) for name in ("boxes", "scores", "labels"))
    if all(place is not None for place in places) and SIZE_INPUT in answer.extra_inputs:
        yield seen_as(
            STRETCHED_RGB,
            answer,
            family=DEPLOYED,
            why=f"outputs labels, boxes and scores, and a second input, {SIZE_INPUT}",
            size_step=32,
            classes=None,
            suppresses=False,
            decode=functools.partial(decode_numbered, tuple(place for place in places if place is not None)),
        )
        return
    shapes = answer.shapes
    if len(shapes) != 2 or any(len(shape) != 3 for shape in shapes) or shapes[0][1] != shapes[1][1]:  # noqa: PLR2004
        return
    if shapes[0][1] > _MOST_QUERIES or shapes[0][1] == cells_of(answer.size, _STRIDES):
        return
    boxes = next((index for index, shape in enumerate(shapes) if shape[2] == 4), None)  # noqa: PLR2004
    is_named = answer.place("pred_boxes", "dets") is not None
    if boxes is None or not (is_named or _lie_about_the_picture(answer.outputs[boxes])):
        return
    # RF-DETR has outputs `dets` and `labels`, and ImageNet's mean and spread; the others take 0..1.
    look = IMAGENET_RGB if answer.place("dets") is not None else STRETCHED_RGB
    classes = shapes[1 - boxes][2]
    yield seen_as(
        look,
        answer,
        "each class by itself",
        family=FAMILY,
        why=f"{shapes[boxes][1]} queries, each with a box and {classes} class logits",
        size_step=32,
        classes=classes,
        class_columns=(ClassColumns(output=1 - boxes, axis=2),),
        suppresses=False,
        decode=functools.partial(_decode, boxes),
    )


def _lie_about_the_picture(boxes: FloatArray) -> bool:
    """Whether centres (1, N, 2 of 4) are in 0..1 or near it, and sizes no less than 0; an SSD's offsets are not."""
    centres, sizes = boxes[..., :2], boxes[..., 2:]
    return bool((np.abs(centres - 0.5) <= 1).all() and (sizes >= 0).all())


def _decode(
    boxes: int, outputs: Sequence[NDArray[Any]], size: tuple[int, int], wanted: IntArray, floors: FloatArray
) -> Candidates:
    scores = sigmoid(outputs[1 - boxes][0][:, picked(wanted)])
    scale = np.array([size[0], size[1]] * 2, np.float32)
    return reaching(scores, wanted, floors, lambda queries: corners(outputs[boxes][0][queries] * scale))


_STRIDES = (8, 16, 32)  # who has as many boxes as these have cells is of another family
