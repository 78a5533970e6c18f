"""What suits a machine: how it is chosen from what was measured, what is kept, and what is remembered."""

from __future__ import annotations

import json
import logging
import math
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data import shared_data
from hypothesis import given
from hypothesis import strategies as st
from onnx_files import write_model
from program import camera, write_config

from edge_agent import app, clips, pixels
from edge_agent.cli.main import main
from edge_agent.config import Settings
from edge_agent.edges import host
from edge_agent.edges.choices import MOST, Choice, Choices, Pace
from edge_agent.edges.inference import ModelSettings
from edge_agent.errors import ModelError, SourceError, StorageError
from edge_agent.records import Frame
from edge_agent.tools import calibration_pictures, tuned
from edge_agent.tools.agreement import Agreement
from edge_agent.tools.candidates import LEAST_GAIN, Order, Trial, cheapest, least_things
from edge_agent.tools.threads import USED, Demand, chosen, keeps_up
from edge_agent.tools.tuning import Sized, Tuned, tune
from edge_agent.vision import load_vision

PERSONS = Demand(labels=("person",), looks_hz=5, rate_hz=5)
CONFIGURED = Trial(settings=ModelSettings(), name="whole", input_size=(416, 256), loss=0.0)


def trial(name: str, share: float, loss: float | None, problem: str = "") -> Trial:
    return replace(CONFIGURED, settings=ModelSettings(), name=name, share=share, loss=loss, problem=problem)


# Which form


@pytest.mark.parametrize(
    ("others", "max_loss", "best"),
    [
        ((), 1.0, "whole"),
        ((trial("a", 0.5, 0.1), trial("b", 0.7, 0.02)), 0.03, "b"),
        ((trial("a", 0.5, 0.1), trial("b", 0.7, 0.02)), 0.1, "a"),
        ((trial("a", 0.5, 0.1),), 0.0, "whole"),
        ((trial("a", 0.5, None),), 1.0, "whole"),  # nothing is known of its loss
        ((trial("a", 0.1, 0.0, "broken"),), 1.0, "whole"),
        ((trial("a", LEAST_GAIN, 0.0),), 1.0, "whole"),
    ],
)
def test_the_cheapest_that_loses_no_more_than_is_allowed(others: tuple[Trial, ...], max_loss: float, best: str) -> None:
    assert cheapest([CONFIGURED, *others], max_loss, things=1000).name == best


@pytest.mark.parametrize(("max_loss", "least"), [(1.0, 3), (0.05, 60), (0.03, 100), (0.0, math.inf)])
def test_with_few_things_to_be_found_no_loss_can_be_told(max_loss: float, least: float) -> None:
    assert least_things(max_loss) == least
    forms = [CONFIGURED, trial("a", 0.5, 0.0)]
    assert cheapest(forms, max_loss, things=int(min(least, 1e9)) - 1).name == "whole"
    assert cheapest(forms, max_loss, things=int(min(least, 1e9))).name == ("a" if max_loss else "whole")


# How many threads


def pace(threads: int, wall_ms: float, cpu_ms: float | None = None) -> Pace:
    return Pace(threads=threads, wall_ms=wall_ms, cpu_ms=wall_ms * threads if cpu_ms is None else cpu_ms)


PACES = (pace(1, 120), pace(2, 70), pace(4, 50))
"""On four processors they look 33, 28 and 20 times a second at most; six tenths of that are 20, 17 and 12."""


@pytest.mark.parametrize(
    ("looks_hz", "rate_hz", "threads"),
    [
        (5, 5, 1),
        (19.9, 5, 1),
        (20.1, 5, 1),  # none is enough: the one that looks most often
        (5, 10, 2),  # 120 ms are later than the next look
        (10, 20, 4),
        (17, 10, 2),
        (18, 10, 1),
    ],
)
def test_as_few_threads_as_keep_up(looks_hz: float, rate_hz: float, threads: int) -> None:
    assert chosen(PACES, Demand(labels=(), looks_hz=looks_hz, rate_hz=rate_hz), cores=4).threads == threads


@given(
    walls_ms=st.lists(st.floats(0.1, 1000), min_size=1, max_size=4),
    looks_hz=st.floats(0.1, 100),
    share=st.floats(0.01, 1),
    cores=st.integers(1, 8),
)
def test_whatever_keeps_up_is_preferred_to_what_does_not(
    walls_ms: list[float], looks_hz: float, share: float, cores: int
) -> None:
    paces = [pace(threads, wall_ms) for threads, wall_ms in enumerate(walls_ms, start=1)]
    demand = Demand(labels=(), looks_hz=looks_hz, rate_hz=looks_hz * share)
    best = chosen(paces, demand, cores)
    enough = [one for one in paces if keeps_up(one, demand, cores)]
    assert keeps_up(best, demand, cores) == bool(enough)
    assert not enough or best.cpu_ms == min(one.cpu_ms for one in enough)
    if keeps_up(best, demand, cores):
        assert demand.looks_hz * best.wall_ms / 1000 <= USED * max(1, cores // best.threads) + 1e-9


# What is remembered

CHOICE = Choice(file=None, sha256="", input_size=(320, 192), provider="CPUExecutionProvider", paces=PACES, why="said")


def test_a_choice_is_found_again_for_the_same_facts_only(tmp_path: Path) -> None:
    choices = Choices(tmp_path / "state" / "tuned.json")
    assert choices.find({"a": 1}) is None
    choices.remember({"a": 1}, CHOICE)
    choices.remember({"a": 2}, replace(CHOICE, why="other"))
    choices.remember({"a": 1}, replace(CHOICE, why="anew"))
    again = Choices(tmp_path / "state" / "tuned.json")
    assert again.find({"a": 1}) == replace(CHOICE, why="anew")
    assert again.find({"a": 2}) == replace(CHOICE, why="other")
    assert again.find({"a": 3}) is None
    assert [path.name for path in (tmp_path / "state").iterdir()] == ["tuned.json"]


def test_the_newest_are_remembered(tmp_path: Path) -> None:
    choices = Choices(tmp_path / "tuned.json")
    for number in range(MOST + 2):
        choices.remember({"number": number}, CHOICE)
    assert [choices.find({"number": number}) is not None for number in range(MOST + 2)] == [False] * 2 + [True] * MOST


def written(**changes: Any) -> str:
    """A file with a choice for nothing, of which one number is another."""
    choice = {**asdict(CHOICE), "paces": [{"threads": 1, "cpu_ms": 1.0, "wall_ms": 1.0, **changes}]}
    return json.dumps({"schema": 1, "choices": [{"for": {}, "choice": choice}]})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"schema": 1}',
        '{"schema": 1, "choices": [{"for": {}, "choice": {}}]}',
        '{"schema": 1, "choices": 7}',
        '{"schema": 2, "choices": []}',
        written(threads=0),
        written(wall_ms=0),
        written(wall_ms=None),
        written(cpu_ms="much"),
        written(threads=math.inf),
    ],
)
def test_a_damaged_file_counts_as_empty_and_is_written_anew(tmp_path: Path, text: str) -> None:
    (tmp_path / "tuned.json").write_text(text)
    choices = Choices(tmp_path / "tuned.json")
    assert choices.find({}) is None
    choices.remember({}, CHOICE)
    assert choices.find({}) == CHOICE


def test_a_choice_that_cannot_be_written_is_said_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("no folder")
    with pytest.raises(StorageError, match=r"tuned\.json cannot be written: (Not a directory|File exists)"):
        Choices(tmp_path / "state" / "tuned.json").remember({}, CHOICE)


# Real models

Take = Callable[[Callable[[Frame], Sized]], Iterable[Sized]]


def of_clip(most: int = 12) -> Take:
    """So many pictures of the built-in clip."""
    return lambda picture: calibration_pictures.of_recording(
        app.open_recording(clips.PEDESTRIANS).frames(), picture, most
    )


def silent(_words: str) -> None:
    """Says nothing."""


def tuned_by(max_loss: float, demand: Demand = PERSONS, *, pictures: int = 12, **model: Any) -> Tuned:
    order = tuned.order_of(ModelSettings(max_loss=max_loss, **model), demand, None, "a clip")
    return tune(order, of_clip(pictures), silent)


def test_whatever_may_be_lost_makes_the_picture_as_small_as_can_be() -> None:
    found = tuned_by(1.0)
    assert [one.input_size for one in found.trials] == [(416, 256), (192, 128), (256, 160), (320, 192), (352, 224)]
    assert all(not one.problem for one in found.trials)
    assert found.things >= 20
    assert (found.trials[0].loss, found.trials[0].share) == (0.0, 1.0)
    # A quarter of the pixels: what lies between is fixed cost.
    assert found.best.input_size == found.choice.input_size == (192, 128)
    assert found.best.share < 0.6
    assert (found.choice.file, found.choice.provider) == (None, found.trials[0].provider)
    assert found.choice.paces[0].threads == 1
    assert len(found.choice.paces) == sum(count <= host.cpu_count() for count in (1, 2, 3, 4, 6, 8))


def test_where_nothing_may_be_lost_the_model_stays_as_it_is_configured() -> None:
    found = tuned_by(0.0)
    assert found.best is found.trials[0]
    assert found.choice.input_size == (416, 256)
    assert found.choice.why == f"as configured, for {found.things} things are too few to tell a loss of 0"
    little = tuned_by(0.03, pictures=24)
    assert little.best is little.trials[0]
    assert little.choice.why == "as configured, for nothing cheaper loses at most 0.03"


def test_what_a_configuration_says_is_kept() -> None:
    found = tuned_by(1.0, input=(320, 192), threads=2)
    assert [one.input_size for one in found.trials] == [(320, 192)]
    assert [one.threads for one in found.choice.paces] == [2]


def test_of_what_the_pictures_do_not_show_no_loss_is_known_and_nothing_is_made_smaller() -> None:
    found = tuned_by(1.0, replace(PERSONS, labels=("cow",)))
    assert found.things == 0
    assert {one.loss for one in found.trials} == {None}
    assert found.choice.input_size == (416, 256)


def test_a_model_of_one_size_is_measured_as_it_is() -> None:
    found = tuned_by(1.0, name="ssdlite")
    assert [one.input_size for one in found.trials] == [(300, 300)]
    assert found.best is found.trials[0]


def test_another_form_is_taken_where_it_is_cheaper_and_agrees() -> None:
    models = shared_data("models")
    order = Order(
        model=ModelSettings(path=models / "nanodet_g_coco_fp32.onnx", input=(416, 256), max_loss=0.2),
        is_set=frozenset({"path", "input"}),
        demand=PERSONS,
        max_loss=0.2,
        pictures_of="a clip",
        others=(models / "nanodet_g_coco_int8.onnx", models / "ssd_anchors.npy", models / "yolox_nano.onnx"),
    )
    found = tune(order, of_clip(), silent)
    own, int8, text, yolox = found.trials
    assert (own.name, own.loss) == ("nanodet_g_coco_fp32.onnx", 0.0)
    assert int8.loss is not None
    assert 0 <= int8.loss < 0.2
    assert "onnxruntime cannot load it" in text.problem
    assert "its input is fixed at [416, 416], model.input asks for [416, 256]" in yolox.problem
    assert found.best is (int8 if int8.share < LEAST_GAIN else own)
    assert found.choice.file == (str(int8.settings.path) if found.best is int8 else None)


def test_a_form_that_answers_nonsense_is_not_chosen(tmp_path: Path) -> None:
    shape = load_vision(ModelSettings()).infer(np.zeros((1, 3, 256, 416), np.float32))
    sides = {f"side_{at}": one * 0 + 1 for at, one in enumerate(shape) if one.shape[2] == 44}
    classes = {f"cls_{at}": np.full_like(one, 0.1) for at, one in enumerate(shape) if one.shape[2] == 80}
    deaf = write_model(tmp_path / "deaf.onnx", {**classes, **sides}, picture=(1, 3, 256, 416), slope=0)
    order = tuned.order_of(ModelSettings(max_loss=1.0), PERSONS, None, "a clip", (deaf,))
    found = tune(order, of_clip(), silent)
    assert found.trials[-1].problem.endswith("it answers any picture alike")
    assert found.best.input_size == (192, 128)


def test_a_smaller_picture_is_held_against_the_same_things() -> None:
    whole, small = load_vision(ModelSettings()), load_vision(ModelSettings(input=(320, 192)))
    pictures = list(
        of_clip(6)(lambda frame: {size: pixels.to_bgr(frame, *size) for size in (whole.input_size, small.input_size)})
    )
    agreement = Agreement(whole, [one[whole.input_size] for one in pictures], ("person",))
    own = agreement.measure(whole)
    smaller = agreement.measure(small, [one[small.input_size] for one in pictures])
    assert own == 1.0
    assert 0.5 < smaller < 1.0  # far from nothing, which boxes in other pixels would give
    assert Agreement(whole, [one[whole.input_size] for one in pictures], ("cow",)).things == 0


# At the start of an agent


def no_pictures() -> Iterator[Frame | None]:
    raise AssertionError("pictures were asked for")


def counted_frames(opened: list[int]) -> tuned.Frames:
    def frames() -> Iterator[Frame | None]:
        opened.append(1)
        return iter(app.open_recording(clips.PEDESTRIANS).frames())

    return frames


def test_it_is_measured_at_the_first_start_and_remembered_for_those_that_follow(tmp_path: Path) -> None:
    model, opened = ModelSettings(max_loss=1.0), list[int]()
    first, why = tuned.tuned_model(model, PERSONS, tmp_path, counted_frames(opened))
    assert (first.input, why) == ((192, 128), tuned.find(model, PERSONS, tmp_path).why)  # type: ignore[union-attr]
    assert tuned.tuned_model(model, PERSONS, tmp_path, no_pictures) == (first, why)
    assert opened == [1]
    # How often cameras look is chosen for anew, without measuring.
    often = replace(PERSONS, looks_hz=1e6, rate_hz=1e6)
    assert tuned.tuned_model(model, often, tmp_path, no_pictures)[0].input == (192, 128)


@pytest.mark.parametrize(
    ("model", "demand"),
    [
        (ModelSettings(max_loss=0.9), PERSONS),
        (ModelSettings(max_loss=1.0, threshold=0.5), PERSONS),
        (ModelSettings(max_loss=1.0, name="ssdlite"), PERSONS),
        (ModelSettings(max_loss=1.0), replace(PERSONS, labels=("car", "person"))),
    ],
)
def test_another_model_other_settings_and_other_labels_are_measured_by_themselves(
    tmp_path: Path, model: ModelSettings, demand: Demand
) -> None:
    tuned.remember(ModelSettings(max_loss=1.0), PERSONS, tmp_path, CHOICE)
    assert tuned.find(ModelSettings(max_loss=1.0), PERSONS, tmp_path) == CHOICE
    assert tuned.find(model, demand, tmp_path) is None


def test_other_anchors_are_measured_by_themselves_wherever_their_file_lies(tmp_path: Path) -> None:
    model, anchors = tmp_path / "model.onnx", tmp_path / "anchors.txt"
    model.write_bytes(b"a model")
    anchors.write_text("0 0 1 1\n")
    settings = ModelSettings(path=model, anchors=anchors, max_loss=1.0)
    tuned.remember(settings, PERSONS, tmp_path, CHOICE)
    copy = tmp_path / "copy.txt"
    copy.write_text("0, 0, 1, 1")
    assert tuned.find(settings, PERSONS, tmp_path) == CHOICE
    assert tuned.find(settings.model_copy(update={"anchors": copy}), PERSONS, tmp_path) == CHOICE
    for other in ({"anchors": None}, {"anchor_form": "yxyx"}, {"box_scales": (1.0,) * 4}, {"activation": "softmax"}):
        assert tuned.find(settings.model_copy(update=other), PERSONS, tmp_path) is None
    anchors.write_text("0 0 1 2\n")
    assert tuned.find(settings, PERSONS, tmp_path) is None
    anchors.unlink()
    with pytest.raises(
        ModelError, match=r"anchors\.txt cannot be read: No such file or directory; check model\.anchors"
    ):
        tuned.find(settings, PERSONS, tmp_path)


def test_another_processor_is_measured_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = ModelSettings(max_loss=1.0)
    tuned.remember(model, PERSONS, tmp_path, CHOICE)
    monkeypatch.setattr(host, "cpu_count", lambda: 99)
    assert tuned.find(model, PERSONS, tmp_path) is None


def test_without_a_loss_that_is_allowed_nothing_is_looked_up(tmp_path: Path) -> None:
    (tmp_path / tuned.FILE).write_text("{")
    assert tuned.tuned_model(ModelSettings(), PERSONS, tmp_path, no_pictures) == (ModelSettings(), None)


def test_a_form_whose_file_is_gone_or_changed_is_not_used_and_nothing_is_tuned_instead(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model, form = ModelSettings(max_loss=1.0), tmp_path / "form.onnx"
    form.write_bytes(b"a form")
    sha256 = "0" * 64
    tuned.remember(model, PERSONS, tmp_path, replace(CHOICE, file=str(form), sha256=sha256))
    assert tuned.tuned_model(model, PERSONS, tmp_path, no_pictures) == (model, tuned.LOST)
    form.unlink()
    assert tuned.tuned_model(model, PERSONS, tmp_path, no_pictures) == (model, tuned.LOST)
    assert [f"for {form}, which was chosen for this machine, is gone or damaged" in one for one in caplog.messages] == [
        True,
        True,
    ]


def test_a_choice_takes_the_place_of_what_is_left_out_only() -> None:
    cores = host.cpu_count()
    once = tuned.applied(ModelSettings(max_loss=1.0), CHOICE, PERSONS)
    assert (once.input, once.provider) == ((320, 192), "CPUExecutionProvider")
    assert once.threads == chosen(PACES, PERSONS, cores).threads
    said = ModelSettings(max_loss=1.0, threads=3, input=(96, 96), require_provider="CPUExecutionProvider")
    assert tuned.applied(said, CHOICE, PERSONS) == said
    other = tuned.applied(ModelSettings(name="default", max_loss=1.0), replace(CHOICE, file="/form.onnx"), PERSONS)
    assert (other.path, other.name) == (Path("/form.onnx"), None)


def test_pictures_that_cannot_be_read_and_a_full_disk_are_no_reason_not_to_start(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> Iterator[Frame | None]:
        raise SourceError("the clip cannot be read")

    model = ModelSettings(max_loss=1.0)
    assert tuned.tuned_model(model, PERSONS, tmp_path, broken) == (model, None)
    assert caplog.messages[-1] == "the model is used as it is configured: the clip cannot be read"
    (tmp_path / "full").write_text("no folder")
    assert tuned.tuned_model(model, PERSONS, tmp_path / "full", counted_frames([])) == (model, None)
    assert re.search("as it is configured: .*tuned.json cannot be written: ", caplog.messages[-1])


def test_a_choice_whose_provider_is_gone_is_said_and_the_model_is_used_as_configured(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = settings_in(tmp_path)
    gone = replace(CHOICE, provider="OpenVINOExecutionProvider")
    tuned.remember(settings.model, app.demand_of(settings), tmp_path / "state", gone)
    vision = app.load_model(settings)
    assert (vision.input_size, vision.tuned) == ((416, 256), tuned.UNUSABLE)
    assert "OpenVINOExecutionProvider is not in this onnxruntime" in caplog.messages[-1]
    tuned.remember(settings.model, app.demand_of(settings), tmp_path / "state", CHOICE)
    vision = app.load_model(settings)
    assert (vision.input_size, vision.tuned, vision.provider_why) == ((320, 192), "said", tuned.CHOSEN)


def test_labels_are_those_of_all_cameras_and_rates_those_of_cameras_that_look(tmp_path: Path) -> None:
    off = {**camera("back"), "enabled": False, "detect": {"labels": ["car"], "rate_hz": 20}}
    demand = app.demand_of(settings_in(tmp_path, {**camera("front"), "detect": {"rate_hz": 2}}, off))
    assert demand == Demand(labels=("car", "person"), looks_hz=2, rate_hz=2)
    assert app.demand_of(settings_in(tmp_path, off)).rate_hz == 20


def settings_in(folder: Path, *cameras: dict[str, Any]) -> Settings:
    """A configuration that allows everything, with its state in that folder."""
    return Settings.model_validate(
        {
            "device": {"id": "box"},
            "model": {"max_loss": 1.0},
            "outbox": {"path": str(folder / "state" / "outbox.sqlite")},
            "cameras": list(cameras) or [camera("front")],
        }
    )


# The command


def config(folder: Path, **model: Any) -> Path:
    return write_config(
        folder / "agent.yaml",
        {
            "device": {"id": "box"},
            "model": model,
            "outbox": {"path": str(folder / "state" / "outbox.sqlite")},
            "cameras": [camera("front")],
        },
    )


def test_the_command_measures_prints_and_remembers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = config(tmp_path, max_loss=1.0)
    assert main(["tune", "-c", str(path), "--pictures", "8", "--json"]) == 0
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert found["choice"]["input_size"] == [192, 128]
    assert found["trials"][0]["input"] == [416, 256]
    assert err.endswith(f"remembered in {tmp_path / 'state' / 'tuned.json'}\n")
    vision = app.load_model(settings_in(tmp_path))
    assert (vision.input_size, vision.tuned) == ((192, 128), found["choice"]["why"])
    assert main(["replay", str(clips.PEDESTRIANS), "-c", str(path), "--events", str(tmp_path / "small")]) == 0
    whole = config(tmp_path)
    assert main(["replay", str(clips.PEDESTRIANS), "-c", str(whole), "--events", str(tmp_path / "whole")]) == 0
    assert boxes_in(tmp_path / "small") != boxes_in(tmp_path / "whole")


def boxes_in(path: Path) -> list[Any]:
    """Where objects were, in all events of a replay: what a smaller picture changes, and an identifier does not."""
    return [json.loads(line)["payload"]["object"]["box"] for line in path.read_text().splitlines()]


def test_a_table_says_what_was_measured_and_how_to_write_it_by_hand(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = config(tmp_path, threshold=0.3)
    assert main(["tune", "-c", str(path), "--camera", "front", "--max-loss", "0", "--pictures", "4", "--dry-run"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith("are the truth; at most 0 may be lost")
    assert lines[3].split()[:2] == ["default", "416x256"]
    assert lines[-2].startswith("default: as configured, for ")
    assert lines[-1].startswith("the same by hand: model: {threshold: 0.3, input: [416, 256], provider: ")
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--camera", "back"), 78, "edge-agent: --camera back: no such camera; there are: front"),
        (("--from", "absent.mp4"), 69, "edge-agent: file://absent.mp4 cannot be opened: no such file"),
        (
            ("--from", "empty"),
            69,
            "edge-agent: images://empty holds no picture (.bmp .jpeg .jpg .pgm .png .ppm .tif .tiff .webp)",
        ),
        (("--with", "nope"), 78, "edge-agent: model 'nope' is not built in; there are: default, ssdlite"),
    ],
)
def test_what_is_wrong_is_one_line(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    code: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    assert main(["tune", "-c", str(config(tmp_path, max_loss=0.1)), *arguments]) == code
    assert capsys.readouterr().err.splitlines()[-1] == said


def test_a_configuration_that_does_not_allow_it_is_told_what_to_say(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = config(tmp_path)
    assert main(["tune", "-c", str(path), "--max-loss", "0.2", "--pictures", "4"]) == 78
    out, err = capsys.readouterr()
    assert "the same by hand" in out
    assert err.splitlines()[-1] == (
        f"edge-agent: nothing is remembered: {path} has to say `model: {{max_loss: 0.2}}`, so that the agent heeds it"
    )
    assert not (tmp_path / "state").exists()


@pytest.fixture(autouse=True)
def _log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
