"""The life of an object as others hear of it: one `new`, an `update` only when something happened, one `end`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from edge_agent.records import Reason, Track, Tracks
from edge_agent.stages.rules.scene import Turn, Zones


class Lifecycle:
    """Remembers what was said of each object, and says what is new about it."""

    def __init__(self) -> None:
        self._said: dict[int, tuple[Track, Zones]] = {}  # by track id: the object and its zones when last told

    @property
    def present(self) -> dict[int, tuple[Track, Zones]]:
        """The objects that have had their `new` and not yet their `end`, and their zones."""
        return self._said

    def update(self, tracks: Tracks, zones: Mapping[int, Zones]) -> Iterator[Turn]:
        """Say what changed, ended objects first; `zones` are those of each live track, by its id."""
        for track in tracks.ended:
            if track.id in self._said:
                yield self._end(track)
        for track in tracks.live:
            inside = zones.get(track.id, ())
            if track.id in self._said:
                before = self._said[track.id]
                self._said[track.id] = (track, inside)
                if reason := (*_moves(before[1], inside), *_changes(before[0], track)):
                    yield Turn(event_type="update", reason=reason, track=track, zones=inside)
            elif track.confirmed:
                self._said[track.id] = (track, inside)
                yield Turn(event_type="new", reason=("appeared", *_moves((), inside)), track=track, zones=inside)

    def finish(self) -> Iterator[Turn]:
        """Nothing more will be seen: everything that is present ends."""
        for track, _zones in list(self._said.values()):
            yield self._end(track)

    def _end(self, track: Track) -> Turn:
        _last_told, inside = self._said.pop(track.id)
        return Turn(event_type="end", reason=("disappeared",), track=track, zones=inside)


def _moves(before: Zones, now: Zones) -> tuple[Reason, ...]:
    if before == now:
        return ()
    entered: tuple[Reason, ...] = ("zone_entered",) if set(now) - set(before) else ()
    left: tuple[Reason, ...] = ("zone_left",) if set(before) - set(now) else ()
    return entered + left


def _changes(before: Track, now: Track) -> tuple[Reason, ...]:
    changes: tuple[Reason, ...] = ()
    if before.stationary is not now.stationary:
        changes += ("stationary",) if now.stationary else ("moving",)
    if before.label != now.label:
        changes += ("label_changed",)
    return changes
