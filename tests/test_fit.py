"""`models fit`: what is left of a model sees what the whole saw; what cannot be left out is said in a line."""

from __future__ import annotations

import contextlib
import itertools
import json
import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from builders import coloured_frame
from data import shared_data
from heads import KINDS, SIZE
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnx_files import write_model
from small_detector import square_pictures, write_small_detector

from edge_agent import clips
from edge_agent.app import open_recording
from edge_agent.cli.main import main
from edge_agent.edges import surgery
from edge_agent.edges.inference import ModelSettings
from edge_agent.records import Detections, Frame
from edge_agent.stages.detect.detector import DetectSettings
from edge_agent.stages.detect.head import Candidates
from edge_agent.stages.detect.preparation import Preparation
from edge_agent.tools.likeness import Likeness, difference, found, likeness
from edge_agent.vision import Vision, load_vision

LABELS = ("cat", "dog", "cow")


def fitted(path: Path | str, *words: str, code: int = 0, out: Path | None = None) -> Path:
    out = out or Path(path).with_name("fitted.onnx")
    assert main(["models", "fit", str(path), str(out), *words]) == code
    return out


def manifest_of(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.with_suffix(".json").read_text()))


def kinds_in(path: Path) -> list[str]:
    return [step["kind"] for step in manifest_of(path)["steps"]]


def seen(vision: Vision, pictures: Sequence[NDArray[np.uint8]], least: float) -> list[Candidates]:
    preparation = Preparation(vision.head, vision.input_size)
    return found(vision, [preparation.tensor(picture).copy() for picture in pictures], least)


def of_clip(frames: int = 3) -> list[Frame]:
    with contextlib.closing(open_recording(clips.PEDESTRIANS).frames()) as every:
        return list(itertools.islice(every, 0, 60 * frames, 60))


def detections(vision: Vision, *labels: str) -> list[Detections]:
    detector = vision.detector(DetectSettings(labels=labels))
    return [detector.detect(frame) for frame in of_clip()]


def assert_same(some: Sequence[Detections], others: Sequence[Detections], pixels: float) -> None:
    assert sum(map(len, some)) > 0
    for one, other in zip(some, others, strict=True):
        assert_allclose(one.boxes, other.boxes, atol=pixels)
        assert_allclose(one.scores, other.scores, atol=1e-4)
        assert [one.label_names[place] for place in one.label_ids] == [
            other.label_names[place] for place in other.label_ids
        ]


# How near is near


@pytest.mark.parametrize(
    ("one", "other", "greatest", "share", "is_rounding"),
    [
        ([1.0, -4.0], [1.0, -4.0], 0, 0, True),
        ([1.0, -4.0], [1.0, -4.0001], 1e-4, 2.5e-5, True),
        ([1.0, -4.0], [1.01, -4.0], 0.01, 0.0025, False),
        ([0.0, 0.0], [0.0, 0.0], 0, 0, True),
        ([1e-9, 0.0], [0.0, 0.0], 1e-9, np.inf, False),
        ([1.0], [1.0, 2.0], np.inf, np.inf, False),
        ([], [], 0, 0, True),
    ],
)
def test_a_difference_is_measured_by_the_largest_number_of_its_answer(
    one: list[float], other: list[float], greatest: float, share: float, *, is_rounding: bool
) -> None:
    apart = difference([{"a": np.array(one), "b": np.ones(1)}], [{"a": np.array(other)}])
    assert (apart.greatest, apart.share) == pytest.approx((greatest, share), rel=1e-3)
    assert apart.is_rounding is is_rounding


def test_an_answer_that_is_missing_is_no_likeness() -> None:
    assert not difference([{}], [{"a": np.zeros(1)}]).is_rounding


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_like_nothing_and_least_of_all_itself(wrong: float) -> None:
    numbers = np.array([[1.0, wrong]])
    for one, other in ((numbers, np.ones((1, 2))), (np.ones((1, 2)), numbers), (numbers, numbers)):
        apart = difference([{"a": np.ones(1)}, {"a": one}], [{"a": np.ones(1)}, {"a": other}])
        assert not apart.is_rounding
        assert apart.greatest == np.inf
        assert str(apart) == "with other shapes, or with numbers that are not finite"


def pixels_and_scores() -> NDArray[np.float32]:
    """(1, 100, 85) with boxes in pixels, 0 to 640, and scores below 0.03 for all classes."""
    rows = np.random.default_rng(0).random((1, 100, 85), np.float32)
    rows[..., :4] *= 640
    rows[..., 5:] *= 0.03
    return rows


def test_scores_are_measured_by_scores_though_pixels_stand_beside_them() -> None:
    rows = pixels_and_scores()
    swapped = np.concatenate([rows[..., :5], rows[..., :4:-1]], axis=2)
    assert not difference([{"a": swapped}], [{"a": rows}]).is_rounding
    turned, turned_swapped = (np.moveaxis(one, 2, 1) for one in (rows, swapped))
    assert not difference([{"a": turned_swapped}], [{"a": turned}], {"a": 1}).is_rounding
    # A ten-thousandth of the largest score is 3e-6.
    nearly, hardly = rows.copy(), rows.copy()
    nearly[..., 5:] += 2e-6
    hardly[..., 5:] += 5e-6
    assert difference([{"a": nearly}], [{"a": rows}], small=0).is_rounding
    assert not difference([{"a": hardly}], [{"a": rows}], small=0).is_rounding


def test_small_numbers_beside_large_ones_may_differ_by_the_last_bit_of_these() -> None:
    numbers = np.array([[[640.0, 1e-6], [320.0, 2e-6]]])
    other = numbers + np.array([0, 5e-5])
    assert difference([{"a": other}], [{"a": numbers}]).share == pytest.approx(5e-5 / 0.64)
    assert difference([{"a": other}], [{"a": numbers}], small=0).share == pytest.approx(25)


def test_a_column_is_one_of_all_pictures_and_a_list_is_one_column() -> None:
    one, other = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[100.0, 0.0]])
    more = np.array([[1.0, 2.004], [3.0, 4.0]])
    assert difference([{"a": more}, {"a": other}], [{"a": one}, {"a": other}]).share == pytest.approx(0.001)
    assert difference([{"a": other + 1e-3}], [{"a": other}]).share == pytest.approx(1e-5)
    none = np.zeros((0, 2))
    assert difference([{"a": none}, {"a": more}], [{"a": none}, {"a": one}]).share == pytest.approx(0.001)
    assert difference([{"a": none}], [{"a": none}]).is_rounding


@pytest.mark.parametrize("scale", [1e-2, 1e-6])
def test_the_column_of_another_label_is_no_rounding_of_the_one_that_is_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], scale: float
) -> None:
    answer = KINDS["YOLOv8, v9, v11, v12"].outputs["output0"].copy()  # (1, 4 + 3, cells), with boxes of up to 64
    answer[:, 4:] = np.random.default_rng(3).random(answer[:, 4:].shape) * scale
    path = write_model(tmp_path / "model.onnx", {"output0": answer}, metadata={"names": str(list(LABELS))})
    right = surgery.labels.prune

    def wrong(graph: surgery.Graph, walk: surgery.Walk, wanted: Sequence[surgery.labels.Columns]) -> None:
        right(graph, walk, [replace(one, keep=np.array([0, 1, 2, 3, 4], np.int64)) for one in wanted])

    monkeypatch.setattr(surgery.labels, "prune", wrong)
    fitted(path, "--keep", "dog", "--family", "yolov8", code=1)
    assert "nothing is written: the changed model answers otherwise: apart by" in capsys.readouterr().err
    monkeypatch.setattr(surgery.labels, "prune", right)
    assert kinds_in(fitted(path, "--keep", "dog", "--family", "yolov8")) == ["labels"]


# A model small enough to see through


def test_a_small_detector_is_fitted_to_one_label_and_another_size(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_small_detector(tmp_path / "float.onnx", metadata={"licence": "MIT"})
    out = fitted(path, "--keep", "blue", "--input", "64x32", "--family", "yolox")
    printed = capsys.readouterr()
    manifest = manifest_of(out)
    assert [step["kind"] for step in manifest["steps"]] == ["labels", "size"]
    assert manifest["steps"][0]["told"] == "1 of 2 labels"
    assert manifest["steps"][0]["proof"] == "the same to the bit, on 5 pictures"
    assert "at its own size the same to the bit" in manifest["steps"][1]["proof"]
    assert (manifest["input"], manifest["labels"], manifest["family"]) == ([64, 32], ["blue"], "yolox")
    assert manifest["sha256"] == load_vision(ModelSettings(path=out, family="yolox")).sha256
    assert (manifest["file"], manifest["source"]["file"]) == ("fitted.onnx", "float.onnx")
    assert "labels       1 of 2 labels: the same to the bit" in printed.out
    assert printed.err.splitlines() == [f"wrote {out.with_suffix(suffix)}" for suffix in (".onnx", ".json", ".md")]
    assert {one.name for one in tmp_path.iterdir()} == {"float.onnx", "fitted.onnx", "fitted.json", "fitted.md"}


def test_what_it_sees_it_saw_before(tmp_path: Path) -> None:
    path = write_small_detector(tmp_path / "float.onnx")
    whole = load_vision(ModelSettings(path=path))
    part = load_vision(ModelSettings(path=fitted(path, "--keep", "blue", "--input", "64x32"), family="yolox"))
    assert (whole.label_names, part.label_names, part.input_size) == (("red", "blue"), ("blue",), (64, 32))
    halves = [picture[:32] for picture in square_pictures(16)]
    pictures = [np.concatenate([half, np.zeros_like(half)]) for half in halves]
    blue = 0
    for before, now in zip(seen(whole, pictures, 0.4), seen(part, halves, 0.4), strict=True):
        assert_array_equal(now.boxes, before.boxes[before.label_ids == 1])
        assert_array_equal(now.scores, before.scores[before.label_ids == 1])
        blue += len(now.scores)
    assert blue > 8


def test_the_card_says_how_to_use_it_and_where_it_came_from(tmp_path: Path) -> None:
    path = write_small_detector(tmp_path / "float.onnx")
    out = fitted(path, "--keep", "blue", "--input", "64x32", "--family", "yolox")
    card = out.with_suffix(".md").read_text()
    manifest = manifest_of(out)
    assert "model: {path: fitted.onnx, family: yolox}" in card
    assert f"`{manifest['source']['sha256']}`" in card
    assert "It sees 64x32 and is of the family yolox. Its labels:\nblue." in card
    assert str(tmp_path) not in card + out.with_suffix(".json").read_text()


def test_weights_that_are_listed_as_inputs_become_constants(tmp_path: Path) -> None:
    out = fitted(write_small_detector(tmp_path / "float.onnx", opset=11))
    assert kinds_in(out) == ["weights"]
    assert [tensor.name for tensor in onnx.load(out).graph.input] == ["images"]
    assert load_vision(ModelSettings(path=out)).label_names == ("red", "blue")


def test_the_same_order_gives_the_same_bytes(tmp_path: Path) -> None:
    path = write_small_detector(tmp_path / "float.onnx")
    first = fitted(path, "--keep", "red", out=tmp_path / "a.onnx")
    assert fitted(path, "--keep", "red", out=tmp_path / "b.onnx").read_bytes() == first.read_bytes()


def test_labels_of_the_other_name_in_the_metadata_do_not_outlive_it(tmp_path: Path) -> None:
    path = write_small_detector(tmp_path / "float.onnx", metadata={"labels": "red,blue", "licence": "MIT"})
    out = fitted(path, "--keep", "red")
    assert load_vision(ModelSettings(path=out, family="yolox")).label_names == ("red",)
    assert load_vision(ModelSettings(path=out, family="yolox")).signature.metadata["licence"] == "MIT"


def test_labels_that_were_told_stand_in_the_file_afterwards(tmp_path: Path) -> None:
    outputs = {**KINDS["YOLOv5, v7"].outputs, "raw": np.zeros((1, 3, 4, 8, 8), np.float32)}
    path = write_model(tmp_path / "model.onnx", outputs)
    (tmp_path / "labels.txt").write_text("cat\ndog\ncow\n")
    out = fitted(path, "--labels", str(tmp_path / "labels.txt"))
    assert load_vision(ModelSettings(path=out)).label_names == LABELS


def test_an_answer_that_costs_nothing_is_no_reason_for_another_file(tmp_path: Path) -> None:
    kind = KINDS["TensorFlow Object Detection API"]
    path = write_model(
        tmp_path / "model.onnx", kind.outputs, metadata={"names": str(list(LABELS))}, picture=(1, 32, 64, 3)
    )
    model = onnx.load(path)
    unread = next(tensor for tensor in model.graph.output if tensor.name == "num_detections:0")
    for node in [one for one in model.graph.node if one.output[0].startswith(unread.name)]:
        model.graph.node.remove(node)
    unread.name = "images_mean"
    del unread.type.tensor_type.shape.dim[:]
    onnx.save(model, path)
    fitted(path, code=1)


# Every family


@pytest.mark.parametrize("keep", ["dog", "cow,dog"])
@pytest.mark.parametrize("name", KINDS)
def test_what_is_left_of_every_kind_of_head_finds_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, keep: str
) -> None:
    kind = KINDS[name]
    picture = (1, 3, *SIZE[::-1]) if kind.layout == "nchw" else (1, *SIZE[::-1], 3)
    path = write_model(
        tmp_path / "model.onnx",
        kind.outputs,
        picture=picture,
        dtype=TensorProto.UINT8 if kind.dtype == "uint8" else TensorProto.FLOAT,
        more_inputs=kind.more_inputs,
        metadata={"names": str(list(LABELS))},
    )
    has_columns = kind.classes is not None and name not in {"DETR, YOLOS", "suppressed by ONNX's operator"}
    out = fitted(path, "--keep", keep, "--family", kind.family, code=0 if has_columns else 78)
    if not has_columns:
        assert "it answers with numbers of labels" in capsys.readouterr().err
        return
    wanted = tuple(label for label in LABELS if label in keep)
    assert "labels" in kinds_in(out)
    vision = load_vision(ModelSettings(path=out, family=kind.family))
    assert (vision.head.family, vision.label_names) == (kind.family, wanted)
    got = vision.detector(DetectSettings(labels=wanted)).detect(coloured_frame(120, 128, 128, size=SIZE))
    assert_allclose(got.boxes, [kind.box], rtol=1e-5, atol=1e-4)
    assert_allclose(got.scores, [kind.score], rtol=1e-5)
    assert [got.label_names[label] for label in got.label_ids] == ["dog"]


# Answers


def suppressing(path: Path, *, centred: bool, moved: float = 0.0) -> Path:
    """Boxes of three labels that are suppressed in the graph, as a list with the class before the score.

    Args:
        path: where to.
        centred: boxes are centres and sizes, as YOLOv8 has them beside the scores; else corners, as YOLO-NAS.
        moved: pixels that corners are moved by after the suppression.
    """
    numbers = {
        "begin": [0],
        "four": [4],
        "seven": [7],
        "one": [1],
        "most": [10],
        "picture_and_label": [0, 1],
        "cell": 2,
    }
    weights = [numpy_helper.from_array(np.array(value, np.int64), name) for name, value in numbers.items()]
    floats = {"nothing": 1e-8, "half": [0.5], "least": [0.25], "moved": moved}
    weights += [numpy_helper.from_array(np.array(value, np.float32), name) for name, value in floats.items()]
    kind = KINDS["YOLOv8, v9, v11, v12" if centred else "YOLO-NAS"]
    weights += [numpy_helper.from_array(tensor, f"{name}_constant") for name, tensor in kind.outputs.items()]
    # A little of the picture is added to all, so that the answer depends on it.
    steps: list[tuple[str, list[str], str | tuple[str, ...], dict[str, Any]]] = [
        ("ReduceMean", ["images"], "mean", {"keepdims": 0}),
        ("Mul", ["mean", "nothing"], "tiny", {}),
        *(("Add", [f"{name}_constant", "tiny"], name, {}) for name in kind.outputs),
    ]
    if centred:
        steps += [
            ("Slice", ["output0", "begin", "four", "one"], "columns", {}),
            ("Slice", ["output0", "four", "seven", "one"], "scores", {}),
            ("Transpose", ["columns"], "boxes", {"perm": [0, 2, 1]}),
        ]
    else:
        steps += [("Identity", ["a"], "boxes", {}), ("Transpose", ["b"], "scores", {"perm": [0, 2, 1]})]
    steps += [
        (
            "NonMaxSuppression",
            ["boxes", "scores", "most", "half", "least"],
            "chosen",
            {"center_point_box": int(centred)},
        ),
        ("Squeeze", ["boxes", "begin"], "flat", {}),
        ("Gather", ["chosen", "cell"], "cells", {"axis": 1}),
        ("Gather", ["flat", "cells"], "rows", {"axis": 0}),
        ("Split", ["rows"], ("front", "back"), {"axis": 1}),
        ("GatherND", ["scores", "chosen"], "sure", {}),
        ("Unsqueeze", ["sure", "one"], "score", {}),
        ("Cast", ["chosen"], "chosen_floats", {"to": TensorProto.FLOAT}),
        ("Gather", ["chosen_floats", "picture_and_label"], "named", {"axis": 1}),
        ("Split", ["named"], ("batch", "label"), {"axis": 1}),
    ]
    if centred:
        steps += [
            ("Mul", ["back", "half"], "halves", {}),
            ("Sub", ["front", "halves"], "corner", {}),
            ("Add", ["front", "halves"], "other", {}),
        ]
    else:
        steps += [("Add", ["front", "moved"], "corner", {}), ("Add", ["back", "moved"], "other", {})]
    steps += [("Concat", ["batch", "corner", "other", "label", "score"], "output", {"axis": 1})]
    graph = helper.make_graph(
        [
            helper.make_node(operation, reads, [makes] if isinstance(makes, str) else makes, **attributes)
            for operation, reads, makes, attributes in steps
        ],
        "suppresses",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, (1, 3, 32, 64))],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, ("n", 7))],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    helper.set_model_props(model, {"names": str(dict(enumerate(LABELS)))})
    onnx.save(model, path)
    return path


@pytest.mark.parametrize(
    ("centred", "family", "answers", "settings"),
    [
        (True, "yolov8", ["output0"], {}),
        (False, "yolo-nas", ["b", "boxes"], {"colour": "rgb"}),  # which that family usually has the other way round
    ],
)
def test_suppression_in_the_graph_is_left_to_the_agent(
    tmp_path: Path, family: str, answers: list[str], settings: dict[str, str], *, centred: bool
) -> None:
    path = suppressing(tmp_path / "list.onnx", centred=centred)
    whole = load_vision(ModelSettings(path=path))
    assert (whole.head.family, whole.head.suppresses) == ("nms-flat-yolov7", False)
    out = fitted(path)
    part = load_vision(ModelSettings(path=out, **settings))
    assert (part.head.family, part.head.suppresses, part.label_names) == (family, True, LABELS)
    assert sorted(tensor.name for tensor in part.signature.outputs) == answers
    assert kinds_in(out) == ["suppression"]
    assert manifest_of(out)["settings"] == settings
    assert part.head.colour == whole.head.colour
    assert "NonMaxSuppression" not in {node.op_type for node in onnx.load(out).graph.node}
    before, now = (one.detector(DetectSettings(labels=("dog",))).detect(of_clip(1)[0]) for one in (whole, part))
    assert_allclose(now.boxes, before.boxes, atol=1e-3)
    assert_allclose(now.scores, before.scores, atol=1e-6)


def test_suppression_stays_where_what_it_is_given_are_no_boxes_yet(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = suppressing(tmp_path / "list.onnx", centred=False, moved=4)
    fitted(path, code=1)
    assert "suppression: no family reads what the suppression is given" in capsys.readouterr().err
    assert not list(tmp_path.glob("fitted*"))


def test_answers_that_nobody_reads_are_left_out(tmp_path: Path) -> None:
    outputs = {**KINDS["YOLOv5, v7"].outputs, "raw": np.zeros((1, 3, 4, 8, 8), np.float32)}
    path = write_model(tmp_path / "model.onnx", outputs, metadata={"names": str(list(LABELS))})
    out = fitted(path)
    assert kinds_in(out) == ["outputs"]
    assert manifest_of(out)["steps"][0]["told"].startswith("raw left out, which nobody reads, with ")
    part = load_vision(ModelSettings(path=out))
    assert ([one.name for one in part.signature.outputs], part.head.family) == (["output"], "yolov5")


# Sizes


def gridded(
    path: Path, *, side: int = 64, scalar: bool = False, clipped: bool = False, box: tuple[int, int] | None = None
) -> Path:
    """A YOLOv8 of one size and any other, whose cells know where they are.

    Args:
        path: where to.
        side: of the square that it is made for.
        scalar: they know it by a part of the picture, times that side; else by their stride, which is right always.
        clipped: no centre is further from the corner than that side.
        box: width and height of all boxes; as large as the stride, when left out.
    """
    weights: list[Any] = []
    nodes: list[Any] = []

    def constant(value: Any, dtype: type) -> str:
        weights.append(numpy_helper.from_array(np.array(value, dtype), f"constant_{len(weights)}"))
        return str(weights[-1].name)

    def made(operation: str, *reads: str, **attributes: Any) -> str:
        name = f"{operation}_{len(nodes)}"
        nodes.append(helper.make_node(operation, list(reads), [name], name, **attributes))
        return name

    def centres(cells: str, axis: int, stride: int) -> str:
        count = made("Gather", made("Shape", cells), constant(axis, np.int64), axis=0)
        every = made("Range", constant(0, np.int64), count, constant(1, np.int64))
        middles = made("Add", made("Cast", every, to=TensorProto.FLOAT), constant(0.5, np.float32))
        if scalar:
            part = made("Div", middles, made("Cast", count, to=TensorProto.FLOAT))
            places = made("Mul", part, constant(side, np.float32))
        else:
            places = made("Mul", middles, constant(stride, np.float32))
        if not clipped:
            return places
        return made("Clip", places, constant(0, np.float32), constant(side, np.float32))

    mixed = constant(np.random.default_rng(5).standard_normal((3, 3, 1, 1)) / 64, np.float32)
    strides = []
    for stride in (8, 16, 32):
        cells = made("AveragePool", "images", kernel_shape=[stride, stride], strides=[stride, stride])
        nothing = made("Mul", made("ReduceMean", cells, axes=[1]), constant(0, np.float32))
        across = made("Add", nothing, centres(cells, 3, stride))
        down = made("Add", nothing, made("Unsqueeze", centres(cells, 2, stride), constant([1], np.int64)))
        wide, tall = (made("Add", nothing, constant(length, np.float32)) for length in box or (stride, stride))
        likely = made("Sigmoid", made("Conv", cells, mixed))
        joined = made("Concat", across, down, wide, tall, likely, axis=1)
        strides.append(made("Reshape", joined, constant([1, 7, -1], np.int64)))
    nodes.append(helper.make_node("Concat", strides, ["output"], axis=2))
    graph = helper.make_graph(
        nodes,
        "knows where its cells are",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, (1, 3, side, side))],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, (1, 7, side * side * 21 // 1024))],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    helper.set_model_props(model, {"names": str(dict(enumerate(LABELS)))})
    onnx.save(model, path)
    return path


@pytest.mark.parametrize(
    ("side", "size", "box", "moved"),
    [
        (64, "128x32", None, "64x0"),
        (64, "64x160", None, "0x64"),
        (64, "128x128", None, "64x64"),
        (320, "352x352", (100, 200), "32x32"),
        (128, "64x96", None, None),
    ],
)
def test_what_is_right_at_any_size_is_seen_to_be(
    tmp_path: Path, side: int, size: str, box: tuple[int, int] | None, moved: str | None
) -> None:
    out = fitted(gridded(tmp_path / "right.onnx", side=side, box=box), "--input", size)
    assert kinds_in(out) == ["size"]
    assert "x".join(map(str, load_vision(ModelSettings(path=out)).input_size)) == size
    (step,) = manifest_of(out)["steps"]
    found = (
        r"(\d+) of the \1 best boxes are found again, overlapping by 1\.00, 0\.0 pixels aside and with scores "
        r"0\.000 apart in the mean"
    )
    far = rf"; moved by {moved}, to where it saw nothing before, {found.replace('1', '2', 1)}" if moved else ""
    assert re.fullmatch(rf"at its own size the same to the bit; of the same pixels {found}{far}", step["proof"])


@pytest.mark.parametrize(
    ("wrong", "size", "where"),
    [
        ({"scalar": True}, "128x32", ""),
        # Each cell has a box there, so the one beside it looks right wherever there is one: 5 % off, and large boxes.
        ({"scalar": True, "side": 640, "box": (100, 200)}, "672x672", " where it saw nothing before"),
        ({"scalar": True, "side": 640, "box": (600, 300)}, "672x640", " where it saw nothing before"),
        ({"clipped": True}, "128x128", " where it saw nothing before"),
        ({"clipped": True}, "64x128", " where it saw nothing before"),
        ({"clipped": True, "side": 320}, "352x320", " where it saw nothing before"),
    ],
)
def test_a_number_that_stands_for_the_size_is_found_by_the_boxes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], wrong: dict[str, Any], size: str, where: str
) -> None:
    fitted(gridded(tmp_path / "wrong.onnx", **wrong), "--input", size, code=1)
    complaint = f"wrong.onnx: nothing is written: at {size} it sees something else in the same picture{where}: "
    assert complaint in capsys.readouterr().err


@pytest.mark.parametrize(
    ("measured", "is_alike"),
    [
        ({}, True),
        ({"found": 199}, False),
        ({"score": 0.11}, False),
        ({"overlap": 0.79}, False),
        ({"aside": 2.5}, False),
        ({"boxes": 0, "found": 0, "score": 0.0, "overlap": 0.0, "aside": 0.0}, False),
    ],
)
def test_boxes_have_to_be_where_they_were(measured: dict[str, Any], *, is_alike: bool) -> None:
    # The worst of all that models that are right were seen to come to.
    seen_of_right_ones = {"boxes": 250, "found": 250, "score": 0.071, "overlap": 0.83, "aside": 0.7}
    assert Likeness(**(seen_of_right_ones | measured)).is_alike is is_alike


# Wrong uses


def softmaxed(path: Path) -> None:
    """The small detector with a softmax over its rows' columns at the end."""
    write_small_detector(path)
    model = onnx.load(path)
    model.graph.node[-1].output[0] = "raw"
    model.graph.node.append(helper.make_node("Softmax", ["raw"], ["output"], "weigh", axis=2))
    onnx.save(model, path)


def bound(path: Path) -> None:
    """The small detector with something added that it knows for each cell."""
    write_small_detector(path)
    model = onnx.load(path)
    model.graph.node[-1].output[0] = "raw"
    model.graph.initializer.append(numpy_helper.from_array(np.full((1, 84, 1), 1e-6, np.float32), "grid"))
    model.graph.node.append(helper.make_node("Add", ["raw", "grid"], ["output"], "place"))
    onnx.save(model, path)


def strange(path: Path) -> None:
    """The small detector with a part that makes nothing of nothing, and that nobody reads."""
    write_small_detector(path)
    model = onnx.load(path)
    for name, number in (("none", 0), ("channels", 1), ("all", -1)):
        model.graph.initializer.append(numpy_helper.from_array(np.array([number], np.int64), f"strange_{name}"))
    bounds = ["strange_none", "strange_none", "strange_channels"]
    model.graph.node.append(helper.make_node("Slice", ["images", *bounds], ["nothing"], "take"))
    model.graph.node.append(helper.make_node("Reshape", ["nothing", "strange_all"], ["flat_nothing"], "flatten"))
    onnx.save(model, path)


@pytest.mark.parametrize(
    ("words", "code", "complaint"),
    [
        ("gone.onnx out.onnx", 78, "gone.onnx cannot be read: No such file or directory"),
        ("nope out.onnx", 78, "model 'nope' is not built in"),
        ("text.onnx out.onnx", 78, "model text.onnx: onnxruntime cannot load it"),
        ("model.tflite out.onnx", 78, "model model.tflite: only ONNX files can be fitted"),
        ("float.onnx", 78, "models fit: which model, and where does the new one go? models fit MODEL OUT.onnx"),
        ("float.onnx out.bin", 78, "models fit: out.bin has to end in .onnx"),
        ("float.onnx float.onnx", 78, "models fit: float.onnx is the model itself; choose another name"),
        ("float.onnx none/out.onnx", 78, "models fit: none/out.onnx: there is no folder none"),
        ("float.onnx out.onnx --keep red,green", 78, "--keep red,green: float.onnx knows no green; it knows red, blue"),
        ("float.onnx out.onnx --input 64x48", 78, "--input 64x48: both have to be multiples of 32, from 32 to 4096"),
        ("float.onnx out.onnx --input 64x0", 78, "--input 64x0: both have to be multiples of 32, from 32 to 4096"),
        ("float.onnx out.onnx", 1, "float.onnx: nothing is written: nothing of it can be left out"),
        (
            "float.onnx out.onnx --keep blue,red --input 64x64",
            1,
            "nothing is written: labels: those that are wanted are all that it has; size: 64x64 is what it has",
        ),
        (
            "softmaxed.onnx out.onnx --keep red",
            78,
            "model softmaxed.onnx: the labels cannot be left out: Softmax weigh goes over all labels",
        ),
        (
            "bound.onnx out.onnx --input 32x64",
            78,
            "model bound.onnx: its size cannot be 32x64: Add place reads the constant grid [1, 84, 1], made for",
        ),
        ("strange.onnx out.onnx --input 64x32", 78, "its size cannot be 64x32: its graph has a form that is not under"),
        ("default out.onnx --input 416x250", 78, "--input 416x250: both have to be multiples of 32"),
        ("default out.onnx --input 320x192", 1, "nothing is written: size: it takes any, which `model.input` tells"),
        ("ssdlite out.onnx --input 416x256", 78, "its size cannot be 416x256: Reshape"),
        (
            "numbered.onnx out.onnx --keep dog",
            78,
            "it answers with numbers of labels, or weighs them together: none has a column that could be left out",
        ),
    ],
)
def test_what_cannot_be_fitted_is_refused_in_a_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: str,
    code: int,
    complaint: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    write_small_detector(Path("float.onnx"))
    softmaxed(Path("softmaxed.onnx"))
    bound(Path("bound.onnx"))
    strange(Path("strange.onnx"))
    write_model(Path("numbered.onnx"), KINDS["YOLOv10, YOLO26"].outputs, metadata={"names": "['cat', 'dog', 'cow']"})
    Path("text.onnx").write_text("no model")
    Path("model.tflite").write_bytes(b"")
    assert main(["models", "fit", *words.split()]) == code
    complained = capsys.readouterr().err.splitlines()
    assert len(complained) == 1
    assert complained[0].startswith("edge-agent: ")
    assert complaint in complained[0]
    assert not list(tmp_path.glob("out*"))


FOREIGN = {
    "a model": ("out.onnx", b"a model of mine"),
    "a page": ("out.md", b"# Mine"),
    "settings": ("out.json", b'{"mine": 1}'),
    "a list": ("out.json", b"[1]"),
    "no text": ("out.json", b"\xff\xfe"),
    "a manifest of another file": (
        "out.json",
        b'{"schema": 1, "file": "other.onnx", "made_with": {"edge-agent": "1"}}',
    ),
    "a manifest of another program": ("out.json", b'{"schema": 1, "file": "out.onnx", "made_with": {"onnx": "1"}}'),
}


@pytest.mark.parametrize("name", FOREIGN)
@pytest.mark.parametrize("command", ["models fit float.onnx out.onnx", "quantize float.onnx --calibrate . -o out.onnx"])
def test_what_was_not_made_here_is_not_written_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write_small_detector(Path("float.onnx"), opset=11)
    file, content = FOREIGN[name]
    Path(file).write_bytes(content)
    assert main(command.split()) == 78
    assert capsys.readouterr().err == (
        f"edge-agent: out.onnx: {file} would be written over, and no manifest beside it says that this program wrote "
        "it; choose another name, or move it away\n"
    )
    assert [one.read_bytes() for one in tmp_path.glob("out*")] == [content]


def test_what_was_made_here_is_made_again_over_itself(tmp_path: Path) -> None:
    path = write_small_detector(tmp_path / "float.onnx")
    assert manifest_of(fitted(path, "--keep", "red"))["labels"] == ["red"]
    again = fitted(path, "--keep", "blue")
    assert manifest_of(again)["labels"] == ["blue"]
    # As after a try that broke off behind the manifest.
    again.unlink()
    assert manifest_of(fitted(path, "--keep", "red"))["labels"] == ["red"]


def test_an_empty_label_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["models", "fit", "default", "out.onnx", "--keep", "person,,car"])
    assert "names a label that is empty" in capsys.readouterr().err


def test_without_onnx_the_install_line_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_small_detector(tmp_path / "float.onnx")
    monkeypatch.setitem(sys.modules, "onnx", None)
    assert main(["models", "fit", str(path), str(tmp_path / "out.onnx")]) == 78
    assert capsys.readouterr().err.endswith("; pip install 'edge-agent[quantize]'\n")


# Real models


@pytest.mark.parametrize(("name", "classes"), [("default", 80), ("ssdlite", 91)])
def test_a_built_in_model_computes_the_wanted_labels_only(tmp_path: Path, name: str, classes: int) -> None:
    out = fitted(name, "--keep", "person,dog", out=tmp_path / "two.onnx")
    step = manifest_of(out)["steps"][0]
    assert (step["told"], step["proof"]) == (f"2 of {classes} labels", "the same to the bit, on 5 pictures")
    whole, part = load_vision(ModelSettings(name=name)), load_vision(ModelSettings(path=out))
    assert part.label_names == ("person", "dog")
    assert manifest_of(out)["bytes"] < manifest_of(out)["source"]["bytes"]
    assert_same(detections(whole, "person", "dog"), detections(part, "person", "dog"), 1e-3)


def test_a_model_that_takes_any_size_is_told_the_one_that_it_was_measured_at(tmp_path: Path) -> None:
    out = fitted("default", "--keep", "person", "--input", "320x192", out=tmp_path / "one.onnx")
    assert (kinds_in(out), manifest_of(out)["settings"]) == (["labels"], {"input": [320, 192]})
    assert "model: {path: one.onnx, input: [320, 192]}" in out.with_suffix(".md").read_text()
    assert load_vision(ModelSettings(path=out, input=(320, 192))).input_size == (320, 192)


def test_yolox_loses_its_focus_and_its_square(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = shared_data("models/yolox_nano.onnx")
    same = fitted(model, "--keep", "person,car,dog", out=tmp_path / "same.onnx")
    assert kinds_in(same) == ["labels", "focus"]
    assert load_vision(ModelSettings(path=same)).labels_from == "its metadata"
    operations = {node.op_type for node in onnx.load(same).graph.node[:6]}
    assert "Slice" not in operations
    whole, part = load_vision(ModelSettings(path=model)), load_vision(ModelSettings(path=same))
    assert_same(detections(whole, "person"), detections(part, "person"), 0.05)
    capsys.readouterr()
    flat = fitted(model, "--keep", "person,car,dog", "--input", "416x256", "--json", out=tmp_path / "flat.onnx")
    assert json.loads(capsys.readouterr().out) == manifest_of(flat)
    assert kinds_in(flat) == ["labels", "focus", "size"]
    assert load_vision(ModelSettings(path=flat)).input_size == (416, 256)


def test_nanodet_is_made_free_of_its_size_and_back(tmp_path: Path) -> None:
    model = shared_data("models/nanodet_m_416.onnx")
    flat = fitted(model, "--input", "416x256", out=tmp_path / "flat.onnx")
    back = fitted(flat, "--input", "416x416", out=tmp_path / "back.onnx")
    assert (kinds_in(flat), kinds_in(back)) == (["weights", "size"], ["size"])
    whole, again = load_vision(ModelSettings(path=model)), load_vision(ModelSettings(path=back))
    assert_same(detections(whole, "person"), detections(again, "person"), 0.05)


def test_an_ssd_without_its_anchors_is_fitted_with_those_of_a_file(tmp_path: Path) -> None:
    model, out = shared_data("models/ssdlite_mnv2_coco_fp32.onnx"), tmp_path / "out.onnx"
    anchors = shared_data("models/ssd_anchors.npy")
    assert main(["models", "fit", str(model), str(out), "--keep", "person", "--anchors", str(anchors)]) == 0
    manifest = json.loads((tmp_path / "out.json").read_text())
    # Two columns tell neither activation; all 91 did.
    assert manifest["settings"] == {"family": "ssd", "anchors": str(anchors), "activation": "sigmoid"}
    assert [step["told"] for step in manifest["steps"]] == ["1 of 90 labels"]
    vision = load_vision(ModelSettings(path=out, anchors=anchors, activation="sigmoid"))
    assert (vision.label_names, vision.head.class_columns[0].first) == (("person",), 1)


def test_anchors_and_a_softmax_forbid_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = shared_data("models/ssd_mobilenet_v2_fpnlite_10_256_int8.onnx")
    labels = tmp_path / "labels.txt"
    labels.write_text("background\n" + "\n".join(f"label {number}" for number in range(80)) + "\n")
    fitted(model, "--keep", "label 1", "--labels", str(labels), code=78, out=tmp_path / "out.onnx")
    assert "goes over all labels: what it gives one depends on the others" in capsys.readouterr().err
    fitted(model, "--input", "416x256", code=78, out=tmp_path / "out.onnx")
    assert "is a constant, made for pictures of that size" in capsys.readouterr().err


def test_a_model_is_like_itself_and_unlike_one_that_looks_otherwise() -> None:
    vision = load_vision(ModelSettings())
    preparation = Preparation(vision.head, vision.input_size)
    shown = [preparation.tensor(preparation.picture(frame)).copy() for frame in of_clip(1)]
    assert str(likeness((vision, vision), (shown, shown), vision.input_size)) == (
        "50 of the 50 best boxes are found again, overlapping by 1.00, 0.0 pixels aside and with "
        "scores 0.000 apart in the mean"
    )
    upside_down = [tensor[:, :, ::-1] for tensor in shown]
    assert not likeness((vision, vision), (shown, upside_down), vision.input_size).is_alike
