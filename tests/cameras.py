"""Cameras that no machine has which runs the tests: each stands in at its library's own API, so all else is real."""

from __future__ import annotations

import errno
import itertools
import struct
import sys
import types
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from videos import HEIGHT_PX, WIDTH_PX, brightness, write_clip

PATH = "/dev/null"
"""A device that every machine has, so that it exists."""


class UsbCamera:
    """Stands in for what `av.open(…, format="v4l2")` gives: pictures of a real MJPEG clip, over and over.

    As FFmpeg does where it may not wait, it says "not yet" before each picture.
    """

    def __init__(self, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.path = PATH
        self.options: dict[str, str] = {}
        self.open_now = 0
        self.pictures = 10_000
        self.errors_on_opening: list[int] = []
        self.silent = False
        self.damage_at = -1
        self._clip = clip
        self._open = av.open
        monkeypatch.setattr(av, "open", self)

    def __call__(self, file: Any, **arguments: Any) -> Any:
        if arguments.get("format") != "v4l2":
            return self._open(file, **arguments)
        assert file == self.path
        self.options = arguments["options"]
        if self.errors_on_opening:
            av.error.err_check(-self.errors_on_opening.pop(), file)
        self.open_now += 1
        self._film = self._open(str(self._clip))
        self._packets = self._endless()
        self._ready = itertools.cycle([False, True])
        return self

    def close(self) -> None:
        self._film.close()
        self.open_now -= 1

    @property
    def streams(self) -> Any:
        return self._film.streams

    def demux(self, _: object) -> Iterator[Any]:
        if self.silent or not next(self._ready):
            raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
        yield next(self._packets)

    def _endless(self) -> Iterator[Any]:
        for index in itertools.count():
            if index >= self.pictures:
                raise OSError(errno.ENODEV, "No such device")
            yield self._packet(index)

    def _packet(self, index: int) -> Any:
        if index == self.damage_at:
            packet = av.Packet(b"no picture")
            packet.stream = self._film.streams.video[0]
            return packet
        packet = next(self._film.demux(video=0))
        if not packet.size:  # the end of the clip, where a decoder would be flushed
            self._film.seek(0)
            packet = next(self._film.demux(video=0))
        return packet


class Controls:
    """Stands in for a V4L2 camera's `ioctl`: three controls, the first of which rules over the third."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.values: dict[int, int] = {}
        self._table = [
            (0x00980001, 6, b"User Controls", 0, 0),
            (0x00980900, 1, b"Brightness", -64, 64),
            (0x009A0901, 3, b"Auto Exposure", 0, 3),
            (0x009A0902, 1, b"Exposure Time, Absolute", 1, 5000),
        ]
        monkeypatch.setattr("fcntl.ioctl", self)

    def __call__(self, _: int, request: int, data: bytearray) -> int:
        if request == 0xC0445624:  # VIDIOC_QUERYCTRL
            asked = struct.unpack_from("=I", data)[0] & 0x7FFFFFFF
            found = next((row for row in self._table if row[0] > asked), None)
            if found is None:
                raise OSError(errno.EINVAL, "Invalid argument")
            data[:] = struct.pack("=II32siiiiI8x", *found, 1, 0, 0)
        else:
            assert request == 0xC008561C  # VIDIOC_S_CTRL
            number, value = struct.unpack("=Ii", data)
            if number == 0x009A0902 and self.values.get(0x009A0901) != 1:
                raise OSError(errno.EACCES, "Permission denied")
            self.values[number] = value
        return 0


STRIDE_BYTES = 2 * WIDTH_PX
"""A ribbon camera pads its rows."""


class RibbonCamera:
    """Stands in for picamera2: its class, the camera it makes, and the job of a picture that comes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.there = [{"Model": "imx708", "Location": 2, "Rotation": 180, "Id": "/base/soc/i2c0mux", "Num": 0}]
        self.open_now = 0
        self.configuration: dict[str, Any] = {}
        self.size: tuple[int, int] | None = None  # what it does whatever is asked
        self.failure: Exception | None = None
        self.silent = False
        self.flushed = 0
        self._index = 0
        module = types.ModuleType("picamera2")
        module.Picamera2 = self  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "picamera2", module)

    def global_camera_info(self) -> list[dict[str, Any]]:
        return self.there

    def __call__(self, number: int) -> RibbonCamera:
        assert number == 0
        self.open_now += 1
        return self

    def create_video_configuration(self, **configuration: Any) -> dict[str, Any]:
        return configuration

    def configure(self, configuration: dict[str, Any]) -> None:
        self.configuration = configuration

    def camera_configuration(self) -> dict[str, Any]:
        return {"main": {**self.configuration["main"], "size": self.size or self.configuration["main"]["size"]}}

    def start(self) -> None:
        if self.failure:
            raise self.failure

    def capture_array(self, name: str, *, wait: bool) -> _Job:
        assert (name, wait) == ("main", False)
        width, height = self.camera_configuration()["main"]["size"]
        picture = np.full(
            (height * 3 // 2, 2 * width), 255, np.uint8
        )  # rows are padded; what pads them must not be seen
        picture[:height, :width] = brightness(self._index)
        chroma = picture[height:].reshape(2, height // 2, width)
        chroma[0, :, : width // 2], chroma[1, :, : width // 2] = 124, 132
        self._index += 1
        job = _Job()
        if not self.silent:
            job.set_result(picture)
        return job

    def cancel_all_and_flush(self) -> None:
        self.flushed += 1

    def close(self) -> None:
        self.open_now -= 1


class _Job(Future):  # type: ignore[type-arg]
    def get_result(self, timeout: float) -> Any:
        return self.result(timeout=timeout)


class GStreamer:
    """Stands in for `gi` and what it shows of GStreamer, which Debian has for the system's Python only."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.launched = ""
        self.open_now = 0
        self.pictures = 10_000
        self.silent = False
        self.error_on_launch = ""
        self.error_on_bus = ""
        modules = {
            "gi": types.SimpleNamespace(require_version=lambda *_: None),
            "gi.repository": types.SimpleNamespace(__path__=[]),
            "gi.repository.Gst": self,
            "gi.repository.GstApp": types.SimpleNamespace(),
            "gi.repository.GstVideo": types.SimpleNamespace(
                VideoInfo=types.SimpleNamespace(new_from_caps=lambda caps: caps),
                VideoColorRange=int,
                buffer_get_video_meta=lambda _: None,
            ),
            "gi.repository.GLib": types.SimpleNamespace(Error=_GLibError),
        }
        for name, module in modules.items():
            monkeypatch.setitem(sys.modules, name, module)

    SECOND = 10**9
    State = types.SimpleNamespace(PLAYING="playing", NULL="null")
    MapFlags = types.SimpleNamespace(READ=1)
    MessageType = types.SimpleNamespace(ERROR=2)

    def init(self, arguments: None) -> None:
        assert arguments is None

    def parse_launch(self, text: str) -> GStreamer:
        if self.error_on_launch:
            raise _GLibError(self.error_on_launch)
        self.launched, self._index = text, 0
        return self

    def set_state(self, state: str) -> None:
        self.open_now += 1 if state == "playing" else -1

    def get_by_name(self, name: str) -> GStreamer:
        assert name in self.launched
        return self

    def get_bus(self) -> GStreamer:
        return self

    def pop_filtered(self, _: int) -> Any:
        if not self.error_on_bus:
            return None
        error = (_GLibError(self.error_on_bus), "what is beside it")
        source = types.SimpleNamespace(get_factory=lambda: types.SimpleNamespace(get_name=lambda: "rtspsrc"))
        return types.SimpleNamespace(parse_error=lambda: error, src=source)

    def is_eos(self) -> bool:
        return self._index >= self.pictures

    def try_pull_sample(self, timeout_ns: int) -> Any:
        assert timeout_ns == 200_000_000
        if self.silent or self.error_on_bus or self.is_eos():
            return None
        luma = np.full((HEIGHT_PX, WIDTH_PX), brightness(self._index), np.uint8)
        chroma = np.repeat(np.uint8([124, 132]), HEIGHT_PX * WIDTH_PX // 4)
        data = luma.tobytes() + chroma.tobytes()
        size = WIDTH_PX * HEIGHT_PX
        form = types.SimpleNamespace(
            width=WIDTH_PX,
            height=HEIGHT_PX,
            stride=[WIDTH_PX, WIDTH_PX // 2, WIDTH_PX // 2, 0],
            offset=[0, size, size * 5 // 4, 0],
            colorimetry=types.SimpleNamespace(range=2),
        )
        self._index += 1
        mapped = types.SimpleNamespace(data=memoryview(data))
        buffer = types.SimpleNamespace(map=lambda flags: (flags == 1, mapped), unmap=lambda _: None)
        return types.SimpleNamespace(get_buffer=lambda: buffer, get_caps=lambda: form)


class _GLibError(Exception):
    @property
    def message(self) -> str:
        return str(self)


class GStreamerOfOpenCv:
    """Stands in for an OpenCV that was built with GStreamer, as no wheel is."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.launched = ""
        self.open_now = 0
        self.opens = True
        self.pictures = 10_000
        self.shape: tuple[int, ...] = (HEIGHT_PX * 3 // 2, WIDTH_PX)
        monkeypatch.setitem(sys.modules, "gi", None)
        monkeypatch.setattr(cv2, "getBuildInformation", lambda: "  GStreamer:                   YES (1.20.3)\n")
        monkeypatch.setattr(cv2, "VideoCapture", self)

    def __call__(self, pipeline: str, api: int, limits: list[int]) -> GStreamerOfOpenCv:
        assert api == cv2.CAP_GSTREAMER
        assert limits[::2] == [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, cv2.CAP_PROP_READ_TIMEOUT_MSEC]
        self.launched, self._index = pipeline, 0
        self.open_now += 1
        return self

    def isOpened(self) -> bool:  # noqa: N802 - OpenCV's name
        return self.opens

    def read(self) -> tuple[bool, Any]:
        if self._index >= self.pictures:
            return False, None
        self._index += 1
        return True, np.full(self.shape, brightness(self._index - 1), np.uint8)

    def release(self) -> None:
        self.open_now -= 1


def usb_camera(folder: Path, monkeypatch: pytest.MonkeyPatch) -> UsbCamera:
    """A camera that gives MJPEG in 4:2:2, as most do."""
    return UsbCamera(write_clip(folder / "usb.mkv", codec="mjpeg", pixel_format="yuvj422p"), monkeypatch)
