"""Only the class columns that are wanted: from an answer back to the weights that make it, and there cut.

Each operation on the way is either one that leaves columns by themselves, and is gone through, or the convolution or
matrix product that makes them, whose weights are cut; anything else forbids it. A softmax over the classes does, for
what it gives one depends on all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from edge_agent.edges.surgery.graph import Graph, SurgeryError, told
from edge_agent.edges.surgery.grouping import carried
from edge_agent.edges.surgery.shapes import Walk
from edge_agent.edges.surgery.slices import parts, set_bounds
from edge_agent.edges.surgery.weights import Weights
from edge_agent.records import IntArray

_BY_THEMSELVES = frozenset({
    "Abs", "Cast", "Clip", "DequantizeLinear", "Dropout", "Elu", "Erf", "Exp", "Floor", "Gelu", "HardSigmoid",
    "HardSwish", "Identity", "LeakyRelu", "Log", "Mish", "Neg", "QuantizeLinear", "Reciprocal", "Relu", "Round",
    "Sigmoid", "Softplus", "Sqrt", "Tanh",
})  # fmt: skip
"""Operations on each number by itself, the first input being the tensor."""

_PAIRED = frozenset({"Add", "Div", "Max", "Min", "Mul", "PRelu", "Pow", "Sub", "Sum", "Where"})
"""Operations on numbers at the same place of several tensors."""

_KNOWN = frozenset({"", "ai.onnx", "com.microsoft"})
"""Domains in which these names mean these operations; onnxruntime's has the scales of 16-bit integers."""

_RESHAPED = frozenset({"Flatten", "Reshape", "Squeeze", "Unsqueeze"})
_SOFTMAX = frozenset({"LogSoftmax", "Softmax"})
_SOFTMAX_OF_ONE_AXIS = 13  # the opset from which on it goes along one side only
_SPLIT_AS_INPUT = 13  # the opset in which sizes became an input


@dataclass(frozen=True, slots=True)
class Columns:
    """What is to be left of an answer.

    Attributes:
        output: its name.
        axis: of it that counts columns.
        keep: columns that stay, in order.
    """

    output: str
    axis: int
    keep: IntArray


def prune(graph: Graph, walk: Walk, wanted: Iterable[Columns]) -> None:
    """Leave of answers only some columns, and compute no others.

    Args:
        graph: is changed.
        walk: through it as it was.
        wanted: the answers that have columns to spare.

    Raises:
        SurgeryError: the graph mixes columns; it may be half changed then.
    """
    cutter = _Cutter(graph, walk)
    for columns in wanted:
        for reader in graph.readers(columns.output):
            raise SurgeryError(f"{told(reader)} reads all of {columns.output}, too")
        cutter.cut(columns.output, columns.axis, columns.keep)
        graph.set_side(columns.output, columns.axis, len(columns.keep))
    graph.remove_unused()


class _Cutter:
    """Goes back from an answer; every tensor that it comes by has one reader, which wants these columns only."""

    def __init__(self, graph: Graph, walk: Walk) -> None:
        self._graph = graph
        self._walk = walk
        self._weights = Weights(graph, walk)

    def cut(self, name: str, axis: int, keep: IntArray) -> None:
        """Leave of a tensor only some places along a side."""
        node = self._graph.maker(name)
        if node is None:
            raise SurgeryError(f"{name} is made by no operation, so there is nothing to spare")
        if node.domain not in _KNOWN:
            raise SurgeryError(f"{told(node)} of {node.domain} may mix labels, so none can be left out before it")
        if node.op_type == "Split":
            self._split(node, name, axis, keep)
        else:
            self._rule(node)(node, axis, keep)

    def _rule(self, node: Any) -> Callable[[Any, int, IntArray], None]:
        rules = {
            "BatchNormalization": self._normalized,
            "Concat": self._joined,
            "Conv": self._convolved,
            "Gemm": self._multiplied,
            "MatMul": self._multiplied,
            "Slice": self._sliced,
            "Transpose": self._transposed,
        }
        if node.op_type in _BY_THEMSELVES:
            return self._by_itself
        if node.op_type in _PAIRED:
            return self._paired
        if node.op_type in _RESHAPED:
            return self._reshaped
        if node.op_type in _SOFTMAX:
            return self._weighed
        if node.op_type not in rules:
            raise SurgeryError(f"{told(node)} may mix labels, so none can be left out before it")
        return rules[node.op_type]

    def _follow(self, name: str, axis: int, keep: IntArray, *readers: Any) -> None:
        """Go on to what operations read, if nobody else does; who asks for its shape is told the new one."""
        others = [node for node in self._graph.readers(name) if node not in readers and node.op_type != "Shape"]
        if others or name in self._graph.outputs:
            who = told(others[0]) if others else "whoever asks for it"
            raise SurgeryError(f"{who} reads all of {name}, too")
        self.cut(name, axis, keep)

    # Through

    def _by_itself(self, node: Any, axis: int, keep: IntArray) -> None:
        if "Linear" in node.op_type:  # a scale and a zero for each place, or for all
            along = self._graph.attributes(node).get("axis", 1) % len(self._walk.shape(node.input[0]))
            if along == axis:
                self._weights.take_each(node, range(1, len(node.input)), 0, keep)
        self._follow(node.input[0], axis, keep, node)

    def _paired(self, node: Any, axis: int, keep: IntArray) -> None:
        sides = len(self._walk.shape(node.output[0]))
        for place, name in enumerate(node.input):
            shape = self._walk.shape(name)
            along = axis - (sides - len(shape))
            if along < 0 or shape[along] == 1:
                continue  # the same number for all columns
            if self._weights.is_one(name):
                node.input[place] = self._weights.taken(name, along, keep, node)
            else:
                self._follow(name, along, keep, node)

    def _transposed(self, node: Any, axis: int, keep: IntArray) -> None:
        sides = len(self._walk.shape(node.output[0]))
        order = self._graph.attributes(node).get("perm") or list(range(sides))[::-1]
        self._follow(node.input[0], order[axis], keep, node)

    def _weighed(self, node: Any, axis: int, keep: IntArray) -> None:
        sides = len(self._walk.shape(node.output[0]))
        one_axis = self._graph.opset >= _SOFTMAX_OF_ONE_AXIS
        along = self._graph.attributes(node).get("axis", -1 if one_axis else 1) % sides
        if axis == along or (axis > along and not one_axis):
            raise SurgeryError(f"{told(node)} goes over all labels: what it gives one depends on the others")
        self._follow(node.input[0], axis, keep, node)

    def _reshaped(self, node: Any, axis: int, keep: IntArray) -> None:
        before, after = self._walk.shape(node.input[0]), self._walk.shape(node.output[0])
        source = carried(before, after, axis, keep)
        if source is None:
            raise SurgeryError(f"{told(node)} makes labels of {list(before)} that no side of it counts")
        if node.op_type == "Reshape":
            self._set_side(node, axis, len(keep))
        self._follow(node.input[0], *source, node)

    def _set_side(self, node: Any, axis: int, side: int) -> None:
        """Where the shape that `Reshape` is given names the side, name the new one."""
        asked = self._walk.value(node.input[1])
        if asked is None or asked[axis] <= 0:
            return  # it follows from the others, or is as it was
        if self._weights.is_one(node.input[1]):
            changed = asked.copy()
            changed[axis] = side
            node.input[1] = self._graph.add_constant(node.input[1], changed)
            return
        joined = self._graph.maker(node.input[1])
        if joined is None or joined.op_type != "Concat" or len(joined.input) != len(asked):
            raise SurgeryError(f"the shape that {told(node)} is given is computed")
        if self._walk.value(joined.input[axis]) is not None and self._is_constant_chain(joined.input[axis]):
            joined.input[axis] = self._graph.add_constant(joined.input[axis], np.array([side], np.int64))

    def _is_constant_chain(self, name: str) -> bool:
        """Whether a number comes from constants alone, and asks for the shape of nothing."""
        node = self._graph.maker(name)
        return node is None or (node.op_type != "Shape" and all(map(self._is_constant_chain, node.input)))

    def _joined(self, node: Any, axis: int, keep: IntArray) -> None:
        along = self._graph.attributes(node)["axis"] % len(self._walk.shape(node.output[0]))
        first = 0
        for name in list(node.input):
            side = self._walk.shape(name)[axis]
            here = keep if along != axis else keep[(keep >= first) & (keep < first + side)] - first
            first += side
            if len(here) == side:
                continue
            if not len(here):
                node.input.remove(name)
            elif self._weights.is_one(name):
                node.input[list(node.input).index(name)] = self._weights.taken(name, axis, here, node)
            else:
                self._follow(name, axis, here, node)

    def _split(self, node: Any, made: str, axis: int, keep: IntArray) -> None:
        """One of the parts of a side becomes shorter, the others stay."""
        sides = [self._walk.shape(name)[axis] for name in node.output]
        along = self._graph.attributes(node).get("axis", 0) % len(self._walk.shape(made))
        if along != axis:
            raise SurgeryError(f"{told(node)} gives others what is to be left out")
        place = list(node.output).index(made)
        kept: list[IntArray] = [np.arange(side) for side in sides]
        kept[place] = keep
        firsts = np.cumsum([0, *sides[:-1]])
        sizes = [len(one) for one in kept]
        if self._graph.opset < _SPLIT_AS_INPUT:
            self._graph.set_attributes(node, {"split": sizes})
        else:
            del node.input[1:]
            node.input.append(self._graph.add_constant(f"{made}_sizes", np.array(sizes, np.int64)))
            self._graph.set_attributes(node, {"num_outputs": None})
        every = np.concatenate([first + one for first, one in zip(firsts, kept, strict=True)])
        self._follow(node.input[0], axis, every, node)

    def _sliced(self, node: Any, axis: int, keep: IntArray) -> None:
        """One of several slices of a side becomes shorter, the others move up."""
        whole = node.input[0]
        mine = parts(self._graph, self._walk, node)
        if mine is None:
            raise SurgeryError(f"{told(node)} takes a part that is computed")
        if axis not in mine:
            self._follow(whole, axis, keep, node)
            return
        slices = [one for one in self._graph.readers(whole) if one.op_type == "Slice"]
        here = [(one, parts(self._graph, self._walk, one)) for one in slices]
        cuts = [(one, found[axis]) for one, found in here if found and list(found) == [axis] and found[axis].step == 1]
        if len(cuts) != len(slices):
            raise SurgeryError(f"{told(node)} is not the only one that takes a part of {whole}")
        part = mine[axis]
        dropped = np.setdiff1d(np.arange(part.start, part.end), part.start + keep)
        kept = np.setdiff1d(np.arange(part.side), dropped)
        for one, other in cuts:
            if one is not node and ((dropped >= other.start) & (dropped < other.end)).any():
                raise SurgeryError(f"{told(one)} takes labels that are not wanted, too")
            set_bounds(self._graph, one, "starts", [int((kept < other.start).sum())])
            set_bounds(self._graph, one, "ends", [int((kept < other.end).sum())])
        self._follow(whole, axis, kept, *slices)

    # To the end

    def _convolved(self, node: Any, axis: int, keep: IntArray) -> None:
        if axis != 1 or self._graph.attributes(node).get("group", 1) != 1:
            raise SurgeryError(f"{told(node)} makes labels of groups of channels, or along the picture")
        self._weights.take_each(node, (1, 2), 0, keep)

    def _normalized(self, node: Any, axis: int, keep: IntArray) -> None:
        if axis != 1:
            raise SurgeryError(f"{told(node)} counts labels along the picture")
        self._weights.take_each(node, range(1, 5), 0, keep)
        self._follow(node.input[0], axis, keep, node)

    def _multiplied(self, node: Any, axis: int, keep: IntArray) -> None:
        if axis != len(self._walk.shape(node.output[0])) - 1 or not self._weights.is_one(node.input[1]):
            raise SurgeryError(f"{told(node)} makes labels of no weights")
        sides = len(self._walk.shape(node.input[1]))
        turned = node.op_type == "Gemm" and self._graph.attributes(node).get("transB", 0)
        node.input[1] = self._weights.taken(node.input[1], 0 if turned else sides - 1, keep, node)
        if len(node.input) > 2 and node.input[2]:  # noqa: PLR2004  (what Gemm adds)
            bias = self._walk.shape(node.input[2])
            if bias and bias[-1] != 1:
                node.input[2] = self._weights.taken(node.input[2], len(bias) - 1, keep, node)
