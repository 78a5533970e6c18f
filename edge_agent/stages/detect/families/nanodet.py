"""NanoDet: for each stride a class map and four side lengths, each side as a distribution over bins.

Source: RangiLyu/nanodet (Apache-2.0); the distribution from X. Li et al., "Generalized Focal Loss", NeurIPS 2020, §3.2.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_agent.records import FloatArray, IntArray
from edge_agent.stages.detect.head import (
    Answer,
    Candidates,
    ClassColumns,
    Head,
    Look,
    cells_of,
    picked,
    reaching,
    seen_as,
)

FAMILY = "nanodet"

BINS = frozenset({8, 11})
"""How many a side has in NanoDet-m and NanoDet-Plus, and in NanoDet-g."""

LOOK = Look(
    resize="letterbox",
    colour="bgr",
    mean=(103.53, 116.28, 123.675),
    std=(57.375, 57.12, 58.395),
    scale="ImageNet's mean and spread",
)
"""As NanoDet's configurations give it."""

_STRIDES = (8, 16, 32)
_SIDES = 4


def recognise(answer: Answer) -> Iterator[Head]:
    """Three class maps `(1, cells, classes)` and three side maps `(1, cells, 4 * bins)`."""
    shapes = answer.shapes
    cells = [cells_of(answer.size, (stride,)) for stride in _STRIDES]
    if any(len(shape) != 3 for shape in shapes) or sorted(shape[1] for shape in shapes) != sorted(cells * 2):  # noqa: PLR2004
        return
    side_maps = tuple(
        index
        for index, shape in enumerate(shapes)
        if shape[2] in {_SIDES * bins for bins in BINS} and not answer.names[index].startswith("cls")
    )
    class_maps = tuple(index for index in range(len(shapes)) if index not in side_maps)
    # The finest stride has the most cells, whatever order the graph names its outputs in.
    side_maps, class_maps = (
        tuple(sorted(maps, key=lambda index: -shapes[index][1])) for maps in (side_maps, class_maps)
    )
    widths = {shapes[index][2] for index in class_maps}, {shapes[index][2] for index in side_maps}
    if len(class_maps) != len(_STRIDES) or any(len(each) != 1 for each in widths):
        return
    (classes,), (sides,) = widths
    yield seen_as(
        LOOK,
        answer,
        family=FAMILY,
        why=f"three maps of {classes} classes and three of 4 x {sides // _SIDES} bins, for strides 8, 16 and 32",
        size_step=_STRIDES[-1],
        classes=classes,
        class_columns=tuple(ClassColumns(output=index, axis=2) for index in class_maps),
        decode=functools.partial(decode_maps, _STRIDES, (class_maps, side_maps)),
    )


def decode_maps(
    strides: tuple[int, ...],
    maps: tuple[Sequence[int], Sequence[int]],
    outputs: Sequence[NDArray[Any]],
    size: tuple[int, int],
    wanted: IntArray,
    floors: FloatArray,
) -> Candidates:
    """Read maps of scores (1, cells, classes), 0..1, and maps of sides (1, cells, 4 * bins), one of each a stride."""
    class_maps, side_maps = maps
    columns = picked(wanted)
    scores = np.concatenate([outputs[index][0][:, columns] for index in class_maps])  # (cells, K), 0..1

    def boxes_of(cells: IntArray) -> FloatArray:
        grid = grid_of(size, strides, 0.5)
        sides = _rows_of([outputs[index][0] for index in side_maps], cells, grid.starts)
        return boxes_around(sides, cells, grid)

    return reaching(scores, wanted, floors, boxes_of)


def _rows_of(maps: Sequence[FloatArray], cells: IntArray, starts: IntArray) -> FloatArray:
    """Rows of maps that lie one behind the other, of which only those are read.

    Args:
        maps: of each stride, (its cells, M).
        cells: (N,) which, in order, counted through all maps.
        starts: (strides,) the first cell of each map.

    Returns:
        (N, M).
    """
    bounds = [*cells.searchsorted(starts).tolist(), len(cells)]
    return np.concatenate(
        [
            one.take(cells[begin:end] - start, axis=0)
            for one, start, begin, end in zip(maps, starts, bounds, bounds[1:], strict=False)
            if begin < end
        ]
    )


class Grid(NamedTuple):
    """The cells of a picture, stride by stride, each row by row.

    Attributes:
        starts: (strides,) the first cell of each.
        centres: (cells, 4) pixels, x and y twice.
        steps: (cells, 4) pixels of a bin to the left, up, to the right and down.
    """

    starts: IntArray
    centres: FloatArray
    steps: FloatArray


@functools.lru_cache(maxsize=4)
def grid_of(size: tuple[int, int], strides: tuple[int, ...], middle: float) -> Grid:
    """The cells of a picture of that width and height.

    Args:
        size: of the picture.
        strides: pixels a cell.
        middle: where in its cell a box's centre lies, 0..1 of the stride.
    """
    centres, steps = [], []
    for stride in strides:
        down, across = np.divmod(np.arange(cells_of(size, (stride,))), -(-size[0] // stride))
        centres.append(np.stack([across, down, across, down], axis=1) * stride + middle * stride)
        steps.append(np.tile(np.array([-stride, -stride, stride, stride], np.float32), (len(down), 1)))
    return Grid(
        starts=np.cumsum([0, *map(len, centres[:-1])]),
        centres=np.concatenate(centres).astype(np.float32),  # whole numbers or their halves
        steps=np.concatenate(steps),
    )


def boxes_around(sides: FloatArray, cells: IntArray, grid: Grid) -> FloatArray:
    """Side distributions (N, 4 * bins) of cells (N,) to boxes (N, 4) xyxy.

    Args:
        sides: logits.
        cells: which of the grid's each belongs to.
        grid: all cells of the picture.
    """
    logits = sides.reshape(len(cells) * _SIDES, -1)  # (N * 4, bins)
    weights = np.subtract(logits, logits.max(axis=1, keepdims=True), dtype=np.float32)
    np.exp(weights, out=weights)
    distances = weights @ _NUMBERS[: weights.shape[1]]
    distances /= weights.sum(axis=1)
    boxes: FloatArray = distances.reshape(-1, _SIDES)
    boxes *= grid.steps.take(cells, axis=0)
    boxes += grid.centres.take(cells, axis=0)
    return boxes


_NUMBERS = np.arange(max(BINS), dtype=np.float32)  # of bins
