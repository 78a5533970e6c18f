"""From the time stamps of a stream to the clock that every rule counts in."""

from __future__ import annotations

import math
from fractions import Fraction

import av

_USUAL_RATE_HZ = 25  # for the rare stream that tells neither times nor a rate; FFmpeg assumes the same of raw video


class RecordingTimeline:
    """Seconds since the first picture, always forward, whatever the time stamps of a file do."""

    def __init__(self, rate_hz: Fraction | None) -> None:
        self._interval_s = 1 / Fraction(rate_hz or _USUAL_RATE_HZ)
        self._last_s = -self._interval_s
        self._origin_s: Fraction | None = None

    def position_s(self, picture: av.VideoFrame) -> float:
        """Where the next picture stands; one interval on where its time stamp is missing or goes back."""
        position_s = self._last_s + self._interval_s
        if picture.pts is not None and picture.time_base is not None:
            stamp_s = picture.pts * picture.time_base
            self._origin_s = stamp_s - position_s if self._origin_s is None else self._origin_s
            if stamp_s - self._origin_s > self._last_s:
                position_s = stamp_s - self._origin_s
        self._last_s = position_s
        return float(position_s)


class LiveTimeline:
    """When the pictures of a camera were taken: by the camera's clock, held to ours.

    Packets arrive late, never early: the network holds them up, and a decoder that catches up reads a dozen at once. So
    the camera's own stamps tell how far pictures are apart, and the arrival that was least late tells where they stand.
    A camera's clock may run a little faster or slower than ours; where its stamps jump or are missing, the arrival
    counts.
    """

    def __init__(self) -> None:
        self._offset_s = 0.0
        self._stamp_s: float | None = None  # the highest so far
        self._window: tuple[float, float] = (math.inf, math.inf)  # when it ends, and how late the least late in it was

    def at_s(self, stamp_s: float | None, arrived_s: float) -> float:
        """When the picture with the next packet was taken, on the clock of the arrivals.

        Args:
            stamp_s: the time it is to be shown, on the camera's clock; None when the camera does not say.
            arrived_s: when the packet came; never goes back.

        Returns:
            Seconds, never later than the arrival.
        """
        if stamp_s is None:
            self._stamp_s = None
            return arrived_s
        passed_s = None if self._stamp_s is None else stamp_s - self._stamp_s
        late_s = arrived_s - stamp_s - self._offset_s
        if (
            passed_s is None
            or abs(passed_s) > _JUMP_S
            or abs(late_s) > _JUMP_S
            or self._is_late_for_good(late_s, arrived_s)
        ):
            self._offset_s, self._stamp_s = arrived_s - stamp_s, stamp_s
            self._window = (arrived_s + _WINDOW_S, math.inf)
        elif passed_s > 0:
            self._offset_s += min(late_s, _LATER * passed_s)
            self._stamp_s = stamp_s
        return stamp_s + self._offset_s

    def _is_late_for_good(self, late_s: float, arrived_s: float) -> bool:
        """Whether for a while nothing came in time: a longer way, or a camera whose clock was set back a little."""
        ends_s, least_late_s = self._window
        least_late_s = min(least_late_s, late_s)
        if arrived_s < ends_s:
            self._window = (ends_s, least_late_s)
            return False
        self._window = (arrived_s + _WINDOW_S, math.inf)
        return least_late_s > _LATE_S


class UtcTimeline:
    """The same moments for people: one distance between the two clocks is kept for as long as it is about right.

    Reading both anew for each picture would let the time between the two readings put pictures out of order.
    """

    def __init__(self) -> None:
        self._distance_ns: int | None = None

    def at_ns(self, at_s: float, now_s: float, now_utc_ns: int) -> int:
        """What the one clock shows when the other shows `at_s`, by what both show now."""
        distance_ns = now_utc_ns - round(now_s * 1e9)
        if self._distance_ns is None or abs(distance_ns - self._distance_ns) > _UTC_TOLERANCE_NS:
            self._distance_ns = distance_ns
        return self._distance_ns + round(at_s * 1e9)


_UTC_TOLERANCE_NS = 5_000_000
_JUMP_S = 5.0
_WINDOW_S = 10.0
_LATE_S = 0.5
_LATER = 0.001  # seconds a second: a clock that runs slow by more than this is none
