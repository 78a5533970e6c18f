"""How many threads a run of the model should take: as few as keep up with the cameras, for each more costs CPU."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edge_agent.edges.choices import Pace

USED = 0.6
"""Part of the processors' time that looks may take: decoding, the gate and the rest of the machine want theirs, and
runs beside each other slow each other down."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What the cameras want.

    Attributes:
        labels: what any of them looks for, sorted.
        looks_hz: looks a second of all of them together, while all see something move; one with closer looks or tiles
            counts as often as it may run the model.
        rate_hz: the same of the one that may run the model most often.
    """

    labels: tuple[str, ...]
    looks_hz: float
    rate_hz: float


def keeps_up(pace: Pace, demand: Demand, cores: int) -> bool:
    """Whether runs of that pace, as many at a time as the processors take, are soon enough and enough in number."""
    return pace.wall_ms <= 1000 / demand.rate_hz and demand.looks_hz <= USED * _most_hz(pace, cores)


def chosen(paces: Sequence[Pace], demand: Demand, cores: int) -> Pace:
    """The pace that costs least CPU of those that keep up; where none does, the one that looks most often.

    Args:
        paces: one at least.
        demand: what the cameras want.
        cores: how many processors there are.
    """
    enough = [pace for pace in paces if keeps_up(pace, demand, cores)]
    if enough:
        return min(enough, key=lambda pace: (pace.cpu_ms, pace.threads))
    return max(paces, key=lambda pace: (_most_hz(pace, cores), -pace.threads))


def _most_hz(pace: Pace, cores: int) -> float:
    return max(1, cores // pace.threads) * 1000 / pace.wall_ms
