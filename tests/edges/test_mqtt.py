"""One connection over real brokers: both versions, TLS, refusals in words, and what became of each message."""

from __future__ import annotations

import logging
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import brokers
import pytest
from brokers import ACCEPT_5, ACCEPT_311, CONNECT, LEVEL, PUBLISH, Mosquitto, ScriptedBroker, packet_id, until
from paho.mqtt import publish
from ports import free_port
from pydantic import SecretStr

from edge_agent.edges.clock import SystemClock
from edge_agent.edges.mqtt import Brokers, Connection, MqttSettings, Receipt, check_files, connect
from edge_agent.errors import BrokerError, ConfigError
from edge_agent.records import Heard, Message

STATUS = "edge/pi/status"
WILL = Message(topic=STATUS, payload=b"offline", kind="state")


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    with brokers.running(tmp_path_factory.mktemp("mosquitto")) as broker:
        yield broker


def open_connection(url: str, *, client_id: str = "pi", **settings: Any) -> Connection:
    settings = {"ack_timeout_s": 5, **settings}
    return connect(MqttSettings(url=url, **settings), client_id=client_id, will=WILL)


@contextmanager
def connected(url: str, **settings: Any) -> Iterator[Connection]:
    connection = open_connection(url, **settings)
    try:
        yield connection
    finally:
        connection.cut()


def receipts(connection: Connection, count: int) -> list[Receipt]:
    """Wait for so many receipts."""
    found: list[Receipt] = []

    def enough() -> bool:
        connection.wait(0.1)
        found.extend(connection.acknowledged())
        return len(found) >= count

    until(enough, f"{count} receipts wanted, got {found}")
    return found


@contextmanager
def scripted(answer: Callable[[int, bytes], bytes | None]) -> Iterator[ScriptedBroker]:
    with closing(ScriptedBroker(answer)) as broker:
        yield broker


@brokers.needs_mosquitto
@pytest.mark.parametrize(("protocol", "name"), [(5, "5"), (3, "3.1.1")])
def test_what_is_published_arrives_and_is_acknowledged(broker: Mosquitto, protocol: int, name: str) -> None:
    topic = f"edge/version/{protocol}"
    with brokers.listening(broker.port, "edge/version/#") as listener:
        with connected(broker.url, protocol=protocol) as connection:
            assert connection.protocol == name
            assert connection.lost is None
            tokens = [connection.publish(topic, b"%d" % number, retain=False) for number in range(100)]
            assert receipts(connection, 100) == [Receipt(token=token) for token in tokens]
        listener.wait_for(topic, *(b"%d" % number for number in range(100)))


@brokers.needs_mosquitto
def test_a_retained_message_is_there_for_who_comes_later(broker: Mosquitto) -> None:
    with connected(broker.url) as connection:
        connection.publish("edge/later", b"42", retain=True)
        receipts(connection, 1)
    with brokers.listening(broker.port, "edge/later") as listener:
        listener.wait_for("edge/later", b"42")


@brokers.needs_mosquitto
def test_closing_says_farewell_and_the_line_is_gone(broker: Mosquitto) -> None:
    with brokers.listening(broker.port, STATUS) as listener:
        connection = open_connection(broker.url)
        connection.publish(STATUS, b"online", retain=True)
        connection.close()
        until(lambda: listener.payloads(STATUS)[-2:] == [b"online", b"offline"])
        assert connection.lost


@brokers.needs_mosquitto
def test_cutting_the_line_makes_the_broker_publish_the_last_will(broker: Mosquitto) -> None:
    with brokers.listening(broker.port, STATUS) as listener:
        connection = open_connection(broker.url)
        connection.publish(STATUS, b"online", retain=True)
        receipts(connection, 1)
        connection.cut()
        until(lambda: listener.payloads(STATUS)[-2:] == [b"online", b"offline"])
    assert connection.lost == f"broker {broker.url}: the connection broke"


@brokers.needs_mosquitto
def test_a_broker_that_dies_is_noticed(tmp_path: Path) -> None:
    with brokers.running(tmp_path) as mortal, connected(mortal.url) as connection:
        mortal.stop()
        connection.wait(5)
        assert connection.lost == f"broker {mortal.url}: the connection broke"
        connection.publish("edge/x", b"", retain=False)
        assert connection.acknowledged() == ()


def test_why_the_broker_ends_the_connection_is_told_with_what_to_do() -> None:
    taken_over = b"\xe0\x02\x8e\x00"
    with (
        scripted(lambda first, _: ACCEPT_5 if first == CONNECT else taken_over) as broker,
        connected(broker.url) as connection,
    ):
        connection.publish("edge/x", b"", retain=False)
        connection.wait(5)
        assert connection.lost == (
            f"broker {broker.url}: it ended the connection: session taken over; "
            "another client has the same id; give every device a device.id of its own"
        )


@brokers.needs_mosquitto
def test_the_window_is_never_larger_than_the_broker_allows(tmp_path: Path) -> None:
    with brokers.running(tmp_path, "max_inflight_messages 7") as narrow:
        with connected(narrow.url, window=20) as connection:
            assert connection.window == 7
        with connected(narrow.url, window=3) as connection:
            assert connection.window == 3


@brokers.needs_mosquitto
def test_a_message_that_is_too_large_for_the_broker_is_refused_before_it_is_sent(tmp_path: Path) -> None:
    with brokers.running(tmp_path, "max_packet_size 300") as small, connected(small.url) as connection:
        token = connection.publish("edge/x", bytes(400), retain=False)
        fitting = connection.publish("edge/x", bytes(200), retain=False)
        first, second = receipts(connection, 2)
        assert (first.token, first.refused, first.reason) == (token, 0x95, "the broker takes 300 bytes at most")
        assert second == Receipt(token=fitting)


@brokers.needs_mosquitto
def test_a_message_that_the_broker_does_not_allow_is_a_refusal_and_no_success(tmp_path: Path) -> None:
    (tmp_path / "acl").write_text("topic readwrite allowed/#\n")
    with brokers.running(tmp_path, f"acl_file {tmp_path}/acl") as strict, connected(strict.url) as connection:
        token = connection.publish("forbidden/x", b"", retain=False)
        assert receipts(connection, 1) == [Receipt(token=token, refused=0x87, reason="Not authorized")]


def test_a_topic_that_cannot_be_is_a_refusal() -> None:
    with scripted(lambda *_: ACCEPT_5) as broker, connected(broker.url) as connection:
        token = connection.publish("edge/#", b"", retain=False)
        assert [receipt.refused for receipt in receipts(connection, 1)] == [0x90]
        assert token < 0


# --- who may come in ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    """A broker that lets only `edge` in, with the password `s3cret`."""
    folder = tmp_path_factory.mktemp("guarded")
    assert brokers.MOSQUITTO_PASSWD
    subprocess.run([brokers.MOSQUITTO_PASSWD, "-c", "-b", folder / "users", "edge", "s3cret"], check=True)
    with brokers.running(folder, f"password_file {folder}/users", anonymous=False) as broker:
        yield broker


@brokers.needs_mosquitto
@brokers.needs_mosquitto_passwd
@pytest.mark.parametrize("protocol", [5, 3])
def test_wrong_credentials_are_refused_in_words_without_the_password(
    guarded: Mosquitto, protocol: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(BrokerError) as raised:
        open_connection(guarded.url, username="edge", password=SecretStr("wr0ng"), protocol=protocol)
    assert f"broker {guarded.url}: refuses the connection: not authorized; check mqtt.username" in str(raised.value)
    assert "wr0ng" not in str(raised.value) + caplog.text


@brokers.needs_mosquitto
@brokers.needs_mosquitto_passwd
def test_the_password_comes_from_a_file_and_the_user_from_the_address(guarded: Mosquitto, tmp_path: Path) -> None:
    password_file = tmp_path / "password"
    password_file.write_text("s3cret\n")
    url = guarded.url.replace("mqtt://", "mqtt://edge@")
    with connected(url, password_file=password_file) as connection:
        assert connection.lost is None
        connection.cut()
        assert connection.lost
        assert "edge@" not in connection.lost


def test_a_password_file_that_cannot_be_read_is_for_a_person_to_mend(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"mqtt\.password_file .*/nothing: No such file or directory"):
        open_connection("mqtt://127.0.0.1:1", password_file=tmp_path / "nothing")


# --- nobody there, or not quite -------------------------------------------------------------------------------------


def test_a_port_where_nobody_listens_is_said() -> None:
    with pytest.raises(BrokerError, match="nobody listens there; check the port, and that the broker runs"):
        open_connection(f"mqtt://127.0.0.1:{free_port()}")


def test_a_name_that_nobody_knows_is_said() -> None:
    with pytest.raises(BrokerError, match=r"mqtt://broker\.invalid:1883: its name cannot be found"):
        open_connection("mqtt://broker.invalid")


@pytest.mark.parametrize("url", ["mqtt://", "mqtt://host:port"])
def test_an_address_that_makes_no_sense_is_for_a_person_to_mend(url: str) -> None:
    with pytest.raises(ConfigError, match=r"mqtt\.url"):
        open_connection(url)


def test_a_black_hole_is_given_up_in_time() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as hole:
        began_s = time.monotonic()
        with pytest.raises(BrokerError, match=r"no answer within 0\.3 s; is it an MQTT broker\?"):
            open_connection(f"mqtt://127.0.0.1:{hole.getsockname()[1]}", ack_timeout_s=0.3)
        assert time.monotonic() - began_s < 2


@pytest.mark.parametrize("refusal", [b"\x20\x02\x00\x01", b"\x20\x03\x00\x84\x00", None])
def test_a_broker_that_does_not_know_version_5_is_asked_again_with_311(refusal: bytes | None) -> None:
    with (
        scripted(lambda _, body: refusal if body[LEVEL] == 5 else ACCEPT_311) as broker,
        connected(broker.url) as connection,
    ):
        assert connection.protocol == "3.1.1"
        assert broker.connections == 2


def test_a_broker_that_knows_neither_version_is_no_endless_loop() -> None:
    with scripted(lambda *_: None) as broker:
        with pytest.raises(BrokerError, match="hangs up without an answer"):
            open_connection(broker.url)
        assert broker.connections == 2


def test_a_refusal_of_version_5_that_is_no_matter_of_versions_is_not_tried_again() -> None:
    with scripted(lambda *_: b"\x20\x03\x00\x89\x00") as broker:
        with pytest.raises(BrokerError, match="refuses the connection: server busy"):
            open_connection(broker.url)
        assert broker.connections == 1


def test_a_broker_without_retained_messages_still_gets_the_states() -> None:
    published: list[int] = []

    def answer(first: int, body: bytes) -> bytes | None:
        if first & 0xF0 == CONNECT:
            return b"\x20\x05\x00\x00\x02\x25\x00"  # retain available: no
        published.append(first)
        return b"\x40\x02" + packet_id(body)

    with scripted(answer) as broker, connected(broker.url) as connection:
        connection.publish("edge/x", b"", retain=True)
        receipts(connection, 1)
    assert published == [PUBLISH | 0x02]  # QoS 1, not retained


def test_a_password_that_is_just_being_replaced_is_read_again_later(tmp_path: Path) -> None:
    settings = MqttSettings(url="mqtt://127.0.0.1:1", password_file=tmp_path / "password")
    with pytest.raises(ConfigError, match="No such file"):
        check_files(settings)  # at the start, a person has to do something
    with pytest.raises(BrokerError, match=r"mqtt\.password_file .*No such file"):
        Brokers(settings, client_id="x", will=None, clock=SystemClock()).connect()  # later, it is tried again
    settings.password_file.write_text("secret")  # type: ignore[union-attr]
    check_files(settings)


SUBSCRIBE = 0x82
NOT_AUTHORIZED = 0x87


def test_a_subscription_that_the_broker_refuses_is_an_error_that_names_its_topic() -> None:
    def answer(kind: int, body: bytes) -> bytes:
        if kind == CONNECT:
            return ACCEPT_5
        return bytes((0x90, 4)) + body[:2] + bytes((0, NOT_AUTHORIZED)) if kind == SUBSCRIBE else b""

    broker = ScriptedBroker(answer)
    try:
        with connected(broker.url) as connection:
            with pytest.raises(BrokerError, match=r"home/pir cannot be subscribed to: not authorized"):
                connection.subscribe("home/pir", lambda _heard: None)
            assert connection.lost is None
    finally:
        broker.close()


def test_a_subscription_that_nobody_answers_is_given_up() -> None:
    broker = ScriptedBroker(lambda kind, _body: ACCEPT_5 if kind == CONNECT else b"")
    try:
        with connected(broker.url, ack_timeout_s=0.5) as connection, pytest.raises(BrokerError, match="no answer"):
            connection.subscribe("home/pir", lambda _heard: None)
    finally:
        broker.close()


@brokers.needs_mosquitto
def test_what_is_heard_comes_with_the_topic_for_its_answer_in_mqtt_5_and_without_in_311(broker: Mosquitto) -> None:
    with connected(broker.url) as new, connected(broker.url, protocol=3, client_id="old") as old:
        heard_5: list[Heard] = []
        heard_311: list[Heard] = []
        new.subscribe("ask/+", heard_5.append)
        old.subscribe("ask/+", heard_311.append)
        brokers.request(broker.port, "ask/me", b"hi", answer_topic="tell/me", correlation=b"\x00\xff")
        until(lambda: heard_5 and heard_311)
    assert heard_5 == [Heard(topic="ask/me", payload=b"hi", answer_topic="tell/me", correlation=b"\x00\xff")]
    assert heard_311 == [Heard(topic="ask/me", payload=b"hi")]


@brokers.needs_mosquitto
def test_a_message_that_paho_cannot_read_costs_no_connection(broker: Mosquitto) -> None:
    """MQTT 5 allows U+FEFF in a property; more than 20 that are not acknowledged, and mosquitto would send no more."""
    heard: list[Heard] = []
    odd: dict[str, Any] = {"payload": b"x", "answer_topic": "reply/\ufeff", "correlation": b"1"}
    brokers.request(broker.port, "odd/kept", retain=True, **odd)
    with connected(broker.url) as connection:
        connection.subscribe("odd/+", heard.append)
        for _ in range(21):
            brokers.request(broker.port, "odd/one", **odd)
        publish.single("odd/plain", b"y", qos=1, port=broker.port)
        until(lambda: heard)
        assert heard == [Heard(topic="odd/plain", payload=b"y")]
        assert connection.lost is None


@brokers.needs_mosquitto
def test_a_message_that_would_fill_the_memory_is_not_even_sent_to_us(broker: Mosquitto) -> None:
    heard: list[int] = []
    publish.single("large/kept", bytes(5 << 20), qos=1, retain=True, port=broker.port)
    with connected(broker.url) as connection:
        connection.subscribe("large/+", lambda message: heard.append(len(message.payload)))
        for size in (3 << 20, 5 << 20, 1):
            publish.single("large/new", bytes(size), qos=1, port=broker.port)
        until(lambda: 1 in heard)
        assert connection.lost is None
    assert heard == [3 << 20, 1]


@brokers.needs_mosquitto
@pytest.mark.parametrize("protocol", [5, 3])
def test_what_the_broker_kept_from_before_is_heard_as_such_or_not_at_all(broker: Mosquitto, protocol: int) -> None:
    topic = f"kept/{protocol}"
    publish.single(topic, b"old", qos=1, retain=True, port=broker.port)
    heard: list[Heard] = []
    for retained in (True, False):
        with connected(broker.url, protocol=protocol) as connection:
            connection.subscribe(topic, heard.append, retained=retained)
            publish.single(topic, b"new", qos=1, port=broker.port)
            until(lambda: heard and heard[-1].payload == b"new")
            if retained:
                assert heard.pop(0) == Heard(topic=topic, payload=b"old", retained=True)
            assert heard == [Heard(topic=topic, payload=b"new")]
            heard.clear()


@brokers.needs_mosquitto
@pytest.mark.parametrize(("protocol", "carried"), [(5, b"\x00which"), (3, None)])
def test_an_answer_carries_which_request_it_answers_where_the_protocol_can(
    broker: Mosquitto, protocol: int, carried: bytes | None
) -> None:
    heard: list[Heard] = []
    with connected(broker.url, client_id="ear") as ear, connected(broker.url, protocol=protocol) as connection:
        ear.subscribe("tell/you", heard.append)
        token = connection.publish("tell/you", b"done", retain=False, correlation=b"\x00which")
        assert receipts(connection, 1) == [Receipt(token=token)]
        until(lambda: heard)
    assert heard == [Heard(topic="tell/you", payload=b"done", correlation=carried)]


@brokers.needs_mosquitto
def test_what_an_answer_carries_counts_for_the_size_that_the_broker_takes(tmp_path: Path) -> None:
    with brokers.running(tmp_path, "max_packet_size 300") as small, connected(small.url) as connection:
        connection.publish("edge/x", bytes(200), retain=False, correlation=bytes(200))
        connection.publish("edge/x", bytes(200), retain=False, correlation=bytes(50))
        assert [receipt.refused for receipt in receipts(connection, 2)] == [0x95, None]
