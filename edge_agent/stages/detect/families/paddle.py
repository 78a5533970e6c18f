"""PaddleDetection's models, PP-YOLOE, PicoDet, RT-DETR: a list of things; or all boxes, and scores a row a class.

Source: PaddlePaddle/PaddleDetection (Apache-2.0), `deploy/EXPORT_MODEL.md` and `deploy/third_engine`: a list has class,
score and corners, and beside it how many rows each picture has; without suppression in the graph it gives boxes
(1, cells, 4) and scores (1, classes, cells). Boxes are pixels, divided by `scale_factor`, if that is asked for.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import Any

from numpy.typing import NDArray

from edge_agent.records import FloatArray, IntArray
from edge_agent.stages.detect import more_inputs
from edge_agent.stages.detect.families.in_graph import are_things
from edge_agent.stages.detect.head import (
    IMAGENET_RGB,
    Answer,
    Candidates,
    ClassColumns,
    Head,
    cells_of,
    chosen,
    picked,
    reaching,
    seen_as,
)

FAMILY = "paddle"
RAW = "paddle-raw"

_COLUMNS = 6
_BOX = 4
_GRIDS = ((8, 16, 32), (8, 16, 32, 64))


def recognise(answer: Answer) -> Iterator[Head]:
    """Outputs `(N, 6)` and a count `(1,)`, or the first alone; or `(1, cells, 4)` and `(1, classes, cells)`."""
    shapes = answer.shapes
    lists = [place for place, shape in enumerate(shapes) if len(shape) in {2, 3} and shape[-1] == _COLUMNS]
    counts = [place for place, shape in enumerate(shapes) if shape == (1,)]
    if len(lists) == 1 and len(shapes) == 1 + len(counts) and len(counts) <= 1:
        if is_list(answer, lists[0]):
            yield _list(answer, lists[0], counts[0] if counts else None)
        return
    for strides in _GRIDS:
        cells = cells_of(answer.size, strides)
        boxes = [place for place, shape in enumerate(shapes) if shape[1:] == (cells, _BOX)]
        scores = [place for place, shape in enumerate(shapes) if len(shape) == 3 and shape[2] == cells]  # noqa: PLR2004
        if len(shapes) == 2 and len(boxes) == len(scores) == 1:  # noqa: PLR2004
            yield _raw(answer, boxes[0], scores[0], strides)


def is_list(answer: Answer, place: int) -> bool:
    """Whether in a list (N, 6) whole numbers come first, then scores.

    What else is known of the model tells more: its inputs, or a count. One in three dimensions is much more often of
    another family, so numbers have to speak for it.
    """
    if is_told(answer):
        return True
    rows = answer.outputs[place].reshape(-1, _COLUMNS)
    others_may = are_things(rows, 4, 5)
    return has_class_first(rows) and not (others_may and answer.outputs[place].ndim == 3)  # noqa: PLR2004


def has_class_first(rows: FloatArray) -> bool:
    """Whether the rows (N, 6) that are things at all, and do not begin with -1, begin with a class and a score."""
    return are_things(rows[rows[:, 0] >= 0], 1, 0)


def is_told(answer: Answer) -> bool:
    """Whether a model with a list (N, 6) is of this family whatever the list says."""
    return more_inputs.SCALES in answer.extra_inputs or len(answer.shapes) > 1


def _list(answer: Answer, place: int, count: int | None) -> Head:
    return seen_as(
        IMAGENET_RGB,
        answer,
        "boxes in pixels",
        family=FAMILY,
        why="a list of things with six columns: the number of its class, a score and corners"
        + ("" if count is None else ", and how many there are"),
        size_step=32,
        classes=None,
        suppresses=False,
        decode=functools.partial(_decode_list, place, count),
    )


def _raw(answer: Answer, boxes: int, scores: int, strides: Sequence[int]) -> Head:
    classes = answer.shapes[scores][1]
    return seen_as(
        IMAGENET_RGB,
        answer,
        "boxes in pixels",
        family=RAW,
        why=f"corners, and a row of scores for each of {classes} classes, for each cell of strides "
        f"{', '.join(map(str, strides))}",
        size_step=32,
        classes=classes,
        class_columns=(ClassColumns(output=scores, axis=1),),
        decode=functools.partial(_decode_raw, boxes, scores),
    )


def _decode_list(
    place: int,
    count: int | None,
    outputs: Sequence[NDArray[Any]],
    _size: tuple[int, int],
    wanted: IntArray,
    floors: FloatArray,
) -> Candidates:
    # What is no thing has -1 for its class, and what stands behind the count is none.
    rows = outputs[place].reshape(-1, _COLUMNS)[: None if count is None else int(outputs[count][0])]
    return chosen(rows[:, 2:], rows[:, 1], rows[:, 0], wanted, floors)


def _decode_raw(
    boxes: int,
    scores: int,
    outputs: Sequence[NDArray[Any]],
    _size: tuple[int, int],
    wanted: IntArray,
    floors: FloatArray,
) -> Candidates:
    by_cell = outputs[scores][0].T  # (cells, classes)
    return reaching(by_cell[:, picked(wanted)], wanted, floors, lambda cells: outputs[boxes][0][cells])
