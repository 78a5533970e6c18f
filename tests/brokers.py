"""Real MQTT brokers on loopback for tests: mosquitto with a generated configuration, and a client that listens."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pytest
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions
from ports import free_port

MOSQUITTO = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
MOSQUITTO_PASSWD = shutil.which("mosquitto_passwd")

needs_mosquitto = pytest.mark.skipif(MOSQUITTO is None, reason="mosquitto is not installed")
needs_mosquitto_passwd = pytest.mark.skipif(MOSQUITTO_PASSWD is None, reason="mosquitto_passwd is not installed")

DEADLINE_S = 10.0
_FOR_EVER_S = 0xFFFFFFFF  # of a session. Source: MQTT version 5.0, section 3.1.2.11.2


class Mosquitto:
    """A mosquitto of its own on a free loopback port; `restart` keeps the port.

    Args:
        folder: where its configuration and log go.
        settings: further lines of its configuration, such as `max_packet_size 300`.
        anonymous: whether it lets anybody in.
    """

    def __init__(self, folder: Path, *settings: str, anonymous: bool = True) -> None:
        self.port = free_port()
        self.log = folder / f"mosquitto-{self.port}.log"
        self._config = folder / f"mosquitto-{self.port}.conf"
        self._config.write_text(
            "\n".join(
                (
                    f"listener {self.port} 127.0.0.1",
                    f"allow_anonymous {'true' if anonymous else 'false'}",
                    "max_queued_messages 0",
                    "persistence false",
                    *(("user root",) if os.geteuid() == 0 else ()),  # else it gives up the right to read its files
                    *settings,
                    "",
                )
            )
        )
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it listens, without TLS."""
        return f"mqtt://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it and wait until it listens."""
        assert MOSQUITTO
        with self.log.open("ab") as log:
            self._process = subprocess.Popen([MOSQUITTO, "-c", str(self._config), "-v"], stdout=log, stderr=log)
        until(self._listens, f"mosquitto does not listen: {self.log}")

    def stop(self) -> None:
        """Stop it; no harm when it does not run."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    def finish(self) -> None:
        """Ask it to stop, so that it saves what `persistence true` makes it keep; wait until it has."""
        assert self._process
        self._process.terminate()
        assert self._process.wait(DEADLINE_S) == 0, self.log.read_text()
        self._process = None

    def restart(self) -> None:
        """Stop it hard and start it again on the same port; it remembers nothing."""
        self.stop()
        self.start()

    def _listens(self) -> bool:
        assert self._process
        assert self._process.poll() is None, self.log.read_text()
        return listens(self.port)


def listens(port: int) -> bool:
    """Whether somebody listens on a loopback port."""
    with closing(socket.socket()) as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def running(folder: Path, *settings: str, anonymous: bool = True) -> Iterator[Mosquitto]:
    """A broker for the length of a `with`."""
    broker = Mosquitto(folder, *settings, anonymous=anonymous)
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()


@dataclass(frozen=True, kw_only=True)
class Heard:
    """One message as a subscriber got it, and when, in seconds since 1970.

    `retain` is how it was published, live messages included; with a broker that knows MQTT 3.1.1 only, it is just
    whether the broker had kept it from before, and `as_published` says so.
    """

    topic: str
    payload: bytes
    retain: bool
    at_utc_s: float
    qos: int = 1
    as_published: bool = False


class Listener:
    """A client that subscribes to everything and remembers it in order; it finds its broker again by itself.

    Args:
        port: of the broker, on loopback.
        topic: what to subscribe to.
        session: a name under which the broker keeps messages while this client is away; none when left out.
        protocol: 5, which becomes 3.1.1 where the broker knows no other, or 3 for 3.1.1 from the beginning.
    """

    def __init__(self, port: int, topic: str = "#", *, session: str = "", protocol: int = 5) -> None:
        self.heard: list[Heard] = []
        self._subscribed, self._refused = threading.Event(), threading.Event()
        first = MQTTProtocolVersion.MQTTv5 if protocol == MQTTProtocolVersion.MQTTv5 else MQTTProtocolVersion.MQTTv311
        self._client = self._connected(port, topic, session, first)
        until(lambda: self._subscribed.is_set() or self._refused.is_set(), "the subscription was not confirmed")
        if self._refused.is_set():
            self.close()
            self._client = self._connected(port, topic, session, MQTTProtocolVersion.MQTTv311)
            self.wait_subscribed()

    def _connected(self, port: int, topic: str, session: str, version: MQTTProtocolVersion) -> paho.Client:
        """A client that subscribes with QoS 2, so that it hears with which QoS a message was published."""
        is_new = version == MQTTProtocolVersion.MQTTv5
        asked = SubscribeOptions(qos=2, retainAsPublished=True) if is_new else 2
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=session,
            clean_session=None if is_new else not session,
            protocol=version,
        )
        client.reconnect_delay_set(min_delay=1, max_delay=1)

        def subscribe(
            client: paho.Client, _data: object, _flags: object, code: ReasonCode, _properties: object
        ) -> None:
            if code.is_failure:
                self._refused.set()
            else:
                client.subscribe([(topic, asked)])

        def note(_client: paho.Client, _data: object, message: paho.MQTTMessage) -> None:
            self.heard.append(
                Heard(
                    topic=message.topic,
                    payload=bytes(message.payload),
                    retain=message.retain,
                    at_utc_s=time.time(),
                    qos=message.qos,
                    as_published=is_new,
                )
            )

        client.on_connect, client.on_message = subscribe, note
        client.on_subscribe = lambda *_: self._subscribed.set()
        if is_new:
            lasting = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            lasting.SessionExpiryInterval = _FOR_EVER_S if session else 0
            client.connect("127.0.0.1", port, clean_start=not session, properties=lasting)
        else:
            client.connect("127.0.0.1", port)
        client.loop_start()
        return client

    def payloads(self, topic: str) -> list[bytes]:
        """What was heard on one topic, in order."""
        return [heard.payload for heard in list(self.heard) if heard.topic == topic]

    def wait_for(self, topic: str, *payloads: bytes) -> None:
        """Wait until exactly these payloads were heard on a topic, in this order."""
        with suppress(AssertionError):
            until(lambda: self.payloads(topic) == list(payloads))
        assert self.payloads(topic) == list(payloads), f"{topic}: wanted {payloads}, heard {self.heard}"

    def wait_subscribed(self) -> None:
        """Wait until it has subscribed again, after `forget_subscription` and a restart of the broker."""
        assert self._subscribed.wait(DEADLINE_S), "the subscription was not confirmed again"

    def forget_subscription(self) -> None:
        """Begin to wait for the next subscription; call it before the broker stops."""
        self._subscribed.clear()

    def close(self) -> None:
        """Stop listening."""
        self._client.disconnect()
        with suppress(AttributeError):  # paho's thread forgets itself as it ends
            self._client.loop_stop()
        # Else the client is part of a ring, and its sockets may be found unclosed before it can close them.
        self._client.on_connect = self._client.on_subscribe = self._client.on_message = None


CHECKS: list[Callable[[Sequence[Heard]], None]] = []
"""What is done with all that a listener has heard, when it is over; `tests/flow` holds it against the contract."""


@contextmanager
def listening(port: int, topic: str = "#", *, session: str = "", protocol: int = 5) -> Iterator[Listener]:
    """A listener for the length of a `with`."""
    listener = Listener(port, topic, session=session, protocol=protocol)
    try:
        yield listener
    finally:
        listener.close()
    for check in CHECKS:
        check(listener.heard)


def request(
    port: int, topic: str, payload: bytes, *, answer_topic: str, correlation: bytes, retain: bool = False
) -> None:
    """Publish with MQTT 5 and say where the answer is to go; wait until the broker has it."""
    client = paho.Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
    client.connect("127.0.0.1", port)
    client.loop_start()
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    properties.ResponseTopic, properties.CorrelationData = answer_topic, correlation
    client.publish(topic, payload, qos=1, retain=retain, properties=properties).wait_for_publish(DEADLINE_S)
    client.disconnect()
    client.loop_stop()


def say(port: int, topic: str, payload: bytes, *, retain: bool = False) -> None:
    """Publish a message as somebody else, and wait until the broker has it."""
    client = paho.Client(CallbackAPIVersion.VERSION2)
    client.connect("127.0.0.1", port)
    client.loop_start()
    client.publish(topic, payload, qos=1, retain=retain).wait_for_publish(DEADLINE_S)
    client.disconnect()
    client.loop_stop()


Answer = Callable[[int, bytes], bytes | None]
"""What a scripted broker says to a packet, told its first byte and its body; None to hang up, b"" to say nothing."""

CONNECT, PUBLISH = 0x10, 0x30
LEVEL = 6  # where the body of a CONNECT holds the protocol level: 5, or 4 for 3.1.1
ACCEPT_5 = b"\x20\x03\x00\x00\x00"
ACCEPT_311 = b"\x20\x02\x00\x00"


def packet_id(publish: bytes) -> bytes:
    """The packet identifier in the body of a QoS 1 PUBLISH."""
    after_topic = 2 + int.from_bytes(publish[:2], "big")
    return publish[after_topic : after_topic + 2]


class ScriptedBroker:
    """A few bytes of a broker, for what a real one does only on a bad day."""

    def __init__(self, answer: Answer) -> None:
        self.connections = 0
        self._answer = answer
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"mqtt://127.0.0.1:{self._server.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        """Stop; hangs up on nobody who is still there."""
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            self.connections += 1
            with client, suppress(ConnectionError), client.makefile("rb") as stream:
                while packet := _read_packet(stream):
                    reply = self._answer(*packet)
                    if reply is None:
                        break
                    client.sendall(reply)


def _read_packet(stream: IO[bytes]) -> tuple[int, bytes] | None:
    first = stream.read(1)
    if not first:
        return None
    length = shift = 0
    while True:
        (byte,) = stream.read(1)
        length |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return first[0], stream.read(length)


def until(
    true: Callable[[], object], otherwise: str = "it did not come true in time", within_s: float = DEADLINE_S
) -> None:
    """Wait until something is true."""
    deadline_s = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline_s, otherwise
        time.sleep(0.01)
