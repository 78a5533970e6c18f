"""The INT8 form that tuning makes by itself: of which pictures, whether it is chosen, how it is kept, if it is gone."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import json
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml
from data import shared_data
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from program import camera, write_config
from small_detector import LABELS, square_pictures, write_small_detector

from edge_agent import app, clips
from edge_agent.cli.files import load_settings
from edge_agent.cli.main import main
from edge_agent.edges.choices import Choice, Choices, Pace
from edge_agent.edges.inference import ModelSettings
from edge_agent.errors import ModelError, StorageError
from edge_agent.tools import calibration_pictures, candidates, kept_forms, tuned
from edge_agent.tools.agreement import Agreement
from edge_agent.tools.calibration_pictures import parted
from edge_agent.tools.candidates import LEAST_GAIN, Trial
from edge_agent.tools.kept_forms import KeptForm
from edge_agent.tools.own_form import OwnForm
from edge_agent.tools.threads import Demand
from edge_agent.tools.tuning import Take, Tuned, tune
from edge_agent.vision import load_vision

SQUARES = Demand(labels=tuple(sorted(LABELS)), looks_hz=5, rate_hz=5)
PERSONS = Demand(labels=("person",), looks_hz=5, rate_hz=5)
EXTRA = "pip install 'edge-agent[quantize]'"

MAKER = functools.partial(OwnForm, version="1.2.3")


def take_from(pictures: Path, most: int = 48) -> Take:
    """So many pictures of a folder or a clip."""
    _name, source = app.open_pictures(str(pictures), threading.Event())
    return lambda picture: calibration_pictures.of_recording(source.frames(), picture, most)


def write_pictures(folder: Path, pictures: Iterable[NDArray[np.uint8]]) -> Path:
    """A folder of them, in their order."""
    folder.mkdir()
    for number, picture in enumerate(pictures):
        assert cv2.imwrite(str(folder / f"{number:02}.png"), picture)
    return folder


@pytest.fixture
def squares(tmp_path: Path) -> Path:
    return write_pictures(tmp_path / "squares", square_pictures(16))


@pytest.fixture
def detector(tmp_path: Path) -> Path:
    return write_small_detector(tmp_path / "float.onnx")


@pytest.fixture
def any_gain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever another form costs, it is cheap enough: the small detector takes 0.03 ms, and longer in INT8."""
    monkeypatch.setattr(candidates, "LEAST_GAIN", 1e9)


def tuned_with(path: Path, take: Take, max_loss: float = 0.1, *, state: Path | None = None, **rest: Any) -> Tuned:
    demand = rest.pop("demand", SQUARES)
    model = ModelSettings(path=path, max_loss=max_loss, **rest)
    said = list[str]()
    found = tune(tuned.order_of(model, demand, state, "pictures"), take, said.append, MAKER)
    assert found.int8 is None or found.int8 in said
    return found


# Which pictures calibrate, and which judge


def numbered(*numbers: int) -> list[NDArray[np.uint8]]:
    return [np.full((2, 2, 3), number, np.uint8) for number in numbers]


@pytest.mark.parametrize(
    ("numbers", "calibrating", "judging"),
    [
        ((), [], []),
        (range(7), [], []),  # fewer than eight show nothing of a day
        (range(8), [0, 3, 6], [1, 2, 4, 5, 7]),
        ((0, 1, 0, 3, 4, 5, 6, 3), [0, 3, 6], [1, 4, 5]),  # the third and the last look just like one that calibrates
        ([5] * 9, [0, 3, 6], []),
    ],
)
def test_every_third_picture_calibrates_and_the_others_judge(
    numbers: Iterable[int], calibrating: list[int], judging: list[int]
) -> None:
    assert parted(numbered(*numbers)) == (calibrating, judging)


@given(st.lists(st.integers(0, 5), max_size=40))
def test_no_picture_judges_that_was_calibrated_with(numbers: list[int]) -> None:
    calibrating, judging = parted(numbered(*numbers))
    assert not {numbers[place] for place in calibrating} & {numbers[place] for place in judging}
    assert not set(calibrating) & set(judging)


# Whether it is chosen


def assert_chosen_by_what_was_measured(found: Tuned, max_loss: float) -> None:
    """Whatever this machine is like: the cheapest that loses no more than is allowed, and the form if it is that."""
    others = [one for one in found.trials[1:] if not one.problem and one.loss is not None and one.loss <= max_loss]
    good = [one for one in others if one.share < LEAST_GAIN]
    assert found.best == min(good, key=lambda one: one.share, default=found.trials[0])
    own = int8_of(found)
    if found.best in own:
        assert found.form is not None
        assert (found.choice.file, found.choice.sha256) == (f"int8/{found.form.name}", found.form.sha256)
        assert found.int8 == f"{own[0].name} is the best"
    else:
        assert (found.form, found.choice.file) == (None, None)
        figures = rf"\({own[0].share:.2f} x the time, loss {own[0].loss:.3f}\)"
        assert re.fullmatch(rf"{re.escape(own[0].name)} is not kept: .+ {figures}", found.int8 or "")


def int8_of(found: Tuned) -> list[Trial]:
    return [one for one in found.trials if one.name.endswith(" INT8")]


def test_a_real_model_competes_in_int8_and_is_chosen_where_that_is_cheaper() -> None:  # about 4 s
    path = shared_data("models/nanodet_g_coco_fp32.onnx")
    found = tuned_with(path, take_from(clips.PEDESTRIANS, 18), 0.2, demand=PERSONS, input=(416, 256))
    assert (found.calibrating, found.pictures) == (6, 12)
    assert [one.name for one in found.trials] == ["nanodet_g_coco_fp32.onnx", "nanodet_g_coco_fp32.onnx INT8"]
    (own,) = int8_of(found)
    assert own.loss is not None
    assert own.loss < 0.1
    assert_chosen_by_what_was_measured(found, 0.2)


def test_a_form_of_a_model_that_takes_any_size_competes_at_each_the_configured_one_first() -> None:
    float_file, int8_file = (shared_data(f"models/nanodet_g_coco_{form}.onnx") for form in ("fp32", "int8"))
    order = tuned.order_of(ModelSettings(path=float_file, max_loss=0.2), PERSONS, None, "pictures")
    forms = list(candidates.forms_of(int8_file, "INT8", order, load_vision(order.model)))
    assert [one.input_size for one in forms] == [(416, 256), (192, 128), (256, 160), (320, 192), (352, 224)]
    assert {(one.name, one.settings.path, one.problem) for one in forms} == {("INT8", int8_file, "")}


def test_a_real_model_that_int8_hardly_helps_is_chosen_by_the_same_figures() -> None:  # about 5 s
    path = shared_data("models/yolox_nano.onnx")
    found = tuned_with(path, take_from(clips.PEDESTRIANS, 12), max_loss=0.3, demand=PERSONS)
    assert [one.name for one in found.trials] == ["yolox_nano.onnx", "yolox_nano.onnx INT8"]
    assert_chosen_by_what_was_measured(found, 0.3)


def test_a_form_that_is_slower_or_saves_nothing_is_not_kept_and_said_with_figures(
    squares: Path, detector: Path
) -> None:
    found = tuned_with(detector, take_from(squares))
    own = int8_of(found)
    assert [one.input_size for one in own] == [(64, 64)]
    assert own[0].loss is not None
    assert own[0].loss < 0.02
    assert_chosen_by_what_was_measured(found, 0.1)
    assert found.form is None  # it takes half as long again
    assert re.fullmatch(r"float\.onnx INT8 is not kept: (slower|hardly faster) here \(.*\)", found.int8 or "")


@pytest.mark.usefixtures("any_gain")
def test_what_loses_too_much_made_int8_stays_float_so_that_the_rest_may_win(squares: Path, tmp_path: Path) -> None:
    found = tuned_with(write_small_detector(tmp_path / "float.onnx", wide=True), take_from(squares))
    assert found.form is not None
    assert found.form.manifest["nodes"]["kept_float"] == ["wide", "wide_relu", "narrow", "narrow_relu"]
    assert found.form.manifest["settings"]["max_loss"] == 0.1
    assert found.form.manifest["calibration"] == {"from": "pictures", "pictures": 6}
    assert found.form.manifest["measured"]["pictures"] == found.pictures == 10
    assert found.best.loss is not None
    assert found.best.loss < 0.1


OTHER = Trial(settings=ModelSettings(), name="b", input_size=(32, 32), share=0.4, loss=0.02)


@pytest.mark.parametrize(
    ("share", "loss", "problem", "why"),
    [
        (1.01, 0.1, "", "slower here (1.01 x the time, loss 0.100)"),
        (LEAST_GAIN, 0.0, "", "hardly faster here (0.95 x the time, loss 0.000)"),
        (0.5, 0.101, "", "it loses more than 0.1 (0.50 x the time, loss 0.101)"),
        (1.2, 0.5, "", "slower here and it loses more than 0.1 (1.20 x the time, loss 0.500)"),
        (0.5, 0.01, "", "b 32x32 costs less (0.50 x the time, loss 0.010)"),
        (1.0, None, "it answers any picture alike", "it answers any picture alike"),
    ],
)
def test_why_a_form_is_not_kept_is_said_with_figures(
    detector: Path, share: float, loss: float | None, problem: str, why: str
) -> None:
    order = tuned.order_of(ModelSettings(path=detector, max_loss=0.1), SQUARES, None, "pictures")
    whole = replace(OTHER, name="a INT8", share=share, loss=loss, problem=problem)
    with contextlib.closing(MAKER(order, load_vision(order.model), silent)) as own:
        own.judge([whole, replace(whole, input_size=(16, 16))], OTHER)
    assert (own.said, own.form) == (f"a INT8 is not kept: {why}", None)


def silent(_words: str) -> None:
    """Says nothing."""


# Where none is made


def test_the_built_in_model_is_int8_already() -> None:
    order = tuned.order_of(ModelSettings(max_loss=1.0, input=(192, 128)), PERSONS, None, "a clip")
    found = tune(order, take_from(clips.PEDESTRIANS, 8), silent, MAKER)
    assert (found.int8, found.calibrating, found.pictures) == (
        "no INT8 form was tried: default is built in, and INT8 already",
        0,
        8,
    )


@pytest.mark.parametrize(
    ("max_loss", "pictures", "why"),
    [
        (0.1, square_pictures(7), "8 pictures are the least, and others than those that calibrate have to judge"),
        (0.1, square_pictures(1) * 16, "8 pictures are the least, and others than those that calibrate have to judge"),
        (  # ten judge: four squares each
            0.05,
            square_pictures(16),
            "without the pictures that calibrate there are 40 things, too few to tell a loss of 0.05",
        ),
    ],
)
def test_where_pictures_are_too_few_to_put_some_aside_all_judge(
    tmp_path: Path, detector: Path, max_loss: float, pictures: list[NDArray[np.uint8]], why: str
) -> None:
    found = tuned_with(detector, take_from(write_pictures(tmp_path / "few", pictures)), max_loss)
    assert found.int8 == f"no INT8 form was tried: {why}"
    assert (found.calibrating, found.pictures, len(found.trials)) == (0, len(pictures), 1)


def test_without_room_for_what_is_needed_meanwhile_the_rest_is_tuned(
    tmp_path: Path, squares: Path, detector: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    found = tuned_with(detector, take_from(squares))
    assert found.int8 == (
        f"no INT8 form was tried: {tmp_path / 'gone'} does not take what is needed meanwhile: No such file or directory"
    )
    assert found.pictures == 16


def test_an_int8_model_of_ones_own_is_not_made_int8_again(squares: Path, detector: Path, tmp_path: Path) -> None:
    made = tmp_path / "int8.onnx"
    main(["quantize", str(detector), "--calibrate", str(squares), "-o", str(made), "--force"])
    found = tuned_with(made, take_from(squares))
    assert found.int8 == (
        f"no INT8 form was tried: model {made}: it is quantized already; give the float model that it was made from"
    )
    assert found.pictures == 16


def test_at_the_first_start_nothing_is_made_int8(squares: Path, detector: Path, tmp_path: Path) -> None:
    _name, source = app.open_pictures(str(squares), threading.Event())
    said = list[str]()
    model = ModelSettings(path=detector, max_loss=0.1)
    settings, why = tuned.tuned_model(model, SQUARES, tmp_path / "state", source.frames, said.append)
    assert settings.path == detector
    assert why is not None
    assert said
    assert not [words for words in said if "INT8" in words]


def test_a_daemon_does_not_load_what_makes_int8_forms() -> None:
    ask = "import sys, edge_agent.app; print(*(name for name in sys.modules if name.startswith('edge_agent')))"
    loaded = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True).stdout.split()
    assert "edge_agent.tools.tuning" in loaded
    assert not {"edge_agent.tools.own_form", "edge_agent.edges.quantizer"} & set(loaded)


# The command, and later starts


@pytest.mark.parametrize(("how", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_what_is_stopped_leaves_nothing_behind(
    tmp_path: Path, squares: Path, detector: Path, how: signal.Signals, code: int
) -> None:
    path, meanwhile = config(tmp_path, detector), tmp_path / "meanwhile"
    meanwhile.mkdir()
    command = [sys.executable, "-m", "edge_agent", "tune", "-c", str(path), "--from", str(squares)]
    environment = os.environ | {"TMPDIR": str(meanwhile)}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        said = next(line for line in process.stderr if line.startswith("calibrating with"))
        assert list(meanwhile.iterdir())
        process.send_signal(how)
        rest = process.stderr.read()
        assert process.wait() == code, said + rest
    assert "Traceback" not in rest
    assert list(meanwhile.iterdir()) == []
    assert not (tmp_path / "state" / "tuned.json").exists()


def config(folder: Path, model: Path, **more: Any) -> Path:
    """A configuration for that model, with its state in that folder."""
    return write_config(
        folder / "agent.yaml",
        {
            "device": {"id": "box"},
            "model": {"path": str(model), "max_loss": 0.1, **more},
            "outbox": {"path": str(folder / "state" / "outbox.sqlite")},
            "cameras": [camera("front", detect={"labels": list(LABELS)})],
        },
    )


@pytest.mark.usefixtures("any_gain")
def test_a_form_that_wins_is_kept_and_used_at_later_starts(
    tmp_path: Path, squares: Path, detector: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, state = config(tmp_path, detector), tmp_path / "state"
    found = tuned_by_command(path, squares, capsys)
    choice, form = found["choice"], found["form"]
    assert choice["file"] == f"int8/{Path(form['file']).name}"
    assert re.fullmatch(r"int8/float-int8-[0-9a-f]{16}\.onnx", choice["file"])
    assert form["kept"]
    assert names_in(state / "int8") == {Path(form["file"]).with_suffix(end).name for end in (".onnx", ".json", ".md")}
    manifest = json.loads(Path(form["file"]).with_suffix(".json").read_text())
    assert manifest["sha256"] == form["sha256"] == choice["sha256"]
    vision = app.load_model(load_settings(path))
    assert (vision.name, vision.sha256, vision.tuned) == (Path(form["file"]).name, form["sha256"], choice["why"])
    # Another run finds the same pictures, and takes the form from where it is.
    assert main(["tune", "-c", str(path), "--from", str(squares)]) == 0
    err = capsys.readouterr().err
    assert f"{vision.name} is kept from before, of the same pictures and settings" in err
    assert "calibrating with" not in err
    # Wherever the state folder is mounted.
    (tmp_path / "moved").mkdir()
    moved = config(tmp_path / "moved", detector)
    shutil.move(state, tmp_path / "moved" / "state")
    assert app.load_model(load_settings(moved)).sha256 == form["sha256"]


def tuned_by_command(path: Path, pictures: Path, capsys: pytest.CaptureFixture[str], *more: str) -> Any:
    assert main(["tune", "-c", str(path), "--from", str(pictures), "--json", *more]) == 0
    return json.loads(capsys.readouterr().out)


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.mark.usefixtures("any_gain")
def test_other_pictures_make_another_form_and_the_one_before_is_removed(
    tmp_path: Path, squares: Path, detector: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, state = config(tmp_path, detector), tmp_path / "state"
    tuned_by_command(path, squares, capsys)
    before = names_in(state / "int8")
    others = write_pictures(tmp_path / "others", square_pictures(32)[16:])
    found = tuned_by_command(path, others, capsys)
    after = names_in(state / "int8")
    assert len(before) == len(after) == 3
    assert not before & after
    assert Path(found["form"]["file"]).name in after
    # With none chosen, none is kept.
    assert tuned_by_command(path, others, capsys, "--no-int8")["form"] is None
    assert names_in(state) == {"tuned.json"}


@pytest.mark.usefixtures("any_gain")
@pytest.mark.parametrize("fate", ["gone", "damaged", "cut off", "a folder"])
def test_a_form_that_is_gone_or_damaged_gives_way_to_the_configured_model_and_that_is_said(
    tmp_path: Path,
    squares: Path,
    detector: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    fate: str,
) -> None:
    path = config(tmp_path, detector)
    file = Path(tuned_by_command(path, squares, capsys)["form"]["file"])
    remembered, whole = (tmp_path / "state" / "tuned.json").read_bytes(), file.read_bytes()
    file.unlink()
    if fate == "a folder":
        file.mkdir()
    elif fate != "gone":
        half = len(whole) // 2
        file.write_bytes(whole[:half] + (b"" if fate == "cut off" else b"X" + whole[half + 1 :]))
    caplog.clear()
    used, remedy = "the model is used as it is configured", "put it back, or run `edge-agent tune` again"
    # As `run` does: it would tune where nothing was chosen, and may not now.
    vision = app.load_model(load_settings(path), no_tuning)
    assert (vision.name, vision.tuned, vision.input_size) == ("float.onnx", tuned.LOST, (64, 64))
    assert caplog.messages == [f"{used}, for {file}, which was chosen for this machine, is gone or damaged: {remedy}"]
    assert (tmp_path / "state" / "tuned.json").read_bytes() == remembered
    if fate == "a folder":
        file.rmdir()
    file.write_bytes(whole)
    assert app.load_model(load_settings(path)).name == file.name


def no_tuning(_words: str) -> None:
    raise AssertionError("it was tuned")


@pytest.mark.usefixtures("any_gain")
def test_a_damaged_form_is_made_anew_by_the_next_tune(
    tmp_path: Path, squares: Path, detector: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = config(tmp_path, detector)
    form = tuned_by_command(path, squares, capsys)["form"]
    Path(form["file"]).write_bytes(b"nothing")
    again = tuned_by_command(path, squares, capsys)["form"]
    assert again == form
    assert app.load_model(load_settings(path)).sha256 == form["sha256"]


def test_without_the_extra_one_line_says_what_to_install_and_the_rest_is_tuned(
    tmp_path: Path, squares: Path, detector: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    assert main(["tune", "-c", str(config(tmp_path, detector)), "--from", str(squares)]) == 0
    out, err = capsys.readouterr()
    (line,) = [line for line in out.splitlines() if "INT8" in line]
    assert line.startswith("no INT8 form was tried: onnx cannot be loaded (")
    assert line.endswith(f"; {EXTRA}")
    assert line in err.splitlines()
    assert "things in 16 pictures are the truth; at most 0.1 may be lost" in out
    assert names_in(tmp_path / "state") == {"tuned.json"}


def test_an_option_leaves_it_out(
    tmp_path: Path, squares: Path, detector: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = config(tmp_path, detector)
    found = tuned_by_command(path, squares, capsys, "--no-int8")
    assert (found["int8"], found["form"], found["calibrating"], found["pictures"]) == (None, None, 0, 16)
    assert [trial["name"] for trial in found["trials"]] == ["float.onnx"]
    assert main(["tune", "-c", str(path), "--from", str(squares), "--no-int8"]) == 0
    assert "INT8" not in "".join(capsys.readouterr())


@pytest.mark.usefixtures("any_gain")
def test_settings_by_hand_do_on_another_box_with_the_file_that_they_name(
    tmp_path: Path, squares: Path, detector: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = config(tmp_path, detector, threshold=0.35)
    assert main(["tune", "-c", str(path), "--from", str(squares)]) == 0
    by_hand, copied = capsys.readouterr().out.splitlines()[-2:]
    said = re.fullmatch(r"with (\S+) copied beside the configuration, sha256 ([0-9a-f]{64})", copied)
    assert said
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(said[1], other)
    settings = {
        **yaml.safe_load(path.read_text()),
        **yaml.safe_load(f"{{{by_hand.removeprefix('the same by hand: ')}}}"),
    }
    settings["outbox"] = {"path": "state/outbox.sqlite"}
    here, there = (
        app.load_model(load_settings(path)),
        app.load_model(load_settings(write_config(other / "agent.yaml", settings))),
    )
    assert there.sha256 == here.sha256 == said[2]
    sides = [(one.input_size, one.provider, one.threads, one.threshold, one.label_names) for one in (here, there)]
    assert sides[0] == sides[1]
    assert there.threshold == 0.35
    assert there.tuned is None


@pytest.mark.usefixtures("any_gain")
def test_what_is_not_remembered_is_not_kept_and_the_settings_say_so(
    tmp_path: Path, squares: Path, detector: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = config(tmp_path, detector)
    assert main(["tune", "-c", str(path), "--from", str(squares), "--dry-run"]) == 0
    line = capsys.readouterr().out.splitlines()[-1]
    assert re.fullmatch(r"float-int8-[0-9a-f]{16}\.onnx is not kept, for nothing is remembered: .*", line)
    assert not tuned_by_command(path, squares, capsys, "--dry-run")["form"]["kept"]
    assert not (tmp_path / "state").exists()


@pytest.mark.usefixtures("any_gain")
def test_a_form_that_cannot_be_written_ends_it_in_a_line_with_nothing_remembered(
    tmp_path: Path, squares: Path, detector: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "int8").write_text("no folder")
    assert main(["tune", "-c", str(config(tmp_path, detector)), "--from", str(squares)]) == 69
    assert capsys.readouterr().err.splitlines()[-1] == (
        f"edge-agent: {tmp_path / 'state' / 'int8'} cannot be made: File exists"
    )
    assert names_in(tmp_path / "state") == {"int8"}


def test_a_state_folder_that_takes_nothing_is_said_before_anything_is_measured(
    tmp_path: Path, squares: Path, detector: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "state").write_text("no folder")
    assert main(["tune", "-c", str(config(tmp_path, detector)), "--from", str(squares)]) == 69
    out, err = capsys.readouterr()
    assert (out, err) == ("", f"edge-agent: {tmp_path / 'state' / 'tuned.json'} cannot be written: File exists\n")
    assert main(["tune", "-c", str(config(tmp_path, detector)), "--from", str(squares), "--dry-run"]) == 0


# What is kept

CHOICE = Choice(
    file=None,
    sha256="",
    input_size=(64, 64),
    provider="CPUExecutionProvider",
    paces=(Pace(threads=1, cpu_ms=1, wall_ms=1),),
    why="said",
)


@pytest.fixture(scope="module")
def form(tmp_path_factory: pytest.TempPathFactory) -> KeptForm:
    """A real one, which nothing is said of but that it is there."""
    folder = tmp_path_factory.mktemp("form")
    path, pictures = write_small_detector(folder / "float.onnx"), write_pictures(folder / "p", square_pictures(16))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(candidates, "LEAST_GAIN", 1e9)
        found = tuned_with(path, take_from(pictures))
    assert found.form is not None
    return found.form


def named(form: KeptForm, digit: str) -> KeptForm:
    """The same under another name."""
    return replace(form, name=f"float-int8-{digit * 16}.onnx")


def remember(state: Path, max_loss: float, form: KeptForm | None) -> None:
    choice = replace(CHOICE, file=form.file, sha256=form.sha256) if form else CHOICE
    tuned.remember(ModelSettings(max_loss=max_loss), PERSONS, state, choice, form)


def test_forms_stay_as_long_as_a_choice_names_them(tmp_path: Path, form: KeptForm) -> None:
    first, second, third = (named(form, digit) for digit in "123")
    remember(tmp_path, 0.1, first)
    remember(tmp_path, 0.2, second)
    assert {path.stem[-1] for path in (tmp_path / "int8").iterdir()} == {"1", "2"}
    remember(tmp_path, 0.1, third)
    assert {path.stem[-1] for path in (tmp_path / "int8").iterdir()} == {"2", "3"}
    (tmp_path / "int8" / "notes.md").write_text("mine")
    (tmp_path / "int8" / f".{third.name}.part").write_text("unfinished")
    remember(tmp_path, 0.2, None)
    assert names_in(tmp_path / "int8") == {Path(third.name).stem + end for end in (".onnx", ".json", ".md")} | {
        "notes.md"
    }
    remember(tmp_path, 0.1, None)
    assert names_in(tmp_path / "int8") == {"notes.md"}


def test_a_form_that_cannot_be_removed_is_said_and_no_reason_to_fail(
    tmp_path: Path, form: KeptForm, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / form.file).mkdir(parents=True)  # in place of the file: it is not unlinked
    remember(tmp_path, 0.1, None)
    assert "has files that are of no use any more and cannot be removed: " in caplog.text


def test_what_is_interrupted_while_it_is_written_leaves_nothing_half_written(
    tmp_path: Path, form: KeptForm, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_file: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    for kept, left in ((form, {"int8"}), (None, set())):
        state = tmp_path / f"with {len(left)}"
        with pytest.raises(KeyboardInterrupt):
            remember(state, 0.1, kept)
        assert names_in(state) == left
        assert not list(state.glob("int8/*"))


@pytest.mark.parametrize("spoilt", [".onnx", ".json"])
def test_a_kept_form_is_found_only_where_it_is_what_its_manifest_says(
    tmp_path: Path, form: KeptForm, spoilt: str
) -> None:
    kept_forms.keep(tmp_path, form)
    assert kept_forms.find(tmp_path, form.name) == replace(form, manifest={"file": form.name, **form.manifest})
    assert kept_forms.find(tmp_path, named(form, "1").name) is None
    (tmp_path / form.file).with_suffix(spoilt).write_bytes(b"{}")
    assert kept_forms.find(tmp_path, form.name) is None


def test_the_name_of_a_form_tells_what_it_was_made_of_and_fits_any_disk() -> None:
    name = kept_forms.name_of(Path("/models/forklifts v2.onnx"), {"source": "a"})
    assert re.fullmatch(r"forklifts_v2-int8-[0-9a-f]{16}\.onnx", name)
    assert name != kept_forms.name_of(Path("/models/forklifts v2.onnx"), {"source": "b"})
    assert len(kept_forms.name_of(Path("ä" * 120 + ".onnx"), {}).encode()) < 200


def test_the_name_of_a_form_tells_by_which_anchors_it_was_judged(
    tmp_path: Path, squares: Path, detector: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_of: list[Any] = []

    def name_of(_source: Path, told: Any) -> str:
        made_of.append(told)
        raise ModelError("that is all")

    monkeypatch.setattr(kept_forms, "name_of", name_of)
    teacher = load_vision(ModelSettings(path=detector))
    agreement, folder = Agreement(teacher, square_pictures(8), SQUARES.labels), tmp_path / "elsewhere"
    folder.mkdir()
    for path, text in (
        (squares / "a.txt", "0 0 1 1"),
        (folder / "b.csv", "0, 0, 1, 1"),
        (squares / "a.txt", "0 0 1 2"),
    ):
        path.write_text(text)
        model = ModelSettings(path=detector, anchors=path)
        with contextlib.closing(MAKER(tuned.order_of(model, SQUARES, tmp_path, "squares"), teacher, silent)) as own:
            assert own.make(square_pictures(8), square_pictures(8), agreement) == []
            assert own.said == "no INT8 form was tried: that is all"
    first, elsewhere, other = made_of
    assert first == elsewhere != other


def test_who_changes_what_is_remembered_is_alone_with_it(tmp_path: Path) -> None:
    with Choices(tmp_path / "tuned.json").alone():
        other = os.open(tmp_path, os.O_RDONLY)
        with pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(other)
    (tmp_path / "file").write_text("no folder")
    with (
        pytest.raises(StorageError, match=r"tuned\.json cannot be written: "),
        Choices(tmp_path / "file" / "tuned.json").alone(),
    ):
        pass


@pytest.fixture(autouse=True)
def _log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
