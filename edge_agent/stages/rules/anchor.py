"""Where an object is, of all the places that its box covers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

from edge_agent import geometry
from edge_agent.geometry import Point
from edge_agent.records import Box, Track

Anchor = Literal["bottom", "centre", "top"]
"""The middle of the box's lower side, of the box, or of its upper side."""

_ANCHORS: Mapping[Anchor, Callable[[Box], Point]] = {
    "bottom": geometry.bottom_centre,
    "centre": geometry.centre,
    "top": geometry.top_centre,
}


def place_norm(track: Track, anchor: Anchor, width: int, height: int) -> Point:
    """Where an object is, in 0..1 of a frame of that many pixels; a box is cut off at the frame's edge."""
    return _ANCHORS[anchor](geometry.normalise(track.box, width, height))
