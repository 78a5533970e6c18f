"""Left behind: a thing has stood still for long with nobody who stays near it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from edge_agent import geometry
from edge_agent.records import Condition
from edge_agent.settings import Label, Ratio, Seconds
from edge_agent.stages.rules.conditions import at_least, in_zone
from edge_agent.stages.rules.scene import Scene, Seen
from edge_agent.stages.rules.watch import Kind, WatchSettings


class LeftBehindSettings(WatchSettings):
    """A thing has stood still for long with nobody who stays near it."""

    kind: Literal["left_behind"]
    """That it is about what is left alone."""

    labels: Annotated[tuple[Label, ...], Field(min_length=1)]
    """The things that it is about."""

    after_s: Annotated[Seconds, Field(gt=0)]
    """How long it must have been alone, and still, until it was last seen; larger speaks of fewer, and later."""

    people: Annotated[tuple[Label, ...], Field(min_length=1)] = ("person",)
    """Who may be with it."""

    near: Ratio = 0.15
    """How near that is: the gap between the boxes, in parts of the picture's height; larger speaks of fewer."""

    stays_s: Seconds = 3.0
    """How long somebody must be near to be with it and no passer-by; larger ignores more of these."""


_BREAK_S = 1.0
"""A box that shrinks for a moment takes nobody away."""


class Company:
    """Remembers who is near which thing since when, and since when each thing is alone."""

    def __init__(self, settings: LeftBehindSettings) -> None:
        self._settings = settings
        self._near_s: dict[tuple[int, int], tuple[float, float]] = {}  # by thing and person: since and until when
        self._alone_since_s: dict[int, float] = {}  # by track id: since nobody has been with it

    def observe(self, scene: Scene) -> None:
        """Take in who is near what in this frame."""
        things = [seen for seen in scene.present if seen.track.label in self._settings.labels]
        people = [seen for seen in scene.present if seen.track.label in self._settings.people] if things else []
        self._near_s = {
            (thing.track.id, person.track.id): span
            for thing in things
            for person in people
            if thing is not person and (span := self._near(thing, person, scene))
        }
        alone_since_s = {thing.track.id: self._alone_since_s.get(thing.track.id, -math.inf) for thing in things}
        for (thing_id, _), (since_s, until_s) in self._near_s.items():
            if until_s - since_s >= self._settings.stays_s:
                alone_since_s[thing_id] = max(alone_since_s[thing_id], until_s)
        self._alone_since_s = alone_since_s

    def alone_s(self, thing: Seen) -> float:
        """How long a thing has been still with nobody, up to when it was last seen; 0 while somebody is with it."""
        since_s = max(thing.track.still_since_s, self._alone_since_s.get(thing.track.id, -math.inf))
        return max(thing.track.seen_s - since_s, 0.0)

    def _near(self, thing: Seen, person: Seen, scene: Scene) -> tuple[float, float] | None:
        """Since and until when a person has been near a thing, but for short breaks; None when they are not."""
        before = self._near_s.get((thing.track.id, person.track.id))
        if geometry.gap(thing.track.box, person.track.box) <= self._settings.near * scene.height:
            return (before[0] if before else scene.at_s), scene.at_s
        return before if before and scene.at_s - before[1] <= _BREAK_S else None


def left_behind(settings: LeftBehindSettings) -> Kind:
    """Its clock begins when a thing has come to rest, and anew when somebody who was with it has gone."""
    company = Company(settings)

    def conditions(seen: Seen, _scene: Scene) -> Iterator[Condition]:
        yield in_zone(seen, settings.zone)
        yield at_least("alone_s", company.alone_s(seen), settings.after_s)

    return Kind(reason="left_behind", conditions=conditions, observe=company.observe)
