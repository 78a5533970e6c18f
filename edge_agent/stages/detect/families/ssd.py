"""SSD: offsets and class logits for a fixed list of anchors, which the graph carries as a constant output.

Source: W. Liu et al., "SSD: Single Shot MultiBox Detector", ECCV 2016, §2; the box coder and its scales as in
tensorflow/models, object_detection/box_coders/faster_rcnn_box_coder.py (Apache-2.0).
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_agent.records import FloatArray, IntArray, ModelSignature
from edge_agent.stages.detect.head import Candidates, Head, above, fixed_size, takes_pictures

_CENTRE_SCALE = 10.0  # offsets of the centre are learnt ten times as large
_SIZE_SCALE = 5.0
_HALF_RANGE = (127.5, 127.5, 127.5)  # 0..255 to -1..1
_GREY = 114


def recognise(signature: ModelSignature) -> Head | None:
    """Outputs `box_encodings` (1, A, 4), `class_logits` (1, A, classes) and `anchors` (A, 4) of a fixed-size model."""
    places = {tensor.name: index for index, tensor in enumerate(signature.outputs)}
    wanted = ("box_encodings", "class_logits", "anchors")
    if not takes_pictures(signature) or not all(name in places for name in wanted):
        return None
    size, classes = fixed_size(signature), signature.outputs[places["class_logits"]].shape[-1]
    if size is None or classes is None:
        return None
    return Head(
        family="ssd",
        input_size=size,
        size_step=1,
        resize="stretch",
        colour="rgb",
        mean=_HALF_RANGE,
        std=_HALF_RANGE,
        padding=_GREY,
        classes=classes,
        decode=functools.partial(_decode, tuple(places[name] for name in wanted)),
    )


def _decode(
    places: tuple[int, ...],
    outputs: Sequence[NDArray[Any]],
    size: tuple[int, int],
    wanted: IntArray,
    floors: FloatArray,
) -> Candidates:
    encodings, logits, anchors = (outputs[place] for place in places)
    # Comparing logits spares the sigmoid of every anchor: it is monotonic.
    rows, columns = above(logits[0][:, wanted], _logit(floors))
    label_ids = wanted[columns]
    scores = 1 / (1 + np.exp(-logits[0][rows, label_ids]))
    boxes = _boxes(encodings[0][rows], anchors[rows])  # 0..1, for the picture is stretched over the whole input
    return Candidates(boxes=boxes * np.array(size * 2, np.float32), scores=scores, label_ids=label_ids)


def _boxes(encodings: FloatArray, anchors: FloatArray) -> FloatArray:
    """Offsets (N, 4) ty, tx, th, tw on anchors (N, 4) ymin, xmin, ymax, xmax to boxes (N, 4) xyxy, all in 0..1."""
    top, left, bottom, right = anchors.T
    height, width = bottom - top, right - left
    offset_y, offset_x, stretch_y, stretch_x = encodings.T
    centre_y = offset_y / _CENTRE_SCALE * height + (top + bottom) / 2
    centre_x = offset_x / _CENTRE_SCALE * width + (left + right) / 2
    half_height = np.exp(stretch_y / _SIZE_SCALE) * height / 2
    half_width = np.exp(stretch_x / _SIZE_SCALE) * width / 2
    corners = [centre_x - half_width, centre_y - half_height, centre_x + half_width, centre_y + half_height]
    return np.stack(corners, axis=1)


def _logit(probabilities: FloatArray) -> FloatArray:
    inside = np.clip(probabilities, 1e-6, 1 - 1e-6)
    return np.log(inside / (1 - inside))
