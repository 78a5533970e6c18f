"""YOLOv4 and its tiny form: corners in parts of the picture, and scores that have objectness in them already.

Source: Tianxiaomo/pytorch-YOLOv4 (Apache-2.0), `README.md`, "Inference output": boxes (1, N, 1, 4) and scores
(1, N, classes); not tried with trained weights.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import Any

from numpy.typing import NDArray

from edge_agent.records import FloatArray, IntArray
from edge_agent.stages.detect.head import (
    STRETCHED_RGB,
    Answer,
    Candidates,
    ClassColumns,
    Head,
    picked,
    reaching,
    seen_as,
)
from edge_agent.stages.detect.units import scale_to

FAMILY = "yolov4"

_BOX = (1, 4)


def recognise(answer: Answer) -> Iterator[Head]:
    """Outputs `(1, N, 1, 4)` and `(1, N, classes)`."""
    shapes = answer.shapes
    boxes = [place for place, shape in enumerate(shapes) if len(shape) == 4 and shape[2:] == _BOX]  # noqa: PLR2004
    if len(shapes) != 2 or len(boxes) != 1:  # noqa: PLR2004
        return
    scores = shapes[1 - boxes[0]]
    if len(scores) != 3 or scores[1] != shapes[boxes[0]][1]:  # noqa: PLR2004
        return
    yield seen_as(
        STRETCHED_RGB,
        answer,
        "boxes in parts of the picture",
        family=FAMILY,
        why=f"{scores[1]} boxes, each alone in a dimension of its own, and scores of {scores[2]} classes",
        size_step=32,
        classes=scores[2],
        class_columns=(ClassColumns(output=1 - boxes[0], axis=2),),
        decode=functools.partial(_decode, boxes[0]),
    )


def _decode(
    boxes: int, outputs: Sequence[NDArray[Any]], size: tuple[int, int], wanted: IntArray, floors: FloatArray
) -> Candidates:
    corners, scores = outputs[boxes][0][:, 0], outputs[1 - boxes][0]
    scale = scale_to("parts", size)
    return reaching(scores[:, picked(wanted)], wanted, floors, lambda rows: corners[rows] * scale)
