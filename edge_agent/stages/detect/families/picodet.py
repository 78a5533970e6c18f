"""PicoDet cut off before its boxes: for each of four strides a class map and four side lengths over bins.

Source: PaddlePaddle/PaddleDetection (Apache-2.0), `configs/picodet/README.md` and `deploy/third_engine`: as NanoDet,
and a stride more. Scores are 0..1.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence

import numpy as np

from edge_agent.stages.detect.families.nanodet import decode_maps
from edge_agent.stages.detect.head import (
    IMAGENET_RGB,
    Answer,
    ClassColumns,
    Head,
    cells_of,
    seen_as,
)

FAMILY = "picodet"

_STRIDES = (8, 16, 32, 64)
_SIDES = 4
_BINS = 8


def recognise(answer: Answer) -> Iterator[Head]:
    """Four class maps `(1, cells, classes)` and four side maps `(1, cells, 4 * 8)`."""
    shapes = answer.shapes
    cells = [cells_of(answer.size, (stride,)) for stride in _STRIDES]
    if any(len(shape) != 3 for shape in shapes) or sorted(shape[1] for shape in shapes) != sorted(cells * 2):  # noqa: PLR2004
        return
    by_stride = [[place for place, shape in enumerate(shapes) if shape[1] == count] for count in cells]
    if any(len(places) != 2 for places in by_stride):  # noqa: PLR2004
        return  # of so small a picture two strides have as many cells
    # Of 32 classes, both are as wide: scores are 0..1, and what is no score leaves that.
    side_maps = [_side_map(answer, places) for places in by_stride]
    class_maps = [sum(places) - side for places, side in zip(by_stride, side_maps, strict=True)]
    if {shapes[place][2] for place in side_maps} != {_SIDES * _BINS}:
        return
    widths = {shapes[place][2] for place in class_maps}
    if len(widths) != 1:
        return
    (classes,) = widths
    yield seen_as(
        IMAGENET_RGB,
        answer,
        family=FAMILY,
        why=f"four maps of {classes} classes and four of 4 x {_BINS} bins, for strides 8, 16, 32 and 64",
        size_step=_STRIDES[-2],
        classes=classes,
        class_columns=tuple(ClassColumns(output=place, axis=2) for place in class_maps),
        decode=functools.partial(decode_maps, _STRIDES, (class_maps, side_maps)),
    )


def _side_map(answer: Answer, places: Sequence[int]) -> int:
    wide = [place for place in places if answer.shapes[place][2] == _SIDES * _BINS]
    return max(wide or places, key=lambda place: float(np.max(np.abs(answer.outputs[place]))))
