"""A stretch of a stream's packets, read once and kept, so that several questions can be asked of the same pictures."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import av

from edge_agent.edges.sources import SOURCES
from edge_agent.edges.sources.decoding import Decoding, Stamp, Timed
from edge_agent.edges.sources.source import Opening, PacketGate
from edge_agent.edges.sources.timeline import LiveTimeline
from edge_agent.edges.sources.video import camera_stamp_s, complaint, connect, video_stream
from edge_agent.errors import SourceError
from edge_agent.records import Frame, Packet, Verdict

SCHEMES = tuple(scheme for scheme, (module, _) in SOURCES.items() if module == "video")
"""What an address begins with whose packets can be read before they are decoded."""

MOST_BYTES = 128 << 20
"""No more is read, however long it was to go on: it is all in memory."""

_LEAST_PICTURES = 2  # one alone has no rate
_LEAST_SPAN_S = 1e-3
_USUAL_RATE_HZ = 25  # for the rare clip whose packets have no times


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What was read, while its stream is still open.

    Attributes:
        stream: what the packets come from.
        packets: in the order of decoding, each with when its picture was taken.
        stamps_s: when each is to be shown, by the camera's clock; None where it does not say.
    """

    stream: av.VideoStream
    packets: tuple[Timed, ...]
    stamps_s: tuple[float | None, ...]

    @property
    def shown_s(self) -> tuple[float, ...]:
        """When each is to be shown, by the camera's clock: at first packets come in a burst, and ours would mislead.

        The first one often has no stamp; it, and any other, is put beside its neighbour. Where none has, ours counts.
        """
        known_s = [stamp_s for stamp_s in self.stamps_s if stamp_s is not None]
        if len(known_s) < _LEAST_PICTURES or max(known_s) <= min(known_s):
            return tuple(stamp.at_s for _, stamp in self.packets)
        step_s = (max(known_s) - min(known_s)) / (len(known_s) - 1)
        last_s = known_s[0] - step_s * (next(i for i, stamp_s in enumerate(self.stamps_s) if stamp_s is not None) + 1)
        shown_s = []
        for stamp_s in self.stamps_s:
            last_s = last_s + step_s if stamp_s is None else stamp_s
            shown_s.append(last_s)
        return tuple(shown_s)

    @property
    def rate_hz(self) -> float:
        """Pictures a second."""
        shown_s = self.shown_s
        return (len(shown_s) - 1) / max(max(shown_s) - min(shown_s), _LEAST_SPAN_S)


@contextmanager
def sampled(opening: Opening, seconds: float) -> Iterator[Sample]:
    """Open a camera or clip, and read for some seconds of it; nothing is decoded.

    Raises:
        SourceError: it cannot be opened, breaks off, or gives no picture; one line without a password.
    """
    packets: list[Timed] = []
    stamps_s: list[float | None] = []
    try:
        with connect(opening) as container:
            stream = video_stream(container, opening)
            size_bytes = 0
            for timed, stamp_s, passed_s in _stamped(container, stream, opening):
                packets.append(timed)
                stamps_s.append(stamp_s)
                size_bytes += timed[0].size
                if passed_s >= seconds or size_bytes > MOST_BYTES:
                    break
            if len(packets) < _LEAST_PICTURES:
                raise SourceError(f"{opening.name} ended after {len(packets)} pictures")
            yield Sample(stream=stream, packets=tuple(packets), stamps_s=tuple(stamps_s))
    except av.FFmpegError as error:  # its own text holds the password
        raise SourceError(complaint(error, opening, len(packets))) from None


def _stamped(
    container: av.container.InputContainer, stream: av.VideoStream, opening: Opening
) -> Iterator[tuple[Timed, float | None, float]]:
    """Every packet with when its picture was taken, when it is to be shown, and how long it has been going on."""
    live, clock, timeline = not opening.url.startswith("file://"), opening.clock, LiveTimeline()
    step_s = 1 / float(stream.average_rate or _USUAL_RATE_HZ)
    began_s = None
    for seq, packet in enumerate(packet for packet in container.demux(stream) if packet.size):
        stamp_s = camera_stamp_s(container, packet)
        now_s = clock.monotonic_s() if live else seq * step_s if stamp_s is None else stamp_s
        began_s = now_s if began_s is None else began_s
        at_s = timeline.at_s(stamp_s, now_s) if live else now_s
        yield (packet, Stamp(at_s, 0, utc_synced=False)), stamp_s, now_s - began_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Gated:
    """How a packet gate found a sample.

    Attributes:
        basis: what it goes by, or why it cannot leave anything undecoded.
        packets: what it was told of each; none for a codec that it is not for.
        decoded: how many pictures were.
        damaged: how many packets could not be.
    """

    basis: str
    packets: tuple[Packet, ...]
    decoded: int
    damaged: int


def pass_gate(sample: Sample, gate: PacketGate) -> Gated:
    """Take a sample through a gate as a camera's stream goes through it."""
    noting = _Noting(gate)
    decoding = Decoding(sample.stream, noting)
    decoded = sum(frame is not None for frame in decoding.frames(sample.packets))
    return Gated(basis=decoding.basis, packets=tuple(noting.seen), decoded=decoded, damaged=decoding.damaged)


@dataclass(slots=True)
class _Noting:
    """A packet gate whose packets can be looked at afterwards."""

    gate: PacketGate
    seen: list[Packet] = field(default_factory=list)

    @property
    def asleep(self) -> bool:
        return self.gate.asleep

    @property
    def motion_since_s(self) -> float:
        return self.gate.motion_since_s

    @property
    def basis(self) -> str:
        return self.gate.basis

    @property
    def buffer_bytes(self) -> int:
        return self.gate.buffer_bytes

    def observe(self, packet: Packet, /) -> Verdict:
        self.seen.append(packet)
        return self.gate.observe(packet)

    def compare(self, frame: Frame, /) -> bool:
        return self.gate.compare(frame)
