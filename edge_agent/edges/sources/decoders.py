"""What a stream can be decoded with: software, and each kind of hardware that PyAV was built for."""

from __future__ import annotations

import functools
import importlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

import av
import numpy as np

from edge_agent.edges.sources.planes import view_planes
from edge_agent.edges.sources.source import Planes

SOFTWARE = "software"
"""The decoder that is always there."""

_NEEDS_NO_DEVICE = ("v4l2m2m", "rkmpp")
"""Hardware that FFmpeg reaches by a decoder of its own, `h264_v4l2m2m`, instead of a device: a Raspberry Pi's H.264,
a Rockchip's."""

FAILURES = (av.FFmpegError, OSError, ValueError, RuntimeError)
"""What PyAV raises where a driver, a device or a codec is missing; NotImplementedError is a RuntimeError."""

_IN_GROUP_RENDER = "let the agent's user into the group render"
NEEDS = {
    "vaapi": f"sudo apt install -y va-driver-all, and {_IN_GROUP_RENDER}",
    "qsv": f"sudo apt install -y libmfx-gen1.2 intel-media-va-driver, and {_IN_GROUP_RENDER}",
    "cuda": "install NVIDIA's driver with its libnvcuvid",
    "drm": "let the agent's user into the groups render and video",
    "v4l2m2m": "let the agent's user into the group video",
}
"""What hardware wants of the system, where that can be said in a line."""

LEAST_SHARE = 0.9
"""Of the pictures that software gives: a decoder that loses more does not work."""

VideoPacket: TypeAlias = "av.Packet[av.VideoStream]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Coded:
    """How a stream is coded.

    Attributes:
        codec: as FFmpeg calls it.
        profile: of the codec; None where the stream does not say.
        width: in pixels.
        height: in pixels.
        parameters: what stands before the first picture, for the decoder to know.
        time_base: what its packets' times count in, in seconds.
    """

    codec: str
    profile: str | None
    width: int
    height: int
    parameters: bytes | None
    time_base: Fraction

    @staticmethod
    def of(stream: av.VideoStream) -> Coded:
        """Ask a stream."""
        context = stream.codec_context
        return Coded(
            codec=context.name,
            profile=context.profile,
            width=context.width,
            height=context.height,
            parameters=context.extradata,
            time_base=stream.time_base or Fraction(1, av.time_base),
        )

    @property
    def looks(self) -> tuple[str, str | None, int, int]:
        """What has to stay for a decoder's cost to stay: codec, profile, width and height."""
        return self.codec, self.profile, self.width, self.height


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way to decode a codec.

    Attributes:
        name: `software`, or what FFmpeg calls the hardware.
        make: gives a decoder that is not open yet, or raises one of `FAILURES`.
        rewinds: it can forget what it was in the middle of without being made anew.
    """

    name: str
    make: Callable[[], av.VideoCodecContext]
    rewinds: bool = False


def software(codec: str) -> Way:
    """The way that is always there."""
    return Way(name=SOFTWARE, make=lambda: av.CodecContext.create(codec, "r"))


def hardware(codec: str) -> Iterator[Way]:
    """Each kind of hardware that PyAV was built for, whether it is here or not."""
    for device in devices():
        yield Way(name=device, make=functools.partial(on_device, device, codec), rewinds=True)
    for kind in _NEEDS_NO_DEVICE:
        if (name := f"{codec}_{kind}") in av.codecs_available:
            yield Way(name=kind, make=functools.partial(av.CodecContext.create, name, "r"))


def usable(codec: str) -> tuple[Way, ...]:
    """The hardware that can be opened for a codec; tried once, then remembered for as long as the process lives."""
    with _TRYING:
        return _usable(codec)


_TRYING = threading.Lock()  # some hardware lets itself be opened once only


@functools.cache
def _usable(codec: str) -> tuple[Way, ...]:
    return tuple(way for way in hardware(codec) if not why_not(way))


def why_not(way: Way) -> str:
    """Why it cannot be opened, in a few words; nothing where it can."""
    try:
        way.make().open()
    except FAILURES as error:
        return said(error)
    return ""


def opened(way: Way, coded: Coded) -> av.VideoCodecContext:
    """A decoder that is ready; one thread, for cameras run side by side, and threads add delay.

    Raises:
        FAILURES: the driver, the device or the codec is missing.
    """
    decoder = way.make()
    decoder.thread_count = 1
    if coded.parameters:
        decoder.extradata = coded.parameters
    decoder.options = {"pkt_timebase": str(coded.time_base)}  # for those that count times their own way, as V4L2's
    decoder.open()
    return decoder


def said(error: Exception) -> str:
    """The reason in a few words."""
    if isinstance(error, NotImplementedError) and not isinstance(error, av.FFmpegError):
        return "it does not know this codec"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


@dataclass(frozen=True, slots=True, kw_only=True)
class Took:
    """What came of one packet, and what that took.

    Attributes:
        pictures: what the decoder gave.
        planes: of each picture.
        cpu_s: processor time, until each picture's luma lay in memory and was read once.
        error: why the packet could not be decoded.
    """

    pictures: list[av.VideoFrame]
    planes: list[Planes]
    cpu_s: float
    error: Exception | None


def measured(
    decoder: av.VideoCodecContext, packet: VideoPacket | None, clock: Callable[[], float] = time.thread_time
) -> Took:
    """Decode a packet and look at the clock.

    The pictures are read because that is where the memory of some hardware costs most: no cache stands before it.
    """
    pictures: list[av.VideoFrame] = []
    planes: list[Planes] = []
    error: Exception | None = None
    began_s = clock()
    try:
        pictures = decoder.decode(packet)
        planes = [view_planes(picture) for picture in pictures]
        for plane in planes:
            np.max(plane.luma)
    except FAILURES as caught:
        error = caught
    return Took(pictures=pictures, planes=planes, cpu_s=clock() - began_s, error=error)


def devices() -> list[str]:
    """What FFmpeg calls the devices that PyAV was built for."""
    try:
        return importlib.import_module("av.codec.hwaccel").hwdevices_available()
    except (ImportError, AttributeError, ValueError):  # a PyAV without it, or an FFmpeg that is newer than PyAV knows
        return []


def on_device(device: str, codec: str) -> av.VideoCodecContext:
    """FFmpeg's own decoder on a device, or its maker's, such as `h264_qsv`, where the own one does not know it.

    Whatever hinders PyAV, it may decode in software without a word: where a device knows no such codec, or where its
    driver is missing and FFmpeg says "not implemented". So it is asked what it does, and the device why.
    """
    name = next((name for name in (codec, f"{codec}_{device}") if _is_for(name, device)), codec)
    accelerator = functools.partial(
        importlib.import_module("av.codec.hwaccel").HWAccel, device_type=device, allow_software_fallback=False
    )
    decoder = av.CodecContext.create(name, "r", hwaccel=accelerator())
    if not decoder.is_hwaccel:
        accelerator().create(av.Codec(name, "r"))
        raise NotImplementedError(name)
    return decoder


def _is_for(name: str, device: str) -> bool:
    """Whether there is a decoder of that name which can be put on a device."""
    if name not in av.codecs_available:
        return False
    try:
        configs = av.Codec(name, "r").hardware_configs
    except ValueError:  # it is an encoder
        return False
    return any(config.is_supported and config.device_type.name == device for config in configs)
