"""The packet gate: leaves a stream undecoded while its packets tell that nothing moves.

An encoder spends bytes on what changes. While nothing does, a packet is about as large as the one at the same place
between two earlier key pictures; something that moves makes a run of packets larger. Where the sizes of a stream tell
nothing (constant bit rate, heavy noise), the key pictures are left: each can be decoded alone and be compared.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from edge_agent import geometry
from edge_agent.records import Frame, Packet, Verdict
from edge_agent.settings import Polygon
from edge_agent.stages.gate.background import Background
from edge_agent.stages.gate.gops import SHOW_EVERY_S, UNKNOWN, Gops
from edge_agent.stages.gate.pace import LEAST_WATCH_HZ, Pace
from edge_agent.stages.gate.settings import GateSettings
from edge_agent.stages.gate.sizes import Sizes

SETTLE_S = 1.0
"""Awake this much longer than the motion gate is open, so that it has said that nothing moves any more."""


class PacketGate:
    """Says of each packet whether it has to be decoded.

    Awake, everything is, and pictures are compared as the motion gate does. When nothing has moved for longer than that
    gate stays open, it falls asleep: packets are kept, and only some key pictures are decoded. It wakes up when the
    sizes tell of motion, when a key picture differs, when a key picture fails to come, or when too much is kept.

    It falls asleep only where that is safe. The less the sizes would show, the nearer together must key pictures be,
    for what comes and goes between two would be missed: `max_gop_s` where sizes show a thing of `min_area`, half as
    much again as `blind_s` where they show one ten times as large, as a person near by is, else `blind_s`.

    Where sizes tell nothing, every key picture is compared, up to one a second. Where they do, those are left out
    before which sizes were as usual and that are as large as usual, though one is compared every ten seconds; and
    every five, once a key picture has told of something that sizes had not, until sizes tell again.

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
        self._is_judged = True  # whether sizes were right, when they woke it last
        self._is_in_doubt = False  # sizes woke it, and nothing was seen to move yet
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
            self._is_in_doubt, self._is_judged = True, False
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
            if not self._asleep:
                self._sizes.answer(float(geometry.area(regions).sum()) / _BLOCK_PIXELS)
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
        every_s = self._sense().compare_s / (2 if self._were_sizes_deaf else 1)
        return (
            at_s + self._gops.longest_s - self._compared_s > every_s + _TOLERANCE_S
            or self._sizes.is_key_odd
            or self._sizes.is_suspicious
            or self._is_stale(at_s)
            or self._kept_bytes > self._settings.buffer_bytes / 2
        )

    def _is_stale(self, at_s: float) -> bool:
        return at_s - self._shown_s >= min(self._settings.refresh_s, SHOW_EVERY_S)

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
        if not self._is_judged:
            self._sizes.judge(was_right=not self._is_in_doubt)
        self._is_in_doubt, self._is_judged = False, True
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
        all_blocks = max(1.0, self._pixels / _BLOCK_PIXELS)
        for sense in (_FINE, _COARSE):
            blocks = max(_LEAST_BLOCKS, self._settings.min_area * sense.areas * all_blocks)
            if self._sizes.would_show(blocks, all_blocks, self._gops.rate_hz):
                return sense
        return _NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sense:
    """How much the sizes of a stream show.

    Attributes:
        areas: the smallest thing they would, in units of `min_area`.
        gop: how far apart key pictures may be then, in units of `blind_s`.
        compare_s: how far apart those that are compared should be, where more come and nothing else speaks for it.
        basis: what the gate goes by.
        shortcoming: why it cannot, where key pictures are too far apart.
    """

    areas: float
    gop: float
    compare_s: float
    basis: str
    shortcoming: str


_FINE = _Sense(areas=1.0, gop=math.inf, compare_s=SHOW_EVERY_S, basis="sizes and key pictures", shortcoming="")
_COARSE = _Sense(
    areas=10.0,
    gop=1.5,
    compare_s=SHOW_EVERY_S,
    basis="key pictures and coarse sizes",
    shortcoming="packet sizes show large things only",
)
_NONE = _Sense(areas=math.inf, gop=1.0, compare_s=1.0, basis="key pictures", shortcoming="packet sizes tell nothing")

_TOLERANCE_S = 0.25  # key pictures come with jitter
_BLOCK_PIXELS = 256  # 16 x 16: a macroblock
_LEAST_BLOCKS = 4  # anything lies across the borders of some
