"""LiteRT, which runs TensorFlow Lite's files: integers go in and come out as the numbers that they stand for."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_agent import runtimes
from edge_agent.edges.inference.model import AUTO, LoadedModel, ModelSettings, Run
from edge_agent.errors import ModelError
from edge_agent.records import ModelSignature, Tensor

PROVIDER = "LiteRT"
"""Its name in `model.provider`; it uses XNNPACK by itself for what that can."""

Change = Callable[[NDArray[Any]], NDArray[Any]]


def load(path: Path, settings: ModelSettings, _engines: Path | None) -> LoadedModel:
    """Load a `.tflite` file.

    Args:
        path: the file.
        settings: threads and the provider, which has to be LiteRT or `auto`.

    Raises:
        ModelError: the file is no model that LiteRT can load, or another provider is asked for.
        RuntimeMissingError: LiteRT is not installed.
    """
    wanted = settings.require_provider or settings.provider
    if wanted not in {AUTO, PROVIDER}:
        raise ModelError(f"model {path}: model.provider is {wanted}; a .tflite file runs on {PROVIDER} only")
    library = runtimes.load("ai_edge_litert.interpreter")
    if not path.is_file():
        raise ModelError(f"model file {path} cannot be read; check model.path")
    try:
        lent = _Interpreters(lambda: _prepared(library, path, settings.threads))
    except (ValueError, RuntimeError) as error:
        words = " ".join(str(error).split())
        raise ModelError(f"model {path}: LiteRT cannot load it: {words}") from error
    why = "the runtime of .tflite files" if wanted == AUTO else "asked for"
    return LoadedModel(run=_run(lent), signature=lent.signature, provider=PROVIDER, why=why)


def _prepared(library: Any, path: Path, threads: int) -> Any:
    interpreter = library.Interpreter(model_path=str(path), num_threads=threads)
    interpreter.allocate_tensors()
    return interpreter


class _Interpreters:
    """One interpreter for each thread that runs the model at a time, for one cannot do two runs at once.

    Args:
        make: makes one that is ready to run.
    """

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        first = make()
        self._idle = [first]
        self._lock = threading.Lock()
        self.inputs: list[dict[str, Any]] = first.get_input_details()
        self.outputs: list[dict[str, Any]] = first.get_output_details()
        self.signature = ModelSignature(
            inputs=tuple(map(_tensor, self.inputs)), outputs=tuple(map(_tensor, self.outputs)), metadata={}
        )

    def take(self) -> Any:
        """Borrow one; there are never more than runs at a time, which turns bound."""
        with self._lock:
            if self._idle:
                return self._idle.pop()
        return self._make()

    def give_back(self, interpreter: Any) -> None:
        """Return it."""
        with self._lock:
            self._idle.append(interpreter)


def _run(lent: _Interpreters) -> Run:
    inputs = {described["name"]: (described["index"], _quantised(described)) for described in lent.inputs}
    outputs = [(described["index"], _real(described)) for described in lent.outputs]

    def run(tensors: Mapping[str, NDArray[Any]]) -> Sequence[NDArray[Any]]:
        interpreter = lent.take()
        try:
            for name, tensor in tensors.items():
                index, change = inputs[name]
                interpreter.set_tensor(index, change(tensor))
            interpreter.invoke()
            return [change(interpreter.get_tensor(index)) for index, change in outputs]
        finally:
            lent.give_back(interpreter)

    return run


def _tensor(described: Mapping[str, Any]) -> Tensor:
    """What a tensor is to those who use it: of bytes where pictures are taken as bytes, else of float32."""
    signature = described.get("shape_signature", described["shape"])
    shape = tuple(int(dim) if dim > 0 else None for dim in signature)
    dtype = np.dtype(described["dtype"])
    return Tensor(name=described["name"], shape=shape, dtype=_dtype(dtype, described))


def _dtype(dtype: np.dtype[Any], described: Mapping[str, Any]) -> str:
    is_quantised = dtype.kind in "iu" and _scale(described) is not None
    return "float32" if is_quantised and dtype != np.uint8 else str(dtype)


def _scale(described: Mapping[str, Any]) -> tuple[NDArray[np.float32], NDArray[np.int32]] | None:
    """Scale and zero point, shaped so that they spread over the tensor; None where it stands for itself.

    Source: real = (integer - zero point) * scale, LiteRT's 8-bit quantization specification.
    """
    told = described["quantization_parameters"]
    scales, zero_points = np.asarray(told["scales"], np.float32), np.asarray(told["zero_points"], np.int32)
    if not scales.size:
        return None
    shape = [1] * len(described["shape"])
    if scales.size > 1:
        shape[told["quantized_dimension"]] = scales.size
    return scales.reshape(shape), zero_points.reshape(shape)


def _quantised(described: Mapping[str, Any]) -> Change:
    """What makes a tensor's integers of the numbers that go in; bytes stay bytes, for their scale is a picture's."""
    dtype, scale = np.dtype(described["dtype"]), _scale(described)
    if scale is None or dtype.kind not in "iu" or dtype == np.uint8:
        return lambda tensor: tensor
    bounds = np.iinfo(dtype)

    def change(tensor: NDArray[Any]) -> NDArray[Any]:
        return np.clip(np.round(tensor / scale[0]) + scale[1], bounds.min, bounds.max).astype(dtype)

    return change


def _real(described: Mapping[str, Any]) -> Change:
    """What makes numbers of the integers that come out."""
    dtype, scale = np.dtype(described["dtype"]), _scale(described)
    if scale is None or dtype.kind not in "iu":
        return lambda tensor: tensor.astype(np.float32) if tensor.dtype == np.float16 else tensor
    return lambda tensor: (tensor.astype(np.int32) - scale[1]) * scale[0]
