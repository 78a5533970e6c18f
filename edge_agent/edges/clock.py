"""Time, and waiting for it; the only place where the clock is read."""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Callable
from typing import Protocol

_TIME_ERROR = 5  # adjtimex(2): "the system clock is not synchronised to a reliable server"
_TIMEX_BYTES = 512  # more than sizeof(struct timex) on any Linux; all zero means "only read"


class Clock(Protocol):
    """What tells the time; tests give a fake one."""

    def monotonic_s(self) -> float:
        """Seconds that only go forward; for durations."""
        ...

    def utc_ns(self) -> int:
        """Nanoseconds since 1970; for people."""
        ...

    def utc_synced(self) -> bool:
        """Whether a time server vouches for `utc_ns`."""
        ...

    def wait(self, stop: threading.Event, seconds: float) -> bool:
        """Wait until `seconds` have passed or `stop` is set; true when it is set."""
        ...


class SystemClock:
    """The clock of this machine."""

    def __init__(self) -> None:
        self._adjtimex = _load_adjtimex()

    def monotonic_s(self) -> float:
        """Seconds that only go forward."""
        return time.monotonic()

    def utc_ns(self) -> int:
        """Nanoseconds since 1970."""
        return time.time_ns()

    def utc_synced(self) -> bool:
        """Whether the kernel calls its clock synchronised; false where it cannot be asked."""
        return self._adjtimex is not None and self._adjtimex() not in {-1, _TIME_ERROR}

    def wait(self, stop: threading.Event, seconds: float) -> bool:
        """Wait until `seconds` have passed or `stop` is set; true when it is set."""
        return stop.wait(seconds)


class Backoff:
    """Waiting times between tries: exponential, full jitter, capped.

    Args:
        first_s: upper bound of the first wait, seconds.
        cap_s: upper bound of every wait, seconds.
        uniform: `random.uniform`, or a stand-in in tests.

    Source: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015 ("full jitter").
    """

    def __init__(self, *, first_s: float, cap_s: float, uniform: Callable[[float, float], float]) -> None:
        self._first_s = first_s
        self._cap_s = cap_s
        self._uniform = uniform
        self._tries = 0

    def next_s(self) -> float:
        """How long to wait before the next try."""
        bound = min(self._cap_s, self._first_s * 2.0 ** min(self._tries, 32))
        self._tries += 1
        return self._uniform(0.0, bound)

    def reset(self) -> None:
        """A try went well: begin again from the first wait."""
        self._tries = 0


def _load_adjtimex() -> Callable[[], int] | None:
    try:
        adjtimex = ctypes.CDLL(None).adjtimex
    except (OSError, AttributeError):  # not Linux
        return None
    return lambda: int(adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES)))
