"""TensorFlow operations become ONNX ones; layout changes are remembered, not executed, until something needs them.

Every TensorFlow tensor is a stored ONNX tensor and the order in which TensorFlow sees its axes. A transpose only
changes that order, so a graph that wraps each NHWC convolution in two transposes, and one that is NHWC throughout,
both come out as plain NCHW. Scales and shifts that follow a convolution go into its weights.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import TensorProto, checker, helper

from recipes.errors import RecipeError
from recipes.models.operations import FOLDABLE, OPERATIONS
from recipes.models.tensor import Tensor

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray
    from onnx import ModelProto, NodeProto

    from recipes.models.tensor import Convolution
    from recipes.models.tfjs_graph import Node, TfjsGraph

OPSET = 13  # the first with per-channel QuantizeLinear, which the INT8 files need
IR_VERSION = 8  # read by onnxruntime 1.10 and later
PRODUCER = "edge-agent recipes"

Dimension = int | str  # a string names a dimension that is free


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphInput:
    """Where the conversion starts: a TensorFlow tensor that the caller of the ONNX model feeds."""

    tensor: str
    name: str
    shape: tuple[Dimension, ...]  # as stored, NCHW
    order: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphOutput:
    """Where the conversion ends: a TensorFlow tensor, its ONNX name, and its shape as TensorFlow sees it."""

    tensor: str
    name: str
    shape: tuple[Dimension, ...]


class Converter:
    """Turns the part of a TensorFlow graph between an input and some outputs into one ONNX model.

    `constants` replaces tensors by given values, for what the graph computes from a fixed input size;
    `resize_scales` says by how much each resizing node scales height and width, so that the size may stay free.
    """

    def __init__(
        self,
        graph: TfjsGraph,
        constants: Mapping[str, NDArray[Any]],
        resize_scales: Mapping[str, float],
    ) -> None:
        self._graph = graph
        self._resize_scales = resize_scales
        self._constants: dict[str, NDArray[Any]] = {**graph.weights, **constants}
        self._tensors: dict[str, Tensor] = {}
        self._nodes: list[NodeProto] = []
        self._convolutions: list[Convolution] = []
        self._initializers: dict[str, NDArray[Any]] = {}
        self._uses: Counter[str] = Counter()  # readers of each TensorFlow tensor
        self._names: Counter[str] = Counter()  # names given so far, of each kind

    def convert(self, name: str, graph_input: GraphInput, outputs: Sequence[GraphOutput]) -> ModelProto:
        """Return the ONNX model; the same graph gives the same bytes.

        Raises:
            RecipeError: the graph needs something that is not known here.
        """
        self._tensors = {graph_input.tensor: Tensor(name=graph_input.name, order=graph_input.order)}
        wanted = [output.tensor for output in outputs]
        order = self._graph.in_order(wanted, known=(*self._constants, graph_input.tensor))
        self._uses = Counter([*wanted, *(tensor for node in order for tensor in node.inputs)])
        for node in order:
            self._convert_node(node)
        for output in outputs:
            self._finish_output(output)
        return self._model(name, graph_input, outputs)

    def _convert_node(self, node: Node) -> None:
        if node.operation == "Const":
            raise RecipeError(f"{node.name}: is a constant without a value in the weight shards")
        if node.operation in FOLDABLE and all(tensor in self._constants for tensor in node.inputs):
            self._constants[node.name] = FOLDABLE[node.operation](node, [self._constants[i] for i in node.inputs])
            return
        if node.operation not in OPERATIONS:
            raise RecipeError(f"{node.name}: the operation {node.operation} cannot be converted yet")
        results = OPERATIONS[node.operation](self, node)
        for index, tensor in enumerate(results):
            self._tensors[f"{node.name}:{index}" if index else node.name] = tensor

    # What the operations below build with.

    def tensor(self, name: str) -> Tensor:
        """Return a tensor that is computed, with no padding left to execute."""
        found = self.padded(name)
        if found.padding is not None:
            raise RecipeError(f"{name}: padding is understood only before a convolution or a pooling")
        return found

    def padded(self, name: str) -> Tensor:
        """Return a tensor that is computed, with the padding that its reader must execute."""
        if name not in self._tensors:
            raise RecipeError(f"{name}: is a constant where a computed tensor is expected")
        return self._tensors[name]

    def constant(self, name: str) -> NDArray[Any]:
        """Return a tensor's value, known without running the model."""
        if name not in self._constants:
            raise RecipeError(f"{name}: is computed where a constant is expected")
        return self._constants[name]

    def is_constant(self, name: str) -> bool:
        """Say whether a tensor's value is known without running the model."""
        return name in self._constants

    def is_used_once(self, name: str) -> bool:
        """Say whether a tensor has one reader only, so that changing it in place changes nothing else."""
        return self._uses[name] == 1

    def resize_scale(self, name: str) -> float:
        """Return the factor by which a resizing node scales height and width."""
        if name not in self._resize_scales:
            raise RecipeError(f"{name}: resizes, and the recipe does not say by how much")
        return self._resize_scales[name]

    def initializer(self, kind: str, value: NDArray[Any]) -> str:
        """Store a value in the model, and return the name it got."""
        name = self._next_name(kind)
        self._initializers[name] = value
        return name

    def add_convolution(self, convolution: Convolution) -> tuple[str, str]:
        """Store a convolution's weights and bias, written at the end when all is folded, and return their names."""
        self._convolutions.append(convolution)
        return _convolution_names(len(self._convolutions) - 1)

    def emit(self, operation: str, inputs: Sequence[str], outputs: int = 1, **attributes: Any) -> list[str]:
        """Add an ONNX node and return the names of its outputs.

        The names count up, since those of TensorFlow are long enough to make a quantized file 4 % larger.
        """
        name = self._next_name(operation)
        results = [f"{name}:{index}" if index else name for index in range(outputs)]
        self._nodes.append(helper.make_node(operation, inputs, results, name=name, **attributes))
        return results

    def as_seen(self, tensor: Tensor) -> str:
        """Return the name of a tensor that is stored in the order TensorFlow sees, transposed if it must be."""
        if tensor.order == tuple(range(len(tensor.order))):
            return tensor.name
        return self.emit("Transpose", [tensor.name], perm=list(tensor.order))[0]

    # The end of the conversion.

    def _finish_output(self, output: GraphOutput) -> None:
        if self.is_constant(output.tensor):
            value = np.asarray(self.constant(output.tensor), np.float32).reshape(output.shape)
            content = helper.make_tensor("", TensorProto.FLOAT, value.shape, value.tobytes(), raw=True)
            stored = self.emit("Constant", [], value=content)[0]
        else:
            stored = self.as_seen(self.tensor(output.tensor))
        for node in self._nodes:  # gives the tensor its public name wherever it stands
            node.input[:] = [output.name if name == stored else name for name in node.input]
            node.output[:] = [output.name if name == stored else name for name in node.output]

    def _next_name(self, kind: str) -> str:
        self._names[kind] += 1
        return f"{kind}_{self._names[kind]}"

    def _model(self, name: str, graph_input: GraphInput, outputs: Sequence[GraphOutput]) -> ModelProto:
        for index, convolution in enumerate(self._convolutions):
            weights_name, bias_name = _convolution_names(index)
            self._initializers[weights_name] = convolution.weights.astype(np.float32)
            self._initializers[bias_name] = convolution.bias.astype(np.float32)
        initializers = [
            helper.make_tensor(
                key, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape, value.tobytes(), raw=True
            )
            for key, value in self._initializers.items()
        ]
        described_input = helper.make_tensor_value_info(graph_input.name, TensorProto.FLOAT, graph_input.shape)
        described = [helper.make_tensor_value_info(o.name, TensorProto.FLOAT, o.shape) for o in outputs]
        graph = helper.make_graph(self._nodes, name, [described_input], described, initializers)
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name=PRODUCER
        )
        checker.check_model(model, full_check=True)
        return model


def _convolution_names(index: int) -> tuple[str, str]:
    return f"weights_{index + 1}", f"bias_{index + 1}"
