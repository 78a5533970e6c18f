"""How much faster one model is than another on this machine, whatever else it does meanwhile."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from edge_agent.vision import Vision

_ROUNDS = 41
_WARM_UP_ROUNDS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """Two models that were run in turn: CPU milliseconds a run, the median of many."""

    before_ms: float
    after_ms: float

    @property
    def ratio(self) -> float:
        """The second to the first."""
        return self.after_ms / self.before_ms


def compare(before: Vision, after: Vision, tensor: NDArray[Any], rounds: int = _ROUNDS) -> Speed:
    """Run two models on one picture in turn, so that what else the machine does meets both."""
    spent_ms: tuple[list[float], list[float]] = ([], [])
    for turn in range(-_WARM_UP_ROUNDS, rounds):
        for vision, spent in zip((before, after), spent_ms, strict=True):
            began_s = time.process_time()
            vision.infer(tensor)
            if turn >= 0:
                spent.append((time.process_time() - began_s) * 1000)
    return Speed(before_ms=statistics.median(spent_ms[0]), after_ms=statistics.median(spent_ms[1]))
