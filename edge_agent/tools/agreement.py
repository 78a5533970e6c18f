"""How far two models see the same: a measure of accuracy where nobody has labelled the pictures.

Agreement is AP50 with the float model for a teacher: what it finds with at least its threshold is the truth, and the
boxes of the other, from half the threshold on, are ranked by score; one is right when it overlaps a thing of its label
by half or more that no better box has taken; the area under precision over recall is the agreement, of all labels
together.

Half the threshold is `detect.weak`: what falls below would be lost. A box just below the threshold costs little, so
that a score which trembles is no loss.

Source: the average precision of M. Everingham et al., "The PASCAL Visual Object Classes (VOC) Challenge", IJCV 2010,
section 4.2, with the area under the whole curve, as in VOC 2010.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from edge_agent import geometry
from edge_agent.labels import MEANINGLESS
from edge_agent.records import BoolArray, ByteArray, FloatArray
from edge_agent.stages.detect.detector import DetectSettings
from edge_agent.stages.detect.head import Candidates
from edge_agent.stages.detect.nms import suppress
from edge_agent.stages.detect.preparation import Preparation
from edge_agent.vision import Vision

_SAME_PLACE = 0.5
_WEAK = DetectSettings().weak
_NMS_IOU = DetectSettings().nms_iou


class Agreement:
    """Pictures, and what a model finds in them, to hold others against.

    Args:
        teacher: the model that is taken to be right.
        pictures: as large as it sees them, each (h, w, 3) uint8, blue, green, red.
        labels: what counts; None for every label that means something.
    """

    name = "agreement"

    def __init__(self, teacher: Vision, pictures: Sequence[ByteArray], labels: Collection[str] | None = None) -> None:
        self._pictures = pictures
        self.pictures = len(pictures)
        self._labels = labels
        self._names = teacher.label_names
        self._truth = [_strong(found, teacher.threshold) for found in look(teacher, pictures, labels)]
        self.things = sum(len(found.scores) for found in self._truth)
        """How many it finds."""

    def measure(self, vision: Vision, pictures: Sequence[ByteArray] | None = None) -> float:
        """How far a model agrees, 0 to 1; 1 as well where there is nothing to find and it finds nothing.

        Args:
            vision: the model; a label of its own counts as none that the teacher has.
            pictures: the same ones as large as that model sees them; None where that is as the teacher sees them.
        """
        found = self._renamed(look(vision, self._pictures if pictures is None else pictures, self._labels), vision)
        right = [matched(one, truth) for one, truth in zip(found, self._truth, strict=True)]
        return average_precision(np.concatenate([one.scores for one in found]), np.concatenate(right), self.things)

    def _renamed(self, found: list[Candidates], vision: Vision) -> list[Candidates]:
        """With the teacher's numbers for the same labels."""
        if vision.label_names == self._names:
            return found
        numbers = np.array([self._names.index(name) if name in self._names else -1 for name in vision.label_names])
        return [one._replace(label_ids=numbers[one.label_ids]) for one in found]


def look(vision: Vision, pictures: Sequence[ByteArray], labels: Collection[str] | None = None) -> list[Candidates]:
    """What a model finds in pictures of the size that it sees; boxes are parts of the picture's width and height.

    Args:
        vision: the model.
        pictures: each (h, w, 3) uint8, blue, green, red.
        labels: of which labels; None for every one that means something.
    """
    preparation = Preparation(vision.head, vision.input_size)
    counts = [label not in MEANINGLESS if labels is None else label in labels for label in vision.label_names]
    wanted = np.flatnonzero(counts)
    floors = np.full(len(wanted), vision.threshold * _WEAK, np.float32)
    max_iou = _NMS_IOU if vision.head.suppresses else 1.0
    found = []
    for picture in pictures:
        one = vision.head.decode(vision.infer(preparation.tensor(picture)), vision.input_size, wanted, floors)
        kept = suppress(one.boxes, one.scores, one.label_ids, max_iou)
        side = np.array([picture.shape[1], picture.shape[0]] * 2, np.float32)
        found.append(Candidates(boxes=one.boxes[kept] / side, scores=one.scores[kept], label_ids=one.label_ids[kept]))
    return found


def _strong(found: Candidates, threshold: float) -> Candidates:
    kept = found.scores >= threshold
    return Candidates(boxes=found.boxes[kept], scores=found.scores[kept], label_ids=found.label_ids[kept])


def matched(found: Candidates, truth: Candidates) -> BoolArray:
    """Which boxes of a picture, best first, are things of the truth that no better box has taken: (N,)."""
    overlap = geometry.iou(found.boxes, truth.boxes)  # (N, M)
    overlap[found.label_ids[:, None] != truth.label_ids] = 0
    right = np.zeros(len(found.scores), np.bool_)
    for index, row in enumerate(overlap):
        best = int(row.argmax()) if row.size else -1
        if best >= 0 and row[best] >= _SAME_PLACE:
            right[index] = True
            overlap[:, best] = 0
    return right


def average_precision(scores: FloatArray, right: BoolArray, things: int) -> float:
    """Area under precision over recall.

    Args:
        scores: (N,) of boxes.
        right: (N,) whether each is a thing that is there.
        things: how many there are.
    """
    if not things:
        return float(not len(scores))
    hits = np.cumsum(right[np.argsort(-scores, kind="stable")])
    precision = hits / np.arange(1, len(hits) + 1)
    best_from_here = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.sum(best_from_here * np.diff(hits, prepend=0)) / things)
