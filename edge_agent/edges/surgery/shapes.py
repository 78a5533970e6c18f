"""The shapes of all tensors of a graph for a picture of one size, found operation by operation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_agent import runtimes
from edge_agent.edges.surgery.graph import Graph, SurgeryError, told

Shape = tuple[int, ...]

_MOST_NUMBERS = 64
"""What is reckoned with has at most so many: shapes and indices, no pictures."""


class Walk:
    """A walk along the operations, that knows the shape of what each makes, and what shapes are made of.

    Args:
        graph: may be changed while this goes on, ahead of the operation that it has come to.
        inputs: shapes of the inputs, by name, for those that the graph does not fix or that are to be others.
    """

    def __init__(self, graph: Graph, inputs: Mapping[str, Shape]) -> None:
        self._onnx = runtimes.load("onnx")
        self._graph = graph
        self._types: dict[str, Any] = {}
        self._values: dict[str, NDArray[Any]] = {}
        for tensor in graph.model.graph.input:
            shape = inputs.get(tensor.name)
            element = tensor.type.tensor_type.elem_type
            self._types[tensor.name] = (
                tensor.type if shape is None else self._onnx.helper.make_tensor_type_proto(element, shape)
            )

    def through(self) -> Walk:
        """Go to the end."""
        for node in self._graph.nodes:
            self.step(node)
        return self

    def step(self, node: Any) -> None:
        """Go on by one operation.

        Raises:
            SurgeryError: it cannot take what it is given.
        """
        for name in node.input:
            self._learn(name)
        try:
            self._onnx.defs.get_schema(node.op_type, self._version(node.domain), node.domain)
            self._types |= self._inferred(node)
        except self._onnx.defs.SchemaError:
            return  # an operation that onnx does not know: what it makes is of unknown shape
        except self._onnx.shape_inference.InferenceError as error:
            words = " ".join(str(error).split())
            raise SurgeryError(f"{told(node)} cannot take what it is given then: {words}") from error
        except Exception:  # noqa: BLE001  (what it reads is of unknown type, or has graphs of its own within)
            return
        self._reckon(node)

    def shape(self, name: str) -> Shape:
        """The shape of a tensor.

        Raises:
            SurgeryError: it depends on what the picture shows, or on an operation that onnx does not know.
        """
        found = self.known(name)
        if found is None:
            raise SurgeryError(f"the shape of {name} cannot be told")
        return found

    def known(self, name: str) -> Shape | None:
        """The shape of a tensor, or None."""
        self._learn(name)
        if name not in self._types or not self._types[name].tensor_type.HasField("shape"):
            return None
        dims = self._types[name].tensor_type.shape.dim
        return tuple(dim.dim_value for dim in dims) if all(dim.HasField("dim_value") for dim in dims) else None

    def type(self, name: str) -> Any:
        """Element and shape of a tensor, as the library has it."""
        self._learn(name)
        return self._types.get(name)

    def value(self, name: str) -> NDArray[Any] | None:
        """The numbers of a tensor that does not depend on what the picture shows; None for others and for long ones."""
        self._learn(name)
        return self._values.get(name)

    def _learn(self, name: str) -> None:
        """Take in a weight."""
        if not name or name in self._types or self._graph.maker(name) is not None:
            return
        array = self._graph.constant(name)
        if array is not None:
            self._note(name, array)

    def _note(self, name: str, array: NDArray[Any]) -> None:
        element = self._onnx.helper.np_dtype_to_tensor_dtype(array.dtype)
        self._types[name] = self._onnx.helper.make_tensor_type_proto(element, array.shape)
        if array.size <= _MOST_NUMBERS:
            self._values[name] = array

    def _version(self, domain: str) -> int:
        imports = self._graph.model.opset_import
        return next((int(one.version) for one in imports if one.domain == domain), 1)

    def _alone(self, node: Any) -> Any:
        """A model of nothing but this operation, with what is known of its inputs."""
        helper = self._onnx.helper
        names = dict.fromkeys(name for name in node.input if name)
        graph = helper.make_graph(
            [node],
            "one",
            [helper.make_value_info(name, self._types[name]) for name in names if name not in self._values],
            [helper.make_empty_tensor_value_info(name) for name in node.output if name],
            [self._onnx.numpy_helper.from_array(self._values[name], name) for name in names if name in self._values],
        )
        model = self._graph.model
        return helper.make_model(graph, opset_imports=list(model.opset_import), ir_version=model.ir_version)

    def _inferred(self, node: Any) -> Mapping[str, Any]:
        model = self._onnx.shape_inference.infer_shapes(self._alone(node), strict_mode=True, data_prop=True)
        return {one.name: one.type for one in model.graph.output if one.type.HasField("tensor_type")}

    def _reckon(self, node: Any) -> None:
        """Work out what shapes are made of."""
        if node.op_type == "Constant":
            array = self._graph.constant(node.output[0])
            if array is not None:
                self._note(node.output[0], array)
        elif node.op_type == "Shape":
            shape = self.known(node.input[0])
            if shape is not None:
                attributes = self._graph.attributes(node)
                part = shape[attributes.get("start", 0) : attributes.get("end", len(shape))]
                self._note(node.output[0], np.array(part, np.int64))
        elif node.input and all(name in self._values for name in node.input if name):
            self._evaluate(node)

    def _evaluate(self, node: Any) -> None:
        try:
            made = runtimes.load("onnx.reference").ReferenceEvaluator(self._alone(node)).run(None, {})
        except Exception:  # noqa: BLE001  (what cannot be reckoned is not known, whatever the reason)
            return
        for name, array in zip((name for name in node.output if name), made, strict=True):
            self._note(name, np.asarray(array))
