"""Model files as users bring them: every kind of head in a real graph, and files that no detector is made of."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from builders import coloured_frame
from data import shared_data
from heads import CLASSES, KINDS, P3, SIZE, Kind, centres, zeros
from numpy.testing import assert_allclose
from onnx import TensorProto, helper
from onnx_files import write_model
from program import run_program

from edge_agent.edges import inference
from edge_agent.edges.inference import LoadedModel, ModelSettings
from edge_agent.errors import ModelError
from edge_agent.stages.detect.detector import DetectSettings
from edge_agent.vision import load_vision

LABELS = ("cat", "dog", "cow")
TYPES = {"float32": TensorProto.FLOAT, "float16": TensorProto.FLOAT16, "uint8": TensorProto.UINT8}


def labels_file(folder: Path, *labels: str) -> Path:
    path = folder / "labels.txt"
    path.write_text("".join(f"{label}\n" for label in labels), encoding="utf-8")
    return path


def written(kind: Kind, path: Path, **rest: object) -> Path:
    width, height = SIZE
    return write_model(
        path,
        kind.outputs,
        picture=(1, 3, height, width) if kind.layout == "nchw" else (1, height, width, 3),
        dtype=TYPES[kind.dtype],
        more_inputs=kind.more_inputs,
        **rest,  # type: ignore[arg-type]
    )


# What is understood


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_a_graph_of_every_kind_detects_what_it_says(tmp_path: Path, kind: Kind) -> None:
    path = written(kind, tmp_path / "model.onnx")
    vision = load_vision(ModelSettings(path=path, labels=labels_file(tmp_path, *LABELS), family=kind.told))
    assert (vision.head.family, vision.label_names, vision.input_size) == (kind.family, LABELS, SIZE)
    found = vision.detector(DetectSettings(labels=("dog",))).detect(coloured_frame(120, 128, 128, size=SIZE))
    assert_allclose(found.boxes, [kind.box], rtol=1e-5, atol=1e-4)
    assert_allclose(found.scores, [kind.score], rtol=1e-5)
    assert [found.label_names[label] for label in found.label_ids] == ["dog"]


@pytest.mark.parametrize("name", ["YOLOv8, v9, v11, v12", "NanoDet-m"])
def test_half_precision_is_read_as_well(tmp_path: Path, name: str) -> None:
    halves = {output: tensor.astype(np.float16) for output, tensor in KINDS[name].outputs.items()}
    path = write_model(tmp_path / "model.onnx", halves, dtype=TensorProto.FLOAT16, slope=1e-5)
    vision = load_vision(ModelSettings(path=path, labels=labels_file(tmp_path, *LABELS)))
    found = vision.detector(DetectSettings(labels=("dog",))).detect(coloured_frame(120, 128, 128, size=SIZE))
    assert_allclose(found.boxes, [KINDS[name].box], atol=0.02)
    assert found.scores.dtype == np.float32


def test_double_precision_is_read_as_well(tmp_path: Path) -> None:
    """What is added of the picture is of single precision, and made double for the answer."""
    kind = KINDS["YOLOv8, v9, v11, v12"]
    doubles = {output: tensor.astype(np.float64) for output, tensor in kind.outputs.items()}
    vision = load_vision(
        ModelSettings(
            path=write_model(tmp_path / "model.onnx", doubles, picture=(1, 3, *reversed(SIZE))),
            labels=labels_file(tmp_path, *LABELS),
        )
    )
    found = vision.detector(DetectSettings(labels=("dog",))).detect(coloured_frame(120, 128, 128, size=SIZE))
    assert_allclose(found.boxes, [kind.box], rtol=1e-5)
    assert (found.boxes.dtype, found.scores.dtype) == (np.float32, np.float32)


@pytest.mark.parametrize(
    ("metadata", "labels"),
    [
        ({"names": "{0: 'cat', 1: 'dog', 2: 'cow'}", "task": "detect"}, LABELS),
        ({"names": '{"0": "cat", "1": "dog", "2": "cow"}'}, LABELS),
        ({"names": "['cat', 'dog', 'cow']"}, LABELS),
        ({"labels": "cat, dog ,cow"}, LABELS),
    ],
)
def test_labels_are_read_from_what_exporters_write_into_the_file(
    tmp_path: Path, metadata: dict[str, str], labels: tuple[str, ...]
) -> None:
    path = written(KINDS["YOLOv8, v9, v11, v12"], tmp_path / "model.onnx", metadata=metadata)
    assert load_vision(ModelSettings(path=path)).label_names == labels


@pytest.mark.parametrize("names", ["{0: 'cat', 2: 'cow'}", "[1, 2, 3]", "{", "cat", "__import__('os')", "[" * 9999])
def test_names_that_are_none_are_not_taken_for_labels(tmp_path: Path, names: str) -> None:
    path = written(KINDS["YOLOX"], tmp_path / "model.onnx", metadata={"names": names})
    with pytest.raises(
        ModelError, match=r"it tells 3 classes apart and nobody says what they mean; set model\.labels$"
    ):
        load_vision(ModelSettings(path=path))


@pytest.mark.parametrize(
    ("classes", "first", "person"), [(80, "person", 0), (81, "background", 1), (90, "person", 0), (91, "background", 1)]
)
def test_without_labels_coco_s_are_taken_as_many_as_there_are(
    tmp_path: Path, classes: int, first: str, person: int
) -> None:
    rows = zeros(1, 4 + classes, 42)
    rows[0, :2] = centres(P3).T
    labels = load_vision(ModelSettings(path=write_model(tmp_path / "model.onnx", {"output0": rows}))).label_names
    assert (len(labels), labels[0], labels.index("person")) == (classes, first, person)


def test_a_model_that_takes_any_size_is_tried_at_the_one_that_is_asked_for(tmp_path: Path) -> None:
    path = written(KINDS["YOLOX"], tmp_path / "model.onnx")
    model = onnx.load(path)
    for place, name in ((2, "height"), (3, "width")):
        model.graph.input[0].type.tensor_type.shape.dim[place].dim_param = name
    onnx.save(model, path)
    labels = labels_file(tmp_path, *LABELS)
    assert load_vision(ModelSettings(path=path, labels=labels, input=SIZE)).input_size == SIZE
    with pytest.raises(ModelError, match=r"model\.input is \[60, 32\]; both must be multiples of 32$"):
        load_vision(ModelSettings(path=path, labels=labels, input=(60, 32)))


def test_a_model_that_takes_a_picture_without_a_batch_is_understood(tmp_path: Path) -> None:
    path = write_model(tmp_path / "model.onnx", KINDS["torchvision"].outputs, picture=(3, *reversed(SIZE)))
    vision = load_vision(ModelSettings(path=path, labels=labels_file(tmp_path, *LABELS)))
    found = vision.detector(DetectSettings(labels=("dog",))).detect(coloured_frame(120, 128, 128, size=SIZE))
    assert_allclose(found.boxes, [KINDS["torchvision"].box], rtol=1e-5)


def test_what_a_model_wants_to_know_besides_the_picture_it_is_told(tmp_path: Path) -> None:
    """PaddleDetection's divide boxes by the scale, so they come in pixels of the picture only where it is 1."""
    kind = KINDS["PaddleDetection"]
    (things, _count) = kind.outputs
    path = written(kind, tmp_path / "model.onnx")
    model = onnx.load(path)
    (node,) = (node for node in model.graph.node if node.output[0] == things)
    node.output[0] = "in_pixels"
    scale = helper.make_node("Cast", ["scale_factor"], ["scale"], to=TensorProto.FLOAT)
    height_and_width = helper.make_node("Cast", ["im_shape"], ["shape"], to=TensorProto.FLOAT)
    # Class and score times 1 and 1; of the corners, two by the scale, and two by the shape: of 32 by 64.
    multiples = helper.make_node("Concat", ["scale", "scale", "shape"], ["multiples"], axis=1)
    model.graph.node.extend(
        [scale, height_and_width, multiples, helper.make_node("Mul", ["in_pixels", "multiples"], [things])]
    )
    onnx.save(model, path)
    vision = load_vision(ModelSettings(path=path, labels=labels_file(tmp_path, *LABELS)))
    found = vision.infer(vision.blank())[0]
    assert_allclose(found[0], [1, 0.9, 16, 2, 24 * 32, 18 * 64], rtol=1e-5)


def test_what_the_user_knows_better_counts(tmp_path: Path) -> None:
    path = written(KINDS["YOLOv5, v7"], tmp_path / "model.onnx")
    settings = ModelSettings(
        path=path,
        labels=labels_file(tmp_path, *LABELS),
        colour="bgr",
        resize="stretch",
        mean=(1, 2, 3),
        std=(4, 5, 6),
    )
    head = load_vision(settings).head
    assert (head.colour, head.resize, head.mean, head.std) == ("bgr", "stretch", (1, 2, 3), (4, 5, 6))


@pytest.mark.parametrize(
    ("file", "family", "classes"),
    [
        ("yolox_nano", "yolox", 80),
        ("nanodet_m_416", "nanodet", 80),
        ("nanodet_g_coco_fp32", "nanodet", 80),
        ("ssd_mobilenet_v2_fpnlite_10_256_int8", "ssd", 81),
    ],
)
def test_real_models_are_understood(tmp_path: Path, file: str, family: str, classes: int) -> None:
    labels = labels_file(tmp_path, *(f"label-{number}" for number in range(classes)))
    vision = load_vision(ModelSettings(path=shared_data(f"models/{file}.onnx"), labels=labels))
    assert (vision.head.family, vision.head.classes) == (family, classes)


# What is refused


def good(folder: Path, name: str = "YOLOX") -> Path:
    return written(KINDS[name], folder / "good.onnx")


def text(folder: Path) -> Path:
    return _bytes(folder, b"this is no model\n" * 100)


def empty(folder: Path) -> Path:
    return _bytes(folder, b"")


def zeros_only(folder: Path) -> Path:
    return _bytes(folder, bytes(1 << 20))


def _bytes(folder: Path, content: bytes) -> Path:
    (folder / "wrong.onnx").write_bytes(content)
    return folder / "wrong.onnx"


def beginning(content: bytes) -> Callable[[Path], Path]:
    return lambda folder: _bytes(folder, content + bytes(100))


def pipe(folder: Path) -> Path:
    os.mkfifo(folder / "wrong.onnx")  # into which nobody writes, so that whoever reads it waits
    return folder / "wrong.onnx"


def made_of(*nodes: onnx.NodeProto, outputs: Sequence[onnx.ValueInfoProto], opset: int = 16) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        picture = helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, 32, 64])
        graph = helper.make_graph(nodes, "odd", [picture], outputs)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
        onnx.save(model, folder / "wrong.onnx")
        return folder / "wrong.onnx"

    return write


def truncated(share: float) -> Callable[[Path], Path]:
    def cut(folder: Path) -> Path:
        content = good(folder).read_bytes()
        return _bytes(folder, content[: round(len(content) * share)])

    return cut


def sparse(folder: Path) -> Path:
    with (folder / "wrong.onnx").open("wb") as file:
        file.write(b"\x08")  # as ONNX files begin
        file.truncate((2 << 30) + 1)
    return folder / "wrong.onnx"


def later_opset(folder: Path) -> Path:
    return written(KINDS["YOLOX"], folder / "wrong.onnx", opset=99)


def later_ir(folder: Path) -> Path:
    model = onnx.load(good(folder))
    model.ir_version = 99
    onnx.save(model, folder / "wrong.onnx")
    return folder / "wrong.onnx"


def unknown_operator(folder: Path) -> Path:
    model = onnx.load(good(folder))
    model.graph.node[0].op_type = "Unheard"
    onnx.save(model, folder / "wrong.onnx")
    return folder / "wrong.onnx"


def weights_elsewhere(folder: Path) -> Path:
    model = onnx.load(good(folder))
    onnx.save(model, folder / "wrong.onnx", save_as_external_data=True, location="weights.bin", size_threshold=0)
    (folder / "weights.bin").unlink()
    return folder / "wrong.onnx"


def answering(outputs: dict[str, tuple[int, ...]], **rest: object) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        tensors = {name: zeros(*shape) for name, shape in outputs.items()}
        return write_model(folder / "wrong.onnx", tensors, **rest)  # type: ignore[arg-type]

    return write


def with_number(value: float) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        outputs = {name: tensor.copy() for name, tensor in KINDS["YOLOX"].outputs.items()}
        outputs["output"][0, 3, 5] = value
        return write_model(folder / "wrong.onnx", outputs)

    return write


def failing(folder: Path) -> Path:
    """A graph that loads, and cannot run: it reshapes what does not fit."""
    rows = helper.make_tensor_value_info("output", TensorProto.FLOAT, [1, 42, 8])
    picture = helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, "height", "width"])
    shape = onnx.numpy_helper.from_array(np.array([1, 42, 8]), "shape")
    nodes = [helper.make_node("Reshape", ["images", "shape"], ["output"])]
    model = helper.make_model(
        helper.make_graph(nodes, "fails", [picture], [rows], [shape]),
        opset_imports=[helper.make_opsetid("", 13)],
        ir_version=8,
    )
    onnx.save(model, folder / "wrong.onnx")
    return folder / "wrong.onnx"


CANNOT_LOAD = "onnxruntime cannot load it: "
WRONG: dict[str, tuple[Callable[[Path], Path], str]] = {
    "text": (text, CANNOT_LOAD),
    "empty": (empty, CANNOT_LOAD),
    "zeros": (zeros_only, CANNOT_LOAD),
    "a tenth of a file": (truncated(0.1), CANNOT_LOAD),
    "half a file": (truncated(0.5), CANNOT_LOAD),
    "nearly a file": (truncated(0.99), CANNOT_LOAD),
    "2 GB of nothing": (sparse, "is larger than 2 GB"),
    "PyTorch's": (
        beginning(b"PK\x03\x04"),
        "it is a zip archive, as PyTorch's and Keras's files are; export the model to",
    ),
    "PyTorch's of old": (
        beginning(b"\x80\x02}q"),
        "it is a pickle, as older files of PyTorch's are; export the model to",
    ),
    "Keras's": (beginning(b"\x89HDF\r\n"), "it is an HDF5 file, as Keras's are; export the model to ONNX"),
    "TensorRT's": (beginning(b"ftrt"), "it is an engine of TensorRT; name the ONNX file that it was built from"),
    "Git's": (beginning(b"version https://git-lfs.github.com/spec/v1"), "run `git lfs pull`"),
    "a page": (beginning(b"<!DOCTYPE html><html>"), "it is a page of the web, and no model; download it again"),
    "TensorFlow Lite's": (
        beginning(b"\x1c\0\0\0TFL3"),
        "it is of TensorFlow Lite; give its file's name the end .tflite",
    ),
    "a pipe": (pipe, "cannot be read: it is no file but a device or a pipe; check model.path"),
    "no outputs": (
        made_of(helper.make_node("Identity", ["images"], ["same"]), outputs=()),
        "it has no outputs",
    ),
    "words for an answer": (
        made_of(
            helper.make_node("Cast", ["images"], ["words"], to=TensorProto.STRING),
            outputs=[helper.make_tensor_value_info("words", TensorProto.STRING, None)],
        ),
        "it answers with something else than tensors of numbers",
    ),
    "a list of tensors": (
        made_of(
            helper.make_node("SequenceConstruct", ["images"], ["list"]),
            outputs=[helper.make_tensor_sequence_value_info("list", TensorProto.FLOAT, None)],
        ),
        "it answers with something else than tensors of numbers",
    ),
    "a number": (
        made_of(
            helper.make_node("ReduceMean", ["images"], ["mean"], keepdims=0),
            outputs=[helper.make_tensor_value_info("mean", TensorProto.FLOAT, [])],
        ),
        "its head is none of",
    ),
    "maps of a detector": (
        answering({"a": (1, 16, 8, 16), "b": (1, 16, 16, 32)}),
        "it looks like maps of a detector from which no boxes are made yet; export it with its boxes decoded",
    ),
    "a folder": (lambda folder: folder, "cannot be read: Is a directory"),
    "nothing there": (lambda folder: folder / "gone.onnx", "cannot be read: No such file or directory"),
    "opset of the future": (later_opset, CANNOT_LOAD),
    "format of the future": (later_ir, CANNOT_LOAD),
    "an operator nobody knows": (unknown_operator, CANNOT_LOAD),
    "weights in another file that is not there": (weights_elsewhere, CANNOT_LOAD),
    "a classifier": (answering({"probabilities": (1, 1000)}), "it looks like a classifier"),
    "a small classifier": (answering({"probabilities": (1, 10)}), "it looks like a classifier"),
    "segments": (answering({"out": (1, 21, 32, 64)}), "maps of the picture"),
    "segments of things": (answering({"a": (1, 116, 42), "b": (1, 32, 8, 16)}), "maps of the picture"),
    "key points": (
        answering({"output0": (1, 56, 42)}, metadata={"task": "pose"}),
        'its metadata say that its task is "pose"',
    ),
    "turned boxes": (
        answering({"output0": (1, 20, 42)}, metadata={"task": "obb"}),
        'its metadata say that its task is "obb"',
    ),
    "depth": (answering({"depth": (1, 1, 32, 64)}), "maps of the picture"),
    "features": (answering({"features": (1, 512)}), "it looks like a classifier"),
    "boxes of another size": (answering({"output": (1, 8400, 85)}), "its head is none of"),
    "a batch of four": (answering({"output": (1, 42, 8)}, picture=(4, 3, 32, 64)), "takes 4 pictures at once"),
    "a grey picture": (answering({"output": (1, 42, 8)}, picture=(1, 1, 32, 64)), "its inputs are"),
    "four channels": (answering({"output": (1, 42, 8)}, picture=(1, 4, 32, 64)), "its inputs are"),
    "words": (answering({"output": (1, 42, 8)}, picture=(1, 77)), "its inputs are"),
    "a second picture": (
        answering({"output": (1, 42, 8)}, more_inputs={"other": (1, 3)}),
        "(1, height, width, 3), and nothing besides but orig_target_sizes, scale_factor, im_shape, image_shape, pixel_",
    ),
    "odd sides": (answering({"output": (1, 42, 8)}, picture=(1, 3, 33, 65)), "pictures with odd sides"),
    "64-bit pictures": (answering({"output": (1, 42, 8)}, dtype=TensorProto.DOUBLE), "is of a type that no picture"),
    "no numbers": (with_number(np.nan), "numbers that are not finite"),
    "endless numbers": (with_number(np.inf), "numbers that are not finite"),
    "too many labels": (answering({"output": (1, 42, 9)}), "it tells 4 classes apart and there are 3 labels"),
    "cannot run": (failing, "it does not take one picture of 416x256"),
    "of a height that is open": (
        answering({"output": (1, 42, 8)}, picture=(1, 3, "h", 64)),
        "; model.input sets another",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_file_that_is_no_detector_is_refused_in_one_line(tmp_path: Path, name: str) -> None:
    write, words = WRONG[name]
    settings = ModelSettings(path=write(tmp_path), labels=labels_file(tmp_path, *LABELS))
    with pytest.raises(ModelError, match=r"^model ") as caught:
        load_vision(settings)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def answers(folder: Path, operator: str) -> ModelSettings:
    """A YOLOX whose answer is made by an operator of the picture's mean, which is 0 for a picture of nothing."""
    model = onnx.load(good(folder))
    (add,) = (node for node in model.graph.node if node.op_type == "Add")
    made = {
        "random": [helper.make_node("RandomUniformLike", ["output_constant"], ["product"], low=0.0, high=0.01)],
        "nothing": [helper.make_node("Sub", ["output_constant", "output_constant"], ["product"])],
        "logarithm": [
            helper.make_node("Log", ["mean"], ["logarithm"]),
            helper.make_node("Mul", ["logarithm", "mean"], ["product"]),
        ],
    }[operator]
    add.input[1] = "product"
    nodes = [*(node for node in model.graph.node if node != add), *made, add]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    path = folder / "nonsense.onnx"
    onnx.save(model, path)
    return ModelSettings(path=path, labels=labels_file(folder, *LABELS))


@pytest.mark.parametrize(
    ("operator", "words"),
    [
        ("random", "it answers the same picture with other numbers the second time"),
        ("nothing", "it answers any picture alike"),
        ("logarithm", "it answers zeros with numbers that are not finite"),  # 0 times the logarithm of 0
    ],
)
def test_a_model_that_answers_nonsense_is_refused(tmp_path: Path, operator: str, words: str) -> None:
    with pytest.raises(ModelError, match=f"^model .*: {words}$"):
        load_vision(answers(tmp_path, operator))


@pytest.mark.parametrize("name", ["suppressed in the graph", "YOLOv10, YOLO26", "TensorFlow Lite, post-processed"])
def test_a_graph_that_chooses_boxes_itself_may_find_nothing_in_either_picture(tmp_path: Path, name: str) -> None:
    nothing = {output: np.zeros_like(tensor) for output, tensor in KINDS[name].outputs.items()}
    path = written(replace(KINDS[name], outputs=nothing), tmp_path / "model.onnx", slope=0.0)
    assert (
        load_vision(ModelSettings(path=path, labels=labels_file(tmp_path, *LABELS))).head.family == KINDS[name].family
    )


def test_a_built_in_model_that_answers_otherwise_here_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    load = inference.load_model

    def twisted(path: Path, settings: ModelSettings, engines: Path | None) -> LoadedModel:
        loaded = load(path, settings, engines)
        return replace(loaded, run=lambda tensors: [output * 1.5 for output in loaded.run(tensors)])

    load_vision(ModelSettings(name="ssdlite"))
    monkeypatch.setattr(inference, "load_model", twisted)
    with pytest.raises(ModelError, match="on this machine it answers a known picture otherwise than it should, by 50%"):
        load_vision(ModelSettings(name="ssdlite"))


def test_what_a_run_takes_is_measured() -> None:
    vision = load_vision(ModelSettings())
    assert 0.1 < vision.ms < 1000
    assert vision.memory_bytes < 200_000_000


def test_there_are_thirty_of_them() -> None:
    assert len(WRONG) >= 30


@pytest.mark.parametrize("name", ["text", "2 GB of nothing", "a classifier", "cannot run", "opset of the future"])
def test_the_command_line_refuses_it_with_exit_code_78(tmp_path: Path, name: str) -> None:
    path = WRONG[name][0](tmp_path)
    done = run_program("models", "info", path, cwd=tmp_path)
    assert done.returncode == 78
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("edge-agent: model ")


def test_scores_are_proved_on_what_the_model_answers(tmp_path: Path) -> None:
    outputs = {"output": KINDS["YOLOX"].outputs["output"].copy()}
    outputs["output"][0, 3, 4:7] = 1, 7, 0  # objectness times class is the score
    settings = ModelSettings(path=write_model(tmp_path / "model.onnx", outputs), labels=labels_file(tmp_path, *LABELS))
    with pytest.raises(ModelError, match=r"its scores reach from 0 to 7, not 0 to 1$"):
        load_vision(settings)
    assert len(LABELS) == CLASSES


@pytest.mark.parametrize("name", ["SSD, scores, bytes", "YOLOv8, v9, v11, v12"])
def test_a_picture_of_nothing_is_what_the_model_takes(tmp_path: Path, name: str) -> None:
    path = written(KINDS[name], tmp_path / "model.onnx")
    vision = load_vision(ModelSettings(path=path, labels=labels_file(tmp_path, *LABELS)))
    assert len(vision.infer(vision.blank())) == len(KINDS[name].outputs)
