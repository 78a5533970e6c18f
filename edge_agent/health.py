"""Counters of one camera's line and their snapshot: how long each stage takes, and whether every thread moves on."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Mapping
from typing import ParamSpec, TypeVar

import numpy as np

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

_SAMPLES = 512  # the last hundred seconds of looks at 5 a second


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
                "p50_ms": _percentile_ms(spent_s, 50),
                "p99_ms": _percentile_ms(spent_s, 99),
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


def _percentile_ms(spent_s: deque[float], percent: int) -> float:
    return round(float(np.percentile(list(spent_s), percent)) * 1000, 2)
