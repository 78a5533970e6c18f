"""A float model becomes an INT8 one: ranges measured on real pictures, one scale a channel of every weight."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import onnx
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray


class _Reader(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime ships no type information
    """Hands prepared pictures to the calibrator one at a time, as it asks for them."""

    def __init__(self, input_name: str, inputs: Iterable[NDArray[np.float32]]) -> None:
        self._input_name = input_name
        self._inputs = iter(inputs)

    def get_next(self) -> dict[str, Any] | None:
        """Return the next input by name, None at the end."""
        following = next(self._inputs, None)
        return None if following is None else {self._input_name: following}


def quantize(
    fp32: Path,
    int8: Path,
    inputs: Iterable[NDArray[np.float32]],
    float_operations: Sequence[str],
) -> None:
    """Write the INT8 form of a model: unsigned activations and signed weights, the fast pair on x86 and ARM alike.

    Nodes whose operation is in `float_operations` stay float. The ranges are the least and greatest value seen.
    """
    inferred = int8.with_suffix(".inferred.onnx")
    # Shapes only: onnxruntime's own rewriting would tie the file to one version of its optimizer.
    quant_pre_process(str(fp32), str(inferred), skip_optimization=True, skip_symbolic_shape=True)
    graph = onnx.load(inferred).graph
    quantize_static(
        str(inferred),
        str(int8),
        _Reader(graph.input[0].name, inputs),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        calibrate_method=CalibrationMethod.MinMax,
        nodes_to_exclude=[node.name for node in graph.node if node.op_type in float_operations],
    )
    inferred.unlink()
    model = onnx.load(int8)
    del model.graph.value_info[:]  # the shapes have done their work, and every runtime infers them again
    onnx.save(model, int8)
