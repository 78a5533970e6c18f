"""What decoding costs: the same packets through every decoder that this machine may have, one after the other."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import av

SOFTWARE = "software"
"""The decoder that is always there."""

_NEEDS_NO_DEVICE = ("v4l2m2m", "rkmpp")
"""Hardware that FFmpeg reaches by a decoder of its own, `h264_v4l2m2m`, instead of a device: a Raspberry Pi's H.264,
a Rockchip's."""

_MOST_PICTURES = 250
_MOST_CPU_S = 5.0
"""What is measured of a long or costly stretch: enough for a mean, and not for ever on a small board."""

_LEAST_SHARE = 0.9  # of the pictures that software gives: a decoder that loses more does not work


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


def measure_decoders(like: Any, packets: Sequence[Any]) -> tuple[DecoderCost, ...]:
    """Measure software, then each kind of hardware that PyAV was built with.

    Pictures that hardware has decoded are counted with their way back into memory, where the stages read them.

    Args:
        like: the codec context of the stream.
        packets: of that stream, in the order of decoding; what comes before the first key picture is left out.
    """
    first = next((place for place, packet in enumerate(packets) if packet.is_keyframe), 0)
    stretch = packets[first : first + _MOST_PICTURES]
    software, pictures = _measure(SOFTWARE, partial(av.CodecContext.create, like.codec.name, "r"), like, stretch)
    costs = [software]
    for name, make in _hardware(like.name):
        cost, found = _measure(name, make, like, stretch)
        lost = cost.cpu_ms is not None and found < _LEAST_SHARE * pictures
        costs.append(DecoderCost(name=name, cpu_ms=None, why=f"gave {found} of {pictures} pictures") if lost else cost)
    return tuple(costs)


def cheapest(costs: Sequence[DecoderCost]) -> DecoderCost | None:
    """The decoder that takes least of the CPU; None when none works."""
    working = [cost for cost in costs if cost.cpu_ms is not None]
    return min(working, key=lambda cost: cost.cpu_ms or 0.0, default=None)


def hardware_here(codec: str) -> dict[str, str]:
    """Each kind of hardware that PyAV was built with, and why it cannot be opened for a codec; "" where it can."""
    return {name: _why_not(make) for name, make in _hardware(codec)}


def _hardware(codec: str) -> Iterator[tuple[str, Callable[[], Any]]]:
    """The name of each, and how its decoder is made."""
    try:
        devices = importlib.import_module("av.codec.hwaccel").hwdevices_available()
    except (ImportError, AttributeError):  # a build of PyAV may be without it
        devices = []
    for device in devices:
        yield device, partial(_on_device, device, codec)
    for kind in _NEEDS_NO_DEVICE:
        if (name := f"{codec}_{kind}") in av.codecs_available:
            yield kind, partial(av.CodecContext.create, name, "r")


def _on_device(device: str, codec: str) -> Any:
    hwaccel = importlib.import_module("av.codec.hwaccel")
    # With a way back to software, FFmpeg would take it without a word.
    wanted = partial(hwaccel.HWAccel, device_type=device, allow_software_fallback=False)
    wanted().create(av.Codec(codec, "r"))  # says why not, which a decoder keeps to itself
    return av.CodecContext.create(codec, "r", hwaccel=wanted())


def _why_not(make: Callable[[], Any]) -> str:
    try:
        make().open()
    except _FAILURES as error:
        return _said(error)
    return ""


def _measure(name: str, make: Callable[[], Any], like: Any, packets: Sequence[Any]) -> tuple[DecoderCost, int]:
    """What one decoder costs, and how many pictures it gave."""
    try:
        decoder = make()
        decoder.thread_count = 1  # as the daemon decodes
        if like.extradata:
            decoder.extradata = like.extradata
        decoder.open()
        began_s, pictures = time.process_time(), 0
        for packet in (*packets, None):
            with suppress(av.error.InvalidDataError):  # a damaged packet; the rest counts
                pictures += len(decoder.decode(packet))
            if time.process_time() - began_s > _MOST_CPU_S:
                break
        spent_s = time.process_time() - began_s
    except _FAILURES as error:
        return DecoderCost(name=name, cpu_ms=None, why=_said(error)), 0
    if not pictures:
        return DecoderCost(name=name, cpu_ms=None, why="gave no picture"), 0
    return DecoderCost(name=name, cpu_ms=spent_s / pictures * 1000), pictures


_FAILURES = (av.FFmpegError, OSError, ValueError, RuntimeError)
"""What PyAV raises where a driver, a device or a codec is missing; NotImplementedError is a RuntimeError."""


def _said(error: Exception) -> str:
    """The reason in a few words."""
    if isinstance(error, NotImplementedError):
        return "it does not know this codec"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
