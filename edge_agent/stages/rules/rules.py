"""All rules of one camera: tracks go in, events and counts come out, in the order in which they are true."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from edge_agent.records import Count, Event, Frame, Tracks
from edge_agent.stages.rules.count import Counts
from edge_agent.stages.rules.lifecycle import Lifecycle, Turn
from edge_agent.stages.rules.zone import Zone, ZoneSettings


class Rules:
    """What is said about the tracks of one camera.

    Args:
        labels: what the camera looks for.
        zones: its zones, by name, in the order in which events name them.
    """

    def __init__(self, labels: tuple[str, ...], zones: Mapping[str, ZoneSettings]) -> None:
        self._zones = {name: Zone(settings) for name, settings in zones.items()}
        self._lifecycle = Lifecycle()
        self._counts = Counts(labels, {name: settings.labels or labels for name, settings in zones.items()})
        self._next_seq = 0

    def begin(self) -> tuple[Count, ...]:
        """Say that nothing is present, of every label and zone."""
        return tuple(self._counts.update(()))

    def evaluate(self, tracks: Tracks, frame: Frame) -> tuple[Event | Count, ...]:
        """Say what this frame changed."""
        inside = {name: zone.update(tracks, frame) for name, zone in self._zones.items()}
        zones = {track.id: tuple(name for name, ids in inside.items() if track.id in ids) for track in tracks.live}
        return self._report(self._lifecycle.update(tracks, zones), frame)

    def finish(self, frame: Frame) -> tuple[Event | Count, ...]:
        """Nothing comes after this frame, or not for long: everything ends."""
        for zone in self._zones.values():
            zone.forget()
        return self._report(self._lifecycle.finish(), frame)

    def _report(self, turns: Iterable[Turn], frame: Frame) -> tuple[Event | Count, ...]:
        events: list[Event | Count] = []
        for event_type, reason, track, zones in turns:
            events.append(
                Event(
                    seq=self._next_seq,
                    event_type=event_type,
                    reason=reason,
                    track=track,
                    zones=zones,
                    frame=frame,
                )
            )
            self._next_seq += 1
        present = ((track.label, inside) for track, inside in self._lifecycle.present.values())
        return (*events, *self._counts.update(present))
