"""Hardware decoders that are not there: FFmpeg's software decodes for them, and they behave as a test wants."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import av
import numpy as np

from edge_agent.edges.sources import decoders
from edge_agent.edges.sources.decoders import Way

Pictures = list[av.VideoFrame]
Manner = Callable[[int, Pictures], Pictures]
"""Makes of what software decoded, given how many packets came before, what the hardware gives."""

_ELSEWHERE = ThreadPoolExecutor(1)
"""Where pictures are decoded without costing the thread that asks anything, as hardware does it."""


class Hardware:
    """A kind of hardware.

    Args:
        name: what it is called.
        manner: how it behaves.
        is_costly: whether decoding costs the thread that asks, twice over.
        is_ready: whether the manner has the pictures already, so that nothing is decoded at all.
        opens: whether it can be opened.
        rewinds: whether it can forget what it was in the middle of.
    """

    def __init__(
        self,
        name: str = "swift",
        manner: Manner = lambda _, pictures: pictures,
        *,
        is_costly: bool = False,
        is_ready: bool = False,
        opens: bool = True,
        rewinds: bool = True,
    ) -> None:
        self.name, self.manner = name, manner
        self.is_costly, self.is_ready, self.opens, self.rewinds = is_costly, is_ready, opens, rewinds
        self.made = self.packets = self.rewound = 0

    def way(self, codec: str) -> Way:
        """How a codec is decoded with it."""
        return Way(name=self.name, make=lambda: self._make(codec), rewinds=self.rewinds)

    def _make(self, codec: str) -> Any:
        self.made += 1
        if not self.opens:
            raise av.error.PermissionError(1, "Operation not permitted")
        return _Decoder(self, codec)


class _Decoder:
    """At PyAV's API: as far as the agent uses it."""

    def __init__(self, hardware: Hardware, codec: str) -> None:
        self._hardware = hardware
        self._software = av.CodecContext.create(codec, "r")
        self._again = av.CodecContext.create(codec, "r")
        self.thread_count = 0
        self.extradata: bytes | None = None
        self.options: dict[str, str] = {}

    def open(self) -> None:
        for decoder in (self._software, self._again):
            decoder.thread_count = 1
            if self.extradata:
                decoder.extradata = self.extradata

    def flush_buffers(self) -> None:
        self._hardware.rewound += 1
        self._software.flush_buffers()
        self._again.flush_buffers()

    def decode(self, packet: Any) -> Pictures:
        hardware = self._hardware
        assert self.thread_count == 1
        assert "pkt_timebase" in self.options
        before, hardware.packets = hardware.packets, hardware.packets + 1
        if hardware.is_ready:
            return hardware.manner(before, [])
        if hardware.is_costly:
            self._again.decode(packet)
            return hardware.manner(before, self._software.decode(packet))
        return hardware.manner(before, _ELSEWHERE.submit(self._software.decode, packet).result())


def install(monkeypatch: Any, *kinds: Hardware) -> None:
    """Let there be some hardware, and no other."""
    monkeypatch.setattr(decoders, "hardware", lambda codec: iter([kind.way(codec) for kind in kinds]))
    monkeypatch.setattr(
        decoders,
        "usable",
        lambda codec: tuple(kind.way(codec) for kind in kinds if not decoders.why_not(kind.way(codec))),
    )


# Manners


def late(pictures: int) -> Manner:
    """Hold some pictures back."""
    held: Pictures = []

    def hold(_: int, new: Pictures) -> Pictures:
        held.extend(new)
        given, held[:] = held[:-pictures], held[-pictures:]
        return given

    return hold


def early(clip: Path) -> Manner:
    """Give each picture as soon as its packet and all that are shown before have come; software waits for more."""
    with av.open(str(clip)) as container:
        ready = list(container.decode(video=0))
    with av.open(str(clip)) as container:
        order = [packet.pts for packet in container.demux(video=0) if packet.size]
    given = 0

    def give(before: int, _: Pictures) -> Pictures:
        nonlocal given
        come, first = set(order[: before + 1]), given
        while given < len(ready) and ready[given].pts in come:
            given += 1
        return ready[first:given]

    return give


def losing(lost: Iterable[int]) -> Manner:
    """Leave pictures out, by their number."""
    numbers, seen = set(lost), 0

    def leave_out(_: int, new: Pictures) -> Pictures:
        nonlocal seen
        seen += len(new)
        return [picture for at, picture in enumerate(new, seen - len(new)) if at not in numbers]

    return leave_out


def changing(change: Callable[[list[Any]], list[Any]]) -> Manner:
    """Give other planes than software: blue, red and luma are arrays."""

    def give(_: int, new: Pictures) -> Pictures:
        return [_changed(picture, change) for picture in new]

    return give


def _changed(picture: av.VideoFrame, change: Callable[[list[Any]], list[Any]]) -> av.VideoFrame:
    whole = picture.to_ndarray(format="yuv420p")
    height, width = picture.height, picture.width
    luma, chroma = whole[:height], whole[height:].reshape(2, height // 2, width // 2)
    planes = change([luma, *chroma])
    made = av.VideoFrame.from_ndarray(np.concatenate([plane.reshape(-1, width) for plane in planes]), format="yuv420p")
    made.pts, made.time_base, made.color_range = picture.pts, picture.time_base, picture.color_range
    return made


def as_nv12(_: int, new: Pictures) -> Pictures:
    """Give chroma in pairs, as hardware does."""
    return [picture.reformat(format="nv12", threads=1) for picture in new]


def failing(after: int, error: Exception | None = None) -> Manner:
    """After so many packets raise an error, or give nothing."""

    def give(before: int, new: Pictures) -> Pictures:
        if before < after:
            return new
        if error is None:
            return []
        raise error

    return give
