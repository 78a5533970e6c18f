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
        shape: of the small picture.
    """

    def __init__(self, settings: GateSettings, shape: tuple[int, ...]) -> None:
        self._settings = settings
        self._least: FloatArray = np.full(shape, settings.threshold / (1 + _MARGIN), np.float32)
        self._most: FloatArray = np.full(shape, settings.threshold, np.float32)
        self._usual = self._least.copy()  # grey levels
        self._learnt_s = _FASTEST_S

    def exceeded(self, difference: FloatArray, passed_s: float) -> BoolArray:
        """Where a picture strays farther than usual by a margin; learn from it.

        The margin is no more than twice `threshold`: it is for noise, which has no bounds, and a tree has.
        """
        usual = pixels.highest_around(self._usual)  # leaves that stray there also come here
        margin = np.minimum(usual, self._most)
        margin *= _MARGIN
        margin += usual
        moved: BoolArray = difference > margin
        self._learn(difference > self._usual, moved, passed_s)
        return moved

    def hurry(self) -> None:
        """Learn fast for a while, for what is seen now strays in another way."""
        self._learnt_s = _FASTEST_S

    def _learn(self, strays: BoolArray, moved: BoolArray, passed_s: float) -> None:
        step_s = min(passed_s, _MOST_STEP_S)
        self._learnt_s += step_s
        down, up = np.exp(step_s / min(self._learnt_s, self._settings.background_s) * _GROWTH).astype(np.float32)
        up_moved = np.float32(math.exp(step_s / self._settings.background_s * _MOVED_COUNTS * _QUARTILE))
        growth = strays * (up - down)
        growth += down
        if moved.any():
            growth[moved] = up_moved
        self._usual *= growth
        np.maximum(self._usual, self._least, out=self._usual)


_MARGIN = 2.0  # in units of what is usual: for Gaussian noise 3.5 standard deviations in all
_FASTEST_S = 1.0  # the time constant in the beginning; it grows with what was seen since
_MOST_STEP_S = 1.0  # a picture that comes alone after a while tells no more than one
_QUARTILE = 0.75
_GROWTH = np.array([_QUARTILE - 1, _QUARTILE])  # where it does not stray and where it does, in a time constant
_MOVED_COUNTS = 0.125  # so much of that where it has moved
