"""Files of anchors: what is read of each form, and what is refused in one line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data import shared_data
from heads import KINDS, logit
from numpy.testing import assert_allclose
from onnx_files import write_model
from program import run_program

from edge_agent.cli.main import main
from edge_agent.edges import anchors
from edge_agent.edges.inference import ModelSettings
from edge_agent.errors import ModelError
from edge_agent.vision import load_vision

QUARTERS = [(0, 0, 0.5, 0.5), (0, 0.5, 0.5, 1), (0.5, 0, 1, 0.5), (0.5, 0.5, 1, 1)]


def saved(path: Path, numbers: Any) -> Path:
    np.save(path, numbers)
    return path


def written(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("1 2 3 4\n5 6 7 8\n", [(1, 2, 3, 4), (5, 6, 7, 8)]),
        ("\ufeff# y, x, y, x\r\n1, 2,3 ,4\r\n\r\n5;6;7;8e-1  # the last\r\n", [(1, 2, 3, 4), (5, 6, 7, 0.8)]),
        ("10,13, 16,30, 33,23\n", [(10, 13, 16, 30, 33, 23)]),
        (
            "1 2 3 4 5\n1 2 3 4 5\n1 2 3 4 5\n6 7 8 9 9\n",
            [(1, 1, 1, 6), (2, 2, 2, 7), (3, 3, 3, 8), (4, 4, 4, 9), (5, 5, 5, 9)],
        ),
    ],
)
@pytest.mark.parametrize("name", ["a.txt", "a.csv", "A.TXT"])
def test_a_text_has_a_row_a_line(tmp_path: Path, name: str, text: str, rows: list[tuple[float, ...]]) -> None:
    assert_allclose(anchors.read(written(tmp_path / name, text)), rows)


def test_an_array_has_rows_of_its_last_axis(tmp_path: Path) -> None:
    numbers = np.arange(24)
    for shape, dtype in (((6, 4), "float32"), ((1, 6, 4), "float16"), ((2, 3, 4), "int64"), ((4, 6), "float64")):
        found = anchors.read(saved(tmp_path / "a.npy", numbers.reshape(shape).astype(dtype)))
        assert_allclose(found, numbers.reshape(4, 6).T if shape == (4, 6) else numbers.reshape(6, 4))
        assert found.dtype == np.float64


def folder(path: Path) -> Path:
    path.mkdir()
    return path


NO_ARRAY = "it is no whole array of numbers as numpy writes them"
WRONG: dict[str, tuple[Callable[[Path], Path], str]] = {
    "missing": (lambda at: at / "a.npy", "No such file or directory"),
    "a folder": (lambda at: folder(at / "a.txt"), "Is a directory"),
    "a folder of arrays": (lambda at: folder(at / "a.npy"), "Is a directory"),
    "another kind": (lambda at: written(at / "a.json", "[]"), "its name ends with none of .npy, .txt, .csv"),
    "empty": (lambda at: written(at / "a.txt", ""), "it is empty"),
    "only remarks": (lambda at: written(at / "a.csv", "# nothing\n\n"), "it is empty"),
    "an empty array": (lambda at: saved(at / "a.npy", np.zeros((0, 4))), "it is empty"),
    "an empty file": (lambda at: written(at / "a.npy", ""), ""),
    "no array": (lambda at: written(at / "a.npy", "0 0 1 1\n"), NO_ARRAY),
    "cut off": (lambda at: written(at / "a.npy", saved(at / "b.npy", np.zeros((9, 4))).read_bytes()[:200]), ""),
    "too large to be": (
        lambda at: written(
            at / "a.npy",
            saved(at / "b.npy", np.zeros((9, 4))).read_bytes().replace(b"(9, 4), }      ", b"(9999999999, 4)}"),
        ),
        "",
    ),
    "objects": (lambda at: saved(at / "a.npy", np.array([{}])), NO_ARRAY),
    "texts": (lambda at: saved(at / "a.npy", np.array([["a"]])), "it holds something else than numbers"),
    "truths": (lambda at: saved(at / "a.npy", np.ones((2, 4), bool)), "it holds something else than numbers"),
    "one number": (lambda at: saved(at / "a.npy", np.float32(3)), "it has the form (), and anchors have one of rows"),
    "a row": (lambda at: saved(at / "a.npy", np.ones(4)), "it has the form (4,), and anchors have one of rows"),
    "NaN": (lambda at: saved(at / "a.npy", np.array([(0, 0, 1, np.nan)])), "some of its numbers are not finite"),
    "NaN as text": (lambda at: written(at / "a.txt", "0 0 1 nan\n"), "some of its numbers are not finite"),
    "infinite": (lambda at: written(at / "a.txt", "0 0 1 1e999\n"), "some of its numbers are not finite"),
    "words": (lambda at: written(at / "a.csv", "ymin,xmin,ymax,xmax\n0,0,1,1"), "line 1: 'ymin' is no number"),
    "a row short": (lambda at: written(at / "a.txt", "0 0 1 1\n\n0 0 1"), "line 3 has 3 numbers, and the first has 4"),
    "bytes": (lambda at: written(at / "a.txt", b"\xff\xfe\x00"), "'utf-8' codec can't decode byte"),
    "large": (lambda at: written(at / "a.txt", "0 0 1 1\n" * (2 << 20 | 1)), "it is larger than 16 MB, and no anchors"),
}


@pytest.mark.parametrize(("make", "words"), WRONG.values(), ids=WRONG)
def test_a_file_that_is_none_is_refused_in_one_line(tmp_path: Path, make: Callable[[Path], Path], words: str) -> None:
    path = make(tmp_path)
    with pytest.raises(ModelError) as caught:
        anchors.read(path)
    message = str(caught.value)
    assert message.startswith(f"anchor file {path} cannot be read: {words}")
    assert message.endswith("; check model.anchors")
    assert len(message.splitlines()) == 1


# As a program sees them


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SSD of 80 classes that ends in raw offsets of four anchors."""
    logits = np.full((1, 4, 80), -5, np.float32)
    logits[0, 1, 0] = logit(0.9)
    offsets = np.tile(np.array((2.5, -5, 0, 0), np.float32), (1, 4, 1))
    path = tmp_path_factory.mktemp("model") / "model.onnx"
    return write_model(path, {"box_encodings": offsets, "class_logits": logits})


@pytest.mark.parametrize("name", ["a folder", "NaN"])
def test_a_wrong_file_ends_a_command_with_one_line_and_78(tmp_path: Path, model: Path, name: str) -> None:
    done = run_program("models", "info", model, "--anchors", WRONG[name][0](tmp_path), cwd=tmp_path)
    assert (done.returncode, done.stdout) == (78, "")
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("edge-agent: anchor file ")


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        (QUARTERS[:3], "model.anchors: there are 3 in a.npy, and its answer for a picture of 64x32 has 4 offsets"),
        (np.ones((4, 2)), "model.anchors has 2 numbers a line, and each anchor of an SSD has 4"),
        (np.array(QUARTERS) - 1, "model.anchors: the numbers in a.npy are neither corners nor centres and sizes"),
    ],
)
def test_a_file_of_another_model_is_refused(tmp_path: Path, model: Path, numbers: Any, words: str) -> None:
    with pytest.raises(ModelError) as caught:
        load_vision(ModelSettings(path=model, anchors=saved(tmp_path / "a.npy", numbers)))
    assert str(caught.value).startswith(f"model {model}: {words}")
    assert len(str(caught.value).splitlines()) == 1


def test_the_options_say_what_the_settings_do(tmp_path: Path, model: Path) -> None:
    path = saved(tmp_path / "a.npy", np.array(QUARTERS))
    options = ("--anchors", path, "--anchor-form", "yxyx", "--box-scales", "5,5,2.5,2.5", "--activation", "sigmoid")
    done = run_program("models", "info", model, *options, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "4 anchors from a.npy, corners, y before x, in parts of the picture" in done.stdout
    assert "assumed      RGB, -1 to 1, stretched: the graph does not say" in done.stdout
    settings = ModelSettings(path=model, anchors=path, box_scales=(5, 5, 2.5, 2.5))
    vision = load_vision(settings)
    found = vision.head.decode(vision.infer(vision.blank()), (64, 32), np.array([0]), np.array([0.5], np.float32))
    # The second quarter, half its height down and its width left: x 0 .. .5, y .25 .. .75.
    assert_allclose(found.boxes, [(0, 8, 32, 24)], atol=1e-4)
    with pytest.raises(
        ModelError, match=r"model\.anchor_form says what the numbers in a file are, and model\.anchors n"
    ):
        load_vision(ModelSettings(path=model, anchor_form="yxyx"))


@pytest.mark.parametrize(
    "option", [("--box-scales", "10,10,5"), ("--box-scales", "0.1,0.1,0.2,0.2"), ("--anchor-form", "boxes")]
)
def test_an_option_that_says_nothing_is_refused(option: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["models", "info", "model.onnx", *option])
    assert caught.value.code == 2
    assert f"argument {option[0]}: " in capsys.readouterr().err


def test_a_published_ssd_runs_with_its_anchors_and_finds_the_same_without_a_file() -> None:
    path = shared_data("models/ssdlite_mnv2_coco_fp32.onnx")
    visions = [
        load_vision(ModelSettings(path=path, anchors=file)) for file in (shared_data("models/ssd_anchors.npy"), None)
    ]
    outputs = visions[0].infer(visions[0].blank())
    every = np.array([-np.inf], np.float32)
    found = [vision.head.decode(outputs, (300, 300), np.array([0]), every) for vision in visions]
    assert len(found[0].boxes) > 1000
    assert_allclose(found[0].boxes, found[1].boxes, atol=1e-3)
    assert [len(vision.label_names) for vision in visions] == [90, 90]
    assert "anchors of TensorFlow's SSD MobileNet" in visions[1].head.assumed
    assert "anchors of TensorFlow's SSD MobileNet" not in visions[0].head.assumed


def test_anchors_are_of_no_use_to_another_family(tmp_path: Path) -> None:
    settings = ModelSettings(
        path=write_model(tmp_path / "m.onnx", KINDS["YOLOX"].outputs), anchors=saved(tmp_path / "a.npy", QUARTERS)
    )
    with pytest.raises(
        ModelError, match=r"it is no SSD and no raw maps of a YOLO, so model\.anchors cannot be said of it"
    ):
        load_vision(settings)
