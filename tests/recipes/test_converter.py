"""Tiny graphs with answers worked out by hand: what the converter must get right before it meets a real model."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime
import pytest

from recipes.errors import RecipeError
from recipes.models.convert import Converter, GraphInput, GraphOutput
from recipes.models.tensor import NCHW, NHWC_OVER_NCHW
from recipes.models.tfjs_graph import Node, TfjsGraph, read_graph

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from onnx import ModelProto

    Array = NDArray[Any]


def node(name: str, operation: str, *inputs: str, **attributes: Any) -> Node:
    return Node(name=name, operation=operation, inputs=inputs, attributes=attributes)


def window(padding: str, stride: int) -> dict[str, Any]:
    """Return the attributes of a sliding window, with bytes written as lists as older files do."""
    steps = {"list": {"i": ["1", str(stride), str(stride), "1"]}}
    return {
        "padding": {"s": list(padding.encode())},
        "data_format": {"s": list(b"NHWC")},
        "strides": steps,
        "dilations": {"list": {"i": ["1", "1", "1", "1"]}},
    }


def converted(
    nodes: Sequence[Node],
    weights: Mapping[str, Array],
    shape: tuple[int, ...],
    *,
    order: tuple[int, ...] = NHWC_OVER_NCHW,
    output_shape: tuple[int | str, ...] = ("a", "b", "c", "d"),
    scales: Mapping[str, float] | None = None,
) -> ModelProto:
    """Convert a graph whose last node is its output and whose input is called `x`."""
    graph = TfjsGraph(nodes={n.name: n for n in nodes}, weights=weights)
    picture = GraphInput(tensor="x", name="images", shape=shape, order=order)
    output = GraphOutput(tensor=nodes[-1].name, name="result", shape=output_shape)
    return Converter(graph, {}, scales or {}).convert("tiny", picture, [output])


def run(model: ModelProto, picture: Array) -> Array:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    result: Array = session.run(["result"], {"images": picture.astype(np.float32)})[0]
    return result


def operations(model: ModelProto) -> list[str]:
    """List the operations; the last transpose, which gives the output TensorFlow's order, is left out."""
    names = [n.op_type for n in model.graph.node]
    return names[:-1] if names[-1] == "Transpose" else names


def write_model(folder: Path, entries: list[dict[str, Any]], shards: bytes) -> Path:
    (folder / "weights.bin").write_bytes(shards)
    manifest = [{"paths": ["weights.bin"], "weights": entries}]
    path = folder / "model.json"
    path.write_text(json.dumps({"modelTopology": {"node": []}, "weightsManifest": manifest}))
    return path


# Reading.


def test_weights_follow_each_other_and_each_storage_type_is_restored(tmp_path: Path) -> None:
    # bytes 0, 10, 255 mean value * 0.5 - 1 = -1, 4, 126.5; then 1.5 as float16; then 7 as int32
    shards = bytes([0, 10, 255]) + np.array([1.5], "<f2").tobytes() + np.array(7, "<i4").tobytes()
    entries: list[dict[str, Any]] = [
        {"name": "q", "shape": [3], "dtype": "float32", "quantization": {"dtype": "uint8", "scale": 0.5, "min": -1}},
        {"name": "h", "shape": [1], "dtype": "float32", "quantization": {"dtype": "float16"}},
        {"name": "i", "shape": [], "dtype": "int32"},
    ]
    weights = read_graph(write_model(tmp_path, entries, shards)).weights
    np.testing.assert_array_equal(weights["q"], np.array([-1, 4, 126.5], np.float32))
    np.testing.assert_array_equal(weights["h"], np.array([1.5], np.float32))
    assert weights["i"] == 7
    assert [weights[name].dtype for name in "qhi"] == [np.float32, np.float32, np.int32]


@pytest.mark.parametrize(
    ("shards", "message"), [(b"\0" * 7, "the weight shards end before it"), (b"\0" * 9, "9 bytes")]
)
def test_shards_of_another_length_are_refused(tmp_path: Path, shards: bytes, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        read_graph(write_model(tmp_path, [{"name": "w", "shape": [2], "dtype": "float32"}], shards))


def test_a_file_that_is_no_graph_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.json").write_text("{}")
    with pytest.raises(RecipeError, match="is it a graph model"):
        read_graph(tmp_path / "model.json")


def test_nodes_come_after_their_inputs_and_unneeded_ones_not_at_all() -> None:
    nodes = [node("c", "Add", "a", "b"), node("b", "Relu6", "a"), node("a", "Relu6", "x"), node("z", "Relu6", "x")]
    graph = TfjsGraph(nodes={n.name: n for n in nodes}, weights={})
    assert [n.name for n in graph.in_order(["c"], known={"x"})] == ["a", "b", "c"]


def test_a_loop_is_refused_by_name() -> None:
    nodes = {"a": node("a", "Add", "b", "x"), "b": node("b", "Relu6", "a")}
    with pytest.raises(RecipeError, match="loop"):
        TfjsGraph(nodes=nodes, weights={}).in_order(["a"], known={"x"})


# Convolutions.


def test_a_pointwise_convolution_mixes_channels() -> None:
    # weights (1, 1, in 2, out 1): 3 * first + 5 * second
    model = converted(
        [node("y", "Conv2D", "x", "w", **window("VALID", 1))], {"w": np.array([[[[3.0], [5.0]]]])}, (1, 2, 1, 2)
    )
    picture = np.array([[[[1, 2]], [[10, 20]]]])  # NCHW: channel 0 is 1 2, channel 1 is 10 20
    np.testing.assert_array_equal(run(model, picture).ravel(), [3 + 50, 6 + 100])


def test_same_padding_of_an_even_size_at_stride_two_goes_to_the_end() -> None:
    # 4x4 ones, 3x3 ones: windows begin at 0 and 2; the second reaches one past the end: 9, 3*2, 2*3, 2*2
    model = converted([node("y", "Conv2D", "x", "w", **window("SAME", 2))], {"w": np.ones((3, 3, 1, 1))}, (1, 1, 4, 4))
    np.testing.assert_array_equal(run(model, np.ones((1, 1, 4, 4))).ravel(), [9, 6, 6, 4])


def test_padding_and_transposes_around_a_convolution_leave_one_node() -> None:
    nodes = [
        node("p", "Pad", "x", "pads"),
        node("t", "Transpose", "p", "to_nhwc"),
        node("c", "Conv2D", "t", "w", **window("VALID", 1)),
        node("y", "Transpose", "c", "to_nchw"),
    ]
    weights: dict[str, Array] = {
        "pads": np.array([[0, 0], [0, 0], [1, 1], [1, 1]]),
        "to_nhwc": np.array([0, 2, 3, 1]),
        "to_nchw": np.array([0, 3, 1, 2]),
        "w": np.ones((3, 3, 1, 1)),
    }
    model = converted(nodes, weights, (1, 1, 2, 2), order=NCHW)
    assert operations(model) == ["Conv"]
    # every 3x3 window around a pixel of 2x2 sees all four: 1 + 2 + 3 + 4
    np.testing.assert_array_equal(run(model, np.array([[[[1, 2], [3, 4]]]])), np.full((1, 1, 2, 2), 10))


def test_a_depthwise_convolution_keeps_channels_apart() -> None:
    # weights (1, 1, channels 2, multiplier 2): channel 0 gives 1x and 10x, channel 1 gives 2x and 20x
    weights = {"w": np.array([[[[1.0, 10.0], [2.0, 20.0]]]])}
    model = converted([node("y", "DepthwiseConv2dNative", "x", "w", **window("SAME", 1))], weights, (1, 2, 1, 1))
    np.testing.assert_array_equal(run(model, np.array([[[[3]], [[5]]]])).ravel(), [3, 30, 10, 100])


def test_a_batch_norm_goes_into_the_convolution() -> None:
    nodes = [
        node("c", "Conv2D", "x", "w", **window("SAME", 1)),
        node("y", "FusedBatchNorm", "c", "gamma", "beta", "mean", "variance", epsilon={"f": 1.0}),
    ]
    weights = {"w": np.array([[[[2.0]]]]), "gamma": np.array([4.0]), "beta": np.array([5.0]),
               "mean": np.array([1.0]), "variance": np.array([3.0])}  # fmt: skip
    model = converted(nodes, weights, (1, 1, 1, 1))
    assert operations(model) == ["Conv"]
    # x 3: (2 * 3 - 1) * 4 / sqrt(3 + 1) + 5 = 15
    assert run(model, np.array([[[[3]]]])).item() == 15


def test_a_scale_and_a_shift_go_into_the_convolution_in_their_order() -> None:
    nodes = [
        node("c", "Conv2D", "x", "w", **window("SAME", 1)),
        node("m", "Mul", "c", "scale"),
        node("y", "Add", "m", "shift"),
    ]
    weights = {"w": np.array([[[[2.0]]]]), "scale": np.array([10.0]), "shift": np.array([1.0])}
    # x 3: 2 * 3 * 10 + 1
    assert run(converted(nodes, weights, (1, 1, 1, 1)), np.array([[[[3]]]])).item() == 61


def test_a_constant_behind_a_residual_sum_goes_into_the_convolution_before_it() -> None:
    nodes = [
        node("c", "Conv2D", "x", "w", **window("SAME", 1)),
        node("sum", "AddN", "c", "x"),
        node("y", "Add", "shift", "sum"),
    ]
    model = converted(nodes, {"w": np.array([[[[2.0]]]]), "shift": np.array([100.0])}, (1, 1, 1, 1))
    assert operations(model) == ["Conv", "Add"]
    # x 3: 2 * 3 + 3 + 100
    assert run(model, np.array([[[[3]]]])).item() == 109


def test_a_scale_behind_a_convolution_that_has_a_second_reader_is_refused() -> None:
    nodes = [
        node("c", "Conv2D", "x", "w", **window("SAME", 1)),
        node("m", "Mul", "c", "scale"),
        node("y", "AddN", "m", "c"),
    ]
    with pytest.raises(RecipeError, match="straight after a convolution"):
        converted(nodes, {"w": np.array([[[[2.0]]]]), "scale": np.array([10.0])}, (1, 1, 1, 1))


# The rest.


def test_a_reshape_sees_the_values_in_the_order_tensorflow_has_them() -> None:
    # NCHW channels 0 1 2 3 and 10 11 12 13; TensorFlow has the channels last
    model = converted(
        [node("y", "Reshape", "x", "shape")], {"shape": np.array([1, 4, 2])}, (1, 2, 2, 2), output_shape=(1, 4, 2)
    )
    picture = np.array([[[[0, 1], [2, 3]], [[10, 11], [12, 13]]]])
    np.testing.assert_array_equal(run(model, picture)[0], [[0, 10], [1, 11], [2, 12], [3, 13]])


def test_channels_are_split_and_joined_where_tensorflow_has_them_last() -> None:
    nodes = [node("s", "SplitV", "x", "sizes", "axis"), node("y", "ConcatV2", "s:1", "s", "axis")]
    weights = {"sizes": np.array([1, 2]), "axis": np.array(3)}
    model = converted(nodes, weights, (1, 3, 1, 1))
    np.testing.assert_array_equal(run(model, np.array([[[[1]], [[2]], [[3]]]])).ravel(), [2, 3, 1])


@pytest.mark.parametrize(
    ("scale", "row"),
    [
        (0.5, [1.0, 5.0]),  # the means of 0 2 and of 4 6
        (2.0, [0.0, 0.5, 1.5, 2.5, 3.5, 4.5, 5.5, 6.0]),  # a quarter to either side of each centre, clamped at the edge
    ],
)
def test_a_resize_takes_half_pixel_centres(scale: float, row: list[float]) -> None:
    nodes = [node("y", "ResizeBilinear", "x", "size", half_pixel_centers={"b": True})]
    model = converted(nodes, {"size": np.array([0, 0])}, (1, 1, 2, 4), scales={"y": scale})
    picture = np.tile(np.array([0, 2, 4, 6]), (1, 1, 2, 1))
    np.testing.assert_allclose(run(model, picture)[0, 0, :, 0], row)


def test_a_maximum_with_minus_infinity_around_it_ignores_the_border() -> None:
    attributes = {**window("VALID", 2), "ksize": {"list": {"i": ["1", "3", "3", "1"]}}}
    nodes = [node("p", "PadV2", "x", "pads", "value"), node("y", "MaxPool", "p", **attributes)]
    weights = {"pads": np.array([[0, 0], [1, 1], [1, 1], [0, 0]]), "value": np.array(-np.inf)}
    # windows begin at -1 and 1: the first sees 2x2 of -1..-16, then 2x3, 3x2, 3x3
    picture = -np.arange(1, 17).reshape(1, 1, 4, 4)
    np.testing.assert_array_equal(run(converted(nodes, weights, (1, 1, 4, 4)), picture).ravel(), [-1, -2, -5, -6])


def test_values_are_clipped_leaked_and_squashed_as_tensorflow_does() -> None:
    picture = np.array([[[[-2, 0, 3, 9]]]])
    leaky = converted([node("y", "LeakyRelu", "x", alpha={"f": 0.5})], {}, (1, 1, 1, 4))
    np.testing.assert_array_equal(run(leaky, picture).ravel(), [-1, 0, 3, 9])
    clipped = converted([node("y", "Relu6", "x")], {}, (1, 1, 1, 4))
    np.testing.assert_array_equal(run(clipped, picture).ravel(), [0, 0, 3, 6])
    squashed = converted([node("y", "Sigmoid", "x")], {}, (1, 1, 1, 4))
    assert run(squashed, picture).ravel()[1] == pytest.approx(0.5)


def test_a_constant_can_be_an_output_beside_a_computed_one() -> None:
    graph = TfjsGraph(nodes={"y": node("y", "Relu6", "x")}, weights={"k": np.array([[[1.0, 2.0]]])})
    picture = GraphInput(tensor="x", name="images", shape=(1, 1, 1, 1), order=NCHW)
    outputs = [
        GraphOutput(tensor="y", name="result", shape=(1, 1, 1, 1)),
        GraphOutput(tensor="k", name="anchors", shape=(1, 2)),
    ]
    model = Converter(graph, {}, {}).convert("tiny", picture, outputs)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    result, anchors = session.run(["result", "anchors"], {"images": np.full((1, 1, 1, 1), 4, np.float32)})
    assert result.item() == 4
    np.testing.assert_array_equal(anchors, [[1, 2]])


def test_constants_are_packed_before_the_graph_runs() -> None:
    nodes = [node("shape", "Pack", "one", "four", axis={"i": "0"}), node("y", "Reshape", "x", "shape")]
    model = converted(nodes, {"one": np.array(1), "four": np.array(4)}, (1, 1, 2, 2), output_shape=(1, 4))
    np.testing.assert_array_equal(run(model, np.arange(4).reshape(1, 1, 2, 2)), [[0, 1, 2, 3]])


def test_an_operation_that_is_not_known_is_refused_by_name() -> None:
    with pytest.raises(RecipeError, match="y: the operation Softplus"):
        converted([node("y", "Softplus", "x")], {}, (1, 1, 1, 1))


def test_padding_that_nothing_can_execute_is_refused() -> None:
    nodes = [node("p", "Pad", "x", "pads"), node("y", "Relu6", "p")]
    with pytest.raises(RecipeError, match="padding is understood only before"):
        converted(nodes, {"pads": np.array([[0, 0], [1, 1], [1, 1], [0, 0]])}, (1, 1, 2, 2))
