"""Letting through a part of what comes, by time."""

from __future__ import annotations

import math

EARLY_S = 0.001
"""A frame that comes this much before its turn is on time: clocks of cameras are not exact."""

LEAST_WATCH_HZ = 5.0
"""How often pictures are compared at least: nobody is in a picture for less than a fifth of a second."""


class Pace:
    """Lets through as many frames a second as it is told, whatever the rate at which they come.

    Args:
        rate_hz: how many, at most; all of them when fewer come.
    """

    def __init__(self, rate_hz: float) -> None:
        self._interval_s = 1.0 / rate_hz
        self._due_s = -math.inf

    def is_due(self, at_s: float) -> bool:
        """Whether a frame of this time is late enough after those that were taken."""
        return at_s >= self._due_s - EARLY_S

    def take(self, at_s: float) -> None:
        """Note that a frame of this time was let through."""
        # Counting on from when it was due, not from now, keeps the mean rate when the camera's does not divide by it.
        # One interval late is in step still: a camera just as fast as the rate comes now early, now late.
        is_in_step = at_s - self._due_s < 2 * self._interval_s
        self._due_s = (self._due_s if is_in_step else at_s) + self._interval_s
