"""The detector: a frame goes in, boxes in the frame's own pixels come out."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import numpy as np
from pydantic import Field

from edge_agent import geometry
from edge_agent.records import Detections, FloatArray, Frame, Infer
from edge_agent.settings import Label, Ratio, Section
from edge_agent.stages.detect.head import Candidates, Head
from edge_agent.stages.detect.nms import MAX_CANDIDATES, suppress
from edge_agent.stages.detect.preparation import Preparation
from edge_agent.stages.detect.zoom import Part, part_around


class DetectSettings(Section):
    """What to look for, and how often."""

    rate_hz: Annotated[float, Field(gt=0, le=60)] = 5.0
    """How often to look while something moves; larger follows faster things and costs more. A person who walks across
    at 2 m/s is lost below about 4."""

    weight: Annotated[float, Field(ge=0.1, le=10)] = 1.0
    """How much this camera matters beside others when the machine is too slow for all: with twice the weight a look
    waits about half as long. Larger is looked at more often then, and the others less."""

    labels: Annotated[tuple[Label, ...], Field(min_length=1)] = ("person",)
    """What to look for; anything else the model sees is left out."""

    thresholds: dict[Label, Ratio] = Field(default_factory=dict)
    """Least score for a label, where it differs from `model.threshold`."""

    weak: Ratio = 0.5
    """Part of its threshold from which a box may keep a known object alive, though never begin one."""

    nms_iou: Ratio = 0.5
    """Two boxes of a label that overlap more than this are one; larger tells people in a crowd apart."""

    zoom: bool = False
    """Look a second time, closer, where something moves far away; finds persons of a twentieth of the picture's height,
    and doubles the cost of such looks."""


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
        self._max_candidates = max_candidates
        self._zooms = settings.zoom
        self._wanted = np.array([label_names.index(label) for label in settings.labels], np.int64)
        thresholds = [settings.thresholds.get(label, threshold) for label in settings.labels]
        self._floors = np.array(thresholds, np.float32) * np.float32(settings.weak)
        self._thresholds = np.ones(len(label_names), np.float32)
        self._thresholds[self._wanted] = thresholds
        self._preparation = Preparation(head, input_size)

    def detect(self, frame: Frame, regions: FloatArray | None = None) -> Detections:
        """Find the wanted things in a frame, and, where it pays, once more in the part where something moves.

        Args:
            frame: looked at as a whole, always.
            regions: (N, 4) xyxy pixels, where something moves; None when that is not known.
        """
        found = self._look(frame)
        if self._zooms and regions is not None:
            part = part_around(regions, frame, self._preparation.picture_size)
            if part is not None:
                found = _merged(found, self._look_closer(frame, part))
        return self._finish(found, frame)

    def _look(self, frame: Frame) -> Candidates:
        """Run the model on a frame; boxes are in pixels of the frame."""
        tensor = self._preparation.tensor(self._preparation.picture(frame))
        found = self._head.decode(self._infer(tensor), self._size, self._wanted, self._floors)
        width, height = self._preparation.picture_size
        return replace(
            found, boxes=found.boxes * np.array([frame.width / width, frame.height / height] * 2, np.float32)
        )

    def _look_closer(self, frame: Frame, part: Part) -> Candidates:
        """Run the model on a part of a frame; what the part cuts in two is left to the look at the whole."""
        found = self._look(part.of(frame))
        kept = ~part.cuts(found.boxes, frame, border_px=_BORDER * part.width / self._preparation.picture_size[0])
        offset = np.array([part.left, part.top] * 2, np.float32)
        return Candidates(boxes=found.boxes[kept] + offset, scores=found.scores[kept], label_ids=found.label_ids[kept])

    def _finish(self, found: Candidates, frame: Frame) -> Detections:
        # A model that finds each thing once is not to lose those that stand close together.
        max_iou = self._nms_iou if self._head.suppresses or self._zooms else _ANY_OVERLAP
        kept = suppress(found.boxes, found.scores, found.label_ids, max_iou, self._max_candidates)
        boxes = geometry.clip(found.boxes[kept], frame.width, frame.height)
        visible = geometry.area(boxes) > 0  # a model may find things in its padding, where there is no picture
        boxes, kept = boxes[visible], kept[visible]
        scores, label_ids = found.scores[kept], found.label_ids[kept]
        return Detections(
            boxes=boxes,
            scores=scores,
            label_ids=label_ids,
            strong=scores >= self._thresholds[label_ids],
            label_names=self._label_names,
        )


def _merged(one: Candidates, other: Candidates) -> Candidates:
    return Candidates(
        boxes=np.concatenate([one.boxes, other.boxes]),
        scores=np.concatenate([one.scores, other.scores]),
        label_ids=np.concatenate([one.label_ids, other.label_ids]),
    )


_ANY_OVERLAP = 1.0
_BORDER = 2.0  # pixels as the model sees them: so near an end of its picture a box means a thing that goes on there
