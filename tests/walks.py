"""Objects that go from place to place, seen so often a second, and what the rules of a camera say of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from builders import frame_of, track_of
from pydantic import TypeAdapter

from edge_agent.records import Box, Crossings, Event, Track, Tracks
from edge_agent.stages.rules.ground import GroundSettings
from edge_agent.stages.rules.kinds import RuleSettings
from edge_agent.stages.rules.line import LineSettings
from edge_agent.stages.rules.rules import Rules
from edge_agent.stages.rules.scene import IsOpen, Note
from edge_agent.stages.rules.zone import ZoneSettings

SIZE = (128, 64)
"""Of the frames here, pixels: what is a multiple of 1/64 stays exact."""

Place = tuple[float, float]
"""x and y in 0..1."""

CONFIRMED_S = 0.39
STATIONARY_S = 0.99
"""A little less than a multiple of every frame period here, so that no sum of such periods misses it by rounding."""


@dataclass(frozen=True, kw_only=True)
class Walk:
    """An object that is at places at moments, and on the straight way between them in between.

    Attributes:
        track_id: which object.
        stops: moments in seconds and places; the first is when it is first there, the last when it has gone.
        label: what it is.
        hidden: spans of time in which it is not seen.
    """

    track_id: int = 1
    stops: tuple[tuple[float, Place], ...]
    label: str = "person"
    hidden: tuple[tuple[float, float], ...] = ()

    def place(self, at_s: float) -> Place:
        """Where it is."""
        for (before_s, before), (after_s, after) in pairwise(self.stops):
            if before_s <= at_s <= after_s:
                part = (at_s - before_s) / (after_s - before_s)
                return before[0] + part * (after[0] - before[0]), before[1] + part * (after[1] - before[1])
        raise AssertionError(at_s)

    def still_since_s(self, at_s: float) -> float:
        """Since when it has not moved; now when it moves."""
        return next(
            (
                before_s
                for (before_s, before), (after_s, after) in pairwise(self.stops)
                if before_s <= at_s <= after_s and before == after
            ),
            at_s,
        )


def rules_of(
    *rules: Mapping[str, Any],
    zones: Mapping[str, Mapping[str, Any]] | None = None,
    lines: Mapping[str, Mapping[str, Any]] | None = None,
    labels: tuple[str, ...] = ("person",),
    schedules: Mapping[str, IsOpen] | None = None,
    note: Note | None = None,
    ground: GroundSettings | None = None,
) -> Rules:
    """The rules of a camera, written as in a file."""
    return Rules(
        labels,
        {name: ZoneSettings.model_validate(zone) for name, zone in (zones or {}).items()},
        {name: LineSettings.model_validate(line) for name, line in (lines or {}).items()},
        [_RULE.validate_python(rule) for rule in rules],
        schedules,
        note,
        ground,
    )


_RULE: TypeAdapter[RuleSettings] = TypeAdapter(RuleSettings)


def box_at(place: Place) -> Box:
    """A box whose lower side has its middle there."""
    x, y = place[0] * SIZE[0], place[1] * SIZE[1]
    return (x - 4, y - 16, x + 4, y)


@dataclass
class Told:
    """What was said over a whole story."""

    events: list[tuple[float, Event]]
    counts: dict[tuple[str, str, str], int]

    def by_rules(self, *names: str) -> list[tuple[Any, ...]]:
        """When which rule (of those names, or any) said what of which object: direction, count or reason."""
        return [
            (round(at_s, 3), event.rule.name, event.track.id if event.track else None, _what(event))
            for at_s, event in self.events
            if event.rule and (not names or event.rule.name in names)
        ]


def _what(event: Event) -> Any:
    assert event.rule is not None
    if event.rule.direction:
        return event.rule.direction
    return (event.rule.count, event.rule.active) if event.rule.kind == "occupancy" else event.reason[0]


def story(
    rules: Rules,
    walks: Sequence[Walk],
    rate_hz: float = 10.0,
    until_s: float = 0.0,
    begin_s: float = 0.0,
    utc_ns: Callable[[float], int] | None = None,
) -> Told:
    """Tell rules of objects that walk, and then that all is over."""
    until_s = max([until_s, *(walk.stops[-1][0] + 0.5 for walk in walks)])
    first_s: dict[int, float] = {}
    known: dict[int, Track] = {}
    told = Told([], {})
    frame = frame_of()
    for i in range(int(begin_s * rate_hz), int(until_s * rate_hz) + 1):
        at_s = i / rate_hz
        frame = frame_of(at_s, size=SIZE, seq=i)
        frame = replace(frame, utc_ns=utc_ns(at_s)) if utc_ns else frame
        live, ended = [], []
        for walk in walks:
            if walk.stops[0][0] <= at_s <= walk.stops[-1][0]:
                if walk.track_id not in known or not any(a <= at_s < b for a, b in walk.hidden):
                    known[walk.track_id] = _seen(walk, at_s, first_s.setdefault(walk.track_id, at_s))
                live.append(known[walk.track_id])
            elif walk.track_id in known:
                ended.append(known.pop(walk.track_id))
        _take(told, at_s, rules.evaluate(Tracks(live=tuple(live), ended=tuple(ended)), frame))
    _take(told, frame.at_s, rules.finish(frame))
    return told


def _seen(walk: Walk, at_s: float, first_s: float) -> Track:
    still_since_s = walk.still_since_s(at_s)
    track = track_of(
        walk.track_id,
        label=walk.label,
        box=box_at(walk.place(at_s)),
        first_s=first_s,
        seen_s=at_s,
        confirmed=at_s - first_s >= CONFIRMED_S,
    )
    stationary = at_s - still_since_s >= STATIONARY_S
    return track._replace(stationary=stationary, still_since_s=still_since_s)


def _take(told: Told, at_s: float, said: Sequence[Any]) -> None:
    for one in said:
        if isinstance(one, Event):
            told.events.append((at_s, one))
        elif isinstance(one, Crossings):
            told.counts[one.line, one.label, one.direction] = one.value
