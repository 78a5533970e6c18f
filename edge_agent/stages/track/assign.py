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
    pairs: dict[int, int] = {}
    taken: set[int] = set()
    if len(rows):
        order = np.argsort(-similarity[rows, columns], kind="stable")
        for row, column in zip(rows[order].tolist(), columns[order].tolist(), strict=True):
            if row not in pairs and column not in taken:
                pairs[row] = column
                taken.add(column)
    return np.array(list(pairs), np.int64), np.array(list(pairs.values()), np.int64)
