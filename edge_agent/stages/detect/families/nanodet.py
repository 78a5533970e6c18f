"""NanoDet: for each stride a class map and four side lengths, each side as a distribution over bins.

Source: RangiLyu/nanodet (Apache-2.0); the distribution from X. Li et al., "Generalized Focal Loss", NeurIPS 2020, §3.2.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_agent.records import FloatArray, IntArray, ModelSignature
from edge_agent.stages.detect.head import Candidates, Head, above, fixed_size, takes_pictures

_STRIDES = (8, 16, 32)
_SIDES = 4
_BINS = frozenset({8, 11})  # reg_max + 1 of NanoDet-m and NanoDet-g
# ImageNet's mean and spread in BGR order, as NanoDet's configurations give them.
_MEAN = (103.53, 116.28, 123.675)
_STD = (57.375, 57.12, 58.395)
_GREY = 114  # what the calibration of the built-in INT8 file was padded with; black is no better


def recognise(signature: ModelSignature) -> Head | None:
    """Three class maps `(1, cells, classes)` and three side maps `(1, cells, 4 * bins)`."""
    class_maps, side_maps = _maps(signature)
    if not takes_pictures(signature) or len(class_maps) != len(_STRIDES) or len(side_maps) != len(_STRIDES):
        return None
    widths = {signature.outputs[index].shape[-1] for index in class_maps}
    classes = widths.pop()
    if widths or classes is None:
        return None
    return Head(
        family="nanodet",
        input_size=fixed_size(signature),
        size_step=_STRIDES[-1],
        resize="letterbox",
        colour="bgr",
        mean=_MEAN,
        std=_STD,
        padding=_GREY,
        classes=classes,
        decode=functools.partial(_decode, class_maps, side_maps),
    )


def _maps(signature: ModelSignature) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Indexes of the class maps and of the side maps among the outputs, told apart by name, then by width."""
    shaped = [(index, tensor) for index, tensor in enumerate(signature.outputs) if len(tensor.shape) == 3]  # noqa: PLR2004
    sides = tuple(
        index
        for index, tensor in shaped
        if tensor.shape[-1] in {_SIDES * bins for bins in _BINS} and not tensor.name.startswith("cls")
    )
    return tuple(index for index, _ in shaped if index not in sides), sides


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
        boxes.append(_boxes(side_map[0][cells], cells, stride, size[0]))
        scores.append(wanted_scores[cells, columns])
        label_ids.append(wanted[columns])
    return Candidates(boxes=np.concatenate(boxes), scores=np.concatenate(scores), label_ids=np.concatenate(label_ids))


def _boxes(sides: FloatArray, cells: IntArray, stride: int, width: int) -> FloatArray:
    """Side distributions (N, 4 * bins) of cells (N,) to boxes (N, 4) xyxy."""
    logits = sides.reshape(len(cells), _SIDES, sides.shape[1] // _SIDES)
    weights = np.exp(logits - logits.max(axis=2, keepdims=True))
    bins = np.arange(logits.shape[2], dtype=np.float32)
    left, top, right, bottom = (weights @ bins / weights.sum(axis=2)).T * np.float32(stride)
    cells_a_row = -(-width // stride)
    centre_x = (cells % cells_a_row + 0.5) * stride
    centre_y = (cells // cells_a_row + 0.5) * stride
    corners = [centre_x - left, centre_y - top, centre_x + right, centre_y + bottom]
    return np.stack(corners, axis=1).astype(np.float32)
