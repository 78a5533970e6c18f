"""What a trail remembers of the time itself: whether the camera looked, and what it saw that became nothing."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence

from edge_agent.records import Condition, Detections, Frame, Motion, Spoken
from edge_agent.stages.trail.entries import Boxes, Milliseconds, WatchEntry
from edge_agent.stages.trail.followed import Followed, Takings, ms_of
from edge_agent.stages.trail.nearest import Key, Moment, Noted, keep_nearer, rounded

MOST_FLICKERS = 3
"""Of the objects that end unconfirmed within one entry's time so many are told of singly, those found most often."""

_MOVING_MS = 30_000
_QUIET_MS = 600_000
_PAUSED_MS = 60_000
"""How long an entry may last: while something moves, while nothing does, and while nobody is to look."""

_FIRST_MS = 60_000  # then a quiet time is noted first, so that little of it is lost with the power
_OPEN_S, _OPEN_STILL_S = 5.0, 1.0  # so long without an active look, and the gate counts as closed


class Watched:
    """A stretch of time in which the gate was open, closed, or not asked. It is the trail's own and changed in place.

    Args:
        frame: the first one.
        moving: whether the gate is open; None when nobody is to look.
        thresholds: by label.
    """

    def __init__(self, frame: Frame, thresholds: Mapping[str, float], *, moving: bool | None) -> None:
        self.moving = moving
        self._from_ms = self._at_ms = ms_of(frame, frame.at_s)
        self._noted_ms: Milliseconds | None = None
        self._thresholds = thresholds
        self._frames = self._looks = self._given_up = 0
        self._seen: dict[str, list[float]] = {}  # by label: strong, weak, the best score
        self._takings: dict[str, Takings] = {}
        self._flickers: dict[str, int] = {}
        self._best: list[tuple[int, float, int, Followed]] = []
        self._nearest: dict[Key, Moment] = {}
        self._spoke: set[Key] = set()

    def add(self, frame: Frame, motion: Motion, found: Detections | None) -> None:
        """One more frame."""
        self._at_ms = ms_of(frame, frame.at_s)
        self._frames += 1
        if found is None:
            self._given_up += motion.look is not None
            return
        self._looks += 1
        pairs = zip(found.label_ids.tolist(), found.scores.tolist(), found.strong.tolist(), strict=True)
        for label_id, score, strong in pairs:
            counts = self._seen.setdefault(found.label_names[label_id], [0, 0, 0.0])
            counts[0 if strong else 1] += 1
            counts[2] = max(counts[2], score)

    def rest(self, frame: Frame) -> None:
        """One more frame at which nobody is to look."""
        self._at_ms = ms_of(frame, frame.at_s)
        self._frames += 1

    def take(self, label: str, condition: Condition) -> None:
        """A filter took a box."""
        self._takings.setdefault(label, Takings()).add(condition)

    def flicker(self, one: Followed) -> None:
        """An object ended before it was confirmed."""
        label = one.track.label
        self._flickers[label] = self._flickers.get(label, 0) + 1
        heapq.heappush(self._best, (one.hits, one.track.score, one.track.id, one))
        if len(self._best) > MOST_FLICKERS:
            heapq.heappop(self._best)

    def weigh(self, noted: Noted, failing: Sequence[Condition]) -> None:
        """A rule about the scene did not say that something has begun; that matters as long as it never has."""
        key = (noted[0].name, noted[0].direction)
        if key not in self._spoke:
            keep_nearer(self._nearest, key, noted, failing, self._at_ms)

    def speak(self, spoken: Spoken) -> None:
        """A rule about the scene spoke."""
        key = (spoken.name, spoken.direction)
        self._spoke.add(key)
        self._nearest.pop(key, None)

    def is_over(self, at_ms: Milliseconds) -> bool:
        """Whether it has lasted for long enough, or the clock was set."""
        longest_ms = _PAUSED_MS if self.moving is None else _MOVING_MS if self.moving else _QUIET_MS
        return not 0 <= at_ms - self._from_ms < longest_ms

    def is_due(self) -> bool:
        """Whether a quiet time is to be noted, though it goes on."""
        return not self.moving and self._noted_ms is None and self._at_ms - self._from_ms >= _FIRST_MS

    def flickers(self) -> Sequence[Followed]:
        """Those that are told of singly, once."""
        best = [one for *_rank, one in self._best]
        self._best = []
        return best

    def entry(
        self, run: str, camera: str, zone_of: Mapping[str, str | None], *, external: bool, broke_off: bool
    ) -> WatchEntry:
        """Write down how it was."""
        self._noted_ms = self._at_ms
        return WatchEntry(
            run=run,
            camera=camera,
            from_ms=self._from_ms,
            at_ms=self._at_ms,
            moving=bool(self.moving),
            external=external,
            paused=self.moving is None,
            broke_off=broke_off,
            frames=self._frames,
            looks=self._looks,
            given_up=self._given_up,
            boxes={label: self._boxes(label) for label in self._labels()},
            nearest=tuple(moment.judged(zone_of.get(moment.spoken.name)) for moment in self._nearest.values()),
        )

    def _labels(self) -> Iterable[str]:
        return dict.fromkeys((*self._seen, *self._takings, *self._flickers))

    def _boxes(self, label: str) -> Boxes:
        strong, weak, top = self._seen.get(label, [0, 0, 0.0])
        takings = self._takings.get(label)
        return Boxes(
            strong=int(strong),
            weak=int(weak),
            top=rounded(top),
            wanted=rounded(self._thresholds.get(label, 0.0)),
            took=takings.told() if takings else (),
            flickers=self._flickers.get(label, 0),
        )


class Openness:
    """Whether the gate is open, from what it says of each frame."""

    def __init__(self) -> None:
        self._active_s: float | None = None

    def of(self, frame: Frame, motion: Motion) -> bool:
        """Whether it is."""
        if motion.look == "active":
            self._active_s = frame.at_s
        elif motion.look == "refresh":
            self._active_s = None
        longest_s = _OPEN_S if motion.moving else _OPEN_STILL_S
        return self._active_s is not None and 0 <= frame.at_s - self._active_s <= longest_s
