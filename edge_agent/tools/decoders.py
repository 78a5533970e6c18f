"""What decoding costs: the same packets through every decoder that this machine may have, one after the other."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import av

from edge_agent.edges.sources import decoders
from edge_agent.edges.sources.decoders import FAILURES, LEAST_SHARE, Coded, VideoPacket, Way, measured, opened, said

_MOST_PICTURES = 250
_MOST_CPU_S = 5.0
"""What is measured of a long or costly stretch: enough for a mean, and not for ever on a small board."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DecoderCost:
    """What one decoder takes of the CPU.

    Attributes:
        name: `software`, or what FFmpeg calls the hardware.
        cpu_ms: a frame, in this process; None when it does not work here.
        why: it does not.
    """

    name: str
    cpu_ms: float | None
    why: str = ""


def measure_decoders(stream: av.VideoStream, packets: Sequence[VideoPacket]) -> tuple[DecoderCost, ...]:
    """Measure software, then each kind of hardware that PyAV was built with.

    Pictures that hardware has decoded are counted with their way back into memory, where the stages read them.

    Args:
        stream: what the packets come from.
        packets: in the order of decoding; what comes before the first key picture is left out.
    """
    coded = Coded.of(stream)
    first = next((place for place, packet in enumerate(packets) if packet.is_keyframe), 0)
    stretch = packets[first : first + _MOST_PICTURES]
    software, pictures = _measure(decoders.software(coded.codec), coded, stretch)
    costs = [software]
    for way in decoders.hardware(coded.codec):
        cost, found = _measure(way, coded, stretch)
        lost = cost.cpu_ms is not None and found < LEAST_SHARE * pictures
        why = f"gave {found} of {pictures} pictures"
        costs.append(DecoderCost(name=way.name, cpu_ms=None, why=why) if lost else cost)
    return tuple(costs)


def cheapest(costs: Sequence[DecoderCost]) -> DecoderCost | None:
    """The decoder that takes least of the CPU; None when none works."""
    working = [cost for cost in costs if cost.cpu_ms is not None]
    return min(working, key=lambda cost: cost.cpu_ms or 0.0, default=None)


def hardware_here(codec: str) -> dict[str, str]:
    """Each kind of hardware that PyAV was built with, and why it cannot be opened for a codec; "" where it can."""
    return {way.name: decoders.why_not(way) for way in decoders.hardware(codec)}


def _measure(way: Way, coded: Coded, packets: Sequence[VideoPacket]) -> tuple[DecoderCost, int]:
    """What one decoder costs, and how many pictures it gave."""
    try:
        decoder = opened(way, coded)
    except FAILURES as error:
        return DecoderCost(name=way.name, cpu_ms=None, why=said(error)), 0
    spent_s, pictures = 0.0, 0
    for packet in (*packets, None):
        took = measured(decoder, packet, time.process_time)
        if took.error is not None and not isinstance(took.error, av.error.InvalidDataError):  # damaged: the rest counts
            return DecoderCost(name=way.name, cpu_ms=None, why=said(took.error)), 0
        spent_s += took.cpu_s
        pictures += len(took.pictures)
        if spent_s > _MOST_CPU_S:
            break
    if not pictures:
        return DecoderCost(name=way.name, cpu_ms=None, why="gave no picture"), 0
    return DecoderCost(name=way.name, cpu_ms=spent_s / pictures * 1000), pictures
