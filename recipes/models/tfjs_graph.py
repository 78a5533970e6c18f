"""A TensorFlow.js graph model as plain values: nodes by name, weights as arrays, no TensorFlow needed.

Source: the file format as it stands in model.json, which holds TensorFlow's GraphDef (Apache-2.0) written as JSON.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from recipes.errors import RecipeError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    Weights = dict[str, NDArray[Any]]

# How the values of each weight lie in the shards; all are little-endian.
STORED_TYPES = {"float32": "<f4", "int32": "<i4", "bool": "|u1", "float16": "<f2", "uint8": "|u1", "uint16": "<u2"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One operation of the graph; `inputs` are tensor names, `name` or `name:output`."""

    name: str
    operation: str
    inputs: tuple[str, ...]
    attributes: Mapping[str, Any]

    def integers(self, key: str) -> tuple[int, ...]:
        """Return a list attribute, such as strides; JSON holds 64-bit integers as strings."""
        return tuple(int(value) for value in self.attributes[key]["list"]["i"])

    def number(self, key: str) -> float:
        """Return a number attribute; protobuf leaves one that is zero out."""
        value = self.attributes.get(key, {})
        return float(value.get("f", value.get("i", 0)))

    def flag(self, key: str) -> bool:
        """Return a truth attribute; protobuf leaves one that is false out."""
        return bool(self.attributes.get(key, {}).get("b", False))

    def text(self, key: str) -> str:
        """Return a bytes attribute as text: base64 in newer files, a list of byte values in older ones."""
        value = self.attributes[key]["s"]
        return (base64.b64decode(value) if isinstance(value, str) else bytes(value)).decode("ascii")


@dataclass(frozen=True, slots=True, kw_only=True)
class TfjsGraph:
    """The operations of a model by name, and the values of its constants."""

    nodes: Mapping[str, Node]
    weights: Mapping[str, NDArray[Any]]

    def in_order(self, outputs: Collection[str], known: Collection[str]) -> list[Node]:
        """List the nodes that `outputs` need, each after its inputs, without going behind a `known` one.

        Raises:
            RecipeError: an input names no node, or the needed part of the graph has a loop.
        """
        done: dict[str, Node] = {}  # in order of insertion
        open_names: set[str] = set()  # begun, not finished: meeting one again is a loop
        stack = [node_name(output) for output in reversed(list(outputs))]
        while stack:
            name = stack[-1]
            if name in done or name in known:
                stack.pop()
                continue
            waiting = [source for source in self._sources(name) if source not in done and source not in known]
            if not waiting:
                done[name] = self.nodes[name]
                open_names.discard(stack.pop())
            elif name in open_names:
                raise RecipeError(f"{name}: the graph has a loop through it, which cannot be converted")
            else:
                open_names.add(name)
                stack.extend(reversed(waiting))
        return list(done.values())

    def _sources(self, name: str) -> list[str]:
        if name not in self.nodes:
            raise RecipeError(f"{name}: an input or output of the graph names it, but there is no such node")
        return [node_name(tensor) for tensor in self.nodes[name].inputs]


def node_name(tensor: str) -> str:
    """Return the name of the node that makes a tensor: `split:1` is an output of `split`."""
    return tensor.partition(":")[0]


def read_graph(model_json: Path) -> TfjsGraph:
    """Read model.json and the weight shards that lie beside it.

    Raises:
        RecipeError: the file is no graph model, or its shards hold fewer or more bytes than its weights need.
    """
    document = json.loads(model_json.read_text(encoding="utf-8"))
    if not {"modelTopology", "weightsManifest"} <= document.keys():
        raise RecipeError(f"{model_json.name}: has no modelTopology or weightsManifest; is it a graph model?")
    nodes = {node.name: node for node in map(_node, document["modelTopology"]["node"])}
    weights: Weights = {}
    for group in document["weightsManifest"]:
        shards = b"".join((model_json.parent / path).read_bytes() for path in group["paths"])
        weights.update(_weights(shards, group["weights"]))
    return TfjsGraph(nodes=nodes, weights=weights)


def _node(entry: Mapping[str, Any]) -> Node:
    # An input such as ^name only orders execution; it carries no tensor.
    inputs = tuple(tensor for tensor in entry.get("input", ()) if not tensor.startswith("^"))
    return Node(name=entry["name"], operation=entry["op"], inputs=inputs, attributes=entry.get("attr", {}))


def _weights(shards: bytes, entries: list[Mapping[str, Any]]) -> Iterator[tuple[str, NDArray[Any]]]:
    """Cut the joined shards of one group into its weights, which follow each other without gaps."""
    offset = 0
    for entry in entries:
        quantization = entry.get("quantization", {})
        stored = np.dtype(STORED_TYPES[quantization.get("dtype", entry["dtype"])])
        count = int(np.prod(entry["shape"], dtype=np.int64))
        if offset + count * stored.itemsize > len(shards):
            raise RecipeError(f"{entry['name']}: the weight shards end before it; is a shard missing or cut?")
        values = np.frombuffer(shards, stored, count, offset).reshape(entry["shape"])
        offset += values.nbytes
        yield entry["name"], _restored(values, entry["dtype"], quantization)
    if offset != len(shards):
        raise RecipeError(f"the weight shards hold {len(shards)} bytes, their weights need {offset}")


def _restored(values: NDArray[Any], dtype: str, quantization: Mapping[str, Any]) -> NDArray[Any]:
    """Undo the storage quantization: float16 is widened, integers mean value * scale + min."""
    if quantization.get("dtype", "float16") != "float16":
        scale, minimum = np.float32(quantization["scale"]), np.float32(quantization["min"])
        values = values.astype(np.float32) * scale + minimum
        if dtype != "float32":
            values = np.round(values)
    return values.astype(np.dtype(dtype))
