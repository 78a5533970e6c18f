"""Cameras on USB or CSI that the kernel shows as /dev/videoN, read by OpenCV."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edge_agent import runtimes
from edge_agent.edges.sources.source import Opening, Planes
from edge_agent.errors import SourceError
from edge_agent.records import ByteArray, Frame


class Device:
    """A camera of this machine: every frame, stamped on arrival.

    OpenCV itself gives up a camera that is silent for 10 s, so `stop` and a stall are noticed by then.
    """

    live = True
    damaged = 0  # OpenCV drops what it cannot decode and does not tell

    def __init__(self, opening: Opening) -> None:
        self._opening = opening

    def frames(self) -> Generator[Frame, None, None]:
        """Give frames until the camera gives none any more."""
        cv2 = runtimes.load("cv2")
        with self._opened(cv2) as camera:
            for seq, picture in enumerate(self._pictures(camera)):
                yield self._opening.arrived(_planes(cv2, picture), seq)

    @contextmanager
    def _opened(self, cv2: Any) -> Iterator[Any]:
        if not Path(self._opening.path).exists():
            raise SourceError(f"{self._opening.name}: no such device; `v4l2-ctl --list-devices` names what is there")
        camera = cv2.VideoCapture(self._opening.path, cv2.CAP_V4L2)
        try:
            if not camera.isOpened():
                raise SourceError(
                    f"{self._opening.name} cannot be opened: in use by another program, or no permission "
                    "(is the user in the group `video`?)"
                )
            yield camera
        finally:
            camera.release()

    def _pictures(self, camera: Any) -> Iterator[ByteArray]:
        seq = 0
        while not self._opening.stop.is_set():
            there, picture = camera.read()
            if not there:
                raise SourceError(f"{self._opening.name} gave no picture after {seq} frames; is it unplugged?")
            yield picture
            seq += 1


def _planes(cv2: Any, picture: ByteArray) -> Planes:
    """Convert a BGR picture (H, W, 3) to 4:2:0, cutting an odd last row or column, which OpenCV cannot convert."""
    height, width = picture.shape[0] & ~1, picture.shape[1] & ~1
    stacked = cv2.cvtColor(picture[:height, :width], cv2.COLOR_BGR2YUV_I420)  # (H * 3 / 2, W): luma, then both chroma
    chroma = stacked[height:].reshape(2, height // 2, width // 2)
    return Planes(stacked[:height], chroma[0], chroma[1])
