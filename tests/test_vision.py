"""From a model file to boxes: what is refused and in which words, and real models on a real picture."""

from __future__ import annotations

import functools
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from builders import UTC_NS
from data import shared_data
from numpy.testing import assert_allclose
from numpy.typing import NDArray
from onnx_files import write_model

import edge_agent
from edge_agent import pixels
from edge_agent.edges import catalogue
from edge_agent.edges.inference import ModelSettings
from edge_agent.errors import ModelError
from edge_agent.records import Detections, Frame, Infer
from edge_agent.stages.detect.detector import DetectSettings
from edge_agent.vision import Vision, load_vision

CLIP = Path(edge_agent.__file__).parent / "clips" / "pedestrians.mp4"
CELLS = 8 * 4 + 4 * 2 + 2 * 1  # YOLOX's three grids of a 64 x 32 picture
AT_S = 6.0
PEOPLE = ((679, 350), (675, 130), (168, 222), (40, 177))
"""Where those stand whom nothing hides in the clip at `AT_S`, in pixels, read off the picture by eye."""


def yolox_answer(classes: int = 2) -> NDArray[np.float32]:
    return np.zeros((1, CELLS, 5 + classes), np.float32)


def small_yolox(folder: Path, answer: NDArray[np.float32] | None = None, **rest: Any) -> Path:
    return write_model(folder / "small.onnx", {"output": yolox_answer() if answer is None else answer}, **rest)


def labels_file(folder: Path, *labels: str) -> Path:
    path = folder / "labels.txt"
    path.write_text("".join(f"{label}\n" for label in labels), encoding="utf-8")
    return path


# Refusals: how each comes about, and what a person reads


def missing(folder: Path) -> ModelSettings:
    return ModelSettings(path=folder / "gone.onnx")


def a_folder(folder: Path) -> ModelSettings:
    return ModelSettings(path=folder)


def no_onnx(folder: Path) -> ModelSettings:
    (folder / "model.onnx").write_bytes(b"this is no model")
    return ModelSettings(path=folder / "model.onnx")


def empty_file(folder: Path) -> ModelSettings:
    (folder / "model.onnx").touch()
    return ModelSettings(path=folder / "model.onnx")


def not_built_in(_folder: Path) -> ModelSettings:
    return ModelSettings(name="yolov99")


def size_no_multiple(_folder: Path) -> ModelSettings:
    return ModelSettings(name="default", input=(416, 250))


def size_is_fixed(_folder: Path) -> ModelSettings:
    return ModelSettings(name="ssdlite", input=(320, 320))


def labels_too_few(folder: Path) -> ModelSettings:
    return ModelSettings(path=small_yolox(folder), labels=labels_file(folder, "person"))


def labels_left_out(folder: Path) -> ModelSettings:
    return ModelSettings(path=small_yolox(folder))


def labels_in_the_file_too_many(folder: Path) -> ModelSettings:
    return ModelSettings(path=small_yolox(folder, metadata={"labels": "person, car, dog, cow"}))


def labels_missing(folder: Path) -> ModelSettings:
    return ModelSettings(path=small_yolox(folder), labels=folder / "gone.txt")


def unknown_head(folder: Path) -> ModelSettings:
    return ModelSettings(path=write_model(folder / "odd.onnx", {"output0": np.zeros((1, 84, 43, 7), np.float32)}))


def answers_no_numbers(where: tuple[int, ...], value: float, folder: Path) -> ModelSettings:
    answer = yolox_answer()
    answer[where] = value
    return ModelSettings(path=small_yolox(folder, answer))


def answers_fewer_boxes_than_scores(folder: Path) -> ModelSettings:
    """NanoDet's maps, which may say any number of cells."""
    cells = {"cls_8": 7, "cls_16": 7, "cls_32": 7, "reg_8": 6, "reg_16": 6, "reg_32": 6}
    outputs = {name: np.full((1, n, 2 if name.startswith("cls") else 32), 0.5, np.float32) for name, n in cells.items()}
    return ModelSettings(path=write_model(folder / "short.onnx", outputs), labels=labels_file(folder, "a", "b"))


def wants_a_batch_of_two(folder: Path) -> ModelSettings:
    return ModelSettings(path=small_yolox(folder, picture=(2, 3, 32, 64)), labels=labels_file(folder, "a", "b"))


def provider_not_here(_folder: Path) -> ModelSettings:
    return ModelSettings(name="default", provider="TensorrtExecutionProvider")


REFUSALS: list[tuple[Callable[[Path], ModelSettings], str]] = [
    (missing, r"model file .*gone\.onnx cannot be read: No such file or directory; check model\.path"),
    (a_folder, r"model file .* cannot be read: Is a directory; check model\.path"),
    (no_onnx, r"model .*model\.onnx: onnxruntime cannot load it: .+"),
    (empty_file, r"model .*model\.onnx: onnxruntime cannot load it: .+"),
    (not_built_in, r"model 'yolov99' is not built in; there are: default, ssdlite"),
    (size_no_multiple, r"model .*: model\.input is \[416, 250\]; both must be multiples of 32"),
    (size_is_fixed, r"model .*: its input is fixed at \[300, 300\], model\.input asks for \[320, 320\]"),
    (labels_too_few, r"model .*: it tells 2 classes apart and there are 1 labels; set model\.labels"),
    (labels_left_out, r"model .*: it tells 2 classes apart and nobody says what they mean; set model\.labels"),
    (labels_in_the_file_too_many, r"model .*: it tells 2 classes apart and there are 4 labels; set model\.labels"),
    (labels_missing, r"label file .*gone\.txt cannot be read: .*; check model\.labels"),
    (
        unknown_head,
        r"model .*odd\.onnx: its head is none of nanodet, .*; its answer is output0 \(1, 84, 43, 7\)",
    ),
    (
        functools.partial(answers_no_numbers, (0, 3, 4), np.nan),
        r"model .*: it answers .* with numbers that are not finite",
    ),
    (
        functools.partial(answers_no_numbers, (0, 3, 0), np.nan),
        r"model .*: it answers .* with numbers that are not finite",
    ),
    (
        functools.partial(answers_no_numbers, (0, 3, 6), np.inf),
        r"model .*: it answers .* with numbers that are not finite",
    ),
    (answers_fewer_boxes_than_scores, r"model .*short\.onnx: .+"),
    (
        wants_a_batch_of_two,
        r"model .*small\.onnx: its input images float32 \(2, 3, 32, 64\) takes 2 pictures at once; export it for one",
    ),
    (provider_not_here, r"model\.provider TensorrtExecutionProvider is not in this onnxruntime; it offers .*CPU"),
]


@pytest.mark.parametrize(("settings", "message"), REFUSALS, ids=lambda row: getattr(row, "__name__", None))
def test_a_model_that_cannot_do_it_is_refused_with_the_reason(
    settings: Callable[[Path], ModelSettings], message: str, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match=rf"^{message}") as caught:
        load_vision(settings(tmp_path))
    assert "\n" not in str(caught.value)


@pytest.fixture
def copied_catalogue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The built-in models in a folder that may be tampered with."""
    folder = tmp_path / "models"
    shutil.copytree(catalogue.FOLDER, folder)
    monkeypatch.setattr(catalogue, "FOLDER", folder)
    return folder


def test_a_built_in_model_whose_file_was_changed_is_refused(copied_catalogue: Path) -> None:
    file = next(copied_catalogue.glob("nanodet*.onnx"))
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1  # one bit, among the weights: it would load
    file.write_bytes(content)
    with pytest.raises(
        ModelError, match=r"^model 'default': .* has sha256 .*the manifest says .*install edge-agent again"
    ):
        load_vision(ModelSettings())
    assert load_vision(ModelSettings(name="ssdlite")).name == "ssdlite"  # the other is as it was


def test_a_built_in_model_whose_file_is_gone_is_refused(copied_catalogue: Path) -> None:
    next(copied_catalogue.glob("nanodet*.onnx")).unlink()
    with pytest.raises(ModelError, match=r"^model file .*nanodet.* cannot be read: No such file"):
        load_vision(ModelSettings())


def test_the_manifest_tells_the_truth_about_every_built_in_model() -> None:
    manifest = json.loads((catalogue.FOLDER / "manifest.json").read_text(encoding="utf-8"))
    assert [model["name"] for model in manifest["models"]] == ["default", "ssdlite"]
    for entry in catalogue.entries():
        vision = load_vision(ModelSettings(name=entry.name))
        assert entry.path.stat().st_size == entry.size_bytes
        assert vision.head.family == entry.family
        assert vision.sha256 == entry.sha256
        assert vision.label_names == entry.labels
        assert vision.input_size == entry.input_size
        assert entry.card.is_file()


def test_a_model_of_ones_own_is_loaded_with_its_labels(tmp_path: Path) -> None:
    path = small_yolox(tmp_path)
    by_file = load_vision(ModelSettings(path=path, labels=labels_file(tmp_path, "cat", "dog")))
    assert (by_file.name, by_file.label_names, by_file.input_size) == ("small.onnx", ("cat", "dog"), (64, 32))
    assert by_file.sha256 == catalogue.sha256_of(path)
    assert by_file.provider == "CPUExecutionProvider"
    by_metadata = load_vision(ModelSettings(path=small_yolox(tmp_path, metadata={"labels": "cat, dog"})))
    assert by_metadata.label_names == ("cat", "dog")


@pytest.mark.parametrize("names", ["{[1]: 'a'}", "{1: 'a'}", "{'0': 7}", "[", "f()", "{**{}}", "(" * 500])
def test_what_a_file_says_of_its_labels_and_is_no_list_of_names_says_nothing(tmp_path: Path, names: str) -> None:
    vision = load_vision(ModelSettings(path=small_yolox(tmp_path, yolox_answer(80), metadata={"names": names})))
    assert (vision.label_names[0], vision.labels_from) == ("person", "COCO, for nobody says")


def test_a_model_with_80_classes_and_no_labels_has_those_of_coco(tmp_path: Path) -> None:
    labels = load_vision(ModelSettings(path=small_yolox(tmp_path, yolox_answer(80)))).label_names
    assert (len(labels), labels[0], labels[2], labels[79]) == (80, "person", "car", "toothbrush")


def test_a_detector_for_a_label_the_model_does_not_know_is_refused() -> None:
    with pytest.raises(ValueError, match="the model knows no unicorn; it knows person, "):
        load_vision(ModelSettings()).detector(DetectSettings(labels=("unicorn",)))


@pytest.mark.parametrize("size", [(320, 192), (416, 416)])
def test_a_model_that_takes_any_size_takes_the_one_that_is_asked_for(size: tuple[int, int]) -> None:
    assert load_vision(ModelSettings(input=size)).input_size == size


# Real models on a real picture


@functools.cache
def real_frame() -> Frame:
    with av.open(str(CLIP)) as container:
        picture = next(one for one in container.decode(video=0) if one.time is not None and one.time >= AT_S)
        planes = picture.to_ndarray(format="yuv420p")  # (3 / 2 H, W)
    height = picture.height
    blue, red = planes[height:].reshape(2, height // 2, picture.width // 2)
    return Frame(
        luma=planes[:height], chroma_blue=blue, chroma_red=red, at_s=AT_S, utc_ns=UTC_NS, utc_synced=True, seq=0
    )


@functools.cache
def real_vision(model: str) -> Vision:
    if model != "yolox":
        return load_vision(ModelSettings(name=model))
    return load_vision(ModelSettings(path=shared_data("models/yolox_nano.onnx")))


THRESHOLD = 0.4
NMS_IOU = 0.6

Rows = list[tuple[float, float, float, float, float]]
"""Boxes in the model's input pixels, and the score of `person` of each."""


def softmax(values: NDArray[np.float64]) -> NDArray[np.float64]:
    weights = np.exp(values - values.max())
    result: NDArray[np.float64] = weights / weights.sum()
    return result


def nanodet_rows(outputs: dict[str, NDArray[Any]], width: int, _height: int, _person: int) -> Rows:
    rows: Rows = []
    for stride in (8, 16, 32):
        for cell, scores in enumerate(outputs[f"cls_{stride}"][0]):
            if scores[0] >= THRESHOLD / 2:
                x, y = (cell % (width // stride) + 0.5) * stride, (cell // (width // stride) + 0.5) * stride
                sides = outputs[f"reg_{stride}"][0][cell].astype(np.float64).reshape(4, 11)
                left, top, right, bottom = (float(softmax(side) @ np.arange(11)) * stride for side in sides)
                rows.append((x - left, y - top, x + right, y + bottom, float(scores[0])))
    return rows


def ssd_rows(outputs: dict[str, NDArray[Any]], width: int, height: int, person: int) -> Rows:
    rows: Rows = []
    for code, logits, anchor in zip(
        outputs["box_encodings"][0], outputs["class_logits"][0], outputs["anchors"], strict=True
    ):
        score = 1 / (1 + np.exp(-float(logits[person])))
        if score >= THRESHOLD / 2:
            top, left, bottom, right = map(float, anchor)
            y, x = (
                (top + bottom) / 2 + code[0] / 10 * (bottom - top),
                (left + right) / 2 + code[1] / 10 * (right - left),
            )
            h, w = np.exp(code[2] / 5) * (bottom - top), np.exp(code[3] / 5) * (right - left)
            rows.append(((x - w / 2) * width, (y - h / 2) * height, (x + w / 2) * width, (y + h / 2) * height, score))
    return rows


def yolox_rows(outputs: dict[str, NDArray[Any]], width: int, height: int, _person: int) -> Rows:
    rows: Rows = []
    cells = [(x, y, stride) for stride in (8, 16, 32) for y in range(height // stride) for x in range(width // stride)]
    for (column, row, stride), values in zip(cells, outputs["output"][0], strict=True):
        score = float(values[4] * values[5])
        if score >= THRESHOLD / 2:
            x, y = (column + values[0]) * stride, (row + values[1]) * stride
            w, h = np.exp(values[2]) * stride, np.exp(values[3]) * stride
            rows.append((x - w / 2, y - h / 2, x + w / 2, y + h / 2, score))
    return rows


def overlap(one: Sequence[float], other: Sequence[float]) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(width, 0) * max(height, 0)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return shared / (sum(areas) - shared)


class Seen:
    """A model's last input and answer, so that the reference need not run it on a tensor that differs in a last bit."""

    def __init__(self, infer: Infer) -> None:
        self._infer = infer
        self.tensor: NDArray[Any] = np.zeros(0)
        self.outputs: Sequence[NDArray[Any]] = ()

    def infer(self, tensor: NDArray[Any]) -> Sequence[NDArray[Any]]:
        self.tensor, self.outputs = tensor.copy(), self._infer(tensor)
        return self.outputs


def reference(vision: Vision, frame: Frame, seen: Seen) -> Rows:
    """Persons in a frame, best first, worked out box by box from what the model was shown and answered."""
    width, height = vision.input_size
    if vision.head.family == "ssd":
        picture_width, picture_height = width, height
    else:
        scale = min(width / frame.width, height / frame.height)
        picture_width, picture_height = 2 * round(frame.width * scale / 2), 2 * round(frame.height * scale / 2)
    bgr = pixels.to_bgr(frame, picture_width, picture_height).astype(np.float32)
    if vision.head.family == "ssd":
        prepared = bgr[:, :, ::-1] / 127.5 - 1
    else:
        prepared = np.full((height, width, 3), 114, np.float32)
        prepared[:picture_height, :picture_width] = bgr
    if vision.head.family == "nanodet":
        prepared = (prepared - (103.53, 116.28, 123.675)) / (57.375, 57.12, 58.395)
    assert_allclose(seen.tensor[0], prepared.transpose(2, 0, 1), atol=1e-4)
    decode, names = {
        "nanodet": (nanodet_rows, ("cls_8", "cls_16", "cls_32", "reg_8", "reg_16", "reg_32")),
        "ssd": (ssd_rows, ("box_encodings", "class_logits", "anchors")),
        "yolox": (yolox_rows, ("output",)),
    }[vision.head.family]
    outputs = dict(zip(names, seen.outputs, strict=True))
    kept: Rows = []
    for row in sorted(decode(outputs, width, height, vision.label_names.index("person")), key=lambda row: -row[4]):
        if all(overlap(row, better) <= NMS_IOU for better in kept):
            kept.append(row)
    across, down = frame.width / picture_width, frame.height / picture_height
    return [
        (
            min(max(left * across, 0), frame.width),
            min(max(top * down, 0), frame.height),
            min(max(right * across, 0), frame.width),
            min(max(bottom * down, 0), frame.height),
            score,
        )
        for left, top, right, bottom, score in kept
    ]


def detect(vision: Vision) -> Detections:
    settings = DetectSettings(labels=("person",), thresholds={"person": THRESHOLD}, weak=0.5, nms_iou=NMS_IOU)
    return vision.detector(settings).detect(real_frame())


MODELS = ["default", "ssdlite", "yolox"]


@pytest.mark.parametrize("model", MODELS)
def test_a_real_model_finds_the_people_in_a_real_picture(model: str) -> None:
    found = detect(real_vision(model))
    boxes = found.boxes[found.strong].tolist()
    assert len(boxes) <= 7
    for x, y in PEOPLE:
        assert any(left < x < right and top < y < bottom for left, top, right, bottom in boxes), (x, y)


@pytest.mark.parametrize("model", MODELS)
def test_a_real_models_boxes_are_those_of_the_reference(model: str) -> None:
    vision = real_vision(model)
    seen = Seen(vision.infer)
    found = detect(replace(vision, infer=seen.infer))
    expected = np.array(reference(vision, real_frame(), seen))
    assert len(found) == len(expected) > 0
    assert_allclose(found.boxes, expected[:, :4], atol=0.05)  # a twentieth of a pixel
    assert_allclose(found.scores, expected[:, 4], atol=1e-4)
    assert found.strong.tolist() == (expected[:, 4] >= THRESHOLD).tolist()


@pytest.mark.parametrize("model", MODELS)
def test_an_empty_scene_has_nobody_in_it(model: str) -> None:
    grey = np.full((432, 768), 110, np.uint8)
    half = np.full((216, 384), 128, np.uint8)
    frame = Frame(luma=grey, chroma_blue=half, chroma_red=half, at_s=0, utc_ns=0, utc_synced=True, seq=0)
    found = real_vision(model).detector(DetectSettings()).detect(frame)
    assert not found.strong.any()
