"""Anchors as a person brings them: where they are, and in which of several forms their numbers say so.

A file of numbers does not say what these are, but most forms rule each other out: small anchors at the right are no
corners in order, corners left of the picture are no centres, and what is larger than a few pictures is pixels. Boxes of
a few sizes recur all over the picture, so the reading with far fewer sizes is right. What is left open is asked.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edge_agent.records import FloatArray

Form = Literal["yxyx", "xyxy", "yxhw", "xywh"]
Activation = Literal["sigmoid", "softmax"]
ACTIVATIONS: tuple[Activation, ...] = ("sigmoid", "softmax")
Numbers = NDArray[np.float64]
Scales = tuple[float, float, float, float]

_FORMS: dict[Form, str] = {
    "yxyx": "corners, y before x",
    "xyxy": "corners, x before y",
    "yxhw": "centres and sizes, y before x",
    "xywh": "centres and sizes, x before y",
}

_TURNED: dict[Form, Form] = {"yxyx": "xyxy", "xyxy": "yxyx", "yxhw": "xywh", "xywh": "yxhw"}
"""The same with x and y exchanged."""

ACROSS = [1, 0, 3, 2]
"""Exchanges x and y of corners, offsets, or centres and sizes."""

MOST_PARTS = 5.0  # pictures: the largest anchors in use are three wide, and pixels of any picture go beyond
_LARGEST = 4.0  # pictures, of an anchor's side
_BEFORE = 0.05  # of the picture, that a centre may lie left of it or above
_BEYOND = 0.2  # of the picture, on the other sides: where large cells do not divide it the last ones go beyond
_ASIDE = 0.05  # of the picture, that the mean of all centres may lie from its middle
_CLEARLY = 2.0  # times


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Told:
    """What a person says of a model's boxes and scores that its graph does not.

    Attributes:
        anchors: (N, K) as they stand in a file; None where there is none.
        origin: that file's name.
        anchor_form: what its numbers are; None leaves that to them.
        box_scales: how many times as large as they are the offsets of a box were learnt, in the order of the anchors.
        activation: what makes scores of a class's numbers.
    """

    anchors: Numbers | None = None
    origin: str = ""
    anchor_form: Form | None = None
    box_scales: Scales | None = None
    activation: Activation | None = None

    @property
    def keys(self) -> tuple[str, ...]:
        """The settings that say something, as they are called."""
        names = ("anchors", "anchor_form", "box_scales", "activation")
        return tuple(f"model.{name}" for name in names if getattr(self, name) is not None)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Anchors:
    """Anchors that are understood.

    Attributes:
        boxes: (N, 4) float32 ymin, xmin, ymax, xmax, in 0..1 of the picture; some lie partly outside.
        x_first: whether they were given with x before y, as the model's offsets are then.
        told: where they are from and how they were read, for people.
    """

    boxes: FloatArray
    x_first: bool
    told: str


def understood(told: Told, size: tuple[int, int]) -> Anchors:
    """Anchors of an SSD from the numbers in a file.

    Args:
        told: with anchors.
        size: width and height of the picture that the model sees.

    Raises:
        ValueError: they are no anchors of such a picture, or could be two; the message says which setting decides.
    """
    numbers = np.asarray(told.anchors, np.float64)
    if numbers.shape[1] != 4:  # noqa: PLR2004
        raise ValueError(f"model.anchors has {numbers.shape[1]} numbers a line, and each anchor of an SSD has 4")
    in_pixels = bool(np.max(np.abs(numbers)) > MOST_PARTS)
    unit = f"pixels of {size[0]}x{size[1]}" if in_pixels else "parts of the picture"
    forms = [told.anchor_form] if told.anchor_form else list(_FORMS)
    read = {form: _boxes(numbers, form, size if in_pixels else (1, 1)) for form in forms}
    fitting: dict[Form, Numbers] = {form: boxes for form, boxes in read.items() if _are_anchors(boxes)}
    if not fitting:
        ways = f"no {_FORMS[told.anchor_form]}," if told.anchor_form else "neither corners nor centres and sizes"
        raise ValueError(
            f"model.anchors: the numbers in {told.origin} are {ways} of boxes about the picture, in {unit}"
        )
    left = [told.anchor_form] if told.anchor_form else list(_likeliest(fitting))
    if len(left) > 1:
        ways = " or ".join(f"{_FORMS[form]} ({form})" for form in left)
        raise ValueError(
            f"model.anchors: the numbers in {told.origin} can be read as {ways}; model.anchor_form decides"
        )
    form = left[0]
    return Anchors(
        boxes=fitting[form].astype(np.float32),
        x_first=form.startswith("x"),
        told=f"from {told.origin}, {_FORMS[form]}, in {unit}",
    )


def _boxes(numbers: Numbers, form: Form, size: tuple[int, int]) -> Numbers:
    """Numbers in a form as ymin, xmin, ymax, xmax, in 0..1."""
    y_first = numbers if form.startswith("y") else numbers[:, ACROSS]
    parts = y_first / np.array([size[1], size[0]] * 2)
    if form in {"yxyx", "xyxy"}:
        return parts
    centres, halves = parts[:, :2], parts[:, 2:] / 2
    return np.concatenate([centres - halves, centres + halves], axis=1)


def _are_anchors(boxes: Numbers) -> bool:
    """Whether corners are in order, and the centres in the picture, all over it."""
    centres, sizes = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
    are_boxes = bool((sizes > 0).all() and (sizes <= _LARGEST).all())
    are_inside = bool((centres >= -_BEFORE).all() and (centres <= 1 + _BEYOND).all())
    is_even = len(boxes) == 1 or bool((np.abs(centres.mean(axis=0) - 0.5) <= _ASIDE).all())
    return are_boxes and are_inside and is_even and bool((np.max(centres, axis=0) >= 0.5 - _ASIDE).all())


def _likeliest(fitting: dict[Form, Numbers]) -> Iterator[Form]:
    """Of the forms in which numbers are boxes those that explain best how the boxes lie beside each other."""
    sizes = {form: _sizes(boxes) for form, boxes in fitting.items()}
    for form, boxes in fitting.items():
        has_few_sizes = sizes[form] < _CLEARLY * min(sizes.values())
        if has_few_sizes and (_TURNED[form] not in fitting or not _goes_by_columns(boxes)):
            yield form


def _sizes(boxes: Numbers) -> int:
    """How many there are."""
    return len(np.unique(np.round(boxes[:, 2:] - boxes[:, :2], 3), axis=0))


def _goes_by_columns(boxes: Numbers) -> bool:
    """Whether y clearly changes more than x from a box to the next; anchors are listed row by row."""
    down, across = np.abs(np.diff(boxes[:, :2] + boxes[:, 2:], axis=0)).sum(axis=0)
    return bool(down >= _CLEARLY * across) and len(boxes) > 1
