"""YOLO-NAS and DAMO-YOLO: a tensor of corners and one of class scores, a row a cell of each.

They differ in what they want to see. YOLO-NAS gives the boxes first; DAMO-YOLO the scores, and whether that is what an
exporter did to the other, nobody can tell.

Source: Deci-AI/super-gradients (Apache-2.0), `YOLONASHead` and `PPYOLOEHead`, for PP-YOLOE exported there is the same;
tinyvision/DAMO-YOLO (Apache-2.0), `tools/demo.py` and `damo/config/augmentations.py`. Boxes are pixels, scores 0..1.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import Any

from numpy.typing import NDArray

from edge_agent.records import FloatArray, IntArray
from edge_agent.stages.detect.head import (
    PADDED_BGR,
    RAW_RGB,
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

FAMILY = "yolo-nas"
DAMO = "damo-yolo"

_STRIDES = (8, 16, 32)
_BOX = 4


def recognise(answer: Answer) -> Iterator[Head]:
    """Outputs `(1, cells, 4)` and `(1, cells, classes)`, in whatever order."""
    shapes, cells = answer.shapes, cells_of(answer.size, _STRIDES)
    if len(shapes) != 2 or any(len(shape) != 3 or shape[1] != cells for shape in shapes):  # noqa: PLR2004
        return
    corners = [place for place, shape in enumerate(shapes) if shape[2] == _BOX]
    if not corners:
        return
    # Of four classes there are as many scores as corners; these are pixels, and scores no more than 1.
    boxes = next((place for place in corners if (answer.outputs[place] > 1).any()), corners[0])
    yield _head(PADDED_BGR, answer, FAMILY, boxes)
    yield _head(RAW_RGB, answer, DAMO, boxes, is_unusual=boxes == 0)


def _head(look: Look, answer: Answer, family: str, boxes: int, *, is_unusual: bool = False) -> Head:
    classes = answer.shapes[1 - boxes][2]
    return seen_as(
        look,
        answer,
        family=family,
        why=f"corners, and scores of {classes} classes, for each cell of strides 8, 16 and 32; "
        f"{look.colour.upper()}, {look.scale}",
        size_step=_STRIDES[-1],
        classes=classes,
        class_columns=(ClassColumns(output=1 - boxes, axis=2),),
        is_unusual=is_unusual,
        decode=functools.partial(_decode, boxes),
    )


def _decode(
    boxes: int, outputs: Sequence[NDArray[Any]], _size: tuple[int, int], wanted: IntArray, floors: FloatArray
) -> Candidates:
    scores = outputs[1 - boxes][0][:, picked(wanted)]
    return reaching(scores, wanted, floors, lambda cells: outputs[boxes][0][cells])
