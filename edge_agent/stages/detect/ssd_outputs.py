"""Which of a model's outputs are an SSD's offsets, scores and anchors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edge_agent.records import FloatArray
from edge_agent.stages.detect.head import Answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where among the outputs what is; anchors only where the graph has them."""

    encodings: int
    scores: int
    anchors: int | None = None


def in_graph(answer: Answer) -> Places | None:
    """Where what is, if the anchors are among the outputs."""
    shapes = answer.shapes
    if len(shapes) != 3 or len({shape[-2] for shape in shapes if len(shape) in {2, 3}}) != 1:  # noqa: PLR2004
        return None
    named = [answer.place(name) for name in ("box_encodings", "class_logits", "anchors")]
    if None not in named:
        encodings, scores, anchors = (place for place in named if place is not None)
        return Places(encodings=encodings, scores=scores, anchors=anchors)
    boxes = [index for index, shape in enumerate(shapes) if shape[-1:] == (4,)]
    if len(boxes) != 2:  # noqa: PLR2004
        return None
    are_anchors = [are_boxes(answer.outputs[index].reshape(-1, 4)) for index in boxes]
    if are_anchors[0] == are_anchors[1]:
        return None
    anchors = boxes[are_anchors.index(True)]
    return Places(encodings=sum(boxes) - anchors, scores=3 - sum(boxes), anchors=anchors)


def cut_off(answer: Answer, count: int | None) -> Places | None:
    """Where offsets (A, 4) and scores (A, classes) are, with 1 for any other side, if there are just these two.

    Args:
        answer: of the model.
        count: of anchors, which tells the rows of outputs that lie flat; None where nobody says.

    Raises:
        ValueError: both have one form, and neither name says which is which.
    """
    if len(answer.shapes) != 2 or any(output.dtype.kind != "f" or not output.size for output in answer.outputs):  # noqa: PLR2004
        return None
    ways = [
        Places(encodings=place, scores=1 - place)
        for place in (0, 1)
        if _are_rows(answer.shapes[place], answer.shapes[1 - place])
        or (count and _lie_flat(answer.shapes[place], answer.shapes[1 - place], count))
    ]
    if len(ways) > 1:
        ways = [way for way in ways if any(word in answer.names[way.encodings].lower() for word in _BOX_WORDS)]
        if len(ways) != 1 and count:
            raise ValueError("its two outputs have one form; call that with the offsets of boxes box_encodings")
    return ways[0] if len(ways) == 1 else None


_BOX_WORDS = ("box", "loc", "reg", "offset")


def _are_rows(offsets: Sequence[int], scores: Sequence[int]) -> bool:
    """Whether shapes without what is 1 are (A, 4) and (A, classes)."""
    sides, others = ([side for side in shape if side != 1] for shape in (offsets, scores))
    return sides[1:] == [4] and others[:1] == sides[:1] and math.prod(scores) == sides[0] * scores[-1]


def _lie_flat(offsets: Sequence[int], scores: Sequence[int], count: int) -> bool:
    """Whether shapes are of one long row each, of so many anchors."""
    if not offsets or not scores:
        return False
    return math.prod(offsets) == offsets[-1] == 4 * count and math.prod(scores) == scores[-1] and not scores[-1] % count


def are_boxes(numbers: FloatArray, most: float = 2.0) -> bool:
    """Whether all are corners of boxes that lie about the picture, in parts of it, none of them beyond so many."""
    return bool((numbers[:, 2:] > numbers[:, :2]).all() and (np.abs(numbers) <= most).all())
