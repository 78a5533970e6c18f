"""What goes wrong is said at once, and not again and again."""

from __future__ import annotations

import logging
import math
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edge_agent.edges.clock import Clock
from edge_agent.errors import StorageError

log = logging.getLogger(__name__)

_MINUTE_S = 60.0


class Tally:
    """Says what went wrong at once, then once a minute how often it has since."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._unsaid: Counter[str] = Counter()
        self._said_s: dict[str, float] = {}

    def add(self, reason: str, given_up: int) -> None:
        """Note events that are given up."""
        if given_up:
            self._say(f"outbox {self._path}: events are given up: {reason}", given_up)

    @contextmanager
    def trouble(self, consequence: str) -> Iterator[None]:
        """Turn an error of the disk into a line that says what follows from it."""
        try:
            yield
        except (StorageError, sqlite3.Error) as error:
            self._say(f"{error}; {consequence}", 1)

    def _say(self, line: str, count: int) -> None:
        self._unsaid[line] += count
        now_s = self._clock.monotonic_s()
        if now_s - self._said_s.get(line, -math.inf) >= _MINUTE_S:
            log.warning("%s (%d)", line, self._unsaid.pop(line))
            self._said_s[line] = now_s
