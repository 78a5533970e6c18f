"""The detector: a frame goes in, boxes in the frame's own pixels come out."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from edge_agent import geometry, pixels
from edge_agent.records import BoolArray, ByteArray, Detections, FloatArray, Frame, Infer
from edge_agent.settings import Label, Polygon, Ratio, Section
from edge_agent.stages.detect.head import Candidates, Head
from edge_agent.stages.detect.nms import suppress


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


class Detector:
    """Runs a model on frames.

    It keeps one input tensor and fills it anew for each frame, so an `Infer` must not hold on to what it is given.

    Args:
        infer: one run of the model.
        head: how to prepare its input and read its output.
        label_names: what its class columns mean, (head.classes,).
        input_size: width and height that the model sees.
        threshold: least score of a detection, for labels without one of their own.
        settings: see `DetectSettings`.
        mask: areas in 0..1 that are blanked before the model sees them.

    Raises:
        ValueError: a wanted label is none of the model's.
    """

    def __init__(  # noqa: PLR0913  (what a detector is made of: a model's four parts and the user's three)
        self,
        *,
        infer: Infer,
        head: Head,
        label_names: tuple[str, ...],
        input_size: tuple[int, int],
        threshold: float,
        settings: DetectSettings,
        mask: tuple[Polygon, ...] = (),
    ) -> None:
        unknown = [label for label in settings.labels if label not in label_names]
        if unknown:
            raise ValueError(f"the model knows no {', '.join(unknown)}; it knows {', '.join(label_names)}")
        self._infer = infer
        self._head = head
        self._label_names = label_names
        self._size = input_size
        self._mask = mask
        self._nms_iou = settings.nms_iou
        self._wanted = np.array([label_names.index(label) for label in settings.labels], np.int64)
        thresholds = [settings.thresholds.get(label, threshold) for label in settings.labels]
        self._floors = np.array(thresholds, np.float32) * np.float32(settings.weak)
        self._thresholds = np.ones(len(label_names), np.float32)
        self._thresholds[self._wanted] = thresholds
        # What the model wants for each of 0..255, a row a channel in the model's order.
        levels = np.arange(256, dtype=np.float32)
        self._table = (levels - np.array(head.mean, np.float32)[:, None]) / np.array(head.std, np.float32)[:, None]
        self._blob = np.empty((1, 3, input_size[1], input_size[0]), np.float32)
        self._picture_size = (0, 0)
        self._masked: BoolArray | None = None

    def detect(self, frame: Frame) -> Detections:
        """Find the wanted things in a frame."""
        width, height = self._place(frame)
        self._fill(pixels.to_bgr(frame, width, height))
        candidates = self._head.decode(self._infer(self._blob), self._size, self._wanted, self._floors)
        return self._finish(candidates, frame, np.array([frame.width / width, frame.height / height] * 2, np.float32))

    def _place(self, frame: Frame) -> tuple[int, int]:
        """Width and height of the picture within the model's input; what is made once a size is made here."""
        size = self._size if self._head.resize == "stretch" else letterbox(frame.width, frame.height, *self._size)
        if size != self._picture_size:
            self._picture_size = size
            self._blob[:] = self._table[:, self._head.padding, None, None]
            self._masked = geometry.polygon_mask(self._mask, *size) if self._mask else None
        return size

    def _fill(self, picture: ByteArray) -> None:
        """Put a BGR picture (h, w, 3) into the top left of the input tensor."""
        if self._masked is not None:
            picture[self._masked] = self._head.padding
        # The table is in the model's order and the picture in BGR: for an RGB model the channels are written backwards.
        order = slice(None) if self._head.colour == "bgr" else slice(None, None, -1)
        pixels.fill_channels(picture, self._table[order], self._blob[0, order])

    def _finish(self, found: Candidates, frame: Frame, scale: FloatArray) -> Detections:
        kept = suppress(found.boxes, found.scores, found.label_ids, self._nms_iou)
        boxes = geometry.clip(found.boxes[kept] * scale, frame.width, frame.height)
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


def letterbox(width: int, height: int, input_width: int, input_height: int) -> tuple[int, int]:
    """Largest even size with a picture's aspect that fits into the model's input."""
    scale = min(input_width / width, input_height / height)
    return max(2, round(width * scale / 2) * 2), max(2, round(height * scale / 2) * 2)
