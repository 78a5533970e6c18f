"""Zones: which objects are in an area, with inertia in seconds, and the rule that one entered or left it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from edge_agent import geometry
from edge_agent.records import Condition, Frame, Track, Tracks
from edge_agent.settings import Identifier, Label, Polygon, Seconds, Section
from edge_agent.stages.rules.anchor import Anchor, place_norm
from edge_agent.stages.rules.conditions import yes
from edge_agent.stages.rules.scene import Scene, Seen
from edge_agent.stages.rules.watch import Kind, WatchSettings


class ZoneSettings(Section):
    """An area of the picture that objects enter and leave."""

    polygon: Polygon
    """Its corners, 0..1 of the frame."""

    labels: Annotated[tuple[Label, ...], Field(min_length=1)] | None = None
    """What counts in it; everything that the camera looks for when left out."""

    inertia_s: Seconds = 0.5
    """How long an object must be in (or out) before it has entered (or left); larger ignores brief touches."""

    anchor: Anchor = "bottom"
    """What of an object must be in it: the middle of its box's lower side (where it stands), of the box, or of its
    upper side."""


class Zone:
    """Remembers which objects are in one area, and since when.

    An object that has not been reported yet is in the zone as soon as it stands in it, so that `new` can name its
    zones; once reported, it has entered or left only after `inertia_s` on the other side. It has been in since it first
    stood there, inertia included. What turns out to be something that does not count there is out at once.
    """

    def __init__(self, settings: ZoneSettings) -> None:
        self._settings = settings
        self._edges = geometry.edges_of(np.array(settings.polygon, np.float32))
        self._since_s: dict[int, float] = {}  # by track id: those inside
        self._settled: set[int] = set()  # who was confirmed when last placed: inertia holds from then on
        self._doubted_s: dict[int, float] = {}  # since when an object has stood on the other side

    def update(self, tracks: Tracks, frame: Frame) -> Mapping[int, float]:
        """Which objects are in the zone now, by track id, and since when."""
        seen: list[Track] = []
        for track in tracks.live:
            if not self._counts(track):
                self._lose(track.id)
            elif track.seen_s == frame.at_s:
                seen.append(track)
        for track, stands_inside in zip(seen, self._stand_inside(seen, frame), strict=True):
            self._place(track, frame.at_s, stands_inside=stands_inside)
        for track in tracks.ended:
            self._lose(track.id)
        return self._since_s

    def forget(self) -> None:
        """Nobody is there any longer."""
        self._since_s.clear()
        self._settled.clear()
        self._doubted_s.clear()

    def _counts(self, track: Track) -> bool:
        return self._settings.labels is None or track.label in self._settings.labels

    def _lose(self, track_id: int) -> None:
        self._since_s.pop(track_id, None)
        self._settled.discard(track_id)
        self._doubted_s.pop(track_id, None)

    def _stand_inside(self, tracks: Sequence[Track], frame: Frame) -> Sequence[bool]:
        places = [place_norm(track, self._settings.anchor, frame.width, frame.height) for track in tracks]
        # A box cut off by the picture's lower edge stands on that edge, which no polygon would hold.
        points = np.minimum(np.array(places, np.float32).reshape(-1, 2), _JUST_INSIDE)
        inside: list[bool] = geometry.in_polygon(points, self._edges).tolist()
        return inside

    def _place(self, track: Track, at_s: float, *, stands_inside: bool) -> None:
        if stands_inside is (track.id in self._since_s):
            self._doubted_s.pop(track.id, None)
        elif track.id not in self._settled:
            self._move(track.id, at_s)
        elif at_s - (doubted_s := self._doubted_s.setdefault(track.id, at_s)) >= self._settings.inertia_s:
            self._move(track.id, doubted_s)
        if track.confirmed:
            self._settled.add(track.id)

    def _move(self, track_id: int, since_s: float) -> None:
        """To the other side, where it has been for some time already."""
        if self._since_s.pop(track_id, None) is None:
            self._since_s[track_id] = since_s
        self._doubted_s.pop(track_id, None)


_JUST_INSIDE = 1 - 1e-6


class PassageSettings(WatchSettings):
    """An object has entered a zone, or left it: an event of its own, beside the object's update."""

    kind: Literal["zone"]
    """That it is about entering or leaving."""

    zone: Identifier
    """Which of the camera's zones."""

    on: Literal["enter", "leave"] = "enter"
    """Which of the two. What appears in the zone has entered it; what disappears in it has not left it."""


def passage(settings: PassageSettings) -> Kind:
    """An object has entered or left when its zones differ from those of the frame before."""

    def conditions(seen: Seen, _scene: Scene) -> Iterator[Condition]:
        is_in, was_in = settings.zone in seen.zones, settings.zone in seen.was_in
        if settings.on == "enter":
            yield yes("entered", holds=is_in and not was_in)
        else:
            yield yes("left", holds=was_in and not is_in)

    return Kind(reason="zone_entered" if settings.on == "enter" else "zone_left", conditions=conditions)
