"""Triggers as they come: over a real broker, by a real HTTP client, and on a wire of a stand-in for gpiod."""

from __future__ import annotations

import http.client
import itertools
import logging
import queue
import random
import socket
import sys
import threading
import types
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import brokers
import pytest
from brokers import Mosquitto, listening, needs_mosquitto, until
from fakes import FakeClock
from paho.mqtt import publish
from ports import free_port

from edge_agent.edges.clock import Backoff, SystemClock
from edge_agent.edges.mqtt import Brokers, MqttSettings
from edge_agent.edges.triggers import TriggerSettings, ways_of
from edge_agent.edges.triggers.gpio import GpioTriggerSettings
from edge_agent.edges.triggers.messages import MqttTriggerSettings, matches
from edge_agent.edges.triggers.trigger import Listening, Triggers, Way
from edge_agent.edges.triggers.webhook import WebhookSettings, WebhookTriggerSettings
from edge_agent.errors import BrokerError, RuntimeMissingError, TriggerError

LONG_S = 20.0


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with brokers.running(tmp_path) as broker:
        yield broker


def mqtt_of(topic: str, payload: str | None = None, path: str | None = None) -> MqttTriggerSettings:
    return MqttTriggerSettings(kind="mqtt", topic=topic, payload=payload, path=path)


def no_broker() -> Any:
    raise AssertionError("nobody asked for a broker")


def ways(
    cameras: dict[str, tuple[TriggerSettings, ...]], *, port: int = 1024, url: str = ""
) -> tuple[dict[str, Triggers], list[Way]]:
    """What tells of each camera's triggers, and the ways in which they come."""
    clock = SystemClock()
    all_triggers = {camera: Triggers(camera, clock) for camera in cameras}
    found = [(camera, all_triggers[camera], settings) for camera, settings in cameras.items()]
    settings = MqttSettings(url=url or "mqtt://127.0.0.1:1", ack_timeout_s=5)
    brokers = Brokers(settings, client_id="box-triggers", will=None, clock=SystemClock())
    connect = brokers.connect if url else no_broker
    return all_triggers, list(ways_of(found, WebhookSettings(port=port), connect, clock))


@contextmanager
def listened(
    cameras: dict[str, tuple[TriggerSettings, ...]], *, port: int = 1024, url: str = ""
) -> Iterator[dict[str, Triggers]]:
    """Listen in all ways until the end of the `with`."""
    all_triggers, found = ways(cameras, port=port, url=url)
    stop = threading.Event()
    backoff = Backoff(first_s=0.1, cap_s=0.2, uniform=random.uniform)
    threads = [
        threading.Thread(
            target=Listening(way=way, clock=SystemClock(), backoff=backoff, patience_s=1.0, beat=lambda: None).run,
            args=(stop,),
        )
        for way in found
    ]
    for thread in threads:
        thread.start()
    try:
        yield all_triggers
    finally:
        stop.set()
        for thread in threads:
            thread.join(LONG_S)
            assert not thread.is_alive()


def ready(triggers: Triggers) -> None:
    until(lambda: triggers.status().state == "ready", within_s=LONG_S)


# What is known of all triggers of a camera


def test_a_camera_without_triggers_is_off() -> None:
    assert Triggers("front", FakeClock()).status().state == "off"


def test_it_is_blind_when_none_can_come_and_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    triggers = Triggers("front", FakeClock())
    one, other = triggers.add("mqtt a"), triggers.add("webhook")
    assert triggers.status().state == "starting"
    one.ready()
    assert triggers.status().state == "partly"
    other.ready()
    assert triggers.status().state == "ready"
    one.fail("no broker")
    assert (triggers.status().state, triggers.status().reason) == ("partly", "no broker")
    for _ in range(3):
        other.fail("no port")
    assert (triggers.status().state, triggers.status().failures) == ("blind", 2)
    one.ready()
    assert (triggers.status().state, triggers.status().reason) == ("partly", "no port")
    warnings = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert warnings == [
        'camera "front": trigger mqtt a: no broker; tried again',
        'camera "front": trigger webhook: no port; tried again',
        'camera "front" is blind: none of its triggers can come',
    ]


def test_triggers_are_stamped_by_the_clock_counted_and_remembered_in_order() -> None:
    clock = FakeClock(monotonic_s=100.0)
    triggers = Triggers("front", clock)
    trigger = triggers.add("webhook")
    assert triggers.status().last_utc_ns is None
    for _ in range(1000):
        trigger.pull()
        clock.advance(1.0)
    assert triggers.times() == tuple(float(at_s) for at_s in range(1100 - len(triggers.times()), 1100))
    assert triggers.status().heard == 1000
    assert triggers.status().last_utc_ns == clock.utc_ns() - 10**9


def test_triggers_of_many_threads_stay_in_order() -> None:
    triggers = Triggers("front", SystemClock())
    pullers = [triggers.add(str(index)) for index in range(8)]
    threads = [threading.Thread(target=lambda one=one: [one.pull() for _ in range(200)]) for one in pullers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(triggers.times()) == sorted(triggers.times())
    assert triggers.status().heard == 1600


# Over MQTT


@pytest.mark.parametrize(
    ("payload", "path", "said", "fits"),
    [
        (None, None, b"", True),
        (None, None, b"\xff\xfe", True),
        ("ON", None, b"ON", True),
        ("ON", None, b"OFF", False),
        ("ON", None, b"on", False),
        ("ON", None, b"\xff", False),
        ("true", "occupancy", b'{"occupancy": true, "battery": 90}', True),
        ("true", "occupancy", b'{"occupancy": "true"}', True),
        ("true", "occupancy", b'{"occupancy": false}', False),
        ("true", "occupancy", b'{"battery": 90}', False),
        ("true", "occupancy", b'[{"occupancy": true}]', False),
        ("true", "0.occupancy", b'[{"occupancy": true}]', True),
        ("true", "data.1", b'{"data": [false, true]}', True),
        ("true", "data.2", b'{"data": [false, true]}', False),
        ("true", "data.x", b'{"data": [false, true]}', False),
        ("", "occupancy.more", b'{"occupancy": true}', False),
        ("1", "state", b'{"state": 1}', True),
        ("null", "state", b'{"state": null}', True),
        ("true", "occupancy", b"true", False),
        ("true", "occupancy", b"{", False),
        ("true", "occupancy", b"[" * 60_000, False),
        ("ON", None, b"ON" * 50_000, False),
    ],
)
def test_a_payload_says_what_it_must_or_it_is_no_trigger(
    payload: str | None, path: str | None, said: bytes, *, fits: bool
) -> None:
    assert matches(mqtt_of("t", payload, path), said) is fits


@needs_mosquitto
def test_a_message_pulls_every_trigger_that_waits_for_it_and_no_other(broker: Mosquitto) -> None:
    cameras: dict[str, tuple[TriggerSettings, ...]] = {
        "front": (mqtt_of("home/pir", "true", "occupancy"), mqtt_of("home/door")),
        "back": (mqtt_of("home/pir"),),
        "far": (mqtt_of("home/+/motion", "ON"), mqtt_of("other/#")),
    }
    with listened(cameras, url=broker.url) as triggers:
        for one in triggers.values():
            ready(one)
        for topic, said in (
            ("home/pir", '{"occupancy": false}'),
            ("home/pir", '{"occupancy": true}'),
            ("home/a/motion", "OFF"),
            ("home/b/motion", "ON"),
            ("nowhere", "ON"),
            ("other/x/y", ""),
        ):
            publish.single(topic, said, qos=1, port=broker.port)
        until(lambda: triggers["far"].status().heard == 2)
        assert {name: one.status().heard for name, one in triggers.items()} == {"front": 1, "back": 2, "far": 2}


@needs_mosquitto
def test_what_the_broker_has_retained_is_no_trigger(broker: Mosquitto) -> None:
    publish.single("home/pir", "ON", qos=1, retain=True, port=broker.port)
    with listened({"front": (mqtt_of("home/pir", "ON"),)}, url=broker.url) as triggers:
        ready(triggers["front"])
        with listening(broker.port) as other:  # by then the retained one was sent, too
            until(lambda: other.payloads("home/pir") == [b"ON"])
            assert triggers["front"].status().heard == 0
            publish.single("home/pir", "ON", qos=1, retain=True, port=broker.port)
            until(lambda: triggers["front"].status().heard == 1)


@needs_mosquitto
def test_without_a_broker_it_is_blind_and_ready_again_when_the_broker_is_back(
    broker: Mosquitto, caplog: pytest.LogCaptureFixture
) -> None:
    broker.stop()
    with listened({"front": (mqtt_of("home/pir"),)}, url=broker.url) as triggers:
        front = triggers["front"]
        until(lambda: front.status().state == "blind", within_s=LONG_S)
        assert "nobody listens there" in front.status().reason
        broker.start()
        ready(front)
        broker.stop()
        until(lambda: front.status().state == "blind", within_s=LONG_S)
        broker.start()
        ready(front)
        publish.single("home/pir", "", qos=1, port=broker.port)
        until(lambda: front.status().heard == 1)
    assert len([record for record in caplog.records if "is blind" in record.getMessage()]) == 2


class _Strict:
    """Stands in for a connection to a broker that refuses one topic until it has been asked twice."""

    lost = None
    leaving = False

    def __init__(self, stop: threading.Event) -> None:
        self.asked: list[str] = []
        self._waits = 0
        self._stop = stop

    def subscribe(self, topic_filter: str, _hear: object, *, retained: bool) -> None:
        assert not retained
        self.asked.append(topic_filter)
        if topic_filter == "secret" and self.asked.count("secret") == 1:
            raise BrokerError("secret cannot be subscribed to: not authorized")

    def wait(self, _timeout_s: float) -> None:
        self._waits += 1
        if self._waits == 200:
            self._stop.set()

    def close(self) -> None:
        self.asked.append("closed")


def test_a_broker_that_is_left_for_a_better_one_is_no_failure() -> None:
    clock, stop = FakeClock(), threading.Event()
    connection = _Strict(stop)
    connection.leaving = True
    front = Triggers("front", clock)
    [way] = ways_of([("front", front, (mqtt_of("open"),))], WebhookSettings(), lambda: connection, clock)
    way.listen(stop, lambda: None)  # comes back, to be called again at once
    assert not stop.is_set()
    assert front.status().failures == 0


def test_a_topic_that_the_broker_refuses_is_asked_for_again_and_spoils_no_other() -> None:
    clock, stop = FakeClock(), threading.Event()
    front, back = Triggers("front", clock), Triggers("back", clock)
    connection = _Strict(stop)
    states: list[tuple[str, str]] = []
    cameras = [("front", front, (mqtt_of("secret"),)), ("back", back, (mqtt_of("open"),))]
    [way] = ways_of(cameras, WebhookSettings(), lambda: connection, clock)
    way.listen(stop, lambda: states.append((front.status().state, back.status().state)))
    assert ("blind", "ready") in states
    assert (front.status().state, back.status().state) == ("ready", "ready")
    assert connection.asked == ["secret", "open", "secret", "closed"]


# By HTTP


@pytest.fixture
def called() -> Iterator[tuple[int, dict[str, Triggers]]]:
    """The port of a webhook, and who waits for it."""
    port = free_port()
    webhook = WebhookTriggerSettings(kind="webhook")
    with listened({"front": (webhook,), "back": (webhook,)}, port=port) as triggers:
        for one in triggers.values():
            ready(one)
        yield port, triggers


def call(port: int, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, bytes, str]:
    """Status, body and headers of an answer."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read(), str(answer.headers)


@pytest.mark.parametrize("body", [None, b"", b'{"any": "thing"}', b"x" * 10_000])
def test_a_post_pulls_the_trigger_of_its_camera(called: tuple[int, dict[str, Triggers]], body: bytes | None) -> None:
    port, triggers = called
    assert call(port, "POST", "/trigger/front", body)[:2] == (204, b"")
    assert {name: one.status().heard for name, one in triggers.items()} == {"front": 1, "back": 0}


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("POST", "/trigger/<script>", {}, 404),
        ("POST", "/trigger/front/", {}, 404),
        ("POST", "/trigger/front?x=1", {}, 404),
        ("POST", "/", {}, 404),
        ("GET", "/trigger/front", {}, 405),
        ("PUT", "/trigger/front", {}, 405),
        ("WHATEVER", "/<script>", {}, 405),
        ("POST", "/trigger/front", {"Origin": "https://page.example"}, 403),
    ],
)
def test_anything_else_is_refused_without_a_word_of_what_was_sent(
    called: tuple[int, dict[str, Triggers]], method: str, path: str, headers: dict[str, str], status: int
) -> None:
    port, triggers = called
    answered, body, head = call(port, method, path, **headers)
    assert (answered, body) == (status, b"")
    assert "script" not in head
    assert sum(one.status().heard for one in triggers.values()) == 0


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"\r\n\r\n",
        b"<script> <script> <script>\r\n\r\n",
        b"POST /trigger/front HTTP/9.9\r\n\r\n",
        b"POST /trigger/front HTTP/1.1\r\nContent-Length: 999999999\r\n\r\n",
        b"POST /trigger/front HTTP/1.1\r\n" + b"X: y\r\n" * 10_000,
        b"POST /trigger/front",
        b"\x00\xff" * 100,
    ],
)
def test_what_is_no_request_or_too_long_a_one_pulls_nothing_and_others_are_answered_after_it(
    called: tuple[int, dict[str, Triggers]], sent: bytes
) -> None:
    port, triggers = called
    with socket.create_connection(("127.0.0.1", port), timeout=10) as caller:
        caller.sendall(sent)
        with suppress(OSError):  # the other end may have hung up
            caller.shutdown(socket.SHUT_WR)
        assert b"script" not in received(caller)
    assert call(port, "POST", "/trigger/back")[0] == 204
    assert {name: one.status().heard for name, one in triggers.items()} == {"front": 0, "back": 1}


def received(caller: socket.socket) -> bytes:
    """All that comes until the other end hangs up, politely or not."""
    parts = []
    try:
        while part := caller.recv(4096):
            parts.append(part)
    except ConnectionError:
        pass
    return b"".join(parts)


def test_who_calls_and_says_nothing_keeps_others_waiting_for_two_seconds_only(
    called: tuple[int, dict[str, Triggers]],
) -> None:
    port, triggers = called
    with socket.create_connection(("127.0.0.1", port)) as silent:
        silent.sendall(b"POST /trigger/front HTTP/1.1\r\n")
        assert call(port, "POST", "/trigger/back")[0] == 204
    assert triggers["front"].status().heard == 0


def test_it_listens_on_loopback_only_and_a_port_in_use_is_said_and_tried_again() -> None:
    port = free_port()
    with (
        socket.create_server(("127.0.0.1", port)) as other,
        listened({"front": (WebhookTriggerSettings(kind="webhook"),)}, port=port) as triggers,
    ):
        front = triggers["front"]
        until(lambda: front.status().state == "blind")
        assert front.status().reason == f"port {port} of 127.0.0.1 cannot be opened: Address already in use"
        other.close()
        ready(front)
        with socket.socket() as elsewhere, pytest.raises(OSError, match="refused"):
            elsewhere.connect(("127.0.0.2", port))


# On a wire


class Chip:
    """Stands in for gpiod, version 2: its function, its settings, and the request that it gives."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[tuple[str, str, dict[int, dict[str, object]]]] = []
        self.failure: Exception | None = None
        self.open_now = 0
        self.changes: queue.SimpleQueue[str] = queue.SimpleQueue()
        module = types.ModuleType("gpiod")
        module.request_lines = self.request_lines  # type: ignore[attr-defined]
        module.LineSettings = dict  # type: ignore[attr-defined]
        module.line = types.SimpleNamespace(  # type: ignore[attr-defined]
            Direction=types.SimpleNamespace(INPUT="input"),
            Edge=types.SimpleNamespace(RISING="rising", FALLING="falling", BOTH="both"),
        )
        monkeypatch.setitem(sys.modules, "gpiod", module)

    @contextmanager
    def request_lines(self, path: str, config: dict[int, dict[str, object]], consumer: str) -> Iterator[Chip]:
        self.asked.append((path, consumer, config))
        if self.failure:
            raise self.failure
        self.open_now += 1
        yield self
        self.open_now -= 1

    def wait_edge_events(self, timeout: float) -> bool:
        try:
            self.changes.put(self.changes.get(timeout=min(timeout, 0.05)))
        except queue.Empty:
            return False
        return True

    def read_edge_events(self) -> list[str]:
        change = self.changes.get()
        if change == "unplugged":
            raise OSError(19, "No such device")
        return [change]


@pytest.fixture
def chip(monkeypatch: pytest.MonkeyPatch) -> Chip:
    return Chip(monkeypatch)


def gpio(edge: Any = "rising") -> GpioTriggerSettings:
    return GpioTriggerSettings(kind="gpio", line=17, edge=edge)


@pytest.mark.parametrize("edge", ["rising", "falling", "both"])
def test_a_change_of_the_line_pulls_the_trigger(chip: Chip, edge: str) -> None:
    with listened({"front": (gpio(edge),)}) as triggers:
        ready(triggers["front"])
        assert chip.asked == [
            ("/dev/gpiochip0", "edge-agent", {17: {"direction": "input", "edge_detection": edge}}),
        ]
        assert triggers["front"].status().heard == 0
        chip.changes.put("rose")
        until(lambda: triggers["front"].status().heard == 1)
    assert chip.open_now == 0


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (FileNotFoundError(2, "No such file or directory"), "No such file or directory"),
        (OSError(16, "Device or resource busy"), "Device or resource busy"),
        (ValueError("line offset out of range"), "line offset out of range"),
    ],
)
def test_a_line_that_cannot_be_had_is_said_and_tried_again(chip: Chip, failure: Exception, reason: str) -> None:
    chip.failure = failure
    with listened({"front": (gpio(),)}) as triggers:
        front = triggers["front"]
        until(lambda: front.status().state == "blind")
        assert front.status().reason == f"line 17 of /dev/gpiochip0: {reason}"
        chip.failure = None
        ready(front)
        chip.changes.put("unplugged")
        until(lambda: front.status().state == "blind" or front.status().failures == 2)
        ready(front)


@pytest.mark.parametrize("here", [None, types.ModuleType("gpiod")], ids=["not at all", "in version 1"])
def test_without_gpiod_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, here: types.ModuleType | None) -> None:
    monkeypatch.setitem(sys.modules, "gpiod", here)
    [way] = ways({"front": (gpio(),)})[1]
    with pytest.raises(
        RuntimeMissingError, match=r"pip install 'gpiod>=2', or on Debian 13: sudo apt install -y python3"
    ):
        way.listen(threading.Event(), lambda: None)


# All of them


def test_each_way_is_one_thread_and_none_listens_without_triggers() -> None:
    assert ways({"front": ()})[1] == []
    webhook = WebhookTriggerSettings(kind="webhook")
    found = ways({"front": (mqtt_of("a"), gpio(), webhook), "back": (mqtt_of("b"), mqtt_of("a"), webhook)})[1]
    names = {way.name: [trigger.name for trigger in way.triggers] for way in found}
    assert names == {
        "trigger gpio /dev/gpiochip0 17": ["gpio /dev/gpiochip0 17"],
        "triggers over MQTT": ["mqtt a", "mqtt b", "mqtt a"],
        "webhook": ["webhook", "webhook"],
    }


def test_a_way_that_fails_is_tried_again_after_growing_waits_and_forgiven_when_it_has_held_out() -> None:
    clock, stop = FakeClock(), threading.Event()
    lasts_s = iter([0.0, 0.0, 0.0, 100.0, 0.0])
    way = _Failing(clock, lasts_s, stop.set)
    beats: list[float] = []
    backoff = Backoff(first_s=1.0, cap_s=30.0, uniform=lambda _low, high: high)
    Listening(
        way=way, clock=clock, backoff=backoff, patience_s=30.0, beat=lambda: beats.append(clock.monotonic_s())
    ).run(stop)
    waits = [later - earlier - lasted for earlier, later, lasted in way.gaps()]
    assert waits == [1.0, 2.0, 4.0, 1.0, 2.0]
    assert max(later - earlier for earlier, later in itertools.pairwise(beats)) <= 101.0


class _Failing:
    """A way in which nothing comes: it lasts for so long, fails, and stops everything when it has nothing to last."""

    name = "failing"
    triggers = ()

    def __init__(self, clock: FakeClock, lasts_s: Iterator[float], finish: Callable[[], None]) -> None:
        self._clock, self._lasts_s, self._finish = clock, lasts_s, finish
        self._began: list[tuple[float, float]] = []

    def gaps(self) -> list[tuple[float, float, float]]:
        return [(earlier, later, lasted) for (earlier, lasted), (later, _) in itertools.pairwise(self._began)]

    def listen(self, stop: threading.Event, _beat: Callable[[], None]) -> None:
        lasts_s = next(self._lasts_s, None)
        self._began.append((self._clock.monotonic_s(), lasts_s or 0.0))
        if lasts_s is None:
            self._finish()
            assert stop.is_set()
            return
        self._clock.advance(lasts_s)
        raise TriggerError("not today")
