"""The command that proposes what to leave out: from what the agent has written, or from a clip; and it works."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from builders import detections_of, frame_of
from data import shared_data
from fakes import FakeClock
from program import camera, write_config

from edge_agent import config, reports
from edge_agent.cli.main import main
from edge_agent.clips import PEDESTRIANS
from edge_agent.edges.clock import SystemClock
from edge_agent.edges.notebook import Notebook
from edge_agent.edges.sources.supervised import CaptureStatus
from edge_agent.edges.triggers.trigger import TriggerStatus
from edge_agent.edges.turns import LooksStatus
from edge_agent.health import Meter
from edge_agent.stages.detect.filters import Filters
from edge_agent.stages.nuisance.learnt import COLUMNS, HALF_LIFE_S, ROWS, Learnt
from edge_agent.stages.track.tracker import Scene
from edge_agent.tools.nuisance import FILE, map_of

CORNER = [[0.0, 0.0], [0.1, 0.0], [0.0, 0.1]]
BUSH_CELL = 9 * COLUMNS + 11  # of 320x180 pixels 110..120, 90..100


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def configure(folder: Path, *cameras: dict[str, Any]) -> Path:
    outbox = {"path": str(folder / "state" / "outbox.db")}
    return write_config(folder / "c.yaml", {"device": {"id": "box"}, "cameras": cameras, "outbox": outbox})


def write_learnt(folder: Path, **contents: Any) -> None:
    """What an agent has learnt an instant ago, by camera."""
    Notebook(folder / "state" / FILE, SystemClock()).keep(1, lambda: contents, at_once=True)


def learnt(label: str = "person", *, times: float = 34, passed: float = 0, hours: float = 40) -> dict[str, Any]:
    content = Learnt.nothing((label,)).to_json()
    content["watched_s"] = hours * 3600
    content["false"][label][str(BUSH_CELL)] = times
    content["passed"][label][str(BUSH_CELL)] = passed
    return content


def printed(capsys: pytest.CaptureFixture[str], *arguments: str | Path, code: int = 0) -> str:
    assert main([str(one) for one in arguments]) == code
    out, err = capsys.readouterr()
    assert err == ""
    return out


def test_before_anything_was_learnt_it_says_so(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = configure(folder, camera("left"), camera("right"))
    assert printed(capsys, "nuisance", "-c", file) == (
        "# left: nothing was learnt yet\n# right: nothing was learnt yet\n"
    )
    assert printed(capsys, "nuisance", "-c", file, "--camera", "right") == "# right: nothing was learnt yet\n"


def test_what_is_proposed_can_be_pasted_and_takes_the_boxes_that_stand_there(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    front = camera("front", detect={"filters": {"person": {"without": [CORNER]}}})
    file = configure(folder, front, camera("7-up"))
    write_learnt(folder, front=learnt())
    text = printed(capsys, "nuisance", "-c", file)
    assert text == (
        "# front: one place cries wolf; watched for 40 h\n"
        "# 7-up: nothing was learnt yet\n"
        "cameras:\n"
        "  - id: front\n"
        "    detect:\n"
        "      filters:\n"
        "        person:\n"
        "          without:\n"
        "            - [[0, 0], [0.1, 0], [0, 0.1]]\n"
        "            # person, 0.34 to 0.38 across, 0.50 to 0.56 down: 34 times wrong, 0.85 an hour; "
        "no real one has passed there\n"
        "            - [[0.3438, 0.5], [0.375, 0.5], [0.375, 0.5556], [0.3438, 0.5556]]\n"
    )
    pasted = yaml.safe_load(text)["cameras"][0] | {"source": "file://a.mp4"}
    settings = config.load(configure(folder, pasted), {})
    filters = Filters(settings.cameras[0].detect.filters)
    bush, beside = (105.0, 50.0, 125.0, 95.0), (125.0, 50.0, 145.0, 95.0)
    left = filters.sift(detections_of(bush, beside), frame_of(size=(320, 180)))
    assert left.boxes.tolist() == [list(beside)]


def test_it_says_what_would_be_lost_and_is_silent_where_too_many_walk(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = configure(folder, camera("front"))
    write_learnt(folder, front=learnt(passed=2))
    assert "34 times wrong, 0.85 an hour; at least 2 real ones passed there\n" in printed(
        capsys, "nuisance", "-c", file
    )
    write_learnt(folder, front=learnt(passed=8))  # 34 - 4 * 8
    assert printed(capsys, "nuisance", "-c", file) == "# front: no place cries wolf; watched for 40 h\n"
    assert "one place cries wolf" in printed(capsys, "nuisance", "-c", file, "--least", "2")


def test_as_json_it_is_all_that_is_known(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = configure(folder, camera("front"))
    write_learnt(folder, front=learnt())
    told = json.loads(printed(capsys, "nuisance", "-c", file, "--json"))
    [one] = told["front"].pop("nuisances")
    assert told["front"]["watched_s"] == pytest.approx(40 * 3600, rel=1e-3)
    assert (one["label"], one["times"], one["per_hour"], one["passed"]) == ("person", 34.0, 0.85, 0.0)
    assert one["box"] == [11 / COLUMNS, 9 / ROWS, 12 / COLUMNS, 10 / ROWS]
    assert len(one["outline"]) == 4


def test_what_is_damaged_counts_as_nothing_and_is_said(
    folder: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    file = configure(folder, camera("front"), camera("back"))
    write_learnt(folder, front={"grid": "torn"}, back=learnt(hours=2))
    told = printed(capsys, "nuisance", "-c", file).splitlines()
    assert told[:2] == ["# front: nothing was learnt yet", "# back: one place cries wolf; watched for 2 h"]
    assert 'camera "front": what was learnt of its places counts as nothing' in caplog.text


def test_health_shows_the_three_worst() -> None:
    content = learnt()
    content["false"]["person"] = {str(2 * cell): 6 + cell for cell in range(5)}
    meter, status = Meter(FakeClock().monotonic_s), CaptureStatus(state="streaming", reason="", since_utc_ns=0)
    what, scene = Learnt.from_json(content), Scene(held=True, changes=2)
    told = reports.camera_health(status, TriggerStatus(), LooksStatus(), meter, taken={}, scene=scene, learnt=what)
    assert told["scene_change"] == {"held": True, "count": 2}
    assert [one["times"] for one in told["nuisance"]] == [10.0, 9.0, 8.0]
    assert told["nuisance"][0]["box"] == [8 / COLUMNS, 0.0, round(9 / COLUMNS, 4), round(1 / ROWS, 4)]


@pytest.mark.parametrize(("days", "times"), [(0, 34.0), (7, 17.0), (-7, 34.0)])
def test_what_was_written_ages_until_it_is_read_and_grows_no_younger(days: float, times: float, tmp_path: Path) -> None:
    clock = FakeClock()
    notebook = Notebook(tmp_path / FILE, clock)
    notebook.keep(1, lambda: {"front": learnt()}, at_once=True)
    clock.advance(days / 7 * HALF_LIFE_S)
    one = map_of("front", ("person",), notebook.read(), clock)
    assert one.learnt.false["person"].max() == pytest.approx(times, rel=1e-3)


def test_a_clip_is_learnt_from_and_forgotten(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = configure(folder, camera("front"))
    told = printed(capsys, "nuisance", "-c", file, "--clip", PEDESTRIANS)
    assert told == "# front: no place cries wolf; watched for 24.9 s\n"
    assert not (folder / "state" / FILE).exists()


def test_a_cat_that_is_none_is_found_in_a_real_clip(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clip = shared_data("video/one-by-one-person-detection.mp4")
    labels = ["person", "chair", "car", "tv", "dog", "cat", "bicycle", "truck"]
    thresholds = dict.fromkeys(labels, 0.3)
    file = configure(folder, camera("front", detect={"labels": labels, "thresholds": thresholds}))
    arguments = ("nuisance", "-c", file, "--clip", clip, "--least", "3", "--json")
    found = json.loads(printed(capsys, *arguments))["front"]["nuisances"]
    assert ("cat", 0.0) in [(one["label"], one["passed"]) for one in found]


@pytest.mark.parametrize("least", ["0", "-1", "nan", "inf", "often"])
def test_how_often_must_be_a_number(folder: Path, capsys: pytest.CaptureFixture[str], least: str) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["nuisance", "-c", str(configure(folder, camera())), "--least", least])
    assert "must be a number of at least 1" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("--camera", "nope"), 78, "edge-agent: --camera nope: no such camera; there are: front"),
        (("--clip", "nope.mp4"), 69, "edge-agent: file://nope.mp4 cannot be opened: no such file"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], code: int, says: str
) -> None:
    assert main(["nuisance", "-c", str(configure(folder, camera("front"))), *arguments]) == code
    assert capsys.readouterr() == ("", f"{says}\n")
