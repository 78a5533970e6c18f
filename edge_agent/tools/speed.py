"""Two models run in turn, so that what else the machine does meets both."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
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

    def told(self) -> dict[str, float]:
        """The same as a manifest has it."""
        return {
            "cpu_ms_before": round(self.before_ms, 3),
            "cpu_ms_after": round(self.after_ms, 3),
            "ratio": round(self.ratio, 3),
        }


def compare(models: tuple[Vision, Vision], tensors: Sequence[NDArray[Any]], rounds: int = _ROUNDS) -> Speed:
    """Run two models in turn, each on its tensor of the same picture.

    Args:
        models: the one before and the one after.
        tensors: what each of them takes.
        rounds: how often.
    """
    spent_ms: tuple[list[float], list[float]] = ([], [])
    for turn in range(-_WARM_UP_ROUNDS, rounds):
        for vision, tensor, spent in zip(models, tensors, spent_ms, strict=True):
            began_s = time.process_time()
            vision.infer(tensor)
            if turn >= 0:
                spent.append((time.process_time() - began_s) * 1000)
    return Speed(before_ms=statistics.median(spent_ms[0]), after_ms=statistics.median(spent_ms[1]))
