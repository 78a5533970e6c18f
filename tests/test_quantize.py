"""INT8 models: what is kept float, what a loss is, what is refused, and what is written."""

from __future__ import annotations

import json
import sys
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
from builders import boxes_of, frame_of
from data import shared_data
from numpy.typing import NDArray
from onnx import numpy_helper
from onnx_files import write_model
from small_detector import LABELS, annotations_of, square_pictures, write_small_detector

from edge_agent import clips
from edge_agent.cli.main import main
from edge_agent.edges import host
from edge_agent.edges.inference import ModelSettings
from edge_agent.edges.quantizer import Node
from edge_agent.stages.detect.head import Candidates
from edge_agent.tools import calibration_pictures, sensitivity
from edge_agent.tools.agreement import average_precision, matched
from edge_agent.tools.int8 import Order, Quantized, judge
from edge_agent.tools.labelled import LabelledFolder, read_labelled
from edge_agent.tools.quantize import quantize
from edge_agent.tools.speed import Speed
from edge_agent.vision import load_vision


def silent(_words: str) -> None:
    """Says nothing."""


@pytest.fixture
def squares(tmp_path: Path) -> Path:
    folder = tmp_path / "squares"
    folder.mkdir()
    for number, picture in enumerate(square_pictures(16)):
        assert cv2.imwrite(str(folder / f"{number}.png"), picture)
    return folder


def write_labels(path: Path, *numbers: int) -> Path:
    """What is on those of sixteen pictures."""
    path.write_text(json.dumps(annotations_of([(n, square_pictures(16)[n]) for n in numbers])))
    return path


def labels_of(squares: Path) -> LabelledFolder:
    path = write_labels(squares.parent / "all.json", *range(16))
    return LabelledFolder(labelled=read_labelled(path), folder=squares)


def made_of(path: Path, **rest: Any) -> Quantized:
    order = Order(
        path=path, model=ModelSettings(path=path), agent_version="1.2.3", pictures_of="squares", max_loss=0.02, **rest
    )
    return quantize(order, lambda _picture: square_pictures(16), silent)


# What stays float


def nodes_of(*chain: str) -> list[Node]:
    """Operations, each of which reads what the one before it makes; `Shape` has no INT8 form."""
    return [
        Node(name=f"n{at}", operation=operation, inputs=(f"t{at}",), outputs=(f"t{at + 1}",), can_quantize=True)
        if operation != "Shape"
        else Node(name=f"n{at}", operation=operation, inputs=(f"t{at}",), outputs=(f"t{at + 1}",), can_quantize=False)
        for at, operation in enumerate(chain)
    ]


@pytest.mark.parametrize(
    ("chain", "may"),
    [
        ((), []),
        (("Sigmoid", "Reshape"), []),
        (("Conv",), ["n0"]),
        (("Transpose", "Conv", "Relu", "Shape", "MatMul", "Sigmoid", "Concat"), ["n0", "n1", "n2", "n4"]),
    ],
)
def test_what_stands_behind_the_last_product_is_never_made_int8(chain: tuple[str, ...], may: list[str]) -> None:
    assert [node.name for node in sensitivity.before_heads(nodes_of(*chain))] == may


def test_a_node_whose_result_goes_both_into_a_product_and_out_may_be_int8() -> None:
    nodes = [
        Node(name="a", operation="Conv", inputs=("in",), outputs=("x",), can_quantize=True),
        Node(name="b", operation="Sigmoid", inputs=("x",), outputs=("out",), can_quantize=True),
        Node(name="c", operation="Relu", inputs=("x",), outputs=("y",), can_quantize=True),
        Node(name="d", operation="Conv", inputs=("y",), outputs=("more",), can_quantize=True),
    ]
    assert [node.name for node in sensitivity.before_heads(nodes)] == ["a", "c", "d"]


@pytest.mark.parametrize(
    ("chain", "most", "blocks"),
    [
        (("Conv",), 24, [("n0",)]),
        # What stands before the first product goes by itself; 3 blocks of 2 at most are 2.
        (("Add", "Conv", "Relu", "Conv"), 24, [("n0",), ("n1", "n2"), ("n3",)]),
        (("Add", "Conv", "Relu", "Conv"), 2, [("n0", "n1", "n2"), ("n3",)]),
    ],
)
def test_a_block_is_a_product_with_what_follows_it(
    chain: tuple[str, ...], most: int, blocks: list[tuple[str, ...]]
) -> None:
    assert sensitivity.blocks(nodes_of(*chain), most) == blocks


CHAIN = nodes_of(*["Conv"] * 20)
HARM = {f"n{at}": 0.1 if at in {3, 7, 8, 11, 15} else 0.0 for at in range(20)}
"""Five of twenty blocks lose a tenth each."""


def harm(names: Collection[str]) -> float:
    return sum(HARM[name] for name in names)


@pytest.mark.parametrize(
    ("max_loss", "kept", "trials"),
    [
        (0.5, set(), 1),  # that is all there is to lose
        (0.4, {"n3"}, 2),  # 0, 1
        (0.25, {"n3", "n7", "n8"}, 5),  # 0, 1, 2, 4, and between the last two 3
        (0.0, {"n3", "n7", "n8", "n11", "n15"}, 7),  # 0, 1, 2, 4, 8, 6, 5
    ],
)
def test_as_few_blocks_as_needed_stay_float(max_loss: float, kept: set[str], trials: int) -> None:
    found = sensitivity.search(
        CHAIN,
        loss_of=harm,
        damage_of=harm,
        max_loss=max_loss + 1e-9,
        is_over=lambda: False,
        say=silent,
    )
    assert (set(HARM) - found.nodes, found.trials, found.cut_off) == (kept, trials, False)
    assert found.loss == pytest.approx(harm(found.nodes))


def test_where_half_of_the_blocks_do_not_help_the_best_that_was_tried_is_given() -> None:
    found = sensitivity.search(
        CHAIN, loss_of=lambda names: 1 + harm(names), damage_of=harm, max_loss=0, is_over=lambda: False, say=silent
    )
    assert (found.loss, len(found.nodes), found.trials) == (1, 12, 6)  # of 0, 1, 2, 4, 8 and 10 kept, 8 is the first


def test_a_search_that_has_no_time_left_gives_what_it_has() -> None:
    found = sensitivity.search(CHAIN, loss_of=harm, damage_of=harm, max_loss=0, is_over=lambda: True, say=silent)
    assert (found.nodes, found.trials, found.cut_off) == (frozenset(HARM), 1, True)


# Two tensors with one row and column more than matters: the error of each column is over its own variance.
@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ([[0, 0], [2, 200], [4, 400]], 0),
        ([[2, 0], [2, 200], [2, 400]], 0.5),  # one column all at its mean, the other right
        ([[2, 200], [2, 200], [2, 200]], 1),
        ([[0, 0], [2, 200]], 1),  # another number of rows cannot be compared
    ],
)
def test_an_error_counts_as_much_in_small_columns_as_in_large_ones(answer: list[list[float]], error: float) -> None:
    wanted = np.array([[0, 0], [2, 200], [4, 400]], np.float32)
    assert sensitivity.answer_error([np.array(answer, np.float32)], [wanted]) == pytest.approx(error)
    assert sensitivity.answer_error([np.array([answer], np.float32).transpose(0, 2, 1)], [wanted.T[None]]) == (
        pytest.approx(error)
    )


# Agreement


def test_a_thing_is_found_once_by_the_best_box_of_its_label_that_overlaps_by_half() -> None:
    truth = Candidates(
        boxes=boxes_of((0, 0, 10, 10), (20, 0, 30, 10)),
        scores=np.array([0.9, 0.5], np.float32),
        label_ids=np.array([0, 1]),
    )
    found = Candidates(
        # Half of the first, it again, less than half of the second, the second by another name, the second.
        boxes=boxes_of((0, 0, 10, 5), (0, 0, 10, 10), (20, 0, 30, 4.9), (20, 0, 30, 10), (20, 1, 30, 11)),
        scores=np.linspace(0.9, 0.5, 5, dtype=np.float32),
        label_ids=np.array([0, 0, 1, 0, 1]),
    )
    assert matched(found, truth).tolist() == [True, False, False, False, True]


@pytest.mark.parametrize(
    ("scores", "right", "things", "area"),
    [
        ([], [], 0, 1.0),
        ([0.5], [False], 0, 0.0),
        ([], [], 2, 0.0),
        ([0.9, 0.8], [True, True], 2, 1.0),
        ([0.9, 0.8], [True, True], 4, 0.5),
        ([0.8, 0.9], [True, False], 1, 0.5),  # the better box is wrong: precision 1/2 at the only step of recall
        # Ranked: right, wrong, right. Recall 1/2 at precision 1, then 1 at 2/3: (1 + 2/3) / 2.
        ([0.7, 0.9, 0.8], [True, True, False], 2, 5 / 6),
    ],
)
def test_agreement_is_the_area_under_precision_over_recall(
    scores: list[float], right: list[bool], things: int, area: float
) -> None:
    assert average_precision(np.array(scores, np.float32), np.array(right, np.bool_), things) == pytest.approx(area)


# Pictures


@pytest.mark.parametrize(
    ("frames", "taken"),
    [
        (0, []),
        (3, [0, 1, 2]),
        (4, [0, 1, 2, 3]),
        (8, [0, 2, 4, 6]),
        (9, [0, 2, 4, 6]),  # the ninth makes every second of the eight go, and is kept: five, of which four
        (100, [0, 16, 48, 80]),  # 0, 16, 32, … 96 are kept: seven, of which those at 0, 7/4, 14/4 and 21/4
    ],
)
def test_pictures_are_spread_over_a_recording_of_unknown_length(frames: int, taken: list[int]) -> None:
    def number(frame: Any) -> NDArray[np.uint8]:
        return np.array([frame.seq], np.uint8)

    stream = (frame_of(seq, seq=seq) for seq in range(frames))
    assert [int(one[0]) for one in calibration_pictures.of_recording(stream, number, 4)] == taken


def test_pictures_of_a_camera_are_a_second_apart_and_end_when_there_are_enough() -> None:
    def number(frame: Any) -> NDArray[np.uint8]:
        return np.array([frame.seq], np.uint8)

    stream = iter([None, *(frame_of(seq * 0.4, seq=seq) for seq in range(9))])
    taken = calibration_pictures.of_camera(stream, number, 3)
    assert [int(one[0]) for one in taken] == [0, 3, 6]  # at 0, 1.2 and 2.4 s
    following = next(stream)
    assert following is not None
    assert following.seq == 7


# A real model, small enough to see through


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small_detector(tmp_path_factory.mktemp("plain") / "float.onnx", metadata={"licence": "Apache-2.0"})


def test_an_int8_model_sees_what_its_float_model_sees_and_says_the_same_of_itself(tmp_path: Path, plain: Path) -> None:
    made = made_of(plain, reduce_range=False)
    (tmp_path / "int8.onnx").write_bytes(made.model)
    vision = load_vision(ModelSettings(path=tmp_path / "int8.onnx"))
    assert made.manifest["measured"]["after"] > 0.98
    assert made.manifest["measured"]["things"] == 8 * 4
    assert made.manifest["calibration"] == {"from": "squares", "pictures": 8}
    assert made.manifest["nodes"]["kept_float"] == []
    assert (vision.head.family, vision.label_names) == ("yolox", LABELS)
    assert vision.signature.metadata == load_vision(ModelSettings(path=plain)).signature.metadata
    assert largest_weight(made.model) == 127


def test_seven_bits_are_used_where_eight_would_saturate(plain: Path) -> None:
    assert largest_weight(made_of(plain, reduce_range=True).model) == 64


def largest_weight(model: bytes) -> int:
    return int(np.abs(weights_of(model)["stem_weight_quantized"].astype(int)).max())


def weights_of(model: bytes) -> dict[str, NDArray[Any]]:
    return {one.name: numpy_helper.to_array(one) for one in onnx.load_from_string(model).graph.initializer}


def test_a_channel_that_leaves_the_others_no_room_is_found_and_stays_float(tmp_path: Path) -> None:
    path = write_small_detector(tmp_path / "float.onnx", wide=True)
    blunt, searched, again = made_of(path, search_s=0), made_of(path), made_of(path)
    assert (blunt.manifest["measured"]["after"], blunt.pays, "worse here" in blunt.verdict) == (0, False, True)
    assert searched.manifest["nodes"]["kept_float"] == ["wide", "wide_relu", "narrow", "narrow_relu"]
    assert searched.manifest["measured"]["after"] > 0.98
    assert again.model == searched.model


def test_with_labels_the_same_channel_is_found_by_the_ap_that_it_costs(tmp_path: Path, squares: Path) -> None:
    path = write_small_detector(tmp_path / "float.onnx", wide=True)
    searched = made_of(path, labels=labels_of(squares)).manifest
    assert searched["nodes"]["kept_float"] == ["wide", "wide_relu", "narrow", "narrow_relu"]
    assert searched["measured"]["before"] - searched["measured"]["after"] < 0.02


def test_a_model_for_tensorrt_has_signed_symmetric_numbers_and_float_biases(plain: Path) -> None:
    made = made_of(plain, form="s8s8")
    weights = weights_of(made.model)
    zeros = [array for name, array in weights.items() if name.endswith("zero_point")]
    assert {(array.dtype, int(np.abs(array).max())) for array in zeros} == {(np.dtype(np.int8), 0)}
    assert weights["stem_bias"].dtype == np.float32
    assert made.pays  # however fast it is here


def test_a_graph_of_an_older_form_is_brought_up_and_keeps_its_metadata(tmp_path: Path) -> None:
    made = made_of(write_small_detector(tmp_path / "float.onnx", opset=11, metadata={"licence": "MIT"}))
    model = onnx.load_from_string(made.model)
    assert [one.version for one in model.opset_import if not one.domain] == [13]
    assert {entry.key: entry.value for entry in model.metadata_props}["licence"] == "MIT"
    assert "QuantizeLinear" in {node.op_type for node in model.graph.node}


@pytest.mark.parametrize(
    ("form", "ratio", "loss", "pays", "verdict"),
    [
        ("u8s8", 0.4, 0.02, True, "faster and good enough here (0.40 x the time, AP 0.280, 0.300 before)"),
        ("u8s8", 1.0, 0.02, True, "no slower and good enough here (1.00 x the time, AP 0.280, 0.300 before)"),
        ("u8s8", 1.13, 0.0, False, "slower here (1.13 x the time, AP 0.300, 0.300 before): keep FP32"),
        ("u8s8", 0.8, 0.1, False, "worse here (0.80 x the time, AP 0.200, 0.300 before): keep FP32"),
        ("u8s8", 1.13, 0.1, False, "slower and worse here (1.13 x the time, AP 0.200, 0.300 before): keep FP32"),
        ("s8s8", 1.13, 0.0, True, "good enough here (1.13 x the time, AP 0.300, 0.300 before)"),
        ("s8s8", 1.13, 0.1, False, "worse here (1.13 x the time, AP 0.200, 0.300 before): keep FP32"),
    ],
)
def test_the_verdict_says_in_a_line_why(form: Any, ratio: float, loss: float, *, pays: bool, verdict: str) -> None:
    order = Order(path=Path(), model=ModelSettings(), agent_version="", pictures_of="", form=form, max_loss=0.03)
    assert judge(order, Speed(before_ms=10, after_ms=10 * ratio), "AP", 0.3, loss) == (pays, verdict)


@pytest.mark.parametrize(("max_loss", "of_agreement", "of_precision"), [(None, 0.03, 0.01), (0.2, 0.2, 0.2)])
def test_less_may_be_lost_of_ap_than_of_agreement_unless_told_otherwise(
    squares: Path, max_loss: float | None, of_agreement: float, of_precision: float
) -> None:
    order = Order(path=Path(), model=ModelSettings(), agent_version="", pictures_of="", max_loss=max_loss)
    assert order.allowed_loss == of_agreement
    assert replace(order, labels=labels_of(squares)).allowed_loss == of_precision


@pytest.mark.parametrize(
    ("flags", "saturates"),
    [("fpu avx2 fma", True), ("fpu avx2 avx512_vnni", False), ("fpu avx2 avx_vnni", False), ("fpu sse2", False)],
)
def test_sums_saturate_on_x86_without_vnni(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: str, *, saturates: bool
) -> None:
    file = tmp_path / "cpuinfo"
    file.write_text(f"processor\t: 0\nmodel name\t: A Processor 9\nflags\t\t: {flags}\n")
    monkeypatch.setattr(host, "_PROCESSORS", file)
    assert (host.sums_saturate(), host.processor()) == (saturates, "A Processor 9")


def test_a_processor_that_says_nothing_of_itself_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "_PROCESSORS", tmp_path / "none")
    assert (host.sums_saturate(), host.processor()) == (False, None)


# The command


def test_what_is_slower_is_written_only_by_force(
    tmp_path: Path, squares: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # A model of 0.03 ms a run: going to INT8 and back takes half as long again.
    words = ["quantize", str(write_small_detector(tmp_path / "float.onnx")), "--calibrate", str(squares)]
    out = tmp_path / "int8.onnx"
    assert main([*words, "-o", str(out)]) == 1
    printed = capsys.readouterr()
    assert "float.onnx: slower here (" in printed.out
    assert f"{out} is not written; --force writes it all the same" in printed.err
    assert not list(tmp_path.glob("int8*"))
    assert main([*words, "-o", str(out), "--force", "--json"]) == 1
    printed = capsys.readouterr()
    manifest = json.loads(out.with_suffix(".json").read_text())
    assert manifest == {"file": "int8.onnx", **json.loads(printed.out)}
    card = out.with_suffix(".md").read_text()
    assert manifest["verdict"] in card
    assert f"`{manifest['source']['sha256']}`" in card
    assert "8 pictures of squares" in card
    assert str(tmp_path) not in card + out.with_suffix(".json").read_text()
    assert {path.name for path in tmp_path.iterdir()} == {
        "float.onnx", "squares", "int8.onnx", "int8.json", "int8.md",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("calibrate", "measure"),
    [
        ("squares", range(1, 16, 2)),  # every second one calibrates
        ("copies", range(4, 16)),  # four of its eight pictures are the first four there, though called otherwise
        ("others", range(16)),
    ],
)
def test_with_labels_the_loss_is_the_ap_that_eval_counts_on_pictures_that_do_not_calibrate(
    tmp_path: Path, squares: Path, capsys: pytest.CaptureFixture[str], calibrate: str, measure: Collection[int]
) -> None:
    for folder in ("copies", "others"):
        (tmp_path / folder).mkdir()
        for number, picture in enumerate(square_pictures(32)[16:24]):
            is_copy = folder == "copies" and number % 2 == 0
            shown = square_pictures(16)[number // 2] if is_copy else picture
            assert cv2.imwrite(str(tmp_path / folder / f"p{number}.png"), shown)
    model, out = write_small_detector(tmp_path / "float.onnx"), tmp_path / "int8.onnx"
    words = ["--calibrate", str(tmp_path / calibrate), "-o", str(out), "--force", "--json"]
    labels = ["--annotations", str(write_labels(tmp_path / "all.json", *range(16))), "--images", str(squares)]
    main(["quantize", str(model), *words, *labels])
    measured = json.loads(capsys.readouterr().out)["measured"]
    shown = {key: measured[key] for key in ("accuracy", "annotations", "pictures", "things")}
    wanted = {"accuracy": "AP", "annotations": "all.json", "pictures": len(measure), "things": 4 * len(measure)}
    assert shown == wanted
    assert f"{4 * len(measure)} things that `all.json` has on\n{len(measure)} pictures which were held out" in (
        out.with_suffix(".md").read_text()
    )
    held_out = write_labels(tmp_path / "held_out.json", *measure)
    for path, ap in ((model, measured["before"]), (out, measured["after"])):
        main([
            "eval", "detect", "--model", str(path), "--annotations", str(held_out), "--images", str(squares), "--json",
        ])  # fmt: skip
        assert ap == pytest.approx(json.loads(capsys.readouterr().out)["ap"], abs=6e-5)  # four digits
        assert ap > 0.5


LEFT = "is left to measure with; take fewer --pictures, or others to calibrate with"
RENAME = "--categories FILE gives the categories other names"


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("--images squares", "--images is for labelled pictures; --annotations FILE says what is on them"),
        ("--categories names.txt", "--categories is for labelled pictures; --annotations FILE says what is on them"),
        ("--annotations even.json", "--annotations even.json: --images DIR says where its pictures lie"),
        (
            "--annotations even.json --images squares",
            f"even.json: each of its 3 pictures is calibrated with, so none {LEFT}",
        ),
        (
            "--annotations even.json --images squares --categories names.txt",
            f"even.json: no category (one, two) is called like a label of the model (red, blue); {RENAME}",
        ),
        ("--annotations gone.json --images squares", "gone.json cannot be read: No such file or directory"),
    ],
)
def test_labels_that_nothing_can_be_measured_with_are_refused_in_a_line(
    tmp_path: Path,
    squares: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: str,
    complaint: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    write_small_detector(Path("float.onnx"))
    write_labels(Path("even.json"), 0, 2, 4)
    Path("names.txt").write_text("one\ntwo\n")
    assert main(["quantize", "float.onnx", "--calibrate", squares.name, "-o", "out.onnx", *words.split()]) == 78
    assert capsys.readouterr().err.splitlines()[-1] == f"edge-agent: {complaint}"


def test_with_labels_and_without_pycocotools_its_install_line_is_said(
    tmp_path: Path, squares: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "pycocotools.coco", None)
    labels = ["--annotations", str(write_labels(tmp_path / "all.json", 1)), "--images", str(squares)]
    path = write_small_detector(tmp_path / "float.onnx")
    assert main(["quantize", str(path), "--calibrate", str(squares), "-o", str(tmp_path / "out.onnx"), *labels]) == 78
    assert capsys.readouterr().err.endswith("; pip install 'edge-agent[eval]'\n")


@pytest.mark.parametrize(
    ("words", "code", "complaint"),
    [
        ("default --calibrate squares", 78, "it is quantized already; give the float model that it was made from"),
        ("gone.onnx --calibrate squares", 78, "gone.onnx cannot be read: No such file or directory"),
        ("nope --calibrate squares", 78, "model 'nope' is not built in"),
        ("half.onnx --calibrate squares", 78, "its weights are float16; give the float32 model"),
        ("still.onnx --calibrate squares", 78, "it has neither convolutions nor matrix products, which INT8 speeds up"),
        ("float.onnx --calibrate gone.mp4", 69, "gone.mp4 cannot be opened"),
        ("float.onnx --calibrate few", 78, "few gives 3 pictures; 8 are the least"),
        (
            "float.onnx --calibrate black",
            78,
            "float.onnx finds nothing with a score of at least 0.4 in 8 pictures of black",
        ),
    ],
)
def test_what_cannot_be_quantized_is_refused_in_a_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: str,
    code: int,
    complaint: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder, count in (("squares", 16), ("few", 3), ("black", 16)):
        Path(folder).mkdir()
        for number, picture in enumerate(square_pictures(count)):
            assert cv2.imwrite(f"{folder}/{number}.png", picture * (folder != "black"))
    write_small_detector(Path("float.onnx"))
    write_small_detector(Path("half.onnx"), weights=np.float16)
    write_model(Path("still.onnx"), {"output": np.zeros((1, 42, 85), np.float32)})
    assert main(["quantize", *words.split(), "-o", "out.onnx"]) == code
    complained = capsys.readouterr().err.splitlines()
    assert complained[-1].startswith("edge-agent: ")
    assert complaint in complained[-1]
    assert not Path("out.onnx").exists()


@pytest.mark.parametrize(
    ("out", "code", "complaint"),
    [
        ("float.onnx", 78, "--output float.onnx: that is the float model itself; choose another name"),
        ("none/out.onnx", 78, "--output none/out.onnx: there is no folder none"),
    ],
)
def test_a_place_where_nothing_can_go_is_refused_before_the_work(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    out: str,
    code: int,
    complaint: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    write_small_detector(Path("float.onnx"))
    assert main(["quantize", "float.onnx", "--calibrate", "gone", "-o", out]) == code
    assert capsys.readouterr().err == f"edge-agent: {complaint}\n"


@pytest.mark.parametrize(
    "words", [["-o", "out.tflite"], ["--pictures", "7"], ["--max-loss", "2"], ["--minutes", "-1"], ["--for", "npu"]]
)
def test_an_option_that_makes_no_sense_is_wrong_usage(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["quantize", "float.onnx", "--calibrate", "clip.mp4", "-o", "out.onnx", *words])
    assert "error: argument" in capsys.readouterr().err


def test_without_onnx_the_install_line_is_said(
    tmp_path: Path, squares: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_small_detector(tmp_path / "float.onnx")
    monkeypatch.setitem(sys.modules, "onnx", None)
    assert main(["quantize", str(path), "--calibrate", str(squares), "-o", str(tmp_path / "out.onnx")]) == 78
    assert capsys.readouterr().err.endswith("; pip install 'edge-agent[quantize]'\n")


def test_a_real_model_becomes_faster_and_finds_the_same_people(  # about 6 s
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = shared_data("models/nanodet_g_coco_fp32.onnx")
    out = tmp_path / "int8.onnx"
    words = ["--calibrate", str(clips.PEDESTRIANS), "--pictures", "16", "--max-loss", "0.1", "-o", str(out), "--json"]
    main(["quantize", str(model), *words, "--force"])  # a CPU without 8-bit products may find it slower
    manifest = json.loads(capsys.readouterr().out)
    assert manifest["measured"]["after"] > 0.9
    assert manifest["bytes"] < model.stat().st_size * 0.3
    assert manifest["nodes"]["int8"] > 60
    assert load_vision(ModelSettings(path=out)).head.family == "nanodet"
