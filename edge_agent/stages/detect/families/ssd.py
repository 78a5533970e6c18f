"""SSD: offsets and class scores for a fixed list of anchors, which the graph carries as a constant output.

Source: W. Liu et al., "SSD: Single Shot MultiBox Detector", ECCV 2016, §2; the box coder and its scales as in
tensorflow/models, object_detection/box_coders/faster_rcnn_box_coder.py (Apache-2.0).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_agent.records import FloatArray, IntArray
from edge_agent.stages.detect.head import HALF_RANGE_RGB, Answer, Candidates, Head, above, seen_as

FAMILY = "ssd"

_CENTRE_SCALE = 10.0  # offsets of the centre are learnt ten times as large
_SIZE_SCALE = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Places:
    """Where among the outputs what is."""

    encodings: int
    scores: int
    anchors: int


def recognise(answer: Answer) -> Iterator[Head]:
    """Class scores (1, A, classes), offsets (1, A, 4) and anchors (A, 4) or (1, A, 4), whose corners are in order."""
    places = _places(answer)
    if places is None:
        return
    scores = answer.outputs[places.scores]
    classes = scores.shape[-1]
    are_logits = bool((scores < 0).any() or (scores > 1).any())
    yield seen_as(
        HALF_RANGE_RGB,
        answer,
        "box scales 10, 10, 5, 5",
        family=FAMILY,
        why=f"{scores.shape[-2]} anchors, each with a box and {classes} class {'logits' if are_logits else 'scores'}",
        classes=classes,
        decode=functools.partial(_decode, places, _by_logits if are_logits else _by_scores),
    )


def _places(answer: Answer) -> _Places | None:
    shapes = answer.shapes
    if len(shapes) != 3 or len({shape[-2] for shape in shapes if len(shape) in {2, 3}}) != 1:  # noqa: PLR2004
        return None
    named = [answer.place(name) for name in ("box_encodings", "class_logits", "anchors")]
    if None not in named:
        encodings, scores, anchors = (place for place in named if place is not None)
        return _Places(encodings=encodings, scores=scores, anchors=anchors)
    boxes = [index for index, shape in enumerate(shapes) if shape[-1] == 4]  # noqa: PLR2004
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


def _decode(
    places: _Places,
    read: Callable[[FloatArray, FloatArray], tuple[IntArray, IntArray, FloatArray]],
    outputs: Sequence[NDArray[Any]],
    size: tuple[int, int],
    wanted: IntArray,
    floors: FloatArray,
) -> Candidates:
    rows, columns, scores = read(outputs[places.scores][0][:, wanted], floors)
    anchors = outputs[places.anchors].reshape(-1, 4)[rows]
    boxes = _boxes(outputs[places.encodings][0][rows], anchors)  # 0..1: the picture is stretched over the whole input
    return Candidates(boxes=boxes * np.array(size * 2, np.float32), scores=scores, label_ids=wanted[columns])


def _by_scores(scores: FloatArray, floors: FloatArray) -> tuple[IntArray, IntArray, FloatArray]:
    rows, columns = above(scores, floors)
    return rows, columns, scores[rows, columns]


def _by_logits(logits: FloatArray, floors: FloatArray) -> tuple[IntArray, IntArray, FloatArray]:
    # Comparing logits spares the sigmoid of every anchor: it is monotonic.
    rows, columns = above(logits, _logit(floors))
    return rows, columns, (1 / (1 + np.exp(-logits[rows, columns]))).astype(np.float32, copy=False)


def _boxes(encodings: FloatArray, anchors: FloatArray) -> FloatArray:
    """Offsets (N, 4) ty, tx, th, tw on anchors (N, 4) ymin, xmin, ymax, xmax to boxes (N, 4) xyxy, all in 0..1."""
    top, left, bottom, right = anchors.T
    height, width = bottom - top, right - left
    offset_y, offset_x, stretch_y, stretch_x = encodings.T
    centre_y = offset_y / _CENTRE_SCALE * height + (top + bottom) / 2
    centre_x = offset_x / _CENTRE_SCALE * width + (left + right) / 2
    half_height = np.exp(stretch_y / _SIZE_SCALE) * height / 2
    half_width = np.exp(stretch_x / _SIZE_SCALE) * width / 2
    corners = [centre_x - half_width, centre_y - half_height, centre_x + half_width, centre_y + half_height]
    return np.stack(corners, axis=1)


def _logit(probabilities: FloatArray) -> FloatArray:
    inside = np.clip(probabilities, 1e-6, 1 - 1e-6)
    return np.log(inside / (1 - inside))
