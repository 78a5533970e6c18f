"""Small 8-bit detectors as TensorFlow Lite files, made operation by operation with LiteRT's own schema."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
from flatbuffers import flexbuffers
from numpy.typing import NDArray

CELL = 16
"""Pixels of a cell's side; each cell has one anchor, as large as itself."""

GAIN = 6.0
"""A cell's logit of the class of a colour is this times the mean of that colour, from -1 to 1."""

BACKGROUND = -8.0
"""Logit of no object."""

CLASSES = 3
PICTURE_SCALE = (1 / 128, 128)
BYTES_SCALE = (1 / 128, 0)
LOGIT_SCALE = (1 / 16, 0)
SCORE_SCALE = (1 / 256, -128)
OFFSET_SCALE = (1 / 16, 5)

_TYPES = {"float32": "FLOAT32", "int8": "INT8", "uint8": "UINT8", "int32": "INT32"}


@dataclass
class Graph:
    """A graph in the making.

    Attributes:
        schema: LiteRT's.
    """

    schema: Any
    tensors: list[Any] = field(default_factory=list)
    buffers: list[Any] = field(default_factory=list)
    codes: list[Any] = field(default_factory=list)
    operators: list[Any] = field(default_factory=list)

    def tensor(
        self,
        name: str,
        shape: Sequence[int],
        dtype: str,
        scale: tuple[Any, Any] | None = None,
        content: NDArray[Any] | None = None,
    ) -> int:
        """Add a tensor: constant where it has a content; scales of one number or of one for each in its first axis."""
        buffer = self.schema.BufferT()
        if content is not None:
            buffer.data = np.frombuffer(np.ascontiguousarray(content, dtype).tobytes(), np.uint8)
        made = self.schema.TensorT()
        made.name, made.shape, made.buffer = name, list(shape), len(self.buffers)
        made.type = getattr(self.schema.TensorType, _TYPES[dtype])
        if scale is not None:
            made.quantization = self.schema.QuantizationParametersT()
            made.quantization.scale = [float(one) for one in np.atleast_1d(scale[0])]
            made.quantization.zeroPoint = [int(one) for one in np.atleast_1d(scale[1])]
        self.buffers.append(buffer)
        self.tensors.append(made)
        return len(self.tensors) - 1

    def add(self, operator: str, inputs: Sequence[int], outputs: Sequence[int], options: Any = None) -> None:
        """Add one of LiteRT's operations."""
        code = self.schema.OperatorCodeT()
        code.builtinCode = getattr(self.schema.BuiltinOperator, operator)
        code.deprecatedBuiltinCode, code.version = code.builtinCode, 3 if operator == "CONV_2D" else 1
        made = self._operator(code, inputs, outputs)
        if options is not None:
            made.builtinOptionsType = getattr(self.schema.BuiltinOptions, type(options).__name__[:-1])
            made.builtinOptions = options

    def add_custom(self, name: str, inputs: Sequence[int], outputs: Sequence[int], options: Mapping[str, Any]) -> None:
        """Add an operation that is no part of the standard."""
        code = self.schema.OperatorCodeT()
        code.builtinCode = code.deprecatedBuiltinCode = self.schema.BuiltinOperator.CUSTOM
        code.customCode = name
        self._operator(code, inputs, outputs).customOptions = np.frombuffer(flexbuffers.Dumps(dict(options)), np.uint8)

    def write(self, path: Path, inputs: Sequence[int], outputs: Sequence[int]) -> Path:
        """Write the file."""
        part = self.schema.SubGraphT()
        part.tensors, part.operators, part.name = self.tensors, self.operators, "main"
        part.inputs, part.outputs = list(inputs), list(outputs)
        model = self.schema.ModelT()
        model.version, model.operatorCodes, model.subgraphs, model.buffers = 3, self.codes, [part], self.buffers
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), b"TFL3")
        path.write_bytes(bytes(builder.Output()))
        return path

    def _operator(self, code: Any, inputs: Sequence[int], outputs: Sequence[int]) -> Any:
        self.codes.append(code)
        made = self.schema.OperatorT()
        made.opcodeIndex, made.inputs, made.outputs = len(self.codes) - 1, list(inputs), list(outputs)
        self.operators.append(made)
        return made


def anchors(rows: int, columns: int) -> NDArray[np.float32]:
    """Middle and size of each cell, (A, 4), y before x, as parts of the picture."""
    middles = [((row + 0.5) / rows, (column + 0.5) / columns) for row in range(rows) for column in range(columns)]
    return np.array([(y, x, 1 / rows, 1 / columns) for y, x in middles], np.float32)


def write_ssd(path: Path, schema: Any, *, size: tuple[int, int], takes: str = "uint8", is_raw: bool = False) -> Path:
    """An SSD of 8 bits that finds cells of one colour: each colour is a class.

    Args:
        path: where to.
        schema: LiteRT's.
        size: width and height of its picture.
        takes: `uint8`, or `int8`.
        is_raw: without what chooses the boxes: its outputs are offsets and scores, of 8 bits.
    """
    graph = Graph(schema)
    width, height = size
    rows, columns = height // CELL, width // CELL
    number = rows * columns
    picture = graph.tensor("picture", (1, height, width, 3), takes, PICTURE_SCALE if takes == "uint8" else BYTES_SCALE)
    seen = picture
    if takes == "uint8":
        seen = graph.tensor("seen", (1, height, width, 3), "int8", BYTES_SCALE)
        graph.add("QUANTIZE", [picture], [seen], schema.QuantizeOptionsT())
    colour = np.zeros((CLASSES + 1, CELL, CELL, 3))
    for channel in range(CLASSES):
        colour[channel + 1, :, :, channel] = GAIN / CELL**2
    logits = _cells(graph, seen, ("logits", LOGIT_SCALE), colour, [BACKGROUND, 0, 0, 0], (rows, columns))
    scores = graph.tensor("scores_8", (1, rows, columns, CLASSES + 1), "int8", SCORE_SCALE)
    graph.add("LOGISTIC", [logits], [scores])
    # No offsets but half a cell to the right.
    offsets = _cells(
        graph, seen, ("offsets", OFFSET_SCALE), np.zeros((4, CELL, CELL, 3)), [0, 5, 0, 0], (rows, columns)
    )
    flat_offsets = _flat(graph, offsets, "box_encodings", (1, number, 4), OFFSET_SCALE)
    flat_scores = _flat(graph, scores, "class_scores", (1, number, CLASSES + 1), SCORE_SCALE)
    if is_raw:
        return graph.write(path, [picture], [flat_offsets, flat_scores])
    real = []
    for name, tensor, shape in (("offsets_32", flat_offsets, 4), ("scores_32", flat_scores, CLASSES + 1)):
        real.append(graph.tensor(name, (1, number, shape), "float32"))
        graph.add("DEQUANTIZE", [tensor], [real[-1]], schema.DequantizeOptionsT())
    fixed = graph.tensor("anchors", (number, 4), "float32", content=anchors(rows, columns))
    most = 10
    shapes = ((1, most, 4), (1, most), (1, most), (1,))
    outputs = [graph.tensor(f"TFLite_Detection_PostProcess:{n}", shape, "float32") for n, shape in enumerate(shapes)]
    graph.add_custom(
        "TFLite_Detection_PostProcess",
        [*real, fixed],
        outputs,
        {
            "max_detections": most,
            "max_classes_per_detection": 1,
            "num_classes": CLASSES,
            "nms_score_threshold": 0.0,
            "nms_iou_threshold": 0.6,
            "y_scale": 10.0,
            "x_scale": 10.0,
            "h_scale": 5.0,
            "w_scale": 5.0,
            "use_regular_nms": False,
        },
    )
    return graph.write(path, [picture], outputs)


def _cells(
    graph: Graph,
    seen: int,
    named: tuple[str, tuple[float, int]],
    weights: NDArray[Any],
    bias: Sequence[float],
    grid: tuple[int, int],
) -> int:
    """A convolution that looks at each cell by itself; weights with a scale for each of their outputs."""
    name, scale = named
    scales = np.maximum(np.abs(weights).max(axis=(1, 2, 3)), 1e-3) / 127
    whole = np.round(weights / scales[:, None, None, None])
    kernel = graph.tensor(f"{name}_weights", weights.shape, "int8", (scales, [0] * len(scales)), whole)
    bias_scales = scales * BYTES_SCALE[0]
    added = np.round(np.array(bias) / bias_scales)
    shift = graph.tensor(f"{name}_bias", (len(bias),), "int32", (bias_scales, [0] * len(bias)), added)
    made = graph.tensor(name, (1, *grid, len(bias)), "int8", scale)
    options = graph.schema.Conv2DOptionsT()
    options.padding = graph.schema.Padding.VALID
    options.strideH = options.strideW = CELL
    graph.add("CONV_2D", [seen, kernel, shift], [made], options)
    return made


def _flat(graph: Graph, tensor: int, name: str, shape: Sequence[int], scale: tuple[float, int]) -> int:
    made = graph.tensor(name, shape, "int8", scale)
    wanted = graph.tensor(f"{name}_shape", (len(shape),), "int32", content=np.array(shape))
    options = graph.schema.ReshapeOptionsT()
    options.newShape = list(shape)
    graph.add("RESHAPE", [tensor, wanted], [made], options)
    return made
