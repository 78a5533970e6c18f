"""How the sides of a tensor become those of another when its numbers stay in order, as `Reshape` leaves them."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from edge_agent.records import IntArray

Span = tuple[int, int]
"""First side, and the one after the last."""


def groups(before: Sequence[int], after: Sequence[int]) -> list[tuple[Span, Span]]:
    """The fewest sides at a time that hold as many numbers before as after.

    Args:
        before: sides of a tensor.
        after: sides of one with as many numbers.

    Example:
        (1, 255, 52, 52) to (1, 3, 85, 2704): 1 to 1, 255 to 3 x 85, 52 x 52 to 2704.
    """
    found: list[tuple[Span, Span]] = []
    i = j = 0
    while i < len(before) and j < len(after):
        first_i, first_j = i, j
        left, right = before[i], after[j]
        i, j = i + 1, j + 1
        while left != right:
            if left < right:
                left, i = left * before[i], i + 1
            else:
                right, j = right * after[j], j + 1
        found.append(((first_i, i), (first_j, j)))
    if found:  # sides of 1 that are left over go with the last
        (first_i, _), (first_j, _) = found[-1]
        found[-1] = (first_i, len(before)), (first_j, len(after))
    return found


def carried(before: Sequence[int], after: Sequence[int], axis: int, keep: IntArray) -> tuple[int, IntArray] | None:
    """Where what is kept along a side came from.

    Args:
        before: sides of a tensor.
        after: sides that it was given.
        axis: one of those.
        keep: places along it.

    Returns:
        The side before, and the places along it that hold just these; None where no side holds just these.
    """
    for (first, last), (first_after, last_after) in groups(before, after):
        if not first_after <= axis < last_after:
            continue
        inner, side = prod(after[axis + 1 : last_after]), after[axis]
        for source in range(first, last):
            within = prod(before[source + 1 : last])
            if inner % within == 0 and (within * before[source]) % (inner * side) == 0:
                places = np.arange(before[source]) // (inner // within) % side
                return source, np.flatnonzero(np.isin(places, keep))
    return None
