"""The packet gate: leaves a stream undecoded while its packets tell that nothing moves.

An encoder spends bytes on what changes. While nothing does, a packet is about as large as the one at the same place
between two earlier key pictures; something that moves makes a run of packets larger. Where the sizes of a stream tell
nothing (constant bit rate, heavy noise), the key pictures are left: each can be decoded alone and be compared.
"""

from __future__ import annotations

import math
import statistics
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from edge_agent.records import Frame, Packet, Verdict
from edge_agent.settings import Polygon
from edge_agent.stages.gate.background import Background
from edge_agent.stages.gate.pace import LEAST_WATCH_HZ, Pace
from edge_agent.stages.gate.settings import GateSettings

SETTLE_S = 1.0
"""Awake this much longer than the motion gate is open, so that it has said that nothing moves any more."""

UNKNOWN = "learning"
"""What the gate goes by before it knows the stream."""


class PacketGate:
    """Says of each packet whether it has to be decoded.

    Awake, everything is, and pictures are compared as the motion gate does. When nothing has moved for longer than that
    gate stays open, it falls asleep: packets are kept, and only some key pictures are decoded. It wakes up when the
    sizes tell of motion, when a key picture differs, when a key picture fails to come, or when too much is kept.

    It falls asleep only where that is safe. The less the sizes would show, the nearer together must key pictures be,
    for what comes and goes between two would be missed: `max_gop_s` where sizes show a thing of `min_area`, half as
    much again as `blind_s` where they show one ten times as large, as a person near by is, else `blind_s`. Of key
    pictures that come more often, those are left out that are as large as usual; half as many once a key picture has
    told of something that sizes had not, until sizes tell again.

    Args:
        settings: see `GateSettings`.
        rate_hz: how often the detector looks, at most.
        mask: areas in 0..1 that are not compared.
    """

    def __init__(self, settings: GateSettings, rate_hz: float, mask: tuple[Polygon, ...] = ()) -> None:
        self._settings = settings
        self._watch = Pace(max(rate_hz, LEAST_WATCH_HZ))
        self._background = Background(settings, mask)
        self._sizes = Sizes()
        self._gops = Gops()
        self._asleep = False
        self._differed_s = math.inf  # when a picture last differed; not before the first was seen
        self._woken_s = -math.inf
        self._motion_since_s = math.inf
        self._is_in_doubt = False  # it was woken by sizes, and nothing was seen to move yet
        self._were_sizes_deaf = False  # the last motion was told by a key picture, not by them
        self._compared_s = -math.inf
        self._shown_s = -math.inf
        self._kept_bytes = 0
        self._pixels = 0

    @property
    def asleep(self) -> bool:
        """Whether packets are kept undecoded."""
        return self._asleep

    @property
    def motion_since_s(self) -> float:
        """After it woke up: since when something may have been moving."""
        return self._motion_since_s

    @property
    def buffer_bytes(self) -> int:
        """How much may be kept."""
        return self._settings.buffer_bytes

    @property
    def basis(self) -> str:
        """What it goes by, or why it cannot leave anything undecoded."""
        if self._settings.mode in {"pixels", "off"}:
            return "all pictures: gate.mode"
        return self._obstacle() or self._sense().basis

    def observe(self, packet: Packet) -> Verdict:
        """Take in the next packet, in the order of decoding."""
        at_s = packet.at_s
        if packet.is_key:
            self._sizes.turn()
            if not self._asleep:  # asleep, only the next picture that is compared can tell
                self._sizes.learn(is_quiet=self._differed_s < self._gops.began_s)
        self._gops.observe(packet)
        alarmed = self._sizes.observe(packet)
        if not self._asleep:
            if self._may_sleep(at_s):
                self._asleep = True
                self._sizes.rest()
                self._kept_bytes = self._gops.bytes_so_far
            return "decode"
        self._kept_bytes += packet.wire_bytes
        if alarmed:
            self._is_in_doubt = True
            return self._wake(at_s, since_s=self._sizes.rising_since_s)
        if self._gops.is_late(at_s, self._settings.max_gop_s) or self._kept_bytes > self._settings.buffer_bytes:
            return self._wake(at_s, since_s=-math.inf)
        if packet.is_key and self._is_due(at_s):
            return "compare"
        return "keep"

    def compare(self, frame: Frame) -> bool:
        """Take in a picture that was decoded; false when it need not be shown to anybody.

        Awake, all are shown. Asleep, a key picture is when it woke the gate up, or when it is time to look at something
        although nothing moves.
        """
        at_s = frame.at_s
        self._pixels = frame.width * frame.height
        if self._asleep or self._watch.is_due(at_s):
            self._watch.take(at_s)
            regions, scene_changed = self._background.compare(frame)
            self._compared_s = at_s
            differs = len(regions) > 0 or scene_changed
            if differs:
                self._differed_s = at_s
                self._were_sizes_deaf = self._asleep or (self._were_sizes_deaf and not self._is_in_doubt)
                self._is_in_doubt = False
            if self._asleep:
                self._sizes.learn(is_quiet=not differs)
                self._kept_bytes = min(self._kept_bytes, self._gops.bytes_so_far)  # what came before is let go
                if differs:
                    self._wake(at_s, since_s=-math.inf)
        is_shown = not self._asleep or self._is_stale(at_s)
        if is_shown:
            self._shown_s = at_s
        return is_shown

    def _is_due(self, at_s: float) -> bool:
        """Whether to compare a key picture now."""
        every_s = self._sense().compare * self._settings.blind_s / (2 if self._were_sizes_deaf else 1)
        return (
            at_s + self._gops.longest_s - self._compared_s > every_s + _TOLERANCE_S
            or self._sizes.is_key_odd
            or self._is_stale(at_s)
            or self._kept_bytes > self._settings.buffer_bytes / 2
        )

    def _is_stale(self, at_s: float) -> bool:
        return at_s - self._shown_s >= min(self._settings.refresh_s, _SHOW_EVERY_S)

    def _wake(self, at_s: float, since_s: float) -> Verdict:
        self._asleep = False
        self._woken_s, self._motion_since_s = at_s, since_s
        return "decode"

    def _may_sleep(self, at_s: float) -> bool:
        if self._settings.mode in {"pixels", "off"} or self._obstacle() is not None:
            return False
        if at_s - self._differed_s <= self._settings.hold_s + SETTLE_S:
            return False
        if at_s - self._woken_s <= SETTLE_S or self._compared_s <= self._woken_s:  # not before it has seen something
            return False
        if self._gops.bytes_so_far > self._settings.buffer_bytes / 2:  # more may not have been kept
            return False
        self._sizes.judge(was_right=not self._is_in_doubt)
        self._is_in_doubt = False
        return True

    def _obstacle(self) -> str | None:
        """Why the stream cannot be left undecoded; None when it can."""
        structure = self._gops.obstacle(self._settings.max_gop_s, self._settings.buffer_bytes)
        if structure is not None:
            return structure
        if not self._sizes.is_ready:
            return UNKNOWN
        sense = self._sense()
        if self._settings.mode == "auto" and self._gops.longest_s > sense.gop * self._settings.blind_s + _TOLERANCE_S:
            return f"all pictures: {sense.shortcoming}, and key pictures are {self._gops.longest_s:.1f} s apart"
        return None

    def _sense(self) -> _Sense:
        """What the sizes would show within a second."""
        block_count = max(_LEAST_BLOCKS, self._settings.min_area * self._pixels / _BLOCK_PIXELS)
        for sense in (_FINE, _COARSE):
            if self._sizes.would_show(block_count * sense.areas * _BYTES_A_BLOCK, self._gops.rate_hz):
                return sense
        return _NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sense:
    """How much the sizes of a stream show.

    Attributes:
        areas: the smallest thing they would, in units of `min_area`.
        gop: how far apart key pictures may be then, in units of `blind_s`.
        compare: how far apart those that are compared should be, where more come, in the same units.
        basis: what the gate goes by.
        shortcoming: why it cannot, where key pictures are too far apart.
    """

    areas: float
    gop: float
    compare: float
    basis: str
    shortcoming: str


_FINE = _Sense(areas=1.0, gop=math.inf, compare=2.0, basis="sizes and key pictures", shortcoming="")
_COARSE = _Sense(
    areas=10.0,
    gop=1.5,
    compare=1.0,
    basis="key pictures and coarse sizes",
    shortcoming="packet sizes show large things only",
)
_NONE = _Sense(areas=math.inf, gop=1.0, compare=1.0, basis="key pictures", shortcoming="packet sizes tell nothing")


class Gops:
    """How a stream is built: where its key pictures are, and how much lies between them."""

    def __init__(self) -> None:
        self.began_s = -math.inf
        self.bytes_so_far = 0
        self._packets = 0
        self._first_s: float | None = None
        self._spans: deque[tuple[float, int, int]] = deque(maxlen=_REMEMBERED_GOPS)  # seconds, bytes, packets

    def observe(self, packet: Packet) -> None:
        """Take in the next packet."""
        if self._first_s is None:
            self._first_s = packet.at_s
        if packet.is_key:
            if math.isfinite(self.began_s):
                self._spans.append((packet.at_s - self.began_s, self.bytes_so_far, self._packets))
            self.began_s, self.bytes_so_far, self._packets = packet.at_s, 0, 0
        self.bytes_so_far += packet.wire_bytes
        self._packets += 1
        self._now_s = packet.at_s

    _now_s = 0.0

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
        if len(self._spans) < _LEAST_GOPS:
            return UNKNOWN
        if self.rate_hz * self.longest_s < _LEAST_PACKETS:
            return "all pictures: nearly each is a key picture"
        return None


class Sizes:
    """What the sizes of packets tell.

    A packet's size is compared, on a logarithmic scale, with the median of those at the same place after the key
    picture in recent quiet groups. What it is larger by, in units of what is usual, is summed up, less an allowance,
    and an alarm is given when the sum is high: a large thing raises it within two pictures, a small one in a second.

    Source: E. S. Page, "Continuous inspection schemes", Biometrika 41 (1954), for the sum (CUSUM).
    """

    def __init__(self) -> None:
        self.rising_since_s = -math.inf
        self._groups: deque[_Group] = deque(maxlen=_REMEMBERED_GOPS)
        self._current = _Group()
        self._ended: list[_Group] = []
        self._spreads = {  # by whether pictures are bidirectional
            kind: _Spread(_LEAST_EXCESSES, _LEAST_SPREAD, _REMEMBERED_EXCESSES) for kind in (False, True)
        }
        self._key_spread = _Spread(_LEAST_GOPS, _LEAST_KEY_SPREAD, _REMEMBERED_KEYS)
        self.is_key_odd = False  # the last key picture is larger or smaller than is usual
        self._typical_bytes = 0.0
        self._sum = 0.0
        self.alarm_sum = _ALARM_SUM

    @property
    def is_ready(self) -> bool:
        """Whether enough quiet groups were seen."""
        return len(self._groups) >= _LEAST_GOPS and self._spreads[False].is_known

    def observe(self, packet: Packet) -> bool:
        """Take in the next packet; true when the sizes tell of motion."""
        size, kind = math.log(packet.size_bytes + _SMALL_BYTES), packet.is_bidirectional
        place = len(self._current.sizes)
        if place == _MOST_IN_A_GROUP:  # a stream without key pictures goes on for ever
            return False
        self._current.sizes.append((size, kind))
        if packet.is_key:
            self.is_key_odd = self._key_spread.is_odd(size)
            return False
        expected = self._expected(place, kind=kind)
        if expected is None:
            return False
        self._current.excesses.append((size - expected, kind))
        spread = self._spreads[kind]
        if not self.is_ready or not spread.is_known:
            return False
        if self._sum <= 0.0:
            self.rising_since_s = packet.at_s
        score = min((size - expected) / spread.value, _MOST_A_PACKET)
        self._sum = max(0.0, self._sum + score - _ALLOWANCE)
        return self._sum > self.alarm_sum

    def turn(self) -> None:
        """A key picture begins a new group."""
        if self._current.sizes:
            self._ended.append(self._current)
        self._current = _Group()

    def learn(self, *, is_quiet: bool) -> None:
        """Take the groups that have ended for what is usual, or throw them away because something moved."""
        ended, self._ended = self._ended, []
        if not ended or not is_quiet:
            return
        self._groups.extend(ended)
        for kind, spread in self._spreads.items():
            spread.learn([excess for group in ended for excess, other in group.excesses if other == kind])
        self._key_spread.learn([group.sizes[0][0] for group in ended])
        self._typical_bytes = math.exp(_median(size for group in self._groups for size, _ in group.sizes))

    def would_show(self, extra_bytes: float, rate_hz: float) -> bool:
        """Whether so many more bytes in each packet for a second would give an alarm."""
        if not self.is_ready or rate_hz <= 0:
            return False
        score = math.log1p(extra_bytes / self._typical_bytes) / self._spreads[False].value
        return score >= _ALLOWANCE + _ALARM_SUM / rate_hz

    def rest(self) -> None:
        """Begin the sum anew."""
        self._sum = 0.0

    def judge(self, *, was_right: bool) -> None:
        """After false alarms be less easily alarmed, until one was right."""
        self.alarm_sum = _ALARM_SUM if was_right else min(self.alarm_sum * _DOUBT, _HIGHEST_ALARM_SUM)

    def _expected(self, place: int, *, kind: bool) -> float | None:
        """The usual size at a place, from that place or, where groups differ in build, from those beside it."""
        for reach in (0, _REACH):
            found = [
                size
                for group in self._groups
                for size, other in group.sizes[max(1, place - reach) : place + reach + 1]
                if other == kind
            ]
            if len(found) >= _LEAST_GOPS:
                return _median(found)
        return None


class _Spread:
    """How far numbers usually lie apart: a standard deviation, by medians, which forgive outliers.

    Args:
        least_count: with fewer of them it is not known.
        least: it is never taken to be smaller.
        remembered: how many count.
    """

    def __init__(self, least_count: int, least: float, remembered: int) -> None:
        self.value = math.inf
        self._least_count, self._least = least_count, least
        self._middle = 0.0
        self._numbers: deque[float] = deque(maxlen=remembered)

    @property
    def is_known(self) -> bool:
        """Whether enough was seen."""
        return len(self._numbers) >= self._least_count

    def is_odd(self, number: float) -> bool:
        """Whether a number lies far from the others."""
        return self.is_known and abs(number - self._middle) > _ODD * self.value

    def learn(self, numbers: Sequence[float]) -> None:
        """Take in what was quiet."""
        self._numbers.extend(numbers)
        if self._numbers:
            self._middle = statistics.median(self._numbers)
            deviation = statistics.median(abs(number - self._middle) for number in self._numbers)
            self.value = max(_MAD_TO_STD * deviation, self._least)


def _median(values: Iterable[float]) -> float:
    """The lower median of a few values."""
    ordered = sorted(values)
    return ordered[(len(ordered) - 1) // 2]


@dataclass(slots=True)
class _Group:
    """A key picture and what follows until the next.

    Attributes:
        sizes: of each packet, the logarithm, and whether it is bidirectional.
        excesses: what packets were larger by than expected, on the same scale, and whether they are bidirectional.
    """

    sizes: list[tuple[float, bool]] = field(default_factory=list)
    excesses: list[tuple[float, bool]] = field(default_factory=list)


_REMEMBERED_GOPS = 6
_LEAST_GOPS = 3
_SHOW_EVERY_S = 10.0  # whoever follows things takes a longer silence for an end of the scene
_LEAST_PACKETS = 3  # a group; with fewer, leaving them out saves nothing
_REMEMBERED_EXCESSES = 400
_REMEMBERED_KEYS = 30
_LEAST_EXCESSES = 20
_MOST_IN_A_GROUP = 3600
_REACH = 2  # places before and after
_SMALL_BYTES = 64.0  # added to each size: a packet of 20 bytes more or less says nothing
_TOLERANCE_S = 0.25  # key pictures come with jitter

# With normally distributed scores a false alarm comes once in 50,000 packets, an hour at 15 a second (D. Siegmund,
# "Sequential Analysis", Springer 1985, chapter 2), and a thing worth one standard deviation is noticed in 18 packets.
_ALLOWANCE = 0.5  # standard deviations
_ALARM_SUM = 9.0
_HIGHEST_ALARM_SUM = 60.0
_DOUBT = 1.5
_MOST_A_PACKET = 6.0  # standard deviations: one packet alone gives no alarm
_MAD_TO_STD = 1.4826  # for normally distributed values
_LEAST_SPREAD = 0.01
_LEAST_KEY_SPREAD = 0.001
_ODD = 2.5  # standard deviations: one key picture in eighty is compared for nothing

# What a thing that moves costs an encoder: about 20 bytes a macroblock and picture, seen with libx264 and, for small
# things, libx265, at constant quality.
_BYTES_A_BLOCK = 20.0
_BLOCK_PIXELS = 256  # 16 x 16
_LEAST_BLOCKS = 4
