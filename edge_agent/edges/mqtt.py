"""One MQTT connection: connect, publish, learn what was acknowledged, close; only paho-mqtt lives here."""

from __future__ import annotations

import itertools
import logging
import queue
import secrets
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple
from urllib.parse import unquote, urlsplit

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from pydantic import Field, SecretStr

from edge_agent.errors import BrokerError, ConfigError
from edge_agent.records import Heard, Message
from edge_agent.settings import Seconds, Section

log = logging.getLogger(__name__)

_PORTS = {"mqtt": 1883, "mqtts": 8883}
_VERSION_NAMES = {MQTTProtocolVersion.MQTTv5: "5", MQTTProtocolVersion.MQTTv311: "3.1.1"}
_USER_TIMEOUT_MS = 10_000  # bytes that nobody acknowledges for this long mean that the line is dead
_FAREWELL_S = 2.0
_QUIET_S = 0.3
_HEADER_BYTES = 1 + 4 + 2 + 2 + 1
"""Most that a PUBLISH packet holds besides topic and payload: type, length, topic length, packet id, no properties."""

# Reason codes. Source: MQTT version 5.0, OASIS standard, section 2.4.
_VERSION_UNKNOWN = 0x84
_TOPIC_INVALID = 0x90
_PACKET_TOO_LARGE = 0x95
_ADVICE = {
    0x85: "change device.id",
    0x86: "check mqtt.username and its password",
    0x87: "check mqtt.username and its password, and what the broker lets this user do",
    0x8E: "another client has the same id; give every device a device.id of its own",
}
"""What a person can do about a reason code."""


class MqttSettings(Section):
    """Which broker, as whom, and how patiently."""

    url: Annotated[str, Field(pattern=r"^(mqtt|mqtts)://")] = "mqtt://127.0.0.1:1883"
    """`mqtt://host:port`, or `mqtts://` for TLS, which checks the broker's certificate; no password in it."""

    username: str | None = None
    """Who the agent is to the broker."""

    password: SecretStr | None = None
    """Its password; better `${VARIABLE}` or `password_file` than the word itself."""

    password_file: Path | None = None
    """A file that holds the password, such as a systemd credential."""

    ca_file: Path | None = None
    """Certificates to trust for `mqtts://` instead of the system's."""

    cert_file: Path | None = None
    """The agent's own certificate, for a broker that asks for one."""

    key_file: Path | None = None
    """The key of `cert_file`."""

    prefix: Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,64}(/[a-zA-Z0-9_-]{1,64}){0,7}$")] = "edge"
    """First part of every topic."""

    protocol: Literal[5, 3] = 5
    """MQTT version: 5, or 3 for 3.1.1; a broker that refuses 5 is asked again with 3.1.1."""

    keepalive_s: Annotated[Seconds, Field(ge=5, le=3600)] = 15.0
    """How often to prove that the line is alive; a dead one is noticed after twice this."""

    ack_timeout_s: Annotated[Seconds, Field(gt=0, le=300)] = 10.0
    """How long an acknowledgement may take before the connection is given up."""

    window: Annotated[int, Field(ge=1, le=1000)] = 20
    """How many messages may be under way unacknowledged."""

    retry_first_s: Annotated[Seconds, Field(gt=0, le=3600)] = 1.0
    """Longest wait before the second try to connect; it doubles with each further one."""

    retry_cap_s: Annotated[Seconds, Field(gt=0, le=3600)] = 30.0
    """Longest wait before any try."""

    late_after_s: Annotated[Seconds, Field(gt=0)] = 60.0
    """An event delivered later than this after it happened goes to `…/event/late`."""

    drain_per_s: Annotated[float, Field(ge=1, le=100_000)] = 500.0
    """How many events a second may go to `…/event/late`; others, and states, are never held back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What became of a message that was published.

    Attributes:
        token: what `publish` returned for it.
        refused: the MQTT 5 reason code of a refusal (0x80 and above); None when the broker has the message.
        reason: the same in words; empty when the broker has it.
    """

    token: int
    refused: int | None = None
    reason: str = ""


class Connection:
    """One connection from the broker's consent to its end; after a loss a new one is made, never this one again.

    paho's thread only leaves notes; the one other thread, which calls the methods here, reads them.
    """

    def __init__(self, client: paho.Client, notes: _Notes, accepted: _Accepted, will: Message | None) -> None:
        self._client = client
        self._notes = notes
        self._accepted = accepted
        self._will = will
        self._refused_here = itertools.count(-1, -1)  # tokens below zero; paho's are above

    @property
    def protocol(self) -> str:
        """The version of MQTT in use, `5` or `3.1.1`."""
        return self._accepted.protocol

    @property
    def window(self) -> int:
        """How many messages may be under way unacknowledged."""
        return self._accepted.window

    @property
    def lost(self) -> str | None:
        """Why the connection is gone; None as long as it is there."""
        ended = self._notes.ended
        return ended and f"broker {self._accepted.broker}: {ended}"

    def publish(self, topic: str, payload: bytes, *, retain: bool, correlation: bytes | None = None) -> int:
        """Send a message at QoS 1 and return its token, which comes back in a `Receipt`, on a lost line never.

        Args:
            topic: where to.
            payload: what to say.
            retain: whether the broker shall keep it.
            correlation: which request it answers; left out where MQTT 3.1.1 has no place for it.
        """
        properties = self._correlating(correlation)
        size_bytes = len(topic.encode()) + len(payload) + _HEADER_BYTES + _size_bytes(properties)
        if size_bytes > self._accepted.packet_bytes:
            return self._refuse(_PACKET_TOO_LARGE, f"the broker takes {self._accepted.packet_bytes} bytes at most")
        retain = retain and self._accepted.retains
        try:
            return self._client.publish(topic, payload, qos=1, retain=retain, properties=properties).mid
        except ValueError as error:
            return self._refuse(_TOPIC_INVALID, str(error))

    def acknowledged(self) -> tuple[Receipt, ...]:
        """What the broker has confirmed or refused since the last call."""
        return self._notes.take_receipts()

    def wait(self, timeout_s: float) -> None:
        """Wait until there is something new: a receipt, or that the connection is gone."""
        self._notes.wait_for(lambda: bool(self._notes.receipts or self._notes.ended), timeout_s)

    def subscribe(self, topic_filter: str, hear: Callable[[Heard], None], *, retained: bool = True) -> None:
        """Let `hear` have what matches; paho's thread calls it, so it only takes note.

        Args:
            topic_filter: what to hear; once a connection.
            hear: takes note.
            retained: whether to hear, too, what the broker has kept from before.

        Raises:
            BrokerError: the broker refuses, or does not answer in time.
        """

        def note(_client: paho.Client, _data: Any, message: paho.MQTTMessage) -> None:
            if retained or not message.retain:
                hear(_heard(message))

        self._client.message_callback_add(topic_filter, note)
        token = self._client.subscribe(topic_filter, qos=1)[1]
        self._notes.wait_for(
            lambda: bool(self._notes.ended or token in self._notes.subscribed), self._accepted.patience_s
        )
        refusal = self._notes.subscribed.pop(token, self.lost or "no answer")
        if refusal:
            raise BrokerError(f"broker {self._accepted.broker}: {topic_filter} cannot be subscribed to: {refusal}")

    def close(self) -> None:
        """Say what the last will would have said, and go."""
        if self._will:
            farewell = self.publish(self._will.topic, self._will.payload, retain=True)
            self._notes.wait_for(lambda: bool(self._notes.ended) or self._notes.holds(farewell), _FAREWELL_S)
        self._client.disconnect()
        self._notes.wait_for(lambda: bool(self._notes.ended), _FAREWELL_S)
        self.cut()

    def cut(self) -> None:
        """Go without a word, so that the broker publishes the last will."""
        _hang_up(self._client)

    def _correlating(self, correlation: bytes | None) -> Properties | None:
        if correlation is None or self._accepted.protocol != _VERSION_NAMES[MQTTProtocolVersion.MQTTv5]:
            return None
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]  # paho's types end here
        properties.CorrelationData = correlation
        return properties

    def _refuse(self, code: int, reason: str) -> int:
        token = next(self._refused_here)
        self._notes.add(Receipt(token=token, refused=code, reason=reason))
        return token


def check_files(settings: MqttSettings) -> None:
    """Read what the settings name, so that a person hears of a wrong path at the start.

    Raises:
        ConfigError: the address makes no sense, or the password or a certificate cannot be read from its file.
    """
    address = _address(settings)
    _password(settings)
    if address.scheme == "mqtts":
        _tls(settings)


def connect(settings: MqttSettings, *, client_id: str, will: Message | None) -> Connection:
    """Connect with MQTT 5, or with 3.1.1 when the broker does not know 5, and wait for the broker's consent.

    Args:
        settings: which broker, and as whom.
        client_id: the same for every connection of this device, and of no other device.
        will: what the broker shall publish, retained, when the connection breaks; also the farewell. None for one who
            only listens.

    Raises:
        BrokerError: it cannot be reached, does not answer in time, or refuses; the message says what to do.
        ConfigError: see `check_files`; `reconnect` is for those who have called that before.
    """
    if settings.protocol == 5:  # noqa: PLR2004 - the version's own name
        with suppress(_VersionRefusedError):
            return _connect(settings, MQTTProtocolVersion.MQTTv5, client_id, will)
    return _connect(settings, MQTTProtocolVersion.MQTTv311, client_id, will)


def reconnect(settings: MqttSettings, *, client_id: str, will: Message | None) -> Connection:
    """Connect as `connect` does, at any time after the start: a password that is just being replaced comes back.

    Raises:
        BrokerError: as there, and when a file cannot be read now.
    """
    try:
        return connect(settings, client_id=client_id, will=will)
    except ConfigError as error:
        raise BrokerError(str(error)) from error


class Listener:
    """Hears what others publish: for `watch` and the demo.

    Args:
        settings: which broker, and as whom.
        topic_filter: what to hear.

    Raises:
        BrokerError: the broker cannot be reached, does not answer in time, or refuses.
    """

    def __init__(self, settings: MqttSettings, topic_filter: str) -> None:
        self._heard: queue.SimpleQueue[tuple[str, bytes]] = queue.SimpleQueue()
        # A name of its own each time, or the broker would end one watcher for the sake of the next.
        client_id = f"edge-agent-watch-{secrets.token_hex(4)}"
        self._connection = connect(settings, client_id=client_id, will=None)
        self._connection.subscribe(topic_filter, lambda heard: self._heard.put((heard.topic, heard.payload)))

    def messages(self, stop: threading.Event) -> Iterator[tuple[str, bytes]]:
        """Topic and payload of each message as it comes, until `stop` is set and it has been quiet for a moment.

        Raises:
            BrokerError: the connection was lost.
        """
        while True:
            try:
                yield self._heard.get(timeout=_QUIET_S)
            except queue.Empty:
                if stop.is_set():
                    return
                if self._connection.lost:
                    raise BrokerError(self._connection.lost) from None

    def close(self) -> None:
        """Go."""
        self._connection.close()


class _VersionRefusedError(BrokerError):
    """The broker does not know this version of MQTT; old ones say so by hanging up at once."""


class _Address(NamedTuple):
    """Where the broker is; as text without the user name."""

    scheme: str
    host: str
    port: int
    username: str | None

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Accepted:
    """What the broker said when it accepted the connection."""

    broker: str
    protocol: str
    window: int
    packet_bytes: float
    retains: bool
    patience_s: float


class _Notes:
    """What paho's thread leaves for ours: its callbacks do nothing but write here.

    Nobody holds this lock while calling paho, so a callback can always take it.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self.answer: ReasonCode | None = None
        self.properties: Properties | None = None
        self.receipts: list[Receipt] = []
        self.subscribed: dict[int | None, str] = {}  # by their tokens: why the broker refused, empty when it did not
        self.ended: str | None = None

    def follow(self, client: paho.Client) -> None:
        """Write down what this client hears."""
        client.on_connect = self._on_connect
        client.on_publish = self._on_publish
        client.on_subscribe = self._on_subscribe
        client.on_disconnect = self._on_disconnect

    def add(self, receipt: Receipt) -> None:
        """Write down what became of a message."""
        with self._changed:
            self.receipts.append(receipt)
            self._changed.notify_all()

    def holds(self, token: int) -> bool:
        """Whether there is a receipt for a message."""
        return any(receipt.token == token for receipt in self.receipts)

    def take_receipts(self) -> tuple[Receipt, ...]:
        """All receipts since the last call."""
        with self._changed:
            receipts, self.receipts = self.receipts, []
            return tuple(receipts)

    def wait_for(self, true: Callable[[], bool], timeout_s: float) -> bool:
        """Wait until something that depends on these notes is true; false when it is not in time."""
        with self._changed:
            return self._changed.wait_for(true, timeout_s)

    def _on_connect(
        self, _client: paho.Client, _data: Any, _flags: Any, answer: ReasonCode, said: Properties | None
    ) -> None:
        with self._changed:
            self.answer, self.properties = answer, said
            self._changed.notify_all()

    def _on_publish(self, _client: paho.Client, _data: Any, token: int, answer: ReasonCode, _said: Properties) -> None:
        refused = answer.value if answer.is_failure else None
        self.add(Receipt(token=token, refused=refused, reason="" if refused is None else str(answer)))

    def _on_subscribe(
        self, _client: paho.Client, _data: Any, token: int, answers: list[ReasonCode], _said: Properties | None
    ) -> None:
        with self._changed:
            self.subscribed[token] = next((_in_words(answer) for answer in answers if answer.is_failure), "")
            self._changed.notify_all()

    def _on_disconnect(
        self, _client: paho.Client, _data: Any, flags: paho.DisconnectFlags, why: ReasonCode, _said: Properties | None
    ) -> None:
        with self._changed:
            said = f"it ended the connection: {_in_words(why)}"
            how = said if flags.is_disconnect_packet_from_server else "the connection broke"
            self.ended = self.ended or how  # paho calls twice when the broker says why
            self._changed.notify_all()


class _TidySocket(ssl.SSLSocket):
    """A socket that closes itself when its handshake fails, which paho forgets to do."""

    def do_handshake(self, block: bool = False) -> None:  # noqa: FBT001, FBT002 - the signature of the parent
        """Agree on keys, or leave nothing open."""
        try:
            super().do_handshake(block)
        except BaseException:
            self.close()
            raise


def _connect(settings: MqttSettings, version: MQTTProtocolVersion, client_id: str, will: Message | None) -> Connection:
    address = _address(settings)
    client = _client(settings, version, client_id, address)
    if will:
        client.will_set(will.topic, will.payload, qos=1, retain=True)
    notes = _Notes()
    notes.follow(client)
    try:
        client.connect(address.host, address.port, round(settings.keepalive_s))
    except (OSError, ValueError) as error:
        raise BrokerError(f"broker {address}: {_why_unreachable(error, settings)}") from error
    _notice_silence(client)
    client.loop_start()
    notes.wait_for(lambda: bool(notes.answer or notes.ended), settings.ack_timeout_s)
    if notes.answer is None or notes.answer.is_failure:
        refusal = _refusal(address, notes, settings)
        _hang_up(client)
        raise refusal
    accepted = _accepted(address, version, notes.properties, settings)
    log.info("broker %s: connected with MQTT %s", accepted.broker, accepted.protocol)
    return Connection(client, notes, accepted, will)


def _client(settings: MqttSettings, version: MQTTProtocolVersion, client_id: str, address: _Address) -> paho.Client:
    """A fresh client: paho's own reconnecting sends its whole queue again, past any window."""
    client = paho.Client(
        CallbackAPIVersion.VERSION2,
        client_id=client_id,
        clean_session=None if version == MQTTProtocolVersion.MQTTv5 else True,
        protocol=version,
        reconnect_on_failure=False,
    )
    client.max_inflight_messages_set(0)  # the window is kept by who publishes; paho would queue behind our back
    client.connect_timeout = settings.ack_timeout_s
    client.username_pw_set(settings.username or address.username, _password(settings))
    if address.scheme == "mqtts":
        client.tls_set_context(_tls(settings))
    return client


def _address(settings: MqttSettings) -> _Address:
    parts = urlsplit(settings.url)
    try:
        port = parts.port or _PORTS[parts.scheme]
    except ValueError as error:
        raise ConfigError(f"mqtt.url: {error}") from error
    if not parts.hostname:
        raise ConfigError("mqtt.url names no host; write it as mqtt://host:port")
    return _Address(parts.scheme, parts.hostname, port, unquote(parts.username) if parts.username else None)


def _password(settings: MqttSettings) -> str | None:
    if settings.password_file is None:
        return settings.password.get_secret_value() if settings.password else None
    try:
        return settings.password_file.read_text(encoding="utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        raise ConfigError(f"mqtt.password_file {settings.password_file}: it is not UTF-8 text") from None
    except OSError as error:
        raise ConfigError(f"mqtt.password_file {settings.password_file}: {error.strerror}") from error


def _tls(settings: MqttSettings) -> ssl.SSLContext:
    """TLS that checks the broker's certificate and name; there is no switch to turn that off."""
    try:
        context = ssl.create_default_context(cafile=settings.ca_file)
    except OSError as error:
        raise ConfigError(f"mqtt.ca_file {settings.ca_file}: {error.strerror or error}") from error
    # From Python 3.13 on the default also refuses certificates that leave optional parts out, as most of those do that
    # people make for their own broker; chain and name are checked as ever.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.sslsocket_class = _TidySocket
    if settings.cert_file:
        try:
            context.load_cert_chain(
                settings.cert_file, settings.key_file, password=""
            )  # else it would ask on the terminal
        except OSError as error:
            files = f"mqtt.cert_file {settings.cert_file} with mqtt.key_file {settings.key_file}"
            raise ConfigError(f"{files}: {error.strerror or error}") from error
    return context


def _notice_silence(client: paho.Client) -> None:
    """Let the kernel end a connection whose other end no longer takes our bytes."""
    if isinstance(sock := client.socket(), socket.socket):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _USER_TIMEOUT_MS)


def _hang_up(client: paho.Client) -> None:
    """End the connection without a DISCONNECT, and paho's thread with it."""
    if isinstance(sock := client.socket(), socket.socket):
        with suppress(OSError):
            socket.socket.shutdown(sock, socket.SHUT_RDWR)  # not the TLS one, which would pull it from under paho
    client.loop_stop()


def _accepted(
    address: _Address, version: MQTTProtocolVersion, said: Properties | None, settings: MqttSettings
) -> _Accepted:
    return _Accepted(
        broker=str(address),
        protocol=_VERSION_NAMES[version],
        window=min(settings.window, getattr(said, "ReceiveMaximum", settings.window)),
        packet_bytes=getattr(said, "MaximumPacketSize", float("inf")),
        retains=bool(getattr(said, "RetainAvailable", 1)),
        patience_s=settings.ack_timeout_s,
    )


def _refusal(address: _Address, notes: _Notes, settings: MqttSettings) -> BrokerError:
    """Why there is no connection although somebody listens there."""
    if notes.answer is not None:
        kind = _VersionRefusedError if notes.answer.value == _VERSION_UNKNOWN else BrokerError
        return kind(f"broker {address}: refuses the connection: {_in_words(notes.answer)}")
    if notes.ended is None:
        return BrokerError(f"broker {address}: no answer within {settings.ack_timeout_s:g} s; is it an MQTT broker?")
    wants = "does it want a certificate (mqtt.cert_file)" if address.scheme == "mqtts" else "does it want mqtts://"
    return _VersionRefusedError(f"broker {address}: hangs up without an answer; {wants}, and is it an MQTT broker?")


def _size_bytes(properties: Properties | None) -> int:
    return len(properties.pack()) if properties else 0  # type: ignore[no-untyped-call]  # paho's types end here


def _heard(message: paho.MQTTMessage) -> Heard:
    """A message as paho hands it on; in MQTT 3.1.1 nobody says where an answer should go."""
    return Heard(
        topic=message.topic,
        payload=bytes(message.payload),
        retained=bool(message.retain),
        answer_topic=getattr(message.properties, "ResponseTopic", None),
        correlation=getattr(message.properties, "CorrelationData", None),
    )


def _in_words(code: ReasonCode) -> str:
    advice = _ADVICE.get(code.value)
    said = str(code).lower()
    return f"{said}; {advice}" if advice else said


def _why_unreachable(error: Exception, settings: MqttSettings) -> str:
    """What went wrong before the first byte of MQTT, and what to do."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}; check mqtt.ca_file and the name in mqtt.url"
    if isinstance(error, ssl.SSLError):
        return f"TLS fails: {error.reason or error}; does this port speak TLS?"
    if isinstance(error, TimeoutError):
        return f"no answer within {settings.ack_timeout_s:g} s; check the address and the firewall"
    if isinstance(error, ConnectionRefusedError):
        return "nobody listens there; check the port, and that the broker runs"
    if isinstance(error, socket.gaierror):
        return f"its name cannot be found: {error.strerror}; check the name and the DNS server"
    return str(getattr(error, "strerror", None) or error)
