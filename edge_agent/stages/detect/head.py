"""What a model wants to see and how its answer is read: the one thing that differs between families."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edge_agent.records import FloatArray, IntArray, ModelSignature

_BATCH_OF_PICTURES = 4  # dimensions: batch, channels, height, width
_CHANNELS = 3

Resize = Literal["letterbox", "stretch"]
Colour = Literal["bgr", "rgb"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Candidates:
    """Boxes before suppression.

    Attributes:
        boxes: (N, 4) float32 xyxy in the model's input pixels.
        scores: (N,) float32, 0..1.
        label_ids: (N,) int64, class columns of the model.
    """

    boxes: FloatArray
    scores: FloatArray
    label_ids: IntArray


Decode = Callable[[Sequence[NDArray[Any]], tuple[int, int], IntArray, FloatArray], Candidates]
"""Output tensors, the input's (width, height), wanted class columns (K,) and the least score of each (K,) in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """One model as the detector needs to know it.

    Attributes:
        family: name of the family.
        input_size: width and height when the graph fixes them, None when it takes any.
        size_step: width and height must be multiples of this.
        resize: keep the aspect and pad (at the right and the bottom), or stretch.
        colour: order of the three channels.
        mean: subtracted from each channel's 0..255.
        std: divides what is left.
        padding: grey level, 0..255, of what the picture does not cover.
        classes: how many class columns the model has.
        decode: reads the output tensors.
    """

    family: str
    input_size: tuple[int, int] | None
    size_step: int
    resize: Resize
    colour: Colour
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    padding: int
    classes: int
    decode: Decode


Recognise = Callable[[ModelSignature], Head | None]
"""Looks at a model's signature and says how to read it, or None when it is of another family."""


def takes_pictures(signature: ModelSignature) -> bool:
    """Whether the model has one input, a batch of three-channel pictures: float32 (1, 3, H, W)."""
    if len(signature.inputs) != 1:
        return False
    tensor = signature.inputs[0]
    return tensor.dtype == "float32" and len(tensor.shape) == _BATCH_OF_PICTURES and tensor.shape[1] == _CHANNELS


def fixed_size(signature: ModelSignature) -> tuple[int, int] | None:
    """Width and height of the pictures that the graph is made for; None when it takes any."""
    height, width = signature.inputs[0].shape[2:]
    return None if height is None or width is None else (width, height)


def above(scores: FloatArray, floors: FloatArray) -> tuple[IntArray, IntArray]:
    """Rows and columns of the scores (N, K) that reach the floor (K,) of their column."""
    rows, columns = np.nonzero(scores >= floors)
    return rows, columns
