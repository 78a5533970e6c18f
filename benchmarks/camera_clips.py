"""Clips as a surveillance camera encodes them, with known movers: what the benchmarks of the packet gate look at.

A scene is a still picture with sensor noise, in which something moves from time to time. One scene is encoded in many
ways at once, by the ffmpeg program, with settings that make libx264 and libx265 behave like a camera's encoder: no
look-ahead, no scene cuts, a fixed distance between key frames.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.clips import PEDESTRIANS
from edge_agent.records import ByteArray, FloatArray

FPS = 15


@dataclass(frozen=True, kw_only=True)
class Mover:
    """One thing that crosses the picture.

    Attributes:
        kind: what it stands for.
        begins_s: when it appears.
        ends_s: when it is gone.
        height_norm: its height, of the picture's.
        speed_norm: how far it goes in a second, of the picture's height.
        start_norm: where it begins, x and y of its centre, 0..1.
        angle: where to, radians.
        look: which cut-out it wears.
    """

    kind: str
    begins_s: float
    ends_s: float
    height_norm: float
    speed_norm: float
    start_norm: tuple[float, float]
    angle: float
    look: int


@dataclass(frozen=True, kw_only=True)
class Encoding:
    """How a camera encodes.

    Attributes:
        codec: `libx264` or `libx265`.
        gop_s: seconds between key frames.
        crf: constant quality, for a variable bit rate.
        kbit_s: constant bit rate instead.
        filler: fill up to the bit rate with filler units.
        b_frames: pictures between two that refer forwards only.
        intra_refresh: no key frames after the first; a column of intra blocks wanders instead.
    """

    codec: str = "libx264"
    gop_s: float = 2.0
    crf: int = 26
    kbit_s: int = 0
    filler: bool = False
    b_frames: int = 0
    intra_refresh: bool = False

    def arguments(self, fps: float) -> list[str]:
        """For ffmpeg."""
        gop = round(self.gop_s * fps)
        extra = {"keyint": gop, "min-keyint": gop, "scenecut": 0, "bframes": self.b_frames}
        if self.kbit_s:
            extra |= {"vbv-maxrate": self.kbit_s, "vbv-bufsize": self.kbit_s // 2}
        if self.filler:
            extra |= {"nal-hrd": "cbr", "force-cfr": 1}
        if self.intra_refresh:
            extra |= {"intra-refresh": 1}
        rate = ["-b:v", f"{self.kbit_s}k"] if self.kbit_s else ["-crf", str(self.crf)]
        options = ":".join(f"{name}={value}" for name, value in extra.items())
        which = "x264-params" if self.codec == "libx264" else "x265-params"
        quiet = "" if self.codec == "libx264" else ":log-level=error"
        tune = [] if self.b_frames else ["-tune", "zerolatency"]
        # The fastest preset that still has what every camera's encoder has: CABAC and the deblocking filter.
        return ["-c:v", self.codec, "-preset", "superfast", *tune, *rate, f"-{which}", options + quiet]


def film(
    paths: Mapping[Path, Encoding], pictures: Iterable[ByteArray], *, size: tuple[int, int], fps: float = FPS
) -> None:
    """Encode pictures, (H * 3 / 2, W) uint8, I420, in every way that is asked for."""
    width, height = size
    head = ["ffmpeg", "-hide_banner", "-loglevel", "error", "-y", "-f", "rawvideo", "-pix_fmt", "yuv420p"]
    head += ["-s", f"{width}x{height}", "-r", f"{fps:g}", "-i", "-"]
    with ExitStack() as stack:
        pipes = []
        for path, encoding in paths.items():
            command = [*head, *encoding.arguments(fps), "-pix_fmt", "yuv420p", str(path)]
            encoder = stack.enter_context(subprocess.Popen(command, stdin=subprocess.PIPE))
            pipes.append(cast("IO[bytes]", encoder.stdin))
        for picture in pictures:
            for pipe in pipes:
                pipe.write(picture)
    for path in paths:
        if not path.exists():
            raise SystemExit(f"ffmpeg could not write {path}")


def stop_and_go(
    clip: Path, spans: Sequence[tuple[float, float]], *, seconds: float, noise: float
) -> Iterator[ByteArray]:
    """Draw a real clip that stands still but for some spans of time, with noise: I420 as `scene` gives.

    What moves is what moved there, from where it was when the clip stopped; the clip begins anew when it is over.
    """
    with av.open(str(clip)) as container:
        stream = container.streams.video[0]
        fps = float(stream.average_rate or FPS)
        pictures = [picture.to_ndarray(format="yuv420p") for picture in container.decode(stream)]
    height = pictures[0].shape[0] * 2 // 3
    random, place = np.random.default_rng(1), 0
    for number in range(round(seconds * fps)):
        place += any(begins_s <= number / fps < ends_s for begins_s, ends_s in spans)
        picture = pictures[place % len(pictures)].copy()
        luma = picture[:height].astype(np.float32)
        luma += noise * random.standard_normal(luma.shape, dtype=np.float32)
        picture[:height] = np.clip(luma, 16, 235)
        yield picture


def scene(
    *, size: tuple[int, int], seconds: float, movers: Sequence[Mover], noise: float, seed: int
) -> Iterator[ByteArray]:
    """Draw the pictures of a scene: (H * 3 / 2, W) uint8, I420."""
    width, height = size
    random = np.random.default_rng(seed)
    background = _background(width, height)
    grain = random.normal(0, noise / np.sqrt(2), 2 * height * width).astype(np.float32)
    looks = _looks()
    chroma = np.full((height // 2, width), 128, np.uint8)
    for number in range(round(seconds * FPS)):
        at_s = number / FPS
        luma = background.copy()
        for mover in movers:
            if mover.begins_s <= at_s < mover.ends_s:
                _paste(luma, looks[mover.look % len(looks)], mover, at_s - mover.begins_s)
        if noise:
            # Two shifts of one grain: drawing it anew takes long, and one shift is a motion that an encoder can follow.
            for start in random.integers(0, grain.size - luma.size, 2):
                luma += grain[start : start + luma.size].reshape(luma.shape)
        yield np.concatenate([np.clip(luma, 16, 235).astype(np.uint8), chroma])


def _background(width: int, height: int) -> FloatArray:
    """The demo clip's place without its people, with as much fine detail as a camera of that size would show."""
    with av.open(str(PEDESTRIANS)) as container:
        lumas = [frame.to_ndarray(format="gray") for frame in container.decode(video=0)][::10]
    place = np.median(np.stack(lumas), axis=0).astype(np.float32)
    large: FloatArray = cv2.resize(place, (width, height), interpolation=cv2.INTER_CUBIC)
    detail = np.random.default_rng(0).normal(0, 6, (height, width)).astype(np.float32)
    return large + cv2.GaussianBlur(detail, (0, 0), 1.0)


def _looks() -> list[tuple[FloatArray, FloatArray]]:
    """Cut-outs of people: what they look like, and how much of each pixel they cover."""
    boxes = ((0.765, 0.335, 0.802, 0.475), (0.40, 0.42, 0.44, 0.56))
    with av.open(str(PEDESTRIANS)) as container:
        pictures = [frame.to_ndarray(format="gray") for frame in container.decode(video=0)]
    place = np.median(np.stack(pictures[::10]), axis=0)
    height, width = place.shape
    found = []
    for number in (60, 94, 140, 200):
        for left, top, right, bottom in boxes:
            rows, columns = slice(int(top * height), int(bottom * height)), slice(int(left * width), int(right * width))
            part = pictures[number][rows, columns].astype(np.float32)
            differs = np.abs(part - place[rows, columns]) > _DIFFERS
            if differs.mean() > _SOMEBODY_IS_THERE:
                mask = cv2.GaussianBlur(differs.astype(np.float32), (0, 0), 1.0)
                found.append((part, mask.astype(np.float32)))
    return found


_DIFFERS = 15  # grey levels
_SOMEBODY_IS_THERE = 0.15  # of a box


def _paste(luma: FloatArray, look: tuple[FloatArray, FloatArray], mover: Mover, age_s: float) -> None:
    height, width = luma.shape
    tall = max(2, round(mover.height_norm * height))
    wide = max(2, round(tall * look[0].shape[1] / look[0].shape[0]))
    picture, mask = (cv2.resize(part, (wide, tall), interpolation=cv2.INTER_AREA) for part in look)
    path = mover.speed_norm * height * age_s
    left = mover.start_norm[0] * width + path * np.cos(mover.angle) - wide / 2
    top = mover.start_norm[1] * height + path * np.sin(mover.angle) - tall / 2
    x, y = int(np.floor(left)), int(np.floor(top))
    shift: NDArray[np.float32] = np.array([[1, 0, left - x], [0, 1, top - y]], np.float32)
    picture, mask = (cv2.warpAffine(part, shift, (wide + 1, tall + 1)) for part in (picture, mask))
    x0, y0, x1, y1 = max(x, 0), max(y, 0), min(x + wide + 1, width), min(y + tall + 1, height)
    if x0 >= x1 or y0 >= y1:
        return
    inside = slice(y0 - y, y1 - y), slice(x0 - x, x1 - x)
    under = luma[y0:y1, x0:x1]
    under += mask[inside] * (picture[inside] - under)
