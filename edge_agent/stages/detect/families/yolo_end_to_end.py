"""YOLOv10, YOLO26 and others that need no suppression: a row a thing: corners, score and class.

Source: A. Wang et al., "YOLOv10: Real-Time End-to-End Object Detection", arXiv:2405.14458, §3.1; the six columns as
those who use such files describe them; not tried with trained weights. Boxes are pixels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from numpy.typing import NDArray

from edge_agent.records import FloatArray, IntArray
from edge_agent.stages.detect.head import PADDED_RGB, Answer, Candidates, Head, chosen, seen_as

FAMILY = "yolo-end-to-end"

_COLUMNS = 6
_MOST_ROWS = 1000  # more are cells of grids


def recognise(answer: Answer) -> Iterator[Head]:
    """One output `(1, rows, 6)` with up to a thousand rows."""
    if len(answer.shapes) != 1 or len(answer.shapes[0]) != 3:  # noqa: PLR2004
        return
    _batch, rows, columns = answer.shapes[0]
    if columns != _COLUMNS or rows > _MOST_ROWS:
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


def _decode(
    outputs: Sequence[NDArray[Any]], _size: tuple[int, int], wanted: IntArray, floors: FloatArray
) -> Candidates:
    rows = outputs[0][0]
    return chosen(rows[:, :4], rows[:, 4], rows[:, 5], wanted, floors)
