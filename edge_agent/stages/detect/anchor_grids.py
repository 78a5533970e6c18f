"""Anchors that everybody who trained a kind of SSD used, so that how many there are tells which: no file is needed.

Other kinds of SSD have as many anchors at the same size and other ones: Caffe's MobileNet-SSD as TensorFlow's, the SSD
that was trained on VOC as the one on COCO. Of these the classes tell: the first takes the softmax, and the last has 20
of them. Where these leave it open, no grid is taken.

Source: TensorFlow's Object Detection API, tensorflow/models (Apache-2.0),
`object_detection/anchor_generators/multiple_grid_anchor_generator.py`, with the settings of its SSD MobileNet samples;
pytorch/vision (BSD-3-Clause), `torchvision/models/detection/anchor_utils.py`, `ssd.py` and `ssdlite.py`. TensorFlow's
were compared with those of SSDLite MobileNetV2 as it was published.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from edge_agent.records import FloatArray
from edge_agent.stages.detect.anchors import Activation, Anchors
from edge_agent.stages.detect.head import HALF_RANGE_RGB, Look

Sizes = Sequence[tuple[float, float]]
"""Widths and heights of the anchors of a cell, as parts of the picture."""

_LAYERS = 6
_LEAST, _MOST = 0.2, 0.95  # of the picture, what a usual anchor of the first layer and of the last is large

VGG_RGB = Look(
    resize="stretch", colour="rgb", mean=(123.0, 117.0, 104.0), std=(1.0, 1.0, 1.0), scale="less 123, 117 and 104"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Well-known anchors.

    Attributes:
        told: whose, for people.
        size: width and height of the picture.
        activation: what makes scores of its class logits.
        classes: how many these are, with the background, where other grids are alike; empty where it does not matter.
        x_first: whether offsets have x before y.
        look: how such a model sees pictures.
        make: makes the anchors, (N, 4) ymin, xmin, ymax, xmax.
    """

    told: str
    size: tuple[int, int]
    activation: Activation
    classes: frozenset[int] = frozenset()
    x_first: bool
    look: Look
    make: Callable[[], FloatArray] = field(repr=False)

    def anchors(self) -> Anchors:
        """Its anchors, understood."""
        return Anchors(boxes=self.make(), x_first=self.x_first, told=self.told)


def grid_of(count: int, size: tuple[int, int], activation: Activation | None, classes: int) -> Grid | None:
    """The one grid that has as many anchors for such a model; None where there is none.

    Args:
        count: of anchors.
        size: width and height of the picture.
        activation: what makes scores of class logits; None where nobody knows.
        classes: columns, with the background.
    """
    for grid in _grids():
        fits = grid.size == size and activation == grid.activation and (not grid.classes or classes in grid.classes)
        if fits and count == len(grid.make()):
            return grid
    return None


def _grids() -> tuple[Grid, ...]:
    return (
        *(
            Grid(
                told="of TensorFlow's SSD MobileNet",
                size=(side, side),
                activation="sigmoid",
                x_first=False,
                look=HALF_RANGE_RGB,
                make=functools.partial(tensorflow_ssd, side),
            )
            for side in (300, 320)
        ),
        Grid(
            told="of torchvision's SSDLite",
            size=(320, 320),
            activation="softmax",
            x_first=True,
            look=HALF_RANGE_RGB,
            make=torchvision_ssdlite,
        ),
        Grid(
            told="of torchvision's SSD for COCO",
            size=(300, 300),
            activation="softmax",
            classes=frozenset({81, 91}),
            x_first=True,
            look=VGG_RGB,
            make=torchvision_ssd,
        ),
    )


def tensorflow_ssd(side: int) -> FloatArray:
    """Anchors of a square picture of that side in pixels: three a cell in the first of six layers, else six."""
    scales = [*_between(_LEAST, _MOST), 1.0]
    layers = []
    for layer, cells in enumerate(_cells(side)):
        scale, between = scales[layer], np.sqrt(scales[layer] * scales[layer + 1])
        if layer == 0:
            sizes = [_formed(0.1, 1.0), _formed(scale, 2.0), _formed(scale, 0.5)]
        else:
            # A third is written with four digits in the settings that all these models were trained with.
            sizes = [*(_formed(scale, ratio) for ratio in (1.0, 2.0, 0.5, 3.0, 0.3333)), _formed(between, 1.0)]
        layers.append(_layer(cells, cells, sizes))
    return np.concatenate(layers)


def torchvision_ssdlite() -> FloatArray:
    """3234 anchors of a picture of 320x320: six a cell in each of six layers."""
    scales = [*_between(_LEAST, _MOST), 1.0]
    layers = [
        _layer(cells, cells, _torchvision_sizes(scale, following, (2, 3)))
        for cells, (scale, following) in zip(_cells(320), itertools.pairwise(scales), strict=True)
    ]
    return np.concatenate(layers)


def torchvision_ssd() -> FloatArray:
    """8732 anchors of a picture of 300x300; cells are 8, 16, 32, 64, 100 and 300 pixels wide."""
    cells = (38, 19, 10, 5, 3, 1)
    strides = (8, 16, 32, 64, 100, 300)
    ratios = ((2,), (2, 3), (2, 3), (2, 3), (2,), (2,))
    scales = (0.07, 0.15, 0.33, 0.51, 0.69, 0.87, 1.05)
    layers = [
        _layer(cells[layer], 300 / strides[layer], _torchvision_sizes(scales[layer], scales[layer + 1], ratios[layer]))
        for layer in range(_LAYERS)
    ]
    return np.concatenate(layers)


def _between(first: float, last: float) -> list[float]:
    """A scale a layer, in equal steps."""
    return [first + (last - first) * layer / (_LAYERS - 1) for layer in range(_LAYERS)]


def _cells(side: int) -> list[int]:
    """Cells in a row in each layer: of 16 pixels in the first, and half as many, rounded up, in each that follows."""
    cells = [-(-side // 16)]
    while len(cells) < _LAYERS:
        cells.append(-(-cells[-1] // 2))
    return cells


def _formed(scale: float, ratio: float) -> tuple[float, float]:
    """A box of that scale, so many times as wide as high."""
    return scale * np.sqrt(ratio), scale / np.sqrt(ratio)


def _torchvision_sizes(scale: float, following: float, ratios: Sequence[int]) -> Sizes:
    """A square, one between it and that of the next layer, a wide and a high box for each ratio; at most a picture."""
    between = np.sqrt(scale * following)
    formed = [_formed(scale, one) for ratio in ratios for one in (ratio, 1 / ratio)]
    sizes = [(scale, scale), (between, between), *formed]
    return [(min(width, 1.0), min(height, 1.0)) for width, height in sizes]


def _layer(cells: int, a_side: float, sizes: Sizes) -> FloatArray:
    """Anchors of a layer, cell by cell and row by row.

    Args:
        cells: in a row, and in a column.
        a_side: so many fit beside each other, which may be fewer than there are.
        sizes: of the anchors of a cell.
    """
    middles = (np.arange(cells) + 0.5) / a_side
    y, x = np.meshgrid(middles, middles, indexing="ij")
    centres = np.stack([y, x], axis=-1).reshape(-1, 1, 2)
    halves = np.array([(height, width) for width, height in sizes])[None] / 2
    return np.concatenate([centres - halves, centres + halves], axis=2).reshape(-1, 4).astype(np.float32)
