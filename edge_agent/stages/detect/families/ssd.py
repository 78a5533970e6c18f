"""SSD: offsets and class scores for a fixed list of anchors.

The graph carries the anchors as a constant output; or it was cut off before they are applied, and a file of a person's
has them, or there are as many as in a grid that everybody used.

Offsets are of one of two kinds. Usually they are of an anchor's centre and size, times the scales of the box coder,
which bring them to about 1. Else they are of its corners, as parts of its width and height; a thing overlaps its anchor
by half or more, so they stay well below 1. Either can have y before x or x before y, as the anchors have; an anchor's
neighbour in the list is beside it in the picture, so x is what changes most from one to the next.

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
from edge_agent.stages.detect.anchor_grids import grid_of
from edge_agent.stages.detect.anchors import ACROSS, ACTIVATIONS, MOST_PARTS, Anchors, Scales, understood
from edge_agent.stages.detect.class_scores import Scoring, by_scores, by_sigmoid, by_softmax, scoring_of
from edge_agent.stages.detect.head import HALF_RANGE_RGB, Answer, Candidates, ClassColumns, Head, Look, seen_as
from edge_agent.stages.detect.ssd_outputs import Places, are_boxes, cut_off, in_graph

FAMILY = "ssd"

_SCALES: Scales = (10.0, 10.0, 5.0, 5.0)  # offsets of the centre are learnt ten times as large, and of the size five
_MOST_OF_OFFSETS = 20.0  # root mean square of offsets: ten times what is usual, and less than of boxes in pixels
_MOST_OF_A_SIDE = 0.5  # root mean square of offsets that are parts of an anchor's side, at most

Boxes = Callable[[FloatArray, FloatArray], FloatArray]
"""Offsets (N, 4) on anchors (N, 4), both y before x, to boxes (N, 4) xyxy, all in 0..1."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Parts:
    """What an SSD is made of.

    Attributes:
        places: of its offsets and scores.
        count: of its anchors.
        anchors: where they are.
        scoring: what its scores are.
        look: how it sees pictures.
        assumed: of its anchors and scores.
    """

    places: Places
    count: int
    anchors: Anchors
    scoring: Scoring
    look: Look = HALF_RANGE_RGB
    assumed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Reading:
    """How an answer is read.

    Attributes:
        places: of its offsets and scores.
        anchors: (A, 4), y before x.
        columns: those of offsets, so that y is before x.
        first: column of the first class.
        boxes: makes boxes of offsets.
        choose: rows by their scores.
    """

    places: Places
    anchors: FloatArray
    columns: list[int]
    first: int
    boxes: Boxes
    choose: Callable[[FloatArray, IntArray, FloatArray], tuple[IntArray, IntArray, FloatArray]]


def recognise(answer: Answer) -> Iterator[Head]:
    """Class scores (1, A, classes), offsets (1, A, 4) and, from wherever, anchors (A, 4), whose corners are in order.

    Raises:
        ValueError: what a person says of it contradicts it, or more has to be said.
    """
    parts = _parts(answer)
    if parts is None:
        return
    columns = answer.outputs[parts.places.scores].size // parts.count
    yield _head(answer, parts, 0, columns)
    if parts.scoring.background is not None:
        yield _head(answer, parts, 1 if parts.scoring.background == 0 else 0, columns - 1)


def lacks_anchors(answer: Answer) -> int | None:
    """How many anchors an SSD has that says nowhere which; None where it is no such SSD."""
    places = None if in_graph(answer) else cut_off(answer, None)
    if places is None or _are_applied(answer, answer.outputs[places.encodings].reshape(-1, 4)):
        return None
    return answer.outputs[places.encodings].size // 4


def _parts(answer: Answer) -> _Parts | None:
    places = in_graph(answer)
    if places is None or places.anchors is None or not answer.outputs[places.anchors].size:
        return _parts_without_anchors(answer)
    if answer.told.anchors is not None:
        raise ValueError("its graph has its anchors, so there is nothing to be said of them; leave model.anchors out")
    boxes = np.array(answer.outputs[places.anchors].reshape(-1, 4))
    if not are_boxes(boxes, MOST_PARTS):
        raise ValueError("the anchors in its graph are no corners in order, in parts of the picture; export it so")
    scoring = _scoring(answer, places, len(boxes))
    x_first = _x_first(boxes)
    return _Parts(
        places=places,
        count=len(boxes),
        anchors=Anchors(boxes=boxes[:, ACROSS] if x_first else boxes, x_first=x_first, told=""),
        scoring=scoring,
        assumed=() if scoring.activation or not scoring.are_logits else ("logits by the sigmoid",),
    )


def _parts_without_anchors(answer: Answer) -> _Parts | None:
    told = answer.told
    places = cut_off(answer, None if told.anchors is None else len(told.anchors))
    if places is None:
        return None
    offsets = answer.outputs[places.encodings].reshape(-1, 4)
    scoring = _scoring(answer, places, len(offsets))
    if told.anchors is None:
        return None if _are_applied(answer, offsets) or _are_parts(offsets) else _parts_by_grid(answer, places, scoring)
    if _are_applied(answer, offsets):
        raise ValueError("its graph has applied its anchors, for it answers with boxes; leave model.anchors out")
    if len(told.anchors) != len(offsets):
        raise ValueError(
            f"model.anchors: there are {len(told.anchors)} in {told.origin}, and its answer for a picture of "
            f"{answer.size[0]}x{answer.size[1]} has {len(offsets)} offsets"
        )
    _ask(scoring)
    return _Parts(places=places, count=len(offsets), anchors=understood(told, answer.size), scoring=scoring)


def _parts_by_grid(answer: Answer, places: Places, scoring: Scoring) -> _Parts | None:
    """Those of the grid that everybody used, if there is one."""
    count = answer.outputs[places.encodings].size // 4
    classes = answer.outputs[places.scores].size // count
    if scoring.background == classes - 1:
        return None  # who puts it last used other grids, some of them with as many anchors
    either = ACTIVATIONS if scoring.are_logits else ()
    possible = (scoring.activation,) if scoring.activation else either
    grids = [grid for one in possible if (grid := grid_of(count, answer.size, one, classes)) is not None]
    if not grids:
        return None
    _ask(scoring)
    anchors = grids[0].anchors()
    assumed = (f"anchors {anchors.told}",)
    return _Parts(places=places, count=count, anchors=anchors, scoring=scoring, look=grids[0].look, assumed=assumed)


def _ask(scoring: Scoring) -> None:
    if scoring.are_logits and scoring.activation is None:
        raise ValueError("its class logits can be read by the sigmoid or by the softmax; model.activation decides")


def _scoring(answer: Answer, places: Places, count: int) -> Scoring:
    return scoring_of(answer.outputs[places.scores].reshape(count, -1), answer.told.activation, answer.classes)


def _head(answer: Answer, parts: _Parts, first: int, classes: int) -> Head:
    """The head whose classes begin in that column."""
    scoring, anchors, scores = parts.scoring, parts.anchors, answer.outputs[parts.places.scores]
    scales = answer.told.box_scales
    are_corners = scales is None and _are_parts(answer.outputs[parts.places.encodings])
    columns = ACROSS if anchors.x_first else sorted(ACROSS)
    by_sides = np.array(scales or _SCALES, np.float32)[columns]
    is_softmax = scoring.are_logits and scoring.activation == "softmax"
    reading = _Reading(
        places=parts.places,
        anchors=anchors.boxes,
        columns=columns,
        first=first,
        boxes=_boxes_by_corners if are_corners else functools.partial(_boxes_by_centres, by_sides),
        choose=by_scores if not scoring.are_logits else by_softmax if is_softmax else by_sigmoid,
    )
    # Shares are of all columns, so none can be left out.
    is_separable = scores.shape == (1, parts.count, scores.size // parts.count) and not is_softmax
    return seen_as(
        parts.look,
        answer,
        *(("offsets of corners, for they are small",) if are_corners else ()),
        *(() if are_corners or scales else ("box scales 10, 10, 5, 5",)),
        *parts.assumed,
        family=FAMILY,
        why=_why(parts, first, classes, are_corners=are_corners),
        classes=classes,
        activation=scoring.activation if scoring.are_logits else None,
        class_columns=(ClassColumns(output=parts.places.scores, axis=2, first=first),) if is_separable else (),
        decode=functools.partial(_decode, reading),
    )


def _why(parts: _Parts, first: int, classes: int, *, are_corners: bool) -> str:
    scoring, anchors = parts.scoring, parts.anchors
    from_where = f" {anchors.told}," if anchors.told else ","
    numbers = f"logits, by the {scoring.activation or 'sigmoid'}" if scoring.are_logits else "scores"
    return (
        f"{parts.count} anchors{from_where} each with a box and {classes} class {numbers}"
        f"{_beside(parts, first, classes)}; boxes are offsets of "
        f"{'corners' if are_corners else 'centres and sizes'}, {'x before y' if anchors.x_first else 'y before x'}"
    )


def _beside(parts: _Parts, first: int, classes: int) -> str:
    """Where the background is, unless it counts among the classes."""
    if first:
        return ", after a background"
    return ", before a background" if parts.scoring.background == classes else ""


def _are_applied(answer: Answer, offsets: FloatArray) -> bool:
    """Whether offsets are boxes already: corners in order, in parts of the picture or in pixels, or any in pixels."""
    are_pixels = answer.told.box_scales is None and _size_of(offsets) > _MOST_OF_OFFSETS
    return are_pixels or are_boxes(offsets, 2.0 * max(answer.size))


def _size_of(offsets: FloatArray) -> float:
    """Root mean square."""
    return float(np.sqrt(np.mean(np.square(offsets, dtype=np.float64))))


def _are_parts(offsets: FloatArray) -> bool:
    """Whether offsets are parts of anchors' sides; without any there is no difference."""
    return 0 < _size_of(offsets) <= _MOST_OF_A_SIDE


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
    places, count = reading.places, len(reading.anchors)
    rows, columns, scores = reading.choose(outputs[places.scores].reshape(count, -1), reading.first + wanted, floors)
    offsets = outputs[places.encodings].reshape(count, 4)[rows][:, reading.columns].astype(np.float32, copy=False)
    boxes = reading.boxes(offsets, reading.anchors[rows])  # 0..1: the picture is stretched over the whole input
    return Candidates(boxes=boxes * np.array(size * 2, np.float32), scores=scores, label_ids=wanted[columns])


def _boxes_by_centres(scales: FloatArray, encodings: FloatArray, anchors: FloatArray) -> FloatArray:
    """Offsets ty, tx, th, tw, so many times as large as they are, on anchors ymin, xmin, ymax, xmax."""
    top, left, bottom, right = anchors.T
    height, width = bottom - top, right - left
    offset_y, offset_x, stretch_y, stretch_x = (encodings / scales).T
    centre_y = offset_y * height + (top + bottom) / 2
    centre_x = offset_x * width + (left + right) / 2
    half_height = np.exp(stretch_y) * height / 2
    half_width = np.exp(stretch_x) * width / 2
    corners = [centre_x - half_width, centre_y - half_height, centre_x + half_width, centre_y + half_height]
    return np.stack(corners, axis=1)


def _boxes_by_corners(offsets: FloatArray, anchors: FloatArray) -> FloatArray:
    """Offsets of ymin, xmin, ymax, xmax, as parts of an anchor's height and width."""
    sizes = anchors[:, 2:] - anchors[:, :2]
    return (anchors + offsets * np.concatenate([sizes, sizes], axis=1))[:, ACROSS]
