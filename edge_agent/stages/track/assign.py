"""Assignment: which box is which track."""

from __future__ import annotations

import numpy as np

from edge_agent.records import FloatArray, IntArray


def best_first(similarity: FloatArray) -> tuple[IntArray, IntArray]:
    """Pair rows with columns, the most similar pair first, each used once; a similarity of 0 or less is no pair.

    Costs a sort of the few pairs that are possible at all, where the optimal assignment is cubic; on surveillance
    views the two hardly ever differ.

    Args:
        similarity: (N, M).

    Returns:
        (K,) rows and (K,) columns.
    """
    rows, columns = np.nonzero(similarity > 0)
    order = np.argsort(-similarity[rows, columns], kind="stable")
    taken_rows: dict[int, int] = {}
    taken_columns: set[int] = set()
    for row, column in zip(rows[order].tolist(), columns[order].tolist(), strict=True):
        if row not in taken_rows and column not in taken_columns:
            taken_rows[row] = column
            taken_columns.add(column)
    return np.array(list(taken_rows), np.int64), np.array(list(taken_rows.values()), np.int64)
