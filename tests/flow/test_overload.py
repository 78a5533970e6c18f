"""Cameras that want more looks than the machine has: each gets its share, and health says what is given up."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import videos
from brokers import Listener, listening, needs_mosquitto, until
from brokers import running as running_broker
from numpy.typing import NDArray

from edge_agent import app, health
from edge_agent.app import agent, models
from edge_agent.clips import PEDESTRIANS
from edge_agent.config import Settings
from edge_agent.edges.inference import ModelSettings
from edge_agent.vision import Vision, load_vision

pytestmark = needs_mosquitto

PATIENCE_S = 60.0
STOP_S = 10.0
WINDOW_S = 4.0


@dataclass(eq=False)
class SlowModel:
    """A model that takes as long as it is told for a look, and sees nothing."""

    took_s: float
    vision: Vision = field(init=False)
    stopped: threading.Event = field(default_factory=threading.Event)

    def load(self, settings: ModelSettings, state: Path) -> Vision:
        vision = load_vision(settings, state)
        width, height = vision.input_size
        nothing = vision.infer(np.zeros((1, 3, height, width), np.float32))

        def infer(_tensor: NDArray[Any]) -> Sequence[NDArray[Any]]:
            self.stopped.wait(self.took_s)
            return nothing

        return replace(vision, infer=infer)


@contextmanager
def watched(
    folder: Path, model: SlowModel, monkeypatch: pytest.MonkeyPatch, *cameras: dict[str, Any]
) -> Iterator[tuple[Listener, threading.Event, threading.Thread]]:
    """The agent with one place at a slow model, in this process."""
    monkeypatch.setattr(models, "load_vision", model.load)
    monkeypatch.setattr(agent, "places_for", lambda _threads: 1)
    for name, seconds in (("WINDOW_S", WINDOW_S), ("OVERLOAD_BEGINS_S", 4.0), ("OVERLOAD_ENDS_S", 4.0)):
        monkeypatch.setattr(health, name, seconds)
    with running_broker(folder) as broker, listening(broker.port) as news:
        settings = Settings.model_validate(
            {
                "device": {"id": "box"},
                "mqtt": {"url": broker.url},
                "outbox": {"path": folder / "outbox.db"},
                "cameras": [{"source": f"file://{PEDESTRIANS}", "capture": {"loop": True}, **one} for one in cameras],
            }
        )
        stop = threading.Event()
        daemon = threading.Thread(target=app.Agent(settings=settings).run, args=(stop,))
        daemon.start()
        try:
            yield news, stop, daemon
        finally:
            stop.set()
            daemon.join(PATIENCE_S)
    assert not daemon.is_alive()


def report(news: Listener) -> dict[str, Any]:
    """The newest report; nothing before the first."""
    reports = news.payloads("edge/box/health")
    newest: dict[str, Any] = json.loads(reports[-1]) if reports else {"load": {"overloaded": None}}
    return newest


def test_each_camera_gets_its_share_and_health_says_what_is_given_up_until_the_machine_is_fast_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    always = {"gate": {"mode": "off"}}
    cameras = [
        {"id": "left", **always},
        {"id": "right", **always},
        {"id": "heavy", "detect": {"weight": 4}, **always},
        {"id": "idle", "source": f"images://{still_pictures(tmp_path)}", "gate": {"refresh_s": 1, "hold_s": 0}},
    ]
    model = SlowModel(took_s=0.15)  # 6.7 looks a second, and 15 are wanted, and a refresh
    with (
        caplog.at_level(logging.INFO),
        watched(tmp_path, model, monkeypatch, *cameras) as (news, _stop, _agent),
    ):
        until(lambda: report(news)["load"]["overloaded"] is True, within_s=PATIENCE_S)
        told = report(news)
        looked = {name: camera["stages"]["detect"]["calls"] for name, camera in told["cameras"].items()}
        looks = {name: camera["looks"] for name, camera in told["cameras"].items()}
        assert told["load"]["places"] == 1
        assert told["load"]["busy"] > 0.9
        assert looked["left"] == pytest.approx(looked["right"], rel=0.2)
        assert looked["heavy"] > 1.4 * looked["left"]
        assert looked["idle"] >= 2
        assert all(looks[name]["given_up"] > looks[name]["wanted"] / 4 for name in ("left", "right"))
        assert looks["heavy"]["given_up"] < looks["left"]["given_up"]
        # At its first frame, which is an active look, and waits for a second at most; a refresh gives up nothing.
        assert looks["idle"]["given_up"] <= 5
        assert looks["left"]["wait_p50_ms"] > looks["heavy"]["wait_p50_ms"] > 0
        assert all(looks[name]["given_up"] <= told["cameras"][name]["drops"] for name in looks)

        model.took_s = 0.0
        until(lambda: report(news)["load"]["overloaded"] is False, within_s=PATIENCE_S)
        told = report(news)
        assert told["load"]["busy"] < 0.5
        assert told["load"]["since"] > told["cameras"]["left"]["since"]
    [began] = [line for line in caplog.messages if "the machine is too slow" in line]
    assert '"left" ' in began
    assert '"idle" ' not in began
    assert "lower detect.rate_hz" in began
    assert sum("fast enough again" in line for line in caplog.messages) == 1


def still_pictures(folder: Path) -> Path:
    """A folder with the same picture again and again."""
    pictures = folder / "still"
    pictures.mkdir()
    picture = videos.encode_picture(0)
    for index in range(50):
        (pictures / f"{index:03}.jpg").write_bytes(picture)
    return pictures


def test_without_load_nothing_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    cameras = [{"id": name, "gate": {"mode": "off"}, "detect": {"rate_hz": 1}} for name in ("left", "right")]
    model = SlowModel(took_s=0.01)
    began_s = time.monotonic()
    with watched(tmp_path, model, monkeypatch, *cameras) as (news, stop, daemon):
        until(lambda: time.monotonic() - began_s > 3 * WINDOW_S, within_s=PATIENCE_S)
        stop.set()
        daemon.join(STOP_S)
        told = report(news)
    assert told["load"]["overloaded"] is False
    assert {camera["looks"]["given_up"] for camera in told["cameras"].values()} == {0}
    assert not [line for line in caplog.messages if "too slow" in line]


def test_a_stop_does_not_wait_for_all_who_wait_for_their_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cameras = [{"id": f"c{number}", "gate": {"mode": "off"}} for number in range(12)]
    model = SlowModel(took_s=2.0)  # all of them in turn take 24 s
    with watched(tmp_path, model, monkeypatch, *cameras) as (news, stop, daemon):
        until(lambda: threading.active_count() > 2 * len(cameras), within_s=PATIENCE_S)
        until(lambda: news.payloads("edge/box/camera/c0/status")[-1:] == [b"online"], within_s=PATIENCE_S)
        stop.set()
        daemon.join(STOP_S)
        assert not daemon.is_alive()
    for camera in cameras:
        assert news.payloads(f"edge/box/camera/{camera['id']}/status")[-1] == b"offline"
