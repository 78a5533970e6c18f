"""A camera looked at for some seconds: how its stream is built, what it costs, and whether it need be decoded."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from edge_agent.edges.clock import SystemClock
from edge_agent.edges.sources import sampling
from edge_agent.edges.sources.picture import PictureSettings
from edge_agent.edges.sources.sampling import Gated, Sample, pass_gate, sampled
from edge_agent.edges.sources.source import Opening
from edge_agent.edges.sources.supervised import CaptureSettings
from edge_agent.records import Packet
from edge_agent.stages.gate.packets import PacketGate
from edge_agent.stages.gate.settings import GateSettings
from edge_agent.tools.decoders import DecoderCost, cheapest, measure_decoders

SCHEMES = sampling.SCHEMES
"""What an address begins with that can be probed."""

RATE_HZ = 5.0
"""How often the detector looks while something moves, by default."""

_PATIENCE = CaptureSettings()


@dataclass(frozen=True, slots=True, kw_only=True)
class Probed:
    """What a look at a stream found.

    Attributes:
        source: its address as it may be shown.
        live: whether it is a camera; a clip is a recording.
        transport: what carried it.
        codec: as FFmpeg calls it.
        profile: of the codec; None when the stream does not say.
        pixel_format: as FFmpeg calls it.
        width: in pixels.
        height: in pixels.
        seconds: of how long a time they are the pictures.
        pictures: how many came.
        decoded: how many of them were, with the packet gate in front.
        damaged: how many packets could not be.
        rate_hz: pictures a second, counted.
        said_rate_hz: what the stream says of it; None when it does not.
        kbit_a_second: what it takes of the network.
        filler: whether it is padded to a constant bit rate.
        key_pictures: how many came from which decoding can begin.
        key_distance_s: the least and the longest time between two of them; None when fewer than two came.
        refresh_points: how many others are marked as if it could, as intra refresh makes them.
        bidirectional: whether some pictures are shown before ones that came earlier: B-frames.
        decoders: what each costs.
        basis: what the packet gate goes by, or why it cannot leave anything undecoded.
    """

    source: str
    live: bool
    transport: str
    codec: str
    profile: str | None
    pixel_format: str | None
    width: int
    height: int
    seconds: float
    pictures: int
    decoded: int
    damaged: int
    rate_hz: float
    said_rate_hz: float | None
    kbit_a_second: float
    filler: bool
    key_pictures: int
    key_distance_s: tuple[float, float] | None
    refresh_points: int
    bidirectional: bool
    decoders: tuple[DecoderCost, ...]
    basis: str

    @property
    def cheapest(self) -> DecoderCost | None:
        """The decoder that takes least of the CPU."""
        return cheapest(self.decoders)


def can_probe(url: str) -> bool:
    """Whether an address is one of a stream or clip, whose packets can be read before they are decoded."""
    return url.partition("://")[0] in SCHEMES and "://" in url


def probe(url: str, seconds: float, capture: CaptureSettings = _PATIENCE) -> Probed:
    """Read some seconds of a camera or clip, decode them in every way there is, and take them through a packet gate.

    Args:
        url: an address for which `can_probe` holds.
        seconds: how long to read.
        capture: how patiently to treat it.

    Raises:
        SourceError: it cannot be opened, or breaks off; one line without a password.
    """
    opening = Opening(
        url=url,
        transport=capture.transport,
        stall_s=capture.stall_s,
        clock=SystemClock(),
        stop=threading.Event(),
        picture=PictureSettings(),
    )
    with sampled(opening, seconds) as sample:
        packets = [packet for packet, _ in sample.packets]
        decoders = measure_decoders(sample.stream, packets)
        gated = pass_gate(sample, PacketGate(GateSettings(), RATE_HZ))
        return _put_together(opening, sample, gated, decoders)


def _put_together(opening: Opening, sample: Sample, gated: Gated, decoders: tuple[DecoderCost, ...]) -> Probed:
    stream, coder = sample.stream, sample.stream.codec_context
    facts = gated.packets or _facts(sample)
    rate_hz = sample.rate_hz
    marked = sum(packet.is_keyframe for packet, _ in sample.packets)
    keys = sum(packet.is_key for packet in facts)
    return Probed(
        source=opening.name,
        live=not opening.url.startswith("file://"),
        transport=_transport(opening),
        codec=coder.name,
        profile=coder.profile,
        pixel_format=coder.pix_fmt,
        width=coder.width,
        height=coder.height,
        seconds=len(facts) / rate_hz,
        pictures=len(facts),
        decoded=gated.decoded,
        damaged=gated.damaged,
        rate_hz=rate_hz,
        said_rate_hz=float(stream.average_rate) if stream.average_rate else None,
        kbit_a_second=sum(packet.wire_bytes for packet in facts) * rate_hz / len(facts) * 8 / 1000,
        filler=any(packet.wire_bytes > packet.size_bytes for packet in facts),
        key_pictures=keys,
        key_distance_s=_key_distance_s(facts, sample.shown_s),
        refresh_points=marked - keys,
        bidirectional=any(packet.is_bidirectional for packet in facts),
        decoders=decoders,
        basis=gated.basis,
    )


def _facts(sample: Sample) -> tuple[Packet, ...]:
    """What a gate would be told, of a codec that it is not for."""
    return tuple(
        Packet(at_s=stamp.at_s, size_bytes=packet.size, wire_bytes=packet.size, is_key=packet.is_keyframe)
        for packet, stamp in sample.packets
    )


def _key_distance_s(packets: Sequence[Packet], shown_s: Sequence[float]) -> tuple[float, float] | None:
    keys_s = [at_s for packet, at_s in zip(packets, shown_s, strict=True) if packet.is_key]
    distances_s = [later_s - at_s for at_s, later_s in pairwise(keys_s)]
    return (min(distances_s), max(distances_s)) if distances_s else None


def _transport(opening: Opening) -> str:
    scheme = opening.url.partition("://")[0]
    if scheme == "rtsp":
        return f"RTSP over {opening.transport.upper()}"
    return {"rtsps": "RTSP over TLS", "file": "a file"}.get(scheme, scheme.upper())
