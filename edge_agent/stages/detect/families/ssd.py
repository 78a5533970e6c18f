"""SSD: offsets and class scores for a fixed list of anchors, which the graph carries as a constant output.

Offsets are of one of two kinds. Usually they are of an anchor's centre and size, times the scales of the box coder,
which bring them to about 1. Else they are of its corners, as parts of its width and height; a thing overlaps its anchor
by half or more, so they stay well below 1. Either can have y before x or x before y; an anchor's neighbour in the list
is beside it in the picture, so x is what changes most from one to the next.

Source: W. Liu et al., "SSD: Single Shot MultiBox Detector", ECCV 2016, §2; the box coder and its scales as in
tensorflow/models, object_detection/box_coders/faster_rcnn_box_coder.py (Apache-2.0). Corners: found by measuring on
the detector of STMicroelectronics' model zoo, whose offsets have a root mean square of 0.16 for a black picture, and
SSDLite MobileNetV2's one of 1.7.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_agent.records import FloatArray, IntArray
from edge_agent.stages.detect.head import HALF_RANGE_RGB, Answer, Candidates, ClassColumns, Head, above, seen_as

FAMILY = "ssd"

_CENTRE_SCALE = 10.0  # offsets of the centre are learnt ten times as large
_SIZE_SCALE = 5.0
_MOST_OF_A_SIDE = 0.5  # root mean square of offsets that are parts of an anchor's side, at most

_ACROSS = [1, 0, 3, 2]  # exchanges x and y of corners or offsets

Boxes = Callable[[FloatArray, FloatArray], FloatArray]
"""Offsets (N, 4) on anchors (N, 4), both y before x, to boxes (N, 4) xyxy, all in 0..1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Places:
    """Where among the outputs what is."""

    encodings: int
    scores: int
    anchors: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reading:
    """How an answer is read: columns that bring y before x, what makes boxes, and what chooses rows by their scores."""

    places: _Places
    columns: list[int]
    boxes: Boxes
    choose: Callable[[FloatArray, FloatArray], tuple[IntArray, IntArray, FloatArray]]


def recognise(answer: Answer) -> Iterator[Head]:
    """Class scores (1, A, classes), offsets (1, A, 4) and anchors (A, 4) or (1, A, 4), whose corners are in order."""
    places = _places(answer)
    if places is None:
        return
    scores = answer.outputs[places.scores]
    classes = scores.shape[-1]
    are_logits = bool((scores < 0).any() or (scores > 1).any())
    are_corners = _are_parts(answer.outputs[places.encodings])
    x_first = _x_first(answer.outputs[places.anchors].reshape(-1, 4))
    reading = _Reading(
        places=places,
        columns=_ACROSS if x_first else sorted(_ACROSS),
        boxes=_boxes_by_corners if are_corners else _boxes_by_centres,
        choose=_by_logits if are_logits else _by_scores,
    )
    told_by = "corners" if are_corners else "centres and sizes"
    yield seen_as(
        HALF_RANGE_RGB,
        answer,
        *(() if are_corners else ("box scales 10, 10, 5, 5",)),
        family=FAMILY,
        why=f"{scores.shape[-2]} anchors, each with a box and {classes} class {'logits' if are_logits else 'scores'}; "
        f"boxes are offsets of {told_by}, {'x before y' if x_first else 'y before x'}",
        classes=classes,
        class_columns=(ClassColumns(output=places.scores, axis=2),),
        decode=functools.partial(_decode, reading),
    )


def _places(answer: Answer) -> _Places | None:
    shapes = answer.shapes
    if len(shapes) != 3 or len({shape[-2] for shape in shapes if len(shape) in {2, 3}}) != 1:  # noqa: PLR2004
        return None
    named = [answer.place(name) for name in ("box_encodings", "class_logits", "anchors")]
    if None not in named:
        encodings, scores, anchors = (place for place in named if place is not None)
        return _Places(encodings=encodings, scores=scores, anchors=anchors)
    boxes = [index for index, shape in enumerate(shapes) if shape[-1:] == (4,)]
    if len(boxes) != 2:  # noqa: PLR2004
        return None
    are_anchors = [_are_boxes(answer.outputs[index].reshape(-1, 4)) for index in boxes]
    if are_anchors[0] == are_anchors[1]:
        return None
    anchors = boxes[are_anchors.index(True)]
    return _Places(encodings=sum(boxes) - anchors, scores=3 - sum(boxes), anchors=anchors)


def _are_boxes(numbers: FloatArray) -> bool:
    """Whether all are corners of boxes that lie about the picture, in 0..1 of it."""
    return bool((numbers[:, 2:] > numbers[:, :2]).all() and (np.abs(numbers) <= 2).all())  # noqa: PLR2004


def _are_parts(offsets: FloatArray) -> bool:
    """Whether offsets are parts of anchors' sides; without any there is no difference."""
    return 0 < float(np.sqrt(np.mean(np.square(offsets)))) <= _MOST_OF_A_SIDE


def _x_first(anchors: FloatArray) -> bool:
    """Whether the first coordinate of the centres changes more from an anchor to the next than the second."""
    first, second = np.abs(np.diff(anchors[:, :2] + anchors[:, 2:], axis=0)).sum(axis=0)
    return bool(first > second)


def _decode(
    reading: _Reading,
    outputs: Sequence[NDArray[Any]],
    size: tuple[int, int],
    wanted: IntArray,
    floors: FloatArray,
) -> Candidates:
    places = reading.places
    rows, columns, scores = reading.choose(outputs[places.scores][0][:, wanted], floors)
    anchors = outputs[places.anchors].reshape(-1, 4)[rows][:, reading.columns]
    offsets = outputs[places.encodings][0][rows][:, reading.columns]
    boxes = reading.boxes(offsets, anchors)  # 0..1: the picture is stretched over the whole input
    return Candidates(boxes=boxes * np.array(size * 2, np.float32), scores=scores, label_ids=wanted[columns])


def _by_scores(scores: FloatArray, floors: FloatArray) -> tuple[IntArray, IntArray, FloatArray]:
    rows, columns = above(scores, floors)
    return rows, columns, scores[rows, columns]


def _by_logits(logits: FloatArray, floors: FloatArray) -> tuple[IntArray, IntArray, FloatArray]:
    # Comparing logits spares the sigmoid of every anchor: it is monotonic.
    rows, columns = above(logits, _logit(floors))
    return rows, columns, (1 / (1 + np.exp(-logits[rows, columns]))).astype(np.float32, copy=False)


def _boxes_by_centres(encodings: FloatArray, anchors: FloatArray) -> FloatArray:
    """Offsets ty, tx, th, tw on anchors ymin, xmin, ymax, xmax."""
    top, left, bottom, right = anchors.T
    height, width = bottom - top, right - left
    offset_y, offset_x, stretch_y, stretch_x = encodings.T
    centre_y = offset_y / _CENTRE_SCALE * height + (top + bottom) / 2
    centre_x = offset_x / _CENTRE_SCALE * width + (left + right) / 2
    half_height = np.exp(stretch_y / _SIZE_SCALE) * height / 2
    half_width = np.exp(stretch_x / _SIZE_SCALE) * width / 2
    corners = [centre_x - half_width, centre_y - half_height, centre_x + half_width, centre_y + half_height]
    return np.stack(corners, axis=1)


def _boxes_by_corners(offsets: FloatArray, anchors: FloatArray) -> FloatArray:
    """Offsets of ymin, xmin, ymax, xmax, as parts of an anchor's height and width."""
    sizes = anchors[:, 2:] - anchors[:, :2]
    return (anchors + offsets * np.concatenate([sizes, sizes], axis=1))[:, _ACROSS]


def _logit(probabilities: FloatArray) -> FloatArray:
    inside = np.clip(probabilities, 1e-6, 1 - 1e-6)
    return np.log(inside / (1 - inside))
