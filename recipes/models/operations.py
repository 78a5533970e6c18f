"""Each TensorFlow operation that the models use, and the ONNX nodes that do the same.

Source: the definitions of TensorFlow's operations (its API documentation) and of ONNX's (opset 13).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from recipes.errors import RecipeError
from recipes.models.tensor import NHWC_OVER_NCHW, Convolution, Tensor

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from recipes.models.convert import Converter
    from recipes.models.tfjs_graph import Node

RELU6_RANGE = (0.0, 6.0)


def _pack(node: Node, values: Sequence[NDArray[Any]]) -> NDArray[Any]:
    return np.stack(values, axis=int(node.number("axis")))


def _convolve(converter: Converter, node: Node, weights: NDArray[Any], group: int) -> tuple[Tensor, ...]:
    """Emit a convolution for weights in ONNX's order; both kinds of TensorFlow convolution end here."""
    if node.text("data_format") != "NHWC":
        raise RecipeError(f"{node.name}: only NHWC convolutions are understood")
    source = converter.padded(node.inputs[0])
    if source.padding_value != 0:
        raise RecipeError(f"{node.name}: a convolution can only be padded with zeros")
    convolution = Convolution(weights=weights.astype(np.float64), bias=np.zeros(len(weights)))
    names = converter.add_convolution(convolution)
    name = converter.emit(
        "Conv",
        [_nchw(converter, source, node), *names],
        group=group,
        kernel_shape=weights.shape[2:],
        strides=node.integers("strides")[1:3],
        dilations=node.integers("dilations")[1:3],
        **_window_padding(source, node),
    )[0]
    return (Tensor(name=name, order=NHWC_OVER_NCHW, convolution=convolution, is_scalable=True),)


def _nchw(converter: Converter, source: Tensor, node: Node) -> str:
    """Return the name of a tensor, which TensorFlow sees as NHWC, stored as NCHW."""
    if source.order == NHWC_OVER_NCHW:
        return source.name
    if source.padding is not None:
        raise RecipeError(f"{node.name}: padding before a transpose that is not a layout change is not understood")
    perm = [source.order[axis] for axis in (0, 3, 1, 2)]
    return converter.emit("Transpose", [source.name], perm=perm)[0]


def _window_padding(source: Tensor, node: Node) -> dict[str, Any]:
    """Return ONNX's padding attribute for a sliding window; TensorFlow's SAME puts the odd pixel at the end."""
    padding = node.text("padding")
    if padding == "SAME" and source.padding is None:
        return {"auto_pad": "SAME_UPPER"}
    if padding != "VALID":
        raise RecipeError(f"{node.name}: {padding} padding after other padding is not understood")
    pads = source.padding or ((0, 0),) * 4
    if any(pads[axis] != (0, 0) for axis in (0, 1)):
        raise RecipeError(f"{node.name}: only height and width can be padded")
    return {"pads": [pads[2][0], pads[3][0], pads[2][1], pads[3][1]]}


def _conv2d(converter: Converter, node: Node) -> tuple[Tensor, ...]:
    weights = converter.constant(node.inputs[1])  # (height, width, input channels, output channels)
    return _convolve(converter, node, weights.transpose(3, 2, 0, 1), group=1)


def _depthwise(converter: Converter, node: Node) -> tuple[Tensor, ...]:
    weights = converter.constant(node.inputs[1])  # (height, width, channels, multiplier)
    height, width, channels, multiplier = weights.shape
    by_channel = weights.transpose(2, 3, 0, 1).reshape(channels * multiplier, 1, height, width)
    return _convolve(converter, node, by_channel, group=channels)


def _max_pool(converter: Converter, node: Node) -> tuple[Tensor, ...]:
    source = converter.padded(node.inputs[0])
    if source.padding is not None and source.padding_value != -np.inf:
        raise RecipeError(f"{node.name}: a maximum can only be padded with minus infinity")
    name = converter.emit(
        "MaxPool",
        [_nchw(converter, source, node)],
        kernel_shape=node.integers("ksize")[1:3],
        strides=node.integers("strides")[1:3],
        **_window_padding(source, node),
    )[0]
    return (Tensor(name=name, order=NHWC_OVER_NCHW),)


def _pad(converter: Converter, node: Node) -> tuple[Tensor, ...]:
    source = converter.tensor(node.inputs[0])
    seen = [(int(before), int(after)) for before, after in converter.constant(node.inputs[1])]
    if all(pair == (0, 0) for pair in seen):
        return (replace(source, convolution=None),)
    stored = tuple(seen[source.order.index(axis)] for axis in range(len(seen)))
    value = float(converter.constant(node.inputs[2])) if len(node.inputs) > 2 else 0.0  # noqa: PLR2004 - PadV2 has three
    return (replace(source, convolution=None, padding=stored, padding_value=value),)


def _transpose(converter: Converter, node: Node) -> tuple[Tensor, ...]:
    source = converter.padded(node.inputs[0])
    perm = converter.constant(node.inputs[1])
    return (replace(source, order=tuple(source.order[int(axis)] for axis in perm), convolution=None),)


def _scale_and_shift(
    converter: Converter,
    node: Node,
    source: str,
    scale: NDArray[Any] | None,
    shift: NDArray[Any],
) -> tuple[Tensor, ...]:
    """Fold `source * scale + shift`, one value a channel, into the convolution that made `source`."""
    tensor = converter.tensor(source)
    convolution = tensor.convolution
    can_fold = convolution is not None and converter.is_used_once(source) and (tensor.is_scalable or scale is None)
    if convolution is None or not can_fold:
        raise RecipeError(f"{node.name}: a constant for each channel is understood only straight after a convolution")
    if scale is not None:
        convolution.weights *= scale.astype(np.float64).reshape(-1, 1, 1, 1)
        convolution.bias *= scale.astype(np.float64).reshape(-1)
    convolution.bias += shift.astype(np.float64).reshape(-1)
    return (tensor,)


def _add(converter: Converter, node: Node) -> tuple[Tensor, ...]:
    first, second = node.inputs
    if converter.is_constant(first):
        first, second = second, first
    if converter.is_constant(second):
        return _scale_and_shift(converter, node, first, None, converter.constant(second))
    tensors = [converter.tensor(name) for name in (first, second)]
    if tensors[0].order != tensors[1].order:
        raise RecipeError(f"{node.name}: adds tensors of different layouts, which is not understood")
    name = converter.emit("Add", [tensor.name for tensor in tensors])[0]
    # A constant added later may go into either addend, if nobody else reads that one: (a + b) + c = (a + c) + b.
    absorbing = [t.convolution for t, n in zip(tensors, (first, second), strict=True) if converter.is_used_once(n)]
    convolution = next((found for found in absorbing if found is not None), None)
    return (Tensor(name=name, order=tensors[0].order, convolution=convolution),)


def _multiply(converter: Converter, node: Node) -> tuple[Tensor, ...]:
    source, factor = node.inputs
    scale = converter.constant(factor)
    return _scale_and_shift(converter, node, source, scale, np.zeros(1))


def _batch_norm(converter: Converter, node: Node) -> tuple[Tensor, ...]:
    """Fold gamma * (x - mean) / sqrt(variance + epsilon) + beta."""
    gamma, beta, mean, variance = (converter.constant(name).astype(np.float64) for name in node.inputs[1:5])
    scale = gamma / np.sqrt(variance + node.number("epsilon"))
    return _scale_and_shift(converter, node, node.inputs[0], scale, beta - mean * scale)


def _unary(operation: str, **attributes: str) -> Callable[[Converter, Node], tuple[Tensor, ...]]:
    """Return the conversion of an operation on each value by itself; `attributes` maps ONNX's names to TensorFlow's."""

    def convert(converter: Converter, node: Node) -> tuple[Tensor, ...]:
        source = converter.tensor(node.inputs[0])
        numbers: dict[str, Any] = {key: node.number(attribute) for key, attribute in attributes.items()}
        return (Tensor(name=converter.emit(operation, [source.name], **numbers)[0], order=source.order),)

    return convert


def _relu6(converter: Converter, node: Node) -> tuple[Tensor, ...]:
    source = converter.tensor(node.inputs[0])
    limits = [converter.initializer("limit", np.array(limit, np.float32)) for limit in RELU6_RANGE]
    return (Tensor(name=converter.emit("Clip", [source.name, *limits])[0], order=source.order),)


def _concat(converter: Converter, node: Node) -> tuple[Tensor, ...]:
    tensors = [converter.tensor(name) for name in node.inputs[:-1]]
    order = tensors[0].order
    if any(tensor.order != order for tensor in tensors):
        raise RecipeError(f"{node.name}: joins tensors of different layouts, which is not understood")
    axis = order[int(converter.constant(node.inputs[-1]))]
    return (Tensor(name=converter.emit("Concat", [t.name for t in tensors], axis=axis)[0], order=order),)


def _split(converter: Converter, node: Node) -> tuple[Tensor, ...]:
    source = converter.tensor(node.inputs[0])
    sizes = converter.constant(node.inputs[1]).astype(np.int64)
    axis = source.order[int(converter.constant(node.inputs[2]))]
    sizes_name = converter.initializer("sizes", sizes)
    names = converter.emit("Split", [source.name, sizes_name], outputs=len(sizes), axis=axis)
    return tuple(Tensor(name=name, order=source.order) for name in names)


def _resize(converter: Converter, node: Node) -> tuple[Tensor, ...]:
    """Emit a bilinear resize by a factor; TensorFlow resizes to a size, which would fix the size of the input."""
    if node.flag("align_corners") or not node.flag("half_pixel_centers"):
        raise RecipeError(f"{node.name}: only half-pixel centres are understood")
    source = converter.tensor(node.inputs[0])
    scale = converter.resize_scale(node.name)
    scales = converter.initializer("scales", np.array([1, 1, scale, scale], np.float32))
    name = converter.emit(
        "Resize",
        [_nchw(converter, source, node), "", scales],
        mode="linear",
        coordinate_transformation_mode="half_pixel",
    )[0]
    return (Tensor(name=name, order=NHWC_OVER_NCHW),)


def _reshape(converter: Converter, node: Node) -> tuple[Tensor, ...]:
    shape = converter.constant(node.inputs[1]).astype(np.int64)
    source = converter.as_seen(converter.tensor(node.inputs[0]))
    name = converter.emit("Reshape", [source, converter.initializer("shape", shape)])[0]
    return (Tensor(name=name, order=tuple(range(len(shape)))),)


def _squeeze(converter: Converter, node: Node) -> tuple[Tensor, ...]:
    source = converter.tensor(node.inputs[0])
    seen_axes = node.integers("squeeze_dims")
    stored_axes = sorted(source.order[axis] for axis in seen_axes)
    axes = converter.initializer("axes", np.array(stored_axes, np.int64))
    name = converter.emit("Squeeze", [source.name, axes])[0]
    kept = [stored for seen, stored in enumerate(source.order) if seen not in seen_axes]
    return (Tensor(name=name, order=tuple(sorted(kept).index(stored) for stored in kept)),)


def _identity(converter: Converter, node: Node) -> tuple[Tensor, ...]:
    return (replace(converter.padded(node.inputs[0]), convolution=None),)


FOLDABLE: dict[str, Callable[[Node, Sequence[NDArray[Any]]], NDArray[Any]]] = {"Pack": _pack}

OPERATIONS: dict[str, Callable[[Converter, Node], tuple[Tensor, ...]]] = {
    "Add": _add,
    "AddN": _add,
    "AddV2": _add,
    "BiasAdd": _add,
    "ConcatV2": _concat,
    "Conv2D": _conv2d,
    "DepthwiseConv2dNative": _depthwise,
    "FusedBatchNorm": _batch_norm,
    "Identity": _identity,
    "LeakyRelu": _unary("LeakyRelu", alpha="alpha"),
    "MaxPool": _max_pool,
    "Mul": _multiply,
    "Pad": _pad,
    "PadV2": _pad,
    "Relu6": _relu6,
    "Reshape": _reshape,
    "ResizeBilinear": _resize,
    "Sigmoid": _unary("Sigmoid"),
    "SplitV": _split,
    "Squeeze": _squeeze,
    "Transpose": _transpose,
}
