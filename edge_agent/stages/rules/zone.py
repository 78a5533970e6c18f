"""Zones: which objects stand in an area, with inertia in seconds."""

from __future__ import annotations

from edge_agent.settings import Label, Polygon, Seconds, Section


class ZoneSettings(Section):
    """An area of the picture that objects enter and leave with the middle of their lower side."""

    polygon: Polygon
    """Its corners, 0..1 of the frame."""

    labels: tuple[Label, ...] | None = None
    """What counts in it; everything that the camera looks for when left out."""

    inertia_s: Seconds = 0.5
    """How long an object must be in (or out) before it has entered (or left); larger ignores brief touches."""
