"""Looking when something outside says so: from a while before a trigger until a while after the last."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence

from edge_agent.records import Frame, Packet, Verdict
from edge_agent.stages.gate.gops import SHOW_EVERY_S, Gops
from edge_agent.stages.gate.settings import GateSettings

Times = Callable[[], Sequence[float]]
"""Tells when triggers came lately, in order, on the clock that frames are stamped with."""


class Attention:
    """When to look, by when triggers came.

    A trigger opens a span that begins `preroll_s` before it and ends `trigger_s` after it; another one within prolongs
    it. For `cooldown_s` after its end triggers are ignored. Only triggers count whose pre-roll has begun at the moment
    that is asked for: so a frame that is late, because those before it took long, is judged as one that is not.

    Args:
        settings: see `GateSettings`.
        times: when triggers came.
    """

    def __init__(self, settings: GateSettings, times: Times) -> None:
        self._settings = settings
        self._times = times
        self._counted_s = -math.inf
        self._since_s = math.inf
        self._until_s = -math.inf

    @property
    def since_s(self) -> float:
        """When the last span began."""
        return self._since_s

    def holds(self, at_s: float) -> bool:
        """Whether to look at what was taken at a moment; moments come in order."""
        for trigger_s in self._times():
            if self._counted_s < trigger_s <= at_s + self._settings.preroll_s:
                self._counted_s = trigger_s
                self._count(trigger_s)
        return self._since_s <= at_s <= self._until_s

    def _count(self, trigger_s: float) -> None:
        if trigger_s > self._until_s:
            if trigger_s - self._until_s < self._settings.cooldown_s:
                return
            self._since_s = trigger_s - self._settings.preroll_s
        self._until_s = trigger_s + self._settings.trigger_s


class ExternalGate:
    """A packet gate that goes by triggers alone: it keeps what `preroll_s` asks for, and wakes up when one comes.

    It falls asleep wherever packets can be kept. While it sleeps, a key picture is shown now and then: the one that has
    just become older than any pre-roll, for time may not go back when a trigger comes.

    Args:
        settings: see `GateSettings`.
        attention: when to look; the same for every connection of a camera, for it remembers when a cooldown began.
    """

    def __init__(self, settings: GateSettings, attention: Attention) -> None:
        self._settings = settings
        self._attention = attention
        self._gops = Gops()
        self._asleep = False
        self._motion_since_s = math.inf
        self._shown_s = -math.inf
        self._kept: deque[tuple[float, int]] = deque()  # of each group but the one that grows: its begin, its bytes
        self._is_short = False  # more than may be kept came within preroll_s

    @property
    def asleep(self) -> bool:
        """Whether packets are kept undecoded."""
        return self._asleep

    @property
    def motion_since_s(self) -> float:
        """Asleep: what was taken before this may be let go; after it woke up: when its pre-roll begins."""
        return self._motion_since_s

    @property
    def buffer_bytes(self) -> int:
        """How much may be kept."""
        return self._settings.buffer_bytes

    @property
    def basis(self) -> str:
        """What it goes by, or why it cannot leave anything undecoded."""
        obstacle = self._gops.obstacle(self._settings.max_gop_s, self._settings.buffer_bytes)
        short = "; gate.buffer_bytes holds less than gate.preroll_s" if self._is_short else ""
        return obstacle or f"triggers{short}"

    def observe(self, packet: Packet) -> Verdict:
        """Take in the next packet, in the order of decoding."""
        at_s = packet.at_s
        if packet.is_key and self._asleep:
            self._kept.append((self._gops.began_s, self._gops.bytes_so_far))
        self._gops.observe(packet)
        is_wanted = self._attention.holds(at_s)
        if not self._asleep:
            if not is_wanted and self._may_sleep():
                self._asleep = True
                self._kept.clear()
                self._motion_since_s = at_s - self._settings.preroll_s
            return "decode"
        if is_wanted:
            return self._wake(self._attention.since_s)
        if self._gops.is_late(at_s, self._settings.max_gop_s) or self._gops.bytes_so_far > self._settings.buffer_bytes:
            return self._wake(-math.inf)
        self._motion_since_s = at_s - self._settings.preroll_s
        return self._keep()

    def compare(self, frame: Frame) -> bool:
        """Take in a picture that was decoded: whatever is decoded is shown."""
        self._shown_s = max(self._shown_s, frame.at_s)
        return True

    def _may_sleep(self) -> bool:
        limit_bytes = self._settings.buffer_bytes
        obstacle = self._gops.obstacle(self._settings.max_gop_s, limit_bytes)
        return obstacle is None and self._gops.bytes_so_far <= limit_bytes / 2  # more may not have been kept

    def _wake(self, since_s: float) -> Verdict:
        self._asleep = False
        self._motion_since_s = since_s
        return "decode"

    def _keep(self) -> Verdict:
        """Let go of groups as the source does, and have the oldest key picture shown when nothing was for long."""
        kept_bytes = self._gops.bytes_so_far + sum(size for _, size in self._kept)
        while self._kept:
            next_s = self._kept[1][0] if len(self._kept) > 1 else self._gops.began_s
            if next_s > self._motion_since_s:
                if kept_bytes <= self._settings.buffer_bytes:
                    break
                self._is_short = True
            kept_bytes -= self._kept.popleft()[1]
        oldest_s = self._kept[0][0] if self._kept else self._gops.began_s
        silent_s = oldest_s - self._shown_s
        if silent_s < min(self._settings.refresh_s, SHOW_EVERY_S) and silent_s + self._gops.longest_s < _SHOW_WITHIN_S:
            return "hold"
        self._shown_s = oldest_s  # also when it turns out to be damaged, or it would be tried at each packet
        return "show"


# What is shown is older by the pre-roll.
_SHOW_WITHIN_S = 15.0  # even where key pictures are so far apart that this means to show one before its time
