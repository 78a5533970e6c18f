"""Small recordings made on the spot: every picture has a brightness of its own, so that none can be mistaken."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

WIDTH_PX = 64
HEIGHT_PX = 48
RATE_HZ = 25
DARKEST, STEP, SHADES = 40, 5, 32
CHROMA_BLUE, CHROMA_RED = 124, 132  # near grey, so that no brightness leaves the range of RGB


def brightness(index: int) -> int:
    """Luma of the picture with this number: 40, 45, 50 … 195, then again from 40."""
    return DARKEST + index % SHADES * STEP


def write_clip(  # noqa: PLR0913  (a clip has that many sides, and a test names only those it is about)
    path: Path,
    *,
    frames: int = 10,
    codec: str = "libx264",
    size: tuple[int, int] = (WIDTH_PX, HEIGHT_PX),
    pixel_format: str = "yuv420p",
    created: str = "",
    options: Mapping[str, str] | None = None,
) -> Path:
    """Write a clip of `RATE_HZ` whose container follows from the name; x264 puts B-frames and one key frame into it."""
    with av.open(str(path), "w") as container:
        if created:
            container.metadata["creation_time"] = created
        stream: Any = container.add_stream(codec, rate=RATE_HZ)
        stream.width, stream.height = size
        stream.pix_fmt = pixel_format
        stream.options = dict(options or {})
        for index in range(frames):
            container.mux(stream.encode(_picture(index, size, pixel_format)))
        container.mux(stream.encode(None))
    return path


def excerpt(clip: Path, path: Path, *, first_s: float = 0.0, last_s: float) -> Path:
    """Write a part of a clip, its packets as they are; `first_s` must be at a key frame."""
    with av.open(str(clip)) as source, av.open(str(path), "w") as target:
        stream = source.streams.video[0]
        copy = target.add_stream_from_template(stream)
        assert stream.time_base is not None
        first = round(first_s / stream.time_base)
        last = round(last_s / stream.time_base)
        for packet in source.demux(stream):
            if packet.pts is None or packet.dts is None or not first <= packet.pts < last:
                continue
            packet.pts, packet.dts = packet.pts - first, packet.dts - first
            packet.stream = copy
            target.mux(packet)
    return path


def encode_picture(
    index: int, *, codec: str = "mjpeg", pixel_format: str = "yuvj420p", size: tuple[int, int] = (WIDTH_PX, HEIGHT_PX)
) -> bytes:
    """Encode one picture, as JPEG unless told otherwise."""
    encoder: Any = av.CodecContext.create(codec, "w")
    encoder.width, encoder.height = size
    encoder.pix_fmt = pixel_format
    encoder.time_base = Fraction(1, RATE_HZ)
    picture = _picture(index, size, pixel_format)
    return b"".join(bytes(packet) for packet in [*encoder.encode(picture), *encoder.encode(None)])


def _picture(index: int, size: tuple[int, int], pixel_format: str) -> av.VideoFrame:
    """One grey picture."""
    picture = av.VideoFrame(*size, "yuv420p")
    for plane, value in zip(picture.planes, (brightness(index), CHROMA_BLUE, CHROMA_RED), strict=True):
        plane.update(bytes([value]) * plane.buffer_size)
    picture = picture.reformat(format=pixel_format)
    picture.pts, picture.time_base = index, Fraction(1, RATE_HZ)
    return picture
