"""What runs of models take: measured in turns, so that what else the machine does meets all of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Any

from numpy.typing import NDArray

from edge_agent.vision import Vision

ROUNDS = 15

MOST_S = 10.0
"""No further round is begun after so long."""

_PAIR_ROUNDS = 41
_WARM_UP_ROUNDS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """Milliseconds of a run: of all processors together, and by the clock."""

    cpu_ms: float
    wall_ms: float


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


def in_turn(runs: Sequence[Callable[[], object]], rounds: int = ROUNDS) -> list[Spent]:
    """What each of several runs takes, the median of many; of one, where each takes seconds."""
    began_s = time.perf_counter()
    cpu_ms: list[list[float]] = [[] for _ in runs]
    wall_ms: list[list[float]] = [[] for _ in runs]
    for turn in range(-_WARM_UP_ROUNDS, rounds):
        for run, cpu, wall in zip(runs, cpu_ms, wall_ms, strict=True):
            cpu_s, wall_s = time.process_time(), time.perf_counter()
            run()
            if turn >= 0:
                cpu.append((time.process_time() - cpu_s) * 1000)
                wall.append((time.perf_counter() - wall_s) * 1000)
        if turn >= 0 and time.perf_counter() - began_s > MOST_S:
            break
    return [Spent(cpu_ms=median(cpu), wall_ms=median(wall)) for cpu, wall in zip(cpu_ms, wall_ms, strict=True)]


def compare(models: tuple[Vision, Vision], tensors: Sequence[NDArray[Any]], rounds: int = _PAIR_ROUNDS) -> Speed:
    """How much faster one model is than another.

    Args:
        models: the one before and the one after.
        tensors: what each of them takes, of the same picture.
        rounds: how often.
    """
    runs = [partial(model.infer, tensor) for model, tensor in zip(models, tensors, strict=True)]
    before, after = in_turn(runs, rounds)
    return Speed(before_ms=before.cpu_ms, after_ms=after.cpu_ms)
