"""The detector: a frame goes in, boxes in the frame's own pixels come out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import numpy as np
from pydantic import BeforeValidator, Field

from edge_agent import geometry
from edge_agent.records import BoolArray, Detections, FloatArray, Frame, Infer
from edge_agent.settings import Label, RateHz, Ratio, Section
from edge_agent.stages.detect.filters import FilterSettings
from edge_agent.stages.detect.head import Candidates, Head
from edge_agent.stages.detect.merging import Seen, merge
from edge_agent.stages.detect.nms import MAX_CANDIDATES, suppress
from edge_agent.stages.detect.parts import LEAST_MAGNIFICATION, Part, Sight, held
from edge_agent.stages.detect.preparation import Preparation
from edge_agent.stages.detect.spots import Spots
from edge_agent.stages.detect.tiles import GRIDS, grid_of, tiles_of
from edge_agent.stages.detect.zoom import fitting, parts_around


def _as_number(value: object) -> object:
    """Read `true` and `false` as 1 and 0; leave anything else to the type check."""
    return _SWITCHES.get(value.lower(), value) if isinstance(value, str) else value


_SWITCHES = {"true": 1, "yes": 1, "on": 1, "false": 0, "no": 0, "off": 0}


class DetectSettings(Section):
    """What to look for, and how often."""

    rate_hz: RateHz = 5.0
    """How often to look while something moves; larger follows faster things and costs more. A person who walks across
    at 2 m/s is lost below about 4."""

    weight: Annotated[float, Field(ge=0.1, le=10)] = 1.0
    """How much this camera matters beside others when the machine is too slow for all: with twice the weight a look
    waits about half as long. Larger is looked at more often then, and the others less."""

    labels: Annotated[tuple[Label, ...], Field(min_length=1)] = ("person",)
    """What to look for; anything else the model sees is left out."""

    thresholds: dict[Label, Ratio] = Field(default_factory=dict)
    """Least score for a label, where it differs from `model.threshold`."""

    filters: dict[Label, FilterSettings] = Field(default_factory=dict)
    """What a box of a label must be like: its size, its form, and where it stands."""

    weak: Ratio = 0.5
    """Part of its threshold from which a box may keep a known object alive, though never begin one."""

    nms_iou: Ratio = 0.5
    """Two boxes of a label that overlap more than this are one; larger tells people in a crowd apart."""

    zoom: Annotated[int, BeforeValidator(_as_number), Field(ge=0, le=8)] = 0
    """How many closer looks to add to a look, at most: at parts of the picture where something small moves, or has
    moved and was found. Finds persons of a thirtieth of the picture's height; larger does so at more places at a time,
    and each look costs one more run of the model. `true` is 1."""

    tile: Annotated[str, Field(pattern=GRIDS)] = "none"
    """Tiles of the picture, beside times below each other, to look at each time besides the whole: `2x2` are four more
    runs of the model. Finds what is small though it never moved; more tiles find smaller things and cost more; a
    grid that shows nothing 1.5 times as large as the whole does, as `2x1` of a wide frame, is left out. Where a model
    takes any size, a larger `model.input` does that for less, though for all cameras."""

    @property
    def most_runs(self) -> int:
        """How often a look runs the model at most."""
        columns, rows = grid_of(self.tile)
        return 1 + self.zoom + (columns * rows if columns * rows > 1 else 0)


class Detector:
    """Runs a model on frames.

    It keeps one input tensor and fills it anew for each frame, so an `Infer` must not hold on to what it is given.

    Args:
        infer: one run of the model.
        head: how to prepare its input and read its output.
        label_names: what its classes mean; as many as head.classes, where it says how many.
        input_size: width and height that the model sees.
        threshold: least score of a detection, for labels without one of their own.
        settings: see `DetectSettings`.
        max_candidates: how many boxes at most are compared with each other.

    Raises:
        ValueError: a wanted label is none of the model's.
    """

    def __init__(  # noqa: PLR0913  (what a model is, and what to look for with it)
        self,
        *,
        infer: Infer,
        head: Head,
        label_names: tuple[str, ...],
        input_size: tuple[int, int],
        threshold: float,
        settings: DetectSettings,
        max_candidates: int = MAX_CANDIDATES,
    ) -> None:
        unknown = [label for label in settings.labels if label not in label_names]
        if unknown:
            raise ValueError(f"the model knows no {', '.join(unknown)}; it knows {', '.join(label_names)}")
        self._infer = infer
        self._head = head
        self._label_names = label_names
        self._size = input_size
        self._nms_iou = settings.nms_iou
        self._most = max_candidates
        self._most_parts = settings.zoom
        self._grid = grid_of(settings.tile)
        self._wanted = np.array([label_names.index(label) for label in settings.labels], np.int64)
        self._settings = settings
        self._thresholds = np.ones(len(label_names), np.float32)
        self.set_threshold(threshold)
        self._preparation = Preparation(head, input_size)
        self._spots = Spots()
        self._nothing = Detections.empty(label_names)
        self._laid_out_for = (0, 0)

    def set_threshold(self, threshold: float) -> None:
        """From the next frame on: the least score of a detection, for labels without one of their own."""
        thresholds = [self._settings.thresholds.get(label, threshold) for label in self._settings.labels]
        self._floors = np.array(thresholds, np.float32) * np.float32(self._settings.weak)
        self._thresholds[self._wanted] = thresholds

    def detect(self, frame: Frame, regions: FloatArray | None = None) -> Detections:
        """Find the wanted things in a frame, and, as far as that is wanted, look closer at parts of it.

        Args:
            frame: looked at as a whole, always.
            regions: (N, 4) xyxy pixels, where something moves; None when that is not known.
        """
        if (frame.width, frame.height) != self._laid_out_for:
            self._lay_out(frame)
        looks = [self._look(frame, sight) for sight in self._always]
        if self._most_parts:
            return self._look_closer(frame, looks, regions)
        return self._merged(looks)

    def _lay_out(self, frame: Frame) -> None:
        """Work out, once, what is the same for every frame of that size."""
        self._laid_out_for = frame.width, frame.height
        self._canvas = self._preparation.canvas(frame)
        whole = Part(left=0, top=0, width=frame.width, height=frame.height)
        parts = (whole, *tiles_of(self._grid, self._canvas, BORDER_PX))
        self._always = tuple(map(self._sight_of, parts))

    def _sight_of(self, part: Part) -> Sight:
        width, height = self._preparation.picture_size(part.width, part.height)
        return Sight(
            part=part,
            is_all=part.is_all_of(self._canvas),
            scale=self._canvas.scale_of(part),
            stretch=geometry.at_both_corners(part.width / width, part.height / height),
            start=geometry.at_both_corners(part.left, part.top),
        )

    def _look_closer(self, frame: Frame, looks: Sequence[Seen], regions: FloatArray | None) -> Detections:
        """Add looks where something small moves, or was found."""
        canvas = self._canvas
        shown = looks[-1].scale  # at which tiles show it, or the whole
        coarsest, large = shown / LEAST_MAGNIFICATION, SMALL_PX * shown
        moving = None
        if regions is not None:
            moving = regions[fitting(regions, canvas, coarsest) & ~self._explained(regions, looks, large)]
        spots, since_s = self._spots.due(moving, frame)
        parts = parts_around(spots, since_s, canvas, self._most_parts, coarsest)
        found = self._merged([*looks, *(self._look(frame, self._sight_of(part)) for part in parts)])
        small = found.strong & (geometry.longer_side(found.boxes) < large)
        small &= held(parts, found.boxes) & fitting(found.boxes, canvas, coarsest)
        self._spots.note(frame.at_s, parts, spots, since_s, found.boxes[small])
        return found

    def _look(self, frame: Frame, sight: Sight) -> Seen:
        """Run the model on a part of a frame, which may be the whole; what the part cuts in two is left to others."""
        part = sight.part
        tensor = self._preparation.of(frame if sight.is_all else part.of(frame))
        found = self._head.decode(self._infer(tensor), self._size, self._wanted, self._floors)
        if len(found.scores):
            boxes = found.boxes * sight.stretch
            found = Candidates(boxes=boxes, scores=found.scores, label_ids=found.label_ids)
            if not sight.is_all:
                boxes += sight.start
                found = found.only(np.flatnonzero(~part.cuts(boxes, self._canvas, BORDER_PX * sight.scale)))
            # A model that finds each thing once is not to lose those that stand close together.
            max_iou = self._nms_iou if self._head.suppresses else _ANY_OVERLAP
            label_ids = found.label_ids if len(self._wanted) > 1 else None
            found = found.only(suppress(found.boxes, found.scores, label_ids, max_iou, self._most))
            geometry.clip(found.boxes, frame.width, frame.height, out=found.boxes)
        return Seen(part=part, scale=sight.scale, found=found)

    def _explained(self, regions: FloatArray, looks: Sequence[Seen], large: float) -> BoolArray:
        """Which regions, (N, 4), are taken up for the most part by something large that is surely seen already."""
        explained = np.zeros(len(regions), np.bool_)
        for look in looks:
            found = look.found
            sure = found.scores >= self._thresholds[found.label_ids]
            boxes = found.boxes[sure & (geometry.longer_side(found.boxes) >= large)]
            explained |= (geometry.covered(regions, boxes) >= _MOST_OF_IT).any(axis=1)
        return explained

    def _merged(self, looks: Sequence[Seen]) -> Detections:
        """What all looks have found together."""
        found = merge(looks, self._nms_iou, suppresses=self._head.suppresses, most=self._most)
        if not len(found.scores):
            return self._nothing
        has_sides = found.boxes[:, 2:] > found.boxes[:, :2]  # (N, 2)
        if not has_sides.all():  # a model may find things in its padding, where there is no picture
            found = found.only(np.flatnonzero(has_sides.all(axis=1)))
        return Detections(
            boxes=found.boxes,
            scores=found.scores,
            label_ids=found.label_ids,
            strong=found.scores >= self._thresholds.take(found.label_ids),
            label_names=self._label_names,
        )


SMALL_PX = 32.0
"""What is shown with no side as long as this is small, and worth a closer look.

Source: COCO calls things small whose area is less than 32 x 32 pixels (cocodataset.org, "Detection evaluation").
"""

BORDER_PX = 2.0
"""As the model sees them: so near an end of its picture a box means a thing that goes on there."""

_ANY_OVERLAP = 1.0
_MOST_OF_IT = 0.5  # what moves is found in steps of several pixels, and grown by some
