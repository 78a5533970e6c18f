"""What the settings of MQTT do on the wire, with a real broker where one can show it."""

from __future__ import annotations

import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import brokers
import pytest
from brokers import ACCEPT_5, ACCEPT_311, CONNECT, PUBLISH, Mosquitto, ScriptedBroker, listening, packet_id, until

from edge_agent.config import load
from edge_agent.edges.mqtt import Connection, MqttSettings, connect
from edge_agent.errors import BrokerError
from edge_agent.records import Heard, Message

STATUS = "edge/pi/status"
WILL = Message(topic=STATUS, payload=b"offline", kind="state")


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    with brokers.running(tmp_path_factory.mktemp("mosquitto")) as broker:
        yield broker


@contextmanager
def scripted(answer: Callable[[int, bytes], bytes | None]) -> Iterator[ScriptedBroker]:
    with closing(ScriptedBroker(answer)) as broker:
        yield broker


@contextmanager
def connected(url: str, client_id: str = "pi", will: Message | None = WILL, **settings: Any) -> Iterator[Connection]:
    own = {"url": url, "ack_timeout_s": 5, **settings}
    connection = connect(MqttSettings.model_validate(own), client_id=client_id, will=will)
    try:
        yield connection
    finally:
        connection.cut()


def acknowledged(connection: Connection) -> None:
    until(connection.acknowledged)


def connect_packet(protocol: int = 5, will: Message | None = WILL, **settings: Any) -> bytes:
    """The body of the CONNECT that these settings make."""
    seen: list[bytes] = []

    def note(first: int, body: bytes) -> bytes:
        seen.append(body)
        return (ACCEPT_5 if protocol == 5 else ACCEPT_311) if first == CONNECT else b""

    with scripted(note) as broker, connected(broker.url, will=will, protocol=protocol, **settings):
        return seen[0]


@pytest.mark.parametrize("protocol", [5, 3])
def test_keepalive_goes_to_the_broker(protocol: int) -> None:
    body = connect_packet(protocol, keepalive_s=77)
    assert body[8:10] == (77).to_bytes(2, "big")  # MQTT version 5.0, section 3.1.2.10: after name, level and flags


@pytest.mark.parametrize("protocol", [5, 3])
def test_nothing_is_left_of_a_session_unless_asked(protocol: int) -> None:
    body = connect_packet(protocol)
    assert body[7] & 0x02  # Clean Start
    if protocol == 5:
        # One property, Maximum Packet Size, and no Session Expiry Interval, so that the session ends with the line.
        assert body[10:16] == b"\x05\x27" + (4 << 20).to_bytes(4, "big")


@pytest.mark.parametrize("will_delay_s", [30, 29.1])
def test_a_delayed_will_lets_the_session_last_as_long(will_delay_s: float) -> None:
    body = connect_packet(will_delay_s=will_delay_s)
    assert not body[7] & 0x02  # else the broker would say the will as soon as the agent is back
    assert b"\x11\x00\x00\x00\x1e" in body[10:20]  # Session Expiry Interval, 30 s
    assert b"\x18\x00\x00\x00\x1e" in body  # Will Delay Interval, 30 s


@pytest.mark.parametrize(("protocol", "will"), [(3, WILL), (5, None)])
def test_a_will_is_not_delayed_where_there_is_none_or_the_version_knows_no_delay(
    protocol: int, will: Message | None
) -> None:
    assert connect_packet(protocol, will, will_delay_s=30) == connect_packet(protocol, will)


def test_the_kernel_is_told_how_long_to_wait_for_the_other_end() -> None:
    with scripted(lambda *_: ACCEPT_5) as broker, connected(broker.url, user_timeout_s=7) as connection:
        line: socket.socket = connection.notes.line
        assert line.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 7000
        assert line.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@brokers.needs_mosquitto
def test_who_is_back_before_the_delay_is_over_was_never_offline(broker: Mosquitto) -> None:
    with listening(broker.port, STATUS) as listener:
        with connected(broker.url, will_delay_s=2) as connection:
            connection.publish(STATUS, b"online", retain=True)
            acknowledged(connection)
            connection.cut()
        with connected(broker.url, will_delay_s=2) as connection:
            threading.Event().wait(2.5)
            assert listener.payloads(STATUS) == [b"online"]
            connection.cut()
            until(lambda: listener.payloads(STATUS) == [b"online", b"offline"])


@brokers.needs_mosquitto
def test_who_goes_in_order_is_offline_at_once_and_leaves_no_session(broker: Mosquitto) -> None:
    with listening(broker.port, STATUS) as listener, connected(broker.url, "orderly", will_delay_s=60) as connection:
        connection.subscribe("ask/orderly", lambda _heard: None)
        connection.close()
        until(lambda: listener.payloads(STATUS)[-1:] == [b"offline"])
    heard: list[Heard] = []
    with connected(broker.url, "other") as other:
        other.publish("ask/orderly", b"1", retain=False)
        acknowledged(other)
    with connected(broker.url, "orderly", will_delay_s=60) as again:
        again.subscribe("ask/#", heard.append)
        assert heard == []
        again.close()


@brokers.needs_mosquitto
def test_what_came_while_the_session_went_on_is_heard_once_somebody_asks_for_it(broker: Mosquitto) -> None:
    heard: list[Heard] = []
    with connected(broker.url, "away", will_delay_s=60) as connection:
        connection.subscribe("ask/away", heard.append)
        connection.cut()
    with connected(broker.url, "other") as other:
        other.publish("ask/away", b"1", retain=False)
        acknowledged(other)
    with connected(broker.url, "away", will_delay_s=60) as again:
        until(lambda: again.notes.early)
        again.subscribe("tell/#", heard.append)
        assert heard == []
        again.subscribe("ask/away", heard.append)
        assert heard == [Heard(topic="ask/away", payload=b"1")]
        again.close()


def published(protocol: int = 5, **settings: Any) -> list[bytes]:
    """The bodies of an event and of a state as they go out."""
    seen: list[bytes] = []

    def answer(first: int, body: bytes) -> bytes:
        if first & 0xF0 != PUBLISH:
            return (ACCEPT_5 if protocol == 5 else ACCEPT_311) if first == CONNECT else b""
        seen.append(body)
        return b"\x40\x02" + packet_id(body)

    with scripted(answer) as broker, connected(broker.url, protocol=protocol, **settings) as connection:
        connection.publish("a", b"event", retain=False)
        connection.publish("a", b"state", retain=True)
        until(lambda: len(seen) == 2)
    return seen


def test_an_event_expires_when_asked_and_a_state_never() -> None:
    event, state = published(expiry_s="1h")
    assert event == b"\x00\x01a\x00\x01" + b"\x05\x02\x00\x00\x0e\x10" + b"event"  # Message Expiry Interval, 3600 s
    assert state == b"\x00\x01a\x00\x02" + b"\x00" + b"state"


def test_nothing_expires_by_itself_or_where_the_version_knows_no_expiry() -> None:
    assert published()[0] == b"\x00\x01a\x00\x01\x00event"
    assert published(protocol=3, expiry_s=60)[0] == b"\x00\x01a\x00\x01event"


@brokers.needs_mosquitto
def test_the_broker_drops_what_has_expired_for_who_was_away_and_keeps_the_rest(broker: Mosquitto) -> None:
    with listening(broker.port, "late/#", session="sleeper"):
        pass
    with connected(broker.url, expiry_s=1) as brief, connected(broker.url, "other") as lasting:
        brief.publish("late/brief", b"1", retain=False)
        lasting.publish("late/lasting", b"2", retain=False)
        acknowledged(brief)
        acknowledged(lasting)
    threading.Event().wait(2.2)
    with listening(broker.port, "late/#", session="sleeper") as listener:
        listener.wait_for("late/lasting", b"2")
        assert listener.payloads("late/brief") == []


def test_an_acknowledgement_of_the_connection_is_waited_for_as_long_as_set() -> None:
    with scripted(lambda *_: b"") as silent, pytest.raises(BrokerError, match=r"no answer within 0\.2 s"):
        connect(MqttSettings(url=silent.url, ack_timeout_s=0.2), client_id="pi", will=None)


@brokers.needs_mosquitto
@brokers.needs_mosquitto_passwd
def test_the_password_comes_from_a_variable_of_the_environment(tmp_path: Path) -> None:
    assert brokers.MOSQUITTO_PASSWD
    subprocess.run([brokers.MOSQUITTO_PASSWD, "-c", "-b", tmp_path / "users", "edge", "s3cret"], check=True)
    with brokers.running(tmp_path, f"password_file {tmp_path}/users", anonymous=False) as guarded:
        config = tmp_path / "config.yaml"
        config.write_text(
            f"device: {{id: pi}}\nmqtt: {{url: '{guarded.url}', username: edge, password: '${{SECRET_WORD}}'}}\n"
            "cameras: [{id: front, source: 'rtsp://192.0.2.1/'}]\n"
        )
        connect(load(config, {"SECRET_WORD": "s3cret"}).mqtt, client_id="pi", will=None).close()
        wrong = load(config, {"SECRET_WORD": "wr0ng"}).mqtt
        with pytest.raises(BrokerError, match=r"check mqtt\.username and its password"):
            connect(wrong, client_id="pi", will=None)
