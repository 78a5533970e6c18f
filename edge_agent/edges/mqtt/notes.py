"""What paho's thread leaves for ours."""

from __future__ import annotations

import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from paho.mqtt import client as paho
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from edge_agent.edges.mqtt.words import in_words

_PROTOCOL_ERROR = 0x82
_EARLY = 100
"""So many messages that come before anybody has asked for them are kept: a session that goes on brings them at once."""


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


class Notes:
    """What paho's thread leaves for ours: its callbacks do nothing but write here.

    Nobody holds this lock while calling paho, so a callback can always take it.

    Args:
        user_timeout_ms: for how long the other end may take no bytes before the kernel ends the connection.
    """

    def __init__(self, user_timeout_ms: int) -> None:
        self._user_timeout_ms = user_timeout_ms
        self.line: Any = None  # the socket, TLS or not
        self._changed = threading.Condition()
        self.answer: ReasonCode | None = None
        self.said: Properties | None = None  # with the answer, or with why it ended
        self.receipts: list[Receipt] = []
        self.confirmed = False  # whether the broker has ever answered to a message
        self.refused = False  # whether it has ever refused one; mosquitto 2.0.11 hangs up after that
        self.subscribed: dict[int | None, str] = {}  # by their tokens: why the broker refused, empty when it did not
        self.early: deque[paho.MQTTMessage] = deque(maxlen=_EARLY)
        self.ended: str | None = None
        self.ended_code: int | None = None  # the broker's reason, where it gave one
        self.ended_s = 0.0
        self.garbled = False  # whether paho ended it because it could not read what came

    def follow(self, client: paho.Client) -> None:
        """Write down what this client hears."""
        client.on_socket_open = self._on_socket_open
        client.on_connect = self._on_connect
        client.on_publish = self._on_publish
        client.on_subscribe = self._on_subscribe
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message

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

    def wake(self) -> None:
        """Let those who wait look again."""
        with self._changed:
            self._changed.notify_all()

    def _on_socket_open(self, _client: paho.Client, _data: Any, line: Any) -> None:
        self.line = line
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, self._user_timeout_ms)
        # Else a small packet waits for the acknowledgement of the one before it, which may be put off for 40 ms. It
        # shows only where the broker does the same: docs/mqtt.md.
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def _on_connect(
        self, _client: paho.Client, _data: Any, _flags: Any, answer: ReasonCode, said: Properties | None
    ) -> None:
        with self._changed:
            self.answer, self.said = answer, said
            self._changed.notify_all()

    def _on_publish(self, _client: paho.Client, _data: Any, token: int, answer: ReasonCode, _said: Properties) -> None:
        refused = answer.value if answer.is_failure else None
        self.confirmed = True
        self.refused = self.refused or refused is not None
        self.add(Receipt(token=token, refused=refused, reason="" if refused is None else str(answer)))

    def _on_subscribe(
        self, _client: paho.Client, _data: Any, token: int, answers: list[ReasonCode], said: Properties | None
    ) -> None:
        with self._changed:
            self.subscribed[token] = next((in_words(answer, said) for answer in answers if answer.is_failure), "")
            self._changed.notify_all()

    def _on_message(self, _client: paho.Client, _data: Any, message: paho.MQTTMessage) -> None:
        self.early.append(message)

    def _on_disconnect(
        self, _client: paho.Client, _data: Any, flags: paho.DisconnectFlags, why: ReasonCode, said: Properties | None
    ) -> None:
        with self._changed:
            if self.ended is not None:  # paho calls twice when the broker says why
                return
            self.ended, self.ended_s = "the connection broke", time.monotonic()
            if flags.is_disconnect_packet_from_server:
                self.ended, self.ended_code = f"it ended the connection: {in_words(why, said)}", why.value
                self.said = said
            elif why.value == _PROTOCOL_ERROR:
                self.garbled = True
            self._changed.notify_all()
