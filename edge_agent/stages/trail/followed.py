"""What a trail remembers of one object: bounded, however long it stays."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping, Sequence

from edge_agent import geometry
from edge_agent.records import Box, Condition, Direction, Frame, Spoken, Track
from edge_agent.stages.trail.entries import Confirming, Fate, Figures, Milliseconds, ObjectEntry, Point, Stay, Took
from edge_agent.stages.trail.nearest import Key, Moment, Noted, keep_nearer, rounded

MOST_SCORES = 12
MOST_PLACES = 8
MOST_STAYS = 8
MOST_RULES = 32
"""Of the rules that never spoke of an object so many are told of, those that came closest."""

_EVERY_MS = 60_000
_LEAST_STEP = 0.02  # of the picture; less is no way
_NEAR = 0.5  # of a box's longer side: a box that filters took so near to an object was probably the same thing
_BOX_DIGITS = 4
_UNKNOWN = Confirming(1, 0.0, 0.0, 0.0)  # of a label that nobody looks for
_NS_IN_MS = 10**6


def ms_of(frame: Frame, at_s: float) -> Milliseconds:
    """The moment, for people, that `at_s` is on the clock of a frame."""
    return round((frame.utc_ns - (frame.at_s - at_s) * 1e9) / _NS_IN_MS)


class Takings:
    """What filters took, by the condition that was not met."""

    def __init__(self) -> None:
        self._taken: dict[str, tuple[Condition, int]] = {}

    def add(self, condition: Condition) -> None:
        """One more box."""
        _last, count = self._taken.get(condition.name, (condition, 0))
        self._taken[condition.name] = condition, count + 1

    def told(self) -> tuple[Took, ...]:
        """What is kept of it."""
        return tuple(
            (last.name, count, round(last.value, _BOX_DIGITS), round(last.wanted, _BOX_DIGITS))
            for last, count in self._taken.values()
        )


class Followed:
    """One object, followed from its first sighting. It is the trail's own and is changed in place.

    Args:
        track: as it is first seen.
        frame: in which, without its picture.
        confirm: by label, what it takes to be confirmed.
    """

    def __init__(self, track: Track, frame: Frame, confirm: Mapping[str, Confirming]) -> None:
        self.track = track
        self.takings = Takings()
        self.frame = frame
        self._confirm = confirm
        self._looks = self._hits = self._held = self._noted_hits = 0
        self._low = track.score
        self._history: deque[float] = deque(maxlen=MOST_SCORES)
        self._path: list[Point] = []
        self._step = _LEAST_STEP
        self._zones: dict[str, Milliseconds] = {}  # since when it is in each
        self._left: deque[Stay] = deque(maxlen=MOST_STAYS)
        self._nearest: dict[Key, Moment] = {}
        self._spoke: Counter[tuple[str, Direction | None]] = Counter()
        self._noted_ms = ms_of(frame, frame.at_s)

    @property
    def hits(self) -> int:
        """How often it was found."""
        return self._hits

    def look(self, track: Track, frame: Frame, score: float | None, zones: Mapping[str, float], *, held: bool) -> None:
        """It was looked for.

        Args:
            track: as it is now.
            frame: in which.
            score: with which it was found, where that is known.
            zones: those that it is in, and since when.
            held: nothing new is confirmed for now.
        """
        self.track = track
        self._looks += 1
        self._held += held
        if track.seen_s == frame.at_s:
            self._hits += 1
            self.frame = frame
            left, _top, right, bottom = track.box
            self._walk((left + right) / 2 / frame.width, min(bottom / frame.height, 1.0))
            if score is not None:
                self._history.append(round(score, 2))
                self._low = min(self._low, score)
        for name in [name for name in self._zones if name not in zones]:
            self._left.append((name, self._zones.pop(name), ms_of(frame, track.seen_s)))
        for name, since_s in zones.items():
            if name not in self._zones:
                self._zones[name] = ms_of(frame, since_s)

    def weigh(self, noted: Noted, failing: Sequence[Condition], at_ms: Milliseconds) -> None:
        """A rule did not speak of it; that matters as long as it never has."""
        key = (noted[0].name, noted[0].direction)
        if key not in self._spoke:
            keep_nearer(self._nearest, key, noted, failing, at_ms)

    def speak(self, spoken: Spoken) -> None:
        """A rule spoke of it."""
        key = (spoken.name, spoken.direction)
        self._spoke[key] += 1
        self._nearest.pop(key, None)

    def is_near(self, box: Box) -> bool:
        """Whether a box that a filter took was probably this object."""
        left, top, right, bottom = self.track.box
        return geometry.gap(self.track.box, box) <= _NEAR * max(right - left, bottom - top)

    def is_due(self, at_ms: Milliseconds) -> bool:
        """Whether it is time to write down how it is: every minute; of what stands still, ever more seldom."""
        if self._hits == self._noted_hits:
            return False
        wait_ms = _EVERY_MS
        if self.track.stationary:
            wait_ms = max(wait_ms, self._noted_ms - ms_of(self.frame, self.track.first_s))
        return not 0 <= at_ms - self._noted_ms < wait_ms

    def figures(self) -> Figures:
        """What is known of it now."""
        track, frame = self.track, self.frame
        stays = [*self._left, *((name, since_ms, None) for name, since_ms in self._zones.items())]
        return Figures(
            id=track.id,
            label=track.label,
            first_ms=ms_of(frame, track.first_s),
            seen_ms=ms_of(frame, track.seen_s),
            looks=self._looks,
            hits=self._hits,
            score=rounded(track.score),
            low=rounded(self._low),
            top=rounded(track.top_score),
            confirmed=track.confirmed,
            confirm=self._confirm.get(track.label, _UNKNOWN),
            held=self._held,
            still_ms=ms_of(frame, track.still_since_s) if track.stationary else None,
            zones=tuple(stays[-MOST_STAYS:]),
            took=self.takings.told(),
        )

    def entry(
        self, run: str, camera: str, at_ms: Milliseconds, fate: Fate, zone_of: Mapping[str, str | None]
    ) -> ObjectEntry:
        """Write down how it is."""
        self._noted_ms, self._noted_hits = at_ms, self._hits
        frame = self.frame
        box = geometry.normalise(self.track.box, frame.width, frame.height)
        closest = sorted(self._nearest.values(), key=lambda moment: (moment.failed, moment.gap))[:MOST_RULES]
        left, top, right, bottom = (round(side, _BOX_DIGITS) for side in box)
        return ObjectEntry(
            run=run,
            camera=camera,
            at_ms=at_ms,
            about=self.figures(),
            fate=fate,
            box=(left, top, right, bottom),
            path=tuple(self._path),
            history=tuple(self._history),
            spoke=tuple((name, direction, count) for (name, direction), count in self._spoke.items()),
            nearest=tuple(moment.judged(zone_of.get(moment.spoken.name)) for moment in closest),
        )

    def _walk(self, x: float, y: float) -> None:
        """Take in a place; of a long way every second one is forgotten, and from then on they lie farther apart."""
        if self._path and abs(x - self._path[-1][0]) < self._step > abs(y - self._path[-1][1]):
            return
        if len(self._path) == MOST_PLACES:
            self._path = self._path[::2]
            self._step *= 2
        self._path.append((rounded(x), rounded(y)))
