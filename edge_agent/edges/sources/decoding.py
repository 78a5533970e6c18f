"""Packets of a camera become frames: decoded as they come, or kept while a packet gate says that nothing moves."""

from __future__ import annotations

import math
import re
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import NamedTuple, TypeAlias

import av

from edge_agent.edges.sources.planes import view_planes
from edge_agent.edges.sources.source import PacketGate
from edge_agent.records import Frame, Packet


class Stamp(NamedTuple):
    """When a picture was taken."""

    at_s: float
    utc_ns: int
    utc_synced: bool


VideoPacket: TypeAlias = "av.Packet[av.VideoStream]"

Timed = tuple[VideoPacket, Stamp]
"""A packet and when its picture was taken."""


class Decoding:
    """One connection's decoder.

    What is kept begins with a key picture's packet, so that all of it can be decoded later.

    Args:
        stream: what its packets come from.
        gate: which of them to decode; None decodes all.
    """

    def __init__(self, stream: av.VideoStream, gate: PacketGate | None) -> None:
        self._decoder = stream.codec_context
        self._is_key = _IS_KEY.get(self._decoder.name)
        self._gate = gate if self._is_key else None
        self._stamps: dict[int | None, Stamp] = {}  # by presentation time, of packets in the decoder
        self._kept = _Kept()
        self._latest_pts = -math.inf
        self._shown_s = -math.inf
        self._seq = 0
        self.damaged = 0

    @property
    def asleep(self) -> bool:
        """Whether packets are kept undecoded."""
        return self._gate is not None and self._gate.asleep

    @property
    def basis(self) -> str:
        """What is decoded, and why."""
        return self._gate.basis if self._gate is not None else f"all pictures: codec {self._decoder.name}"

    def frames(self, packets: Iterable[Timed]) -> Generator[Frame | None, None, None]:
        """Give frames in the order of showing; None for packets that gave none."""
        for packet, stamp in packets:
            shown = self._decode(packet, stamp) if self._gate is None else self._judge(self._gate, packet, stamp)
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
        if not packet.size:  # the end: what the decoder holds back
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
        if was_asleep:
            return self._catch_up(gate)
        self._kept.limit(gate.buffer_bytes)
        return self._watched(gate, self._decode(packet, stamp))

    def _facts(self, packet: VideoPacket, stamp: Stamp) -> Packet:
        pts = self._latest_pts if packet.pts is None else packet.pts
        is_bidirectional = pts < self._latest_pts
        self._latest_pts = max(pts, self._latest_pts)
        data = memoryview(packet)
        size = len(data)
        if size > 1 and data[-1] == _END_OF_UNIT and data[-2] == _FILLER:
            size = len(bytes(data).rstrip(bytes([_END_OF_UNIT])).rstrip(bytes([_FILLER])))
        is_key = packet.is_keyframe and self._is_key is not None and self._is_key(bytes(data[:_HEAD_BYTES]))
        return Packet(
            at_s=stamp.at_s,
            size_bytes=size,
            wire_bytes=len(data),
            is_key=is_key,
            is_bidirectional=is_bidirectional,
        )

    def _compare(self, gate: PacketGate, packet: VideoPacket, stamp: Stamp) -> Iterator[Frame]:
        """Decode a key picture alone."""
        self._decoder.flush_buffers()
        alone = [*self._decode(packet, stamp), *self._drain(stamp)]
        self._decoder.flush_buffers()
        for frame in alone:
            is_shown = gate.compare(frame)
            if not gate.asleep:
                yield from self._catch_up(gate)
                return
            self._kept.forget_before_last_key()  # nothing moved until this picture
            if is_shown:
                yield frame

    def _catch_up(self, gate: PacketGate) -> Iterator[Frame]:
        """Decode what was kept, from the last key picture before something may have begun to move."""
        self._decoder.flush_buffers()
        for packet, stamp in self._kept.since(gate.motion_since_s):
            yield from self._watched(gate, self._decode(packet, stamp))

    def _watched(self, gate: PacketGate, frames: Iterable[Frame]) -> Iterator[Frame]:
        for frame in frames:
            if frame.at_s > self._shown_s:  # else it was shown before, and is decoded for those that follow
                gate.compare(frame)
                yield frame

    def _decode(self, packet: VideoPacket, stamp: Stamp) -> Iterator[Frame]:
        if len(self._stamps) > _MOST_STAMPS:  # of packets that never became a picture
            self._stamps.clear()
        self._stamps[packet.pts] = stamp
        try:
            pictures = self._decoder.decode(packet)
        except av.FFmpegError:
            self.damaged += 1
            return
        for picture in pictures:
            yield self._frame(picture, stamp)

    def _drain(self, stamp: Stamp) -> Iterator[Frame]:
        """What the decoder holds back because pictures that are shown before might follow."""
        with suppress(av.FFmpegError):
            for picture in self._decoder.decode(None):
                yield self._frame(picture, stamp)

    def _frame(self, picture: av.VideoFrame, latest: Stamp) -> Frame:
        at_s, utc_ns, utc_synced = self._stamps.pop(picture.pts, latest)
        return view_planes(picture).taken(at_s=at_s, utc_ns=utc_ns, utc_synced=utc_synced, seq=self._seq)


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
        """Keep nothing until the next key picture, should it be too much."""
        if self._bytes > most_bytes:
            self.clear()

    def forget_before_last_key(self) -> None:
        """Keep the last group only."""
        while len(self._groups) > 1:
            self._bytes -= sum(packet.size for packet, _stamp in self._groups.popleft())

    def since(self, at_s: float) -> list[Timed]:
        """Everything from the last key picture before a moment, or from the first."""
        groups = list(self._groups)
        while len(groups) > 1 and groups[1][0][1].at_s <= at_s:
            del groups[0]
        return [timed for group in groups for timed in group]


def _is_key_h264(head: bytes) -> bool:
    return any(unit & 0x1F == _H264_IDR for unit in _first_bytes(head))


def _is_key_h265(head: bytes) -> bool:
    return any(unit >> 1 & 0x3F in _H265_IRAP for unit in _first_bytes(head))


def _first_bytes(head: bytes) -> Iterator[int]:
    """The first byte of each unit at the beginning of a packet, with start codes (RTSP) or lengths (MP4) between."""
    if head.startswith((b"\0\0\0\1", b"\0\0\1")):
        yield from (match[1][0] for match in re.finditer(rb"\x00\x00\x01(.)", head, re.DOTALL))
        return
    place = 0
    while place + 4 < len(head):
        yield head[place + 4]
        place += 4 + int.from_bytes(head[place : place + 4], "big")


_H264_IDR = 5  # ITU-T H.264, table 7-1
_H265_IRAP = range(16, 24)  # ITU-T H.265, table 7-1

_IS_KEY: Mapping[str, Callable[[bytes], bool]] = {"h264": _is_key_h264, "hevc": _is_key_h265}
"""Codecs with pictures that need others -> whether a packet's picture and all that follow can be decoded from it on.

FFmpeg's own mark stands on points of recovery too, where the picture itself is not whole.
"""

_HEAD_BYTES = 4096  # parameter sets and messages stand before the picture
_FILLER, _END_OF_UNIT = 0xFF, 0x80  # how a unit of filler data ends, which only fills up a constant bit rate
_MOST_STAMPS = 64
_LEAST_STEP_S = 1e-6  # between two frames, whatever their stamps say
