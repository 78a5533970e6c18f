"""Refusals in words: every reason code of both versions, from real brokers where they give it, else from a script."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import brokers
import pytest
from brokers import ACCEPT_5, ACCEPT_311, CONNECT, ScriptedBroker

from edge_agent.edges.mqtt import Connection, MqttSettings, connect
from edge_agent.edges.mqtt.words import alert
from edge_agent.errors import BrokerError
from edge_agent.records import Message

WILL = Message(topic="edge/pi/status", payload=b"offline", kind="state")

CODES_5 = {
    0x80: ("unspecified error", "look at the broker's log"),
    0x81: ("malformed packet", "please report it"),
    0x82: ("protocol error", "please report it"),
    0x83: ("implementation specific error", "look at the broker's log"),
    0x84: ("unsupported protocol version", "set mqtt.protocol"),
    0x85: ("client identifier not valid", "change device.id"),
    0x86: ("bad user name or password", "check mqtt.username and its password"),
    0x87: ("not authorized", "what the broker lets this user do"),
    0x88: ("server unavailable", "it is tried again"),
    0x89: ("server busy", "it is tried again"),
    0x8A: ("banned", "has shut this client out"),
    0x8C: ("bad authentication method", "let it take mqtt.username and its password"),
    0x90: ("topic name invalid", "let the broker take topics that begin with mqtt.prefix"),
    0x95: ("packet too large", "raise the largest packet"),
    0x97: ("quota exceeded", "it is tried again"),
    0x9A: ("retain not supported", "let the broker keep retained messages"),
    0x9B: ("qos not supported", "let the broker take QoS 1"),
    0x9C: ("use another server", "put that one into mqtt.url"),
    0x9D: ("server moved", "put that one into mqtt.url"),
    0x9F: ("connection rate exceeded", "it is tried again"),
}
"""Source: MQTT version 5.0, table 3-1, all that refuse but 0x99 (payload format invalid): paho cannot read that one."""

CODES_311 = {
    1: ("no MQTT that is known here", "is it an MQTT broker"),
    2: ("client identifier not valid", "change device.id"),
    3: ("server unavailable", "it is tried again"),
    4: ("bad user name or password", "check mqtt.username and its password"),
    5: ("not authorized", "what the broker lets this user do"),
}
"""Source: MQTT version 3.1.1, table 3.1, all that refuse."""


@contextmanager
def scripted(answer: Callable[[int, bytes], bytes | None]) -> Iterator[ScriptedBroker]:
    with closing(ScriptedBroker(answer)) as broker:
        yield broker


def open_connection(url: str, **settings: object) -> Connection:
    return connect(MqttSettings.model_validate({"url": url, "ack_timeout_s": 5, **settings}), client_id="pi", will=WILL)


def refusal(url: str, **settings: object) -> str:
    with pytest.raises(BrokerError) as raised:
        open_connection(url, **settings)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def properties(*pairs: tuple[int, bytes]) -> bytes:
    """Properties of MQTT 5 that are strings: each its number, its length and its text, all with their length before."""
    body = b"".join(bytes([number]) + len(text).to_bytes(2, "big") + text for number, text in pairs)
    return length(body) + body


def length(body: bytes) -> bytes:
    """How long it is, as MQTT writes that: seven bits a byte, the lowest first."""
    low, high = len(body) & 0x7F, len(body) >> 7
    return bytes([low | 0x80, high]) if high else bytes([low])


def connack_5(code: int, *pairs: tuple[int, bytes]) -> bytes:
    body = bytes([0, code]) + properties(*pairs)
    return b"\x20" + length(body) + body


@pytest.mark.parametrize("code", CODES_5, ids=hex)
def test_each_refusal_of_version_5_says_what_to_do(code: int) -> None:
    with scripted(lambda *_: connack_5(code)) as broker:
        said = refusal(broker.url)
    name, advice = CODES_5[code]
    assert name in said
    assert advice in said


@pytest.mark.parametrize("code", CODES_311)
def test_each_refusal_of_version_311_says_what_to_do(code: int) -> None:
    with scripted(lambda *_: bytes([0x20, 2, 0, code])) as broker:
        said = refusal(broker.url, protocol=3)
    name, advice = CODES_311[code]
    assert name in said
    assert advice in said


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\x20\x03\x00\xa7\x00",  # a reason code that does not exist
        b"\x20\x03\x00\x99\x00",  # one that paho does not know here
        b"\x20\x00",
        b"SSH-2.0-OpenSSH_9.2\r\n",
    ],
)
@pytest.mark.parametrize("protocol", [5, 3])
def test_an_answer_that_is_no_mqtt_is_said(answer: bytes, protocol: int) -> None:
    with scripted(lambda *_: answer) as broker:
        said = refusal(broker.url, protocol=protocol, ack_timeout_s=0.5)
    assert said.startswith(f"broker {broker.url}: ")
    assert said.endswith("is it an MQTT broker?")


def test_what_the_broker_says_itself_is_passed_on_tamed() -> None:
    words = "licence\nexpired\x1b[31m " + "x" * 500
    with scripted(lambda *_: connack_5(0x80, (0x1F, words.encode()))) as broker:
        said = refusal(broker.url)
    assert 'unspecified error ("licence expired [31m xxx' in said
    assert said.endswith("xxx…\"); look at the broker's log")
    assert len(said) < 300


def test_a_server_that_is_named_instead_is_told_and_not_gone_to() -> None:
    with (
        scripted(lambda *_: ACCEPT_5) as other,
        scripted(lambda *_: connack_5(0x9D, (0x1C, other.url.removeprefix("mqtt://").encode()))) as broker,
    ):
        said = refusal(broker.url)
        assert other.connections == 0
    assert f"server moved, to {other.url.removeprefix('mqtt://')}; put that one into mqtt.url" in said
    assert "goes to no host that its configuration does not name" in said


def test_a_broker_of_qos_0_only_is_refused_by_us() -> None:
    with scripted(lambda *_: b"\x20\x05\x00\x00\x02\x24\x00") as broker:  # Maximum QoS 0
        assert "takes QoS 0 only, with which nobody knows what has arrived" in refusal(broker.url)


def test_a_will_that_cannot_be_retained_is_left_unretained() -> None:
    flags: list[int] = []

    def answer(first: int, body: bytes) -> bytes:
        if first != CONNECT:
            return b""
        flags.append(body[7])
        return connack_5(0x9A) if body[7] & 0x20 else ACCEPT_5  # Will Retain: MQTT version 5.0, section 3.1.2.7

    with scripted(answer) as broker:
        open_connection(broker.url).cut()
    assert [bool(flag & 0x20) for flag in flags] == [True, False]
    assert all(flag & 0x04 for flag in flags)  # Will Flag


@brokers.needs_mosquitto
@pytest.mark.parametrize(
    ("line", "settings", "code"),
    [
        ("clientid_prefixes edge-agent-", {}, 0x87),
        ("max_qos 0", {}, 0x9B),
        ("clientid_prefixes edge-agent-", {"protocol": 3}, 0x87),
    ],
)
def test_mosquitto_refuses_in_these_words(tmp_path: Path, line: str, settings: dict[str, object], code: int) -> None:
    with brokers.running(tmp_path, line) as broker:
        said = refusal(broker.url, **settings)
    assert CODES_5[code][0] in said
    assert CODES_5[code][1] in said


@brokers.needs_mosquitto
def test_mosquitto_without_retained_messages_is_connected_to(tmp_path: Path) -> None:
    with brokers.running(tmp_path, "retain_available false") as broker, closing(open_connection(broker.url)) as line:
        assert line.lost is None
        assert line.protocol == "5"


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("TLSV13_ALERT_CERTIFICATE_REQUIRED", "wants a certificate of the agent"),
        ("SSLV3_ALERT_HANDSHAKE_FAILURE", "wants a certificate of the agent"),
        ("SSLV3_ALERT_CERTIFICATE_EXPIRED", "has expired"),
        ("SSLV3_ALERT_CERTIFICATE_REVOKED", "was revoked"),
        ("TLSV1_ALERT_UNKNOWN_CA", "does not trust who signed"),
        ("SSLV3_ALERT_BAD_CERTIFICATE", "check mqtt.cert_file"),
        ("SSLV3_ALERT_UNSUPPORTED_CERTIFICATE", "not one for clients"),
        ("SSLV3_ALERT_CERTIFICATE_UNKNOWN", "check mqtt.cert_file"),
        ("TLSV1_ALERT_ACCESS_DENIED", "check mqtt.cert_file"),
        ("TLSV1_ALERT_PROTOCOL_VERSION", "TLS 1.2 or 1.3"),
    ],
)
def test_what_a_broker_complains_about_in_tls_is_said(reason: str, said: str) -> None:
    error = ssl.SSLError(1, "…")
    error.reason = reason
    assert said in alert(error)
    assert reason in alert(error)


def test_other_trouble_with_tls_is_no_complaint_of_the_broker() -> None:
    error = ssl.SSLError(1, "…")
    error.reason = "WRONG_VERSION_NUMBER"
    assert alert(error) == alert(None) == ""


def test_both_versions_are_accepted_by_the_script_at_all() -> None:
    with scripted(lambda *_: ACCEPT_5) as broker:
        open_connection(broker.url).cut()
    with scripted(lambda *_: ACCEPT_311) as broker:
        open_connection(broker.url, protocol=3).cut()
