"""Privacy: what lies under a camera's mask is blanked before anything looks at a frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from edge_agent import geometry, pixels
from edge_agent.records import ByteArray, Frame
from edge_agent.settings import Polygon


class Mask:
    """Copies frames, but for what is masked.

    A frame shows the decoder's own memory, which the next pictures are made from. So it is copied, into planes that are
    made once, and are grey under the mask. Nothing is ever written there, so nothing can be read there.

    Args:
        areas: in 0..1; without any, frames are handed on as they are.
    """

    def __init__(self, areas: Sequence[Polygon]) -> None:
        self._areas = areas
        self._size = (0, 0)
        self._visible: tuple[ByteArray, ...] = ()  # of luma and both chroma planes: 1, or 0 where masked
        self._planes: tuple[ByteArray, ...] = ()

    def blank(self, frame: Frame) -> Frame:
        """The frame without what is masked; it holds until the next one."""
        if not self._areas:
            return frame
        if self._size != (frame.width, frame.height):
            self._prepare(frame)
        seen = (frame.luma, frame.chroma_blue, frame.chroma_red)
        for plane, visible, copy in zip(seen, self._visible, self._planes, strict=True):
            pixels.copy_where(plane, visible, copy)
        luma, chroma_blue, chroma_red = self._planes
        return replace(frame, luma=luma, chroma_blue=chroma_blue, chroma_red=chroma_red)

    def _prepare(self, frame: Frame) -> None:
        height, width = frame.luma.shape
        masked = geometry.polygon_mask(self._areas, width, height)
        # A sample of colour is of four pixels: it is masked when one of them is.
        even = np.pad(masked, ((0, height % 2), (0, width % 2)), mode="edge")
        colour = ~(even[::2, ::2] | even[1::2, ::2] | even[::2, 1::2] | even[1::2, 1::2])
        self._visible = tuple(plane.astype(np.uint8) for plane in (~masked, colour, colour))
        self._planes = tuple(np.full(visible.shape, _GREY, np.uint8) for visible in self._visible)
        self._size = (width, height)


_GREY = 128  # as luma and as both chroma
