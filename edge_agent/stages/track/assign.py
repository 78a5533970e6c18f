"""Assignment: which box is which track."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence

Wish = tuple[float, int, int]
"""How much a row and a column want each other, and which they are."""


def best_first(wishes: Sequence[Wish], taken: Mapping[int, int]) -> dict[int, int]:
    """Choose pairs, the most wanted first, so that no row and no column is in two.

    Costs a sort of the few pairs that are possible at all, where the optimal assignment is cubic; on surveillance
    views the two hardly ever differ.

    Args:
        wishes: of each possible pair; 0 or less is no pair.
        taken: the column of each row that is paired already.

    Returns:
        These, and the column of each row that is paired now.
    """
    column_of, columns = dict(taken), set(taken.values())
    for wanted, row, column in sorted(wishes, key=_WANTED, reverse=True):
        if wanted > 0 and row not in column_of and column not in columns:
            column_of[row] = column
            columns.add(column)
    return column_of


_WANTED = operator.itemgetter(0)
