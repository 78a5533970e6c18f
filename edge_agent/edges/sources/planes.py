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

    Formats other than 8-bit planar 4:2:0 are converted, which costs a pass over the picture.
    """
    if picture.format.name not in _PLANAR_420 or any(plane.line_size <= 0 for plane in picture.planes):
        converted = picture.reformat(format="yuv420p", dst_color_range="MPEG")
        return Planes(*_views(converted))
    full_range = picture.format.name == "yuvj420p" or picture.color_range == _FULL_RANGE
    return Planes(*_views(picture), full_range=full_range)


def _views(picture: av.VideoFrame) -> tuple[ByteArray, ByteArray, ByteArray]:
    luma, chroma_blue, chroma_red = map(_view, picture.planes)
    return luma, chroma_blue, chroma_red


def _view(plane: av.video.plane.VideoPlane) -> ByteArray:
    rows = np.frombuffer(cast("memoryview", plane), np.uint8).reshape(-1, plane.line_size)  # (height, width + padding)
    view = rows[: plane.height, : plane.width]
    view.flags.writeable = False
    return view
