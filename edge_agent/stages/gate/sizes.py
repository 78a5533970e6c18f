"""What the sizes of packets tell: whether they are larger than is usual, and how little would show."""

from __future__ import annotations

import math
import statistics
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from edge_agent.records import Packet
from edge_agent.stages.gate.gops import LEAST_GROUPS, REMEMBERED_GROUPS


class Sizes:
    """What is usual in a stream, and what is not.

    A packet's size is compared, on a logarithmic scale, with the median of those at the same place after the key
    picture in recent quiet groups. What it is larger by, in units of what is usual, is its score. Two things are made
    of the scores:

    - an *alarm*: their sum, less an allowance, is high. A large thing raises it within three pictures, a small one in
      a second, chance once in some minutes.
    - a *suspicion*: their mean over a dozen pictures is higher than in most quiet groups. Chance does that every ten
      groups, so it is reason enough to compare the next key picture, and no more.

    Source: E. S. Page, "Continuous inspection schemes", Biometrika 41 (1954), for the sum (CUSUM); S. W. Roberts,
    "Control chart tests based on geometric moving averages", Technometrics 1 (1959), for the mean.
    """

    def __init__(self) -> None:
        self.alarm_sum = _ALARM_SUM
        self.rising_since_s = -math.inf
        self.is_key_odd = False  # the last key picture is larger or smaller than is usual
        self.is_suspicious = False
        self._groups: deque[_Group] = deque(maxlen=REMEMBERED_GROUPS)
        self._current = _Group()
        self._ended: list[_Group] = []
        self._spreads = {  # by whether pictures are bidirectional
            kind: _Spread(_LEAST_EXCESSES, _LEAST_SPREAD, _REMEMBERED_EXCESSES) for kind in (False, True)
        }
        self._key_spread = _Spread(LEAST_GROUPS, _LEAST_KEY_SPREAD, _REMEMBERED_PEAKS)
        self._peak_spread = _Spread(LEAST_GROUPS, _LEAST_PEAK_SPREAD, _REMEMBERED_PEAKS)
        self._typical_bytes = 0.0
        self._sum = 0.0
        self._mean = 0.0
        self._recent: deque[float] = deque(maxlen=_RECENT_PACKETS)  # excesses since the last picture that was compared
        self._answers: deque[float] = deque(maxlen=_REMEMBERED_ANSWERS)

    @property
    def is_ready(self) -> bool:
        """Whether enough quiet groups were seen."""
        return len(self._groups) >= LEAST_GROUPS and self._spreads[False].is_known

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
        if not kind:
            self._recent.append(size - expected)
        spread = self._spreads[kind]
        if not self.is_ready or not spread.is_known:
            return False
        return self._add((size - expected) / spread.value, packet.at_s)

    def _add(self, score: float, at_s: float) -> bool:
        if self._sum <= 0.0:
            self.rising_since_s = at_s
        self._sum = max(0.0, self._sum + min(score, _MOST_A_PACKET) - _ALLOWANCE)
        self._mean += (max(-_MOST_A_PACKET, min(score, _MOST_A_PACKET)) - self._mean) / _MEAN_OF_PACKETS
        self._current.peak = max(self._current.peak, self._mean)
        self.is_suspicious = self.is_suspicious or self._peak_spread.is_high(self._mean)
        return self._sum > self.alarm_sum

    def turn(self) -> None:
        """A key picture begins a new group."""
        if self._current.sizes:
            self._ended.append(self._current)
        self._current = _Group()

    def learn(self, *, is_quiet: bool) -> None:
        """Take the groups that have ended for what is usual, or throw them away because something moved."""
        ended, self._ended = self._ended, []
        self.is_suspicious = False
        if not ended or not is_quiet:
            return
        self._groups.extend(ended)
        self.alarm_sum = max(_ALARM_SUM, self.alarm_sum * _FORGIVENESS ** len(ended))
        for kind, spread in self._spreads.items():
            spread.learn([excess for group in ended for excess, other in group.excesses if other == kind])
        self._key_spread.learn([group.sizes[0][0] for group in ended])
        if self._spreads[False].is_known:
            self._peak_spread.learn([group.peak for group in ended])
        self._typical_bytes = math.exp(_median(size for group in self._groups for size, _ in group.sizes))

    def answer(self, blocks: float) -> None:
        """Learn what motion costs this encoder: so many macroblocks, or none, differ in the last packet's picture."""
        if blocks and self._recent and self.is_ready:
            larger = math.expm1(statistics.fmean(self._recent)) * self._typical_bytes
            self._answers.append(larger / max(blocks, 1.0))
        self._recent.clear()

    def would_show(self, blocks: float, all_blocks: float, rate_hz: float) -> bool:
        """Whether a thing that covers so many macroblocks of the picture would give an alarm within a second."""
        if not self.is_ready or rate_hz <= 0:
            return False
        extra_bytes = max(0.0, blocks * self._bytes_a_block(all_blocks))
        score = math.log1p(extra_bytes / self._typical_bytes) / self._spreads[False].value
        return score >= _ALLOWANCE + self.alarm_sum / rate_hz

    def _bytes_a_block(self, all_blocks: float) -> float:
        """What a macroblock that moves costs more than one that does not, as far as was seen, or else presumably.

        At constant bit rate that is next to nothing, for the encoder makes the rest coarser; and in heavy noise, for
        what stands still costs as much.
        """
        if len(self._answers) >= _LEAST_ANSWERS:
            return statistics.median(self._answers)
        return _BYTES_A_BLOCK - _LIKE_ITS_NOISE * self._typical_bytes / all_blocks

    def rest(self) -> None:
        """Begin anew to sum up."""
        self._sum = self._mean = self._current.peak = 0.0
        self.is_suspicious = False

    def judge(self, *, was_right: bool) -> None:
        """After a false alarm be less easily alarmed, until one was right or many groups have been quiet."""
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
            if len(found) >= LEAST_GROUPS:
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

    def is_high(self, number: float) -> bool:
        """Whether a number is higher than most of the others."""
        return self.is_known and number > self._middle + _HIGH * self.value

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
        peak: the highest mean of the scores within it.
    """

    sizes: list[tuple[float, bool]] = field(default_factory=list)
    excesses: list[tuple[float, bool]] = field(default_factory=list)
    peak: float = 0.0


_REMEMBERED_EXCESSES = 400
_REMEMBERED_PEAKS = 30
_LEAST_EXCESSES = 20
_MOST_IN_A_GROUP = 3600
_REACH = 2  # places before and after
_SMALL_BYTES = 64.0  # added to each size: a packet of 20 bytes more or less says nothing

# With normally distributed scores a false alarm comes once in 7,000 packets, eight minutes at 15 a second (D. Siegmund,
# "Sequential Analysis", Springer 1985, chapter 2), and costs as much as a dozen key pictures. A thing worth one
# standard deviation is noticed in 14 packets.
_ALLOWANCE = 0.5  # standard deviations
_ALARM_SUM = 7.0
_HIGHEST_ALARM_SUM = 60.0
_DOUBT = 1.5
_FORGIVENESS = 0.995  # a quiet group: after 80 of them a false alarm is forgotten
_MOST_A_PACKET = 4.0  # standard deviations: one packet alone gives no alarm
_MEAN_OF_PACKETS = 12  # as long as a runner takes to be worth a suspicion
_MAD_TO_STD = 1.4826  # for normally distributed values
_LEAST_SPREAD = 0.01
_LEAST_KEY_SPREAD = 0.001
_LEAST_PEAK_SPREAD = 0.05
_ODD = 2.5  # standard deviations: one key picture in eighty is compared for nothing
_HIGH = 1.3  # standard deviations: one in ten

# What a thing that moves costs an encoder: about 20 bytes a macroblock and picture, seen with libx264 and, for small
# things, libx265, at constant quality with little noise; nothing at all where noise takes 10 bytes a macroblock.
_BYTES_A_BLOCK = 20.0
_LIKE_ITS_NOISE = 2.0
_LEAST_ANSWERS = 20
_REMEMBERED_ANSWERS = 200
_RECENT_PACKETS = 12  # two pictures that are compared lie no further apart, at 60 a second
