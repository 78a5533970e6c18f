"""How often something may be done: a bucket that fills up slowly and from which each time takes a drop."""

from __future__ import annotations


class Bucket:
    """So many a minute, and as many in one go after a quiet minute.

    Args:
        per_minute: how many.
        at_s: now, on a clock that only goes forward.
    """

    def __init__(self, per_minute: float, at_s: float) -> None:
        self._per_minute = per_minute
        self._left = per_minute
        self._at_s = at_s

    def take(self, at_s: float) -> bool:
        """Whether it may be done once more now."""
        self._left = min(self._per_minute, self._left + (at_s - self._at_s) * self._per_minute / 60.0)
        self._at_s = at_s
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True
