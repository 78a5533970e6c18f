"""How the sides of a tensor become those of another when its numbers stay in order, as `Reshape` leaves them."""

from __future__ import annotations

import itertools
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


def alike(before: Sequence[int], after: Sequence[int], now: Sequence[int]) -> tuple[int, ...] | None:
    """The sides that a tensor (`now`) gets where one with the sides `before` got `after`; None where that is open."""
    wanted = list(after)
    for (first, last), (first_after, last_after) in groups(before, after):
        old, new = prod(before[first:last]), prod(now[first:last])
        if old == new:
            continue
        fixed = _outside(before[first:last], now[first:last], after[first_after:last_after])
        possible = [
            axis
            for axis in range(first_after, last_after)
            if axis - first_after not in fixed and after[axis] > 1 and after[axis] * new % old == 0
        ]
        if len(possible) != 1:
            return None
        wanted[possible[0]] = after[possible[0]] * new // old
    return tuple(wanted)


def _outside(before: Sequence[int], now: Sequence[int], after: Sequence[int]) -> set[int]:
    """Which sides of a group come from sides at its ends that do not depend on the size, such as last channels.

    Args:
        before: sides of a tensor.
        now: the same at another size.
        after: what is made of `before`.
    """
    found = set()
    for direction in (1, -1):
        same = list(
            itertools.takewhile(lambda pair: pair[0] == pair[1], list(zip(before, now, strict=True))[::direction])
        )
        held, made = prod(side for side, _same in same), 1
        for place in list(range(len(after)))[::direction]:
            made *= after[place]
            if held % made:
                break
            found.add(place)
    return found


def resolved(asked: IntArray, now: Sequence[int]) -> tuple[int, ...]:
    """The sides that a shape with 0 (as before) and -1 (what is left) gives a tensor."""
    sides = [now[axis] if side == 0 and axis < len(now) else int(side) for axis, side in enumerate(asked)]
    others = prod(side for side in sides if side != -1)
    return tuple(prod(now) // others if side == -1 and others else side for side in sides)


def stays(axis: int, before: Sequence[int], after: Sequence[int], now: Sequence[int], wanted: Sequence[int]) -> bool:
    """Whether a side is that of the tensor before at the same place, at both sizes."""
    return axis < len(before) and (before[axis], now[axis]) == (after[axis], wanted[axis])
