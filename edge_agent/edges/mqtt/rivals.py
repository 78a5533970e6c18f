"""How long to stay away when another client has our id, so that two boxes do not fight all day."""

from __future__ import annotations

from collections.abc import Callable

_FIRST_S = 60.0
_CAP_S = 900.0
_PEACE_S = 600.0
"""Who was left alone for so long has no rival any more."""

_SHORT_S = 10.0
_MANY = 5
"""MQTT 3.1.1 does not say why a connection ends: so many in a row that last no longer than this look like a rival."""


class Rivals:
    """Whether there is one, and until when to stay away for its sake.

    Args:
        first_s: longest wait after many short connections; it doubles with each further one.
        cap_s: longest of these waits. After a rival that shows itself they are a minute, doubling to a quarter of an
            hour.
        uniform: `random.uniform`, or a stand-in in tests.
    """

    def __init__(self, *, first_s: float, cap_s: float, uniform: Callable[[float, float], float]) -> None:
        self._first_s = first_s
        self._cap_s = cap_s
        self._uniform = uniform
        self._taken = 0
        self._short = 0

    def stay_away_s(self, *, taken_over: bool, broke: bool, lasted_s: float) -> float:
        """How long to stay away after a connection has ended, in seconds.

        Args:
            taken_over: whether the broker said that another client came with our id.
            broke: whether it ended without a word, and not by us.
            lasted_s: for how long it was there.
        """
        if lasted_s >= _PEACE_S:
            self._taken = 0
        if taken_over:
            self._taken += 1
            return self._uniform(0.5, 1.0) * min(_CAP_S, _FIRST_S * 2.0 ** min(self._taken - 1, 32))
        self._short = self._short + 1 if broke and lasted_s < _SHORT_S else 0
        if self._short < _MANY:
            return 0.0
        return self._uniform(0.5, 1.0) * min(self._cap_s, self._first_s * 2.0 ** min(self._short - _MANY, 32))
