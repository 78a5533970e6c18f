"""Cameras on a Raspberry Pi's ribbon cable, driven by libcamera through picamera2."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from concurrent.futures import TimeoutError as NotYetError
from contextlib import contextmanager
from typing import Any

from edge_agent import runtimes
from edge_agent.edges.sources.source import ALL_PICTURES, Opening, Planes
from edge_agent.errors import SourceError
from edge_agent.records import ByteArray, Frame

SIZE = (1280, 720)
"""What is asked for when `picture.size` is left out; the whole sensor would be far more than any model looks at."""

_LOOK_UP_S = 0.2
"""How long to wait for a picture at a time, so that `stop` and a stall are noticed."""


class Camera:
    """A ribbon camera by its number: every frame, stamped on arrival.

    Its image processor gives 8-bit planar 4:2:0 at the size asked for, so nothing is decoded or converted; picamera2
    copies each picture once, out of the memory that the camera will fill again.
    """

    live = True
    asleep = False
    basis = ALL_PICTURES
    delay_s = None
    damaged = 0  # nothing is coded, so nothing can fail to decode

    def __init__(self, opening: Opening) -> None:
        self._opening = opening

    def frames(self) -> Generator[Frame, None, None]:
        """Give frames until the camera fails."""
        picamera2 = runtimes.load("picamera2")
        seq = 0
        try:
            with self._opened(picamera2) as camera:
                size = tuple(camera.camera_configuration()["main"]["size"])  # what it could do of what was asked
                for picture in self._pictures(camera):
                    yield self._opening.arrived(_planes(picture, *size), seq)
                    seq += 1
        except RuntimeError as error:
            failed = f"broke off after {seq} frames" if seq else "cannot be opened"
            raise SourceError(f"{self._opening.name} {failed}: {error}; in use by another program?") from error

    @contextmanager
    def _opened(self, picamera2: Any) -> Iterator[Any]:
        asked, there = self._opening.picture, picamera2.Picamera2.global_camera_info()
        numbers = {str(camera["Num"]): camera.get("Model", "?") for camera in there}
        if self._opening.path not in numbers:
            found = ", ".join(f"csi://{number} ({model})" for number, model in numbers.items())
            raise SourceError(
                f"{self._opening.name}: no such camera; "
                f"{f'there is {found}' if found else 'libcamera sees none: check the cable, then `rpicam-hello`'}"
            )
        controls = {name: int(value) if value == int(value) else value for name, value in asked.controls.items()}
        if asked.rate_hz is not None:
            controls["FrameRate"] = asked.rate_hz
        camera = picamera2.Picamera2(int(self._opening.path))
        try:
            main = {"format": "YUV420", "size": asked.size or SIZE}
            # A video configuration ranges over 16..235; one for previews or stills would use all of 0..255.
            camera.configure(camera.create_video_configuration(main=main, controls=controls))
            camera.start()
            yield camera
        finally:
            camera.close()

    def _pictures(self, camera: Any) -> Iterator[ByteArray]:
        clock, stop, stall_s = self._opening.clock, self._opening.stop, self._opening.stall_s
        while not stop.is_set():
            job, asked_s = camera.capture_array("main", wait=False), clock.monotonic_s()
            while (picture := _result(job)) is None:
                stalled = clock.monotonic_s() - asked_s > stall_s
                if stalled or stop.is_set():
                    camera.cancel_all_and_flush()  # else closing would wait for the picture
                    if stop.is_set():
                        return
                    raise SourceError(f"{self._opening.name}: no frame for {stall_s:g} s; check the cable")
            yield picture


def _result(job: Any) -> ByteArray | None:
    try:
        picture: ByteArray = job.get_result(timeout=_LOOK_UP_S)
    except NotYetError:
        return None
    return picture


def _planes(picture: ByteArray, width: int, height: int) -> Planes:
    """View the planes of one picture, (height * 3 / 2, stride): luma, then both chroma, two of their rows in each.

    Rows are padded to the stride, chroma rows to half of it.
    """
    picture.flags.writeable = False
    stride = picture.shape[1]
    chroma = picture[height:].reshape(2, height // 2, stride // 2)[:, :, : width // 2]
    return Planes(picture[:height, :width], chroma[0], chroma[1])
