"""Which broker is asked when: fail-over and the way back, what a broker knows, and rivals with the same id."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import brokers
import pytest
from brokers import ACCEPT_5, ACCEPT_311, CONNECT, LEVEL, PUBLISH, Mosquitto, ScriptedBroker, packet_id, until
from fakes import FakeClock
from ports import free_port
from pydantic import SecretStr

from edge_agent.edges.clock import Backoff, SystemClock
from edge_agent.edges.deliver import Deliverer, deliverer
from edge_agent.edges.mqtt import Brokers, BrokerStatus, Connection, MqttSettings
from edge_agent.edges.mqtt.rivals import Rivals
from edge_agent.edges.outbox import Outbox, OutboxSettings
from edge_agent.errors import BrokerError
from edge_agent.records import Message

STATUS = "edge/pi/status"
WILL = Message(topic=STATUS, payload=b"offline", kind="state")
ONLINE = Message(topic=STATUS, payload=b"online", kind="state")
TAKEN_OVER = b"\xe0\x02\x8e\x00"


def brokers_of(url: str, *urls: str, clock: FakeClock | None = None, **settings: Any) -> Brokers:
    own = MqttSettings(url=url, urls=urls, **{"ack_timeout_s": 5, **settings})
    return Brokers(own, client_id="pi", will=WILL, clock=clock or FakeClock(), uniform=lambda _low, high: high)


def nobody() -> str:
    """An address where nobody listens."""
    return f"mqtt://127.0.0.1:{free_port()}"


@contextmanager
def scripted(answer: Callable[[int, bytes], bytes | None]) -> Iterator[ScriptedBroker]:
    with closing(ScriptedBroker(answer)) as broker:
        yield broker


@contextmanager
def line(connection: Connection) -> Iterator[Connection]:
    try:
        yield connection
    finally:
        connection.cut()


def confirming(first: int, body: bytes) -> bytes:
    """A broker that takes everything."""
    return ACCEPT_5 if first == CONNECT else b"\x40\x02" + packet_id(body) if first & 0xF0 == PUBLISH else b""


def turns_away(brokers: Brokers) -> str:
    with pytest.raises(BrokerError) as raised:
        brokers.connect()
    return str(raised.value)


# --- one after the other --------------------------------------------------------------------------------------------


def test_the_next_broker_is_tried_when_one_cannot_be_reached_and_after_the_last_the_first() -> None:
    first, second, third = nobody(), nobody(), nobody()
    brokers = brokers_of(first, second, third)
    assert [turns_away(brokers).partition(": nobody")[0] for _ in range(4)] == [
        f"broker {url}" for url in (first, second, third, first)
    ]


def test_one_that_refuses_is_followed_by_the_next() -> None:
    with scripted(lambda *_: b"\x20\x03\x00\x88\x00") as closed, scripted(confirming) as open_one:
        brokers = brokers_of(closed.url, open_one.url)
        assert "server unavailable" in turns_away(brokers)
        with line(brokers.connect()) as connection:
            assert connection.broker == open_one.url


def test_a_connection_that_is_lost_begins_the_list_anew() -> None:
    with scripted(confirming) as second:
        brokers = brokers_of(first := nobody(), second.url)
        turns_away(brokers)
        with line(brokers.connect()) as connection:
            connection.publish("edge/x", b"", retain=False)
            until(connection.acknowledged)
        assert first in turns_away(brokers)


def test_one_that_accepts_and_then_confirms_nothing_is_followed_by_the_next() -> None:
    with scripted(lambda first, _: ACCEPT_5 if first == CONNECT else b"") as sick, scripted(confirming) as well:
        brokers = brokers_of(sick.url, well.url)
        with line(brokers.connect()) as connection:
            connection.publish("edge/x", b"", retain=False)
        with line(brokers.connect()) as connection:
            assert connection.broker == well.url


def test_the_same_address_twice_is_one_broker() -> None:
    brokers = brokers_of(first := nobody(), first, second := nobody())
    assert [second in turns_away(brokers) for _ in range(4)] == [False, True, False, True]


def test_each_broker_gets_the_same_credentials() -> None:
    seen: list[bytes] = []

    def note(first: int, body: bytes) -> bytes | None:
        seen.append(body)
        return confirming(first, body) if len(seen) > 1 else b"\x20\x03\x00\x88\x00"

    with scripted(note) as one, scripted(note) as other:
        brokers = brokers_of(one.url, other.url, username="edge", password=SecretStr("s3cret"))
        turns_away(brokers)
        brokers.connect().cut()
    assert [body.endswith(b"\x00\x04edge\x00\x06s3cret") for body in seen[:2]] == [True, True]


@pytest.mark.parametrize("code", [0x9C, 0x9D])
def test_a_broker_that_names_another_one_of_ours_is_followed_there(code: int) -> None:
    middle = nobody()
    with scripted(confirming) as named:
        reference = named.url.removeprefix("mqtt://").encode()
        said = bytes([0x1C]) + len(reference).to_bytes(2, "big") + reference
        body = bytes([0, code, len(said)]) + said
        with scripted(lambda *_: bytes([0x20, len(body)]) + body) as first:
            brokers = brokers_of(first.url, middle, named.url)
            turns_away(brokers)
            with line(brokers.connect()) as connection:
                assert connection.broker == named.url  # and not the one in the middle


def test_one_that_ends_the_connection_because_it_moves_is_left_for_the_one_it_names() -> None:
    with scripted(confirming) as named:
        reference = named.url.removeprefix("mqtt://").encode()
        said = bytes([0x1C]) + len(reference).to_bytes(2, "big") + reference
        body = bytes([0x9D, len(said)]) + said
        with scripted(lambda first, _: ACCEPT_5 if first == CONNECT else bytes([0xE0, len(body)]) + body) as moving:
            brokers = brokers_of(moving.url, nobody(), named.url)
            with line(brokers.connect()) as connection:
                connection.publish("edge/x", b"", retain=False)
                until(lambda: connection.lost)
                assert f"server moved, to {named.url.removeprefix('mqtt://')}" in str(connection.lost)
            with line(brokers.connect()) as connection:
                assert connection.broker == named.url


def test_once_and_for_one_that_only_looks_every_broker_is_asked() -> None:
    with scripted(confirming) as last:
        brokers = brokers_of(first := nobody(), second := nobody(), last.url)
        with line(brokers.connect_to_any()) as connection:
            assert connection.broker == last.url
    with pytest.raises(BrokerError, match=rf"{first}.*nobody listens.*; .*{second}.*nobody listens"):
        brokers_of(first, second).connect_to_any()


# --- what a broker knows --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("refusal", [b"\x20\x02\x00\x01", b"\x20\x03\x00\x84\x00", None])
def test_that_a_broker_knows_only_311_is_remembered_for_an_hour(refusal: bytes | None) -> None:
    asked: list[int] = []

    def answer(first: int, body: bytes) -> bytes | None:
        if first != CONNECT:
            return b""
        asked.append(body[LEVEL])
        return refusal if body[LEVEL] == 5 else ACCEPT_311

    clock = FakeClock()
    with scripted(answer) as broker:
        brokers = brokers_of(broker.url, clock=clock)
        for expected in ([5, 4], [4], [4]):
            asked.clear()
            brokers.connect().cut()
            assert asked == expected
        clock.now_s += 3600
        asked.clear()
        brokers.connect().cut()
        assert asked == [5, 4]
        asked.clear()
        brokers_of(broker.url).connect().cut()  # after a restart
        assert asked == [5, 4]


def test_what_one_broker_knows_says_nothing_of_another() -> None:
    def old(first: int, body: bytes) -> bytes | None:
        return (None if body[LEVEL] == 5 else ACCEPT_311) if first == CONNECT else b""

    with scripted(old) as one, scripted(confirming) as other:
        brokers = brokers_of(one.url, other.url)
        with line(brokers.connect()) as connection:
            assert connection.protocol == "3.1.1"
            connection.publish("edge/x", b"", retain=False)
        with line(brokers.connect()) as connection:
            assert (connection.broker, connection.protocol) == (other.url, "5")


def test_a_broker_that_was_away_for_a_moment_is_not_taken_for_an_old_one() -> None:
    answers: list[bytes | None] = [None, None]
    with scripted(lambda first, body: answers.pop() if answers else confirming(first, body)) as broker:
        brokers = brokers_of(broker.url)
        assert "hangs up" in turns_away(brokers)  # both times
        with line(brokers.connect()) as connection:
            assert connection.protocol == "5"


# --- rivals ---------------------------------------------------------------------------------------------------------


def rivals() -> Rivals:
    return Rivals(first_s=1, cap_s=30, uniform=lambda _low, high: high)


def test_who_is_taken_over_stays_away_for_a_minute_then_two_up_to_a_quarter_of_an_hour() -> None:
    pace = rivals()
    waits = [pace.stay_away_s(taken_over=True, broke=False, lasted_s=30) for _ in range(6)]
    assert waits == [60, 120, 240, 480, 900, 900]


def test_who_was_left_alone_for_ten_minutes_has_no_rival_any_more() -> None:
    pace = rivals()
    waits = [pace.stay_away_s(taken_over=True, broke=False, lasted_s=lasted_s) for lasted_s in (0, 599, 600)]
    assert waits == [60, 120, 60]


def test_many_short_connections_in_a_row_look_like_a_rival_where_the_protocol_does_not_tell() -> None:
    pace = rivals()
    waits = [pace.stay_away_s(taken_over=False, broke=True, lasted_s=9) for _ in range(11)]
    assert waits == [0, 0, 0, 0, 1, 2, 4, 8, 16, 30, 30]
    assert pace.stay_away_s(taken_over=False, broke=True, lasted_s=10) == 0  # it held
    assert pace.stay_away_s(taken_over=False, broke=True, lasted_s=0) == 0  # counts from one again


def test_connections_that_we_end_say_nothing_of_rivals() -> None:
    pace = rivals()
    assert {pace.stay_away_s(taken_over=False, broke=False, lasted_s=0) for _ in range(20)} == {0}


def test_no_try_is_made_while_staying_away_and_it_says_why() -> None:
    clock = FakeClock()
    with scripted(lambda first, _: ACCEPT_5 if first == CONNECT else TAKEN_OVER) as broker:
        brokers = brokers_of(broker.url, clock=clock)
        with line(brokers.connect()) as connection:
            connection.publish("edge/x", b"", retain=False)
            until(lambda: connection.lost)
        assert turns_away(brokers) == (
            f"broker {broker.url}: it ended the connection: session taken over; another client has the same id; "
            "give every device a device.id of its own; not tried again for 60 s"
        )
        clock.now_s += 59
        assert turns_away(brokers).endswith("not tried again for 60 s")
        assert broker.connections == 1
        clock.now_s += 1
        brokers.connect().cut()
        assert broker.connections == 2


def test_who_is_hung_up_on_after_a_refusal_has_no_rival() -> None:
    def refusing(first: int, body: bytes) -> bytes | None:
        if first == CONNECT:
            return ACCEPT_5
        return b"\x40\x04" + packet_id(body) + b"\x87\x00" if first & 0xF0 == PUBLISH else None

    with scripted(refusing) as broker:
        brokers = brokers_of(broker.url)
        for number in range(12):  # a list of rights that lets nothing through ends as many connections as messages
            with line(brokers.connect()) as connection:
                connection.publish(f"edge/{number}", b"", retain=False)
                until(connection.acknowledged)
                with pytest.raises(BrokerError, match="the connection broke"):
                    connection.subscribe("edge/#", lambda _heard: None)


@brokers.needs_mosquitto
@pytest.mark.parametrize("protocol", [5, 3])
def test_two_boxes_with_one_id_do_not_fight_at_full_speed(
    tmp_path: Path, protocol: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliverer, "_TURN_S", 0.05)  # else it would be slow by itself
    stop = threading.Event()
    with brokers.running(tmp_path) as broker:
        boxes = [box(tmp_path / name, url=broker.url, protocol=protocol) for name in ("one", "other")]
        threads = [threading.Thread(target=deliverer.run, args=[stop]) for deliverer, _ in boxes]
        for thread in threads:
            thread.start()

        def connects() -> int:
            return sum(deliverer.counters.connects for deliverer, _ in boxes)

        def blamed() -> bool:
            said = "does another client have the id pi"  # mosquitto 2.0.11 does not say why it ends a connection
            return any(said in deliverer.last_failure for deliverer, _ in boxes)

        try:
            until(blamed)
            before = connects()
            stop.wait(3.0)  # at full speed, a wait of 0.05 s at most, it would be dozens
            assert connects() - before <= 12
        finally:
            stop.set()
            for thread, (_, outbox) in zip(threads, boxes, strict=True):
                thread.join()
                outbox.close()


def box(folder: Path, **settings: Any) -> tuple[Deliverer, Outbox]:
    """An outbox with a state, and what delivers it under the id that others have, too."""
    folder.mkdir()
    clock = SystemClock()
    outbox = Outbox(OutboxSettings(path=folder / "outbox.db"), clock)
    outbox.put([ONLINE])
    own = MqttSettings(ack_timeout_s=5, retry_first_s=0.05, retry_cap_s=2, **settings)
    brokers = Brokers(own, client_id="pi", will=WILL, clock=clock)
    backoff = Backoff(first_s=0.05, cap_s=2, uniform=lambda _low, high: high)
    return Deliverer(outbox=outbox, connect=brokers.connect, clock=clock, settings=own, backoff=backoff), outbox


# --- the way back ---------------------------------------------------------------------------------------------------


@brokers.needs_mosquitto
def test_delivery_goes_over_to_the_second_broker_and_returns_in_order_when_the_first_is_back(tmp_path: Path) -> None:
    (tmp_path / "second").mkdir()
    first, stop = Mosquitto(tmp_path), threading.Event()
    with brokers.running(tmp_path / "second") as second, brokers.listening(second.port, STATUS) as listener:
        deliverer, outbox = box(tmp_path / "box", url=first.url, urls=(second.url,), return_every_s=0.2, keepalive_s=5)
        thread = threading.Thread(target=deliverer.run, args=[stop])
        thread.start()
        try:
            listener.wait_for(STATUS, b"online")
            first.start()
            with brokers.listening(first.port, STATUS) as home:
                home.wait_for(STATUS, b"online")
                listener.wait_for(STATUS, b"online", b"offline")  # said in order: the one that was left knows
                failures = deliverer.counters.failures
                stop.set()
                thread.join()
                home.wait_for(STATUS, b"online", b"offline")
            assert deliverer.counters.failures == failures  # to leave is no failure
            assert deliverer.counters.connects == 2
        finally:
            stop.set()
            thread.join()
            outbox.close()
            first.stop()


@brokers.needs_mosquitto
def test_who_is_with_another_broker_stays_while_the_first_refuses(tmp_path: Path) -> None:
    with brokers.running(tmp_path) as second, scripted(lambda *_: b"\x20\x03\x00\x88\x00") as first:
        brokers_ = brokers_of(first.url, second.url, return_every_s=0.05)
        turns_away(brokers_)
        with line(brokers_.connect()) as connection:
            until(lambda: first.connections >= 4)
            assert not connection.leaving
            assert connection.lost is None


# --- status ---------------------------------------------------------------------------------------------------------


def test_the_status_tells_of_the_connection_there_is() -> None:
    clock = FakeClock()
    with scripted(confirming) as broker:
        brokers = brokers_of(broker.url.replace("mqtt://", "mqtt://edge@"), clock=clock)
        assert brokers.status == BrokerStatus()
        with line(brokers.connect()):
            expected = BrokerStatus(broker=broker.url, protocol="5", since_utc_ns=clock.utc_ns())
            assert brokers.status == expected
        assert brokers.status == BrokerStatus()
