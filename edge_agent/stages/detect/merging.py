"""Several looks at one frame become one: what more than one of them shows is one thing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_agent import geometry
from edge_agent.records import BoolArray, FloatArray, IntArray
from edge_agent.stages.detect.head import Candidates
from edge_agent.stages.detect.nms import those_that_stay
from edge_agent.stages.detect.parts import Part


class Seen(NamedTuple):
    """What one look found.

    Attributes:
        part: of the frame, that was looked at.
        scale: how many pixels of the frame were one that the model saw.
        found: boxes in pixels of the frame, the best first; each thing once, and none that the part cuts in two.
    """

    part: Part
    scale: float
    found: Candidates


def merge(looks: Sequence[Seen], max_iou: float, *, suppresses: bool, most: int) -> Candidates:
    """Boxes of all looks, one of each thing, the best first. The order of the looks does not matter.

    What a look shows gives way to what another shows of it clearly larger, for small things have inexact boxes, and two
    that stand together may have one. Of others that overlap, the best stays.

    Args:
        looks: at one frame.
        max_iou: two boxes of a label that overlap more than this are one.
        suppresses: whether that holds within a look, too; a model that finds each thing once tells apart by itself
            what stands close together, so that only boxes of different looks can be the same thing.
        most: only so many of the best are compared.
    """
    if len(looks) == 1:
        return looks[0].found
    boxes = np.concatenate([look.found.boxes for look in looks])
    scores = np.concatenate([look.found.scores for look in looks])
    label_ids = np.concatenate([look.found.label_ids for look in looks])
    look_ids = np.repeat(np.arange(len(looks)), [len(look.found.scores) for look in looks])
    order: IntArray = np.lexsort((*boxes.T, label_ids, -scores))[:most]  # no matter which look was first
    boxes, scores, label_ids, look_ids = boxes[order], scores[order], label_ids[order], look_ids[order]
    overlap = geometry.iou(boxes, boxes)
    may_be_one: BoolArray = label_ids[:, None] == label_ids
    if not suppresses:
        may_be_one &= _closest(overlap * may_be_one, look_ids)
    scales = np.array([look.scale for look in looks])[look_ids]
    holds = np.stack([look.part.holds(boxes) for look in looks])[look_ids]
    outdone = _outdone(may_be_one & holds & _outdoes(scales, boxes, scores), scales)
    rivals = may_be_one & (overlap > max_iou) & ~outdone[:, None]
    kept = those_that_stay(rivals)
    kept = kept[~outdone[kept]]
    return Candidates(boxes=boxes[kept], scores=scores[kept], label_ids=label_ids[kept])


def _closest(overlap: FloatArray, look_ids: IntArray) -> BoolArray:
    """Which two boxes, (N, N), of different looks overlap each other more than any other of the other's look."""
    closest = np.zeros(overlap.shape, np.bool_)
    for look in np.unique(look_ids):
        columns = np.flatnonzero(look_ids == look)
        closest[np.arange(len(overlap)), columns[np.argmax(overlap[:, columns], axis=1)]] = True
    return closest & closest.T & np.not_equal.outer(look_ids, look_ids)


def _outdoes(scales: NDArray[np.float64], boxes: FloatArray, scores: FloatArray) -> BoolArray:
    """Which box shows better, (N, N), what another is about: larger, lying within it or around it, and not in doubt."""
    part_of_the_other = geometry.covered(boxes, boxes)
    outdoes: BoolArray = np.maximum(part_of_the_other, part_of_the_other.T) > _SAME_THING
    outdoes &= np.less_equal.outer(scales * _CLEARLY, scales)
    outdoes &= np.greater_equal.outer(scores, scores * _SURE_ENOUGH)
    return outdoes


def _outdone(outdoes: BoolArray, scales: NDArray[np.float64]) -> BoolArray:
    """Which boxes, (N,), give way; what has given way itself takes no other away."""
    outdone = np.zeros(len(scales), np.bool_)
    for index in np.argsort(scales, kind="stable"):  # what is shown largest first, which nothing outdoes
        if not outdone[index]:
            outdone |= outdoes[index]
    return outdone


_CLEARLY = 1.25  # times as large
_SAME_THING = 0.6  # of the smaller of two boxes lies in the larger
_SURE_ENOUGH = 0.5  # times the score of what gives way
