"""Real pictures put together into a film: a thing cut out of one stands in another, behind who walks by.

Nothing is kept: the pieces are read where they lie, and the frames are made as they are asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np

from edge_agent.records import BoolArray, Box, ByteArray, Frame

IN_FRONT = 22
"""Grey levels by which a pixel differs from the empty background where somebody is before it."""


AROUND_PX = 3
MOST = 0.45
"""So far around a pixel of chroma, and such a part of that, must somebody be."""


class Picture(NamedTuple):
    """Three planes of 4:2:0 video: (H, W), and twice (H / 2, W / 2) uint8."""

    luma: ByteArray
    blue: ByteArray
    red: ByteArray


def pictures(clip: Path, *, first_s: float = 0.0, last_s: float = 1e9, rate_hz: float = 5.0) -> list[Picture]:
    """So many pictures a second of a part of a clip."""
    taken: list[Picture] = []
    with av.open(str(clip)) as container:
        for frame in container.decode(video=0):
            at_s = frame.time or 0.0
            if at_s >= last_s:
                break
            if at_s >= first_s + len(taken) / rate_hz - 1e-6:
                taken.append(_planes(frame))
    return taken


def cut_out(picture: Path, box: Box, height_px: int, margin: float = 0.0) -> Picture:
    """What is in a box (xyxy pixels) of a picture, and a part of its size around it, made so high."""
    with av.open(str(picture)) as container:
        whole = next(container.decode(video=0)).to_ndarray(format="rgb24")
    left, top, right, bottom = box
    aside, above = (right - left) * margin, (bottom - top) * margin
    part = whole[max(int(top - above), 0) : int(bottom + above), max(int(left - aside), 0) : int(right + aside)]
    scale = height_px / part.shape[0]
    size = {"width": round(part.shape[1] * scale / 2) * 2, "height": round(height_px / 2) * 2}
    small = av.VideoFrame.from_ndarray(np.ascontiguousarray(part), format="rgb24")
    return _planes(small.reformat(**size, format="yuv420p", interpolation="AREA"))


def emptied(film: Sequence[Picture]) -> Picture:
    """The background: what most pictures agree on."""
    return Picture(*(np.median(np.stack(planes), axis=0).astype(np.uint8) for planes in zip(*film, strict=True)))


def with_thing(picture: Picture, thing: Picture, place: tuple[float, float], background: Picture | None) -> Picture:
    """Set a thing into a picture, its left upper corner at a place in pixels; what is outside is cut off.

    Args:
        picture: is not changed.
        thing: what to set.
        place: x and y.
        background: the same scene while it is empty: what differs from it stands before the thing; None for nothing.
    """
    x, y = (round(part / 2) for part in place)
    height, width = picture.blue.shape
    rows = slice(max(y, 0), min(y + thing.blue.shape[0], height))
    columns = slice(max(x, 0), min(x + thing.blue.shape[1], width))
    if rows.start >= rows.stop or columns.start >= columns.stop:
        return picture
    cut = (slice(rows.start - y, rows.stop - y), slice(columns.start - x, columns.stop - x))
    hidden = np.zeros((rows.stop - rows.start, columns.stop - columns.start), np.bool_)
    if background is not None:
        hidden = _in_front(*(whole.luma[::2, ::2][rows, columns] for whole in (picture, background)))
    planes = []
    for plane, part, scale in zip(picture, thing, (2, 1, 1), strict=True):
        there, here = (tuple(slice(s.start * scale, s.stop * scale) for s in both) for both in ((rows, columns), cut))
        made = plane.copy()
        mask = hidden.repeat(scale, 0).repeat(scale, 1)
        made[there] = np.where(mask, plane[there], part[here])
        planes.append(made)
    return Picture(*planes)


def lit(picture: Picture, part: float) -> Picture:
    """The same scene in so much of its light."""
    black = 16
    return picture._replace(luma=(black + (picture.luma.astype(np.float32) - black) * part).astype(np.uint8))


def film(shots: Iterable[tuple[float, Picture]], begun_ns: int = 0) -> Iterator[Frame]:
    """Make frames of pictures and the seconds at which they are taken."""
    for seq, (at_s, picture) in enumerate(shots):
        yield Frame(
            luma=picture.luma,
            chroma_blue=picture.blue,
            chroma_red=picture.red,
            at_s=at_s,
            utc_ns=begun_ns + round(at_s * 1e9),
            utc_synced=True,
            seq=seq,
        )


def _in_front(luma: ByteArray, background: ByteArray) -> BoolArray:
    """Where somebody stands before the background, of the same shape: where most of what is around differs from it.

    A few pixels alone are no person: a camera makes all of its picture a little darker when somebody in white comes.
    """
    differs = np.abs(luma.astype(np.int16) - background) > IN_FRONT
    around = np.lib.stride_tricks.sliding_window_view(np.pad(differs, AROUND_PX, mode="edge"), (2 * AROUND_PX + 1,) * 2)
    people: BoolArray = around.mean(axis=(2, 3)) > MOST
    return people


def _planes(frame: av.VideoFrame) -> Picture:
    frame = frame.reformat(format="yuv420p")
    planes = (
        np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)[:, : plane.width].copy()
        for plane in frame.planes
    )
    return Picture(*planes)
