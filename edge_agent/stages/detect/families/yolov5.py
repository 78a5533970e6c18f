"""YOLOv5 and YOLOv7: one row an anchor box, three a cell: centre, size, objectness and class scores, all decoded.

Source: the shape of what those two export, as those who use such files describe it; not tried with trained weights.
Boxes are pixels, scores 0..1.
"""

from __future__ import annotations

from collections.abc import Iterator

from edge_agent.stages.detect.families.yolox import BOX_AND_OBJECTNESS, decode_with_objectness
from edge_agent.stages.detect.head import PADDED_RGB, Answer, ClassColumns, Head, are_pixels, cells_of, seen_as

FAMILY = "yolov5"

_ANCHORS = 3
_GRIDS = ((8, 16, 32), (8, 16, 32, 64))


def recognise(answer: Answer) -> Iterator[Head]:
    """One output `(1, 3 * cells, 5 + classes)`, with cells of three strides or four; others beside it are ignored."""
    if not answer.shapes or len(answer.shapes[0]) != 3:  # noqa: PLR2004
        return
    _batch, rows, columns = answer.shapes[0]
    if columns <= BOX_AND_OBJECTNESS or any(len(shape) != _RAW_MAP for shape in answer.shapes[1:]):
        return
    classes = columns - BOX_AND_OBJECTNESS
    for strides in _GRIDS:
        finest = _ANCHORS * cells_of(answer.size, strides[:1])
        if rows == _ANCHORS * cells_of(answer.size, strides) and are_pixels(
            answer.outputs[0][0], answer.size, finest - 1
        ):
            yield seen_as(
                PADDED_RGB,
                answer,
                family=FAMILY,
                why=f"three boxes for each cell of strides {', '.join(map(str, strides))}, each with objectness and "
                f"{classes} classes",
                size_step=strides[-1],
                classes=classes,
                class_columns=(ClassColumns(output=0, axis=2, first=BOX_AND_OBJECTNESS),),
                decode=decode_with_objectness,
            )


_RAW_MAP = 5  # dimensions of the maps that some exports give beside it
