"""TensorFlow's Object Detection API: boxes, scores and numbers of classes, suppressed in the graph.

Source: tensorflow/models (Apache-2.0), `object_detection/exporter_lib_v2.py` for what it exports (numbers count from 1)
and `export_tflite_graph_lib_tf2.py` for what it makes for TensorFlow Lite (four tensors, numbers count from 0). Boxes
are ymin, xmin, ymax, xmax in 0..1 of the picture.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_agent.records import FloatArray, IntArray
from edge_agent.stages.detect.head import HALF_RANGE_RGB, Answer, Candidates, Head, chosen, seen_as
from edge_agent.stages.detect.units import are_parts

FAMILY = "tensorflow"
LITE = "tflite-detection"

_NAMES = ("detection_boxes", "detection_scores", "detection_classes")


def recognise(answer: Answer) -> Iterator[Head]:
    """Outputs named `detection_…`; or one (1, N, 4), two (1, N) and one (1,), as TensorFlow Lite gives them."""
    places = tuple(answer.place(name) for name in _NAMES)
    if all(place is not None for place in places):
        yield _head(answer, FAMILY, "outputs detection_boxes, detection_scores and detection_classes", places, 1)
        return
    shapes = answer.shapes
    rows = [index for index, shape in enumerate(shapes) if len(shape) == 2 and shape[0] == 1]  # noqa: PLR2004
    boxes = [index for index, shape in enumerate(shapes) if len(shape) == 3 and shape[2] == 4]  # noqa: PLR2004
    counts = [index for index, shape in enumerate(shapes) if shape in {(1,), ()}]
    if len(shapes) != 4 or len(rows) != 2 or len(boxes) != 1 or len(counts) != 1:  # noqa: PLR2004
        return
    if len({shapes[index][1] for index in (*rows, *boxes)}) != 1:
        return
    count = answer.outputs[counts[0]]
    if count.dtype.kind in "iu" or not are_parts(answer.outputs[boxes[0]]):  # who says so counts pixels
        return
    first, second = rows
    scores, classes = (second, first) if _are_scores(answer.outputs[second], answer.outputs[first]) else (first, second)
    yield _head(
        answer,
        LITE,
        f"four outputs, of {shapes[boxes[0]][1]} things: corners, two rows, and how many there are",
        (boxes[0], scores, classes),
        0,
    )


def _are_scores(tensor: NDArray[Any], other: NDArray[Any]) -> bool:
    """Which of two rows are scores: they go down, and numbers of classes are whole."""
    whole = [bool((row == np.round(row)).all()) for row in (tensor, other)]
    if whole[0] != whole[1]:
        return not whole[0]
    falls = [bool((np.diff(row[0]) <= 0).all()) for row in (tensor, other)]
    return falls[0] or not falls[1]  # TensorFlow Lite gives the classes before the scores


def _head(answer: Answer, family: str, why: str, places: Sequence[int | None], first: int) -> Head:
    return seen_as(
        HALF_RANGE_RGB,
        answer,
        f"numbers of classes begin with {first}",
        family=family,
        why=why,
        classes=None,
        coco=90,
        suppresses=False,
        decode=functools.partial(_decode, tuple(place for place in places if place is not None), first),
    )


def _decode(
    places: Sequence[int],
    first: int,
    outputs: Sequence[NDArray[Any]],
    size: tuple[int, int],
    wanted: IntArray,
    floors: FloatArray,
) -> Candidates:
    boxes, scores, numbers = (outputs[place][0] for place in places)
    scale = np.array([size[0], size[1]] * 2, np.float32)
    return chosen(boxes[:, [1, 0, 3, 2]] * scale, scores, numbers - first, wanted, floors)
