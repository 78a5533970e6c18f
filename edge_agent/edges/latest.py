"""The hand-over from a capture thread to its pipeline: one slot, the newest frame wins."""

from __future__ import annotations

import threading
from typing import Generic, TypeVar

T = TypeVar("T")


class Latest(Generic[T]):
    """One slot between two threads; a newer value replaces an unread one, so that lag cannot build up.

    Whoever waits for a value is woken by it; `close` wakes it for good.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._value: T | None = None
        self._closed = False
        self._dropped = 0

    def put(self, value: T, patience_s: float = 0.0) -> None:
        """Leave a value; one that nobody has taken yet is dropped and counted, and so is any after `close`.

        Args:
            value: what to leave.
            patience_s: how long to wait for the one before to be taken.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._value is None or self._closed, patience_s)
            if self._closed or self._value is not None:
                self._dropped += 1
            if not self._closed:
                self._value = value
                self._changed.notify_all()

    def take(self, timeout_s: float) -> T | None:
        """Take the newest value, waiting for one; None when none came in time or the slot is closed and empty."""
        with self._changed:
            self._changed.wait_for(lambda: self._value is not None or self._closed, timeout_s)
            value, self._value = self._value, None
            self._changed.notify_all()
            return value

    def close(self) -> None:
        """Nothing more will come; a value that lies there can still be taken."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    @property
    def closed(self) -> bool:
        """Whether nothing more will come and nothing is left."""
        with self._changed:
            return self._closed and self._value is None

    @property
    def dropped(self) -> int:
        """How many values nobody took in time."""
        with self._changed:
            return self._dropped
