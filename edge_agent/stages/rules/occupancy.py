"""Occupancy: as many objects are in a zone, or in view, as it takes; said when that begins and when it is over."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from edge_agent.records import Condition, Spoken
from edge_agent.settings import Seconds
from edge_agent.stages.rules.conditions import Voice, at_least, at_most, in_zone, labelled, weigh
from edge_agent.stages.rules.scene import IsOpen, Note, Scene, Seen, Turn
from edge_agent.stages.rules.watch import WatchSettings

MOST_OBJECTS = 1000
"""More things than any model finds in a picture."""


class OccupancySettings(WatchSettings):
    """As many objects are in a zone, or in view, as it takes; said when that begins and when it is over."""

    kind: Literal["occupancy"]
    """That it is about how many objects there are."""

    at_least: Annotated[int, Field(ge=1, le=MOST_OBJECTS)]
    """How many objects it takes."""

    for_s: Seconds = 2.0
    """How long there must be as many, or fewer, before that is said; larger ignores brief changes."""


class Occupancy:
    """Remembers whether there are enough objects, and says when that changes.

    It is active from when there were enough for `for_s`, within its schedule and after its cooldown, until there were
    too few for `for_s` or its schedule closes. What was said active is said inactive, whatever the cooldown.

    Args:
        settings: what it takes.
        is_open: its schedule.
    """

    def __init__(self, settings: OccupancySettings, is_open: IsOpen) -> None:
        self._settings = settings
        self._voice = Voice(settings.cooldown_s, is_open)
        self._active = False
        self._enough: bool | None = None
        self._since_s = 0.0  # since when there have been enough, or too few

    def look(self, scene: Scene, note: Note | None) -> Iterator[Turn]:
        """Say what this frame gives reason to."""
        count = sum(self._counts(seen) for seen in scene.present)
        enough = count >= self._settings.at_least
        if enough is not self._enough:
            self._enough, self._since_s = enough, scene.at_s
        changes, conditions = weigh(self._conditions(count, scene), whole=note is not None and scene.looked)
        spoken = Spoken(name=self._settings.name, kind="occupancy", count=count, active=not self._active)
        if note is not None and (changes or scene.looked):
            note(spoken, None, conditions)
        if changes:
            self._active = not self._active
            if self._active:
                self._voice.speak(scene)
            yield Turn(
                event_type="update",
                reason=("count_changed",),
                track=None,
                zones=(),
                rule=spoken,
                since_s=self._since_s if self._active is enough else scene.at_s,
            )

    def part(self, seen: Seen, scene: Scene, note: Note | None) -> Iterator[Turn]:
        """Nothing to say of one that ends: it is counted no more."""
        del seen, scene, note
        return iter(())

    def _counts(self, seen: Seen) -> bool:
        return labelled(seen.track, self._settings.labels).holds and in_zone(seen, self._settings.zone).holds

    def _conditions(self, count: int, scene: Scene) -> Iterator[Condition]:
        """What must hold for it to become active, or, when it is, no longer to be."""
        if not self._active:
            yield at_least("count", count, self._settings.at_least)
            yield at_least("held_s", scene.at_s - self._since_s, self._settings.for_s)
            yield from self._voice.conditions(scene)
        elif scene.over or not self._voice.schedule(scene).holds:
            yield at_most("schedule", 0.0, 0.0)
        else:
            yield at_most("count", count, self._settings.at_least - 1)
            yield at_least("held_s", scene.at_s - self._since_s, self._settings.for_s)
