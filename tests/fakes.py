"""Stand-ins for the world: a clock that tests move by hand."""

from __future__ import annotations

import threading


class FakeClock:
    """A clock that only moves when told, or when somebody waits on it."""

    def __init__(self, monotonic_s: float = 1000.0, utc_ns: int = 1_700_000_000_000_000_000) -> None:
        self.now_s = monotonic_s
        self.now_utc_ns = utc_ns
        self.synced = True
        self.waits: list[float] = []

    def monotonic_s(self) -> float:
        return self.now_s

    def utc_ns(self) -> int:
        return self.now_utc_ns

    def utc_synced(self) -> bool:
        return self.synced

    def wait(self, stop: threading.Event, seconds: float) -> bool:
        self.waits.append(seconds)
        self.advance(seconds)
        return stop.is_set()

    def advance(self, seconds: float) -> None:
        self.now_s += seconds
        self.now_utc_ns += round(seconds * 1e9)
