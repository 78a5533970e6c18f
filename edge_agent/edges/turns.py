"""Turns at the model: no more looks run at a time than there are places, and those that wait are served fairly.

What moves goes before what is only looked at again, then the oldest frame first, its age times the camera's weight.
"""

from __future__ import annotations

import math
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from edge_agent.edges.clock import Clock
from edge_agent.records import Frame, Motion

Result = TypeVar("Result")

REFRESH_WAITS_S = 1.0
"""A refresh that has waited for this long is as urgent as any look: while it waits, its camera sees nothing move."""

LONGEST_WAIT_S = 5.0
"""Whoever has waited for this long goes first, the longest wait before all, whatever its weight."""

BEAT_S = 1.0
"""Longest wait between two beats while another's turn lasts."""

_SAMPLES = 512  # waits of a camera that are kept, as many as there are durations of a stage
_STEP_INTERVALS = 2.0  # so many intervals late, a look begins a new rhythm instead of keeping step: as the gate's pace


def places_for(threads: int) -> int:
    """How many looks may run at a time: each needs memory of its own, and beyond the cores none would be faster."""
    return max(1, len(os.sched_getaffinity(0)) // threads)


@dataclass(kw_only=True, eq=False)
class _Waiting:
    """A look that waits; `called` is set when it is its turn, or when there will be no more turns."""

    at_s: float
    since_s: float
    weight: float
    is_active: bool
    called: threading.Event = field(default_factory=threading.Event)
    has_place: bool = False

    def rank(self, now_s: float) -> tuple[float, bool, float]:
        """The greatest is served first."""
        waited_s = now_s - self.since_s
        is_active = self.is_active or waited_s >= REFRESH_WAITS_S
        return waited_s if waited_s >= LONGEST_WAIT_S else 0.0, is_active, self.weight * max(0.0, now_s - self.at_s)


class Turns:
    """The places at the model, and who waits for one.

    A place that becomes free is handed to the first of those that wait, so nobody who comes just then can take it.

    Args:
        places: how many looks may run at a time.
        clock: what waits and ages are measured with.
    """

    def __init__(self, places: int, clock: Clock) -> None:
        self.places = places
        self._clock = clock
        self._lock = threading.Lock()
        self._waiting: list[_Waiting] = []
        self._taken = 0
        self._taken_s = 0.0  # until `_counted_s`
        self._counted_s = clock.monotonic_s()
        self._closed = False

    @contextmanager
    def turn(self, at_s: float, *, is_active: bool, weight: float, beat: Callable[[], None]) -> Iterator[bool]:
        """Hold a place, after waiting for it; false after `close` when there is none.

        Args:
            at_s: when the frame was taken.
            is_active: it is more than a refresh.
            weight: what the frame's age is multiplied by.
            beat: called at least every `BEAT_S` while it waits.
        """
        has_place = self._take(at_s, is_active=is_active, weight=weight, beat=beat)
        try:
            yield has_place
        finally:
            if has_place:
                self._leave()

    def close(self) -> None:
        """Nobody waits any more: those who do come out without a place."""
        with self._lock:
            self._closed = True
            for waiting in self._waiting:
                waiting.called.set()
            self._waiting.clear()

    def taken_s(self) -> float:
        """For how long places were taken since the start, seconds of all places together."""
        with self._lock:
            self._count(0)
            return self._taken_s

    def _take(self, at_s: float, *, is_active: bool, weight: float, beat: Callable[[], None]) -> bool:
        with self._lock:
            if self._taken < self.places:  # then nobody waits
                self._count(+1)
                return True
            if self._closed:
                return False
            now_s = self._clock.monotonic_s()
            waiting = _Waiting(at_s=at_s, since_s=now_s, weight=weight, is_active=is_active)
            self._waiting.append(waiting)
        beat()
        while not waiting.called.wait(BEAT_S):
            beat()
        return waiting.has_place

    def _leave(self) -> None:
        with self._lock:
            if not self._waiting:
                self._count(-1)
                return
            now_s = self._clock.monotonic_s()
            first = max(self._waiting, key=lambda waiting: waiting.rank(now_s))
            self._waiting.remove(first)
            first.has_place = True
            first.called.set()

    def _count(self, more: int) -> None:
        """Add up what was taken until now, then take or free a place."""
        now_s = self._clock.monotonic_s()
        self._taken_s += self._taken * (now_s - self._counted_s)
        self._counted_s = now_s
        self._taken += more


@dataclass(frozen=True, slots=True, kw_only=True)
class LooksStatus:
    """How often a camera is looked at, and how often not.

    Attributes:
        wanted: looks that were asked for since the start, and those given up.
        given_up: looks that fell due at `detect.rate_hz` while an active look of this camera waited or ran, and for
            which there was a frame, which was dropped.
        waits_s: how long the last looks waited.
    """

    wanted: int = 0
    given_up: int = 0
    waits_s: tuple[float, ...] = ()


@dataclass(kw_only=True, eq=False)
class Looks:
    """The looks of one camera: each waits for its turn, and what falls due meanwhile is counted.

    Attributes:
        turns: where to wait.
        clock: what waits are measured with.
        rate_hz: how often the camera is looked at while something moves.
        weight: see `DetectSettings`.
        dropped: tells how many of its frames nobody took in time.
        beat: called at least every `BEAT_S` while a look waits.
    """

    turns: Turns
    clock: Clock
    rate_hz: float
    weight: float
    dropped: Callable[[], int]
    beat: Callable[[], None]

    def __post_init__(self) -> None:
        """Begin with nothing asked for."""
        self._interval_s = 1.0 / self.rate_hz
        self._due_s = -math.inf
        self._wanted = 0
        self._given_up = 0
        self._waits_s: deque[float] = deque(maxlen=_SAMPLES)

    def set_rate(self, rate_hz: float) -> None:
        """From the next look on: how often the camera is looked at; called by the thread that looks."""
        if rate_hz != self.rate_hz:
            self.rate_hz, self._interval_s = rate_hz, 1.0 / rate_hz
            self._due_s = -math.inf

    def in_turn(self, detect: Callable[[Frame, Motion], Result]) -> Callable[[Frame, Motion], Result | None]:
        """The same look, when it is its turn; None when there will be no more turns."""

        def look(frame: Frame, motion: Motion) -> Result | None:
            is_active = motion.look == "active"
            came_s, dropped = self.clock.monotonic_s(), self.dropped()
            self._fall_due(frame.at_s)
            turn = self.turns.turn(frame.at_s, is_active=is_active, weight=self.weight, beat=self.beat)
            with turn as has_place:
                self._waits_s.append(self.clock.monotonic_s() - came_s)
                found = detect(frame, motion) if has_place else None
            if is_active:
                self._give_up(frame.at_s + self.clock.monotonic_s() - came_s, self.dropped() - dropped)
            return found

        return look

    def status(self) -> LooksStatus:
        """Say how often it is looked at; safe from any thread."""
        return LooksStatus(wanted=self._wanted, given_up=self._given_up, waits_s=tuple(self._waits_s))

    def _fall_due(self, at_s: float) -> None:
        """A look is asked for; one that keeps step with those before it keeps their rhythm."""
        is_in_step = at_s - self._due_s < _STEP_INTERVALS * self._interval_s
        self._due_s = (self._due_s if is_in_step else at_s) + self._interval_s
        self._wanted += 1

    def _give_up(self, until_s: float, dropped: int) -> None:
        """Count what fell due until a moment, but for the last, which the next frame is in time for."""
        missed = min(dropped, math.floor((until_s - self._due_s) / self._interval_s))
        if missed > 0:
            self._due_s += missed * self._interval_s
            self._wanted += missed
            self._given_up += missed
