"""The three planes of a decoded picture, without a copy where its format allows."""

from __future__ import annotations

from typing import cast

import av
import numpy as np

from edge_agent.edges.sources.source import Planes
from edge_agent.records import ByteArray

_PLANAR_420 = frozenset({"yuv420p", "yuvj420p"})
_FULL_RANGE = 2  # AVCOL_RANGE_JPEG: luma 0..255 instead of 16..235


def view_planes(picture: av.VideoFrame) -> Planes:
    """Show the decoder's own memory, read-only; it stays untouched for as long as an array of it lives.

    Formats other than 8-bit planar 4:2:0 are converted, which costs a pass over the picture. A full-range picture in
    4:2:0 (`yuvj420p`, as some cameras send) is shown as it is, luma 0..255: converting it takes 1.5 ms at 1080p beside
    4 ms of decoding, and leaving it so costs a little contrast at both ends.
    """
    planar = picture.format.name in _PLANAR_420 and all(plane.line_size > 0 for plane in picture.planes)
    return _planes(picture if planar else _limited(picture))


def limited_planes(picture: av.VideoFrame) -> Planes:
    """Show a picture with luma 16..235 in any case; for still pictures, where the time does not count."""
    return view_planes(_limited(picture) if picture.color_range == _FULL_RANGE else picture)


def _limited(picture: av.VideoFrame) -> av.VideoFrame:
    return picture.reformat(format="yuv420p", dst_color_range="MPEG")


def _planes(picture: av.VideoFrame) -> Planes:
    return cast("Planes", tuple(_view(plane) for plane in picture.planes))


def _view(plane: av.video.plane.VideoPlane) -> ByteArray:
    rows = np.frombuffer(cast("memoryview", plane), np.uint8).reshape(-1, plane.line_size)  # (height, width + padding)
    view = rows[: plane.height, : plane.width]
    view.flags.writeable = False
    return view
