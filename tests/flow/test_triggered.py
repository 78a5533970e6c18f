"""A camera that looks when something else has noticed somebody: by a message, by a call, and not before."""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import program
import pytest
from brokers import Listener, Mosquitto, needs_mosquitto, until
from paho.mqtt import publish
from ports import free_port
from program import PATIENCE_S, ROOT
from rtsp import rtsp_camera

from edge_agent.clips import PEDESTRIANS

pytestmark = needs_mosquitto

PIR = "home/pir"

EXTERNAL: Mapping[str, Any] = {
    "mode": "external", "trigger_s": 6, "preroll_s": 5, "refresh_s": 3600,
}  # fmt: skip
"""Without a look now and then, which may well see the people of the clip."""


@pytest.fixture
def news(news: Listener) -> Iterator[Listener]:
    """What a sensor says is heard too, and no part of the contract."""
    yield news
    news.heard[:] = [heard for heard in news.heard if heard.topic != PIR]


def health(news: Listener) -> dict[str, Any]:
    """What the newest report says of the camera; nothing before the first."""
    reports = news.payloads(f"{ROOT}/health")
    front: dict[str, Any] = json.loads(reports[-1])["cameras"]["front"] if reports else {"triggers": {}}
    return front


def started_s(event: Mapping[str, Any]) -> float:
    return datetime.fromisoformat(event["started"].replace("Z", "+00:00")).timestamp()


def sleeps(news: Listener) -> bool:
    return health(news).get("state") == "asleep"


def sense(broker: Mosquitto, *, occupied: bool) -> None:
    """A motion sensor speaks."""
    publish.single(PIR, json.dumps({"occupancy": occupied, "battery": 97}), qos=1, port=broker.port)


def seen_since_s(news: Listener) -> list[float]:
    """When those were first seen of whom it is said that they are new."""
    return [started_s(event) for event in program.events_in(news.heard) if event["event_type"] == "new"]


def assert_seen_before(news: Listener, pulled_utc_s: float) -> None:
    """Somebody was seen, and since before the trigger: what led to it was looked at."""
    # 5 s before, or a moment later. One who was there at the very first look, too, may have been seen since then.
    until(lambda: [at_s for at_s in seen_since_s(news) if -5.5 < at_s - pulled_utc_s < -2.0], within_s=PATIENCE_S)


def camera(source: str, *triggers: Mapping[str, Any], **gate: Any) -> dict[str, Any]:
    return {"id": "front", "source": source, "gate": {**EXTERNAL, **gate}, "triggers": triggers}


@pytest.mark.parametrize("way", ["mqtt", "webhook"])
def test_a_camera_looks_when_it_is_told_to_and_at_what_led_to_it(
    tmp_path: Path, broker: Mosquitto, news: Listener, way: str
) -> None:
    port = free_port()
    triggers = {
        "mqtt": {"kind": "mqtt", "topic": PIR, "path": "occupancy", "payload": True},
        "webhook": {"kind": "webhook"},
    }

    def call(path: str = "/trigger/front") -> int:
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
            connection.request("POST", path)
            return connection.getresponse().status

    pull: dict[str, Callable[[], object]] = {"mqtt": lambda: sense(broker, occupied=True), "webhook": call}
    with rtsp_camera(PEDESTRIANS) as real_camera:
        front = camera(real_camera.url(), triggers[way])
        with program.running(tmp_path, front, mqtt={"url": broker.url}, webhook={"port": port}) as agent:
            until(lambda: sleeps(news) and health(news)["triggers"]["state"] == "ready", within_s=PATIENCE_S)
            sense(broker, occupied=False)
            if way == "webhook":
                assert call("/trigger/back") == 404
            time.sleep(6.0)  # people cross all the time
            assert not program.events_in(news.heard)
            assert health(news)["triggers"]["heard"] == 0

            pulled_utc_s = time.time()
            pull[way]()
            assert_seen_before(news, pulled_utc_s)
            until(lambda: health(news)["state"] == "streaming", within_s=PATIENCE_S)
            until(lambda: sleeps(news), within_s=PATIENCE_S)
            said = health(news)["triggers"]
            assert (said["heard"], said["reason"], said["failures"]) == (1, "", 0)
            assert agent.stop() == 0
            told = json.loads(news.payloads(f"{ROOT}/capabilities")[-1])["cameras"]["front"]
            assert (told["gate"], told["decodes"]) == ("external", "triggers")


def test_a_camera_whose_pictures_cannot_be_kept_looks_from_the_trigger_on(
    tmp_path: Path, broker: Mosquitto, news: Listener
) -> None:
    front = camera(f"file://{PEDESTRIANS}", {"kind": "mqtt", "topic": PIR}) | {"capture": {"loop": True}}
    with program.running(tmp_path, front, mqtt={"url": broker.url}) as agent:
        until(lambda: health(news)["triggers"].get("state") == "ready", within_s=PATIENCE_S)
        time.sleep(3.0)
        assert not program.events_in(news.heard)
        pulled_utc_s = time.time()
        sense(broker, occupied=True)
        until(lambda: [at_s for at_s in seen_since_s(news) if at_s > pulled_utc_s - 0.5], within_s=PATIENCE_S)
        assert not [at_s for at_s in seen_since_s(news) if -2.5 < at_s - pulled_utc_s < -0.5]
        assert agent.stop() == 0


def test_a_camera_that_nothing_can_trigger_says_that_it_is_blind(
    tmp_path: Path, broker: Mosquitto, news: Listener
) -> None:
    front = camera(f"file://{PEDESTRIANS}", {"kind": "webhook"}) | {"capture": {"loop": True}}
    port = free_port()
    with socket.create_server(("127.0.0.1", port)) as other:
        with program.running(tmp_path, front, mqtt={"url": broker.url}, webhook={"port": port}) as agent:
            until(lambda: health(news)["triggers"].get("state") == "blind", within_s=PATIENCE_S)
            assert health(news)["triggers"]["reason"].startswith(f"port {port} of 127.0.0.1 cannot be opened")
            other.close()
            until(lambda: health(news)["triggers"]["state"] == "ready", within_s=PATIENCE_S)
            assert agent.stop() == 0
        assert agent.log.count("is blind") == 1


def listening_ports(pid: int) -> list[str]:
    """Addresses, in hexadecimal, on which a process waits for calls over TCP."""
    own = {str(file.readlink()) for file in Path(f"/proc/{pid}/fd").iterdir() if file.is_symlink()}
    found = []
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            _, local, _, state, *_, inode = line.split()[:10]
            if state == "0A" and f"socket:[{inode}]" in own:
                found.append(local)
    return found


@pytest.mark.parametrize("kind", ["none", "webhook"])
def test_it_waits_for_calls_only_with_a_webhook_and_then_on_loopback(
    tmp_path: Path, broker: Mosquitto, news: Listener, kind: str
) -> None:
    port = free_port()
    plain = program.camera(**program.LOOP)
    front = {**plain, "gate": dict(EXTERNAL), "triggers": [{"kind": "webhook"}]} if kind == "webhook" else plain
    with program.running(tmp_path, front, mqtt={"url": broker.url}, webhook={"port": port}) as agent:
        until(lambda: health(news)["triggers"].get("state") == {"none": "off"}.get(kind, "ready"), within_s=PATIENCE_S)
        assert listening_ports(agent.pid) == ([f"0100007F:{port:04X}"] if kind == "webhook" else [])
