"""How far pixels usually differ from the background: a camera's noise, leaves in the wind, lamps that blink."""

from __future__ import annotations

import math

import numpy as np

from edge_agent import pixels
from edge_agent.records import BoolArray, FloatArray
from edge_agent.stages.gate.settings import GateSettings


class Usual:
    """How far each pixel usually strays from the background: the difference that three pictures in four stay below.

    It grows by a part where a picture strays farther, and shrinks by a third of that where it does not: so it comes to
    rest at that quartile. What has moved counts little, for people who pass are no noise; but where something moves for
    most of several minutes, that is usual.

    Args:
        settings: see `GateSettings`.
        visible: (h, w) of the small picture, false where it is masked.
    """

    def __init__(self, settings: GateSettings, visible: BoolArray) -> None:
        self._settings = settings
        self._visible = visible
        self._visible_count = max(1, int(np.count_nonzero(visible)))
        shape = visible.shape
        self._least: FloatArray = np.full(shape, settings.threshold / (1 + _MARGIN), np.float32)
        self._usual = self._least.copy()  # grey levels
        self._limit: FloatArray = np.full(shape, settings.threshold, np.float32)  # what differs by more has moved
        self._limited_s = 0.0  # for how long that has held
        self._learnt_s = _FASTEST_S
        self.share = 0.0  # the part of the pixels that usually stray: none without noise, else a quarter

    def exceeded(self, difference: FloatArray, passed_s: float) -> tuple[BoolArray, BoolArray]:
        """Where a picture strays farther than usual, and where by a margin, as far as it is visible; learn from it."""
        self._limited_s += passed_s
        if self._limited_s >= _LIMIT_HOLDS_S:
            self._limit, self._limited_s = self._new_limit(), 0.0
        strays: BoolArray = (difference > self._usual) & self._visible
        moved: BoolArray = (difference > self._limit) & self._visible
        self._learn(strays, moved, min(passed_s, _MOST_STEP_S))
        return strays, moved

    def hurry(self) -> None:
        """Learn fast for a while, for what is seen now strays in another way."""
        self._learnt_s = _FASTEST_S

    def _new_limit(self) -> FloatArray:
        """What is usual and a margin, though at most twice `threshold`: that is for noise, a tree has its bounds."""
        usual = pixels.highest_around(self._usual)  # leaves that stray there also come here
        limit = np.minimum(usual, np.float32(self._settings.threshold))
        limit *= _MARGIN
        limit += usual
        return limit

    def _learn(self, strays: BoolArray, moved: BoolArray, step_s: float) -> None:
        self._learnt_s += step_s
        part = step_s / min(self._learnt_s, self._settings.background_s)
        up, down = math.exp(part * _QUARTILE), math.exp(part * (_QUARTILE - 1))
        growth = strays * np.float32(up - down)
        growth += np.float32(down)
        if moved.any():
            growth[moved] = math.exp(step_s / self._settings.background_s * _QUARTILE * _MOVED_COUNTS)
        share = min(int(np.count_nonzero(strays)) / self._visible_count, 1 - _QUARTILE)
        self.share += min(1.0, step_s / (_SHARE_IS_SLOWER * self._settings.background_s)) * (share - self.share)
        self._usual *= growth
        np.maximum(self._usual, self._least, out=self._usual)


_MARGIN = 2.0  # in units of what is usual: for Gaussian noise 3.5 standard deviations in all
_LIMIT_HOLDS_S = 1.0  # what is usual changes slowly
_FASTEST_S = 1.0  # the time constant in the beginning; it grows with what was seen since
_MOST_STEP_S = 1.0  # a picture that comes alone after a while tells no more than one
_SHARE_IS_SLOWER = 4.0  # so that light that changes slowly is not taken for noise
_QUARTILE = 0.75
_MOVED_COUNTS = 0.125  # so much as what only strays
