"""Whatever a GStreamer pipeline can read: a Jetson's hardware decoder, SRT, a vendor's own camera element.

Through GStreamer's own binding (gi) where it can be imported, which Debian installs beside the system's Python; else
through OpenCV where it was built with GStreamer, as on a Jetson. No wheel of either kind brings GStreamer.
"""

from __future__ import annotations

import ctypes
import importlib
import re
from collections.abc import Generator
from contextlib import closing, suppress
from types import ModuleType
from typing import Any, Protocol

import numpy as np

from edge_agent import runtimes
from edge_agent.edges.sources.source import ALL_PICTURES, Opening, Planes
from edge_agent.errors import RuntimeMissingError, SourceError
from edge_agent.records import ByteArray, Frame

_NAMESPACES = {"Gst": "1.0", "GstApp": "1.0", "GstVideo": "1.0", "GLib": "2.0"}
"""What of GStreamer is used, in the versions that the code is for."""

_LOOK_UP_S = 0.2
"""How long to wait for a picture at a time, so that `stop` and a stall are noticed."""

_SINK = "edge_agent"
_END = f" ! videoconvert ! video/x-raw,format=I420 ! appsink name={_SINK} max-buffers=1 drop=true sync=false"
"""What every pipeline ends with: 4:2:0 planes, the newest picture only, as soon as it is there."""


class Pipeline:
    """A pipeline in the words of `gst-launch-1.0`, without a sink at its end: every picture, stamped on arrival.

    A pipeline that ends has failed, as a camera has: play clips as `file://`.
    """

    live = True
    asleep = False
    basis = ALL_PICTURES
    delay_s = None
    damaged = 0  # the decoders in the pipeline leave out what they cannot decode, and do not tell

    def __init__(self, opening: Opening) -> None:
        self._opening = opening

    def frames(self) -> Generator[Frame, None, None]:
        """Give pictures until the pipeline fails or ends."""
        clock, stop, stall_s = self._opening.clock, self._opening.stop, self._opening.stall_s
        seq = 0
        with closing(_player(self._opening)) as player:
            alive_s = clock.monotonic_s()
            while not stop.is_set():
                planes = player.next_planes(seq)
                if planes is not None:
                    yield self._opening.arrived(planes, seq)
                    seq, alive_s = seq + 1, clock.monotonic_s()
                elif clock.monotonic_s() - alive_s > stall_s:
                    raise SourceError(f"{self._opening.name}: no frame for {stall_s:g} s, after {seq} frames")


class _Player(Protocol):
    """What plays a pipeline."""

    def next_planes(self, seq: int) -> Planes | None:
        """Wait a little for the next picture; None when none came. `seq` came before it."""
        ...

    def close(self) -> None:
        """Stop it."""
        ...


def binding() -> str:
    """By what pipelines are played here: GStreamer's own binding or OpenCV.

    Raises:
        RuntimeMissingError: by nothing; the message holds the install line.
    """
    try:
        _require_binding()
    except (RuntimeMissingError, ValueError) as error:
        if _opencv_with_gstreamer() is None:
            raise RuntimeMissingError(f"{error.__cause__ or error}; {runtimes.INSTALL['gi']}") from error
        return "OpenCV"
    return "python3-gi"


def _require_binding() -> None:
    gi = runtimes.load("gi")
    for name, version in _NAMESPACES.items():
        gi.require_version(name, version)


def _player(opening: Opening) -> _Player:
    try:
        _require_binding()
    except (RuntimeMissingError, ValueError) as error:  # ValueError: gi is there, its description of GStreamer is not
        player = _by_opencv(opening)
        if player is None:
            raise RuntimeMissingError(
                f"{opening.name} needs GStreamer's Python binding, which is not here ({error.__cause__ or error}), or "
                f"an OpenCV that was built with GStreamer; {runtimes.INSTALL['gi']}"
            ) from error
        return player
    _share_unwinder()
    return _Native(opening)


def _share_unwinder() -> None:
    """Let all that is written in C++ unwind its exceptions by one library.

    Debian's GStreamer brings libunwind, and PyAV's wheel has GCC's already loaded: an exception that begins in one and
    goes on in the other ends the process. Closing `srtsrc` on Debian 12 throws one.
    """
    with suppress(OSError):  # where there is none, nothing can be mixed up
        ctypes.CDLL("libgcc_s.so.1", mode=ctypes.RTLD_GLOBAL)


class _Native:
    """GStreamer by its own binding."""

    def __init__(self, opening: Opening) -> None:
        self._opening = opening
        # The second of them is not used by name: it gives the sink its methods.
        self._gst, _, self._video, glib = (importlib.import_module(f"gi.repository.{name}") for name in _NAMESPACES)
        self._gst.init(None)
        try:
            self._pipeline = self._gst.parse_launch(_text(opening) + _END)
        except glib.Error as error:
            raise SourceError(f"{opening.name} cannot be built: {_said(error.message, opening)}") from None
        self._sink = self._pipeline.get_by_name(_SINK)
        self._pipeline.set_state(self._gst.State.PLAYING)  # a failure is told by the bus

    def next_planes(self, seq: int) -> Planes | None:
        sample = self._sink.try_pull_sample(round(_LOOK_UP_S * self._gst.SECOND))
        if sample is None:
            self._raise_failure(seq)
            return None
        buffer, form = sample.get_buffer(), self._video.VideoInfo.new_from_caps(sample.get_caps())
        lies = self._video.buffer_get_video_meta(buffer) or form  # some elements lay planes out as they like
        full_range = form.colorimetry.range == self._video.VideoColorRange(1)
        _, mapped = buffer.map(self._gst.MapFlags.READ)
        data = bytes(mapped.data)  # the one copy: the buffer goes back to the element that made it
        buffer.unmap(mapped)
        half = (form.height + 1) // 2, (form.width + 1) // 2
        shapes = ((form.height, form.width), half, half)
        luma, chroma_blue, chroma_red = (
            _view(data, shape, offset, stride)
            for shape, offset, stride in zip(shapes, lies.offset, lies.stride, strict=False)
        )
        return Planes(luma, chroma_blue, chroma_red, full_range)

    def _raise_failure(self, seq: int) -> None:
        message = self._pipeline.get_bus().pop_filtered(self._gst.MessageType.ERROR)
        if message is not None:
            error, _ = message.parse_error()  # what comes beside it may hold the address
            failed = f"broke off after {seq} frames" if seq else "cannot be opened"
            element = message.src.get_factory().get_name() if message.src else "pipeline"
            raise SourceError(f"{self._opening.name} {failed}: {element}: {_said(error.message, self._opening)}")
        if self._sink.is_eos():
            raise SourceError(f"{self._opening.name} ended after {seq} frames")

    def close(self) -> None:
        self._pipeline.set_state(self._gst.State.NULL)


def _view(data: bytes, shape: tuple[int, int], offset: int, stride: int) -> ByteArray:
    return np.ndarray(shape, np.uint8, data, offset, (stride, 1))


def _by_opencv(opening: Opening) -> _Player | None:
    """Play by OpenCV; None where it is absent or was built without GStreamer."""
    cv2 = _opencv_with_gstreamer()
    return None if cv2 is None else _ByOpenCv(opening, cv2)


def _opencv_with_gstreamer() -> ModuleType | None:
    try:
        cv2 = runtimes.load("cv2")
    except RuntimeMissingError:
        return None
    return cv2 if re.search(r"GStreamer:\s*YES", cv2.getBuildInformation()) else None


class _ByOpenCv:
    """GStreamer by an OpenCV that was built with it.

    Args:
        opening: what to play.
        cv2: OpenCV.
    """

    def __init__(self, opening: Opening, cv2: Any) -> None:
        self._opening = opening
        patience_ms = round(opening.stall_s * 1000)
        limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, patience_ms, cv2.CAP_PROP_READ_TIMEOUT_MSEC, patience_ms]
        self._capture = cv2.VideoCapture(_text(opening) + _END, cv2.CAP_GSTREAMER, limits)
        if not self._capture.isOpened():
            self._capture.release()
            raise SourceError(f"{opening.name} cannot be opened; `gst-launch-1.0` with it, and fakesink, says why")

    def next_planes(self, seq: int) -> Planes | None:
        there, picture = self._capture.read()
        if not there:
            raise SourceError(f"{self._opening.name} gave no picture any more after {seq} frames")
        if picture.ndim > 2 or picture.shape[1] % 2 or picture.shape[0] % 3:  # noqa: PLR2004
            raise SourceError(f"{self._opening.name}: OpenCV takes pictures of even width and height only")
        picture.flags.writeable = False
        height, width = picture.shape[0] * 2 // 3, picture.shape[1]
        chroma = picture[height:].reshape(2, height // 2, width // 2)
        return Planes(picture[:height], chroma[0], chroma[1])

    def close(self) -> None:
        self._capture.release()


def _text(opening: Opening) -> str:
    """The pipeline itself; the quotes that an address may have around it belong to nobody."""
    text = opening.url.partition(":")[2].removeprefix("//").strip()
    return text[1:-1] if text[:1] == text[-1:] == '"' else text


def _said(message: str, opening: Opening) -> str:
    """What GStreamer says, on one line, without any value that stands in the pipeline: one may be a password."""
    values = re.findall(r'=\s*("[^"]*"|\S+)', _text(opening))
    for value in sorted({value.strip('"') for value in values} - {""}, key=len, reverse=True):
        message = message.replace(value, "…")
    return re.sub(r"\w+://\S+", "…", " ".join(message.split()))
