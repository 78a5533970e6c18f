"""Why it did, and why it did not: finds in a trail what explains an event, or a moment."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import Any, NamedTuple

from edge_agent.errors import StorageError
from edge_agent.settings import parse_seconds
from edge_agent.stages.trail.entries import Entry, EventEntry, Milliseconds, ObjectEntry, WatchEntry

Wall = Callable[[float], datetime]
"""What the clock on the wall shows at a moment, seconds since 1970."""

_MS = 1000.0
_LONGEST_S = 86400.0
_AGAIN_MS = 60_000
"""What still lives is noted again within a minute, or, when it stands still, within as long as it has been there."""


class EventId(NamedTuple):
    """An event's id: `RUN/CAMERA/SEQ`."""

    run: str
    camera: str
    seq: int

    def __str__(self) -> str:
        """Write it as events have it."""
        return f"{self.run}/{self.camera}/{self.seq}"

    @staticmethod
    def parse(text: str) -> EventId:
        """Read it.

        Raises:
            ValueError: it is none.
        """
        run, camera, seq = text.strip().split("/")
        if not (run and camera and seq.isdecimal() and seq.isascii()):
            raise ValueError(text)
        return EventId(run, camera, int(seq))


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """What a trail knows of an event, or of what was around a moment.

    Attributes:
        events: the event, or those that were said then.
        objects: who was there, or the event's object.
        watches: how the camera was watched then.
        is_moment: it is about a moment, not about one event.
        before: how it was watched last before, where it was not watched then.
        after: how it was watched next.
    """

    events: tuple[EventEntry, ...] = ()
    objects: tuple[ObjectEntry, ...] = ()
    watches: tuple[WatchEntry, ...] = ()
    is_moment: bool = False
    before: WatchEntry | None = None
    after: WatchEntry | None = None

    def only(self, rule: str) -> Story:
        """The same, of all rules and lines only one."""
        return replace(
            self,
            events=tuple(one for one in self.events if one.rule is not None and one.rule.name == rule),
            objects=tuple(
                one.model_copy(
                    update={
                        "spoke": tuple(spoke for spoke in one.spoke if spoke[0] == rule),
                        "nearest": tuple(judged for judged in one.nearest if judged.name == rule),
                    }
                )
                for one in self.objects
            ),
            watches=tuple(
                one.model_copy(update={"nearest": tuple(judged for judged in one.nearest if judged.name == rule)})
                for one in self.watches
            ),
        )

    def as_json(self) -> dict[str, Any]:
        """The same as JSON types."""
        return {
            what: [entry.model_dump(mode="json", exclude_none=True) for entry in entries]
            for what, entries in (("events", self.events), ("objects", self.objects), ("watches", self.watches))
        }


def of_event(entries: Iterable[Entry], wanted: EventId, wall: Wall | None) -> Story:
    """What a trail knows of an event.

    Args:
        entries: of its camera, in the order in which they were kept.
        wanted: which.
        wall: the clock that moments are told by; UTC without.

    Raises:
        StorageError: it is not kept.
    """
    kept = tuple(entries)
    of_run = [entry for entry in kept if isinstance(entry, EventEntry) and entry.run == wanted.run]
    found = next((entry for entry in of_run if entry.seq == wanted.seq), None)
    if found is None:
        raise StorageError(f"event {wanted} is not kept: {_why_not(kept, of_run, wanted, wall)}")
    objects: tuple[ObjectEntry, ...] = ()
    if found.about is not None:
        objects = tuple(one for one in _latest_objects(kept) if (one.run, one.about.id) == (wanted.run, found.about.id))
    if found.rule is not None:  # why that rule spoke, not why others did not
        objects = tuple(one.model_copy(update={"nearest": ()}) for one in objects)
    return Story(events=(found,), objects=objects)


def at(entries: Iterable[Entry], camera: str, at_ms: Milliseconds, within_ms: Milliseconds, wall: Wall | None) -> Story:
    """What a trail knows of a moment.

    Args:
        entries: of the camera, in the order in which they were kept.
        camera: which.
        at_ms: when.
        within_ms: how long before and after.
        wall: the clock that moments are told by; UTC without.

    Raises:
        StorageError: nothing of that time is kept.
    """
    kept = tuple(entries)
    first_ms, last_ms = at_ms - within_ms, at_ms + within_ms
    watches = _latest_watches(kept)
    story = Story(
        is_moment=True,
        events=tuple(e for e in kept if isinstance(e, EventEntry) and first_ms <= e.at_ms <= last_ms),
        objects=tuple(one for one in _latest_objects(kept) if one.from_ms <= last_ms and _last_ms(one) >= first_ms),
        watches=tuple(one for one in watches if one.from_ms <= last_ms and one.at_ms >= first_ms),
        before=max((one for one in watches if one.at_ms < first_ms), key=lambda one: one.at_ms, default=None),
        after=min((one for one in watches if one.from_ms > last_ms), key=lambda one: one.from_ms, default=None),
    )
    if story.events or story.objects or story.watches or (story.before and story.after):
        return story
    raise StorageError(f'nothing of camera "{camera}" at {iso(at_ms, wall)} is kept: {_span(kept, wall)}')


def _latest_objects(entries: Sequence[Entry]) -> Iterator[ObjectEntry]:
    """Each object as it was noted last."""
    latest = {(entry.run, entry.about.id): entry for entry in entries if isinstance(entry, ObjectEntry)}
    yield from sorted(latest.values(), key=lambda entry: (entry.from_ms, entry.about.id))


def _latest_watches(entries: Sequence[Entry]) -> list[WatchEntry]:
    latest = {(entry.run, entry.from_ms): entry for entry in entries if isinstance(entry, WatchEntry)}
    return sorted(latest.values(), key=lambda entry: entry.from_ms)


def _last_ms(one: ObjectEntry) -> Milliseconds:
    """Until when an object was there, or may have been."""
    if one.fate != "lives":
        return one.about.seen_ms
    return one.at_ms + (_AGAIN_MS if one.about.still_ms is None else max(_AGAIN_MS, one.at_ms - one.from_ms))


def _why_not(kept: Sequence[Entry], of_run: Sequence[EventEntry], wanted: EventId, wall: Wall | None) -> str:
    if not kept:
        return f'the trail knows no camera "{wanted.camera}"'
    if not of_run:
        return f"nothing of run {wanted.run} is; {_span(kept, wall)}"
    first, last = min(entry.seq for entry in of_run), max(entry.seq for entry in of_run)
    if wanted.seq > last:
        return f"the last one kept of that run has the number {last}; a new one is kept within some 10 s"
    if wanted.seq < first:
        return f"it is older than what is; the first one kept of that run has the number {first}"
    return "it was lost, as when the power fails or the disk is full"


def _span(kept: Sequence[Entry], wall: Wall | None) -> str:
    if not kept:
        return "the trail knows nothing of it"
    return f"the trail goes from {iso(min(e.from_ms for e in kept), wall)} to {iso(max(e.at_ms for e in kept), wall)}"


def iso(at_ms: Milliseconds, wall: Wall | None) -> str:
    """A moment as ISO 8601 writes it, by the clock on the wall or else UTC: `2026-06-01T23:00:03.200+02:00`."""
    if wall is None:
        moment = datetime.fromtimestamp(at_ms / _MS, timezone.utc)
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return wall(at_ms / _MS).isoformat(timespec="milliseconds")


def seconds(text: str) -> float:
    """Read a duration such as `30s`.

    Raises:
        ValueError: it is none, or less than 0.
    """
    parsed = parse_seconds(text)
    if not isinstance(parsed, float) or not 0 <= parsed <= _LONGEST_S:
        raise ValueError("must be 0 to 24 h")
    return parsed
