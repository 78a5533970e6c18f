"""From cells to nuisances: what lies together and cries wolf becomes one, with an outline to leave it out by."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from edge_agent import geometry
from edge_agent.records import BoolArray, Box, FloatArray
from edge_agent.stages.nuisance.learnt import COLUMNS, ROWS, Learnt

LEAST_TIMES = 5.0
"""So often a place must have been wrong, more than real things speak for it, before it is called a nuisance."""

CLEARS = 4.0
"""So many false tracks one real thing outweighs: where people walk, nothing is to be left out."""

_LEAST_IN_A_CELL = 0.5
_LEAST_PART = 0.1  # of what the worst cell has; less is a straggler that would only make the outline larger
_HOUR_S = 3600.0
_LEAST_HOURS = 1.0  # what happened thrice in a minute is not 180 an hour


@dataclass(frozen=True, slots=True, kw_only=True)
class Nuisance:
    """A place where false tracks of a label stand again and again.

    Attributes:
        label: as what they are taken.
        times: how many there were, old ones less.
        per_hour: how many an hour of what was watched, lately.
        passed: how many real things of the label went through the outline, old ones less: at least so many.
        box: xyxy in 0..1 around the cells.
        outline: corners in 0..1, in order.
    """

    label: str
    times: float
    per_hour: float
    passed: float
    box: Box
    outline: tuple[tuple[float, float], ...]


def nuisances(learnt: Learnt, least_times: float = LEAST_TIMES) -> list[Nuisance]:
    """The nuisances, the worst first."""
    hours = max(learnt.watched_s / _HOUR_S, _LEAST_HOURS)
    found = []
    for label, false in learnt.false.items():
        passed = learnt.passed[label]
        surplus = false - CLEARS * passed
        if np.max(false) < _LEAST_IN_A_CELL:
            continue
        for group in _groups(surplus >= _LEAST_IN_A_CELL):
            cells = group & (surplus >= _LEAST_PART * np.max(surplus[group]))
            if round(float(np.sum(surplus[cells])), 1) >= least_times:
                found.append(_nuisance(label, cells, false, passed, hours))
    return sorted(found, key=lambda one: -one.times)


def _nuisance(label: str, cells: BoolArray, false: FloatArray, passed: FloatArray, hours: float) -> Nuisance:
    rows, columns = np.nonzero(cells)
    left, top = int(np.min(columns)), int(np.min(rows))
    right, bottom = int(np.max(columns)) + 1, int(np.max(rows)) + 1
    outline = _hull((column + x, row + y) for row, column in _pairs(cells) for x in (0, 1) for y in (0, 1))
    corners = tuple((round(x / COLUMNS, _DIGITS), round(y / ROWS, _DIGITS)) for x, y in outline)
    inside = geometry.polygon_mask([corners], COLUMNS, ROWS)
    times = float(np.sum(false[inside]))
    return Nuisance(
        label=label,
        times=round(times, 1),
        per_hour=round(times / hours, 2),
        passed=round(float(np.max(passed[inside])), 1),
        box=(left / COLUMNS, top / ROWS, right / COLUMNS, bottom / ROWS),
        outline=corners,
    )


def _pairs(cells: BoolArray) -> list[tuple[int, int]]:
    return [(row, column) for row, column in np.argwhere(cells).tolist()]


def _groups(cells: BoolArray) -> Iterator[BoolArray]:
    """Cells that touch each other, be it by a corner, a group at a time."""
    left = set(_pairs(cells))
    while left:
        group, waiting = np.zeros_like(cells), [left.pop()]
        while waiting:
            row, column = waiting.pop()
            group[row, column] = True
            near = {(row + down, column + beside) for down in (-1, 0, 1) for beside in (-1, 0, 1)} & left
            left -= near
            waiting += near
        yield group


def _hull(points: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """The corners of the smallest convex polygon around some points, in order.

    Source: A. M. Andrew, "Another efficient algorithm for convex hulls in two dimensions", Information Processing
    Letters 9(5), 1979.
    """
    in_order = sorted(set(points))
    return [*_chain(in_order), *_chain(in_order[::-1])]


def _chain(points: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """One half of the hull, without its last point, which begins the other half."""
    chain: list[tuple[int, int]] = []
    for x, y in points:
        while len(chain) > 1 and _turns_back(chain[-2], chain[-1], (x, y)):
            chain.pop()
        chain.append((x, y))
    return chain[:-1]


def _turns_back(first: tuple[int, int], second: tuple[int, int], third: tuple[int, int]) -> bool:
    return (second[0] - first[0]) * (third[1] - first[1]) <= (second[1] - first[1]) * (third[0] - first[0])


_DIGITS = 4
