"""Counters and their snapshots: how long each stage takes, whether threads move on, whether the machine keeps up."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

_SAMPLES = 512  # the last hundred seconds of looks at 5 a second

WINDOW_S = 10.0
"""What happened "lately" happened within this time."""

TOLERATED = 0.1
"""Part of the looks that may be given up lately: on a machine that others use too, some always are."""

OVERLOAD_BEGINS_S = 15.0
"""An overload is one when more was given up for this long; with the window, a burst of less than 5 s is none."""

OVERLOAD_ENDS_S = 30.0
"""It is over when no more than that was given up for this long."""


class Meter:
    """How long each stage of one camera takes.

    Args:
        now_s: reads a clock that only goes forward.
    """

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._spent_s: dict[str, deque[float]] = {}
        self._calls: Counter[str] = Counter()

    def timed(self, stage: str, call: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
        """The same call, with its duration noted."""
        spent_s = self._spent_s.setdefault(stage, deque(maxlen=_SAMPLES))

        def noted(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
            began_s = self._now_s()
            result = call(*args, **kwargs)
            spent_s.append(self._now_s() - began_s)
            self._calls[stage] += 1
            return result

        return noted

    def snapshot(self) -> dict[str, dict[str, float]]:
        """Calls of each stage so far, and median and 99th percentile of its recent durations in milliseconds."""
        return {
            stage: {
                "calls": self._calls[stage],
                "p50_ms": percentile_ms(spent_s, 50),
                "p99_ms": percentile_ms(spent_s, 99),
            }
            for stage, spent_s in self._spent_s.items()
            if spent_s
        }


class Progress:
    """Who has moved on lately: every thread beats, and one that falls silent for too long is named.

    Args:
        now_s: reads a clock that only goes forward.
    """

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._lock = threading.Lock()
        self._beats: dict[str, tuple[float, float]] = {}  # when it beat, how long it may be silent

    def watch(self, name: str, limit_s: float) -> Callable[[], None]:
        """Begin to watch a thread; it calls what this returns at least every `limit_s`."""

        def beat() -> None:
            with self._lock:
                self._beats[name] = (self._now_s(), limit_s)

        beat()
        return beat

    def forget(self, name: str) -> None:
        """The thread has ended as it should."""
        with self._lock:
            self._beats.pop(name, None)

    def silent(self) -> Mapping[str, float]:
        """Threads that are silent for longer than they may, and for how many seconds."""
        now_s = self._now_s()
        with self._lock:
            beats = dict(self._beats)
        return {name: now_s - beat_s for name, (beat_s, limit_s) in beats.items() if now_s - beat_s > limit_s}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Looks of a camera so far: how many were wanted, and how many of these were given up."""

    wanted: int
    given_up: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Mark:
    """What was counted until a moment."""

    at_s: float
    taken_s: float
    looks: Mapping[str, Tally]


class Load:
    """How busy the model is, and whether looks are given up for so long that somebody should know.

    Args:
        places: how many looks may run at a time.
        utc_ns: tells when it is, for people.
    """

    def __init__(self, places: int, utc_ns: Callable[[], int]) -> None:
        self.places = places
        self.overloaded = False
        self.since_utc_ns = utc_ns()  # of `overloaded`
        self._utc_ns = utc_ns
        self._marks: deque[_Mark] = deque()
        self._agreed_s = 0.0  # when `overloaded` last said what was so just then

    @property
    def busy(self) -> float:
        """Part of the time that the places were taken lately, 0 to 1."""
        if not self._marks:
            return 0.0
        first, last = self._marks[0], self._marks[-1]
        there_were_s = self.places * (last.at_s - first.at_s)
        return (last.taken_s - first.taken_s) / there_were_s if there_were_s > 0 else 0.0

    def lately(self) -> dict[str, Tally]:
        """The looks of each camera lately."""
        first, last = self._marks[0].looks, self._marks[-1].looks
        return {
            camera: Tally(wanted=tally.wanted - first[camera].wanted, given_up=tally.given_up - first[camera].given_up)
            for camera, tally in last.items()
        }

    def note(self, at_s: float, taken_s: float, looks: Mapping[str, Tally]) -> bool:
        """Take in what was counted so far, every second or so; true when an overload has begun or is over.

        Args:
            at_s: now.
            taken_s: for how long places were taken, seconds of all places together.
            looks: of each camera.
        """
        self._marks.append(_Mark(at_s=at_s, taken_s=taken_s, looks=looks))
        while len(self._marks) > 1 and self._marks[1].at_s <= at_s - WINDOW_S:
            self._marks.popleft()
        lately = self.lately().values()
        is_short = sum(tally.given_up for tally in lately) > TOLERATED * sum(tally.wanted for tally in lately)
        if is_short is self.overloaded:
            self._agreed_s = at_s
        if at_s - self._agreed_s < (OVERLOAD_ENDS_S if self.overloaded else OVERLOAD_BEGINS_S):
            return False
        self.overloaded, self.since_utc_ns, self._agreed_s = is_short, self._utc_ns(), at_s
        return True


def percentile_ms(spent_s: Sequence[float], percent: int) -> float:
    """A percentile of durations in seconds, in milliseconds; between two of them, as far as it lies.

    Not numpy's: that would load its masked arrays, 1.3 MB that the running agent has no other use for.
    """
    ordered_s = sorted(spent_s)
    place = (len(ordered_s) - 1) * percent / 100
    below = int(place)
    above = min(below + 1, len(ordered_s) - 1)
    return round((ordered_s[below] + (ordered_s[above] - ordered_s[below]) * (place - below)) * 1000, 2)
