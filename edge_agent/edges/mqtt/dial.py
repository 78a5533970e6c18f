"""One try to connect to one broker with one version of MQTT, and what comes of it."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from edge_agent.edges.mqtt import access
from edge_agent.edges.mqtt.access import Address, TellingSocket
from edge_agent.edges.mqtt.client import Client
from edge_agent.edges.mqtt.connection import Accepted, Connection, hang_up
from edge_agent.edges.mqtt.notes import Notes
from edge_agent.edges.mqtt.settings import MqttSettings
from edge_agent.edges.mqtt.words import RETAIN_UNKNOWN, VERSION_UNKNOWN, alert, in_words, reference, why_unreachable
from edge_agent.errors import BrokerError
from edge_agent.records import Message

log = logging.getLogger(__name__)

MQTT_5 = MQTTProtocolVersion.MQTTv5
MQTT_311 = MQTTProtocolVersion.MQTTv311
_MOST_PACKET_BYTES = 4 << 20
"""Longest message that is heard: far more than any that means something to us. paho holds three copies of it."""

_VERSION_NAMES = {MQTT_5: "5", MQTT_311: "3.1.1"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who calls.

    Attributes:
        settings: as whom, and how patiently.
        client_id: the same for every connection of this device, and of no other device.
        will: what the broker shall publish, retained, when the connection breaks; also the farewell. None for one who
            only listens.
    """

    settings: MqttSettings
    client_id: str
    will: Message | None


class VersionRefusedError(BrokerError):
    """The broker does not know this version of MQTT; old ones say so by hanging up at once."""


class RetainRefusedError(BrokerError):
    """The broker keeps no retained messages, and so takes no last will that is one."""


class ElsewhereError(BrokerError):
    """The broker sends us to another server."""

    def __init__(self, words: str, servers: str) -> None:
        super().__init__(words)
        self.servers = servers


def dial(caller: Caller, address: Address, version: MQTTProtocolVersion, *, retain_will: bool = True) -> Connection:
    """Connect and wait for the broker's consent.

    Raises:
        BrokerError: it cannot be reached, does not answer in time, or refuses; the message says what to do.
        ConfigError: the password or a certificate cannot be read.
    """
    settings, will = caller.settings, caller.will
    client = _client(caller, address, version)
    if will:
        client.will_set(will.topic, will.payload, qos=1, retain=retain_will, properties=_will_delay(caller, version))
    notes = Notes(round(settings.user_timeout_s * 1000))
    notes.follow(client)
    try:
        client.connect(
            address.host,
            address.port,
            round(settings.keepalive_s),
            clean_start=False if _lasts(caller, version) else paho.MQTT_CLEAN_START_FIRST_ONLY,
            properties=_wishes(caller, version),
        )
    except (OSError, ValueError) as error:
        raise BrokerError(f"broker {address}: {why_unreachable(error, settings.ack_timeout_s)}") from error
    client.loop_start()
    notes.wait_for(lambda: bool(notes.answer or notes.ended), settings.ack_timeout_s)
    refusal = _refusal(address, notes, settings)
    if refusal is not None:
        hang_up(client)
        raise refusal
    accepted = _accepted(caller, address, version, notes.said)
    log.info("broker %s: connected with MQTT %s as %s", address, accepted.protocol, caller.client_id)
    return Connection(client, notes, accepted, will)


def _client(caller: Caller, address: Address, version: MQTTProtocolVersion) -> paho.Client:
    """A fresh client: paho's own reconnecting sends its whole queue again, past any window."""
    settings = caller.settings
    client = Client(
        CallbackAPIVersion.VERSION2,
        client_id=caller.client_id,
        clean_session=None if version == MQTT_5 else True,
        protocol=version,
        reconnect_on_failure=False,
    )
    client.max_inflight_messages_set(0)  # the window is kept by who publishes; paho would queue behind our back
    client.connect_timeout = settings.ack_timeout_s
    client.username_pw_set(settings.username or address.username, access.password(settings))
    if address.tls:
        client.tls_set_context(access.tls(settings))
    return client


def _lasts(caller: Caller, version: MQTTProtocolVersion) -> bool:
    """Whether the broker is to keep the session for a while: a will waits for no longer than the session lasts."""
    return version == MQTT_5 and caller.will is not None and caller.settings.will_delay_s > 0


def _wishes(caller: Caller, version: MQTTProtocolVersion) -> Properties | None:
    """What MQTT 5 lets us ask for: no message that would fill the memory, and how long to keep the session."""
    if version != MQTT_5:
        return None
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho's types end here
    properties.MaximumPacketSize = _MOST_PACKET_BYTES
    if _lasts(caller, version):
        properties.SessionExpiryInterval = math.ceil(caller.settings.will_delay_s)
    return properties


def _will_delay(caller: Caller, version: MQTTProtocolVersion) -> Properties | None:
    if not _lasts(caller, version):
        return None
    properties = Properties(PacketTypes.WILLMESSAGE)  # type: ignore[no-untyped-call]  # paho's types end here
    properties.WillDelayInterval = math.ceil(caller.settings.will_delay_s)
    return properties


def _accepted(caller: Caller, address: Address, version: MQTTProtocolVersion, said: Properties | None) -> Accepted:
    settings = caller.settings
    return Accepted(
        address=address,
        protocol=_VERSION_NAMES[version],
        window=min(settings.window, getattr(said, "ReceiveMaximum", settings.window)),
        packet_bytes=getattr(said, "MaximumPacketSize", float("inf")),
        retains=bool(getattr(said, "RetainAvailable", 1)),
        expiry_s=None if settings.expiry_s is None else round(settings.expiry_s),
        lasting=_lasts(caller, version),
        patience_s=settings.ack_timeout_s,
    )


def _refusal(address: Address, notes: Notes, settings: MqttSettings) -> BrokerError | None:
    """Why there is no connection although somebody listens there; None when there is one."""
    if notes.answer is None:
        return _no_answer(address, notes, settings)
    if notes.answer.is_failure:
        words = f"broker {address}: refuses the connection: {in_words(notes.answer, notes.said)}"
        if reference(notes.said):
            return ElsewhereError(words, reference(notes.said))
        kinds = {VERSION_UNKNOWN: VersionRefusedError, RETAIN_UNKNOWN: RetainRefusedError}
        return kinds.get(notes.answer.value, BrokerError)(words)
    if getattr(notes.said, "MaximumQoS", 1) < 1:
        qos_0 = "takes QoS 0 only, with which nobody knows what has arrived; use another one"
        return BrokerError(f"broker {address}: {qos_0}")
    return None


def _no_answer(address: Address, notes: Notes, settings: MqttSettings) -> BrokerError:
    if notes.ended is None:
        return BrokerError(f"broker {address}: no answer within {settings.ack_timeout_s:g} s; is it an MQTT broker?")
    if complaint := alert(notes.line.complaint if isinstance(notes.line, TellingSocket) else None):
        return BrokerError(f"broker {address}: {complaint}")
    if notes.garbled:
        return VersionRefusedError(f"broker {address}: its answer is no MQTT that is known here; is it an MQTT broker?")
    wants = "does it want a certificate (mqtt.cert_file)" if address.tls else "does it want mqtts://"
    wants += " or another password"
    return VersionRefusedError(f"broker {address}: hangs up without an answer; {wants}, and is it an MQTT broker?")
