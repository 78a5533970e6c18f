"""What part of a tensor an operation `Slice` takes, in all the forms that it had."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edge_agent.edges.surgery.graph import Graph
from edge_agent.edges.surgery.shapes import Walk

_AS_INPUTS = 10  # the opset in which bounds became inputs
TO_THE_END = np.iinfo(np.int64).max
_PLACES = {"starts": 1, "ends": 2, "axes": 3, "steps": 4}


@dataclass(frozen=True, slots=True)
class Part:
    """A part of one side of a tensor.

    Attributes:
        start: first place, from the side's beginning.
        end: the place after the last one, from the beginning.
        step: from a place to the next.
        side: how long the whole side is.
    """

    start: int
    end: int
    step: int
    side: int

    @property
    def to_the_end(self) -> bool:
        """Whether it goes on to the end of the side, however long that is."""
        return self.step > 0 and self.end >= self.side


def parts(graph: Graph, walk: Walk, node: Any) -> dict[int, Part] | None:
    """The part of each side that a `Slice` cuts; None where its bounds are computed.

    Args:
        graph: that it is in.
        walk: through it, beyond this operation's inputs.
        node: the operation.
    """
    bounds = {name: _bound(graph, walk, node, name) for name in _PLACES}
    starts, ends = bounds["starts"], bounds["ends"]
    sides = walk.known(node.input[0])
    if starts is None or ends is None or sides is None:
        return None
    axes = bounds["axes"] or range(len(starts))
    steps = bounds["steps"] or [1] * len(starts)
    found = {}
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        side = sides[axis]
        first, last = (place + side if place < 0 else place for place in (start, end))
        found[axis % len(sides)] = Part(max(0, first), min(max(0, last), side), step, side)
    return found


def _bound(graph: Graph, walk: Walk, node: Any, name: str) -> list[int] | None:
    if graph.opset < _AS_INPUTS:
        values = graph.attributes(node).get(name)
        return None if values is None else [int(value) for value in values]
    place = _PLACES[name]
    if place >= len(node.input) or not node.input[place]:
        return None
    value = walk.value(node.input[place])
    return None if value is None else [int(number) for number in value]


def set_bounds(graph: Graph, node: Any, name: str, values: Sequence[int]) -> None:
    """Give a `Slice` other `starts` or `ends`."""
    if graph.opset < _AS_INPUTS:
        graph.set_attributes(node, {name: list(values)})
    else:
        place = _PLACES[name]
        node.input[place] = graph.add_constant(node.input[place], np.array(values, np.int64))
