"""MMDeploy's models, RTMDet and the rest of MMDetection: corners with their score, and numbers of classes.

Source: open-mmlab/mmdeploy (Apache-2.0), `configs/mmdet/detection`, for the two outputs; open-mmlab/mmdetection
(Apache-2.0), `configs/rtmdet`, for what it wants to see. Boxes are pixels; the graph suppresses.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import Any

from numpy.typing import NDArray

from edge_agent.records import FloatArray, IntArray
from edge_agent.stages.detect.families.nanodet import LOOK
from edge_agent.stages.detect.head import Answer, Candidates, Head, chosen, seen_as

FAMILY = "mmdeploy"

_COLUMNS = 5  # corners and a score


def recognise(answer: Answer) -> Iterator[Head]:
    """Outputs `(1, N, 5)` and `(1, N)` of whole numbers, or both without the 1; masks beside them are ignored."""
    things = [place for place, shape in enumerate(answer.shapes) if len(shape) in {2, 3} and shape[-1] == _COLUMNS]
    labels = [place for place, output in enumerate(answer.outputs) if output.dtype.kind in "iu"]
    for place in things:
        shape = answer.shapes[place]
        fitting = [label for label in labels if answer.shapes[label] == shape[:-1] and label != place]
        if len(fitting) == 1 and (len(answer.shapes) == 2 or answer.place("masks") is not None):  # noqa: PLR2004
            yield seen_as(
                LOOK,
                answer,
                "boxes in pixels",
                family=FAMILY,
                why=f"a list of {shape[-2]} things, each with corners and a score, and the numbers of their classes",
                size_step=32,
                classes=None,
                suppresses=False,
                decode=functools.partial(_decode, place, fitting[0]),
            )


def _decode(
    things: int,
    labels: int,
    outputs: Sequence[NDArray[Any]],
    _size: tuple[int, int],
    wanted: IntArray,
    floors: FloatArray,
) -> Candidates:
    rows = outputs[things].reshape(-1, _COLUMNS)
    return chosen(rows[:, :4], rows[:, 4], outputs[labels].ravel(), wanted, floors)
