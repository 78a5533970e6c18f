"""Raw frames that another program writes into a named pipe: the way in for whatever camera nothing else here reads."""

from __future__ import annotations

import fcntl
import math
import os
import select
import stat
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager, suppress

import av
import numpy as np

from edge_agent.edges.sources.planes import view_planes
from edge_agent.edges.sources.source import ALL_PICTURES, Opening, Planes
from edge_agent.errors import SourceError
from edge_agent.records import ByteArray, Frame

_LOOK_UP_MS = 100
"""How long to wait for bytes at a time, so that `stop` and a stall are noticed."""

_PIPE_BYTES = 2**20
"""What to ask the kernel to hold between two reads: as much as it gives anybody, so that few reads make a frame."""

_SHAPES: Mapping[str, Callable[[int, int], tuple[int, ...]]] = {
    "yuv420p": lambda width, height: (height * 3 // 2, width),
    "nv12": lambda width, height: (height * 3 // 2, width),
    "yuyv422": lambda width, height: (height, width, 2),
    "gray": lambda width, height: (height, width),
    "bgr24": lambda width, height: (height, width, 3),
    "rgb24": lambda width, height: (height, width, 3),
}
"""How the bytes of a frame lie, by FFmpeg's name of the format."""


class Pipe:
    """A named pipe: frame after frame without anything between them, each stamped when its last byte came.

    A frame is read straight into the array that it stays in. `yuv420p` is looked at there; every other format is
    converted. Where a frame begins only the writer knows: it must end when its reader goes (as it does by SIGPIPE) and
    begin with a whole frame when it comes back. Standard input is not read: a service has none, and it could not be
    opened again.
    """

    live = True
    asleep = False
    basis = ALL_PICTURES
    delay_s = None
    damaged = 0  # whatever the bytes are, they are a picture

    def __init__(self, opening: Opening) -> None:
        self._opening = opening

    def frames(self) -> Generator[Frame, None, None]:
        """Give frames until the writer closes the pipe, which is a camera's failure."""
        asked = self._opening.picture
        name = "yuv420p" if asked.format == "auto" else asked.format
        if asked.size is None or name not in _SHAPES:
            wanted = "`picture.size`" if asked.size is None else f"`picture.format` to be one of {', '.join(_SHAPES)}"
            raise SourceError(f"{self._opening.name} needs {wanted}")
        shape = _SHAPES[name](*asked.size)
        with self._opened() as pipe:
            seq = 0
            while (picture := self._read(pipe, math.prod(shape), seq)) is not None:
                yield self._opening.arrived(_planes(picture.reshape(shape), name), seq)
                seq += 1

    @contextmanager
    def _opened(self) -> Iterator[int]:
        path = self._opening.path
        try:
            pipe = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # else this would hang until somebody writes
        except OSError as error:
            hint = f"; make one with `mkfifo {path}`" if isinstance(error, FileNotFoundError) else ""
            raise SourceError(f"{self._opening.name} cannot be opened: {error.strerror}{hint}") from error
        try:
            if not stat.S_ISFIFO(os.fstat(pipe).st_mode):
                raise SourceError(f"{self._opening.name} is no named pipe; make one with `mkfifo`")
            with suppress(OSError):  # its own size does, too
                fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
            yield pipe
        finally:
            os.close(pipe)

    def _read(self, pipe: int, size_bytes: int, seq: int) -> ByteArray | None:
        """Read one frame, (size_bytes,) uint8; None when told to stop."""
        clock, stop, stall_s = self._opening.clock, self._opening.stop, self._opening.stall_s
        picture = np.empty(size_bytes, np.uint8)
        rest: memoryview = picture.data
        events = select.poll()
        events.register(pipe, select.POLLIN)  # and that the last writer closed it, which is always told
        heard_s = clock.monotonic_s()
        while rest:
            if stop.is_set():
                return None
            if events.poll(_LOOK_UP_MS):
                read_bytes = os.readv(pipe, [rest])
                if not read_bytes:
                    raise SourceError(self._ended(seq, len(rest), size_bytes))
                rest, heard_s = rest[read_bytes:], clock.monotonic_s()
            elif clock.monotonic_s() - heard_s > stall_s:
                raise SourceError(f"{self._opening.name}: nobody wrote into it for {stall_s:g} s, after {seq} frames")
        return picture

    def _ended(self, seq: int, missing_bytes: int, size_bytes: int) -> str:
        ended = f"{self._opening.name}: the writer closed it after {seq} frames"
        if missing_bytes == size_bytes:
            return ended
        return f"{ended} and within one: {missing_bytes} of {size_bytes} bytes are missing; is `picture.size` right?"


def _planes(picture: ByteArray, name: str) -> Planes:
    if name != "yuv420p":
        return view_planes(av.VideoFrame.from_ndarray(picture, format=name))
    picture.flags.writeable = False
    height, width = picture.shape[0] * 2 // 3, picture.shape[1]
    chroma = picture[height:].reshape(2, height // 2, width // 2)
    return Planes(picture[:height], chroma[0], chroma[1])
