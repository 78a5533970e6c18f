"""How a stream is built: groups of pictures, each beginning with one that can be decoded alone."""

from __future__ import annotations

import math
from collections import deque

from edge_agent.records import Packet

UNKNOWN = "learning"
"""What a gate goes by before it knows the stream."""

SHOW_EVERY_S = 10.0
"""So often a picture is shown although nothing moves: whoever follows things takes 30 s without a frame for an end."""

LEAST_GROUPS = 3
"""After so many a stream is known."""

REMEMBERED_GROUPS = 6
"""So many of them count."""


class Gops:
    """How a stream is built: where its key pictures are, and how much lies between them."""

    def __init__(self) -> None:
        self.began_s = -math.inf
        self.bytes_so_far = 0
        self._packets = 0
        self._stamp_s = -math.inf  # of the last key picture
        self._first_s: float | None = None
        self._now_s = 0.0
        self._spans: deque[tuple[float, int, int]] = deque(maxlen=REMEMBERED_GROUPS)  # seconds, bytes, packets

    def observe(self, packet: Packet) -> None:
        """Take in the next packet."""
        if self._first_s is None:
            self._first_s = packet.at_s
        if packet.is_key:
            # By the camera's own clock: packets of a stream that is held up for long are stamped anew by their arrival.
            stamp_s = packet.at_s if packet.stamp_s is None else packet.stamp_s
            if stamp_s > self._stamp_s > -math.inf:
                self._spans.append((stamp_s - self._stamp_s, self.bytes_so_far, self._packets))
            self._stamp_s, self.began_s, self.bytes_so_far, self._packets = stamp_s, packet.at_s, 0, 0
        self.bytes_so_far += packet.wire_bytes
        self._packets += 1
        self._now_s = packet.at_s

    @property
    def longest_s(self) -> float:
        """Longest time between two key pictures, lately."""
        return max((span[0] for span in self._spans), default=0.0)

    @property
    def rate_hz(self) -> float:
        """Packets a second, lately."""
        seconds = sum(span[0] for span in self._spans)
        return sum(span[2] for span in self._spans) / seconds if seconds > 0 else 0.0

    def is_late(self, at_s: float, max_gop_s: float) -> bool:
        """Whether a key picture should have come."""
        return at_s - self.began_s > max_gop_s

    def obstacle(self, max_gop_s: float, buffer_bytes: int) -> str | None:
        """Why packets cannot be kept; None when they can."""
        since_s = self.began_s if math.isfinite(self.began_s) else (self._first_s or 0.0)
        if (self._first_s is not None and self._now_s - since_s > max_gop_s) or self.longest_s > max_gop_s:
            return f"all pictures: no key picture for {max_gop_s:g} s"
        if max((span[1] for span in self._spans), default=0) > buffer_bytes / 2:
            return "all pictures: more than gate.buffer_bytes holds lies between two key pictures"
        if len(self._spans) < LEAST_GROUPS:
            return UNKNOWN
        if self.rate_hz * self.longest_s < _LEAST_PACKETS:
            return "all pictures: nearly each is a key picture"
        return None


_LEAST_PACKETS = 3  # a group; with fewer, leaving them out saves nothing
