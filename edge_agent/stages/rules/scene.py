"""What a rule is shown of one frame, and what it answers: turns in an object's life, and things that are so."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from edge_agent.records import Condition, EventType, Reason, Spoken, Track

Zones = tuple[str, ...]
"""The names of the zones that an object is in, in the order of the configuration."""

IsOpen = Callable[[int], bool]
"""Whether a rule is within its schedule at a moment, in nanoseconds UTC."""

Note = Callable[[Spoken, Track | None, tuple[Condition, ...]], None]
"""Is told, for each rule and object in each frame that was looked at, what the rule would say, of which object (None
for the scene), and all its conditions; it has said so if all of them hold. In other frames, of rules that spoke."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """An object that has had its `new`, as a rule sees it.

    Attributes:
        track: as it is now, or was last.
        zones: the zones it is in.
        since_s: since when it has been in each of them.
        was_in: the zones it was in one frame before; none when it is new.
        speed_kmh: how fast it moves on the ground; None where nobody knows.
    """

    track: Track
    zones: Zones
    since_s: Mapping[str, float]
    was_in: Zones
    speed_kmh: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One frame as rules see it.

    Attributes:
        at_s: when it was taken; every duration is counted in this.
        utc_ns: the same moment for people; only schedules go by it.
        width: of the frame, pixels.
        height: of the frame, pixels.
        present: the objects that have had their `new` and not yet their `end`, in the order of their `new`.
        live: all tracks, those that are not confirmed yet included: what is not among them is to be forgotten.
        over: nothing comes after this frame, or not for long.
        looked: somebody looked at it, so that there is more to tell than that it is later.
        exchanged: ids of tracks that had been taken for each other until now: how they came here is not how they went.
    """

    at_s: float
    utc_ns: int
    width: int
    height: int
    present: tuple[Seen, ...] = ()
    live: tuple[Track, ...] = ()
    over: bool = False
    looked: bool = True
    exchanged: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What is to be said: of an object's life, or by a rule.

    Attributes:
        event_type: new, update or end.
        reason: why.
        track: of which object; None for the scene.
        zones: where the object is; for `end`, where it was last.
        rule: which rule says it; None for the object's life.
        since_s: since when it has been so of the scene.
    """

    event_type: EventType
    reason: tuple[Reason, ...]
    track: Track | None
    zones: Zones
    rule: Spoken | None = None
    since_s: float | None = None


class Rule(Protocol):
    """What speaks by itself, beside the objects' lives."""

    def look(self, scene: Scene, note: Note | None) -> Iterator[Turn]:
        """Say what this frame gives reason to."""

    def part(self, seen: Seen, scene: Scene, note: Note | None) -> Iterator[Turn]:
        """Say what it gives reason to that an object ends with this frame, just before its `end`."""
