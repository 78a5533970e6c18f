"""One MQTT connection: publish, learn what was acknowledged, hear, close."""

from __future__ import annotations

import itertools
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from paho.mqtt import client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from edge_agent.edges.mqtt.access import Address
from edge_agent.edges.mqtt.notes import Notes, Receipt
from edge_agent.errors import BrokerError
from edge_agent.records import Heard, Message

_FAREWELL_S = 2.0
_HEADER_BYTES = 1 + 4 + 2 + 2 + 1
"""Most that a PUBLISH packet holds besides topic and payload: type, length, topic length, packet id, no properties."""

# Reason codes. Source: MQTT version 5.0, OASIS standard, section 2.4.
_TOPIC_INVALID = 0x90
_PACKET_TOO_LARGE = 0x95


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """What was agreed on with the broker.

    Attributes:
        address: of the broker.
        protocol: the version of MQTT, `5` or `3.1.1`.
        window: how many messages may be under way unacknowledged.
        packet_bytes: the largest packet that it takes.
        retains: whether it keeps retained messages.
        expiry_s: how long it is to keep an event for a subscriber that is away; None is for ever.
        lasting: whether it keeps the session for a while when the line breaks.
        patience_s: how long it may take to answer.
    """

    address: Address
    protocol: str
    window: int
    packet_bytes: float
    retains: bool
    expiry_s: int | None
    lasting: bool
    patience_s: float


class Connection:
    """One connection from the broker's consent to its end; after a loss a new one is made, never this one again.

    paho's thread only leaves notes; the one other thread, which calls the methods here, reads them.
    """

    def __init__(self, client: paho.Client, notes: Notes, accepted: Accepted, will: Message | None) -> None:
        self._client = client
        self._notes = notes
        self._accepted = accepted
        self._will = will
        self._refused_here = itertools.count(-1, -1)  # tokens below zero; paho's are above
        self._sent = False
        self.hung_up = False
        """Whether it was this side that ended it."""
        self.leaving = False
        """Whether a better broker is there: whoever uses this one closes it, in order, and connects anew."""

    @property
    def broker(self) -> str:
        """Where the broker is, without secrets."""
        return str(self._accepted.address)

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
        return ended and f"broker {self.broker}: {ended}"

    @property
    def fruitless(self) -> bool:
        """Whether messages were sent and the broker has confirmed not a single one."""
        return self._sent and not self._notes.confirmed

    @property
    def notes(self) -> Notes:
        """What paho's thread has left, for those who look into how a connection ended."""
        return self._notes

    def publish(self, topic: str, payload: bytes, *, retain: bool, correlation: bytes | None = None) -> int:
        """Send a message at QoS 1 and return its token, which comes back in a `Receipt`, on a lost line never.

        Args:
            topic: where to.
            payload: what to say.
            retain: whether the broker shall keep it; what it shall not keep may expire.
            correlation: which request it answers; left out where MQTT 3.1.1 has no place for it.
        """
        properties = self._properties(correlation, None if retain else self._accepted.expiry_s)
        size_bytes = len(topic.encode()) + len(payload) + _HEADER_BYTES + _size_bytes(properties)
        if size_bytes > self._accepted.packet_bytes:
            return self._refuse(_PACKET_TOO_LARGE, f"the broker takes {self._accepted.packet_bytes} bytes at most")
        retain = retain and self._accepted.retains
        try:
            token = self._client.publish(topic, payload, qos=1, retain=retain, properties=properties).mid
        except ValueError as error:
            return self._refuse(_TOPIC_INVALID, str(error))
        self._sent = True
        return token

    def acknowledged(self) -> tuple[Receipt, ...]:
        """What the broker has confirmed or refused since the last call."""
        return self._notes.take_receipts()

    def wait(self, timeout_s: float) -> None:
        """Wait until there is something new: a receipt, or that the connection is gone, or is to be left."""
        self._notes.wait_for(lambda: bool(self._notes.receipts or self._notes.ended or self.leaving), timeout_s)

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
            raise BrokerError(f"broker {self.broker}: {topic_filter} cannot be subscribed to: {refusal}")
        for message in list(self._notes.early):  # of a session that went on, before anybody could ask
            if paho.topic_matches_sub(topic_filter, message.topic):
                self._notes.early.remove(message)
                note(self._client, None, message)

    def leave(self) -> None:
        """Let whoever uses this connection know that a better broker is there."""
        self.leaving = True
        self._notes.wake()

    def close(self) -> None:
        """Say what the last will would have said, and go."""
        if self._will:
            farewell = self.publish(self._will.topic, self._will.payload, retain=True)
            self._notes.wait_for(lambda: bool(self._notes.ended) or self._notes.holds(farewell), _FAREWELL_S)
        self.hung_up = self._notes.ended is None
        self._client.disconnect(properties=self._no_session())
        self._notes.wait_for(lambda: bool(self._notes.ended), _FAREWELL_S)
        hang_up(self._client)

    def cut(self) -> None:
        """Go without a word, so that the broker publishes the last will."""
        self.hung_up = self._notes.ended is None
        hang_up(self._client)

    def _properties(self, correlation: bytes | None, expiry_s: int | None) -> Properties | None:
        """What MQTT 5 says beside a message; 3.1.1 has no place for it."""
        if self.protocol != "5" or (correlation is None and expiry_s is None):
            return None
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]  # paho's types end here
        if correlation is not None:
            properties.CorrelationData = correlation
        if expiry_s is not None:
            properties.MessageExpiryInterval = expiry_s
        return properties

    def _no_session(self) -> Properties | None:
        """Ask the broker to keep nothing of a session that would outlast the line."""
        if not self._accepted.lasting:
            return None
        properties = Properties(PacketTypes.DISCONNECT)  # type: ignore[no-untyped-call]  # paho's types end here
        properties.SessionExpiryInterval = 0
        return properties

    def _refuse(self, code: int, reason: str) -> int:
        token = next(self._refused_here)
        self._notes.add(Receipt(token=token, refused=code, reason=reason))
        return token


def hang_up(client: paho.Client) -> None:
    """End the connection without a DISCONNECT, and paho's thread with it."""
    if isinstance(sock := client.socket(), socket.socket):
        with suppress(OSError):
            socket.socket.shutdown(sock, socket.SHUT_RDWR)  # not the TLS one, which would pull it from under paho
    with suppress(AttributeError):  # paho 2.2: its thread forgets itself between the question and the wait
        client.loop_stop()


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
