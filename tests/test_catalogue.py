"""The models that are listed: how accurate each is and where that is from, and how quick they are here."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from data import shared_data

from edge_agent.cli.main import main
from edge_agent.edges import catalogue

MEASURED = json.loads((catalogue.FOLDER / "measured.json").read_text(encoding="utf-8"))
PAGE = (Path(__file__).parent.parent / "docs" / "models.md").read_text(encoding="utf-8")


def listed(capsys: pytest.CaptureFixture[str], *options: str) -> dict[str, dict[str, Any]]:
    assert main(["models", "list", "--json", *options]) == 0
    return {model["name"]: model for model in json.loads(capsys.readouterr().out)}


def table(capsys: pytest.CaptureFixture[str], *options: str) -> tuple[list[list[str]], list[str]]:
    """Cells of the rows, and the lines below."""
    assert main(["models", "list", *options]) == 0
    rows, _, notes = capsys.readouterr().out.partition("\n\n")
    return [re.split(r"\s{2,}", row) for row in rows.splitlines()], notes.splitlines()


def test_accuracy_stands_beside_the_pictures_and_the_command_that_it_is_from(
    capsys: pytest.CaptureFixture[str],
) -> None:
    models = listed(capsys)
    known = {name for name, model in models.items() if model["accuracy"]}
    assert known == {"default", "ssdlite", "yolox-nano", "nanodet-m"}
    for name in known:
        accuracy = models[name]["accuracy"]
        assert accuracy["on"] == "128 pictures of COCO train2017"
        assert accuracy["by"].startswith("edge-agent eval detect ")
        assert 0 < accuracy["ap75"] < accuracy["ap50"] < 1
    assert len(MEASURED["models"]) == len(known)  # none is of a file that is listed no more


def test_the_page_has_the_same_figures(capsys: pytest.CaptureFixture[str]) -> None:
    models = listed(capsys)
    called = {
        "`default`": "default",
        "`ssdlite`": "ssdlite",
        "YOLOX-Nano, FP32": "yolox-nano",
        "NanoDet-m, FP32": "nanodet-m",
    }
    for words, name in called.items():
        accuracy = models[name]["accuracy"]
        width, height = accuracy["input"]
        figures = " | ".join(f"{accuracy[figure] * 100:.1f}" for figure in ("ap", "ap50", "ap75", "ar100"))
        assert f"\n| {words} | {width}x{height} | {figures} |\n" in PAGE


def test_a_file_that_was_changed_has_no_accuracy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    shutil.copytree(catalogue.FOLDER, tmp_path / "models")
    monkeypatch.setattr(catalogue, "FOLDER", tmp_path / "models")
    manifest = tmp_path / "models" / "manifest.json"
    manifest.write_text(manifest.read_text().replace(catalogue.find("default").sha256, "0" * 64))
    assert catalogue.find("default").accuracy is None
    assert catalogue.find("ssdlite").accuracy


def test_a_list_is_a_table_with_a_line_that_says_what_its_accuracy_is(capsys: pytest.CaptureFixture[str]) -> None:
    models = listed(capsys)
    (head, *rows), notes = table(capsys)
    assert head == ["name", "MB", "where", "input", "AP", "what"]
    assert [row[0] for row in rows] == list(models)
    assert rows[0][1:5] == ["3.9", "built in", "416x256", f"{models['default']['accuracy']['ap'] * 100:.1f}"]
    assert next(row for row in rows if row[0] == "yolox-s")[1:5] == ["35.9", "to pull", "-", "-"]
    assert notes == ["AP: in percent, on 128 pictures of COCO train2017; it compares these models, and is no benchmark"]


def test_what_is_here_is_timed_when_that_is_asked_for(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    here, broken = catalogue.find_remote("yolox-nano"), catalogue.find_remote("nanodet-m")
    shutil.copy(shared_data("models/yolox_nano.onnx"), tmp_path / here.file)
    (tmp_path / broken.file).write_bytes(b"half of it")
    models = listed(capsys, "--measure", "--to", str(tmp_path))
    assert {name for name, model in models.items() if model["ms"]} == {"default", "ssdlite", "yolox-nano"}
    assert all(0.1 < model["ms"] < 1000 for model in models.values() if model["ms"])
    (head, *rows), notes = table(capsys, "--measure")
    assert head[5] == "ms"
    assert {row[0]: row[5] == "-" for row in rows}["yolox-nano"]  # it is not in this folder
    assert [note.partition(":")[0] for note in notes] == ["AP", "ms"]


def test_the_figures_are_those_that_the_command_gives(capsys: pytest.CaptureFixture[str]) -> None:
    images, truth = shared_data("coco/train2017"), shared_data("coco/instances_train2017_128.json")
    names = catalogue.FOLDER / catalogue.COCO_LABELS
    words = ["eval", "detect", "--images", images, "--annotations", truth, "--categories", names, "--json"]
    assert main([*map(str, words)]) == 0
    found, said = json.loads(capsys.readouterr().out), catalogue.find("default").accuracy
    assert said
    assert found["ap"] == pytest.approx(said.ap, abs=0.01)  # another CPU may round otherwise
    assert found["sha256"] == catalogue.find("default").sha256
