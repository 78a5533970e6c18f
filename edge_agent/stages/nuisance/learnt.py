"""What was learnt of the places of one camera: a grid over the picture for each label, in which old news fades."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from edge_agent.records import FloatArray

COLUMNS, ROWS = 32, 18
"""Cells over the picture: of 1920x1080 each is 60 x 60 pixels, about what a person's foot jitters about."""

HALF_LIFE_S = 7 * 86400.0
"""After a week a thing counts half: leaves fall, snow melts, a lamp is moved."""

_DIGITS = 3
_LEAST = 10.0**-_DIGITS
_LARGEST = 1e9  # more than a place can fire in a week


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Learnt:
    """What is known, as of a moment; a new one takes its place when something is added.

    Attributes:
        false: by label (ROWS, COLUMNS) float32, how many false tracks stood in each cell, old ones less.
        passed: by label (ROWS, COLUMNS) float32, how many real things went through each cell.
        watched_s: for how long it was watched, long ago less: what makes a rate of these.
    """

    false: Mapping[str, FloatArray]
    passed: Mapping[str, FloatArray]
    watched_s: float = 0.0

    @staticmethod
    def nothing(labels: tuple[str, ...]) -> Learnt:
        """Nothing is known of these labels."""
        return Learnt(false={label: _empty() for label in labels}, passed={label: _empty() for label in labels})

    def aged(self, seconds: float) -> Learnt:
        """The same so much later."""
        if seconds <= 0:
            return self
        left = np.float32(0.5 ** (seconds / HALF_LIFE_S))
        return Learnt(
            false={label: grid * left for label, grid in self.false.items()},
            passed={label: grid * left for label, grid in self.passed.items()},
            watched_s=self.watched_s * float(left),
        )

    def watched(self, seconds: float) -> Learnt:
        """The same when it was watched for so much longer."""
        return replace(self, watched_s=self.watched_s + seconds)

    def of(self, labels: tuple[str, ...]) -> Learnt:
        """The same for these labels only: another that was looked for once is forgotten, a new one is not known."""
        return Learnt(
            false={label: self.false.get(label, _empty()) for label in labels},
            passed={label: self.passed.get(label, _empty()) for label in labels},
            watched_s=self.watched_s,
        )

    def to_json(self) -> dict[str, Any]:
        """As JSON types, cells that hold something only."""
        return {
            "grid": [COLUMNS, ROWS],
            "watched_s": round(self.watched_s, 1),
            "false": {label: _cells(grid) for label, grid in self.false.items()},
            "passed": {label: _cells(grid) for label, grid in self.passed.items()},
        }

    @staticmethod
    def from_json(content: Any) -> Learnt:
        """Read what `to_json` wrote.

        Raises:
            ValueError: it is no such thing.
        """
        try:
            if content["grid"] != [COLUMNS, ROWS]:
                raise ValueError("another grid")  # noqa: TRY301  (one message for all that can be wrong)
            return Learnt(
                false={str(label): _grid(cells) for label, cells in content["false"].items()},
                passed={str(label): _grid(cells) for label, cells in content["passed"].items()},
                watched_s=_amount(content["watched_s"]),
            )
        except (ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError) as error:
            raise ValueError(f"not what was written: {type(error).__name__}") from error


def _empty() -> FloatArray:
    return np.zeros((ROWS, COLUMNS), np.float32)


def _cells(grid: FloatArray) -> dict[str, float]:
    return {str(cell): round(value, _DIGITS) for cell, value in enumerate(grid.ravel().tolist()) if value >= _LEAST}


def _grid(cells: Mapping[str, Any]) -> FloatArray:
    grid = _empty()
    for cell, value in cells.items():
        row, column = divmod(int(cell), COLUMNS)
        if row < 0:
            raise ValueError("no such cell")
        grid[row, column] = _amount(value)
    return grid


def _amount(value: Any) -> float:
    amount = float(value)
    if not (math.isfinite(amount) and 0 <= amount <= _LARGEST):
        raise ValueError("no such amount")
    return amount
