"""Folding what YOLOX calls Focus: four pictures of every second pixel, joined and convolved, are one convolution.

Every second pixel of every second row, from each of the four places to begin with, makes four times the channels at
half the size. A convolution of k x k of these sees the very pixels that one of 2k x 2k with twice the step sees in the
picture itself; only the order in which products are summed is another.

Source: Z. Ge et al., "YOLOX", arXiv:2107.08430, whose network begins with it; the arithmetic is worked out here.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_agent.edges.surgery.graph import Graph, SurgeryError, told
from edge_agent.edges.surgery.shapes import Walk
from edge_agent.edges.surgery.slices import parts

_ROWS, _COLUMNS = 2, 3  # sides of a tensor that has channels before rows and columns
_QUARTERS = 4


def fold(graph: Graph, walk: Walk) -> int:
    """Make one convolution of each Focus.

    Args:
        graph: is changed.
        walk: through it as it was.

    Returns:
        How many there were.

    Raises:
        SurgeryError: there is one that is not followed by a plain convolution with constant weights.
    """
    found = 0
    for node in list(graph.nodes):
        quarters = _quarters(graph, walk, node)
        if quarters is None:
            continue
        _fold_one(graph, node, *quarters)
        found += 1
    graph.remove_unused()
    return found


def _quarters(graph: Graph, walk: Walk, node: Any) -> tuple[str, list[tuple[int, int]]] | None:
    """What a `Concat` joins every second pixel of, and from which row and column on in each of its inputs."""
    if node.op_type != "Concat" or len(node.input) != _QUARTERS:
        return None
    if graph.attributes(node)["axis"] % len(walk.shape(node.output[0])) != 1:
        return None
    traced = [_traced(graph, walk, name) for name in node.input]
    sources = {source for source, _from in traced}
    begun = [begin for _source, begin in traced if begin is not None]
    (source,) = sources if len(sources) == 1 else ("",)
    if not source or sorted(begun) != [(0, 0), (0, 1), (1, 0), (1, 1)]:
        return None
    height, width = walk.shape(source)[_ROWS:]
    return None if height % 2 or width % 2 else (source, begun)


def _traced(graph: Graph, walk: Walk, name: str) -> tuple[str, tuple[int, int] | None]:
    """Back through slices: the tensor, and which pixel of each 2 x 2 they take; None where it is something else."""
    begin, step = {_ROWS: 0, _COLUMNS: 0}, {_ROWS: 1, _COLUMNS: 1}
    node = graph.maker(name)
    while node is not None and node.op_type == "Slice":
        taken = parts(graph, walk, node)
        if taken is None or not taken.keys() <= begin.keys() or not all(one.to_the_end for one in taken.values()):
            return name, None
        for axis, part in taken.items():
            begin[axis] = part.start + begin[axis] * part.step
            step[axis] *= part.step
        name = node.input[0]
        node = graph.maker(name)
    return name, (begin[_ROWS], begin[_COLUMNS]) if set(step.values()) == {2} else None


def _fold_one(graph: Graph, joined: Any, source: str, begun: list[tuple[int, int]]) -> None:
    readers = graph.readers(joined.output[0])
    if len(readers) != 1 or readers[0].op_type != "Conv":
        raise SurgeryError(f"{told(joined)} is a Focus, and {told(readers[0])} that follows is no plain convolution")
    (convolution,) = readers
    attributes = graph.attributes(convolution)
    weights = graph.constant(convolution.input[1])
    spread = attributes.get("dilations", [1, 1])
    if weights is None or attributes.get("group", 1) != 1 or list(spread) != [1, 1] or "auto_pad" in attributes:
        raise SurgeryError(f"{told(joined)} is a Focus, and {told(convolution)} that follows is no plain convolution")
    pads, strides = attributes.get("pads", [0] * 4), attributes.get("strides", [1, 1])
    convolution.input[0] = source
    convolution.input[1] = graph.add_constant(convolution.input[1], _woven(weights, begun))
    graph.set_attributes(
        convolution,
        {
            "kernel_shape": [2 * side for side in weights.shape[2:]],
            "pads": [2 * pad for pad in pads],
            "strides": [2 * stride for stride in strides],
        },
    )


def _woven(weights: NDArray[Any], begun: list[tuple[int, int]]) -> NDArray[Any]:
    """Weights (out, 4 x channels, k, k) of quarters as those of the picture: (out, channels, 2k, 2k)."""
    out, joined, height, width = weights.shape
    channels = joined // _QUARTERS
    woven = np.zeros((out, channels, 2 * height, 2 * width), weights.dtype)
    for quarter, (row, column) in enumerate(begun):
        woven[:, :, row::2, column::2] = weights[:, quarter * channels : (quarter + 1) * channels]
    return woven
