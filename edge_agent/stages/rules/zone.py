"""Zones: which objects stand in an area, with inertia in seconds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import numpy as np
from pydantic import Field

from edge_agent import geometry
from edge_agent.records import Frame, Track, Tracks
from edge_agent.settings import Label, Polygon, Seconds, Section


class ZoneSettings(Section):
    """An area of the picture that objects enter and leave with the middle of their lower side."""

    polygon: Polygon
    """Its corners, 0..1 of the frame."""

    labels: Annotated[tuple[Label, ...], Field(min_length=1)] | None = None
    """What counts in it; everything that the camera looks for when left out."""

    inertia_s: Seconds = 0.5
    """How long an object must be in (or out) before it has entered (or left); larger ignores brief touches."""


class Zone:
    """Remembers which objects are in one area.

    An object that has not been reported yet is in the zone as soon as it stands in it, so that `new` can name its
    zones; once reported, it has entered or left only after `inertia_s` on the other side.
    """

    def __init__(self, settings: ZoneSettings) -> None:
        self._settings = settings
        self._corners = np.array(settings.polygon, np.float32)  # (K, 2)
        self._inside: dict[int, bool] = {}  # by track id
        self._settled: set[int] = set()  # who was confirmed when last placed: inertia holds from then on
        self._doubted_s: dict[int, float] = {}  # since when an object has stood on the other side

    def update(self, tracks: Tracks, frame: Frame) -> frozenset[int]:
        """Which objects are in the zone now, by track id."""
        seen = [track for track in tracks.live if track.seen_s == frame.at_s and self._counts(track)]
        for track, stands_inside in zip(seen, self._stand_inside(seen, frame), strict=True):
            self._place(track, frame.at_s, stands_inside=stands_inside)
        for track in tracks.ended:
            self._inside.pop(track.id, None)
            self._settled.discard(track.id)
            self._doubted_s.pop(track.id, None)
        return frozenset(track_id for track_id, inside in self._inside.items() if inside)

    def forget(self) -> None:
        """Nobody is there any longer."""
        self._inside.clear()
        self._settled.clear()
        self._doubted_s.clear()

    def _counts(self, track: Track) -> bool:
        return self._settings.labels is None or track.label in self._settings.labels

    def _stand_inside(self, tracks: Sequence[Track], frame: Frame) -> Sequence[bool]:
        feet = [geometry.bottom_centre(geometry.normalise(track.box, frame.width, frame.height)) for track in tracks]
        # A box cut off by the picture's lower edge stands on that edge, which no polygon would hold.
        points = np.minimum(np.array(feet, np.float32).reshape(-1, 2), _JUST_INSIDE)
        inside: list[bool] = geometry.in_polygon(points, self._corners).tolist()
        return inside

    def _place(self, track: Track, at_s: float, *, stands_inside: bool) -> None:
        if track.id not in self._settled:
            self._inside[track.id] = stands_inside
            if track.confirmed:
                self._settled.add(track.id)
        elif stands_inside is self._inside[track.id]:
            self._doubted_s.pop(track.id, None)
        elif at_s - self._doubted_s.setdefault(track.id, at_s) >= self._settings.inertia_s:
            self._inside[track.id] = stands_inside
            del self._doubted_s[track.id]


_JUST_INSIDE = 1 - 1e-6
