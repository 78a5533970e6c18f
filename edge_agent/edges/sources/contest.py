"""Software and hardware decode the same packets of a camera, side by side, until it is known which is cheaper."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import av
import numpy as np
from numpy.typing import NDArray

from edge_agent.edges.sources.chosen import DecoderNotes
from edge_agent.edges.sources.decoders import FAILURES, LEAST_SHARE, Coded, Took, VideoPacket, Way, measured, opened
from edge_agent.edges.sources.source import Planes

STRETCH = 50
"""So many pictures are compared: a group or two, as cameras usually send them."""

MOST_LAG = 16
"""A picture that hardware has not given so many packets after software did is lost.

H.264 and H.265 let a decoder hold back 16 pictures at most (ITU-T H.264, A.3.1; H.265, A.4.2).
"""

MARGIN = 0.9
"""Hardware must take less than this part of what software takes: what is as good as equal is not worth a driver."""

_ALIKE = 0.5  # grey levels, on average: the standards say of each pixel what it has to be
_GLANCE_STEP = 8  # every eighth pixel of every eighth row


class Contest:
    """Software's pictures are those that are shown; the hardware decodes only to be compared.

    Args:
        coded: how the stream is coded.
        ways: the hardware.
        notes: told whose code the thread is in.
    """

    def __init__(self, coded: Coded, ways: Iterable[Way], notes: DecoderNotes) -> None:
        self._rivals = [Rival(way, coded, notes) for way in ways]

    def follow(self, packet: VideoPacket, shown: Took) -> None:
        """Let the hardware decode what software has decoded just now."""
        pictures = [
            _Shown(picture.pts, _glance(planes)) for picture, planes in zip(shown.pictures, shown.planes, strict=True)
        ]
        for rival in self._rivals:
            rival.follow(packet, pictures, shown.cpu_s)

    def begin_anew(self) -> None:
        """What comes next begins with a key picture; what was measured stays."""
        for rival in self._rivals:
            rival.begin_anew()

    @property
    def is_over(self) -> bool:
        """Whether all is known."""
        return all(rival.is_known for rival in self._rivals)

    @property
    def winner(self) -> Rival | None:
        """The hardware to take; None where software is the best."""
        sound = [rival for rival in self._rivals if not rival.fault]
        best = min(sound, key=lambda rival: rival.share, default=None)
        return best if best is not None and best.share < MARGIN else None

    @property
    def why(self) -> str:
        """What was measured, in words and numbers of our own."""
        return "; ".join(f"{rival.way.name} {rival.result}" for rival in self._rivals)


class Rival:
    """One kind of hardware, held against software.

    Attributes:
        way: which.
        decoder: what it decodes with, None while it has none.
        fault: why it is out of the question; nothing while it is not.
        due: what software has shown and this one has not given yet, by its time.
        ahead: what this one has given and software has not shown yet, by its time.
    """

    def __init__(self, way: Way, coded: Coded, notes: DecoderNotes) -> None:
        self.way = way
        self.decoder: av.VideoCodecContext | None = None
        self.fault = ""
        self.due: dict[int, _Due] = {}
        self.ahead: dict[int, tuple[av.VideoFrame, _Glance]] = {}
        self._coded, self._notes = coded, notes
        self._first_pts: int | None = None  # of the key picture that it began with
        self._packets = self._right = self._lost = self._untimed = 0
        self._costed, self._own_s, self._software_s = 0, 0.0, 0.0

    @property
    def is_known(self) -> bool:
        """Whether enough pictures were compared."""
        return bool(self.fault) or self._right + self._lost >= STRETCH

    @property
    def share(self) -> float:
        """What it takes, as a part of what software takes."""
        return self._own_s / max(self._software_s, 1e-9)

    @property
    def result(self) -> str:
        """What was found, in words and numbers."""
        own_ms, software_ms = (1000 * cpu_s / max(self._costed, 1) for cpu_s in (self._own_s, self._software_s))
        return self.fault or f"{own_ms:.2f} ms a picture, software {software_ms:.2f}"

    def begin_anew(self) -> None:
        """Wait for the next key picture."""
        if self.decoder is not None and self.way.rewinds:
            with self._notes.inside(self.way.name):
                self.decoder.flush_buffers()
        else:
            self.decoder = None
        self._first_pts = None
        self.due.clear()
        self.ahead.clear()

    def follow(self, packet: VideoPacket, shown: Sequence[_Shown], software_s: float) -> None:
        """Decode a packet, and hold what comes against what software has shown."""
        self._untimed += sum(one.pts is None for one in shown)
        if self._untimed > MOST_LAG:  # one or two are usual: a camera's first picture comes before its clock is known
            self._drop_out("was not tried: pictures have no times")
        if self._first_pts is None and packet.is_keyframe:
            self._first_pts = packet.pts
        if self.fault or self._first_pts is None:
            return
        is_new = self.decoder is None
        took = self._decode(packet)
        if took is None:
            self._drop_out("failed")
            return
        if not is_new:  # with its first packet it is set up, which is not done again
            self._costed += 1
            self._own_s += took.cpu_s
            self._software_s += software_s
        self._take_in(shown, took)
        self._compare()

    def _decode(self, packet: VideoPacket) -> Took | None:
        """What came of a packet; None when the hardware does not work. A damaged packet is none of its faults."""
        try:
            with self._notes.inside(self.way.name):
                if self.decoder is None:
                    self.decoder = opened(self.way, self._coded)
                took = measured(self.decoder, packet)
        except FAILURES:
            return None
        return took if took.error is None or isinstance(took.error, av.error.InvalidDataError) else None

    def _take_in(self, shown: Sequence[_Shown], took: Took) -> None:
        """Note what software has shown and what has come here; what was due too long ago is lost."""
        self._packets += 1
        late = [pts for pts, due in self.due.items() if due.since + MOST_LAG < self._packets]
        for pts in late:
            del self.due[pts]
        self._lost += len(late)
        for one in shown:
            if one.pts is not None and self._first_pts is not None and one.pts >= self._first_pts:
                self.due[one.pts] = _Due(one.glance, self._packets)
        for picture, planes in zip(took.pictures, took.planes, strict=True):
            if picture.pts is not None:
                self.ahead[picture.pts] = picture, _glance(planes)
        while len(self.ahead) > MOST_LAG:  # software does not show them
            del self.ahead[next(iter(self.ahead))]

    def _compare(self) -> None:
        """Hold one against the other; both show the same pictures in the same order."""
        while (pts := next((pts for pts in self.ahead if pts in self.due), None)) is not None:
            self._lost += _drop_before(pts, self.due)
            _drop_before(pts, self.ahead)  # damaged: software does not show it
            if not _are_alike(self.due.pop(pts).glance, self.ahead.pop(pts)[1]):
                self._drop_out("gave other pictures")
                return
            self._right += 1
        if self._lost > STRETCH - LEAST_SHARE * STRETCH:
            self._drop_out(f"gave {self._right} of {self._right + self._lost} pictures")

    def _drop_out(self, fault: str) -> None:
        self.fault, self.decoder = fault, None
        self.due.clear()
        self.ahead.clear()


class _Glance(NamedTuple):
    """Enough of a picture to tell it from another."""

    full_range: bool
    planes: tuple[NDArray[np.int16], ...]


class _Shown(NamedTuple):
    """A picture that software has given."""

    pts: int | None
    glance: _Glance


class _Due(NamedTuple):
    """A picture that hardware has yet to give, and since which of its packets."""

    glance: _Glance
    since: int


def _glance(planes: Planes) -> _Glance:
    views = (planes.luma, planes.chroma_blue, planes.chroma_red)
    return _Glance(planes.full_range, tuple(view[::_GLANCE_STEP, ::_GLANCE_STEP].astype(np.int16) for view in views))


def _drop_before(pts: int, pictures: dict[int, Any]) -> int:
    """Leave out what comes before one of them; say how many there were."""
    before = list(itertools.takewhile(lambda other: other != pts, pictures))
    for other in before:
        del pictures[other]
    return len(before)


def _are_alike(one: _Glance, other: _Glance) -> bool:
    return one.full_range == other.full_range and all(
        mine.shape == yours.shape and float(np.abs(mine - yours).mean()) <= _ALIKE
        for mine, yours in zip(one.planes, other.planes, strict=True)
    )
