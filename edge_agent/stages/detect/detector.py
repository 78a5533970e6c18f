"""The detector: a frame goes in, boxes in the frame's own pixels come out."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from edge_agent.settings import Label, Ratio, Section


class DetectSettings(Section):
    """What to look for, and how often."""

    rate_hz: Annotated[float, Field(gt=0, le=60)] = 5.0
    """How often to look while something moves; larger follows faster things and costs more."""

    labels: Annotated[tuple[Label, ...], Field(min_length=1)] = ("person",)
    """What to look for; anything else the model sees is left out."""

    thresholds: dict[Label, Ratio] = Field(default_factory=dict)
    """Least score for a label, where it differs from `model.threshold`."""

    weak: Ratio = 0.5
    """Part of its threshold from which a box may keep a known object alive, though never begin one."""

    nms_iou: Ratio = 0.6
    """Two boxes of a label that overlap more than this are one; larger tells people in a crowd apart."""
