"""A camera's own clock: when it says that its pictures were taken, and for how long it is believed."""

from __future__ import annotations

import math
import struct
from typing import Any

import av

from edge_agent.edges.sources.timeline import LiveTimeline

REPORTS_ARE_TOLD = av.library_versions.get("libavformat", (0,)) >= (62, 12)
"""Whether FFmpeg is 8.1 or newer, as in PyAV 17.1: 8.0 puts the next picture's time on a packet of H.264 or H.265."""


def taken_utc_ns(packet: av.Packet[Any]) -> int | None:
    """When a packet's picture was taken, by the clock of its camera; None where the camera does not say.

    FFmpeg works it out from the camera's last sender report (RFC 3550, section 6.4.1).
    """
    if not REPORTS_ARE_TOLD or not packet.has_sidedata(_PRODUCER_TIME):
        return None
    (microseconds,) = struct.unpack_from("=q", memoryview(packet.get_sidedata(_PRODUCER_TIME)))
    return int(microseconds) * 1000


class CameraClock:
    """Whether a camera's clock is believed, and where it puts a picture on the clock of the arrivals.

    It is believed after it was steady for a while, unless pictures would have been taken after they came, or so long
    before that no delay explains it. It may run a little faster or slower than ours.
    """

    def __init__(self) -> None:
        self.is_believed = False
        self._offset_s = math.inf  # from the stamp of a picture to when it was taken
        self._arrived_s = -math.inf
        self._window: tuple[float, float] = (math.inf, math.inf)  # when it ends, and how late the least late in it was

    def at_s(self, stamp_s: float, taken_s: float | None, arrived_s: float) -> float | None:
        """When the picture with the next packet was taken; None while the camera is not believed.

        Args:
            stamp_s: the time it is to be shown.
            taken_s: when it was taken by the camera's clock, on the clock of the arrivals; None when nobody knows.
            arrived_s: when the packet came; never goes back.
        """
        passed_s, self._arrived_s = arrived_s - self._arrived_s, arrived_s
        if taken_s is None:
            self.is_believed, self._offset_s = False, math.inf
            return None
        drift_s, late_s = taken_s - stamp_s - self._offset_s, arrived_s - taken_s
        if abs(drift_s) > _STEADY_S or not -_EARLY_S <= late_s <= _LONGEST_DELAY_S + _JUMP_S:
            self.is_believed, self._offset_s = False, taken_s - stamp_s
            self._window = (arrived_s + _WINDOW_S, late_s)
            return None
        self._offset_s += max(-_DRIFT * passed_s, min(drift_s, _DRIFT * passed_s))
        ends_s, least_late_s = self._window
        self._window = (ends_s, min(least_late_s, late_s))
        if arrived_s >= ends_s:
            self.is_believed = least_late_s <= _LONGEST_DELAY_S
            self._window = (arrived_s + _WINDOW_S, late_s)
        return stamp_s + self._offset_s if self.is_believed else None


class CameraTimeline:
    """When the pictures of a camera were taken: by its own clock while that is believed, else by their arrival.

    From the one to the other it goes gradually: no rule sees the time leap.
    """

    def __init__(self) -> None:
        self._arrivals = LiveTimeline()
        self._camera = CameraClock()
        self._last: tuple[float, float, float] | None = None  # stamp, what was made of it, arrival
        self._still_s = 0.0  # by how much it is still to go later than it would be by the clock that counts now
        self.delay_s: float | None = None

    def at_s(self, stamp_s: float | None, taken_s: float | None, arrived_s: float) -> float:
        """When the picture with the next packet was taken, on the clock of the arrivals.

        `delay_s` is then how long before that its packet came, hold-ups apart; None while the camera is not believed.

        Args:
            stamp_s: the time it is to be shown, on the camera's clock; None when the camera does not say.
            taken_s: when it was taken by the camera's clock, on the clock of the arrivals; None when nobody knows.
            arrived_s: when the packet came; never goes back.

        Returns:
            Seconds, never later than the arrival.
        """
        if stamp_s is None:
            if self._last is None:
                return self._arrivals.at_s(None, arrived_s)
            return self._last[1] + arrived_s - self._last[2]
        by_arrival_s = self._arrivals.at_s(stamp_s, arrived_s)
        by_camera_s = self._camera.at_s(stamp_s, taken_s, arrived_s)
        was_believed = self.delay_s is not None
        at_s = by_arrival_s if by_camera_s is None else by_camera_s
        passed_s = math.inf if self._last is None else stamp_s - self._last[0]
        if self._last is None or abs(passed_s) > _JUMP_S:
            self._still_s = 0.0
        elif was_believed is not (by_camera_s is not None):
            self._still_s = self._last[1] + passed_s - at_s
        else:
            left_s = max(0.0, abs(self._still_s) - _CHANGE * max(0.0, passed_s))
            self._still_s = math.copysign(left_s, self._still_s)
        at_s = min(at_s + self._still_s, arrived_s)
        self._last = stamp_s, at_s, arrived_s
        self.delay_s = None if by_camera_s is None else max(0.0, by_arrival_s - at_s)
        return at_s


_PRODUCER_TIME = "prft"
_STEADY_S = 0.1
"""By how much the reports of a steady clock may contradict each other: a camera writes them when it has time."""

_EARLY_S = 0.1
"""Two clocks that are set over the network differ by less."""

_LONGEST_DELAY_S = 3.0
"""No camera and network take longer, if nothing holds them up."""

_JUMP_S = 5.0  # stamps that are further apart do not follow each other; nothing is held up for longer

_WINDOW_S = 10.0
"""For so long a clock has to be steady: two reports, which come about every 5 s (RFC 3550, section 6.2)."""

_DRIFT = 0.001  # seconds a second: a clock that runs fast or slow by more than this is none
_CHANGE = 0.05  # seconds a second, from one clock to the other
