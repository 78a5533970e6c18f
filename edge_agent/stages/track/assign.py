"""Assignment: which box is which track."""

from __future__ import annotations

import numpy as np

from edge_agent.records import FloatArray, IntArray


def best_first(rows: IntArray, columns: IntArray, similarity: FloatArray) -> tuple[IntArray, IntArray]:
    """Choose pairs, the most similar first, so that no row and no column is in two.

    Costs a sort of the few pairs that are possible at all, where the optimal assignment is cubic; on surveillance
    views the two hardly ever differ.

    Args:
        rows: (K,) of each possible pair.
        columns: (K,) of each.
        similarity: (K,) of each; 0 or less is no pair.

    Returns:
        (L,) rows and (L,) columns.
    """
    order = (-similarity).argsort(kind="stable")[: np.count_nonzero(similarity > 0)]
    column_of: dict[int, int] = {}
    row_of: dict[int, int] = {}
    for row, column in zip(rows[order].tolist(), columns[order].tolist(), strict=True):
        if row not in column_of and column not in row_of:
            column_of[row] = column
            row_of[column] = row
    return np.array(list(column_of), np.int64), np.array(list(row_of), np.int64)
