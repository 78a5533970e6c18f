"""The tracker: two-pass association over a constant-velocity filter, everything in seconds."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from edge_agent.settings import Ratio, Seconds, Section


class TrackSettings(Section):
    """When boxes over time are one object, and when an object is real."""

    memory_s: Annotated[Seconds, Field(gt=0)] = 2.5
    """How long an object may be looked for and not found before it has gone; larger bridges longer occlusions."""

    confirm_hits: Annotated[int, Field(ge=1, le=100)] = 3
    """How often an object must be found before it is reported; larger means fewer false alarms, later."""

    confirm_score: Ratio = 0.4
    """Least median score, a look that missed it counting 0; larger means fewer false alarms and more missed objects."""

    match_iou: Ratio = 0.2
    """Least overlap of a box with an object's presumed place; smaller follows faster things and confuses near ones."""
