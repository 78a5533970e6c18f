"""From a frame to the tensor that a model wants to see."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_agent import pixels
from edge_agent.records import ByteArray, Frame
from edge_agent.stages.detect.head import Head, shape_of
from edge_agent.stages.detect.parts import Canvas


class Preparation:
    """Resizes frames and puts their pixels into the model's input, as its head wants it.

    It keeps one tensor and fills it anew each time: whoever wants to hold on to what `tensor` or `of` gives copies it.

    Args:
        head: says how.
        input_size: width and height that the model sees.
    """

    def __init__(self, head: Head, input_size: tuple[int, int]) -> None:
        self._head = head
        self._size = input_size
        # What the model wants for each of 0..255, a row a channel in the model's order.
        levels = np.arange(256, dtype=np.float32)
        table = (levels - np.array(head.mean, np.float32)[:, None]) / np.array(head.std, np.float32)[:, None]
        dtype = np.uint8 if head.dtype == "uint8" else np.float32
        self._table = table.astype(dtype)
        self._blob = np.empty(shape_of(head.layout, input_size), dtype)
        self._scratch = pixels.Scratch(*input_size)
        self._padded_for = (0, 0)  # width and height of the last picture

    def picture_size(self, width: int, height: int) -> tuple[int, int]:
        """How large the model sees a frame of that width and height."""
        return self._size if self._head.resize == "stretch" else letterbox(width, height, *self._size)

    def canvas(self, frame: Frame) -> Canvas:
        """How large the model sees a frame, and how small a part of it may be.

        Parts have the form of the model's input, and fill it. A model that sees pictures stretched sees things in a
        part as they are, so.
        """
        width, height = self._size
        return Canvas(width=frame.width, height=frame.height, least_width=width, least_height=height)

    def of(self, frame: Frame) -> NDArray[Any]:
        """The model's input with a frame in it."""
        return self.tensor(pixels.to_bgr(frame, *self.picture_size(frame.width, frame.height), self._scratch))

    def picture(self, frame: Frame) -> ByteArray:
        """The frame as large as the model sees it: (h, w, 3) uint8, blue, green, red."""
        return pixels.to_bgr(frame, *self.picture_size(frame.width, frame.height))

    def tensor(self, picture: ByteArray) -> NDArray[Any]:
        """The model's input with such a picture in its top left, and padding around it."""
        height, width = picture.shape[:2]
        if (width, height) != self._padded_for:
            self._padded_for = width, height
            padding = self._table[:, self._head.padding]
            self._blob[:] = padding[:, None, None] if self._head.layout == "nchw" else padding
        # The table is in the model's order and the picture in BGR: for an RGB model the channels are written backwards.
        order = slice(None) if self._head.colour == "bgr" else slice(None, None, -1)
        if self._head.layout == "nchw":
            pixels.fill_channels(picture, self._table[order], self._blob[0, order], self._scratch)
        else:
            pixels.fill_pixels(picture[..., order], self._table, self._blob[0])
        return self._blob.astype(np.float16) if self._head.dtype == "float16" else self._blob


def letterbox(width: int, height: int, input_width: int, input_height: int) -> tuple[int, int]:
    """Largest even size with a picture's aspect that fits into the model's input."""
    scale = min(input_width / width, input_height / height)
    return max(2, round(width * scale / 2) * 2), max(2, round(height * scale / 2) * 2)
