"""Packets of a camera become frames: decoded as they come, or kept while a packet gate says that nothing moves."""

from __future__ import annotations

import math
import re
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple

import av

from edge_agent.edges.sources.choosing import Choosing
from edge_agent.edges.sources.chosen import DecoderNotes
from edge_agent.edges.sources.decoders import SOFTWARE, VideoPacket
from edge_agent.edges.sources.planes import view_planes
from edge_agent.edges.sources.source import PacketGate
from edge_agent.records import Frame, Packet


class Stamp(NamedTuple):
    """When a picture was taken."""

    at_s: float
    utc_ns: int
    utc_synced: bool


Timed = tuple[VideoPacket, Stamp]
"""A packet and when its picture was taken."""

Decode = Callable[[VideoPacket], list[av.VideoFrame]]


class Decoding:
    """One connection's decoder.

    What is kept begins with a key picture's packet, so that all of it can be decoded later.

    Args:
        stream: what its packets come from.
        gate: which of them to decode; None decodes all.
        decoder: what decodes them; software where none is given.
    """

    def __init__(self, stream: av.VideoStream, gate: PacketGate | None, decoder: Choosing | None = None) -> None:
        self._codec = stream.codec_context.name
        self._is_key = _IS_KEY.get(self._codec)
        self._length_bytes = _length_bytes(self._codec, stream.codec_context.extradata or b"")
        self._gate = gate if self._is_key else None
        self._decoder = decoder or Choosing(stream, DecoderNotes(requested=SOFTWARE), "")
        if self._gate is not None:  # the stream's own decoder lives as long as the stream; others can be let go
            self._decoder.begin_anew()
        self._stamps: dict[int | None, Stamp] = {}  # by presentation time, of packets in the decoder
        self._kept = _Kept()
        self._latest_pts = -math.inf
        self._shown_s = -math.inf
        self._repeated_until_s = -math.inf  # what is decoded again, for those that follow, was shown before
        self._seq = 0
        self._is_key_guessed = False  # the last key picture was damaged, and what follows is made from it
        self._guessed_since_s = math.inf
        self._damaged = 0
        self._in_vain = 0  # pictures, one after the other, that were decoded alone and were not there

    @property
    def asleep(self) -> bool:
        """Whether packets are kept undecoded."""
        return self._gate is not None and self._gate.asleep

    @property
    def damaged(self) -> int:
        """How many packets could not be decoded, or gave a picture that had to be guessed."""
        return self._damaged + self._decoder.left_out

    @property
    def is_decodable(self) -> bool:
        """Whether key pictures that are decoded alone are there; a single damaged one is no reason for doubt."""
        return self._in_vain < _IN_VAIN

    @property
    def basis(self) -> str:
        """What is decoded, and why."""
        return self._gate.basis if self._gate is not None else f"all pictures: codec {self._codec}"

    def frames(self, packets: Iterable[Timed]) -> Generator[Frame | None, None, None]:
        """Give frames in the order of showing; None for packets that gave none."""
        for packet, stamp in packets:
            if not packet.size and packet.dts is not None:  # a decoder would take it for the end
                self._damaged += 1
                yield None
                continue
            shown = self._decode(packet, stamp) if self._gate is None else self._judge(self._gate, packet, stamp)
            yield from self._forward(shown)

    def _forward(self, shown: Iterable[Frame]) -> Iterator[Frame | None]:
        """What one packet gave, none of it before what was given already; None when it gave nothing.

        A generator of its own, so that nobody holds on to its last picture while the stream is asleep.
        """
        is_empty = True
        for frame in shown:
            is_empty = False
            self._seq += 1
            step_s = max(0.0, self._shown_s + _LEAST_STEP_S - frame.at_s)
            self._shown_s = frame.at_s + step_s
            yield _later(frame, step_s) if step_s else frame
        if is_empty:
            yield None

    def _judge(self, gate: PacketGate, packet: VideoPacket, stamp: Stamp) -> Iterator[Frame]:
        if not packet.size:  # the end, which has no time: what the decoder holds back
            return self._decode(packet, stamp)
        was_asleep, facts = gate.asleep, self._facts(packet, stamp)
        verdict = gate.observe(facts)
        if facts.is_key and not was_asleep:
            self._kept.clear()  # what is decoded already is not needed again
        self._kept.add(packet, stamp, is_key=facts.is_key)
        if verdict == "compare":
            return self._compare(gate, packet, stamp)
        if verdict == "keep":
            return iter(())
        if verdict in {"hold", "show"}:
            self._kept.forget_before(gate.motion_since_s, gate.buffer_bytes)
            return self._show_oldest(gate) if verdict == "show" else iter(())
        if was_asleep:
            return self._catch_up(gate)
        self._kept.limit(gate.buffer_bytes)
        return self._watched(gate, self._decode(packet, stamp))

    def _facts(self, packet: VideoPacket, stamp: Stamp) -> Packet:
        data = memoryview(packet)
        first_bytes = _after_lengths(data, self._length_bytes) if self._length_bytes else _after_start_codes(data)
        is_key = packet.is_keyframe and self._is_key is not None and any(map(self._is_key, first_bytes))
        pts = self._latest_pts if packet.pts is None else packet.pts
        is_bidirectional = pts < self._latest_pts and not is_key
        self._latest_pts = pts if is_key else max(pts, self._latest_pts)  # a camera's clock may be set back
        return Packet(
            at_s=stamp.at_s,
            size_bytes=len(data) - _padding_bytes(data, self._codec),
            wire_bytes=len(data),
            is_key=is_key,
            is_bidirectional=is_bidirectional,
            stamp_s=None if packet.pts is None else float(packet.pts * packet.time_base),
        )

    def _compare(self, gate: PacketGate, packet: VideoPacket, stamp: Stamp) -> Iterator[Frame]:
        """Decode a key picture alone."""
        for frame in self._alone(packet, stamp):
            is_shown = gate.compare(frame)
            if not gate.asleep:
                yield from self._catch_up(gate)
                return
            self._kept.forget_before_last_key()  # nothing moved until this picture
            if is_shown:
                yield frame

    def _show_oldest(self, gate: PacketGate) -> Iterator[Frame]:
        """Decode the first key picture that is kept alone."""
        for packet, stamp in self._kept.oldest:
            yield from (frame for frame in self._alone(packet, stamp) if gate.compare(frame))

    def _alone(self, packet: VideoPacket, stamp: Stamp) -> list[Frame]:
        self._begin_anew()
        alone = list(self._decode(packet, stamp, self._decoder.alone))
        self._in_vain = 0 if alone else self._in_vain + 1
        return alone

    def _catch_up(self, gate: PacketGate) -> Iterator[Frame]:
        """Decode the pre-roll: what was kept, from the last key picture before something may have begun to move."""
        self._begin_anew()
        self._repeated_until_s = self._shown_s
        for packet, stamp in self._kept.since(gate.motion_since_s):
            yield from self._watched(gate, self._decode(packet, stamp))

    def _watched(self, gate: PacketGate, frames: Iterable[Frame]) -> Iterator[Frame]:
        for frame in frames:
            if frame.at_s > self._repeated_until_s:
                self._repeated_until_s = -math.inf
                gate.compare(frame)
                yield frame

    def _begin_anew(self) -> None:
        self._decoder.begin_anew()
        self._stamps.clear()

    def _decode(self, packet: VideoPacket, stamp: Stamp, decode: Decode | None = None) -> Iterator[Frame]:
        if len(self._stamps) > _MOST_STAMPS:  # of packets that never became a picture
            self._stamps.clear()
        self._stamps[packet.pts] = stamp
        try:
            pictures = (decode or self._decoder.decode)(packet)
        except av.FFmpegError:
            self._damaged += 1
            return
        yield from self._whole(pictures, stamp)

    def _whole(self, pictures: Iterable[av.VideoFrame], latest: Stamp) -> Iterator[Frame]:
        """Leave out what the decoder had to guess, in part or from a guessed key picture; but not for long."""
        for picture in pictures:
            at_s, utc_ns, utc_synced = self._stamps.pop(picture.pts, latest)
            if picture.key_frame:
                self._is_key_guessed = picture.is_corrupt
            is_guessed = picture.is_corrupt or self._is_key_guessed
            self._damaged += is_guessed
            self._guessed_since_s = min(self._guessed_since_s, at_s) if is_guessed else math.inf
            if not is_guessed or at_s - self._guessed_since_s >= _GUESSED_S:
                yield view_planes(picture).taken(at_s=at_s, utc_ns=utc_ns, utc_synced=utc_synced, seq=self._seq)


def _later(frame: Frame, step_s: float) -> Frame:
    return replace(frame, at_s=frame.at_s + step_s, utc_ns=frame.utc_ns + round(step_s * 1e9))


class _Kept:
    """Packets that can be decoded later, in groups that each begin with a key picture."""

    def __init__(self) -> None:
        self._groups: deque[list[Timed]] = deque()
        self._bytes = 0

    def clear(self) -> None:
        """Forget all."""
        self._groups.clear()
        self._bytes = 0

    def add(self, packet: VideoPacket, stamp: Stamp, *, is_key: bool) -> None:
        """Keep one more; nothing is kept before the first key picture."""
        if is_key:
            self._groups.append([])
        if self._groups:
            self._groups[-1].append((packet, stamp))
            self._bytes += packet.size

    def limit(self, most_bytes: int) -> None:
        """Keep the last group only, and nothing until the next key picture should that be too much."""
        self.forget_before_last_key()
        if self._bytes > most_bytes:
            self.clear()

    def forget_before_last_key(self) -> None:
        """Keep the last group only."""
        while len(self._groups) > 1:
            self._bytes -= sum(packet.size for packet, _stamp in self._groups.popleft())

    def forget_before(self, at_s: float, most_bytes: int) -> None:
        """Keep what is needed to decode everything since a moment, or the newest groups where that is too much."""
        while len(self._groups) > 1 and (self._groups[1][0][1].at_s <= at_s or self._bytes > most_bytes):
            self._bytes -= sum(packet.size for packet, _stamp in self._groups.popleft())

    @property
    def oldest(self) -> list[Timed]:
        """The first key picture, if there is one."""
        return self._groups[0][:1] if self._groups else []

    def since(self, at_s: float) -> list[Timed]:
        """Everything from the last key picture before a moment, or from the first."""
        groups = list(self._groups)
        while len(groups) > 1 and groups[1][0][1].at_s <= at_s:
            del groups[0]
        return [timed for group in groups for timed in group]


def _is_key_h264(first_byte: int) -> bool:
    return first_byte & 0x1F == _H264_IDR


def _is_key_h265(first_byte: int) -> bool:
    return first_byte >> 1 & 0x3F in _H265_IRAP


def _after_start_codes(data: memoryview) -> Iterator[int]:
    """The first byte of each unit at the beginning of a packet, as RTSP gives it."""
    return (match[1][0] for match in re.finditer(rb"\x00\x00\x01(.)", data[:_HEAD_BYTES], re.DOTALL))


def _after_lengths(data: memoryview, length_bytes: int) -> Iterator[int]:
    """The first byte of each unit at the beginning of a packet, as RTMP gives it."""
    place = length_bytes
    while place < min(len(data), _HEAD_BYTES):
        yield data[place]
        place += int.from_bytes(data[place - length_bytes : place], "big") + length_bytes


def _padding_bytes(data: memoryview, codec: str) -> int:
    """How much of a packet's end is a unit of filler data, which only fills up a constant bit rate.

    A picture may end in the same two bytes; such a unit's head never stands before them there but by a rare chance.
    """
    if data[-2:] != _FILLER_END:
        return 0
    rest = bytes(data[:-1]).rstrip(_FILLER_END[:1])
    return len(data) - len(rest) if rest.endswith(_FILLER_HEAD[codec]) else 0


def _length_bytes(codec: str, parameters: bytes) -> int:
    """How long the length before each unit is; 0 where start codes stand before them.

    The packets do not tell: a length of 256 to 511 bytes looks like a start code.

    Source: ISO/IEC 14496-15, sections 5.3.3.1 and 8.3.3.1, `configurationVersion` and `lengthSizeMinusOne`.
    """
    place = _LENGTH_SIZE_AT.get(codec, 0)
    if parameters[:1] != _LENGTHS_VERSION or len(parameters) <= place:
        return 0
    return (parameters[place] & 0b11) + 1


_H264_IDR = 5  # ITU-T H.264, table 7-1
_H265_IRAP = range(16, 24)  # ITU-T H.265, table 7-1

_IS_KEY: Mapping[str, Callable[[int], bool]] = {"h264": _is_key_h264, "hevc": _is_key_h265}
"""Codecs with pictures that need others -> whether a unit's picture, and all shown later, can be decoded from it on.

FFmpeg's own mark stands on points of recovery too, where the picture itself is not whole.
"""

_LENGTHS_VERSION = b"\x01"
_LENGTH_SIZE_AT: Mapping[str, int] = {"h264": 4, "hevc": 21}
"""Where in a stream's parameters the last two bits of a byte are the size of a length, less one."""

_FILLER_HEAD: Mapping[str, bytes] = {"h264": b"\x0c", "hevc": b"\x4c\x01"}
"""How a unit of filler data, type 12 and type 38, begins: ITU-T H.264, 7.3.1, and ITU-T H.265, 7.3.1.2."""

_HEAD_BYTES = 4096  # parameter sets and messages stand before the picture
_FILLER_END = b"\xff\x80"  # what a unit of filler data consists of, and the end of any unit
_MOST_STAMPS = 64
_IN_VAIN = 2  # key pictures
_GUESSED_S = 2.0  # after that a picture that is partly wrong is better than none
_LEAST_STEP_S = 1e-6  # between two frames, whatever their stamps say
