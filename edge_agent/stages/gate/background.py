"""What a camera shows when nothing moves, and what differs from it."""

from __future__ import annotations

import math

import numpy as np

from edge_agent import geometry, pixels
from edge_agent.records import BoolArray, FloatArray, Frame
from edge_agent.settings import Polygon
from edge_agent.stages.gate.settings import GateSettings
from edge_agent.stages.gate.usual import Usual

_LONGEST_SILENCE_S = 30.0  # a scene that was not seen for so long is a new one


class Background:
    """A running average of small luma pictures, and of each pixel how far it usually strays from it.

    The average brightness is taken out first, so that a camera's own exposure control is no motion. When most of the
    picture changes at once (a lamp, infrared switching on) the background is learnt anew.

    A pixel has moved when it differs by more than it usually does and a margin. So noise is no motion however strong it
    is, and what moves for ever in one place (a tree, a lamp that blinks) calms down there and nowhere else.

    Args:
        settings: see `GateSettings`.
        mask: areas in 0..1 that are not compared.
    """

    def __init__(self, settings: GateSettings, mask: tuple[Polygon, ...] = ()) -> None:
        self._settings = settings
        self._mask = mask
        self._average: FloatArray | None = None  # (h, w) grey levels
        self._usual: Usual | None = None
        self._visible: BoolArray = np.ones((0, 0), np.bool_)  # (h, w), false where masked
        self._at_s = -math.inf

    def compare(self, frame: Frame) -> tuple[FloatArray, bool]:
        """Where something moves, (N, 4) xyxy pixels of the frame, and whether the background was learnt anew."""
        width = self._settings.width_px
        height = max(1, round(width * frame.height / frame.width))
        small = pixels.shrink(frame.luma, width, height).astype(np.float32)
        passed_s, self._at_s = frame.at_s - self._at_s, frame.at_s
        is_stale = passed_s > _LONGEST_SILENCE_S
        if self._usual is None or self._average is None or self._average.shape != small.shape or is_stale:
            self._average = small
            self._usual = Usual(self._settings, small.shape)
            self._visible = ~geometry.polygon_mask(self._mask, width, height)
            return _NOWHERE, True
        difference = small - self._average
        difference -= self._level(difference)
        moved = self._usual.exceeded(np.abs(difference, out=difference), passed_s)
        moved &= self._visible
        if np.count_nonzero(moved) > self._settings.light_change * np.count_nonzero(self._visible):
            self._average = small
            self._usual.hurry()
            return _NOWHERE, True
        # Towards the picture: a first-order low pass with a time constant in seconds.
        self._average += np.float32(1.0 - math.exp(-passed_s / self._settings.background_s)) * (small - self._average)
        regions = pixels.blobs(moved, self._settings.min_area * moved.size)
        scale = np.array([frame.width / width, frame.height / height] * 2, np.float32)
        return regions * scale, False

    def _level(self, difference: FloatArray) -> np.float32:
        """How much brighter the picture is as a whole, by what is not masked."""
        values = difference[::4, ::4][self._visible[::4, ::4]]
        return _median(values) if values.size else np.float32(0)


def _median(values: FloatArray) -> np.float32:
    """The upper median; NumPy's own takes twice as long, mostly to find out that nothing is missing."""
    flat = values.ravel()
    middle: np.float32 = np.partition(flat, flat.size // 2)[flat.size // 2]
    return middle


_NOWHERE: FloatArray = np.zeros((0, 4), np.float32)
