"""Delivery with a real outbox and real brokers: in order, at least once, through every kind of bad day."""

from __future__ import annotations

import itertools
import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import brokers
import pytest
from brokers import ACCEPT_5, CONNECT, PUBLISH, Mosquitto, ScriptedBroker, packet_id, until
from fakes import FakeClock
from paho.mqtt import publish

from edge_agent.edges import mqtt
from edge_agent.edges.clock import Backoff, Clock, SystemClock
from edge_agent.edges.deliver import Deliverer, Line, Subscription, deliverer
from edge_agent.edges.mqtt import MqttSettings
from edge_agent.edges.outbox import Outbox, OutboxSettings
from edge_agent.errors import BrokerError, ConfigError
from edge_agent.records import Heard, Message

EVENT, LATE, STATUS = "edge/pi/camera/a/event", "edge/pi/camera/a/event/late", "edge/pi/status"
ANSWER = "edge/pi/command/result"
WILL = Message(topic=STATUS, payload=b"offline", kind="state")
ONLINE = Message(topic=STATUS, payload=b"online", kind="state")
NOW_NS = 1_800_000_000_000_000_000


def event(number: int, *, size: int = 0, utc_ns: int = NOW_NS) -> Message:
    return Message(topic=EVENT, payload=str(number).encode().ljust(size), kind="new", late_topic=LATE, utc_ns=utc_ns)


def payloads(*numbers: int) -> list[bytes]:
    return [str(number).encode() for number in numbers]


@dataclass
class Bench:
    """An outbox, and the means to deliver it to a broker."""

    outbox: Outbox
    clock: Clock
    path: Path
    subscriptions: tuple[Subscription, ...] = ()

    def deliverer(self, url: str, **settings: Any) -> Deliverer:
        own: dict[str, Any] = {"ack_timeout_s": 5, "retry_first_s": 0.02, "retry_cap_s": 0.1, **settings}
        patience = MqttSettings(url=url, **own)
        return self.deliverer_over(lambda: mqtt.connect(patience, client_id="pi", will=WILL), patience)

    def deliverer_over(
        self, connect: Callable[[], Line], patience: MqttSettings, beat: Callable[[], None] = lambda: None
    ) -> Deliverer:
        return Deliverer(
            outbox=self.outbox,
            connect=connect,
            clock=self.clock,
            settings=patience,
            backoff=Backoff(first_s=patience.retry_first_s, cap_s=patience.retry_cap_s, uniform=lambda _, high: high),
            subscriptions=self.subscriptions,
            beat=beat,
        )

    @contextmanager
    def delivering(self, url: str, **settings: Any) -> Iterator[Deliverer]:
        deliverer = self.deliverer(url, **settings)
        stop = threading.Event()
        thread = threading.Thread(target=deliverer.run, args=[stop])
        thread.start()
        try:
            yield deliverer
        finally:
            stop.set()
            thread.join()

    def dead(self) -> list[tuple[bytes, str]]:
        with closing(sqlite3.connect(self.path)) as database:
            return database.execute("SELECT payload, reason FROM dead ORDER BY id").fetchall()

    def wait_empty(self) -> None:
        until(lambda: self.outbox.stats().waiting == 0, "the outbox does not become empty")


@pytest.fixture(autouse=True)
def brisk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorter turns, so that no test waits for what it does not test."""
    monkeypatch.setattr(deliverer, "_TURN_S", 0.1)
    monkeypatch.setattr(deliverer, "_ACK_EVERY_S", 0.05)


@contextmanager
def bench_with(clock: Clock, path: Path) -> Iterator[Bench]:
    with closing(Outbox(OutboxSettings(path=path), clock)) as outbox:
        yield Bench(outbox, clock, path)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with bench_with(SystemClock(), tmp_path / "outbox.db") as bench:
        yield bench


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with brokers.running(tmp_path) as broker:
        yield broker


def scripted(on_publish: Callable[[bytes], bytes | None]) -> closing[ScriptedBroker]:
    """A broker that lets everybody in, and answers to what is published as it is told."""

    def answer(first: int, body: bytes) -> bytes | None:
        if first == CONNECT:
            return ACCEPT_5
        return on_publish(body) if first & 0xF0 == PUBLISH else b""

    return closing(ScriptedBroker(answer))


def puback(body: bytes, code: int = 0) -> bytes:
    return b"\x40\x03" + packet_id(body) + bytes([code])


SUBSCRIBE, NOT_AUTHORIZED = 0x82, 0x87


# --- the good day ---------------------------------------------------------------------------------------------------


@brokers.needs_mosquitto
@pytest.mark.parametrize("protocol", [5, 3])
def test_events_arrive_in_order_after_the_states_and_the_outbox_empties(
    bench: Bench, broker: Mosquitto, protocol: int
) -> None:
    bench.outbox.put([event(number) for number in range(500)])
    bench.outbox.put([ONLINE])
    with brokers.listening(broker.port) as listener:
        with bench.delivering(broker.url, protocol=protocol) as deliverer:
            listener.wait_for(EVENT, *payloads(*range(500)))
            bench.outbox.put([event(500)])
            listener.wait_for(EVENT, *payloads(*range(501)))
            bench.wait_empty()
            assert deliverer.connected
        assert listener.heard[0].topic == STATUS
    assert not deliverer.connected
    counters = deliverer.counters
    assert (counters.published, counters.acked, counters.connects, counters.failures) == (502, 502, 1, 0)


@brokers.needs_mosquitto
def test_what_is_there_when_it_stops_is_still_sent_and_the_farewell_comes_last(bench: Bench, broker: Mosquitto) -> None:
    with brokers.listening(broker.port) as listener:
        with bench.delivering(broker.url) as deliverer:
            until(lambda: deliverer.connected)
            bench.outbox.put([ONLINE, *(event(number) for number in range(100))])
        listener.wait_for(EVENT, *payloads(*range(100)))
        listener.wait_for(STATUS, b"online", b"offline")
        assert listener.heard[-1].topic == STATUS
    assert bench.outbox.stats().waiting == 0


def test_what_is_there_when_it_stops_is_sent_even_if_all_that_is_under_way_has_been_answered(bench: Bench) -> None:
    bench.outbox.put([event(number) for number in range(10)])
    stop = threading.Event()
    stop.set()
    with scripted(puback) as broker:
        bench.deliverer(broker.url, window=1).run_once(stop)
    assert bench.outbox.stats().waiting == 0


@brokers.needs_mosquitto
def test_only_changed_states_are_sent_while_connected(bench: Bench, broker: Mosquitto) -> None:
    motion = "edge/pi/camera/a/motion"
    with brokers.listening(broker.port) as listener, bench.delivering(broker.url):
        for word in (b"ON", b"ON", b"OFF"):
            bench.outbox.put([Message(topic=motion, payload=word, kind="state")])
            until(lambda word=word: listener.payloads(motion)[-1:] == [word])  # type: ignore[misc]
        listener.wait_for(motion, b"ON", b"OFF")


def test_no_more_is_under_way_than_the_window_holds(bench: Bench) -> None:
    seen: list[bytes] = []

    def swallow(body: bytes) -> bytes:
        seen.append(body)
        return b""

    bench.outbox.put([event(number) for number in range(10)])
    with scripted(swallow) as broker, pytest.raises(BrokerError, match=r"no acknowledgement within 0\.2 s"):
        bench.deliverer(broker.url, window=3, ack_timeout_s=0.2).run_once(threading.Event())
    assert len(seen) == 3


# --- late -----------------------------------------------------------------------------------------------------------


@brokers.needs_mosquitto
def test_an_event_that_waited_too_long_goes_to_the_late_topic(tmp_path: Path, broker: Mosquitto) -> None:
    clock = FakeClock()
    with bench_with(clock, tmp_path / "outbox.db") as bench, brokers.listening(broker.port) as listener:
        bench.outbox.put([event(0)])
        clock.advance(61)
        clock.now_utc_ns = 0  # the wall clock says nothing about what this run has put
        bench.outbox.put([event(1)])
        with bench.delivering(broker.url) as deliverer:
            listener.wait_for(EVENT, b"1")
            listener.wait_for(LATE, b"0")
    assert deliverer.counters.late == 1


@brokers.needs_mosquitto
@pytest.mark.parametrize(
    ("age_s", "topic"),
    [
        (0, EVENT),
        (59, EVENT),
        (61, LATE),
        (-1, LATE),  # happened in the future: one of the two clocks was wrong
        (1_800_000_000, LATE),  # happened in 1970
    ],
)
def test_an_event_of_an_earlier_run_is_judged_by_the_wall_clock(
    tmp_path: Path, broker: Mosquitto, age_s: int, topic: str
) -> None:
    path = tmp_path / "outbox.db"
    with bench_with(FakeClock(), path) as before:
        before.outbox.put([event(0, utc_ns=NOW_NS - age_s * 10**9)])
    with (
        bench_with(FakeClock(utc_ns=NOW_NS), path) as bench,
        brokers.listening(broker.port) as listener,
        bench.delivering(broker.url),
    ):
        listener.wait_for(topic, b"0")


# --- the line breaks ------------------------------------------------------------------------------------------------


@brokers.needs_mosquitto
def test_after_a_restart_of_the_broker_everything_goes_on_in_order_and_the_states_are_there_again(
    bench: Bench, broker: Mosquitto
) -> None:
    bench.outbox.put([ONLINE, event(0)])
    with bench.delivering(broker.url) as deliverer:
        bench.wait_empty()
        broker.stop()
        bench.outbox.put([event(1), event(2)])
        until(lambda: not deliverer.connected)
        broker.start()  # it has forgotten every retained message
        with brokers.listening(broker.port, STATUS) as listener:
            until(lambda: listener.payloads(STATUS) == [b"online"])
        bench.wait_empty()
        assert deliverer.counters.connects == 2
        assert deliverer.counters.failures >= 1


def test_what_was_not_confirmed_is_sent_again_from_the_oldest(bench: Bench) -> None:
    seen: list[bytes] = []

    def confirm_two_then_hang_up(body: bytes) -> bytes | None:
        seen.append(body[-1:])
        return None if len(seen) == 3 else puback(body)

    bench.outbox.put([event(number) for number in range(5)])
    with scripted(confirm_two_then_hang_up) as broker, bench.delivering(broker.url, window=1):
        bench.wait_empty()
    assert seen == [*payloads(0, 1, 2, 2, 3, 4), b"e"]  # the last one is the farewell


def test_a_broker_that_confirms_nothing_costs_no_event(bench: Bench) -> None:
    bench.outbox.put([event(0)])
    with scripted(lambda _: b"") as broker, bench.delivering(broker.url, ack_timeout_s=0.05) as deliverer:
        until(lambda: deliverer.counters.failures > 5)
    assert bench.outbox.stats().waiting == 1
    assert bench.dead() == []


def test_a_broker_that_is_full_costs_no_event(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.outbox.put([event(0)])
    with scripted(lambda body: puback(body, 0x97)) as broker, bench.delivering(broker.url) as deliverer:
        until(lambda: deliverer.counters.failures > 5)
    assert bench.outbox.stats().waiting == 1
    assert bench.dead() == []
    assert "too busy (Quota exceeded)" in caplog.text


ITS_FAULT = "connections break on it again and again, while others get through"


# --- one message is to blame ----------------------------------------------------------------------------------------


@brokers.needs_mosquitto
def test_a_message_on_which_the_broker_hangs_up_is_buried_once_another_got_through_and_the_others_arrive(
    bench: Bench, tmp_path: Path
) -> None:
    with brokers.running(tmp_path, "max_packet_size 300") as broker, brokers.listening(broker.port) as listener:
        bench.outbox.put([ONLINE, event(0), event(1), event(2, size=400), event(3)])
        with bench.delivering(broker.url, protocol=3) as deliverer:
            bench.wait_empty()
            until(lambda: listener.payloads(EVENT)[-1:] == [b"3"])
        arrived = list(dict.fromkeys(listener.payloads(EVENT)))
    assert arrived == payloads(0, 1, 3)
    assert bench.dead() == [(b"2".ljust(400), ITS_FAULT)]
    assert deliverer.counters.refused == 1


@brokers.needs_mosquitto
def test_with_mqtt_5_a_message_that_is_too_large_is_buried_at_once(bench: Bench, tmp_path: Path) -> None:
    with brokers.running(tmp_path, "max_packet_size 300") as broker, brokers.listening(broker.port) as listener:
        bench.outbox.put([event(0), event(1, size=400), event(2)])
        with bench.delivering(broker.url) as deliverer:
            listener.wait_for(EVENT, *payloads(0, 2))
            bench.wait_empty()
    assert bench.dead() == [(b"1".ljust(400), "the broker refuses it: the broker takes 300 bytes at most (0x95)")]
    assert deliverer.counters.connects == 1


@brokers.needs_mosquitto
def test_a_message_that_the_broker_does_not_allow_is_buried_with_its_reason(
    bench: Bench, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "acl").write_text(f"topic readwrite {EVENT}\ntopic readwrite {STATUS}\n")
    with brokers.running(tmp_path, f"acl_file {tmp_path}/acl") as broker, brokers.listening(broker.port) as listener:
        bench.outbox.put([Message(topic="elsewhere", payload=b"0", kind="new"), event(1)])
        with bench.delivering(broker.url) as deliverer:
            listener.wait_for(EVENT, b"1")
            bench.wait_empty()
    assert bench.dead() == [(b"0", "the broker refuses it: Not authorized (0x87)")]
    assert (deliverer.counters.refused, deliverer.counters.acked) == (1, 1)
    assert "an event is set aside: the broker refuses it: Not authorized (0x87)" in caplog.text


def test_a_message_that_the_broker_swallows_again_and_again_is_buried(bench: Bench) -> None:
    bench.outbox.put([event(0), event(1), event(2)])
    with (
        scripted(lambda body: b"" if body[-1:] == b"1" else puback(body)) as broker,
        bench.delivering(broker.url, ack_timeout_s=0.1),
    ):
        bench.outbox.put([ONLINE])
        bench.wait_empty()
    assert bench.dead() == [(b"1", ITS_FAULT)]


@brokers.needs_mosquitto
def test_a_state_on_which_the_broker_hangs_up_is_left_out_for_a_while(
    bench: Bench, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with brokers.running(tmp_path, "max_packet_size 300") as broker, brokers.listening(broker.port) as listener:
        bench.outbox.put([Message(topic="edge/pi/health", payload=bytes(400), kind="state"), ONLINE, event(0)])
        with bench.delivering(broker.url, protocol=3):
            listener.wait_for(EVENT, b"0")
            bench.wait_empty()
    assert f"edge/pi/health: not sent for 60 min: {ITS_FAULT}" in caplog.text
    assert bench.dead() == []


@brokers.needs_mosquitto
@pytest.mark.parametrize("window", [2, 20])
def test_states_that_the_broker_does_not_allow_are_one_line_in_the_log(
    bench: Bench, tmp_path: Path, caplog: pytest.LogCaptureFixture, window: int
) -> None:
    (tmp_path / "acl").write_text(f"topic read #\ntopic readwrite {EVENT}\n")
    names = [f"edge/pi/camera/{name}/motion" for name in "abcdefg"]
    with brokers.running(tmp_path, f"acl_file {tmp_path}/acl") as broker, brokers.listening(broker.port) as listener:
        bench.outbox.put([*(Message(topic=name, payload=b"ON", kind="state") for name in names), event(0)])
        with bench.delivering(broker.url, window=window) as deliverer:
            listener.wait_for(EVENT, b"0")
            bench.wait_empty()
    said = [record.getMessage() for record in caplog.records if "not sent" in record.getMessage()]
    assert said == [
        f"{', '.join(names[:3])} and 4 more: not sent for 60 min: the broker refuses it: Not authorized (0x87)"
    ]
    assert deliverer.counters.refused == 7


# --- what others want to hear, and what they are answered -----------------------------------------------------------


def answer(number: int, *, topic: str = ANSWER, correlation: bytes | None = None) -> Message:
    return Message(topic=topic, payload=str(number).encode(), kind="answer", correlation=correlation)


@brokers.needs_mosquitto
@pytest.mark.parametrize("protocol", [5, 3])
def test_subscriptions_are_made_on_every_connection(bench: Bench, broker: Mosquitto, protocol: int) -> None:
    heard: list[Heard] = []
    bench.subscriptions = (Subscription("edge/pi/command", heard.append), Subscription("edge/+/set", heard.append))
    with bench.delivering(broker.url, protocol=protocol) as deliverer:
        for round_ in range(2):
            bench.outbox.put([event(round_)])
            bench.wait_empty()  # what is subscribed to before the first message is sent
            publish.single("edge/pi/command", b"1", qos=1, port=broker.port)
            publish.single("edge/x/set", b"2", qos=1, port=broker.port)
            until(lambda: len(heard) == 2)
            assert sorted(one.payload for one in heard) == payloads(1, 2)
            heard.clear()
            broker.stop()
            until(lambda: not deliverer.connected)
            broker.start()
            until(lambda: deliverer.connected)


def test_a_refused_subscription_is_said_and_asked_for_again_and_the_rest_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    asked: list[bytes] = []

    def reply(first: int, body: bytes) -> bytes:
        if first == CONNECT:
            return ACCEPT_5
        if first == SUBSCRIBE:
            asked.append(topic := body[5:-1])
            return b"\x90\x04" + body[:2] + bytes([0, NOT_AUTHORIZED if topic == b"secret/x" else 0])
        return puback(body) if first & 0xF0 == PUBLISH else b""

    clock = FakeClock()
    with bench_with(clock, tmp_path / "outbox.db") as bench, closing(ScriptedBroker(reply)) as broker:
        bench.subscriptions = (Subscription("secret/x", lambda _: None), Subscription("edge/pi/x", lambda _: None))
        bench.outbox.put([event(0)])
        with bench.delivering(broker.url) as deliverer:
            until(lambda: deliverer.counters.acked == 1)
            assert asked == [b"secret/x", b"edge/pi/x"]
            clock.advance(60)
            until(lambda: asked[2:] == [b"secret/x"])
            assert (deliverer.counters.connects, deliverer.counters.failures) == (1, 0)
    said = [line for line in caplog.messages if "secret/x cannot be subscribed to: not authorized" in line]
    assert len(said) == 2


def test_a_broker_that_takes_long_to_refuse_a_subscription_is_not_asked_all_the_time(tmp_path: Path) -> None:
    asked: list[bytes] = []
    clock = FakeClock()

    def reply(first: int, body: bytes) -> bytes:
        if first == CONNECT:
            return ACCEPT_5
        if first == SUBSCRIBE:
            asked.append(body)
            clock.advance(70)
            return b"\x90\x04" + body[:2] + bytes([0, NOT_AUTHORIZED])
        return puback(body) if first & 0xF0 == PUBLISH else b""

    with bench_with(clock, tmp_path / "outbox.db") as bench, closing(ScriptedBroker(reply)) as broker:
        bench.subscriptions = (Subscription("secret/x", lambda _: None),)
        with bench.delivering(broker.url) as deliverer:
            for number in range(3):
                bench.outbox.put([event(number)])
                until(lambda: deliverer.counters.acked == number + 1)  # noqa: B023
            assert len(asked) == 1


@brokers.needs_mosquitto
def test_answers_go_first_and_are_not_kept_by_the_broker(bench: Bench, broker: Mosquitto) -> None:
    bench.outbox.put([event(0), ONLINE, answer(1), answer(2)])
    with brokers.listening(broker.port) as listener, bench.delivering(broker.url):
        until(lambda: len(listener.heard) == 4)
        assert [one.topic for one in listener.heard] == [ANSWER, ANSWER, STATUS, EVENT]
        bench.outbox.put([answer(3)])
        listener.wait_for(ANSWER, *payloads(1, 2, 3))
    with brokers.listening(broker.port) as later:
        later.wait_for(STATUS, b"offline")
        assert later.payloads(ANSWER) == []
    assert bench.outbox.answers(10) == ()
    assert bench.outbox.stats().answers_lost == 0


def test_an_answer_that_was_not_confirmed_is_sent_again_on_the_next_connection(bench: Bench) -> None:
    seen: list[bytes] = []

    def hang_up_once(body: bytes) -> bytes | None:
        seen.append(body[-1:])
        return None if len(seen) == 1 else puback(body)

    bench.outbox.put([answer(7)])
    with scripted(hang_up_once) as broker, bench.delivering(broker.url):
        until(lambda: bench.outbox.answers(1) == ())
    assert seen[:2] == payloads(7, 7)
    assert bench.outbox.stats().answers_lost == 0


@brokers.needs_mosquitto
def test_an_answer_to_where_the_broker_lets_nobody_speak_is_lost_and_counted(
    bench: Bench, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "acl").write_text("topic readwrite edge/#\n")
    with brokers.running(tmp_path, f"acl_file {tmp_path}/acl") as broker, brokers.listening(broker.port) as listener:
        bench.outbox.put([answer(0, topic="secret/x"), answer(1)])
        with bench.delivering(broker.url) as deliverer:
            listener.wait_for(ANSWER, b"1")
            until(lambda: deliverer.counters.refused == 1)
    assert bench.outbox.stats().answers_lost == 1
    assert bench.dead() == []
    assert "an answer to a command is lost: the broker refuses it: Not authorized (0x87)" in caplog.text


# --- run ------------------------------------------------------------------------------------------------------------


def test_the_same_trouble_is_logged_once_a_minute_and_the_pulse_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock = FakeClock()
    stop = threading.Event()
    beats: list[float] = []

    def beat() -> None:
        beats.append(clock.monotonic_s())
        if clock.monotonic_s() > 1000 + 80:
            stop.set()

    def unreachable() -> Line:
        raise BrokerError("broker mqtt://nowhere:1883: nobody listens there")

    with bench_with(clock, tmp_path / "outbox.db") as bench:
        deliverer = bench.deliverer_over(unreachable, MqttSettings(retry_first_s=1, retry_cap_s=30), beat)
        deliverer.run(stop)
    assert [line for line in caplog.messages if "nobody listens" in line] == [
        "broker mqtt://nowhere:1883: nobody listens there; retry in 1 s",
        "broker mqtt://nowhere:1883: nobody listens there; retry in 30 s",
    ]
    assert max(later - earlier for earlier, later in itertools.pairwise(beats)) <= 1.0
    assert deliverer.counters.failures == 7  # after 0, 1, 3, 7, 15, 31 and 61 s


def test_what_does_not_pass_ends_the_run(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)

    def wrong() -> Line:
        raise ConfigError("mqtt.password_file: no such file")

    with pytest.raises(ConfigError):
        bench.deliverer_over(wrong, MqttSettings()).run(threading.Event())
    assert caplog.messages == []
