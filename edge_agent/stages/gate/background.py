"""What a camera shows when nothing moves, and what differs from it."""

from __future__ import annotations

import math

import numpy as np

from edge_agent import geometry, pixels
from edge_agent.records import BoolArray, ByteArray, FloatArray, Frame
from edge_agent.settings import Polygon
from edge_agent.stages.gate.light import Light
from edge_agent.stages.gate.settings import GateSettings
from edge_agent.stages.gate.usual import Usual

_LONGEST_SILENCE_S = 30.0  # a scene that was not seen for so long is a new one


class Background:
    """A running average of small luma pictures, and of each pixel how far it usually strays from it.

    The average brightness is taken out first, so that a camera's own exposure control is no motion. When much of the
    picture changes (a lamp, a cloud, infrared switching on) it is the light. Until that has settled, for some seconds
    at most, nothing is said to move, and the background is learnt anew.

    A pixel has moved when it differs by more than it usually does and a margin. So noise is no motion however strong it
    is, and what moves for ever in one place (a tree, a lamp that blinks) calms down there and nowhere else.

    Args:
        settings: see `GateSettings`.
        mask: areas in 0..1 that are not compared.
    """

    def __init__(self, settings: GateSettings, mask: tuple[Polygon, ...] = ()) -> None:
        self._settings = settings
        self._mask = mask
        self._average: FloatArray = np.zeros((0, 0), np.float32)  # (h, w) grey levels
        self._light = Light()
        self._visible: BoolArray = np.ones((0, 0), np.bool_)  # (h, w), false where masked
        self._visible_chroma = self._visible  # some of it
        self._visible_count = 0
        self._usual = Usual(settings, self._visible)
        self._at_s = -math.inf

    def compare(self, frame: Frame) -> tuple[FloatArray, bool]:
        """Where something moves, (N, 4) xyxy pixels of the frame, and whether the background was learnt anew."""
        width = self._settings.width_px
        height = max(1, round(width * frame.height / frame.width))
        small = pixels.shrink(frame.luma, width, height).astype(np.float32)
        passed_s, self._at_s = frame.at_s - self._at_s, frame.at_s
        is_stale = passed_s > _LONGEST_SILENCE_S
        if self._average.shape != small.shape or is_stale:
            self._average = small
            masked = geometry.polygon_mask(self._mask, width, height).astype(np.float32)
            self._visible = pixels.highest_around(masked) == 0  # a pixel beside them is made of masked ones, too
            self._visible_count = int(np.count_nonzero(self._visible))
            self._usual = Usual(self._settings, self._visible)
            self._visible_chroma = self._visible[::_CHROMA_STEP, ::_CHROMA_STEP]
            self._light = Light()
            self._light.switches(self._chroma(frame))
            return _NOWHERE, True
        difference = small - self._average
        difference -= self._level(difference)
        strays, moved = self._usual.exceeded(np.abs(difference, out=difference), passed_s)
        is_light, is_other = self._judge(frame, strays, moved)
        if is_light:
            if is_other:
                self._average = small
                self._usual.hurry()
            return _NOWHERE, True
        # Towards the picture: a first-order low pass with a time constant in seconds.
        self._average += np.float32(1.0 - math.exp(-passed_s / self._settings.background_s)) * (small - self._average)
        regions = pixels.blobs(moved, self._settings.min_area * moved.size)
        scale = np.array([frame.width / width, frame.height / height] * 2, np.float32)
        return regions * scale, False

    def _judge(self, frame: Frame, strays: BoolArray, moved: BoolArray) -> tuple[bool, bool]:
        """Whether it is the light that makes a difference, and whether this picture is the background from now on."""
        most = self._settings.light_change * self._visible_count
        more = int(np.count_nonzero(strays)) - self._usual.share * self._visible_count
        changes = self._light.switches(self._chroma(frame)) or more > most * (1 - self._usual.share)
        was_changing = self._light.is_changing
        is_changing = self._light.observe(frame.at_s, changes=changes)
        is_light = is_changing or was_changing or int(np.count_nonzero(moved)) > most
        return is_light, changes or not is_changing

    def _chroma(self, frame: Frame) -> ByteArray:
        """Some samples of both chroma planes, (N,)."""
        height, width = self._visible_chroma.shape
        planes = (frame.chroma_blue, frame.chroma_red)
        return np.concatenate([pixels.sample(plane, width, height)[self._visible_chroma] for plane in planes])

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
_CHROMA_STEP = 8  # pixels of the small picture from one sample of colour to the next
