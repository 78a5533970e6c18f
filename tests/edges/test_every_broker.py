"""The same over every broker and version: what is promised holds, and what a broker cannot do is said by name."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from pathlib import Path

import other_brokers
import pytest
from brokers import Listener, listening, until
from other_brokers import KINDS, MOST_BYTES, PASSWORD, USER, Broker, Kind
from proxy import proxy_of
from pydantic import SecretStr

from edge_agent.edges.clock import Backoff, SystemClock
from edge_agent.edges.deliver import Deliverer, deliverer
from edge_agent.edges.mqtt import Brokers, Connection, MqttSettings, Receipt, connect
from edge_agent.edges.outbox import Outbox, OutboxSettings
from edge_agent.errors import BrokerError
from edge_agent.records import Heard, Message

STATUS = "edge/pi/status"
EVENT = "edge/pi/camera/front/event"
WILL = Message(topic=STATUS, payload=b"offline", kind="state")
ONLINE = Message(topic=STATUS, payload=b"online", kind="state")


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: kind.name)
def kind(request: pytest.FixtureRequest) -> Kind:
    kind: Kind = request.param
    if kind.missing:
        pytest.skip(kind.missing)
    return kind


@pytest.fixture(scope="module")
def broker(kind: Kind, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """One that lets everybody in, for tests that leave nothing behind that another hears."""
    with other_brokers.running(kind, tmp_path_factory.mktemp(kind.name)) as broker:
        yield broker


def able(kind: Kind, what: str) -> None:
    """Say by name what this broker cannot do, instead of leaving it out."""
    if what in kind.cannot:
        pytest.skip(f"{kind.name} cannot: {what}: {kind.cannot[what]}")


def settings_for(kind: Kind, url: str, **more: object) -> MqttSettings:
    own = {"ack_timeout_s": 5, "retry_first_s": 0.02, "retry_cap_s": 0.1, "protocol": kind.protocol, **more}
    return MqttSettings.model_validate({"url": url, **own})


@contextmanager
def connected(
    kind: Kind, url: str, *, will: Message | None = None, client_id: str = "pi", **more: object
) -> Iterator[Connection]:
    connection = connect(settings_for(kind, url, **more), client_id=client_id, will=will)
    try:
        yield connection
    finally:
        connection.cut()


def hearing(kind: Kind, broker: Broker, topic: str) -> AbstractContextManager[Listener]:
    """Somebody who hears, in the version that the broker knows."""
    return listening(broker.port, topic, protocol=5 if kind.speaks == "5" else 3)


def is_kept(kind: Kind, broker: Broker, topic: str) -> bool:
    """Whether a newcomer gets what is retained: a broker may acknowledge it a moment before."""
    with hearing(kind, broker, topic) as listener:
        with suppress(AssertionError):
            until(lambda: listener.heard, within_s=0.5)
        return bool(listener.heard)


def receipts(connection: Connection, count: int) -> list[Receipt]:
    """Wait for so many receipts."""
    found: list[Receipt] = []

    def enough() -> bool:
        connection.wait(0.1)
        found.extend(connection.acknowledged())
        return len(found) >= count or connection.lost is not None

    until(enough, f"{count} receipts wanted")
    assert len(found) >= count, (found, connection.lost)
    return found


@contextmanager
def delivering(kind: Kind, url: str, outbox: Outbox, **more: object) -> Iterator[Deliverer]:
    """A deliverer at work."""
    settings, clock, stop = settings_for(kind, url, **more), SystemClock(), threading.Event()
    brokers = Brokers(settings, client_id="pi", will=WILL, clock=clock)
    backoff = Backoff(first_s=0.02, cap_s=0.1, uniform=lambda _low, high: high)
    deliverer = Deliverer(outbox=outbox, connect=brokers.connect, clock=clock, settings=settings, backoff=backoff)
    thread = threading.Thread(target=deliverer.run, args=[stop])
    thread.start()
    try:
        yield deliverer
    finally:
        stop.set()
        thread.join()


@pytest.fixture
def outbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Outbox]:
    monkeypatch.setattr(deliverer, "_TURN_S", 0.1)
    with closing(Outbox(OutboxSettings(path=tmp_path / "outbox.db"), SystemClock())) as outbox:
        yield outbox


def event(number: int, size: int = 0) -> Message:
    payload = str(number).encode().ljust(size)
    utc_ns = SystemClock().utc_ns()
    return Message(topic=EVENT, payload=payload, kind="new", late_topic=f"{EVENT}/late", utc_ns=utc_ns)


def numbers(listener: Listener) -> list[int]:
    """Which events came, in order, each where it came first."""
    return list(dict.fromkeys(int(heard.payload) for heard in list(listener.heard) if heard.topic == EVENT))


def test_it_is_connected_to_with_the_version_that_it_knows(kind: Kind, broker: Broker) -> None:
    with connected(kind, broker.url) as connection:
        assert connection.protocol == kind.speaks
        assert connection.window == 20


def test_what_is_published_arrives_in_order_and_is_acknowledged(kind: Kind, broker: Broker) -> None:
    topic = "edge/published"
    with hearing(kind, broker, topic) as listener, connected(kind, broker.url) as connection:
        tokens = [connection.publish(topic, b"%d" % number, retain=False) for number in range(50)]
        assert receipts(connection, 50) == [Receipt(token=token) for token in tokens]
        listener.wait_for(topic, *(b"%d" % number for number in range(50)))


def test_a_retained_message_is_kept_replaced_and_cleared(kind: Kind, broker: Broker) -> None:
    topic = "edge/kept"
    with connected(kind, broker.url) as connection:
        for payload in (b"1", b"2"):
            connection.publish(topic, payload, retain=True)
        receipts(connection, 2)
        with hearing(kind, broker, topic) as listener:
            listener.wait_for(topic, b"2")
            assert listener.heard[0].retain
        connection.publish(topic, b"", retain=True)
        receipts(connection, 1)
        with hearing(kind, broker, "edge/kept/#") as listener:
            connection.publish(f"{topic}/after", b"x", retain=False)
            until(lambda: listener.payloads(f"{topic}/after"))
            assert listener.payloads(topic) == []


def test_the_will_is_said_when_the_line_is_cut_and_kept(kind: Kind, broker: Broker) -> None:
    with hearing(kind, broker, STATUS) as listener, connected(kind, broker.url, will=WILL) as connection:
        connection.publish(STATUS, b"online", retain=True)
        receipts(connection, 1)
        connection.cut()
        until(lambda: listener.payloads(STATUS)[-2:] == [b"online", b"offline"])
    with hearing(kind, broker, STATUS) as listener:
        able(kind, "keep the will")
        listener.wait_for(STATUS, b"offline")


def test_who_goes_in_order_says_so_once(kind: Kind, broker: Broker) -> None:
    with hearing(kind, broker, "edge/#") as listener:
        with connected(kind, broker.url, will=WILL) as connection:
            connection.publish(STATUS, b"online", retain=True)
            receipts(connection, 1)
            connection.close()
            assert connection.lost
        with connected(kind, broker.url, client_id="other") as other:
            other.publish("edge/end", b"x", retain=False)
            until(lambda: listener.payloads("edge/end"))
        assert listener.payloads(STATUS)[-2:] == [b"online", b"offline"]


def test_what_others_say_is_heard_and_what_was_kept_is_heard_as_such(kind: Kind, broker: Broker) -> None:
    heard: list[Heard] = []
    with connected(kind, broker.url) as connection, connected(kind, broker.url, client_id="ear") as ear:
        connection.publish("edge/heard/old", b"1", retain=True)
        receipts(connection, 1)
        until(lambda: is_kept(kind, broker, "edge/heard/old"))
        ear.subscribe("edge/heard/+", heard.append)
        until(lambda: heard)
        connection.publish("edge/heard/new", b"2", retain=True)
        until(lambda: len(heard) >= 2)
    assert heard == [
        Heard(topic="edge/heard/old", payload=b"1", retained=True),
        Heard(topic="edge/heard/new", payload=b"2"),
    ]


def test_another_with_the_same_id_ends_the_connection(kind: Kind, broker: Broker) -> None:
    with connected(kind, broker.url, client_id="twin") as first, connected(kind, broker.url, client_id="twin"):
        able(kind, "end the connection of a twin")
        until(lambda: first.lost)


@pytest.fixture(scope="module")
def guarded(kind: Kind, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """One that lets only `edge` in, to topics below `edge/`."""
    with other_brokers.running(kind, tmp_path_factory.mktemp(f"{kind.name}-guarded"), guarded=True) as broker:
        yield broker


def test_who_has_the_password_comes_in(kind: Kind, guarded: Broker, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text(f"{PASSWORD}\n")
    for password in ({"password": SecretStr(PASSWORD)}, {"password_file": file}):
        with connected(kind, guarded.url, username=USER, **password) as connection:
            assert connection.lost is None


def test_who_has_not_is_told_what_to_do(kind: Kind, guarded: Broker) -> None:
    with pytest.raises(BrokerError) as raised:
        connect(settings_for(kind, guarded.url, username=USER, password=SecretStr("wr0ng")), client_id="pi", will=None)
    assert "wr0ng" not in str(raised.value)
    if "say that a password is wrong" in kind.cannot:
        assert "hangs up without an answer; does it want mqtts:// or another password" in str(raised.value)
        able(kind, "say that a password is wrong")
    assert "check mqtt.username and its password" in str(raised.value)


def test_what_is_not_allowed_is_refused(kind: Kind, guarded: Broker) -> None:
    with connected(kind, guarded.url, username=USER, password=PASSWORD) as connection:
        token = connection.publish("other/x", b"", retain=False)
        if "refuse a message" in kind.cannot:
            assert receipts(connection, 1) == [Receipt(token=token)]
            able(kind, "refuse a message")
        assert receipts(connection, 1) == [Receipt(token=token, refused=0x87, reason="Not authorized")]


def test_what_must_not_be_heard_is_refused_and_nothing_else_is_lost(kind: Kind, guarded: Broker) -> None:
    with connected(kind, guarded.url, username=USER, password=PASSWORD) as connection:
        if "refuse a subscription" in kind.cannot:
            connection.subscribe("other/#", lambda _heard: None)
            able(kind, "refuse a subscription")
        with pytest.raises(BrokerError, match=r"other/# cannot be subscribed to: "):
            connection.subscribe("other/#", lambda _heard: None)
        connection.publish("edge/x", b"", retain=False)
        assert receipts(connection, 1)


# --- delivery -------------------------------------------------------------------------------------------------------


def empty(outbox: Outbox) -> Callable[[], bool]:
    return lambda: outbox.stats().waiting == 0


def test_a_restart_of_the_broker_loses_nothing(kind: Kind, outbox: Outbox, tmp_path: Path) -> None:
    (tmp_path / "broker").mkdir()
    with other_brokers.running(kind, tmp_path / "broker") as broker:
        outbox.put([ONLINE])
        with delivering(kind, broker.url, outbox) as deliverer:
            outbox.put([event(1)])
            until(empty(outbox))
            broker.stop()
            outbox.put([event(2)])
            until(lambda: not deliverer.connected)
            broker.start()
            with hearing(kind, broker, "edge/#") as listener:
                until(empty(outbox))
                outbox.put([event(3)])
                until(lambda: listener.payloads(EVENT)[-1:] == [b"3"])
                until(lambda: listener.payloads(STATUS)[-1:] == [b"online"])  # states are sent again on every connect
            assert deliverer.counters.connects >= 2
            assert outbox.stats().dead == 0


def test_a_message_that_is_too_large_for_the_broker_blocks_no_other(kind: Kind, outbox: Outbox, tmp_path: Path) -> None:
    (tmp_path / "broker").mkdir()
    with other_brokers.running(kind, tmp_path / "broker") as broker, hearing(kind, broker, "edge/#") as listener:
        huge = Message(topic="edge/pi/health", payload=bytes(MOST_BYTES + 1000), kind="state")
        with delivering(kind, broker.url, outbox) as deliverer:
            outbox.put([huge, event(1), event(2)])
            until(lambda: numbers(listener) == [1, 2])
            until(empty(outbox))
        assert deliverer.counters.refused == 1
        assert listener.payloads("edge/pi/health") == []


def test_a_black_hole_is_left_and_everything_arrives_later(kind: Kind, broker: Broker, outbox: Outbox) -> None:
    with proxy_of(broker.port) as hole, hearing(kind, broker, EVENT) as listener:
        url = f"mqtt://127.0.0.1:{hole.port}"
        with delivering(kind, url, outbox, ack_timeout_s=0.5) as deliverer:
            outbox.put([event(1)])
            until(lambda: numbers(listener) == [1])
            hole.stall()
            outbox.put([event(2), event(3)])
            until(lambda: deliverer.counters.failures)
            assert "within 0.5 s" in deliverer.last_failure
            hole.flow()
            until(lambda: numbers(listener) == [1, 2, 3])
            until(empty(outbox))


@pytest.mark.parametrize("window", [1, 7])
def test_no_more_are_under_way_than_the_window_allows(kind: Kind, broker: Broker, outbox: Outbox, window: int) -> None:
    with proxy_of(broker.port) as hole, hearing(kind, broker, EVENT) as listener:
        url = f"mqtt://127.0.0.1:{hole.port}"
        with delivering(kind, url, outbox, window=window) as deliverer:
            outbox.put([event(0)])
            until(empty(outbox))
            before = deliverer.counters.published
            hole.stall()
            outbox.put([event(number) for number in range(1, 31)])
            until(lambda: deliverer.counters.published - before >= window)
            threading.Event().wait(0.3)
            assert deliverer.counters.published - before == window
            hole.flow()
            until(lambda: numbers(listener) == list(range(31)))
