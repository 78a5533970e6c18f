"""The three planes of a decoded picture, without a copy where its format allows."""

from __future__ import annotations

from typing import cast

import av
import numpy as np

from edge_agent.edges.sources.source import Planes
from edge_agent.records import ByteArray

_CHROMA_ROW_STEPS = {"yuv420p": 1, "yuvj420p": 1, "yuv422p": 2, "yuvj422p": 2}
"""The formats that can be looked at in place -> which rows of chroma make it 4:2:0; the others are left unseen."""

_PAIRS_NAME = "nv12"  # luma, then blue and red in turn

_FULL_RANGE_NAMES = frozenset({"yuvj420p", "yuvj422p"})
_FULL_RANGE = 2  # AVCOL_RANGE_JPEG: luma 0..255 instead of 16..235


def view_planes(picture: av.VideoFrame) -> Planes:
    """Show the decoder's own memory, read-only; it stays untouched for as long as an array of it lives.

    Of 4:2:2, which USB cameras give, every second row of chroma is taken: mixing two into one would cost as much as
    decoding them. Of NV12, which hardware gives, luma is shown in place, and chroma is taken apart. Other formats are
    converted, which costs a pass over the picture.
    """
    step = _CHROMA_ROW_STEPS.get(picture.format.name)
    full_range = picture.format.name in _FULL_RANGE_NAMES or picture.color_range == _FULL_RANGE
    if any(plane.line_size <= 0 for plane in picture.planes) or (step is None and picture.format.name != _PAIRS_NAME):
        # One thread: PyAV would begin others for each picture, which takes as long as the work itself.
        converted = picture.reformat(format="yuv420p", dst_color_range="MPEG", threads=1)
        return Planes(*_views(converted, 1))
    if step is None:
        return Planes(*_views_of_pairs(picture), full_range=full_range)
    return Planes(*_views(picture, step), full_range=full_range)


def _views(picture: av.VideoFrame, step: int) -> tuple[ByteArray, ByteArray, ByteArray]:
    luma, chroma_blue, chroma_red = map(_view, picture.planes)
    return luma, chroma_blue[::step], chroma_red[::step]


def _views_of_pairs(picture: av.VideoFrame) -> tuple[ByteArray, ByteArray, ByteArray]:
    """Take chroma apart two bytes at a time, four times as fast as every second byte by itself."""
    luma, pairs = picture.planes
    both = _view(pairs, 2).view("<u2")  # (height, width): blue is the lower byte
    chroma = both.astype(np.uint8), (both >> 8).astype(np.uint8)
    for plane in chroma:
        plane.flags.writeable = False
    return _view(luma), *chroma


def _view(plane: av.video.plane.VideoPlane, bytes_a_pixel: int = 1) -> ByteArray:
    rows = np.frombuffer(cast("memoryview", plane), np.uint8).reshape(-1, plane.line_size)  # (height, width + padding)
    view = rows[: plane.height, : plane.width * bytes_a_pixel]
    view.flags.writeable = False
    return view
