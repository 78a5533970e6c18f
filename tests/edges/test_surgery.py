"""Changes to graphs: what is left answers as the whole did, and what cannot be changed is refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edge_agent.edges.surgery import Graph, SurgeryError, Walk, focus, labels, outputs, size
from edge_agent.edges.surgery.grouping import carried, groups
from edge_agent.edges.surgery.labels import Columns

Array = NDArray[Any]
Step = tuple[Any, ...]
"""An operation: its type, the names or arrays that it reads, the name or names that it makes, and its attributes."""

RANDOM = np.random.default_rng(3)


def array(*shape: int) -> NDArray[np.float32]:
    return RANDOM.standard_normal(shape).astype(np.float32)


def numbers(*values: int) -> NDArray[np.int64]:
    return np.array(values, np.int64)


def graph_of(
    steps: Sequence[Step], picture: Sequence[int | str], answers: Sequence[str] = ("out",), opset: int = 13
) -> Graph:
    """A graph of operations in a row, whose weights are the arrays that they read."""
    nodes, weights = [], []
    for number, (operation, reads, makes, attributes) in enumerate(steps):
        names = []
        for place, one in enumerate(reads):
            if not isinstance(one, str):
                weights.append(numpy_helper.from_array(np.asarray(one), f"weight_{number}_{place}"))
                names.append(weights[-1].name)
            else:
                names.append(one)
        made = [makes] if isinstance(makes, str) else makes
        nodes.append(helper.make_node(operation, names, made, f"{operation}_{number}", **attributes))
    graph = helper.make_graph(
        nodes,
        "made for a test",
        [helper.make_tensor_value_info("picture", TensorProto.FLOAT, picture)],
        [helper.make_empty_tensor_value_info(name) for name in answers],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    return Graph(onnx.shape_inference.infer_shapes(model, data_prop=True))


def answers_of(graph: Graph, picture: Array) -> dict[str, Array]:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(graph.written(), options, providers=["CPUExecutionProvider"])
    return dict(zip(graph.outputs, session.run(None, {"picture": picture}), strict=True))


def weights_in(graph: Graph) -> int:
    return sum(numpy_helper.to_array(weight).size for weight in graph.model.graph.initializer)


# Sides


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        ((6,), (6,), [((0, 1), (0, 1))]),
        ((1, 255, 52, 52), (1, 255, 2704), [((0, 1), (0, 1)), ((1, 2), (1, 2)), ((2, 4), (2, 3))]),
        ((1, 255, 4), (1, 3, 85, 4), [((0, 1), (0, 1)), ((1, 2), (1, 3)), ((2, 3), (3, 4))]),
        ((4, 6), (6, 4), [((0, 2), (0, 2))]),
        ((2, 3, 1, 1), (2, 3), [((0, 1), (0, 1)), ((1, 4), (1, 2))]),
        ((2, 3), (2, 1, 3, 1), [((0, 1), (0, 1)), ((1, 2), (1, 4))]),
    ],
)
def test_sides_are_matched_by_the_numbers_that_they_hold(
    before: tuple[int, ...], after: tuple[int, ...], found: list[Any]
) -> None:
    assert groups(before, after) == found


@pytest.mark.parametrize(
    ("before", "after", "axis", "keep", "found"),
    [
        ((1, 80, 4, 4), (1, 80, 16), 1, [2, 5], (1, [2, 5])),
        # Three boxes of two coordinates and two classes: columns 0, 1 and 3 of each 4.
        ((1, 12, 5), (1, 3, 4, 5), 2, [0, 1, 3], (1, [0, 1, 3, 4, 5, 7, 8, 9, 11])),
        # Rows, columns and two boxes of three classes: class 1 is every third channel from the second on.
        ((1, 2, 5, 6), (1, 20, 3), 2, [1], (3, [1, 4])),
        ((1, 4, 6), (1, 24), 1, [3], None),  # the side holds labels of every cell
    ],
)
def test_what_is_kept_is_followed_back_through_a_change_of_sides(
    before: tuple[int, ...], after: tuple[int, ...], axis: int, keep: list[int], found: tuple[int, list[int]] | None
) -> None:
    got = carried(before, after, axis, np.array(keep))
    assert (None if got is None else (got[0], got[1].tolist())) == found


# Labels


PICTURE = (1, 3, 4, 4)
CONV = ("Conv", ["picture", array(6, 3, 1, 1), array(6)], "made", {})
"""Six channels for each of sixteen cells; those in the tests are two of a box and four of classes, unless said else."""

TAILS: dict[str, tuple[Sequence[Step], int, list[int]]] = {
    "a convolution alone": ([("Conv", ["picture", array(6, 3, 1, 1)], "out", {})], 1, [0, 1, 4]),
    "sigmoid, sides, turned": (
        [
            CONV,
            ("Sigmoid", ["made"], "likely", {}),
            ("Reshape", ["likely", numbers(1, 6, -1)], "rows", {}),
            ("Transpose", ["rows"], "out", {"perm": [0, 2, 1]}),
        ],
        2,
        [0, 1, 5],
    ),
    "a shape that names the side": (
        [
            CONV,
            ("Transpose", ["made"], "last", {"perm": [0, 2, 3, 1]}),
            ("Reshape", ["last", numbers(1, 16, 6)], "out", {}),
        ],
        2,
        [3],
    ),
    "two boxes a cell, the shape computed": (
        [
            ("Conv", ["picture", array(12, 3, 1, 1), array(12)], "made", {}),
            ("Shape", ["made"], "shape", {}),
            ("Gather", ["shape", np.array([0])], "one", {"axis": 0}),
            ("Concat", ["one", numbers(2), numbers(6), numbers(16)], "asked", {"axis": 0}),
            ("Reshape", ["made", "asked"], "boxes", {}),
            ("Transpose", ["boxes"], "out", {"perm": [0, 1, 3, 2]}),
        ],
        3,
        [0, 1, 2],
    ),
    "joined from boxes and classes": (
        [
            ("Conv", ["picture", array(2, 3, 1, 1)], "boxes", {}),
            ("Conv", ["picture", array(4, 3, 1, 1), array(4)], "classes", {}),
            ("Sigmoid", ["classes"], "likely", {}),
            ("Concat", ["boxes", "likely"], "out", {"axis": 1}),
        ],
        1,
        [0, 1, 3, 4],
    ),
    "joined from strides": (
        [
            CONV,
            ("MaxPool", ["picture"], "small", {"kernel_shape": [2, 2], "strides": [2, 2]}),
            ("Conv", ["small", array(6, 3, 1, 1)], "more", {}),
            ("Reshape", ["made", numbers(0, 6, -1)], "rows", {}),
            ("Flatten", ["more"], "wide", {"axis": 2}),
            ("Reshape", ["wide", numbers(1, 6, 4)], "others", {}),
            ("Concat", ["rows", "others"], "out", {"axis": -1}),
        ],
        1,
        [0, 1, 2],
    ),
    "added, scaled and normalized": (
        [
            CONV,
            ("BatchNormalization", ["made", array(6), array(6), array(6), np.abs(array(6))], "normal", {}),
            ("Add", ["normal", array(6, 1, 1)], "moved", {}),
            ("Mul", ["moved", array(1)], "out", {}),
        ],
        1,
        [0, 5],
    ),
    "classes times objectness": (
        [
            ("Conv", ["picture", array(1, 3, 1, 1)], "sure", {}),
            CONV,
            ("Mul", ["made", "sure"], "out", {}),
        ],
        1,
        [1, 2],
    ),
    "split, and only a part for labels": (
        [
            CONV,
            ("Split", ["made", numbers(2, 4)], ["boxes", "classes"], {"axis": 1}),
            ("Sigmoid", ["classes"], "likely", {}),
            ("Concat", ["boxes", "likely"], "out", {"axis": 1}),
        ],
        1,
        [0, 1, 4],
    ),
    "slices of one tensor": (
        [
            CONV,
            ("Sigmoid", ["made"], "likely", {}),
            ("Slice", ["likely", numbers(0), numbers(2), numbers(1)], "boxes", {}),
            ("Slice", ["likely", numbers(2), numbers(99), numbers(1)], "classes", {}),
            ("Exp", ["boxes"], "large", {}),
            ("Concat", ["large", "classes"], "out", {"axis": 1}),
        ],
        1,
        [0, 1, 2, 5],
    ),
    "as YOLOv8 has it: boxes and classes joined for each stride, and split behind all": (
        [
            ("MaxPool", ["picture"], "small", {"kernel_shape": [2, 2], "strides": [2, 2]}),
            ("Conv", ["picture", array(2, 3, 1, 1)], "fine_boxes", {}),
            ("Conv", ["picture", array(4, 3, 1, 1), array(4)], "fine_classes", {}),
            ("Concat", ["fine_boxes", "fine_classes"], "fine", {"axis": 1}),
            ("Reshape", ["fine", numbers(1, 6, -1)], "fine_rows", {}),
            ("Conv", ["small", array(2, 3, 1, 1)], "coarse_boxes", {}),
            ("Conv", ["small", array(4, 3, 1, 1), array(4)], "coarse_classes", {}),
            ("Concat", ["coarse_boxes", "coarse_classes"], "coarse", {"axis": 1}),
            ("Reshape", ["coarse", numbers(1, 6, -1)], "coarse_rows", {}),
            ("Concat", ["fine_rows", "coarse_rows"], "rows", {"axis": 2}),
            ("Split", ["rows", numbers(2, 4)], ["boxes", "classes"], {"axis": 1}),
            ("Softmax", ["boxes"], "decoded", {"axis": 1}),
            ("Sigmoid", ["classes"], "likely", {}),
            ("Concat", ["decoded", "likely"], "out", {"axis": 1}),
        ],
        1,
        [0, 1, 3],
    ),
    "as YOLOv5 has it: three boxes a cell, turned, split, decoded and joined again": (
        [
            ("Conv", ["picture", array(24, 3, 1, 1), array(24)], "made", {}),
            ("Reshape", ["made", numbers(1, 3, 8, 4, 4)], "boxes", {}),
            ("Transpose", ["boxes"], "turned", {"perm": [0, 1, 3, 4, 2]}),
            ("Sigmoid", ["turned"], "likely", {}),
            ("Split", ["likely", numbers(2, 2, 4)], ["centre", "size", "rest"], {"axis": 4}),
            ("Add", ["centre", array(1, 3, 4, 4, 2)], "placed", {}),
            ("Mul", ["size", array(1, 3, 1, 1, 2)], "large", {}),
            ("Concat", ["placed", "large", "rest"], "decoded", {"axis": 4}),
            ("Reshape", ["decoded", numbers(1, 48, 8)], "out", {}),
        ],
        2,
        [0, 1, 2, 3, 4, 6],
    ),
    "a softmax over something else": (
        [CONV, ("Softmax", ["made"], "out", {"axis": 2})],
        1,
        [0, 3],
    ),
    "a matrix product": (
        [
            ("Transpose", ["picture"], "last", {"perm": [0, 2, 3, 1]}),
            ("MatMul", ["last", array(3, 6)], "made", {}),
            ("Add", ["made", array(6)], "out", {}),
        ],
        3,
        [2, 4],
    ),
    "a matrix product with what it adds": (
        [
            ("Flatten", ["picture"], "flat", {}),
            ("Gemm", ["flat", array(6, 48), array(6)], "out", {"transB": 1}),
        ],
        1,
        [2, 4],
    ),
    "bytes": (
        [
            ("QuantizeLinear", ["picture", np.float32(0.02), np.uint8(128)], "bytes", {}),
            ("DequantizeLinear", ["bytes", np.float32(0.02), np.uint8(128)], "again", {}),
            (
                "DequantizeLinear",
                [RANDOM.integers(-99, 99, (6, 3, 1, 1)).astype(np.int8), np.abs(array(6)), np.zeros(6, np.int8)],
                "weights",
                {"axis": 0},
            ),
            (
                "DequantizeLinear",
                [RANDOM.integers(-99, 99, 6).astype(np.int32), np.abs(array(6)), np.zeros(6, np.int32)],
                "bias",
                {"axis": 0},
            ),
            ("Conv", ["again", "weights", "bias"], "made", {}),
            ("QuantizeLinear", ["made", np.float32(0.5), np.uint8(100)], "more", {}),
            ("DequantizeLinear", ["more", np.float32(0.5), np.uint8(100)], "out", {}),
        ],
        1,
        [1, 5],
    ),
}


def pruned(graph: Graph, axis: int, keep: Sequence[int]) -> Graph:
    changed = graph.copy()
    labels.prune(changed, Walk(changed, {}).through(), [Columns("out", axis, np.array(keep))])
    return changed


@pytest.mark.parametrize("name", TAILS)
def test_only_the_wanted_columns_are_left_and_are_what_they_were(name: str) -> None:
    steps, axis, keep = TAILS[name]
    graph = graph_of(steps, PICTURE)
    picture = array(*PICTURE)
    whole = answers_of(graph, picture)["out"]
    changed = pruned(graph, axis, keep)
    np.testing.assert_array_equal(answers_of(changed, picture)["out"], np.take(whole, keep, axis))
    assert weights_in(changed) < weights_in(graph)
    said = changed.model.graph.output[0].type.tensor_type.shape.dim
    assert not said or said[axis].dim_value == len(keep)
    size.fix(changed, "picture", PICTURE)  # with the sides of the answer, where onnx did not infer them
    onnx.checker.check_model(changed.model, full_check=True)


OLD: dict[str, tuple[int, Sequence[Step], list[int]]] = {
    "slices without inputs": (
        9,
        [
            CONV,
            ("Slice", ["made"], "boxes", {"axes": [1], "starts": [0], "ends": [2]}),
            ("Slice", ["made"], "classes", {"axes": [1], "starts": [2], "ends": [6]}),
            ("Concat", ["boxes", "classes"], "out", {"axis": 1}),
        ],
        [0, 1, 4],
    ),
    "a split without inputs": (
        11,
        [
            CONV,
            ("Split", ["made"], ["boxes", "classes"], {"axis": 1, "split": [2, 4]}),
            ("Concat", ["boxes", "classes"], "out", {"axis": 1}),
        ],
        [0, 1, 2],
    ),
    "a softmax of what comes after": (11, [CONV, ("Softmax", ["made"], "out", {"axis": 2})], [3, 4]),
}


@pytest.mark.parametrize("name", OLD)
def test_old_forms_of_operations_are_gone_through_as_well(name: str) -> None:
    opset, steps, keep = OLD[name]
    graph = graph_of(steps, PICTURE, opset=opset)
    picture = array(*PICTURE)
    whole = answers_of(graph, picture)["out"]
    np.testing.assert_array_equal(answers_of(pruned(graph, 1, keep), picture)["out"], whole[:, keep])


def test_an_old_softmax_goes_over_all_that_comes_after_its_side() -> None:
    graph = graph_of([CONV, ("Softmax", ["made"], "out", {})], PICTURE, opset=11)  # from side 1 on
    with pytest.raises(SurgeryError, match="goes over all labels"):
        pruned(graph, 1, [0, 1])


def test_an_old_slice_ends_where_a_side_ends() -> None:
    def made(width: int) -> Graph:
        bounds = {"axes": [3], "starts": [1], "ends": [width]}
        return graph_of([("Slice", ["picture"], "out", bounds)], (1, 3, 16, width), opset=9)

    graph = made(16)
    assert size.free(graph, "picture", (1, 3, 16, 16), (1, 3, 336, 208)) == 1
    size.fix(graph, "picture", (1, 3, 16, 32))
    picture = array(1, 3, 16, 32)
    np.testing.assert_array_equal(answers_of(graph, picture)["out"], answers_of(made(32), picture)["out"])


def test_weights_that_several_strides_share_stay_one() -> None:
    steps = [
        ("MaxPool", ["picture"], "small", {"kernel_shape": [2, 2], "strides": [2, 2]}),
        ("Conv", ["picture", array(6, 3, 1, 1)], "out", {}),
        ("Conv", ["small", "weight_1_1"], "small_out", {}),
    ]
    graph = graph_of(steps, PICTURE, ("out", "small_out"))
    changed = graph.copy()
    wanted = [Columns(name, 1, np.array([0, 4])) for name in graph.outputs]
    labels.prune(changed, Walk(changed, {}).through(), wanted)
    assert weights_in(changed) == 2 * 3


FORBIDDEN: dict[str, tuple[Sequence[Step], list[int], str]] = {
    "a softmax over the labels": (
        [CONV, ("Softmax", ["made"], "out", {"axis": 1})],
        [0, 1, 3],
        "Softmax Softmax_1 goes over all labels: what it gives one depends on the others",
    ),
    "the best of all labels beside": (
        [
            CONV,
            ("Sigmoid", ["made"], "likely", {}),
            ("ReduceMax", ["likely"], "best", {"axes": [1]}),
            ("Sub", ["likely", "best"], "out", {}),
        ],
        [0, 1, 3],
        "ReduceMax ReduceMax_2 reads all of likely, too",
    ),
    "an answer that is read within": (
        [CONV, ("Sigmoid", ["made"], "out", {}), ("ReduceMax", ["out"], "best", {"axes": [1]})],
        [0, 1, 3],
        "ReduceMax ReduceMax_2 reads all of out, too",
    ),
    "groups of channels": (
        [("Conv", ["picture", array(6, 1, 1, 1)], "out", {"group": 3})],
        [0, 1, 3],
        "Conv Conv_0 makes labels of groups of channels, or along the picture",
    ),
    "an operation that may mix": ([CONV, ("LRN", ["made"], "out", {"size": 3})], [0, 1, 3], "LRN LRN_1 may mix labels"),
    "labels and cells on one side": (
        [CONV, ("Reshape", ["made", numbers(1, 96)], "wide", {}), ("Reshape", ["wide", numbers(1, 6, 16)], "out", {})],
        [0, 1, 3],
        "makes labels of",
    ),
    "slices that overlap": (
        [
            CONV,
            ("Slice", ["made", numbers(2), numbers(6), numbers(1)], "classes", {}),
            ("Slice", ["made", numbers(0), numbers(5), numbers(1)], "others", {}),
            ("Concat", ["others", "classes"], "out", {"axis": 1}),
        ],
        [0, 1, 3],
        "takes labels that are not wanted, too",
    ),
    "what comes from outside": ([("Sigmoid", ["picture"], "out", {})], [0], "picture is made by no operation"),
    "weights that are computed": (
        [("Identity", [array(6, 3, 1, 1)], "weights", {}), ("Conv", ["picture", "weights"], "out", {})],
        [0, 1, 3],
        "the weights weights of Conv Conv_1 are computed",
    ),
}


@pytest.mark.parametrize("name", FORBIDDEN)
def test_where_labels_are_mixed_it_says_by_what(name: str) -> None:
    steps, keep, why = FORBIDDEN[name]
    graph = graph_of(steps, PICTURE, ("out", "best") if name == "an answer that is read within" else ("out",))
    with pytest.raises(SurgeryError, match=why):
        pruned(graph, 1, keep)


# Focus


def quarters(
    order: Sequence[tuple[int, int]] = ((0, 0), (1, 0), (0, 1), (1, 1)), *, at_once: bool = False
) -> list[Step]:
    """Every second pixel of every second row, rows first, as YOLOX has it; or both at once."""
    end = np.iinfo(np.int64).max
    steps: list[Step] = []
    for place, (row, column) in enumerate(order):
        if at_once:
            bounds = [numbers(row, column), numbers(end, end), numbers(2, 3), numbers(2, 2)]
            steps.append(("Slice", ["picture", *bounds], f"quarter_{place}", {}))
        else:
            for axis, begin, reads, makes in (
                (2, row, "picture", f"rows_{place}"),
                (3, column, f"rows_{place}", f"quarter_{place}"),
            ):
                bounds = [numbers(begin), numbers(end), numbers(axis), numbers(2)]
                steps.append(("Slice", [reads, *bounds], makes, {}))
    return [*steps, ("Concat", [f"quarter_{place}" for place in range(len(order))], "focus", {"axis": 1})]


@pytest.mark.parametrize("order", [((0, 0), (1, 0), (0, 1), (1, 1)), ((1, 1), (0, 1), (1, 0), (0, 0))])
@pytest.mark.parametrize("at_once", [False, True])
@pytest.mark.parametrize(
    ("kernel", "attributes"),
    [
        (1, {}),
        (3, {"pads": [1, 1, 1, 1]}),
        (3, {"pads": [0, 1, 2, 1], "strides": [2, 1], "kernel_shape": [3, 3]}),
    ],
)
def test_a_focus_and_its_convolution_are_one(
    order: Sequence[tuple[int, int]], kernel: int, attributes: Mapping[str, Any], *, at_once: bool
) -> None:
    steps = [
        *quarters(order, at_once=at_once),
        ("Conv", ["focus", array(8, 12, kernel, kernel), array(8)], "out", attributes),
    ]
    graph = graph_of(steps, (1, 3, 12, 16))
    changed = graph.copy()
    assert focus.fold(changed, Walk(changed, {}).through()) == 1
    assert [node.op_type for node in changed.nodes] == ["Conv"]
    picture = array(1, 3, 12, 16)
    np.testing.assert_allclose(
        answers_of(changed, picture)["out"], answers_of(graph, picture)["out"], rtol=1e-4, atol=1e-5
    )


def test_one_weight_of_a_folded_focus_sees_one_pixel() -> None:
    # Row 1, column 0 of each 2 x 2 is the second quarter, so its third channel is channel 3 + 2 of the twelve.
    weight = np.zeros((1, 12, 1, 1), np.float32)
    weight[0, 5] = 1
    graph = graph_of([*quarters(), ("Conv", ["focus", weight], "out", {})], (1, 3, 2, 2))
    focus.fold(graph, Walk(graph, {}).through())
    picture = np.arange(12, dtype=np.float32).reshape(1, 3, 2, 2)
    assert answers_of(graph, picture)["out"].ravel().tolist() == [10]  # of channel 2, 8 9 / 10 11


@pytest.mark.parametrize(
    ("steps", "picture"),
    [
        ([("Conv", ["picture", array(8, 3, 3, 3)], "out", {})], (1, 3, 8, 8)),
        # One quarter twice, and one missing.
        (
            [*quarters(((0, 0), (1, 0), (0, 1), (0, 1))), ("Conv", ["focus", array(8, 12, 1, 1)], "out", {})],
            (1, 3, 8, 8),
        ),
        # Halves of rows only.
        (
            [
                *(
                    ("Slice", ["picture", numbers(begin), numbers(99), numbers(2), numbers(2)], f"half_{place}", {})
                    for place, begin in enumerate((0, 1, 0, 1))
                ),
                ("Concat", [f"half_{place}" for place in range(4)], "joined", {"axis": 1}),
                ("Conv", ["joined", array(8, 12, 1, 1)], "out", {}),
            ],
            (1, 3, 8, 8),
        ),
    ],
)
def test_what_is_no_focus_is_left_alone(steps: Sequence[Step], picture: Sequence[int]) -> None:
    graph = graph_of(steps, picture)
    before = graph.written()
    assert focus.fold(graph, Walk(graph, {}).through()) == 0
    assert [node.op_type for node in graph.nodes] == [step[0] for step in steps]
    assert len(graph.written()) <= len(before)


@pytest.mark.parametrize(
    "steps",
    [
        [("Relu", ["focus"], "out", {})],
        [("Conv", ["focus", array(4, 6, 1, 1)], "out", {"group": 2})],
        [("Conv", ["focus", array(4, 12, 3, 3)], "out", {"dilations": [2, 2]})],
        [("Conv", ["focus", array(4, 12, 3, 3)], "out", {"auto_pad": "SAME_UPPER"})],
        [("Conv", ["focus", array(4, 12, 1, 1)], "made", {}), ("Concat", ["made", "focus"], "out", {"axis": 1})],
    ],
)
def test_a_focus_that_no_plain_convolution_follows_is_said(steps: Sequence[Step]) -> None:
    graph = graph_of([*quarters(), *steps], (1, 3, 16, 16))
    with pytest.raises(SurgeryError, match=r"is a Focus, and .* that follows is no plain convolution"):
        focus.fold(graph, Walk(graph, {}).through())


# Sizes


KERNEL, BIAS, WIDE = array(6, 3, 3, 3), array(6), array(6, 6, 1, 1)


def pyramid(width: int, height: int, form: str) -> Graph:
    """Two strides, the coarse one made larger and added to the fine one, as exporters write it for a size."""
    fine = height // 2, width // 2
    larger = {
        "sizes": ("Resize", ["coarse", "", "", numbers(1, 6, *fine)], "larger", {"mode": "nearest"}),
        "sizes computed": ("Resize", ["coarse", "", "", "asked"], "larger", {"mode": "nearest"}),
        "scales": ("Resize", ["coarse", "", np.array([1, 1, 2, 2], np.float32)], "larger", {"mode": "nearest"}),
    }["scales" if form not in {"sizes", "sizes computed"} else form]
    asked = [
        ("Shape", ["coarse"], "shape", {}),
        ("Slice", ["shape", numbers(0), numbers(2), numbers(0)], "front", {}),
        ("Concat", ["front", numbers(*fine)], "asked", {"axis": 0}),
    ]
    rows = {
        "left over": numbers(1, 6, -1),
        "named and left over": numbers(-1, 6, fine[0] * fine[1]),
    }.get(form, numbers(1, 6, fine[0] * fine[1]))
    last: list[Step] = {
        "a slice": [
            ("Slice", ["rows", numbers(0), numbers(fine[0] * fine[1]), numbers(2), numbers(1)], "out", {}),
        ],
        "expanded": [
            ("Expand", ["rows", numbers(1, 6, fine[0] * fine[1])], "out", {}),
        ],
        "boxes of cells": [
            ("Transpose", ["sum"], "last", {"perm": [0, 2, 3, 1]}),
            ("Reshape", ["last", numbers(1, 2 * fine[0] * fine[1], 3)], "out", {}),
        ],
        "cells by rows": [
            ("Transpose", ["sum"], "last", {"perm": [0, 2, 3, 1]}),
            ("Reshape", ["last", numbers(1, *fine, 2, 3)], "out", {}),
        ],
    }.get(form, [("Transpose", ["rows"], "out", {"perm": [0, 2, 1]})])
    flat: list[Step] = (
        [("Reshape", ["sum", rows], "rows", {})] if form not in {"cells by rows", "boxes of cells"} else []
    )
    if form == "channels shuffled":
        flat = [
            ("Reshape", ["sum", numbers(1, 2, 3, *fine)], "halves", {}),
            ("Transpose", ["halves"], "crossed", {"perm": [0, 2, 1, 3, 4]}),
            ("Reshape", ["crossed", numbers(1, 6, *fine)], "shuffled", {}),
            ("Reshape", ["shuffled", rows], "rows", {}),
        ]
    return graph_of(
        [
            ("Conv", ["picture", KERNEL, BIAS], "fine", {"strides": [2, 2], "pads": [1, 1, 1, 1]}),
            ("MaxPool", ["fine"], "coarse", {"kernel_shape": [2, 2], "strides": [2, 2]}),
            *(asked if form == "sizes computed" else []),
            larger,
            ("Conv", ["larger", WIDE], "mixed", {}),
            ("Add", ["fine", "mixed"], "sum", {}),
            *flat,
            *last,
        ],
        (1, 3, height, width),
    )


FORMS = [
    "named", "left over", "named and left over", "sizes", "sizes computed", "a slice", "expanded", "cells by rows",
    "boxes of cells", "channels shuffled",
]  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("width", "height"), [(64, 64), (96, 32), (32, 96), (64, 32)])
def test_a_graph_made_for_another_size_is_the_one_that_would_have_been_made(form: str, width: int, height: int) -> None:
    graph = pyramid(64, 64, form)
    own = array(1, 3, 64, 64)
    before = answers_of(graph, own)["out"]
    size.free(graph, "picture", (1, 3, 64, 64), (1, 3, 384, 256))
    np.testing.assert_array_equal(answers_of(graph, own)["out"], before)
    size.fix(graph, "picture", (1, 3, height, width))
    picture = array(1, 3, height, width)
    wanted = answers_of(pyramid(width, height, form), picture)["out"]
    np.testing.assert_array_equal(answers_of(graph, picture)["out"], wanted)
    if form != "sizes computed":
        made = pyramid(width, height, form)
        assert [node.op_type for node in graph.nodes] == [node.op_type for node in made.nodes]
    sides = graph.model.graph.output[0].type.tensor_type.shape.dim
    assert tuple(side.dim_value for side in sides) == wanted.shape
    onnx.checker.check_model(graph.model, full_check=True)


GRID = array(1, 1, 16, 16)
BOUND: dict[str, tuple[Sequence[Step], str]] = {
    "a grid is added": (
        [("Conv", ["picture", array(2, 3, 1, 1)], "made", {}), ("Add", ["made", GRID], "out", {})],
        r"Add Add_1 reads the constant weight_1_1 \[1, 1, 16, 16\], made for pictures of that size",
    ),
    "anchors are an answer": ([("Identity", [array(1, 256, 4)], "out", {})], "the answer out is a constant"),
    "anchors are joined": (
        [
            ("Reshape", ["picture", numbers(1, 3, 256)], "rows", {}),
            ("Concat", ["rows", array(1, 3, 100)], "out", {"axis": 2}),
        ],
        "Concat Concat_1 adds the constant weight_1_1",
    ),
    "a part of the cells": (
        [
            ("Reshape", ["picture", numbers(1, 3, 256)], "rows", {}),
            ("Slice", ["rows", numbers(0), numbers(100), numbers(2)], "out", {}),
        ],
        "Slice Slice_1 takes a part of a side that depends on the size",
    ),
    "cells are split": (
        [
            ("Reshape", ["picture", numbers(1, 3, 256)], "rows", {}),
            ("Split", ["rows", numbers(200, 56)], ["out", "rest"], {"axis": 2}),
        ],
        "Split Split_1 splits a side that depends on the size",
    ),
    "a layer that knows each place": (
        [("Flatten", ["picture"], "flat", {}), ("Gemm", ["flat", array(768, 4)], "out", {})],
        r"Gemm Gemm_1 reads the constant weight_1_1 \[768, 4\], made for pictures of that size",
    ),
    "the whole picture is pooled": (
        [("AveragePool", ["picture"], "out", {"kernel_shape": [16, 16]})],
        "AveragePool AveragePool_0 goes over the whole of a picture of that size",
    ),
    "no whole number of times larger": (
        [("Resize", ["picture", "", "", numbers(1, 3, 21, 21)], "out", {"mode": "nearest"})],
        "Resize Resize_0 makes .* which is no whole number of times",
    ),
    "windows": (
        [("Reshape", ["picture", numbers(1, 3, 4, 4, 4, 4)], "out", {})],
        "Reshape Reshape_0 makes .* and at another size nobody knows what",
    ),
    "an operation that may know the size": (
        [("NonZero", ["picture"], "out", {})],
        "NonZero NonZero_0 may mean something else at another size",
    ),
    "certain places": (
        [("Gather", ["picture", numbers(*range(0, 16, 2))], "out", {"axis": 2})],
        "Gather Gather_0 takes places of a side that depends on the size",
    ),
}


@pytest.mark.parametrize("name", BOUND)
def test_what_belongs_to_one_size_is_found_and_named(name: str) -> None:
    steps, why = BOUND[name]
    graph = graph_of(steps, (1, 3, 16, 16))
    with pytest.raises(SurgeryError, match=why):
        size.free(graph, "picture", (1, 3, 16, 16), (1, 3, 336, 208))


# Answers


def test_what_no_answer_needs_goes_with_its_weights() -> None:
    steps = [
        ("Conv", ["picture", array(2, 3, 1, 1)], "kept", {}),
        ("Conv", ["kept", array(4, 2, 1, 1)], "middle", {}),
        ("Sigmoid", ["middle"], "gone", {}),
    ]
    graph = graph_of(steps, PICTURE, ("kept", "gone"))
    picture = array(*PICTURE)
    kept = answers_of(graph, picture)["kept"]
    assert outputs.answer_with(graph, Walk(graph, {}).through(), ["kept"]) == 2
    assert (graph.outputs, weights_in(graph)) == (("kept",), 6)
    np.testing.assert_array_equal(answers_of(graph, picture)["kept"], kept)


def test_what_a_suppression_depends_on_is_given_the_last_first() -> None:
    steps = [
        ("Reshape", ["picture", numbers(1, 12, 4)], "boxes", {}),
        ("Transpose", ["boxes"], "turned", {"perm": [0, 2, 1]}),
        ("Sigmoid", ["turned"], "scores", {}),
        ("NonMaxSuppression", ["boxes", "scores", numbers(5)], "chosen", {}),
        ("Gather", ["boxes", "chosen"], "out", {"axis": 1}),
    ]
    assert outputs.before_suppression(graph_of(steps, PICTURE)) == ["scores", "turned", "boxes"]
    assert outputs.before_suppression(graph_of(steps[:3], PICTURE, ("scores",))) == []
