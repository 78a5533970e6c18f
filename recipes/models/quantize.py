"""A float model becomes an INT8 one: ranges measured on real pictures, one scale a channel of every weight."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import onnx

from edge_agent.edges.quantizer import Quantizer

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy as np
    from numpy.typing import NDArray


def quantize(
    fp32: Path,
    int8: Path,
    inputs: Iterable[NDArray[np.float32]],
    float_operations: Sequence[str],
) -> None:
    """Write the INT8 form of a model: unsigned activations and signed weights, the fast pair on x86 and ARM alike.

    Nodes whose operation is in `float_operations` stay float. The ranges are the least and greatest value seen.
    """
    (picture,) = onnx.load(fp32).graph.input
    with tempfile.TemporaryDirectory() as work:
        quantizer = Quantizer(fp32, Path(work))
        quantizer.calibrate({picture.name: tensor} for tensor in inputs)
        quantizer.write(int8, {node.name for node in quantizer.nodes if node.operation not in float_operations})
