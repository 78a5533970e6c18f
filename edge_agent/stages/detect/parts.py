"""Parts of a frame that the model looks at by themselves, so that it sees things there larger than in the whole."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from edge_agent.records import BoolArray, Box, FloatArray, Frame

LEAST_MAGNIFICATION = 1.5
"""What is shown less than this much larger than it is seen anyway is not worth another run of the model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A part of a frame, in its pixels: all even, except that the whole may be odd."""

    left: int
    top: int
    width: int
    height: int

    def is_all_of(self, canvas: Canvas) -> bool:
        """Whether it is the whole frame."""
        return (self.width, self.height) == (canvas.width, canvas.height)

    def of(self, frame: Frame) -> Frame:
        """The same frame, of which this alone is seen; nothing is copied."""
        rows, columns = slice(self.top, self.top + self.height), slice(self.left, self.left + self.width)
        chroma = tuple(slice(one.start // 2, (one.stop + 1) // 2) for one in (rows, columns))
        return replace(
            frame,
            luma=frame.luma[rows, columns],
            chroma_blue=frame.chroma_blue[chroma],
            chroma_red=frame.chroma_red[chroma],
        )

    def holds(self, boxes: FloatArray) -> BoolArray:
        """Which boxes, (N, 4) xyxy of the frame, lie wholly in it, but for the last pixel of an odd frame."""
        left, top, right, bottom = boxes.T
        inside: BoolArray = (left >= self.left) & (top >= self.top)
        inside &= (right <= self.left + self.width + 1) & (bottom <= self.top + self.height + 1)
        return inside

    def cuts(self, boxes: FloatArray, canvas: Canvas, border_px: float) -> BoolArray:
        """Which boxes, (N, 4) xyxy of the frame, end where the part does and the frame goes on: things cut in two."""
        left, top, right, bottom = boxes.T
        far_side, far_end = self.left + self.width, self.top + self.height
        cut: BoolArray = (left < self.left + border_px) & (self.left > 0)
        cut |= (top < self.top + border_px) & (self.top > 0)
        cut |= (right > far_side - border_px) & (far_side < canvas.width // 2 * 2)
        cut |= (bottom > far_end - border_px) & (far_end < canvas.height // 2 * 2)
        return cut


@dataclass(frozen=True, slots=True, kw_only=True)
class Canvas:
    """A frame, and how large a model sees it.

    A part's scale says how many of the frame's pixels become one that the model sees. It is never less than 1: what
    the camera did not see is not made up.

    Attributes:
        width: of the frame, pixels.
        height: the same.
        least_width: of the frame's pixels as many as the model sees when none is left out: the width of a part of
            scale 1, where the frame is as wide.
        least_height: the same.
    """

    width: int
    height: int
    least_width: int
    least_height: int

    @property
    def scale(self) -> float:
        """Of the frame as a whole; less than 1 where the model sees it enlarged."""
        return max(self.width / self.least_width, self.height / self.least_height)

    def scale_of(self, part: Part) -> float:
        """Of a part."""
        return max(1.0, part.width / self.least_width, part.height / self.least_height)

    def scales_around(self, boxes: FloatArray) -> FloatArray:
        """The scales of the smallest parts around boxes, (..., 4) xyxy in, (...) out."""
        width, height = (boxes[..., 2] - boxes[..., 0], boxes[..., 3] - boxes[..., 1])
        needed = np.maximum((width + _ROUNDING) / self.least_width, (height + _ROUNDING) / self.least_height)
        return np.maximum(needed, 1).astype(np.float32, copy=False)

    def part_around(self, box: Box, scale: float) -> Part:
        """A part of a scale, with a box in its middle, as far as the frame's ends allow."""
        width = _even_side(self.least_width * scale, self.width)
        height = _even_side(self.least_height * scale, self.height)
        return Part(
            left=_even_start((box[0] + box[2]) / 2, width, self.width),
            top=_even_start((box[1] + box[3]) / 2, height, self.height),
            width=width,
            height=height,
        )


class Sight(NamedTuple):
    """How to look at a part of a frame, and how to find its boxes in the whole.

    Attributes:
        part: of the frame.
        is_all: it is the whole.
        scale: how many pixels of the frame are one that the model sees.
        stretch: (4,) how many of them are one pixel of the model's input, in x and y, for either corner of a box.
        start: (4,) where the part begins, in the same way.
    """

    part: Part
    is_all: bool
    scale: float
    stretch: FloatArray
    start: FloatArray


def held(parts: Iterable[Part], boxes: FloatArray) -> BoolArray:
    """Which boxes, (N, 4) xyxy of the frame, lie wholly in one part at least."""
    inside = np.zeros(len(boxes), np.bool_)
    for part in parts:
        inside |= part.holds(boxes)
    return inside


def _even_side(wanted: float, whole: int) -> int:
    return max(2, min(math.ceil(wanted / 2 - _TINY) * 2, whole // 2 * 2))


def _even_start(middle: float, side: int, whole: int) -> int:
    return max(0, min(int(middle - side / 2), whole - side)) // 2 * 2


_ROUNDING = 4.0  # pixels that a part may be moved, and cut short, to be even
_TINY = 0.01
