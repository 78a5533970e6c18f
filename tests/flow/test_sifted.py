"""Box filters and nuisances as the program has them: in a replay, in health, and over a restart."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import program
import pytest
from brokers import Listener, Mosquitto, needs_mosquitto, until
from program import LOOP, PATIENCE_S, ROOT, SOON_S, camera, run_program, wait_for_new, write_config

from edge_agent import geometry
from edge_agent.clips import PEDESTRIANS
from edge_agent.edges.clock import SystemClock
from edge_agent.edges.notebook import Notebook
from edge_agent.records import FloatArray
from edge_agent.stages.nuisance.learnt import Learnt
from edge_agent.tools.nuisance import FILE

STOP_S = 5.0
LEFT = [[0.0, 0.0], [0.5, 0.0], [0.5, 1.0], [0.0, 1.0]]


def events(folder: Path, filters: dict[str, Any]) -> list[dict[str, Any]]:
    """What a replay of the built-in clip says with these filters."""
    settings = {"device": {"id": program.DEVICE}, "cameras": [camera(detect={"filters": filters})]}
    done = run_program("replay", PEDESTRIANS, "-c", write_config(folder / "c.yaml", settings), cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    return [program.check_event(json.dumps(json.loads(line)["payload"]).encode()) for line in done.stdout.splitlines()]


def boxes(said: list[dict[str, Any]]) -> FloatArray:
    return np.array([event["object"]["box"] for event in said], np.float32)


@pytest.fixture(scope="module")
def unfiltered(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    return events(tmp_path_factory.mktemp("plain"), {})


def test_nobody_smaller_than_is_asked_for_is_spoken_of(tmp_path: Path, unfiltered: list[dict[str, Any]]) -> None:
    heights = boxes(unfiltered)[:, 3] - boxes(unfiltered)[:, 1]
    assert heights.min() < 0.13 < heights.max()
    filtered = boxes(events(tmp_path, {"person": {"min_height": 0.13}}))
    assert len(filtered) > 5
    assert (filtered[:, 3] - filtered[:, 1]).min() > 0.13 - 1e-3


def test_nobody_is_spoken_of_where_nobody_may_stand(tmp_path: Path, unfiltered: list[dict[str, Any]]) -> None:
    def left(said: list[dict[str, Any]]) -> int:
        found = boxes(said)
        feet = [geometry.bottom_centre(tuple(box)) for box in found.tolist()]
        return sum(x < 0.5 - 1e-3 for x, _y in feet)

    assert left(unfiltered) > 5
    for filters in ({"without": [LEFT]}, {"within": [[[0.5, 0.0], [1.0, 0.0], [1.0, 1.0], [0.5, 1.0]]]}):
        filtered = events(tmp_path, {"person": filters})
        assert len(filtered) > 5
        assert left(filtered) == 0


def test_a_filter_for_what_all_are_changes_nothing(tmp_path: Path, unfiltered: list[dict[str, Any]]) -> None:
    def told(said: list[dict[str, Any]]) -> list[Any]:
        return [(event["event_type"], event["object"], event["time"]) for event in said]

    anything = {"min_area": 1e-6, "max_ratio": 50, "within": [[[0, 0], [1, 0], [1, 1], [0, 1]]]}
    assert told(events(tmp_path, {"person": anything})) == told(unfiltered)


@needs_mosquitto
def test_health_counts_what_filters_took_and_shows_what_was_learnt_before_the_restart(
    tmp_path: Path, broker: Mosquitto, news: Listener
) -> None:
    content = Learnt.nothing(("person",)).to_json()
    content["watched_s"] = 36_000
    content["false"]["person"]["0"] = 20
    notebook = Notebook(tmp_path / "state" / FILE, SystemClock())
    notebook.keep(1, lambda: {"front": content, "gone": content}, at_once=True)
    front = camera(detect={"filters": {"person": {"min_height": 0.13}}}, **LOOP)
    with program.running(tmp_path, front, mqtt={"url": broker.url}) as agent:
        wait_for_new(news)

        def taken() -> int:
            return int(health(news)["filtered"]["person"]["min_height"])

        until(lambda: news.payloads(f"{ROOT}/health") and taken() > 5, within_s=PATIENCE_S)
        assert health(news)["nuisance"] == [
            {"label": "person", "box": [0.0, 0.0, 0.0312, 0.0556], "times": 20.0, "per_hour": 2.0, "passed": 0.0}
        ]
        until(lambda: len(program.objects(program.events_in(news.heard), "end")) > 2, within_s=SOON_S)
        assert agent.stop(within_s=STOP_S) == 0
    pages = notebook.read()
    assert set(pages) == {"front"}
    kept = Learnt.from_json(pages["front"].content)
    assert kept.watched_s > 36_000
    assert float(kept.passed["person"].sum()) > 5  # who walked by since


@needs_mosquitto
def test_a_damaged_file_is_said_and_hinders_nothing(tmp_path: Path, broker: Mosquitto, news: Listener) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / FILE).write_text("torn")
    with program.running(tmp_path, camera(**LOOP), mqtt={"url": broker.url}) as agent:
        wait_for_new(news)
        until(lambda: f"{FILE} is not understood, and counts as empty" in agent.log, within_s=SOON_S)
        until(lambda: program.objects(program.events_in(news.heard), "end"), within_s=SOON_S)
        assert agent.stop(within_s=STOP_S) == 0
    assert set(Notebook(tmp_path / "state" / FILE, SystemClock()).read()) == {"front"}


def health(news: Listener) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(news.payloads(f"{ROOT}/health")[-1])["cameras"]["front"]
    return report
