"""All rules of one camera: tracks go in, events and counts come out, in the order in which they are true.

Within a frame: what has ended, each after what rules say of its going; what is new or has changed; lines and then
rules, in the order of the configuration; counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from edge_agent.records import Count, Crossings, Event, Frame, Track, Tracks
from edge_agent.stages.rules.count import Counts
from edge_agent.stages.rules.ground import Ground, GroundSettings, Speeds
from edge_agent.stages.rules.kinds import RuleSettings, rule_of
from edge_agent.stages.rules.lifecycle import Lifecycle
from edge_agent.stages.rules.line import Line, LineSettings
from edge_agent.stages.rules.scene import IsOpen, Note, Rule, Scene, Seen, Turn
from edge_agent.stages.rules.zone import Zone, ZoneSettings

_NOWHERE: Mapping[Any, float] = {}


class Rules:
    """What is said about the tracks of one camera.

    Args:
        labels: what the camera looks for.
        zones: its zones, by name, in the order in which events name them.
        lines: its lines, by name.
        rules: its rules.
        schedules: by the name of a line or rule, whether it is within its schedule; always for those left out.
        note: is told all conditions of each rule; None when nobody listens, which costs less.
        ground: where the floor is in the picture; None where nobody has said so, and speeds are not known.
    """

    def __init__(  # noqa: PLR0913, PLR0917  (all that is to be spoken of, and all that this takes)
        self,
        labels: tuple[str, ...],
        zones: Mapping[str, ZoneSettings],
        lines: Mapping[str, LineSettings] | None = None,
        rules: Sequence[RuleSettings] = (),
        schedules: Mapping[str, IsOpen] | None = None,
        note: Note | None = None,
        ground: GroundSettings | None = None,
    ) -> None:
        opens = schedules or {}
        self._zones = {name: Zone(settings) for name, settings in zones.items()}
        self._lines = [
            Line(name, settings, settings.labels or labels, opens.get(name, _always))
            for name, settings in (lines or {}).items()
        ]
        self._rules: tuple[Rule, ...] = (
            *self._lines,
            *(rule_of(settings, opens.get(settings.name, _always)) for settings in rules),
        )
        self._speeds = Speeds(Ground(ground)) if ground else None
        self._speeds_kmh: Mapping[int, float] = _NOWHERE  # by track id
        self._lifecycle = Lifecycle()
        self._counts = Counts(labels, {name: settings.labels or labels for name, settings in zones.items()})
        self._note = note
        self._zones_since_s: Mapping[int, Mapping[str, float]] = {}
        self._live: tuple[Track, ...] = ()  # of the frame before
        self._next_seq = 0

    @property
    def zones_since_s(self) -> Mapping[int, Mapping[str, float]]:
        """The zones that each live track is in, by its id, and since when; those not confirmed yet included."""
        return self._zones_since_s

    def begin(self) -> tuple[Count | Crossings, ...]:
        """Say that nothing is present, of every label and zone, and that nothing has crossed a line."""
        return (*self._counts.update(()), *self._crossings())

    def evaluate(self, tracks: Tracks, frame: Frame) -> tuple[Event | Count | Crossings, ...]:
        """Say what this frame changed."""
        if self._speeds:
            self._speeds_kmh = self._speeds.update(tracks, frame)
        inside = {name: zone.update(tracks, frame) for name, zone in self._zones.items()}
        return self._report(self._turns(tracks, frame, inside), frame)

    def finish(self, frame: Frame) -> tuple[Event | Count | Crossings, ...]:
        """Nothing comes after this frame, or not for long: everything ends."""
        for zone in self._zones.values():
            zone.forget()
        if self._speeds:
            self._speeds.forget()
            self._speeds_kmh = _NOWHERE
        return self._report(self._last_turns(frame), frame)

    def _turns(self, tracks: Tracks, frame: Frame, inside: Mapping[str, Mapping[int, float]]) -> Iterator[Turn]:
        since = self._zones_since_s = {track.id: _since(inside, track) for track in tracks.live}
        before = {track_id: zones for track_id, (_track, zones) in self._lifecycle.present.items()}
        for turn in self._lifecycle.update(tracks, {track_id: tuple(zones) for track_id, zones in since.items()}):
            if turn.event_type == "end" and turn.track is not None:
                gone = Seen(track=turn.track, zones=turn.zones, since_s=_NOWHERE, was_in=turn.zones)
                for rule in self._rules:
                    yield from rule.part(gone, _scene(frame), self._note)
            yield turn
        if not self._rules:
            return
        present = tuple(
            Seen(
                track=track,
                zones=zones,
                since_s=since.get(track.id, _NOWHERE),
                was_in=before.get(track.id, ()),
                speed_kmh=self._speeds_kmh.get(track.id),
            )
            for track, zones in self._lifecycle.present.values()
        )
        looked = tracks.live is not self._live or bool(tracks.ended)  # else the tracker repeats what it said
        self._live = tracks.live
        yield from self._look(_scene(frame, present, tracks.live, looked=looked, exchanged=tracks.exchanged))

    def _last_turns(self, frame: Frame) -> Iterator[Turn]:
        yield from self._lifecycle.finish()
        yield from self._look(_scene(frame, over=True))

    def _look(self, scene: Scene) -> Iterator[Turn]:
        for rule in self._rules:
            yield from rule.look(scene, self._note)

    def _report(self, turns: Iterable[Turn], frame: Frame) -> tuple[Event | Count | Crossings, ...]:
        events = [self._event(turn, frame) for turn in turns]
        present = ((track.label, inside) for track, inside in self._lifecycle.present.values())
        return (*events, *self._counts.update(present), *self._crossings())

    def _event(self, turn: Turn, frame: Frame) -> Event:
        event = Event(
            seq=self._next_seq,
            event_type=turn.event_type,
            reason=turn.reason,
            track=turn.track,
            zones=turn.zones,
            frame=frame,
            rule=turn.rule,
            since_s=turn.since_s,
            speed_kmh=self._speeds_kmh.get(turn.track.id) if turn.track else None,
        )
        self._next_seq += 1
        return event

    def _crossings(self) -> Iterator[Crossings]:
        for line in self._lines:
            yield from line.crossings()


def _since(inside: Mapping[str, Mapping[int, float]], track: Track) -> Mapping[str, float]:
    """The zones that an object is in, in their order, and since when it is in each."""
    return {name: ids[track.id] for name, ids in inside.items() if track.id in ids}


def _scene(
    frame: Frame,
    present: tuple[Seen, ...] = (),
    live: tuple[Track, ...] = (),
    *,
    over: bool = False,
    looked: bool = True,
    exchanged: frozenset[int] = frozenset(),
) -> Scene:
    return Scene(
        at_s=frame.at_s,
        utc_ns=frame.utc_ns,
        width=frame.width,
        height=frame.height,
        present=present,
        live=live,
        over=over,
        looked=looked,
        exchanged=exchanged,
    )


def _always(_utc_ns: int) -> bool:
    return True
