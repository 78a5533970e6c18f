"""A capture thread that hangs inside a library is replaced; when too many hang, the watchdog is told."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from brokers import listening, needs_mosquitto, until
from brokers import running as running_broker
from builders import frame_of

from edge_agent import app
from edge_agent.app import agent
from edge_agent.clips import PEDESTRIANS
from edge_agent.config import Settings
from edge_agent.edges.sources import open_source
from edge_agent.edges.sources.source import Source
from edge_agent.edges.sources.supervised import MAX_HANGING
from edge_agent.edges.systemd import Notifier
from edge_agent.records import Frame

SILENCE_S = 3.0
"""What the agent allows here beyond twice `stall_s`, instead of half a minute."""

HANGS_AFTER_S = SILENCE_S + 2.0
PATIENCE_S = 3 * HANGS_AFTER_S


class Jammed:
    """A library that hangs in its first read while `jam` lasts, and gives frames after."""

    live = True
    asleep = False
    basis = "all pictures"
    delay_s = None
    damaged = 0
    closed = 0

    def __init__(self, jam: threading.Event, stop: threading.Event) -> None:
        self._cleared = jam
        self._stop = stop

    def frames(self) -> Generator[Frame | None, None, None]:
        try:
            self._cleared.wait()
            while not self._stop.wait(0.1):
                yield frame_of(time.monotonic())
        finally:
            Jammed.closed += 1


class Systemd(Notifier):
    """Notes when it was told that all is well."""

    def __init__(self) -> None:
        super().__init__({})
        self.alive_s: list[float] = []

    def alive(self) -> None:
        self.alive_s.append(time.monotonic())

    def quiet_s(self) -> float:
        return time.monotonic() - self.alive_s[-1] if self.alive_s else 0.0


@pytest.fixture
def cleared(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """The library of every camera of `rtsp://jammed` hangs until this is set."""
    event = threading.Event()

    def opened(url: str, capture: Any, clock: Any, stop: threading.Event, **how: Any) -> Source:
        return Jammed(event, stop) if url == "rtsp://jammed" else open_source(url, capture, clock, stop, **how)

    monkeypatch.setattr(agent, "open_source", opened)
    monkeypatch.setattr(agent, "_SILENCE_S", SILENCE_S)
    monkeypatch.setattr(Jammed, "closed", 0)
    yield event
    event.set()


@needs_mosquitto
def test_a_capture_that_hangs_is_replaced_three_times_then_the_watchdog_is_no_longer_fed(
    tmp_path: Path, cleared: threading.Event, caplog: pytest.LogCaptureFixture
) -> None:
    with running_broker(tmp_path) as broker, listening(broker.port) as news:
        settings = Settings.model_validate(
            {
                "device": {"id": "box"},
                "mqtt": {"url": broker.url},
                "outbox": {"path": tmp_path / "outbox.db"},
                "cameras": [
                    {"id": "jammed", "source": "rtsp://jammed", "capture": {"stall_s": 1}},
                    {"id": "good", "source": f"file://{PEDESTRIANS}", "capture": {"loop": True}},
                ],
            }
        )
        systemd, stop = Systemd(), threading.Event()
        daemon = threading.Thread(target=app.Agent(settings=settings, notifier=systemd).run, args=(stop,))

        def health(camera: str) -> list[dict[str, Any]]:
            return [json.loads(payload)["cameras"][camera] for payload in news.payloads("edge/box/health")]

        def blamed() -> int:
            return sum("standing still: capture of jammed" in line for line in caplog.messages)

        with caplog.at_level(logging.WARNING):
            daemon.start()
            try:
                until(lambda: threads_of("jammed") == 1 + MAX_HANGING, within_s=MAX_HANGING * PATIENCE_S)
                fed = len(systemd.alive_s)
                assert systemd.quiet_s() < SILENCE_S  # each was replaced in time
                assert blamed() == 0
                until(lambda: systemd.quiet_s() > SILENCE_S, within_s=PATIENCE_S)
                assert len(systemd.alive_s) > fed
                assert blamed() == 1
                assert threads_of("jammed") == 1 + MAX_HANGING

                cleared.set()
                until(lambda: threads_of("jammed") == 1, within_s=PATIENCE_S)
                until(lambda: systemd.quiet_s() < SILENCE_S, within_s=PATIENCE_S)
                until(lambda: health("jammed")[-1]["state"] == "streaming", within_s=PATIENCE_S)
                assert Jammed.closed == MAX_HANGING
            finally:
                cleared.set()
                stop.set()
                daemon.join(PATIENCE_S)
        assert not daemon.is_alive()
    assert health("jammed")[-1]["replaced"] == MAX_HANGING
    assert {state["replaced"] for state in health("good")} == {0}
    assert news.payloads("edge/box/camera/good/status") == [b"offline", b"online", b"offline"]
    assert sum("hung in a library" in line for line in caplog.messages) == MAX_HANGING


def threads_of(camera: str) -> int:
    return sum(thread.name == f"capture of {camera}" for thread in threading.enumerate())
