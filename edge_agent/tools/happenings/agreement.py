"""What the agent said beside what there was to say: paired one to one, within a time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from edge_agent.tools.happenings.happening import Happening
from edge_agent.tools.tracking.overlap import best_pairs


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """How far the two agree, about one thing or about all.

    Attributes:
        expected: how often it happened.
        said: how often the agent said so.
        duplicates: how often it said so once more of what it had said already.
        missed_s: when what it did not say happened.
        wrong_s: when it said what did not happen, or said it once more.
        delays_s: of each that it said rightly, how much later than it happened; less than 0 is sooner.
    """

    expected: int
    said: int
    duplicates: int
    missed_s: tuple[float, ...]
    wrong_s: tuple[float, ...]
    delays_s: tuple[float, ...]

    @property
    def right(self) -> int:
        """How often it said so, and rightly."""
        return len(self.delays_s)

    @property
    def recall(self) -> float | None:
        """Part of what happened that it said; None where nothing did."""
        return self.right / self.expected if self.expected else None

    @property
    def precision(self) -> float | None:
        """Part of what it said that happened; None where it said nothing."""
        return self.right / self.said if self.said else None

    def delay_s(self, percent: float) -> float | None:
        """The delay that so many of all do not exceed; None where nothing was right."""
        return float(np.percentile(self.delays_s, percent)) if self.delays_s else None


def compare(expected: Iterable[Happening], said: Iterable[Happening], tolerance_s: float) -> dict[str, Agreement]:
    """Pair what happened with what was said, each thing by itself, in the order of their names.

    Of all pairings of times that are no further apart than the tolerance, the one with the most pairs, and of those the
    one with the least time between them.

    Raises:
        RuntimeMissingError: scipy is not installed.
    """
    true, heard = _times(expected), _times(said)
    return {what: _agreement(true.get(what, []), heard.get(what, []), tolerance_s) for what in sorted({*true, *heard})}


def together(parts: Mapping[str, Agreement]) -> Agreement:
    """Of all things."""
    return Agreement(
        expected=sum(part.expected for part in parts.values()),
        said=sum(part.said for part in parts.values()),
        duplicates=sum(part.duplicates for part in parts.values()),
        missed_s=tuple(sorted(at_s for part in parts.values() for at_s in part.missed_s)),
        wrong_s=tuple(sorted(at_s for part in parts.values() for at_s in part.wrong_s)),
        delays_s=tuple(delay for part in parts.values() for delay in part.delays_s),
    )


def _times(happenings: Iterable[Happening]) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {}
    for one in happenings:
        times.setdefault(one.what, []).append(one.at_s)
    return times


def _agreement(true_s: Sequence[float], said_s: Sequence[float], tolerance_s: float) -> Agreement:
    later = np.subtract.outer(np.array(said_s, np.float64), np.array(true_s, np.float64)).T  # (expected, said)
    near = np.abs(later) <= tolerance_s + _TINY_S
    most = len(true_s) * (2 * tolerance_s + 1)  # a pair more is worth more than any time
    rows, columns = best_pairs(np.where(near, most - np.abs(later), 0.0))
    right = near[rows, columns]
    extra = np.setdiff1d(np.arange(len(said_s)), columns[right])
    told = np.zeros(len(true_s), np.bool_)
    told[rows[right]] = True
    return Agreement(
        expected=len(true_s),
        said=len(said_s),
        duplicates=int(np.count_nonzero(near[:, extra].any(axis=0))),
        missed_s=tuple(at_s for at_s, was_told in zip(true_s, told.tolist(), strict=True) if not was_told),
        wrong_s=tuple(said_s[column] for column in extra.tolist()),
        delays_s=tuple(later[rows[right], columns[right]].tolist()),
    )


_TINY_S = 1e-6  # times of frames are sums of binary fractions
