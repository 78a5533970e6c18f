"""Cameras on USB, and others that the kernel shows as /dev/videoN, read by FFmpeg through PyAV.

FFmpeg and not OpenCV, because its decoder gives planes at once, where OpenCV makes BGR that would have to be turned
back (2.0 ms of CPU against 2.3 for 1280x720 in MJPEG, on an x86 core); because it tells of pictures that cannot be
decoded, and need not wait for one; and because PyAV is there anyway.
"""

from __future__ import annotations

import errno
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager

import av

from edge_agent.edges.sources.planes import view_planes
from edge_agent.edges.sources.source import ALL_PICTURES, Opening
from edge_agent.edges.sources.v4l2_controls import set_controls
from edge_agent.edges.sources.v4l2_devices import DEVICES, TITLES, names
from edge_agent.errors import SourceError
from edge_agent.records import Frame

_DEVICES, _TITLES = DEVICES, TITLES

_AT_ONCE = "+4"
"""FFmpeg's AVFMT_FLAG_NONBLOCK, which has no name among its options: a read that waits hears neither `stop` nor a
stall."""

_LOOK_AGAIN_S = 0.005
"""How long to wait for the next picture at a time; more would be delay."""

_MEANINGS = {
    errno.EACCES: "no permission (is the user in the group `video`?)",
    errno.EBUSY: "in use by another program",
    errno.EINVAL: "`picture` asks for what it cannot do; `v4l2-ctl --list-formats-ext -d {path}` shows what it can",
    errno.ENODEV: "it is unplugged",
    errno.ENOENT: "no such device; {there}",
    errno.ENOTTY: "it is no camera",
    errno.ENXIO: "it is unplugged",
}
"""What the kernel's errors mean to whoever set up the camera."""


class Device:
    """A camera of this machine: every frame, stamped on arrival."""

    live = True
    asleep = False
    basis = ALL_PICTURES
    delay_s = None

    def __init__(self, opening: Opening) -> None:
        self._opening = opening
        self.damaged = 0

    def frames(self) -> Generator[Frame, None, None]:
        """Give frames until the camera fails or is unplugged."""
        seq = 0
        try:
            with self._opened() as container:
                for picture in self._pictures(container):
                    yield self._opening.arrived(view_planes(picture), seq)
                    seq += 1
        except (av.FFmpegError, OSError) as error:
            raise SourceError(self._complaint(error, seq)) from None
        if not self._opening.stop.is_set():
            raise SourceError(f"{self._opening.name} ended after {seq} frames; is it unplugged?")

    @contextmanager
    def _opened(self) -> Iterator[av.container.InputContainer]:
        opening, picture = self._opening, self._opening.picture
        options = {"fflags": _AT_ONCE, "fpsprobesize": "0"}
        if picture.size is not None:
            options["video_size"] = "{}x{}".format(*picture.size)
        if picture.rate_hz is not None:
            options["framerate"] = f"{picture.rate_hz:g}"
        if picture.format != "auto":
            options["input_format"] = picture.format
        set_controls(opening.path, picture.controls, opening.name)
        with closing(av.open(opening.path, format="v4l2", options=options, timeout=opening.stall_s)) as container:
            yield container

    def _pictures(self, container: av.container.InputContainer) -> Iterator[av.VideoFrame]:
        opening = self._opening
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        alive_s = opening.clock.monotonic_s()
        while not opening.stop.is_set():
            try:
                packet = next(container.demux(stream), None)
            except BlockingIOError:  # no picture is there yet
                if opening.clock.monotonic_s() - alive_s > opening.stall_s:
                    raise SourceError(f"{opening.name}: no frame for {opening.stall_s:g} s") from None
                opening.clock.wait(opening.stop, _LOOK_AGAIN_S)
                continue
            if packet is None:
                return
            pictures = _decoded(packet)
            self.damaged += pictures is None
            if pictures:
                yield from pictures
                alive_s = opening.clock.monotonic_s()

    def _complaint(self, error: OSError | av.FFmpegError, frames: int) -> str:
        failed = f"broke off after {frames} frames" if frames else "cannot be opened"
        meaning = _MEANINGS.get(error.errno or 0, error.strerror or type(error).__name__)
        return f"{self._opening.name} {failed}: {meaning.format(path=self._opening.path, there=_cameras_there())}"


def _decoded(packet: av.Packet[av.VideoStream]) -> list[av.VideoFrame] | None:
    """Decode one packet; None when it is damaged, or empty, which a decoder would take for the end."""
    try:
        return packet.decode() if packet.size else None
    except av.FFmpegError:
        return None


def _cameras_there() -> str:
    """Name every camera that the kernel shows, by the name that stays when others are plugged in, where it has one."""
    found = [f"{path}{f' ({title})' if title else ''}" for _, path, title in names(_DEVICES, _TITLES)]
    return f"there is {', '.join(found)}" if found else "there is no camera at all"
