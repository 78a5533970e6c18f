"""Whether a changed model still is the model that it was: by every number that it answers, or by the boxes it finds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_agent import geometry, pixels
from edge_agent.records import ByteArray, FloatArray, Frame
from edge_agent.stages.detect.head import Candidates
from edge_agent.stages.detect.preparation import Preparation, letterbox
from edge_agent.vision import Vision

Answers = Mapping[str, NDArray[Any]]
"""What a model answered, by the names of its outputs."""

ROUNDING = 1e-4
"""Sums in another order differ by so much of the largest number in a column at most: a thousand times the last bit."""

SMALL = 1e-3
"""Columns of numbers below that part of the largest in an answer are measured by that: its last bit is rounding."""

_BEST = 50
_SAME_PLACE = 0.5
_MOST_MISSING = 0.2
_MOST_SCORE = 0.1
_LEAST_OVERLAP = 0.8
"""Models that are right come to 0.83 and more: in 96x96 in place of 416x416 boxes are small."""
_MOST_ASIDE = 2.0
"""Pixels. Models that are right come to 0.7, whatever their sizes; where a number stands for one, it is half of 32."""


@dataclass(frozen=True, slots=True)
class Difference:
    """How far answers lie apart.

    Attributes:
        greatest: difference of two numbers at the same place; infinite where answers have other shapes, or numbers that
            are not finite.
        share: the same as a part of the largest number in its column; infinite where there is nothing to compare.
    """

    greatest: float
    share: float

    @property
    def is_rounding(self) -> bool:
        """Whether another order of the sums explains it."""
        return self.share <= ROUNDING

    def __str__(self) -> str:
        """Write it for people."""
        if self.greatest == 0:
            return "the same to the bit"
        if not np.isfinite(self.greatest):
            return "with other shapes, or with numbers that are not finite"
        return f"apart by {self.greatest:.1e} at most, {self.share:.1e} of the largest number in a column"


def difference(
    found: Sequence[Answers], expected: Sequence[Answers], axes: Mapping[str, int] | None = None, small: float = SMALL
) -> Difference:
    """Compare what two models answered to the same pictures, each column of each output by itself.

    Coordinates in pixels and scores may stand in one row: what is nothing for those would be anything for these.

    Args:
        found: a mapping a picture.
        expected: with the same outputs.
        axes: which axis of an output counts its columns, where that is not the last.
        small: part of the largest number in an output below which the numbers of a column are measured by it.
    """
    greatest, share = 0.0, 0.0
    for name in dict.fromkeys(name for answer in expected for name in answer):
        wanted = [answer[name] for answer in expected]
        got = [answer[name] for answer in found if name in answer]
        if [one.shape for one in got] != [one.shape for one in wanted]:
            return _NOTHING_ALIKE
        axis = (axes or {}).get(name, -1)
        rows, wanted_rows = _rows(got, axis), _rows(wanted, axis)
        if not (np.isfinite(rows).all() and np.isfinite(wanted_rows).all()):
            return _NOTHING_ALIKE
        apart: FloatArray = np.max(np.abs(rows - wanted_rows), axis=0, initial=0)  # (columns,)
        largest: FloatArray = np.max(np.abs(wanted_rows), axis=0, initial=0)
        measure = np.maximum(largest, small * np.max(largest, initial=0))
        shares = np.divide(apart, measure, out=np.where(apart > 0, np.inf, 0.0), where=measure > 0)
        greatest, share = max(greatest, float(np.max(apart, initial=0))), max(share, float(np.max(shares, initial=0)))
    return Difference(greatest, share)


_NOTHING_ALIKE = Difference(np.inf, np.inf)


def _rows(tensors: Sequence[NDArray[Any]], axis: int) -> NDArray[np.float64]:
    """All numbers of an output, (rows, columns); a list, (N,) or (1, N), is one column."""
    if all(math.prod(one.shape[:-1]) == 1 for one in tensors):
        return np.concatenate([one.reshape(-1, 1) for one in tensors]).astype(np.float64)
    turned = [np.moveaxis(one, axis, -1) for one in tensors]
    return np.concatenate([one.reshape(-1, one.shape[-1]) for one in turned]).astype(np.float64)


def answers(vision: Vision, tensors: Sequence[NDArray[Any]]) -> list[Answers]:
    """What a model answers to pictures, each as it takes them."""
    names = [tensor.name for tensor in vision.signature.outputs]
    return [dict(zip(names, map(np.array, vision.infer(tensor)), strict=True)) for tensor in tensors]


def tensors(
    vision: Vision, frames: Sequence[Frame], within: tuple[int, int], moved: tuple[int, int] | None = None
) -> list[NDArray[Any]]:
    """Frames as a model takes them, all in its top left corner, or in another place.

    Args:
        vision: the model.
        frames: of cameras.
        within: width and height of the part that they are fitted into, at most as large as the model's input.
        moved: pixels that the part is moved by, to the right and down, with the frame in its bottom right corner.
    """
    preparation = Preparation(vision.head, vision.input_size)
    pictures = [pixels.to_bgr(frame, *letterbox(frame.width, frame.height, *within)) for frame in frames]
    if moved is not None:
        ends = within[0] + moved[0], within[1] + moved[1]
        pictures = [_ending_at(picture, ends, vision.head.padding) for picture in pictures]
    return [preparation.tensor(picture).copy() for picture in pictures]


def _ending_at(picture: ByteArray, ends: tuple[int, int], padding: int) -> ByteArray:
    """A picture (h, w, 3) with grey above and to the left, so that its right and lower edges are there."""
    height, width = picture.shape[:2]
    return np.pad(picture, ((ends[1] - height, 0), (ends[0] - width, 0), (0, 0)), constant_values=padding)


@dataclass(frozen=True, slots=True)
class Likeness:
    """How far the best boxes of one model are found again by another.

    Attributes:
        boxes: how many are looked for.
        found: how many have one of their label that overlaps by half or more.
        score: how far the scores of these lie apart, in the mean.
        overlap: how far they overlap, in the mean.
        aside: pixels between the means of their centres, across or down, whichever is more. Of large boxes overlaps
            tell little; where nothing is wrong, they do not all lie off in the same direction.
    """

    boxes: int
    found: int
    score: float
    overlap: float
    aside: float

    @property
    def is_alike(self) -> bool:
        """Whether what lies beyond the common part of the pictures explains the rest."""
        enough = self.boxes > 0 and self.found >= (1 - _MOST_MISSING) * self.boxes
        is_there = self.overlap >= _LEAST_OVERLAP and self.aside <= _MOST_ASIDE
        return enough and is_there and self.score <= _MOST_SCORE

    def __str__(self) -> str:
        """Write it for people."""
        return (
            f"{self.found} of the {self.boxes} best boxes are found again, overlapping by {self.overlap:.2f}, "
            f"{self.aside:.1f} pixels aside and with scores {self.score:.3f} apart in the mean"
        )


def likeness(
    models: tuple[Vision, Vision],
    shown: tuple[Sequence[NDArray[Any]], Sequence[NDArray[Any]]],
    within: tuple[int, int],
    moved: tuple[int, int] = (0, 0),
) -> Likeness:
    """Look for the best boxes of one model among all of another.

    Args:
        models: with the same labels.
        shown: the same pictures, as each takes them, with the same pixels at the same places but for `moved`.
        within: width and height of the part that both see; boxes whose centre is elsewhere do not count.
        moved: pixels by which the other sees them further to the right and down; then only boxes count whose centre the
            other is to have outside the part, where the first has nothing.
    """
    overlaps: list[float] = []
    scores: list[float] = []
    ways: list[FloatArray] = []
    total = 0
    everything = (found(model, one, -np.inf) for model, one in zip(models, shown, strict=True))
    for one, other in zip(*everything, strict=True):
        wanted = _best(one, within, moved)
        total += len(wanted.scores)
        moved_boxes = wanted.boxes + np.tile(np.array(moved, np.float32), 2)
        for box, score, label in zip(moved_boxes, wanted.scores, wanted.label_ids, strict=True):
            same = np.flatnonzero(other.label_ids == label)
            overlap = geometry.iou(box[None], other.boxes[same])[0]  # (M,)
            if len(same) and float(np.max(overlap)) >= _SAME_PLACE:
                nearest = int(np.argmax(overlap))
                overlaps.append(float(overlap[nearest]))
                scores.append(float(abs(other.scores[same][nearest] - score)))
                ways.append(_centres(other.boxes[same[nearest]] - box))
    return Likeness(
        boxes=total,
        found=len(scores),
        score=float(np.mean(scores)) if scores else 0.0,
        overlap=float(np.mean(overlaps)) if overlaps else 0.0,
        aside=float(np.max(np.abs(np.mean(ways, axis=0)))) if ways else 0.0,
    )


def found(vision: Vision, tensors: Sequence[NDArray[Any]], least: float) -> list[Candidates]:
    """What a model finds in pictures with at least that score, before the agent suppresses anything."""
    labels = np.arange(len(vision.label_names))
    floors: FloatArray = np.full(len(labels), least, np.float32)
    return [vision.head.decode(vision.infer(tensor), vision.input_size, labels, floors) for tensor in tensors]


def _best(found: Candidates, within: tuple[int, int], moved: tuple[int, int]) -> Candidates:
    centres = _centres(found.boxes)
    counts = (centres < np.array(within)).all(axis=1)
    if any(moved):
        counts &= (centres + np.array(moved) >= np.array(within)).any(axis=1)
    here = np.flatnonzero(counts)
    order = here[np.argsort(-found.scores[here], kind="stable")[:_BEST]]
    return Candidates(boxes=found.boxes[order], scores=found.scores[order], label_ids=found.label_ids[order])


def _centres(boxes: FloatArray) -> FloatArray:
    """(..., 2) of boxes (..., 4)."""
    return np.asarray((boxes[..., :2] + boxes[..., 2:]) / 2, np.float32)
