"""Speed: an object moves faster on the ground than it may."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Annotated, Literal

from pydantic import Field

from edge_agent.records import Condition, Spoken
from edge_agent.settings import Seconds
from edge_agent.stages.rules.conditions import at_least, in_zone
from edge_agent.stages.rules.ground import FASTEST_KMH
from edge_agent.stages.rules.scene import Scene, Seen
from edge_agent.stages.rules.watch import Kind, WatchSettings

_EASES = 0.9
"""Who has been too fast for long enough is so until the speed falls below this part of the limit: one that wavers
around it is said once."""

_DIGITS = 1


class SpeedSettings(WatchSettings):
    """An object moves faster on the ground than it may; needs the camera's `ground`."""

    kind: Literal["speed"]
    """That it is about how fast an object moves."""

    over_kmh: Annotated[float, Field(gt=0, lt=FASTEST_KMH)]
    """What it must be faster than, km/h."""

    for_s: Seconds = 0.5
    """How long it must have been, until its speed was last known; larger ignores brief dashes, and boxes that jump."""


@dataclass(frozen=True, slots=True)
class Pace:
    """What was last known of an object's speed.

    Attributes:
        speed_kmh: how fast it was.
        known_s: when that was.
        over_since_s: since when it has been too fast; None when it is not.
    """

    speed_kmh: float
    known_s: float
    over_since_s: float | None

    @property
    def over_s(self) -> float:
        """How long it has been too fast."""
        return 0.0 if self.over_since_s is None else self.known_s - self.over_since_s


class Paces:
    """Remembers since when objects have been too fast; where a speed is not known, nothing changes."""

    def __init__(self, settings: SpeedSettings) -> None:
        self._settings = settings
        self._paces: dict[int, Pace] = {}  # by track id

    def observe(self, scene: Scene) -> None:
        """Take in the speeds of a frame."""
        self._paces = {seen.track.id: pace for seen in scene.present if (pace := self._pace(seen))}

    def of(self, seen: Seen) -> Pace:
        """What was last known of an object."""
        return self._paces.get(seen.track.id, Pace(0.0, seen.track.seen_s, None))

    def limit_kmh(self, pace: Pace) -> float:
        """What an object must be faster than: less for one that has been too fast for long enough already."""
        is_settled = pace.over_since_s is not None and pace.over_s >= self._settings.for_s
        return self._settings.over_kmh * (_EASES if is_settled else 1.0)

    def _pace(self, seen: Seen) -> Pace | None:
        before, track, speed_kmh = self._paces.get(seen.track.id), seen.track, seen.speed_kmh
        if speed_kmh is None:
            return before
        before = before or Pace(speed_kmh, track.seen_s, None)
        if speed_kmh <= self.limit_kmh(before):
            return Pace(speed_kmh, track.seen_s, None)
        return Pace(speed_kmh, track.seen_s, track.seen_s if before.over_since_s is None else before.over_since_s)


def speed(settings: SpeedSettings) -> Kind:
    """An object is too fast from the first sighting at which it is, until one at which it is clearly not."""
    paces = Paces(settings)

    def conditions(seen: Seen, _scene: Scene) -> Iterator[Condition]:
        yield in_zone(seen, settings.zone)
        pace = paces.of(seen)
        wanted_kmh, is_over = paces.limit_kmh(pace), pace.over_since_s is not None
        yield Condition(name="speed_kmh", value=pace.speed_kmh, wanted=wanted_kmh, holds=is_over)
        yield at_least("held_s", pace.over_s, settings.for_s)

    def spoken(seen: Seen, so_far: Spoken) -> Spoken:
        return replace(so_far, speed_kmh=round(paces.of(seen).speed_kmh, _DIGITS))

    return Kind(reason="speeding", conditions=conditions, observe=paces.observe, spoken=spoken)
