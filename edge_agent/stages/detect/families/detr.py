"""DETR and its descendants, RT-DETR, D-FINE, RF-DETR: some hundred things, each found once, so nothing is suppressed.

Most judge each class by itself, DETR and YOLOS all together with a last one that means nothing there; there that one is
the largest of nearly every query. Some give numbers of 0..1, which are scores already.

Source: N. Carion et al., "End-to-End Object Detection with Transformers", arXiv:2005.12872, §3; Y. Zhao et al., "DETRs
Beat YOLOs on Real-time Object Detection", arXiv:2304.08069, §4; outputs as lyuwenyu/RT-DETR, Peterande/D-FINE,
roboflow/rf-detr, facebookresearch/detr and huggingface/transformers (all Apache-2.0) export them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_agent.records import FloatArray, IntArray
from edge_agent.stages.detect import more_inputs
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
from edge_agent.stages.detect.units import scale_to

FAMILY = "detr"
DEPLOYED = "detr-deployed"

_MOST_QUERIES = 1000

Scores = Callable[[FloatArray], FloatArray]


def recognise(answer: Answer) -> Iterator[Head]:
    """Class logits (1, N, classes) and boxes (1, N, 4) of queries; or what was made of them, once it knows the size."""
    if more_inputs.TARGET_SIZES in answer.extra_inputs and (deployed := _deployed(answer)):
        yield seen_as(
            STRETCHED_RGB,
            answer,
            family=DEPLOYED,
            why=f"labels, boxes and scores, and a second input, {more_inputs.TARGET_SIZES}",
            size_step=32,
            classes=None,
            suppresses=False,
            decode=functools.partial(decode_numbered, deployed),
        )
        return
    found = _places(answer)
    if found is None:
        return
    boxes, classes = found
    columns = answer.shapes[classes][2]
    read = _judge(answer.outputs[classes][0])
    if read is softmax:
        yield _head(answer, boxes, classes, columns - 1, read)
        return
    # Where labels are one fewer, the last column means nothing is there, as RF-DETR's does.
    is_last_nothing = columns > 1 and answer.classes == columns - 1
    yield _head(answer, boxes, classes, columns - is_last_nothing, read)


def _deployed(answer: Answer) -> tuple[int, int, int] | None:
    """Where boxes (1, N, 4), scores (1, N) and numbers of classes (1, N) are: by name, else by form."""
    named = [answer.place(name) for name in ("boxes", "scores", "labels")]
    if None not in named:
        boxes, scores, labels = (place for place in named if place is not None)
        return boxes, scores, labels
    outputs = list(enumerate(answer.outputs))
    corners_of = [place for place, output in outputs if output.ndim == 3 and output.shape[2] == 4]  # noqa: PLR2004
    whole = [place for place, output in outputs if output.dtype.kind in "iu"]
    if len(outputs) != 3 or len(corners_of) != 1 or len(whole) != 1:  # noqa: PLR2004
        return None
    return corners_of[0], 3 - corners_of[0] - whole[0], whole[0]


def _places(answer: Answer) -> tuple[int, int] | None:
    """Where boxes and classes are: by their names, else of two outputs those whose numbers lie in the picture."""
    shapes = answer.shapes
    for names in _NAMES:
        boxes, classes = (answer.place(name) for name in names)
        if boxes is not None and classes is not None and _fit(shapes[boxes], shapes[classes], answer.size):
            return boxes, classes
    if len(shapes) != 2:  # noqa: PLR2004
        return None
    ways = [pair for pair in ((0, 1), (1, 0)) if _fit(shapes[pair[0]], shapes[pair[1]], answer.size)]
    fitting = (
        pair
        for pair in ways
        if _lie_about_the_picture(answer.outputs[pair[0]]) and _say_nothing(answer.outputs[pair[1]][0])
    )
    return next(fitting, None)


def _fit(boxes: tuple[int, ...], classes: tuple[int, ...], size: tuple[int, int]) -> bool:
    """Whether they are so many queries, and not cells of grids, which are another family's."""
    if len(boxes) != 3 or len(classes) != 3 or boxes[1] != classes[1] or boxes[2] != 4:  # noqa: PLR2004
        return False
    return boxes[1] <= _MOST_QUERIES and boxes[1] not in {cells_of(size, _STRIDES), cells_of(size, _FOUR_STRIDES)}


def _head(answer: Answer, boxes: int, place: int, classes: int, read: Scores) -> Head:
    # RF-DETR has outputs `dets` and `labels`, and ImageNet's mean and spread, as DETR; the others take 0..1.
    look = IMAGENET_RGB if answer.place("dets") is not None or read is softmax else STRETCHED_RGB
    columns = answer.shapes[place][2]
    last = "" if classes == columns else ", and a last column for nothing"
    return seen_as(
        look,
        answer,
        "all classes together" if read is softmax else "each class by itself",
        family=FAMILY,
        why=f"{answer.shapes[boxes][1]} queries, each with a box and {classes} class "
        f"{'scores' if read is as_they_are else 'logits'}{last}",
        size_step=32,
        classes=classes,
        class_columns=() if read is softmax else (ClassColumns(output=place, axis=2),),
        suppresses=False,
        decode=functools.partial(_decode, (boxes, place), read),
    )


def _judge(numbers: FloatArray) -> Scores:
    """What makes scores of the numbers of queries, (N, columns)."""
    if bool(((numbers >= 0) & (numbers <= 1)).all()):
        return as_they_are
    is_last = numbers[:, -1:] > numbers[:, :-1]
    return softmax if numbers.shape[1] > 1 and is_last.all(axis=1).mean() >= _NEARLY_ALL else sigmoid


def softmax(numbers: FloatArray) -> FloatArray:
    """Logits (N, columns), of which one is right, as 0..1."""
    weights = np.exp(numbers - np.max(numbers, axis=1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), np.float32)


def as_they_are(numbers: FloatArray) -> FloatArray:
    """Scores."""
    return numbers


def _lie_about_the_picture(boxes: FloatArray) -> bool:
    """Whether centres (1, N, 2 of 4) are in 0..1 or near it, and sizes no less than 0; an SSD's offsets are not."""
    centres, sizes = boxes[..., :2], boxes[..., 2:]
    return bool((np.abs(centres - 0.5) <= 1).all() and (sizes >= 0).all())


def _say_nothing(numbers: FloatArray) -> bool:
    """Whether of queries, (N, columns), half or more see nothing in a picture of nothing; offsets would not say so."""
    read = _judge(numbers)
    return read is softmax or bool((np.max(read(numbers), axis=1) < _SURE).mean() >= _HALF)


def _decode(
    places: tuple[int, int],
    read: Scores,
    outputs: Sequence[NDArray[Any]],
    size: tuple[int, int],
    wanted: IntArray,
    floors: FloatArray,
) -> Candidates:
    boxes, numbers = (outputs[place][0] for place in places)
    scores = read(numbers)[:, picked(wanted)]
    return reaching(scores, wanted, floors, lambda queries: corners(boxes[queries]) * scale_to("parts", size))


_NAMES = (("pred_boxes", "logits"), ("pred_boxes", "pred_logits"), ("dets", "labels"))
_STRIDES = (8, 16, 32)  # who has as many boxes as these have cells is of another family
_FOUR_STRIDES = (8, 16, 32, 64)
_SURE = 0.5
_HALF = 0.5
_NEARLY_ALL = 0.8  # of the queries, to a picture of nothing
