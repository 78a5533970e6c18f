"""A float model becomes an INT8 one: the file format and onnxruntime's quantizer, and nothing else, live here."""

from __future__ import annotations

import contextlib
import importlib
import logging
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edge_agent import runtimes
from edge_agent.errors import ModelError

Form = Literal["u8s8", "s8s8"]
"""`u8s8`: unsigned activations and signed weights, the fast pair on x86 and ARM. `s8s8`: both signed and symmetric,
biases left float, which is what TensorRT reads."""

_OPSET = 13
"""The first in which a weight can have a scale for each channel."""

_IR_VERSION = 7  # of the same release; since 4, weights need not be inputs
_QUANTIZED = {"QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "QLinearConv", "ConvInteger"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One operation of a graph.

    Attributes:
        name: unique in its graph.
        operation: such as `Conv`.
        inputs: names of tensors.
        outputs: names of tensors.
        can_quantize: onnxruntime has an INT8 form of it.
    """

    name: str
    operation: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    can_quantize: bool


class Quantizer:
    """A float model whose nodes can be made INT8, all or some of them; weights get a scale for each channel.

    Args:
        path: its file.
        work: a folder for what is only needed meanwhile.
        form: types of activations and weights.
        reduce_range: 7 bits for weights, so that sums do not saturate on x86 without VNNI.

    Raises:
        ModelError: it is none that can be quantized; the message says why.
        RuntimeMissingError: onnx or onnxruntime is not installed.
    """

    def __init__(self, path: Path, work: Path, *, form: Form = "u8s8", reduce_range: bool = False) -> None:
        self._onnx = runtimes.load("onnx")
        self._library = _load_quantizer()
        self._path = path
        self._work = work
        self._form = form
        self.reduce_range = reduce_range
        registry = importlib.import_module("onnxruntime.quantization.registry")
        self._types = sorted({*registry.QLinearOpsRegistry, *registry.QDQRegistry})
        self._ranges: Any = None
        model = self._prepared()
        self._metadata = {entry.key: entry.value for entry in model.metadata_props}
        self.nodes = tuple(self._node(node) for node in model.graph.node)
        """All of the graph, in the order in which they run."""
        self._prepared_path = work / "prepared.onnx"
        self._onnx.save(model, self._prepared_path)

    @property
    def versions(self) -> dict[str, str]:
        """Of the libraries that the result depends on."""
        libraries = {"onnxruntime": runtimes.load("onnxruntime"), "onnx": self._onnx, "numpy": np}
        return {name: str(library.__version__) for name, library in libraries.items()}

    def calibrate(self, inputs: Iterable[Mapping[str, NDArray[Any]]]) -> None:
        """Measure the least and the greatest value of every activation.

        Args:
            inputs: what to run the model on: input tensors by name.
        """
        augmented = self._work / "augmented.onnx"
        with self._errors():
            calibrator = self._library.create_calibrator(
                self._prepared_path, self._types, augmented_model_path=str(augmented)
            )
            calibrator.collect_data(_reader(self._library, inputs))
            self._ranges = calibrator.compute_data()

    def write(self, path: Path, names: Collection[str]) -> None:
        """Write the model with just these of its nodes made INT8; the same ones give the same bytes."""
        symmetric = self._form == "s8s8"
        # TensorRT reads no biases of 32 bits: microsoft/onnxruntime issues 14229 and 17738.
        more = {"ActivationSymmetric": True, "WeightSymmetric": True, "QuantizeBias": False} if symmetric else {}
        types = self._library.QuantType
        with self._errors():
            quantizer = self._library.QDQQuantizer(
                self._onnx.load(self._prepared_path),
                per_channel=True,
                reduce_range=self.reduce_range,
                weight_qType=types.QInt8,
                activation_qType=types.QInt8 if symmetric else types.QUInt8,
                tensors_range=self._ranges,
                nodes_to_quantize=[],
                nodes_to_exclude=[node.name for node in self.nodes if node.name not in names],
                op_types_to_quantize=self._types,
                extra_options=more,
            )
            quantizer.quantize_model()
            quantizer.model.topological_sort()
        model = quantizer.model.model
        self._onnx.helper.set_model_props(model, self._metadata)  # without what the quantizer notes for itself
        del model.graph.value_info[:]  # shapes have done their work, and every runtime infers them again
        path.write_bytes(model.SerializeToString(deterministic=True))

    def _prepared(self) -> Any:
        """The model with a name for each node and the shapes of all tensors."""
        with self._errors():
            model = self._onnx.load(self._path)
            self._refuse(model)
            version = next(one.version for one in model.opset_import if one.domain in {"", "ai.onnx"})
            if version < _OPSET:
                metadata = {entry.key: entry.value for entry in model.metadata_props}
                model = self._onnx.version_converter.convert_version(model, _OPSET)
                self._onnx.helper.set_model_props(model, metadata)
            _fix_weights(model)
            _name_nodes(model.graph)
            return self._onnx.shape_inference.infer_shapes(model)

    def _refuse(self, model: Any) -> None:
        operations = {node.op_type for node in model.graph.node}
        if operations & _QUANTIZED:
            raise ModelError(f"model {self._path}: it is quantized already; give the float model that it was made from")
        if any(weight.data_type == self._onnx.TensorProto.FLOAT16 for weight in model.graph.initializer):
            raise ModelError(f"model {self._path}: its weights are float16; give the float32 model")

    def _node(self, node: Any) -> Node:
        return Node(
            name=node.name,
            operation=node.op_type,
            inputs=tuple(node.input),
            outputs=tuple(node.output),
            can_quantize=node.op_type in self._types,
        )

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        """Its warnings are for programmers; its errors are ours."""
        before = logging.root.manager.disable
        logging.disable(logging.WARNING)
        try:
            yield
        except ModelError:
            raise
        except Exception as error:  # onnx and onnxruntime raise classes of their own, and ones of Python's
            words = " ".join(str(error).split()) or type(error).__name__
            raise ModelError(f"model {self._path}: onnxruntime cannot quantize it: {words}") from error
        finally:
            logging.disable(before)


def _load_quantizer() -> ModuleType:
    runtimes.load("onnxruntime").set_default_logger_severity(_SAY_NOTHING)
    return runtimes.load("onnxruntime.quantization")


_SAY_NOTHING = 4  # but what is fatal


def _reader(library: ModuleType, inputs: Iterable[Mapping[str, NDArray[Any]]]) -> Any:
    """What hands tensors to the calibrator one run at a time, as it asks for them."""
    waiting = iter(inputs)

    class Reader(library.CalibrationDataReader):  # type: ignore[name-defined,misc]  # a library loaded on first use
        def get_next(self) -> dict[str, NDArray[Any]] | None:
            following = next(waiting, None)
            return None if following is None else dict(following)

    return Reader()


def _fix_weights(model: Any) -> None:
    """Take weights from among the inputs, where old forms list them: what can be given anew is no constant."""
    weights = {weight.name for weight in model.graph.initializer}
    for tensor in [tensor for tensor in model.graph.input if tensor.name in weights]:
        model.graph.input.remove(tensor)
    model.ir_version = max(model.ir_version, _IR_VERSION)


def _name_nodes(graph: Any) -> None:
    """Give a name to each node that has none, or one that others have too."""
    known = Counter(node.name for node in graph.node)
    for place, node in enumerate(graph.node):
        if not node.name or known[node.name] > 1:
            node.name = f"{node.op_type}_{place}"
            while known[node.name]:
                node.name += "_"
            known[node.name] += 1
