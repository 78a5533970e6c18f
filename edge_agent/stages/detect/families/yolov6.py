"""YOLOv6: as YOLOX decoded, with an objectness that is always 1, for it has none.

Source: the shape of what it exports, as those who use such files describe it; not tried with trained weights. Boxes are
pixels, scores 0..1.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator

from edge_agent.stages.detect.families.yolox import BOX_AND_OBJECTNESS, decode_with_objectness, has_objectness
from edge_agent.stages.detect.head import PADDED_RGB, Answer, ClassColumns, Head, cells_of, seen_as

FAMILY = "yolov6"

_STRIDES = (8, 16, 32)


def recognise(answer: Answer) -> Iterator[Head]:
    """One output `(1, cells, 5 + classes)` with cells of three strides, and an objectness of 1 in each."""
    if len(answer.shapes) != 1 or len(answer.shapes[0]) != 3:  # noqa: PLR2004
        return
    _batch, cells, columns = answer.shapes[0]
    if cells != cells_of(answer.size, _STRIDES) or columns <= BOX_AND_OBJECTNESS:
        return
    if has_objectness(answer):
        return
    classes = columns - BOX_AND_OBJECTNESS
    yield seen_as(
        PADDED_RGB,
        answer,
        family=FAMILY,
        why=f"cells of strides 8, 16 and 32, each a box in pixels and {classes} classes, and an objectness of 1",
        size_step=_STRIDES[-1],
        classes=classes,
        class_columns=(ClassColumns(output=0, axis=2, first=BOX_AND_OBJECTNESS),),
        decode=functools.partial(decode_with_objectness, 0, "pixels"),
    )
