"""What an earlier life left retained is cleared, over every broker; nothing else is touched."""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection, Iterable, Iterator
from functools import partial
from pathlib import Path

import brokers
import other_brokers
import pytest
from brokers import listening, until
from other_brokers import KINDS, Broker, Kind
from paho.mqtt import publish
from paho.mqtt.enums import MQTTProtocolVersion

from edge_agent.edges import ghosts
from edge_agent.edges.clock import SystemClock
from edge_agent.edges.ghosts import Ghosts
from edge_agent.edges.mqtt import Connection, MqttSettings, connect
from edge_agent.errors import BrokerError
from edge_agent.stages.encode import topics
from edge_agent.stages.encode.topics import Topics, kept_filters

TOPICS = Topics(prefix="edge", device="pi")
ALIVE = {"edge/pi/status", "edge/pi/camera/front/motion", "edge/pi/camera/front/count/person"}
GHOSTS = {
    "edge/pi/camera/back/status",
    "edge/pi/camera/back/motion",
    "edge/pi/camera/front/count/cat",
    "edge/pi/camera/front/zone/yard/count/person",
    "edge/pi/camera/front/line/door/count/person/in",
    *(f"edge/pi/camera/old/count/label-{number}" for number in range(30)),  # more than a window
}
OTHERS = {
    "edge/pi/camera/back/set/detect",
    "edge/pi/camera/back/event",
    "edge/pi/command",
    "edge/pi/camera/back/count/a/b",
    "edge/pi2/camera/back/motion",
    "edge/other/camera/back/motion",
    "homeassistant/device/pi/config",
    "zigbee2mqtt/pir",
}


@pytest.fixture(params=KINDS, ids=lambda kind: kind.name)
def kind(request: pytest.FixtureRequest) -> Kind:
    kind: Kind = request.param
    if kind.missing:
        pytest.skip(kind.missing)
    return kind


@pytest.fixture
def broker(kind: Kind, tmp_path: Path) -> Iterator[Broker]:
    with other_brokers.running(kind, tmp_path) as broker:
        yield broker


def retain(kind: Kind, broker: Broker, topics: set[str]) -> None:
    version = MQTTProtocolVersion.MQTTv5 if kind.speaks == "5" else MQTTProtocolVersion.MQTTv311
    messages = [{"topic": topic, "payload": b"1", "qos": 1, "retain": True} for topic in topics]
    publish.multiple(messages, port=broker.port, protocol=version)  # type: ignore[arg-type]


def retained(kind: Kind, broker: Broker) -> set[str]:
    with listening(broker.port, "#", protocol=5 if kind.speaks == "5" else 3) as listener:
        until(lambda: "zigbee2mqtt/pir" in {heard.topic for heard in list(listener.heard)})
        threading.Event().wait(0.3)
        return {heard.topic for heard in listener.heard if heard.retain}


def ghosts_of(alive: set[str], again: threading.Event | None = None) -> Ghosts:
    return Ghosts(
        topic_filters=kept_filters(TOPICS),
        choose=partial(topics.ghosts, TOPICS),
        alive=lambda: alive,
        complete=lambda found: "edge/pi/camera/front/motion" in found,
        again=(again or threading.Event()).set,
        clock=SystemClock(),
        beat=lambda: None,
    )


def line_to(url: str, protocol: int) -> Connection:
    settings = MqttSettings.model_validate({"url": url, "protocol": protocol, "ack_timeout_s": 5})
    return connect(settings, client_id="pi-ghosts", will=None)


def test_what_is_no_more_is_cleared_and_nothing_else(kind: Kind, broker: Broker) -> None:
    retain(kind, broker, ALIVE | GHOSTS | OTHERS)
    ghosts_of(ALIVE).clear(line_to(broker.url, kind.protocol), threading.Event())
    assert retained(kind, broker) == ALIVE | OTHERS


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[brokers.Mosquitto]:
    with brokers.running(tmp_path) as broker:
        yield broker


@pytest.fixture
def brisk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ghosts, "_TURN_S", 0.02)
    monkeypatch.setattr(ghosts, "_QUIET_S", 0.2)


@brokers.needs_mosquitto
@pytest.mark.usefixtures("brisk")
def test_it_is_done_once_a_broker_and_not_before_all_states_of_this_life_are_known(
    mosquitto: brokers.Mosquitto, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    for topic in GHOSTS:
        publish.single(topic, b"1", qos=1, retain=True, port=mosquitto.port)
    alive: set[str] = set()
    used: list[str | None] = [None]
    asked: list[str] = []
    stop = threading.Event()

    def connect_to(broker: str) -> Connection:
        asked.append(broker)
        if broker == "elsewhere":
            raise BrokerError("nobody listens there")
        return line_to(mosquitto.url, 5)

    thread = threading.Thread(target=ghosts_of(alive).run, args=[stop, lambda: used[0], connect_to])
    thread.start()
    try:
        stop.wait(0.1)
        used[0] = mosquitto.url
        stop.wait(0.1)
        assert asked == []  # connected, but not every camera has said its states
        alive.update(ALIVE)
        until(
            lambda: (
                "35 topics that an earlier configuration left behind are cleared: edge/pi/camera/back/m" in caplog.text
            )
        )
        used[0] = "elsewhere"
        until(lambda: asked[1:] == ["elsewhere"])
        used[0] = mosquitto.url
        stop.wait(0.2)
        assert asked == [mosquitto.url, "elsewhere"]
    finally:
        stop.set()
        thread.join()


@brokers.needs_mosquitto
@pytest.mark.usefixtures("brisk")
def test_what_came_into_being_just_as_it_was_cleared_is_sent_again(mosquitto: brokers.Mosquitto) -> None:
    publish.single("edge/pi/camera/front/count/cat", b"1", qos=1, retain=True, port=mosquitto.port)
    alive, again = set(ALIVE), threading.Event()

    def race(found: Iterable[str], known: Collection[str]) -> tuple[str, ...]:
        chosen = topics.ghosts(TOPICS, found, known)
        alive.update(chosen)  # just now
        return chosen

    racing = Ghosts(
        topic_filters=kept_filters(TOPICS),
        choose=race,
        alive=lambda: set(alive),
        complete=lambda _: True,
        again=again.set,
        clock=SystemClock(),
        beat=lambda: None,
    )
    racing.clear(line_to(mosquitto.url, 5), threading.Event())
    assert again.is_set()
    again.clear()
    ghosts_of(ALIVE, again).clear(line_to(mosquitto.url, 5), threading.Event())
    assert not again.is_set()


@brokers.needs_mosquitto
@pytest.mark.usefixtures("brisk")
def test_a_broker_that_does_not_allow_it_is_one_line_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "acl").write_text("topic read edge/#\ntopic write edge/pi/status\nuser boss\ntopic readwrite #\n")
    with brokers.running(tmp_path, f"acl_file {tmp_path}/acl") as strict:
        boss = {"username": "boss", "password": ""}
        for name in ("a", "b"):
            topic = f"edge/pi/camera/{name}/motion"
            publish.single(topic, b"ON", qos=1, retain=True, port=strict.port, auth=boss)  # type: ignore[arg-type]
        ghosts_of(ALIVE).clear(line_to(strict.url, 5), threading.Event())
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert warnings == [
        "topics left behind are not cleared, the broker refuses edge/pi/camera/a/motion: Not authorized"
    ]


@pytest.mark.usefixtures("brisk")
def test_a_subscription_that_is_refused_is_one_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    class Strict:
        window, lost = 20, None
        closed = False

        def subscribe(self, topic_filter: str, _hear: object) -> None:
            raise BrokerError(f"broker mqtt://b:1883: {topic_filter} cannot be subscribed to: not authorized")

        def close(self) -> None:
            self.closed = True

    line = Strict()
    ghosts_of(ALIVE).clear(line, threading.Event())  # type: ignore[arg-type]
    assert line.closed
    (warning,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert warning.startswith("topics left behind are not looked for: broker mqtt://b:1883: edge/pi/camera/+/status ")
