"""YOLOv5 and YOLOv7, or YOLOv3 decoded: a row an anchor box: centre, size, objectness and class scores.

Source: the shape of what those two export, as those who use such files describe it; not tried with trained weights.
Boxes are pixels, or parts of the picture; scores 0..1.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator

from edge_agent.stages.detect.families.yolox import BOX_AND_OBJECTNESS, decode_with_objectness
from edge_agent.stages.detect.head import PADDED_RGB, Answer, ClassColumns, Head, cells_of, seen_as
from edge_agent.stages.detect.units import SAID, unit_of

FAMILY = "yolov5"

_ANCHORS = 3
_GRIDS = ((8, 16, 32), (8, 16, 32, 64), (16, 32))


def recognise(answer: Answer) -> Iterator[Head]:
    """One output `(1, 3 * cells, 5 + classes)`, with cells of two to four strides; raw maps beside it are ignored."""
    place = place_beside_maps(answer)
    if place is None:
        return
    _batch, rows, columns = answer.shapes[place]
    if columns <= BOX_AND_OBJECTNESS:
        return
    classes = columns - BOX_AND_OBJECTNESS
    for strides in _GRIDS:
        if rows != _ANCHORS * cells_of(answer.size, strides):
            continue
        finest = _ANCHORS * cells_of(answer.size, strides[:1])
        # So many rows no other family has, so where nothing tells they are what they usually are.
        unit = unit_of(answer.outputs[place][0][:, :4], answer.size, finest - 1) or "pixels"
        yield seen_as(
            PADDED_RGB,
            answer,
            family=FAMILY,
            why=f"three boxes for each cell of strides {', '.join(map(str, strides))}, in {SAID[unit]}, each with "
            f"objectness and {classes} classes",
            size_step=strides[-1],
            classes=classes,
            class_columns=(ClassColumns(output=place, axis=2, first=BOX_AND_OBJECTNESS),),
            decode=functools.partial(decode_with_objectness, place, unit),
        )


def place_beside_maps(answer: Answer) -> int | None:
    """Which output has three dimensions, if all others are the raw maps of some strides that it was made of.

    One map alone is something else, unless it has a dimension for the boxes of a cell: what masks are made of.
    """
    places = [place for place, shape in enumerate(answer.shapes) if len(shape) == 3]  # noqa: PLR2004
    maps = [shape for shape in answer.shapes if len(shape) in {4, 5}]
    if len(places) != 1 or len(maps) != len(answer.shapes) - 1:
        return None
    sizes = {shape[2:] for shape in maps if len(shape) == 4}  # noqa: PLR2004
    return None if len(sizes) == 1 else places[0]
