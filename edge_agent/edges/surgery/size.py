"""A graph that was made for pictures of one size is made free of it.

Two walks go along the operations side by side, one with the size that the graph was made for, one with another in both
directions. What differs between them depends on the size. Constants that stand for it are changed to what does not:
shapes to -1 (what is left), 0 (as before) or what is asked of the tensor, sizes to scales, ends of slices to the end.
Only operations whose meaning is the same for every size may be there, and anything else that holds the size, such as a
grid, anchors or positions that were learnt, forbids it: those would need other numbers, and nobody here knows which.

So the changed graph is one and the same for all sizes, and what it answers at its own can be compared to the bit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_agent import runtimes
from edge_agent.edges.surgery import grouping
from edge_agent.edges.surgery.graph import Graph, SurgeryError, told
from edge_agent.edges.surgery.shapes import Shape, Walk
from edge_agent.edges.surgery.slices import TO_THE_END, parts, set_bounds

_SAME_FOR_EVERY_SIZE = frozenset({
    "Abs", "Add", "And", "AveragePool", "BatchNormalization", "Cast", "Ceil", "Clip", "Concat", "Constant",
    "ConstantOfShape", "Conv", "ConvTranspose", "DepthToSpace", "DequantizeLinear", "Div", "Dropout", "Elu", "Equal",
    "Erf", "Exp", "Expand", "Flatten", "Floor", "Gather", "Gelu", "Gemm", "GlobalAveragePool", "GlobalMaxPool",
    "Greater", "HardSigmoid", "HardSwish", "Identity", "InstanceNormalization", "LayerNormalization", "LeakyRelu",
    "Less", "Log", "LogSoftmax", "MatMul", "Max", "MaxPool", "Min", "Mish", "Mul", "Neg", "Not", "PRelu", "Pad",
    "Pow", "QuantizeLinear", "Range", "Reciprocal", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceSum", "Relu",
    "Reshape", "Resize", "Round", "Shape", "Sigmoid", "Slice", "Softmax", "Softplus", "SpaceToDepth", "Split", "Sqrt",
    "Squeeze", "Sub", "Tanh", "Tile", "Transpose", "Unsqueeze", "Upsample", "Where",
})  # fmt: skip
"""What such an operation makes of a larger picture is what it makes of a smaller one, and more of it."""

_SIZES = 3  # the input of Resize that may ask for sides instead of scales
_SPATIAL = 2  # the first side that counts rows or columns


def free(graph: Graph, picture: str, own: Shape, other: Shape) -> int:
    """Let a graph take pictures of any size.

    Args:
        graph: is changed.
        picture: name of the input.
        own: shape that it was made for.
        other: one with another height and another width, that it could be made for as well.

    Returns:
        How many constants were changed.

    Raises:
        SurgeryError: it holds what belongs to one size; it may be half changed then.
    """
    walks = _Walks(graph, picture, own, other)
    for node in list(graph.nodes):
        walks.step(node)
    for name in graph.outputs:
        if walks.shape_of(name) == walks.other_shape_of(name) and not walks.depends(name):
            raise SurgeryError(f"the answer {name} is a constant, made for pictures of that size")
    graph.remove_unused()
    return walks.changed


def fix(graph: Graph, picture: str, shape: Shape) -> None:
    """Let a graph that takes any size say that it takes this one, and reckon with it no more when it runs.

    Raises:
        SurgeryError: it does not take it.
    """
    onnx = runtimes.load("onnx")
    walk = Walk(graph, {picture: shape}).through()
    for node in graph.nodes:
        asked = walk.value(node.input[1]) if node.op_type == "Reshape" else None
        if asked is not None and graph.constant(node.input[1]) is None:
            node.input[1] = graph.add_constant(node.input[1], asked)
    graph.remove_unused()
    inputs, outputs = graph.model.graph.input, graph.model.graph.output
    for tensor in inputs:
        if tensor.name == picture:
            element = tensor.type.tensor_type.elem_type
            tensor.type.CopyFrom(onnx.helper.make_tensor_type_proto(element, shape))
    for tensor in outputs:
        if walk.type(tensor.name) is not None:
            tensor.type.CopyFrom(walk.type(tensor.name))
    del graph.model.graph.value_info[:]


class _Walks:
    """Two walks along one graph, with its own size and with another, and what is changed on the way."""

    def __init__(self, graph: Graph, picture: str, own: Shape, other: Shape) -> None:
        self._graph = graph
        self._own = Walk(graph, {picture: own})
        self._other = Walk(graph, {picture: other})
        self._seen = {picture}
        self.changed = 0

    def shape_of(self, name: str) -> Shape | None:
        """Of a tensor, at the size that the graph was made for."""
        return self._own.known(name)

    def other_shape_of(self, name: str) -> Shape | None:
        """Of a tensor, at the other size."""
        return self._other.known(name)

    def depends(self, name: str) -> bool:
        """Whether a tensor depends on what the picture shows."""
        return name in self._seen

    def step(self, node: Any) -> None:
        """Mend an operation, then go past it."""
        if node.op_type not in _SAME_FOR_EVERY_SIZE or node.domain not in {"", "ai.onnx"}:
            raise SurgeryError(f"{told(node)} may mean something else at another size")
        self._own.step(node)
        rules: dict[str, Callable[[Any], None]] = {
            "AveragePool": self._pooled,
            "Concat": self._joined,
            "Expand": self._expanded,
            "Gather": self._gathered,
            "Gemm": self._multiplied,
            "MatMul": self._multiplied,
            "MaxPool": self._pooled,
            "Reshape": self._reshaped,
            "Resize": self._resized,
            "Slice": self._sliced,
            "Split": self._split,
        }
        if node.op_type in rules:
            rules[node.op_type](node)
        try:
            self._other.step(node)
        except SurgeryError as error:
            raise SurgeryError(self._held(node) or str(error)) from error
        if any(name in self._seen for name in node.input) and node.op_type != "Shape":
            self._seen |= set(node.output)

    def _held(self, node: Any) -> str | None:
        """Which constant of an operation is of one size, where it cannot take what it is given at another."""
        for name in node.input:
            array = self._graph.constant(name) if name not in self._seen else None
            if array is not None and array.size > 1:
                return f"{told(node)} reads the constant {name} {list(array.shape)}, made for pictures of that size"
        return None

    def _varies(self, name: str) -> list[int]:
        """Sides of a tensor that depend on the size."""
        own, other = self._own.shape(name), self._other.shape(name)
        return [axis for axis, (one, another) in enumerate(zip(own, other, strict=True)) if one != another]

    def _fixed(self, name: str) -> NDArray[Any] | None:
        """Numbers that are the same for both sizes, or None."""
        own, other = self._own.value(name), self._other.value(name)
        return own if own is not None and other is not None and np.array_equal(own, other) else None

    def _set(self, node: Any, place: int, array: NDArray[Any]) -> None:
        node.input[place] = self._graph.add_constant(node.input[place] or f"{node.output[0]}_input", array)
        self.changed += 1

    def _reshaped(self, node: Any) -> None:
        asked = self._fixed(node.input[1])
        if asked is None or not self._varies(node.input[0]):
            return
        before, after = self._own.shape(node.input[0]), self._own.shape(node.output[0])
        now = self._other.shape(node.input[0])
        wanted = grouping.alike(before, after, now)
        if wanted is None:
            raise SurgeryError(
                f"{told(node)} makes {list(after)} of {list(before)}, and at another size nobody knows what"
            )
        changing = [axis for axis, (one, another) in enumerate(zip(after, wanted, strict=True)) if one != another]
        free_axes = [axis for axis in changing if not grouping.stays(axis, before, after, now, wanted)]
        if grouping.resolved(asked, now) == wanted:
            return
        if len(free_axes) > 1:
            self._compute(node, wanted, free_axes)
            return
        spec = np.array(after, np.int64)
        spec[changing] = 0
        spec[free_axes] = -1
        self._set(node, 1, spec)

    def _compute(self, node: Any, wanted: Shape, axes: list[int]) -> None:
        """Let a `Reshape` ask for sides of the tensor itself, where 0 and -1 cannot say which."""
        whole = node.input[0]
        sides = list(zip(self._own.shape(whole), self._other.shape(whole), strict=True))
        after = self._own.shape(node.output[0])
        shape = self._add(node, "Shape", [whole])
        asked = []
        for axis, side in enumerate(zip(after, wanted, strict=True)):
            if axis == axes[-1]:
                asked.append(self._graph.add_constant(shape, np.array([-1], np.int64)))
            elif axis not in axes:
                asked.append(
                    self._graph.add_constant(shape, np.array([side[0] if side[0] == side[1] else 0], np.int64))
                )
            elif side in sides:
                place = self._graph.add_constant(shape, np.array([sides.index(side)], np.int64))
                asked.append(self._add(node, "Gather", [shape, place], axis=0))
            else:
                raise SurgeryError(f"{told(node)} makes two sides of {list(after)} that depend on the size")
        node.input[1] = self._add(node, "Concat", asked, axis=0)
        self.changed += 1

    def _add(self, before: Any, operation: str, inputs: list[str], **attributes: Any) -> str:
        """A new operation ahead of one that the walks have come to; gives what it makes."""
        made = self._graph.new_name(f"{before.output[0]}_{operation.lower()}")
        node = self._graph.add_node(before, operation, inputs, made, **attributes)
        self._own.step(node)
        self._other.step(node)
        return made

    def _resized(self, node: Any) -> None:
        if len(node.input) <= _SIZES or not node.input[_SIZES] or self._fixed(node.input[_SIZES]) is None:
            return
        before, after = self._own.shape(node.input[0]), self._own.shape(node.output[0])
        if not self._varies(node.input[0]):
            return
        scales = [large / small for small, large in zip(before, after, strict=True)]
        if any(scale != round(scale) and 1 / scale != round(1 / scale) for scale in scales):
            raise SurgeryError(f"{told(node)} makes {list(after)} of {list(before)}, which is no whole number of times")
        del node.input[_SIZES]
        node.input[2] = self._graph.add_constant(f"{node.output[0]}_scales", np.array(scales, np.float32))
        self.changed += 1

    def _sliced(self, node: Any) -> None:
        varying = self._varies(node.input[0])
        taken = parts(self._graph, self._own, node)
        if taken is None or parts(self._graph, self._other, node) is None or not varying:
            return
        ends = []
        for axis, part in taken.items():
            if axis in varying and not part.to_the_end:
                raise SurgeryError(f"{told(node)} takes a part of a side that depends on the size")
            ends.append(TO_THE_END if axis in varying else part.end)
        if any(axis in varying for axis in taken):
            set_bounds(self._graph, node, "ends", ends)
            self.changed += 1

    def _expanded(self, node: Any) -> None:
        asked = self._fixed(node.input[1])
        varying = self._varies(node.input[0])
        if asked is None or not varying:
            return
        lacking = len(asked) - len(self._own.shape(node.input[0]))
        changed = asked.copy()
        changed[[axis + lacking for axis in varying]] = 1  # as it is
        self._set(node, 1, changed)

    def _joined(self, node: Any) -> None:
        if not any(self._varies(name) for name in node.input if self._own.known(name) is not None):
            return
        for name in node.input:
            if name not in self._seen and self._own.value(name) is None:
                raise SurgeryError(f"{told(node)} adds the constant {name}, made for pictures of that size")

    def _gathered(self, node: Any) -> None:
        axis = self._graph.attributes(node).get("axis", 0) % max(1, len(self._own.shape(node.input[0])))
        if axis in self._varies(node.input[0]):
            raise SurgeryError(f"{told(node)} takes places of a side that depends on the size")

    def _multiplied(self, node: Any) -> None:
        last = len(self._own.shape(node.input[0])) - 1
        held = self._held(node)
        if held and last in self._varies(node.input[0]):
            raise SurgeryError(held)

    def _split(self, node: Any) -> None:
        axis = self._graph.attributes(node).get("axis", 0) % len(self._own.shape(node.input[0]))
        if axis in self._varies(node.input[0]):
            raise SurgeryError(f"{told(node)} splits a side that depends on the size")

    def _pooled(self, node: Any) -> None:
        kernel = self._graph.attributes(node)["kernel_shape"]
        sides = self._own.shape(node.input[0])[_SPATIAL:]
        made = self._own.shape(node.output[0])[_SPATIAL:]
        if self._varies(node.input[0]) and set(made) == {1} and tuple(kernel) == tuple(sides):
            raise SurgeryError(f"{told(node)} goes over the whole of a picture of that size")
