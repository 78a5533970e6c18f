"""Weights of which only a part is kept: as they are, or as bytes with scales."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from edge_agent.edges.surgery.graph import Graph, SurgeryError, told
from edge_agent.edges.surgery.shapes import Walk
from edge_agent.records import IntArray


class Weights:
    """Takes parts of a graph's weights; what several operations read stays one.

    Args:
        graph: gets new weights; those that nobody reads any more are left there.
        walk: through it as it was.
    """

    def __init__(self, graph: Graph, walk: Walk) -> None:
        self._graph = graph
        self._walk = walk
        self._cut: dict[tuple[str, int, bytes], str] = {}

    def is_one(self, name: str) -> bool:
        """Whether a tensor is constant, as it is or as bytes."""
        if self._graph.constant(name) is not None:
            return True
        node = self._graph.maker(name)
        is_scaled = node is not None and node.op_type == "DequantizeLinear"
        return is_scaled and self._graph.constant(node.input[0]) is not None

    def take_each(self, node: Any, places: Iterable[int], axis: int, keep: IntArray) -> None:
        """Take from each of some inputs of an operation that has more than one number along that side."""
        for place in places:
            name = node.input[place] if place < len(node.input) else ""
            shape = self._walk.shape(name) if name else ()
            if axis < len(shape) and shape[axis] > 1:
                node.input[place] = self.taken(name, axis, keep, node)

    def taken(self, name: str, axis: int, keep: IntArray, reader: Any) -> str:
        """The name of a weight with some places along a side only.

        Raises:
            SurgeryError: it is computed.
        """
        key = name, axis, keep.tobytes()
        if key not in self._cut:
            self._cut[key] = self._taken(name, axis, keep, reader)
        return self._cut[key]

    def _taken(self, name: str, axis: int, keep: IntArray, reader: Any) -> str:
        array = self._graph.constant(name)
        if array is not None:
            return self._graph.add_constant(name, np.take(array, keep, axis))
        if not self.is_one(name):
            raise SurgeryError(f"the weights {name} of {told(reader)} are computed")
        node = self._graph.maker(name)
        attributes = self._graph.attributes(node)
        if attributes.get("block_size", 0):
            raise SurgeryError(f"the weights {name} of {told(reader)} are quantized in blocks")
        along = attributes.get("axis", 1) % max(1, len(self._walk.shape(name)))
        inputs = [self.taken(node.input[0], axis, keep, reader)]
        for part in node.input[1:]:
            has_each = self._walk.shape(part) not in {(), (1,)} and along == axis
            inputs.append(self.taken(part, 0, keep, reader) if has_each else part)
        made = self._graph.new_name(name)
        self._graph.add_node(node, node.op_type, inputs, made, **attributes)
        return made
