"""Box filters: what of a label's boxes can be such a thing at all, by size, by form and by where it stands."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
from pydantic import Field

from edge_agent import geometry
from edge_agent.records import BoolArray, Condition, ConditionName, Detections, FloatArray, Frame, IntArray
from edge_agent.settings import Label, Polygon, Ratio, Section

_Most = Annotated[float, Field(gt=0, le=1)]


class FilterSettings(Section):
    """What a box of one label must be like; any other is gone before the tracker sees it."""

    min_area: Ratio = 0.0
    """Least part of the picture that a box takes up; larger leaves out what is small or far away."""

    max_area: _Most = 1.0
    """Largest part of the picture that a box takes up; smaller leaves out what is large or near, such as a spider on
    the lens."""

    min_height: Ratio = 0.0
    """Least height, as a part of the picture's; of what the picture's edge cuts off only that counts which shows."""

    max_height: _Most = 1.0
    """Largest height, as a part of the picture's."""

    min_ratio: Annotated[float, Field(ge=0)] = 0.0
    """Least width divided by height, both in pixels: 0.2 is a box five times as high as wide."""

    max_ratio: Annotated[float, Field(gt=0)] | None = None
    """Largest width divided by height; any when left out. With 1.2 a person may crouch, and a hedge is none."""

    within: Annotated[tuple[Polygon, ...], Field(max_length=32)] = ()
    """Where it may stand, with the middle of its lower side: one or more lists of corners in 0..1; anywhere without."""

    without: Annotated[tuple[Polygon, ...], Field(max_length=32)] = ()
    """Where it may not stand, in the same way. Unlike a `mask` this is for one label, and blanks nothing."""


class Filters:
    """The box filters of one camera.

    Args:
        settings: by label; boxes of other labels pass.
    """

    def __init__(self, settings: Mapping[Label, FilterSettings]) -> None:
        self._demands = {label: tuple(_demands(one)) for label, one in settings.items()}
        self._taken: dict[str, dict[str, int]] = {
            label: {demand.name: 0 for demand in asked} for label, asked in self._demands.items() if asked
        }

    @property
    def taken(self) -> dict[str, dict[str, int]]:
        """How many boxes went since the start, by label and by the first condition that they did not meet."""
        return {label: dict(counts) for label, counts in self._taken.items()}

    def sift(self, found: Detections, frame: Frame) -> Detections:
        """Leave out the boxes that do not meet what is asked of their label, and count them."""
        if not self._taken:
            return found
        stays = np.ones(len(found), np.bool_)
        for label, rows in self._asked(found):
            left = np.ones(len(rows), np.bool_)
            for demand in self._demands[label]:
                fails = left & ~demand.holds(demand.measure(found.boxes[rows], frame))
                self._taken[label][demand.name] += int(np.count_nonzero(fails))
                left &= ~fails
            stays[rows] = left
        return found if stays.all() else _only(found, stays)

    def explain(self, found: Detections, frame: Frame) -> list[tuple[Condition, ...]]:
        """Of each box in turn, all that is asked of its label, met or not; counts nothing."""
        told: list[tuple[Condition, ...]] = [()] * len(found)
        for label, rows in self._asked(found):
            columns = [demand.conditions(found.boxes[rows], frame) for demand in self._demands[label]]
            for row, conditions in zip(rows.tolist(), zip(*columns, strict=True), strict=True):
                told[row] = conditions
        return told

    def _asked(self, found: Detections) -> Iterator[tuple[str, IntArray]]:
        """Each label of which something is asked, with the indexes of its boxes."""
        for label in self._taken:
            if len(found) and label in found.label_names:
                yield label, np.flatnonzero(found.label_ids == found.label_names.index(label))


_Measure = Callable[[FloatArray, Frame], FloatArray]
"""What (N, 4) xyxy pixels of a frame have of something: (N,)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Demand:
    """One condition, to be put to many boxes at once: `sift` and `explain` ask the same."""

    name: ConditionName
    wanted: float
    is_least: bool
    measure: _Measure

    def holds(self, values: FloatArray) -> BoolArray:
        return values >= self.wanted if self.is_least else values <= self.wanted

    def conditions(self, boxes: FloatArray, frame: Frame) -> list[Condition]:
        values = self.measure(boxes, frame)
        pairs = zip(values.tolist(), self.holds(values).tolist(), strict=True)
        return [Condition(name=self.name, value=value, wanted=self.wanted, holds=holds) for value, holds in pairs]


def _demands(settings: FilterSettings) -> Iterator[_Demand]:
    """What is asked at all: a bound that every box meets is not."""
    if settings.min_area > 0:
        yield _Demand(name="min_area", wanted=settings.min_area, is_least=True, measure=_area)
    if settings.max_area < 1:
        yield _Demand(name="max_area", wanted=settings.max_area, is_least=False, measure=_area)
    if settings.min_height > 0:
        yield _Demand(name="min_height", wanted=settings.min_height, is_least=True, measure=_height)
    if settings.max_height < 1:
        yield _Demand(name="max_height", wanted=settings.max_height, is_least=False, measure=_height)
    if settings.min_ratio > 0:
        yield _Demand(name="min_ratio", wanted=settings.min_ratio, is_least=True, measure=_ratio)
    if settings.max_ratio is not None:
        yield _Demand(name="max_ratio", wanted=settings.max_ratio, is_least=False, measure=_ratio)
    if settings.within:
        yield _Demand(name="within", wanted=1, is_least=True, measure=_standing_in(settings.within))
    if settings.without:
        yield _Demand(name="without", wanted=0, is_least=False, measure=_standing_in(settings.without))


def _area(boxes: FloatArray, frame: Frame) -> FloatArray:
    return geometry.area(boxes) / np.float32(frame.width * frame.height)


def _height(boxes: FloatArray, frame: Frame) -> FloatArray:
    return (boxes[:, 3] - boxes[:, 1]) / np.float32(frame.height)


def _ratio(boxes: FloatArray, _frame: Frame) -> FloatArray:
    width, height = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    return width / np.maximum(height, _LEAST_SIDE)


def _standing_in(polygons: Sequence[Polygon]) -> _Measure:
    """Measures 1 of a box that stands in one of the polygons, else 0."""
    edges = [geometry.edges_of(np.array(polygon, np.float32)) for polygon in polygons]

    def measure(boxes: FloatArray, frame: Frame) -> FloatArray:
        feet = np.stack([(boxes[:, 0] + boxes[:, 2]) / 2, boxes[:, 3]], axis=1)  # (N, 2)
        feet /= np.array([frame.width, frame.height], np.float32)
        # A box cut off by the picture's lower edge stands on that edge, which no polygon would hold.
        feet = np.minimum(feet, _JUST_INSIDE)
        return np.any([geometry.in_polygon(feet, one) for one in edges], axis=0).astype(np.float32)

    return measure


def _only(found: Detections, stays: BoolArray) -> Detections:
    return replace(
        found,
        boxes=found.boxes[stays],
        scores=found.scores[stays],
        label_ids=found.label_ids[stays],
        strong=found.strong[stays],
    )


_JUST_INSIDE = np.float32(1 - 1e-6)
_LEAST_SIDE = np.float32(1e-6)  # pixels: a box without height is no reason to divide by zero
