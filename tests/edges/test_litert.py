"""`.tflite` files on LiteRT: real 8-bit detectors, from their integers to boxes."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose
from numpy.typing import NDArray
from tflite_files import BACKGROUND, CELL, GAIN, OFFSET_SCALE, SCORE_SCALE, anchors, write_ssd

from edge_agent.app import one_camera
from edge_agent.clips import PEDESTRIANS
from edge_agent.edges.inference import ModelSettings, load_model
from edge_agent.errors import ModelError, RuntimeMissingError
from edge_agent.vision import load_vision

schema = pytest.importorskip("ai_edge_litert.schema_py_generated", reason="LiteRT is an extra")

SIZE = (64, 48)
GRID = (SIZE[1] // CELL, SIZE[0] // CELL)


LARGE = (416, 256)
"""Of a picture with which a run takes long enough for another thread to come in between."""


def picture_with(row: int, column: int, channel: int, size: tuple[int, int] = SIZE) -> NDArray[np.uint8]:
    """Black, but for one cell of one colour."""
    picture = np.zeros((1, size[1], size[0], 3), np.uint8)
    picture[0, row * CELL : (row + 1) * CELL, column * CELL : (column + 1) * CELL, channel] = 255
    return picture


def labels(folder: Path) -> Path:
    (folder / "labels.txt").write_text("red\ngreen\nblue\n")
    return folder / "labels.txt"


@pytest.mark.parametrize(("row", "column", "channel"), [(0, 0, 0), (2, 1, 1), (1, 3, 2)])
def test_an_8_bit_ssd_finds_what_it_was_made_to_find(row: int, column: int, channel: int, tmp_path: Path) -> None:
    path = write_ssd(tmp_path / "ssd.tflite", schema, size=SIZE)
    vision = load_vision(ModelSettings(path=path, labels=labels(tmp_path)))
    assert (vision.head.family, vision.head.dtype, vision.head.layout) == ("tflite-detection", "uint8", "nhwc")
    assert (vision.provider, vision.provider_why) == ("LiteRT", "the runtime of .tflite files")
    assert (vision.nodes, vision.fallback_nodes, vision.input_size) == (None, None, SIZE)
    outputs = vision.infer(picture_with(row, column, channel))
    found = vision.head.decode(outputs, SIZE, np.arange(3), np.full(3, 0.5, np.float32))
    # The other cells and colours are at -1: 1 / (1 + exp(6)) = 0.002.
    [score], [kind], [box] = found.scores, found.label_ids, found.boxes
    assert vision.label_names[kind] == ("red", "green", "blue")[channel]
    # 255 is 127/128 of the way: 1 / (1 + exp(-6 * 127 / 128)) = 0.997, and a step of the score is 1/256.
    assert score == pytest.approx(1 / (1 + np.exp(-GAIN * 127 / 128)), abs=1.5 / 256)
    x, y = (column + 0.5) * CELL, row * CELL  # half a cell to the right: 5 / x_scale of 10
    assert_allclose(box, (x, y, x + CELL, y + CELL), atol=0.1)


def test_integers_are_taken_and_given_as_the_numbers_that_they_stand_for(tmp_path: Path) -> None:
    loaded = load_model(
        write_ssd(tmp_path / "raw.tflite", schema, size=SIZE, takes="int8", is_raw=True), ModelSettings()
    )
    assert [str(tensor) for tensor in loaded.signature.inputs] == ["picture float32 (1, 48, 64, 3)"]
    assert [tensor.dtype for tensor in loaded.signature.outputs] == ["float32", "float32"]
    random = np.random.default_rng(0)
    picture = random.uniform(-1.2, 1.2, (1, SIZE[1], SIZE[0], 3)).astype(np.float32)  # beyond what 8 bits hold
    offsets, scores = loaded.run({"picture": picture})
    held = np.clip(picture[0].astype(np.float64), -1, 127 / 128)
    means = held.reshape(GRID[0], CELL, GRID[1], CELL, 3).mean(axis=(1, 3)).reshape(-1, 3)
    logits = np.column_stack([np.full(len(means), BACKGROUND), GAIN * means])
    # Half a step of the logits, 1/16, moves a score by up to 1/128; a step of the scores is 1/256.
    assert_allclose(scores[0], 1 / (1 + np.exp(-logits)), atol=1 / 128 + 1 / 256)
    assert np.ptp(scores[0][:, 1:]) > 0.05
    assert_allclose(offsets[0], np.tile([0, 5, 0, 0], (len(means), 1)), atol=OFFSET_SCALE[0] / 2)
    steps = scores[0] / SCORE_SCALE[0]
    assert_allclose(steps, np.round(steps), atol=1e-3)


@pytest.mark.parametrize("takes", ["uint8", "int8"])
def test_an_8_bit_ssd_without_its_anchors_finds_the_same_by_those_of_a_file(takes: str, tmp_path: Path) -> None:
    path = write_ssd(tmp_path / "raw.tflite", schema, size=SIZE, takes=takes, is_raw=True)
    np.savetxt(tmp_path / "anchors.csv", anchors(*GRID), delimiter=",")
    with pytest.raises(ModelError, match="it looks like an SSD without its 12 anchors, and "):
        load_vision(ModelSettings(path=path, labels=labels(tmp_path)))
    vision = load_vision(ModelSettings(path=path, labels=labels(tmp_path), anchors=tmp_path / "anchors.csv"))
    assert vision.head.why == (
        "12 anchors from anchors.csv, centres and sizes, y before x, in parts of the picture, each with a box and 3 "
        "class scores, after a background; boxes are offsets of centres and sizes, y before x"
    )
    picture = picture_with(2, 1, 1)
    outputs = vision.infer(picture if takes == "uint8" else picture.astype(np.float32) / 128 - 1)
    found = vision.head.decode(outputs, SIZE, np.arange(3), np.full(3, 0.5, np.float32))
    assert [vision.label_names[kind] for kind in found.label_ids] == ["green"]
    assert_allclose(found.boxes, [(1.5 * CELL, 2 * CELL, 2.5 * CELL, 3 * CELL)], atol=0.1)
    assert found.scores[0] == pytest.approx(0.997, abs=1.5 / 256)


def test_several_threads_run_it_at_once_and_each_gets_its_own_answer(tmp_path: Path) -> None:
    loaded = load_model(write_ssd(tmp_path / "ssd.tflite", schema, size=LARGE), ModelSettings())
    cells = [(4 * number, 2 * number) for number in range(4)]
    wrong: list[int] = []
    begin = threading.Barrier(len(cells))

    def look(number: int) -> None:
        picture = picture_with(*cells[number], 0, LARGE)
        begin.wait()
        for _again in range(50):
            boxes = loaded.run({"picture": picture})[0]
            if abs(boxes[0, 0, 0] * LARGE[1] / CELL - cells[number][0]) > 0.1:
                wrong.append(number)

    threads = [threading.Thread(target=look, args=(number,)) for number in range(len(cells))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_what_is_no_tflite_file_is_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(b"this is no model")
    with pytest.raises(ModelError, match=r"^model .*model\.tflite: LiteRT cannot load it: .+$"):
        load_vision(ModelSettings(path=path))
    path.write_bytes(b"")
    with pytest.raises(ModelError, match=r"^model .*model\.tflite: LiteRT cannot load it: .+$"):
        load_vision(ModelSettings(path=path))
    path.unlink()
    with pytest.raises(ModelError, match=r"^model file .* cannot be read: No such file or directory"):
        load_vision(ModelSettings(path=path))


@pytest.mark.parametrize("key", ["provider", "require_provider"])
def test_a_provider_of_onnxruntime_cannot_run_it(key: str, tmp_path: Path) -> None:
    path = write_ssd(tmp_path / "ssd.tflite", schema, size=SIZE)
    wrong = r"^model .*: model\.provider is CPUExecutionProvider; a \.tflite file runs on LiteRT only$"
    with pytest.raises(ModelError, match=wrong):
        load_model(path, ModelSettings(**{key: "CPUExecutionProvider"}))
    assert load_model(path, ModelSettings(**{key: "LiteRT"})).why == "asked for"


def test_without_litert_the_line_that_installs_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_ssd(tmp_path / "ssd.tflite", schema, size=SIZE)
    monkeypatch.setitem(__import__("sys").modules, "ai_edge_litert.interpreter", None)
    with pytest.raises(
        RuntimeMissingError, match=r"^ai_edge_litert.interpreter cannot be loaded .*edge-agent\[litert\]"
    ):
        load_model(path, ModelSettings())


def test_bench_takes_a_file_of_either_runtime_for_a_file_and_not_for_a_name() -> None:
    for name in ("own/model.tflite", "model.onnx"):
        assert one_camera(PEDESTRIANS, name, {}).model.path == Path(name)
    assert one_camera(PEDESTRIANS, "ssdlite", {}).model.name == "ssdlite"
