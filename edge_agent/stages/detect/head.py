"""What a model wants to see and how its answer is read: the one thing that differs between families."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_agent.records import FloatArray, IntArray
from edge_agent.stages.detect.anchors import Activation, Told

Resize = Literal["letterbox", "stretch"]
Colour = Literal["bgr", "rgb"]
Layout = Literal["nchw", "nhwc"]
Triple = tuple[float, float, float]


class Candidates(NamedTuple):
    """Boxes before suppression.

    Attributes:
        boxes: (N, 4) float32 xyxy in the model's input pixels.
        scores: (N,) float32, 0..1.
        label_ids: (N,) int64, class columns of the model.
    """

    boxes: FloatArray
    scores: FloatArray
    label_ids: IntArray

    def only(self, rows: IntArray) -> Candidates:
        """Some of them, by their indexes, in that order."""
        return Candidates(
            boxes=self.boxes.take(rows, axis=0), scores=self.scores.take(rows), label_ids=self.label_ids.take(rows)
        )


NOTHING = Candidates(
    boxes=np.zeros((0, 4), np.float32), scores=np.zeros(0, np.float32), label_ids=np.zeros(0, np.int64)
)
"""What is found where nobody is in view."""

Decode = Callable[[Sequence[NDArray[Any]], tuple[int, int], IntArray, FloatArray], Candidates]
"""Output tensors, the input's (width, height), wanted class columns (K,) and the least score of each (K,) in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureInput:
    """How the tensor that takes the picture is laid out.

    Attributes:
        name: of the tensor.
        layout: channels before rows and columns, or after.
        dtype: `float32`, `float16` or `uint8`.
        size: width and height when the graph fixes them, None when it takes any.
        has_batch: whether a dimension for several pictures comes first.
    """

    name: str
    layout: Layout
    dtype: str
    size: tuple[int, int] | None
    has_batch: bool = True


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Answer:
    """What a model said to one picture, and what else is known of it: what families recognise it by.

    Attributes:
        size: width and height of the picture it was shown.
        names: of its outputs.
        outputs: the tensors themselves.
        is_byte: whether it takes pictures as bytes, 0..255.
        classes: how many labels there are, from the user's file or the model's own; None when nobody says.
        extra_inputs: names of what it takes besides a picture.
        told: what a person says of its boxes and scores.
    """

    size: tuple[int, int]
    names: tuple[str, ...]
    outputs: tuple[NDArray[Any], ...]
    is_byte: bool = False
    classes: int | None = None
    extra_inputs: tuple[str, ...] = ()
    told: Told = field(default_factory=Told)

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """Of its outputs."""
        return tuple(output.shape for output in self.outputs)

    def place(self, *names: str) -> int | None:
        """Index of the output that has one of the names; None when none has."""
        for index, name in enumerate(self.names):
            if _bare(name) in names:
                return index
        return None


def _bare(name: str) -> str:
    """An output's name without what converters add: `detection_boxes:0`."""
    return name.rpartition(":")[0] or name


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassColumns:
    """Where an output has a column for each class.

    Attributes:
        output: place among the outputs.
        axis: of it that counts columns.
        first: column of the first class, in each group.
        groups: how many groups of as many columns lie one behind the other, each with all classes.
    """

    output: int
    axis: int
    first: int = 0
    groups: int = 1

    def kept(self, columns: int, classes: int, wanted: IntArray) -> IntArray:
        """Which columns are left, in order, when of the classes only some are.

        Args:
            columns: how many there are.
            classes: how many of a group are classes.
            wanted: (K,) classes that are left, in order.
        """
        group = np.arange(columns // self.groups)
        others = group[(group < self.first) | (group >= self.first + classes)]
        left = np.sort(np.concatenate([others, self.first + wanted]))
        return (np.arange(self.groups)[:, None] * len(group) + left).ravel()


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """One model as the detector needs to know it.

    Attributes:
        family: name of the family.
        why: what in the graph it was recognised by.
        assumed: what the graph does not say, and is taken to be as the family usually has it.
        layout: of the tensor that takes the picture.
        dtype: of that tensor: `float32`, `float16` or `uint8`.
        size_step: width and height must be multiples of this.
        resize: keep the aspect and pad (at the right and the bottom), or stretch.
        colour: order of the three channels.
        mean: subtracted from each channel's 0..255.
        std: divides what is left.
        padding: grey level, 0..255, of what the picture does not cover.
        classes: how many class columns the model has; None where it gives numbers of classes.
        class_columns: where these are; empty where it gives numbers of classes.
        coco: which list of COCO's labels numbers of classes count through, when nobody says what they mean: the 80 that
            are used, all 90, or 91 with the background first.
        suppresses: whether boxes of one thing are left for the detector to suppress.
        is_unusual: whether it is taken only where the user names the family, for another reads the same and is far
            more usual.
        activation: what makes scores of class logits, where their numbers told that and fewer columns might not.
        decode: reads the output tensors.
    """

    family: str
    why: str
    assumed: tuple[str, ...] = ()
    layout: Layout = "nchw"
    dtype: str = "float32"
    size_step: int = 1
    resize: Resize
    colour: Colour
    mean: Triple
    std: Triple
    padding: int = 114
    classes: int | None
    class_columns: tuple[ClassColumns, ...] = ()
    coco: Literal[80, 90, 91] = 80
    suppresses: bool = True
    is_unusual: bool = False
    activation: Activation | None = None
    decode: Decode = field(repr=False)


def shape_of(layout: Layout, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Dimensions of the tensor for a picture of that width and height."""
    width, height = size
    return (1, 3, height, width) if layout == "nchw" else (1, height, width, 3)


Recognise = Callable[[Answer], Iterator[Head]]
"""Looks at what a model answered and gives each way in which the family could read it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How a family usually wants to see a picture: what no graph tells.

    Attributes:
        resize: keep the aspect and pad, or stretch.
        colour: order of the three channels.
        mean: subtracted from each channel's 0..255.
        std: divides what is left.
        scale: the same for people.
    """

    resize: Resize
    colour: Colour
    mean: Triple
    std: Triple
    scale: str


def _unit(resize: Resize, colour: Colour) -> Look:
    return Look(resize=resize, colour=colour, mean=(0.0, 0.0, 0.0), std=(255.0, 255.0, 255.0), scale="0 to 1")


PADDED_RGB = _unit("letterbox", "rgb")
PADDED_BGR = _unit("letterbox", "bgr")
STRETCHED_RGB = _unit("stretch", "rgb")
RAW_RGB = Look(resize="letterbox", colour="rgb", mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0), scale="0 to 255")
RAW_BGR = Look(resize="letterbox", colour="bgr", mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0), scale="0 to 255")
HALF_RANGE_RGB = Look(
    resize="stretch", colour="rgb", mean=(127.5, 127.5, 127.5), std=(127.5, 127.5, 127.5), scale="-1 to 1"
)
IMAGENET_RGB = Look(
    resize="stretch",
    colour="rgb",
    mean=(123.675, 116.28, 103.53),
    std=(58.395, 57.12, 57.375),
    scale="ImageNet's mean and spread",
)


def seen_as(look: Look, answer: Answer, *more: str, **rest: Any) -> Head:
    """A head that sees pictures as its family usually does; a model that takes bytes scales them itself.

    Args:
        look: how that is.
        answer: of the model.
        more: what else is assumed.
        rest: the head's other attributes.
    """
    raw = answer.is_byte
    assumed = (look.colour.upper(), *(() if raw else (look.scale,)), _RESIZED[look.resize], *more)
    return Head(
        assumed=assumed,
        resize=look.resize,
        colour=look.colour,
        mean=RAW_BGR.mean if raw else look.mean,
        std=RAW_BGR.std if raw else look.std,
        **rest,
    )


_RESIZED = {"letterbox": "letterboxed", "stretch": "stretched"}


def cells_of(size: tuple[int, int], strides: Sequence[int]) -> int:
    """How many cells the grids of a picture have together."""
    return sum(-(-size[0] // stride) * -(-size[1] // stride) for stride in strides)


def sigmoid(logits: FloatArray) -> FloatArray:
    """Logits of any shape and size as 0..1."""
    return np.asarray(1 / (1 + np.exp(-np.clip(logits, -_FAR, _FAR))), np.float32)


_FAR = 80.0  # beyond, an exponential is no float32


def picked(wanted: IntArray) -> slice | IntArray:
    """What picks the columns of the wanted classes: of one, as it mostly is, without a copy."""
    if len(wanted) != 1:
        return wanted
    first = int(wanted[0])
    return slice(first, first + 1)


def above(scores: FloatArray, floors: FloatArray) -> tuple[IntArray, IntArray]:
    """Rows and columns of the scores (N, K) that reach the floor (K,) of their column."""
    (places,) = (scores >= floors).ravel().nonzero()  # to look in two dimensions would take twice as long
    return np.divmod(places, len(floors))


def reaching(
    scores: FloatArray, wanted: IntArray, floors: FloatArray, boxes_of: Callable[[IntArray], FloatArray]
) -> Candidates:
    """Of cells' scores for the wanted classes those that reach the floor of their class, cell by cell.

    Args:
        scores: (cells, K), 0..1.
        wanted: (K,) class columns of the model.
        floors: (K,) least score of each.
        boxes_of: cells (N,) in, in order, their boxes (N, 4) out; not asked where nothing reaches its floor.
    """
    (places,) = (scores >= floors).ravel().nonzero()
    if not len(places):
        return NOTHING
    if len(wanted) == 1:
        cells, label_ids = places, wanted.repeat(len(places))
    else:
        cells, rank = np.divmod(places, len(wanted))
        label_ids = wanted.take(rank)
    best, boxes = scores.take(places), boxes_of(cells)
    return Candidates(
        boxes=boxes.astype(np.float32, copy=False), scores=best.astype(np.float32, copy=False), label_ids=label_ids
    )


def chosen(
    boxes: NDArray[Any], scores: NDArray[Any], label_ids: NDArray[Any], wanted: IntArray, floors: FloatArray
) -> Candidates:
    """Of boxes (N, 4) that have one label each, (N,), those that are wanted and reach their label's floor."""
    scores = scores.astype(np.float32, copy=False)
    # Wanted labels have a floor, all others one that nothing reaches; numbers beyond what is known are others, too.
    highest = int(np.max(wanted, initial=0))
    floor_of = np.full(highest + 2, np.inf, np.float32)
    floor_of[wanted] = floors
    numbers = np.round(label_ids).astype(np.int64)
    known = (numbers >= 0) & (numbers <= highest)
    kept = np.flatnonzero(scores >= floor_of[np.where(known, numbers, highest + 1)])
    return Candidates(boxes=boxes[kept].astype(np.float32, copy=False), scores=scores[kept], label_ids=numbers[kept])


def decode_numbered(
    places: Sequence[int],
    outputs: Sequence[NDArray[Any]],
    _size: tuple[int, int],
    wanted: IntArray,
    floors: FloatArray,
) -> Candidates:
    """Read boxes (N, 4) in pixels, scores (N,) and numbers of classes (N,), which lie at those places."""
    boxes, scores, labels = (outputs[place] for place in places)
    return chosen(boxes.reshape(-1, 4), scores.ravel(), labels.ravel(), wanted, floors)


def corners(centres_and_sizes: FloatArray) -> FloatArray:
    """Boxes (N, 4) cx, cy, w, h as xyxy."""
    centres, halves = centres_and_sizes[:, :2], centres_and_sizes[:, 2:4] / 2
    return np.concatenate([centres - halves, centres + halves], axis=1).astype(np.float32, copy=False)
