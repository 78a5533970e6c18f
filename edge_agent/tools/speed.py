"""What runs of models take: measured in turns, so that what else the machine does meets all of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

ROUNDS = 15

_WARM_UP_ROUNDS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """Milliseconds of a run: of all processors together, and by the clock."""

    cpu_ms: float
    wall_ms: float


def in_turn(runs: Sequence[Callable[[], object]], rounds: int = ROUNDS) -> list[Spent]:
    """What each of several runs takes, the median of many, in turns, so that what else the machine does meets all."""
    cpu_ms: list[list[float]] = [[] for _ in runs]
    wall_ms: list[list[float]] = [[] for _ in runs]
    for turn in range(-_WARM_UP_ROUNDS, rounds):
        for run, cpu, wall in zip(runs, cpu_ms, wall_ms, strict=True):
            cpu_s, wall_s = time.process_time(), time.perf_counter()
            run()
            if turn >= 0:
                cpu.append((time.process_time() - cpu_s) * 1000)
                wall.append((time.perf_counter() - wall_s) * 1000)
    return [Spent(cpu_ms=median(cpu), wall_ms=median(wall)) for cpu, wall in zip(cpu_ms, wall_ms, strict=True)]
