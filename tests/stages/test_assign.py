"""Pairs of rows and columns, the most similar first."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edge_agent.records import FloatArray
from edge_agent.stages.track.assign import best_first


def pairs(similarity: FloatArray) -> list[tuple[int, int]]:
    wishes = [(wanted, *where) for where, wanted in np.ndenumerate(similarity.astype(float))]
    return list(best_first(wishes, {}).items())


@pytest.mark.parametrize(
    ("similarity", "expected"),
    [
        ([[0.9]], [(0, 0)]),
        ([[0.0]], []),
        ([[-0.5]], []),
        ([[0.9, 0.8], [0.8, 0.1]], [(0, 0), (1, 1)]),  # the best pair first, though .8 + .8 is more than .9 + .1
        ([[0.9, 0.8], [0.8, 0.0]], [(0, 0)]),
        ([[0.5, 0.6, 0.7]], [(0, 2)]),
        ([[0.5], [0.6], [0.7]], [(2, 0)]),
        ([[0.5, 0.5], [0.5, 0.5]], [(0, 0), (1, 1)]),  # ties: by row, then by column
    ],
)
def test_the_most_similar_pair_comes_first_and_each_is_used_once(
    similarity: list[list[float]], expected: list[tuple[int, int]]
) -> None:
    assert pairs(np.array(similarity, np.float32)) == expected


def test_nothing_pairs_with_nothing() -> None:
    assert best_first([], {}) == {}


def test_what_is_paired_already_stays_and_comes_first() -> None:
    """Row 1 and column 4 are taken, so that of three wishes one is left."""
    wishes = [(0.9, 1, 3), (0.8, 2, 4), (0.7, 2, 3)]
    assert list(best_first(wishes, {1: 4}).items()) == [(1, 4), (2, 3)]


@given(
    hnp.arrays(
        np.float32,
        hnp.array_shapes(min_dims=2, max_dims=2, max_side=6),
        elements=st.sampled_from([-1.0, 0.0, 0.25, 0.5, 0.5, 0.75, 1.0]),
    )
)
def test_pairs_are_unique_positive_and_none_is_left_that_could_be_made(similarity: FloatArray) -> None:
    found = pairs(similarity)
    rows, columns = {row for row, _ in found}, {column for _, column in found}
    assert len(rows) == len(columns) == len(found)
    assert all(similarity[pair] > 0 for pair in found)
    for row, column in zip(*np.nonzero(similarity > 0), strict=True):
        # a pair that was not made had a rival at least as similar
        rivals = [similarity[pair] for pair in found if pair[0] == row or pair[1] == column]
        assert rivals
        assert max(rivals) >= similarity[row, column]
    assert found == pairs(similarity)
