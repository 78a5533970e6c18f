"""Lines: which way objects cross them, counted and said once an object and direction."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from edge_agent import geometry
from edge_agent.geometry import Point
from edge_agent.records import Condition, Crossings, Direction, Spoken, Track
from edge_agent.settings import Label, Ratio, Seconds, Section, UnitPoint
from edge_agent.stages.rules.anchor import Anchor, place_norm
from edge_agent.stages.rules.conditions import Voice, at_least, at_most, labelled, weigh
from edge_agent.stages.rules.scene import IsOpen, Note, Scene, Seen, Turn
from edge_agent.stages.rules.schedule import Schedules


class LineSettings(Section):
    """A line that objects cross: `in` from the left hand of who walks along it to the right, `out` the other way."""

    start: Annotated[UnitPoint, Field(alias="from")]
    """Where it begins, 0..1 of the frame."""

    end: Annotated[UnitPoint, Field(alias="to")]
    """Where it ends. Of a line that is drawn from left to right `in` is downwards, towards the camera."""

    labels: Annotated[tuple[Label, ...], Field(min_length=1)] | None = None
    """What it counts; everything that the camera looks for when left out."""

    anchor: Anchor = "bottom"
    """What of an object must cross it: the middle of its box's lower side (where it stands), of the box, or of its
    upper side."""

    hysteresis: Annotated[Ratio, Field(le=0.5)] = 0.01
    """How far from the line, on either side of it, an object must have been to have crossed, in parts of the picture's
    height; larger ignores who lingers on it."""

    schedule: Schedules | None = None
    """When it counts and speaks: one schedule or a list of several, open while any of them is; always when left out."""

    cooldown_s: Seconds = 0.0
    """How long it says nothing more after it has spoken; what crosses is counted all the same. Larger speaks less."""


@dataclass(frozen=True, slots=True)
class Path:
    """What is known of an object's way past a line.

    Attributes:
        place: where it was last seen; x and y in parts of the picture's height.
        distance: how far that is from the endless line; less than 0 on the left hand.
        side: on which side it was last surely, by the hysteresis: -1 left, 1 right, 0 on none so far.
        passed: how often it has passed through the line since then, to the right less to the left.
    """

    place: Point
    distance: float
    side: int = 0
    passed: int = 0


def walked(path: Path, place: Point, start: Point, end: Point) -> Path:
    """The way after one more sighting, before it is judged on which side that is."""
    distance = geometry.beyond(place, start, end)
    passed = path.passed
    if (distance > 0) is not (path.distance > 0) and geometry.passes_between(path.place, place, start, end):
        passed += 1 if distance > 0 else -1
    return Path(place, distance, path.side, passed)


def settled(path: Path, hysteresis: float) -> Path:
    """The way after it is judged: beyond the hysteresis it is surely on that side, and what it has passed is over."""
    if abs(path.distance) <= hysteresis:
        return path
    return Path(path.place, path.distance, 1 if path.distance > 0 else -1)


class Line:
    """Remembers the ways of objects past one line, and who has crossed it.

    An object has crossed when it was surely on one side, is surely on the other, and has passed between the ends of the
    line in between. An object that has not been reported yet may have crossed already; that is said with its `new`. One
    that has crossed while it was taken for another, and gets its own place back, has not crossed back.

    Args:
        name: in events and topics.
        settings: where it is.
        labels: what it counts.
        is_open: its schedule; outside of it nothing is counted.
    """

    def __init__(self, name: str, settings: LineSettings, labels: tuple[str, ...], is_open: IsOpen) -> None:
        self._name = name
        self._settings = settings
        self._labels = labels
        self._voice = Voice(settings.cooldown_s, is_open)
        self._paths: dict[int, Path] = {}  # by track id, as of the last sighting
        self._early: dict[int, dict[Direction, Path]] = {}  # crossings of those that are not reported yet
        self._crossed_s: dict[tuple[int, Direction], float] = {}  # by track id and direction: when
        self._counts: dict[tuple[str, Direction], int] = {(label, way): 0 for label in labels for way in _SIGNS}
        self._unsaid = set(self._counts)

    def look(self, scene: Scene, note: Note | None) -> Iterator[Turn]:
        """Say who has crossed it with this frame."""
        walks = {track.id: self._walk(track, scene) for track in scene.live}
        for seen in scene.present:
            early = self._early.pop(seen.track.id, {})
            for way in dict.fromkeys((*early, *_SIGNS)):  # in the order in which they happened
                path = early.get(way) or walks.get(seen.track.id)
                if path is not None and (path.passed or note is not None):  # most have passed nothing
                    yield from self._judge(seen, way, path, scene, note)
        self._paths = {track_id: settled(path, self._settings.hysteresis) for track_id, path in walks.items()}
        self._note_early(scene, walks)
        self._crossed_s = {one: at_s for one, at_s in self._crossed_s.items() if one[0] in walks}

    def part(self, seen: Seen, scene: Scene, note: Note | None) -> Iterator[Turn]:
        """Nothing to say of one that ends."""
        del seen, scene, note
        return iter(())

    def crossings(self) -> Iterator[Crossings]:
        """The counts that have changed since this was asked last; the first time all, zero included."""
        for (label, way), value in self._counts.items():
            if (label, way) in self._unsaid:
                yield Crossings(line=self._name, label=label, direction=way, value=value)
        self._unsaid.clear()

    def _walk(self, track: Track, scene: Scene) -> Path:
        """The way of an object up to this frame, not judged yet; where nobody saw it, as it was."""
        before = self._paths.get(track.id)
        if before is not None and track.seen_s != scene.at_s:
            return before
        aspect = scene.width / scene.height
        (start_x, start_y), (end_x, end_y) = self._settings.start, self._settings.end
        start, end = (start_x * aspect, start_y), (end_x * aspect, end_y)
        x, y = place_norm(track, self._settings.anchor, scene.width, scene.height)
        place = (x * aspect, y)
        path = walked(before or Path(place, geometry.beyond(place, start, end)), place, start, end)
        if track.id in scene.exchanged and self._takes_back(track.id, path, scene.at_s):
            return Path(place, path.distance, 1 if path.distance > 0 else -1)
        return path

    def _takes_back(self, track_id: int, path: Path, at_s: float) -> bool:
        """Whether it goes back over the line to where it was before somebody else crossed it under its id."""
        if not path.passed:
            return False
        crossed_s = self._crossed_s.get((track_id, "out" if path.passed > 0 else "in"))
        return crossed_s is not None and at_s - crossed_s <= _TAKEN_FOR_ANOTHER_S

    def _note_early(self, scene: Scene, walks: Mapping[int, Path]) -> None:
        told = {seen.track.id for seen in scene.present}
        self._early = {track_id: early for track_id, early in self._early.items() if track_id in walks}
        for track_id in walks.keys() - told:
            path = walks[track_id]
            for way in _SIGNS if path.passed else ():
                if all(condition.holds for condition in self._course(path, way)):
                    self._early.setdefault(track_id, {})[way] = path

    def _judge(self, seen: Seen, way: Direction, path: Path, scene: Scene, note: Note | None) -> Iterator[Turn]:
        track, whole = seen.track, note is not None and scene.looked
        has_crossed, conditions = weigh(self._conditions(track, way, path, scene), whole=whole)
        if not has_crossed and not whole:
            return
        cooldown = self._voice.cooldown(scene)
        spoken = Spoken(name=self._name, kind="line", direction=way)
        if note is not None:
            note(spoken, track, (*conditions, cooldown))
        if not has_crossed:
            return
        self._crossed_s[track.id, way] = scene.at_s
        self._counts[track.label, way] += 1
        self._unsaid.add((track.label, way))
        if cooldown.holds:
            self._voice.speak(scene)
            yield Turn(event_type="update", reason=("line_crossed",), track=track, zones=seen.zones, rule=spoken)

    def _conditions(self, track: Track, way: Direction, path: Path, scene: Scene) -> Iterator[Condition]:
        """What must hold for an object to be counted."""
        yield labelled(track, self._labels)
        yield from self._course(path, way)
        yield at_most("said", float((track.id, way) in self._crossed_s), 0.0)
        yield self._voice.schedule(scene)

    def _course(self, path: Path, way: Direction) -> Iterator[Condition]:
        """What must hold of a way for it to have crossed: from the other side, through the line, to this side."""
        sign = _SIGNS[way]
        yield at_least("came_from", -sign * path.side, 1)
        yield at_least("through", sign * path.passed, 1)
        beyond, wanted = sign * path.distance, self._settings.hysteresis
        yield Condition(name="beyond", value=beyond, wanted=wanted, holds=beyond > wanted)


_SIGNS: Mapping[Direction, int] = {"in": 1, "out": -1}
"""On which side of a line an object is after it has crossed it."""

_TAKEN_FOR_ANOTHER_S = 3.0
"""For no longer are two taken for each other who touched."""
