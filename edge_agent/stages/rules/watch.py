"""What all rules about single objects share: each says its piece once an object, while what it says lasts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from edge_agent.records import Condition, Reason, RuleKind, Spoken
from edge_agent.settings import Identifier, Label, Seconds, Section
from edge_agent.stages.rules.conditions import Voice, at_most, labelled, weigh
from edge_agent.stages.rules.scene import IsOpen, Note, Scene, Seen, Turn
from edge_agent.stages.rules.schedule import Schedules


class WatchSettings(Section):
    """What every rule can be told."""

    name: Identifier
    """Its name in events; no other rule or line of the camera may have it."""

    kind: RuleKind
    """What kind of rule it is."""

    labels: Annotated[tuple[Label, ...], Field(min_length=1)] | None = None
    """What it is about; everything that its zone, or the camera, looks for when left out."""

    zone: Identifier | None = None
    """Where it holds: one of the camera's zones; the whole view when left out."""

    schedule: Schedules | None = None
    """When it speaks: one schedule or a list of several, open while any of them is; always when left out."""

    cooldown_s: Seconds = 0.0
    """How long it says nothing more after it has spoken, whichever object that was about; larger speaks less."""


def _nothing(_scene: Scene) -> None:
    """For kinds that have nothing to remember."""


def _no_more(_seen: Seen, spoken: Spoken) -> Spoken:
    """For kinds that say no more of an object than what they are called."""
    return spoken


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What tells one kind of rule about objects from another.

    Attributes:
        reason: of its events.
        conditions: what must hold of an object in a frame, beside its label; only asks, and remembers nothing.
        observe: takes in each frame before that, for what has to be remembered.
        of_the_gone: it speaks of objects that end, not of those that are present.
        spoken: completes what it says of itself with what there is to say of the object.
    """

    reason: Reason
    conditions: Callable[[Seen, Scene], Iterator[Condition]]
    observe: Callable[[Scene], None] = _nothing
    of_the_gone: bool = False
    spoken: Callable[[Seen, Spoken], Spoken] = _no_more


class Watch:
    """A rule about single objects.

    It speaks of an object when all its conditions hold. Then it has *said* so, and does not again until those of its
    kind no longer held for a frame. That its schedule closes, or another object's cooldown, is no end of what it says.

    Args:
        settings: what every rule can be told.
        kind: what kind of rule it is.
        is_open: its schedule.
    """

    def __init__(self, settings: WatchSettings, kind: Kind, is_open: IsOpen) -> None:
        self._labels = settings.labels
        self._kind = kind
        self._voice = Voice(settings.cooldown_s, is_open)
        self._spoken = Spoken(name=settings.name, kind=settings.kind)
        self._said: set[int] = set()  # track ids, while it lasts

    def look(self, scene: Scene, note: Note | None) -> Iterator[Turn]:
        """Say what this frame gives reason to."""
        self._kind.observe(scene)
        self._said.intersection_update(seen.track.id for seen in scene.present)
        if not self._kind.of_the_gone:
            for seen in scene.present:
                yield from self._judge(seen, scene, note)

    def part(self, seen: Seen, scene: Scene, note: Note | None) -> Iterator[Turn]:
        """Say what it gives reason to that an object ends."""
        if self._kind.of_the_gone:
            yield from self._judge(seen, scene, note)

    def _judge(self, seen: Seen, scene: Scene, note: Note | None) -> Iterator[Turn]:
        track_id, whole = seen.track.id, note is not None and scene.looked
        lasts, own = weigh(self._own(seen, scene), whole=whole)
        if not lasts:
            self._said.discard(track_id)
            if not whole:
                return
        may_speak, rest = weigh(self._rest(track_id, scene), whole=whole)
        speaks = lasts and may_speak
        if note is not None and (whole or speaks):
            note(self._spoken, seen.track, own + rest)
        if speaks:
            self._said.add(track_id)
            self._voice.speak(scene)
            yield Turn(
                event_type="update",
                reason=(self._kind.reason,),
                track=seen.track,
                zones=seen.zones,
                rule=self._kind.spoken(seen, self._spoken),
            )

    def _own(self, seen: Seen, scene: Scene) -> Iterator[Condition]:
        yield labelled(seen.track, self._labels)
        yield from self._kind.conditions(seen, scene)

    def _rest(self, track_id: int, scene: Scene) -> Iterator[Condition]:
        yield at_most("said", float(track_id in self._said), 0.0)
        yield from self._voice.conditions(scene)
