"""SSD with Caffe's last layer, as OpenVINO's models have it: a list of picture, class, score and corners of each thing.

Source: openvinotoolkit/openvino (Apache-2.0), operation DetectionOutput: (1, 1, N, 7), corners in parts of the picture,
and -1 for the picture behind the last thing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_agent.records import FloatArray, IntArray
from edge_agent.stages.detect.head import HALF_RANGE_RGB, Answer, Candidates, Head, chosen, seen_as
from edge_agent.stages.detect.units import scale_to, told_unit

FAMILY = "detection-output"

_COLUMNS = 7
_LOOK = replace(HALF_RANGE_RGB, colour="bgr")


def recognise(answer: Answer) -> Iterator[Head]:
    """One output `(1, 1, N, 7)`."""
    if len(answer.shapes) != 1 or len(answer.shapes[0]) != 4 or answer.shapes[0][3] != _COLUMNS:  # noqa: PLR2004
        return
    if answer.shapes[0][:2] != (1, 1):
        return
    yield seen_as(
        _LOOK,
        answer,
        "class 0 is the background",
        family=FAMILY,
        why=f"at most {answer.shapes[0][2]} things, each with its picture, its class, a score and corners",
        classes=None,
        coco=91,
        suppresses=False,
        decode=_decode,
    )


def _decode(outputs: Sequence[NDArray[Any]], size: tuple[int, int], wanted: IntArray, floors: FloatArray) -> Candidates:
    listed = outputs[0].reshape(-1, _COLUMNS)
    rows = listed[np.round(listed[:, 0]) >= 0]
    boxes = rows[:, 3:]
    return chosen(boxes * scale_to(told_unit(boxes), size), rows[:, 2], rows[:, 1], wanted, floors)
