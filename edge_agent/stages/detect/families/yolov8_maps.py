"""YOLOv8, v9 and v11 as accelerators' toolchains like them: raw maps, one a stride, before boxes are made of them.

Source: airockchip/rknn_model_zoo (Apache-2.0), `examples/yolov8/README.md`, for the maps; each side is a distribution
over 16 bins as in X. Li et al., "Generalized Focal Loss", NeurIPS 2020, §3.2; not tried with trained weights.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_agent.records import FloatArray, IntArray
from edge_agent.stages.detect.head import (
    PADDED_RGB,
    Answer,
    Candidates,
    ClassColumns,
    Head,
    picked,
    reaching,
    seen_as,
    sigmoid,
)

FAMILY = "yolov8-maps"

_STRIDES = (8, 16, 32)
_SIDES = 4
_BINS = 16
_BOX = _SIDES * _BINS  # channels


@dataclass(frozen=True, slots=True, kw_only=True)
class _Map:
    """Where the two halves of a stride's map are: the outputs, and the channel of the first class."""

    sides: int
    classes: int
    first: int


def recognise(answer: Answer) -> Iterator[Head]:
    """For each of three strides `(1, 64 + classes, rows, columns)`, or `(1, 64, …)` and `(1, classes, …)`.

    A third of one channel, the sum of the classes, says nothing more.
    """
    by_stride = [_places(answer, stride) for stride in _STRIDES]
    counts = set(map(len, by_stride))
    if len(counts) != 1 or len(answer.shapes) != len(_STRIDES) * counts.pop():
        return
    maps = [one for places in by_stride if (one := _map(answer, places)) is not None]
    widths = {answer.shapes[one.classes][1] - one.first for one in maps}
    if len(maps) != len(_STRIDES) or len(widths) != 1:
        return
    classes = widths.pop()
    are_logits = any(
        bool(((numbers := answer.outputs[one.classes][:, one.first :]) < 0).any() or (numbers > 1).any())
        for one in maps
    )
    yield seen_as(
        PADDED_RGB,
        answer,
        family=FAMILY,
        why=f"maps of strides 8, 16 and 32 with 4 x {_BINS} bins and {classes} classes a cell, "
        f"{'logits' if are_logits else 'the sigmoid taken'}",
        size_step=_STRIDES[-1],
        classes=classes,
        class_columns=tuple(ClassColumns(output=one.classes, axis=1, first=one.first) for one in maps),
        decode=functools.partial(_decode, maps, are_logits),
    )


def _places(answer: Answer, stride: int) -> list[int]:
    """Which outputs have as many rows and columns as the picture has cells of that stride."""
    width, height = (-(-side // stride) for side in answer.size)
    return [place for place, shape in enumerate(answer.shapes) if len(shape) == 4 and shape[2:] == (height, width)]  # noqa: PLR2004


def _map(answer: Answer, places: Sequence[int]) -> _Map | None:
    """What is where among the outputs of a stride; None where it is no such map."""
    channels = {place: answer.shapes[place][1] for place in places}
    if len(places) == 1 and channels[places[0]] > _BOX:
        return _Map(sides=places[0], classes=places[0], first=_BOX)
    sides = next((place for place in places if channels[place] == _BOX), None)
    rest = [place for place in places if place != sides]
    if sides is None or not rest or (len(rest) > 1 and all(channels[place] > 1 for place in rest)):
        return None
    # Beside the classes there may be their sum; of one class alone both are the same.
    return _Map(sides=sides, classes=max(rest, key=lambda place: channels[place]), first=0)


def _decode(
    maps: Sequence[_Map],
    are_logits: bool,  # noqa: FBT001 - bound by position
    outputs: Sequence[NDArray[Any]],
    size: tuple[int, int],
    wanted: IntArray,
    floors: FloatArray,
) -> Candidates:
    numbers = np.concatenate([_by_cell(outputs[one.classes])[:, picked(one.first + wanted)] for one in maps])
    sides = np.concatenate([_by_cell(outputs[one.sides])[:, :_BOX] for one in maps])
    centres, strides = _grid(size)

    def boxes_of(cells: IntArray) -> FloatArray:
        logits = sides[cells].reshape(-1, _SIDES, _BINS)
        weights = np.exp(logits - np.max(logits, axis=2, keepdims=True))
        distances = weights @ np.arange(_BINS, dtype=np.float32) / weights.sum(axis=2)
        return np.asarray(centres[cells] + distances * strides[cells], np.float32)

    return reaching(sigmoid(numbers) if are_logits else numbers, wanted, floors, boxes_of)


def _by_cell(output: NDArray[Any]) -> NDArray[Any]:
    """A map (1, channels, rows, columns) as (cells, channels)."""
    return output.reshape(output.shape[1], -1).T


@functools.lru_cache(maxsize=4)
def _grid(size: tuple[int, int]) -> tuple[FloatArray, FloatArray]:
    """Of every cell its centre, x and y twice, and what a bin is to the left, up, to the right and down: (cells, 4)."""
    centres, strides = [], []
    for stride in _STRIDES:
        down, across = np.mgrid[0 : -(-size[1] // stride), 0 : -(-size[0] // stride)]
        middle = np.stack([across.ravel(), down.ravel()] * 2, axis=1) + 0.5
        centres.append(middle * stride)
        strides.append(np.tile([-stride, -stride, stride, stride], (down.size, 1)))
    return np.concatenate(centres).astype(np.float32), np.concatenate(strides).astype(np.float32)
