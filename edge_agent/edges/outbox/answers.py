"""Answers to commands, which wait in memory and not for long: who asked a minute ago does not listen any more."""

from __future__ import annotations

import itertools
from collections import deque

from edge_agent.edges.clock import Clock
from edge_agent.edges.outbox.rows import Entry
from edge_agent.records import Message

MOST_ANSWERS = 100
"""So many wait at most; then the oldest goes."""

PATIENCE_S = 60.0
"""After so long an answer is given up."""


class Answers:
    """The answers that wait, oldest first; those that nobody got are counted. Who shares it, locks it.

    Args:
        clock: tells how old they are.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waiting: deque[Entry] = deque()
        self._ids = itertools.count(1)
        self.lost = 0

    def put(self, message: Message) -> None:
        """Let an answer wait."""
        now_s, now_utc_ns = self._clock.monotonic_s(), self._clock.utc_ns()
        self._waiting.append(Entry(id=next(self._ids), message=message, put_s=now_s, put_utc_ns=now_utc_ns))
        self._give_up()

    def peek(self, limit: int, after: int) -> tuple[Entry, ...]:
        """The oldest with an id above `after`."""
        self._give_up()
        return tuple(itertools.islice((entry for entry in self._waiting if entry.id > after), limit))

    def forget(self, entry_id: int, *, lost: bool) -> None:
        """It has arrived, or never will."""
        waiting = len(self._waiting)
        self._waiting = deque(entry for entry in self._waiting if entry.id != entry_id)
        self.lost += int(lost) * (waiting - len(self._waiting))

    def _give_up(self) -> None:
        too_old_s = self._clock.monotonic_s() - PATIENCE_S
        while self._waiting and (len(self._waiting) > MOST_ANSWERS or (self._waiting[0].put_s or 0) < too_old_s):
            self._waiting.popleft()
            self.lost += 1
