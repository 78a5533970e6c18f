"""ONNX files that answer every picture with the same tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

Dims = Sequence[int | str]


def write_model(  # noqa: PLR0913 - a file has as many sides
    path: Path,
    outputs: Mapping[str, NDArray[Any]],
    *,
    picture: Dims = (1, 3, 32, 64),
    dtype: int = TensorProto.FLOAT,
    more_inputs: Mapping[str, Dims] | None = None,
    shapes: Mapping[str, Dims] | None = None,
    metadata: Mapping[str, str] | None = None,
    opset: int = 13,
    slope: float = 1e-8,
) -> Path:
    """A model that answers every picture with the same tensors.

    Args:
        path: where to.
        outputs: what it answers, by name.
        picture: shape of its input.
        dtype: of its input.
        more_inputs: shapes of inputs of int64 besides.
        shapes: what it says of its outputs, where that differs from what they are.
        metadata: what it says of itself.
        opset: of the graph.
        slope: what is added to the answers, of the mean of the picture's numbers; half precision needs more.
    """
    # Something of each input times nearly nothing is added to each answer, so that it does depend on the picture.
    inputs = {"images": dtype, **dict.fromkeys(more_inputs or {}, TensorProto.INT64)}
    nodes = [helper.make_node("Cast", [name], [f"{name}_float"], to=TensorProto.FLOAT) for name in inputs]
    nodes += [helper.make_node("ReduceMean", [f"{name}_float"], [f"{name}_mean"], keepdims=0) for name in inputs]
    nodes += [helper.make_node("Sum", [f"{name}_mean" for name in inputs], ["mean"])]
    nodes += [helper.make_node("Mul", ["mean", "nothing"], ["zero"])]
    constants, said = [], {}
    for name, tensor in outputs.items():
        kind = helper.np_dtype_to_tensor_dtype(tensor.dtype)
        nodes += [helper.make_node("Cast", ["zero"], [f"{name}_zero"], to=kind)]
        nodes += [helper.make_node("Add", [f"{name}_constant", f"{name}_zero"], [name])]
        constants += [onnx.numpy_helper.from_array(tensor, f"{name}_constant")]
        said[name] = helper.make_tensor_value_info(name, kind, (shapes or {}).get(name, tensor.shape))
    graph = helper.make_graph(
        nodes,
        "fixed answers",
        [
            helper.make_tensor_value_info(name, kind, picture if name == "images" else (more_inputs or {})[name])
            for name, kind in inputs.items()
        ],
        list(said.values()),
        [*constants, onnx.numpy_helper.from_array(np.float32(slope), "nothing")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    for key, value in (metadata or {}).items():
        model.metadata_props.add(key=key, value=value)
    onnx.save(model, path)
    return path
