"""The trail of one camera: what its stages decided by, condensed to a few numbers an object and half a minute.

It is shown each frame after all is said, and changes nothing. What it remembers is bounded by how many objects are in
view; what is over it hands out as entries, to be kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from edge_agent.records import Condition, Detections, Event, Frame, Spoken, Step, Track
from edge_agent.stages.trail.entries import Confirming, Entry, EventEntry, Fate, ObjectEntry
from edge_agent.stages.trail.followed import Followed, ms_of
from edge_agent.stages.trail.nearest import Noted, judged
from edge_agent.stages.trail.watched import Openness, Watched

_Zones = Mapping[int, Mapping[str, float]]
_NOWHERE: Mapping[str, float] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a camera's settings ask for, as far as a trail tells of it.

    Attributes:
        confirm: by label, what it takes for an object to be reported.
        thresholds: by label, the least score of a box that may begin an object.
        zones: by the name of a rule, the zone it is about; None for the whole view.
        external: the gate goes by triggers.
    """

    confirm: Mapping[str, Confirming]
    thresholds: Mapping[str, float] = field(default_factory=dict)
    zones: Mapping[str, str | None] = field(default_factory=dict)
    external: bool = False


class Trail:
    """Follows what one camera's stages decide.

    Args:
        run: of which start of the agent.
        camera: its id.
        asked: what its settings ask for.
    """

    def __init__(self, run: str, camera: str, asked: Asked) -> None:
        self._run = run
        self._camera = camera
        self._asked = asked
        self._openness = Openness()
        self._followed: dict[int, Followed] = {}  # by track id
        self._watched: Watched | None = None
        self._weighed: list[Noted] = []  # in this frame

    def set_thresholds(self, thresholds: Mapping[str, float]) -> None:
        """From the next stretch of time on: by label, the least score of a box that may begin an object."""
        self._asked = replace(self._asked, thresholds=thresholds)

    def weigh(self, spoken: Spoken, track: Track | None, conditions: tuple[Condition, ...]) -> None:
        """Hear how it stands with a rule in the frame that is shown next."""
        self._weighed.append((spoken, track, conditions))

    def trace(self, step: Step, zones: _Zones, sifted: Sequence[tuple[Condition, ...]] = ()) -> list[Entry]:
        """Take in one frame; gives what is to be kept now.

        Args:
            step: what the stages made of it.
            zones: the zones that each live track is in, by its id, and since when.
            sifted: of each box found, the conditions of its filter; nothing when all were kept.
        """
        weighed, self._weighed = self._weighed, []
        entries: list[Entry] = []
        if step.motion is not None:
            moving = self._openness.of(step.frame, step.motion)
            watched, noted = self._watch(step.frame, moving=moving)
            entries += noted
            watched.add(step.frame, step.motion, step.found)
            if step.found is not None:
                self._look(step, step.found, zones)
                self._take(step.found, sifted, watched)
        speaks = self._judge(weighed, step)
        entries += [self._event(event, speaks) for event in step.said if isinstance(event, Event)]
        entries += self._part(step)
        if step.motion is None:
            entries += self._break_off()
        elif step.found is not None:
            entries += self._due(step.frame)
        return entries

    def rest(self, frame: Frame | None) -> list[Entry]:
        """Take in a frame at which nobody is to look, or that no more will come; gives what is to be kept now."""
        if frame is None:
            return self._close()
        watched, noted = self._watch(frame, moving=None)
        watched.rest(frame)
        return noted

    def _watch(self, frame: Frame, *, moving: bool | None) -> tuple[Watched, list[Entry]]:
        """The stretch of time that a frame belongs to, and what to keep of the one before."""
        watched, noted = self._watched, []
        if watched is None or watched.moving is not moving or watched.is_over(ms_of(frame, frame.at_s)):
            noted = self._close() if watched else []
            watched = self._watched = Watched(frame, self._asked.thresholds, moving=moving)
        elif watched.is_due():
            noted = [self._note(watched)]
        return watched, noted

    def _close(self, *, broke_off: bool = False) -> list[Entry]:
        watched, self._watched = self._watched, None
        if watched is None:
            return []
        flickers = [self._object(one, ms_of(one.frame, one.track.seen_s), "ended") for one in watched.flickers()]
        return [self._note(watched, broke_off=broke_off), *flickers]

    def _note(self, watched: Watched, *, broke_off: bool = False) -> Entry:
        return watched.entry(
            self._run, self._camera, self._asked.zones, external=self._asked.external, broke_off=broke_off
        )

    def _look(self, step: Step, found: Detections, zones: _Zones) -> None:
        """Follow every track of a frame that was looked at."""
        scores = dict(zip(map(tuple, found.boxes.tolist()), found.scores.tolist(), strict=True))
        frame = step.frame.emptied()
        for track in (*step.tracks.live, *step.tracks.ended):
            one = self._followed.get(track.id)
            if one is None:
                one = self._followed[track.id] = Followed(track, frame, self._asked.confirm)
            one.look(track, frame, scores.get(track.box), zones.get(track.id, _NOWHERE), held=step.tracks.held)

    def _take(self, found: Detections, sifted: Sequence[tuple[Condition, ...]], watched: Watched) -> None:
        """Note what filters took, and of which objects that may have been."""
        for row, conditions in enumerate(sifted):
            failed = next((condition for condition in conditions if not condition.holds), None)
            if failed is None:
                continue
            label = found.label_names[int(found.label_ids[row])]
            watched.take(label, failed)
            left, top, right, bottom = found.boxes[row].tolist()
            for one in self._followed.values():
                if one.track.label == label and one.is_near((left, top, right, bottom)):
                    one.takings.add(failed)

    def _judge(
        self, weighed: Sequence[Noted], step: Step
    ) -> dict[tuple[str, str | None, int | None], tuple[Condition, ...]]:
        """Remember how near rules came to speaking; gives the conditions of those that spoke."""
        at_ms = ms_of(step.frame, step.frame.at_s)
        speaks: dict[tuple[str, str | None, int | None], tuple[Condition, ...]] = {}
        for noted in weighed:
            spoken, track, conditions = noted
            one = self._followed.get(track.id) if track else None
            failing = [condition for condition in conditions if not condition.holds]
            if not failing:
                speaks[spoken.name, spoken.direction, track.id if track else None] = conditions
                if one:
                    one.speak(spoken)
                elif track is None and self._watched:
                    self._watched.speak(spoken)
            elif one:
                one.weigh(noted, failing, at_ms)
            elif track is None and spoken.active and self._watched:
                self._watched.weigh(noted, failing)
        return speaks

    def _event(
        self, event: Event, speaks: Mapping[tuple[str, str | None, int | None], tuple[Condition, ...]]
    ) -> EventEntry:
        at_ms, rule = ms_of(event.frame, event.frame.at_s), event.rule
        one = self._followed.get(event.track.id) if event.track else None
        conditions = speaks.get((rule.name, rule.direction, event.track.id if event.track else None)) if rule else None
        return EventEntry(
            run=self._run,
            camera=self._camera,
            at_ms=at_ms,
            seq=event.seq,
            type=event.event_type,
            reason=event.reason,
            about=one.figures() if one else None,
            rule=judged(rule, self._asked.zones.get(rule.name), at_ms, conditions or ()) if rule else None,
        )

    def _part(self, step: Step) -> Iterator[Entry]:
        """Let go of what has ended."""
        for track in step.tracks.ended:
            one = self._followed.pop(track.id, None)
            if one is None:
                continue
            if track.confirmed or self._watched is None:
                yield self._object(one, ms_of(step.frame, step.frame.at_s), "ended")
            else:
                self._watched.flicker(one)

    def _break_off(self) -> list[Entry]:
        """Nothing more is seen, or not for long."""
        over: list[Entry] = [
            self._object(one, ms_of(one.frame, one.track.seen_s), "over") for one in self._followed.values()
        ]
        self._followed.clear()
        return [*over, *self._close(broke_off=True)]

    def _due(self, frame: Frame) -> Iterator[Entry]:
        at_ms = ms_of(frame, frame.at_s)
        for one in self._followed.values():
            if one.is_due(at_ms):
                yield self._object(one, at_ms, "lives")

    def _object(self, one: Followed, at_ms: int, fate: Fate) -> ObjectEntry:
        return one.entry(self._run, self._camera, at_ms, fate, self._asked.zones)
