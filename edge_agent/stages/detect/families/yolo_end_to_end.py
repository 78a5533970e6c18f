"""YOLOv10, YOLO26 and others that need no suppression: a row a thing: corners, score and class.

Source: A. Wang et al., "YOLOv10: Real-Time End-to-End Object Detection", arXiv:2405.14458, §3.1; the six columns as
those who use such files describe them; not tried with trained weights. Boxes are pixels, or parts of the picture where
none reaches further.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from numpy.typing import NDArray

from edge_agent.records import FloatArray, IntArray
from edge_agent.stages.detect.families.in_graph import are_cells, are_things
from edge_agent.stages.detect.families.paddle import has_class_first, is_told
from edge_agent.stages.detect.head import PADDED_RGB, Answer, Candidates, Head, chosen, seen_as
from edge_agent.stages.detect.units import are_parts, scale_to, told_unit

FAMILY = "yolo-end-to-end"

_COLUMNS = 6
_MOST_ROWS = 1000  # more are cells of grids


def recognise(answer: Answer) -> Iterator[Head]:
    """One output `(1, rows, 6)` with up to a thousand rows that are not cells of grids; or `(rows, 6)`."""
    if len(answer.shapes) != 1 or len(answer.shapes[0]) not in {2, 3} or answer.shapes[0][-1] != _COLUMNS:
        return
    rows = answer.shapes[0][-2]
    if rows > _MOST_ROWS or are_cells(rows, answer.size):
        return
    things = answer.outputs[0].reshape(-1, _COLUMNS)
    if is_told(answer) or (not are_things(things, 4, 5) and (has_class_first(things) or are_parts(things))):
        return
    yield seen_as(
        PADDED_RGB,
        answer,
        family=FAMILY,
        why=f"at most {rows} things, each with corners, a score and the number of its class",
        size_step=32,
        classes=None,
        suppresses=False,
        decode=_decode,
    )


def _decode(outputs: Sequence[NDArray[Any]], size: tuple[int, int], wanted: IntArray, floors: FloatArray) -> Candidates:
    rows = outputs[0].reshape(-1, _COLUMNS)
    boxes = rows[:, :4]
    return chosen(boxes * scale_to(told_unit(boxes), size), rows[:, 4], rows[:, 5], wanted, floors)
