"""NanoDet: for each stride a class map and four side lengths, each side as a distribution over bins.

Source: RangiLyu/nanodet (Apache-2.0); the distribution from X. Li et al., "Generalized Focal Loss", NeurIPS 2020, §3.2.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_agent.records import FloatArray, IntArray
from edge_agent.stages.detect.head import Answer, Candidates, ClassColumns, Head, Look, above, cells_of, seen_as

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
        decode=functools.partial(_decode, class_maps, side_maps),
    )


def _decode(
    class_maps: Sequence[int],
    side_maps: Sequence[int],
    outputs: Sequence[NDArray[Any]],
    size: tuple[int, int],
    wanted: IntArray,
    floors: FloatArray,
) -> Candidates:
    # The finest stride has the most cells, whatever order the graph names its outputs in.
    by_stride = sorted((outputs[index] for index in class_maps), key=lambda tensor: -tensor.shape[1])
    sides_by_stride = sorted((outputs[index] for index in side_maps), key=lambda tensor: -tensor.shape[1])
    boxes: list[FloatArray] = [np.zeros((0, 4), np.float32)]
    scores: list[FloatArray] = [np.zeros(0, np.float32)]
    label_ids: list[IntArray] = [np.zeros(0, np.int64)]
    for stride, class_map, side_map in zip(_STRIDES, by_stride, sides_by_stride, strict=True):
        wanted_scores = class_map[0][:, wanted]  # (cells, K), already 0..1
        cells, columns = above(wanted_scores, floors)
        if not len(cells):
            continue
        boxes.append(boxes_around(side_map[0][cells], cells, stride, size[0], middle=0.5))
        scores.append(wanted_scores[cells, columns])
        label_ids.append(wanted[columns])
    return Candidates(boxes=np.concatenate(boxes), scores=np.concatenate(scores), label_ids=np.concatenate(label_ids))


def boxes_around(sides: FloatArray, cells: IntArray, stride: int, width: int, *, middle: float) -> FloatArray:
    """Side distributions (N, 4 * bins) of cells (N,) to boxes (N, 4) xyxy.

    Args:
        sides: logits.
        cells: counted row by row.
        stride: pixels a cell.
        width: of the picture.
        middle: where in its cell a box's centre lies, 0..1 of the stride.
    """
    logits = sides.reshape(len(cells), _SIDES, sides.shape[1] // _SIDES)
    weights = np.exp(logits - logits.max(axis=2, keepdims=True))
    bins = np.arange(logits.shape[2], dtype=np.float32)
    left, top, right, bottom = (weights @ bins / weights.sum(axis=2)).T * np.float32(stride)
    cells_a_row = -(-width // stride)
    centre_x = (cells % cells_a_row + middle) * stride
    centre_y = (cells // cells_a_row + middle) * stride
    corners = [centre_x - left, centre_y - top, centre_x + right, centre_y + bottom]
    return np.stack(corners, axis=1).astype(np.float32)
