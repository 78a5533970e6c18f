"""An ONNX model whose graph can be changed: who makes a tensor, who reads it, and which are constant."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_agent import runtimes
from edge_agent.errors import ModelError

_IR_VERSION = 4
"""The first in which weights need not be listed as inputs."""

_STANDARD = ("", "ai.onnx")


class SurgeryError(ValueError):
    """A change that a graph does not allow; the message says why, and not of which file."""


class Graph:
    """A model, to be read and changed in place; a change that may fail is tried on a `copy`.

    Args:
        model: as the library has it.
    """

    def __init__(self, model: Any) -> None:
        self._onnx = runtimes.load("onnx")
        self.model = model
        self._makers: dict[str, Any] | None = None

    def copy(self) -> Graph:
        """The same once more, that can be changed without changing this one."""
        model = self._onnx.ModelProto()
        model.CopyFrom(self.model)
        return Graph(model)

    @property
    def nodes(self) -> Any:
        """All operations, in the order in which they run."""
        return self.model.graph.node

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of what it answers with."""
        return tuple(tensor.name for tensor in self.model.graph.output)

    @property
    def opset(self) -> int:
        """Version of the standard operations."""
        return next(int(one.version) for one in self.model.opset_import if one.domain in _STANDARD)

    def maker(self, name: str) -> Any:
        """The node that makes a tensor; None for an input, a weight and a name that nobody knows."""
        if self._makers is None:
            self._makers = {made: node for node in self.nodes for made in node.output}
        return self._makers.get(name)

    def readers(self, name: str) -> list[Any]:
        """The nodes that read a tensor."""
        return [node for node in self.nodes if name in reads(node)]

    def constant(self, name: str) -> NDArray[Any] | None:
        """The numbers of a weight or of a constant node; None for what is computed."""
        for weight in self.model.graph.initializer:
            if weight.name == name:
                return np.asarray(self._onnx.numpy_helper.to_array(weight))
        node = self.maker(name)
        if node is None or node.op_type != "Constant" or node.domain not in _STANDARD:
            return None
        value = next(iter(self.attributes(node).values()), None)
        if isinstance(value, self._onnx.TensorProto):
            return np.asarray(self._onnx.numpy_helper.to_array(value))
        numbers = np.asarray(value)
        wide = {"i": np.int64, "f": np.float32}.get(numbers.dtype.kind)
        return None if wide is None else numbers.astype(wide)

    def attributes(self, node: Any) -> dict[str, Any]:
        """What stands beside an operation's inputs."""
        return {one.name: self._onnx.helper.get_attribute_value(one) for one in node.attribute}

    def set_attributes(self, node: Any, values: Mapping[str, Any]) -> None:
        """Change some of them, or take those away that become None."""
        kept = [one for one in node.attribute if one.name not in values]
        made = [self._onnx.helper.make_attribute(name, value) for name, value in values.items() if value is not None]
        del node.attribute[:]
        node.attribute.extend([*kept, *made])

    def add_constant(self, like: str, array: NDArray[Any]) -> str:
        """A new weight, named after an old tensor; gives its name."""
        name = self.new_name(like)
        self.model.graph.initializer.append(self._onnx.numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def add_node(self, before: Any, operation: str, inputs: list[str], output: str, **attributes: Any) -> Any:
        """A new operation, that runs before another."""
        place = list(self.nodes).index(before)
        made = self._onnx.helper.make_node(operation, inputs, [output], output, **attributes)
        self.nodes.insert(place, made)
        self._makers = None
        return self.nodes[place]

    def new_name(self, like: str) -> str:
        """A name for a tensor that none has yet."""
        taken = {made for node in self.nodes for made in node.output}
        taken |= {weight.name for weight in self.model.graph.initializer}
        taken |= {tensor.name for tensor in self.model.graph.input}
        number = 1
        while f"{like}_{number}" in taken:
            number += 1
        return f"{like}_{number}"

    def remove_unused(self) -> int:
        """Take away what no output needs; gives how many operations that were."""
        before = len(self.nodes)
        needed = set(self.outputs)
        kept = []
        for node in reversed(self.nodes):
            if needed & set(node.output):
                needed |= reads(node)
                kept.append(node)
        graph = self.model.graph
        weights = [weight for weight in graph.initializer if weight.name in needed]
        nodes = [self._onnx.NodeProto.FromString(node.SerializeToString()) for node in reversed(kept)]
        del graph.node[:], graph.initializer[:], graph.value_info[:]
        graph.node.extend(nodes)
        graph.initializer.extend(weights)
        self._makers = None
        return before - len(nodes)

    def fix_weights(self) -> int:
        """Take weights from among the inputs, where old forms list them; gives how many were there.

        What may be given anew with each run is no constant, and nothing can be worked out of it beforehand.
        """
        weights = {weight.name for weight in self.model.graph.initializer}
        listed = [tensor for tensor in self.model.graph.input if tensor.name in weights]
        for tensor in listed:
            self.model.graph.input.remove(tensor)
        if listed:
            self.model.ir_version = max(self.model.ir_version, _IR_VERSION)
        return len(listed)

    def set_side(self, output: str, axis: int, side: int) -> None:
        """Let it say of an answer how long one of its sides is, if it says anything of that."""
        for tensor in self.model.graph.output:
            sides = tensor.type.tensor_type.shape.dim
            if tensor.name == output and axis < len(sides):
                sides[axis].dim_value = side

    @property
    def metadata(self) -> dict[str, str]:
        """What the file says of itself."""
        return {entry.key: entry.value for entry in self.model.metadata_props}

    def set_metadata(self, metadata: Mapping[str, str]) -> None:
        """Let it say something else."""
        del self.model.metadata_props[:]
        for key, value in metadata.items():
            self.model.metadata_props.add(key=key, value=value)

    def written(self) -> bytes:
        """The file; the same graph gives the same bytes."""
        return bytes(self.model.SerializeToString(deterministic=True))


def read(path: Path) -> Graph:
    """Read a model from its file.

    Raises:
        ModelError: it is none.
        RuntimeMissingError: onnx is not installed.
    """
    onnx = runtimes.load("onnx")
    try:
        model = onnx.load(path)
    except Exception as error:  # onnx and protobuf raise classes of their own, and ones of Python's
        words = " ".join(str(error).split()) or type(error).__name__
        raise ModelError(f"model {path}: onnx cannot read it: {words}") from error
    return Graph(model)


def version() -> str:
    """Of the library.

    Raises:
        RuntimeMissingError: it is not installed.
    """
    return str(runtimes.load("onnx").__version__)


def reads(node: Any) -> set[str]:
    """Names of all tensors that an operation reads, those that a graph within it takes from around it too."""
    return {name for name in _read(node) if name}


def _read(node: Any) -> Iterator[str]:
    yield from node.input
    for attribute in node.attribute:
        for inner in (*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])):
            for one in inner.node:
                yield from _read(one)
            yield from (tensor.name for tensor in inner.output)


def told(node: Any) -> str:
    """An operation for people: what it is, and its name where it has one."""
    return f"{node.op_type} {node.name or (node.output[0] if node.output else '')}".strip()
