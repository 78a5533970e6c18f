"""YOLO-NAS: a tensor of corners and one of class scores, a row a cell of each.

Source: Deci-AI/super-gradients (Apache-2.0), `YOLONASHead` and `PPYOLOEHead`; PP-YOLOE exported there is the same.
Boxes are pixels, scores 0..1.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_agent.records import FloatArray, IntArray
from edge_agent.stages.detect.head import (
    PADDED_BGR,
    Answer,
    Candidates,
    ClassColumns,
    Head,
    cells_of,
    picked,
    reaching,
    seen_as,
)

FAMILY = "yolo-nas"

_STRIDES = (8, 16, 32)
_BOX = 4


def recognise(answer: Answer) -> Iterator[Head]:
    """Outputs `(1, cells, 4)` and `(1, cells, classes)`, in whatever order."""
    shapes, cells = answer.shapes, cells_of(answer.size, _STRIDES)
    if len(shapes) != 2 or any(len(shape) != 3 or shape[1] != cells for shape in shapes):  # noqa: PLR2004
        return
    boxes = next((index for index, shape in enumerate(shapes) if shape[2] == _BOX), None)
    if boxes is None:
        return
    classes = shapes[1 - boxes][2]
    yield seen_as(
        PADDED_BGR,
        answer,
        family=FAMILY,
        why=f"corners, and scores of {classes} classes, for each cell of strides 8, 16 and 32",
        size_step=_STRIDES[-1],
        classes=classes,
        class_columns=(ClassColumns(output=1 - boxes, axis=2),),
        decode=functools.partial(_decode, boxes),
    )


def _decode(
    boxes: int, outputs: Sequence[NDArray[Any]], _size: tuple[int, int], wanted: IntArray, floors: FloatArray
) -> Candidates:
    scores = outputs[1 - boxes][0][:, picked(wanted)]
    return reaching(scores, wanted, floors, lambda cells: outputs[boxes][0][cells].astype(np.float32, copy=False))
