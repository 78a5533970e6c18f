"""torchvision's detectors (SSDLite, RetinaNet, FCOS, Faster R-CNN): boxes, labels and scores of what was found.

Source: pytorch/vision (BSD-3-Clause), `torchvision/models/detection`: boxes are pixels of the picture, scaling by mean
and spread is in the graph, label 0 is the background.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator

from edge_agent.stages.detect.head import PADDED_RGB, Answer, Head, decode_numbered, seen_as

FAMILY = "torchvision"

_NAMES = ("boxes", "scores", "labels")


def recognise(answer: Answer) -> Iterator[Head]:
    """Outputs `boxes` (N, 4), `labels` (N,) and `scores` (N,), beside which others do not matter; or these by form."""
    shapes = answer.shapes
    named = tuple(answer.place(name) for name in _NAMES)
    if all(place is not None for place in named):
        shapes = tuple(shapes[place] for place in named if place is not None)
    if len(shapes) != 3 or sorted(len(shape) for shape in shapes) != [1, 1, 2]:  # noqa: PLR2004
        return
    boxes = next(index for index, shape in enumerate(shapes) if len(shape) == 2)  # noqa: PLR2004
    whole = [index for index, output in enumerate(answer.outputs) if output.dtype.kind in "iu"]
    if all(place is not None for place in named):
        places = tuple(place for place in named if place is not None)
    elif len(whole) == 1 and whole[0] != boxes:
        places = (boxes, 3 - boxes - whole[0], whole[0])
    else:
        return
    if answer.shapes[places[0]][-1:] != (4,):
        return
    yield seen_as(
        PADDED_RGB,
        answer,
        "label 0 is the background",
        family=FAMILY,
        why="outputs boxes (N, 4), labels (N,) and scores (N,), of what was found in one picture",
        classes=None,
        coco=91,
        suppresses=False,
        decode=functools.partial(decode_numbered, places),
    )
