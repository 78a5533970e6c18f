"""What a broker has retained on topics, and letting it forget them."""

from __future__ import annotations

import queue
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from edge_agent.edges import mqtt
from edge_agent.edges.mqtt import Connection, MqttSettings
from edge_agent.errors import BrokerError
from edge_agent.records import Heard

_QUIET_S = 1.0
"""A broker sends what it has retained at once; silence for so long means that this was all."""

_LISTEN_S = 10.0


class Retained:
    """What a broker keeps.

    Args:
        connection: to the broker.
        patience_s: how long an acknowledgement may take.
    """

    def __init__(self, connection: Connection, patience_s: float) -> None:
        self._connection = connection
        self._patience_s = patience_s

    def read(self, *topic_filters: str) -> dict[str, Heard]:
        """What is retained there, by topic, in their order.

        Raises:
            BrokerError: the broker does not let us listen, or is gone.
        """
        heard: queue.SimpleQueue[Heard] = queue.SimpleQueue()
        for topic_filter in topic_filters:
            self._connection.subscribe(topic_filter, heard.put)
        found = {one.topic: one for one in _until_quiet(heard) if one.retained and one.payload}
        if self._connection.lost:
            raise BrokerError(self._connection.lost)
        return dict(sorted(found.items()))

    def clear(self, topics: Iterable[str]) -> Iterator[str]:
        """Let the broker forget topics; gives each when it is done.

        Raises:
            BrokerError: the broker refuses, does not answer in time, or is gone.
        """
        for topic in topics:
            token = self._connection.publish(topic, b"", retain=True)
            self._await(token, topic)
            yield topic

    def _await(self, token: int, topic: str) -> None:
        until_s = time.monotonic() + self._patience_s
        while True:
            lost = self._connection.lost  # before the receipts: some brokers refuse, and then hang up
            for receipt in self._connection.acknowledged():
                if receipt.token == token:
                    if receipt.refused is not None:
                        raise BrokerError(f"{topic} cannot be cleared: {receipt.reason}; what may this user write?")
                    return
            if lost or time.monotonic() >= until_s:
                raise BrokerError(lost or f"{topic}: the broker does not confirm that it is cleared")
            self._connection.wait(_QUIET_S)


@contextmanager
def retained_at(settings: MqttSettings, command: str) -> Iterator[Retained]:
    """Connect to a broker, under a name of our own, for the length of a `with`.

    Raises:
        BrokerError: it cannot be reached or refuses.
        ConfigError: a file that the settings name cannot be read.
    """
    connection = mqtt.connect(settings, client_id=mqtt.id_of_command(command), will=None)
    try:
        yield Retained(connection, settings.ack_timeout_s)
    finally:
        connection.close()


def _until_quiet(heard: queue.SimpleQueue[Heard]) -> Iterator[Heard]:
    """What comes, until nothing more does for a moment."""
    until_s = time.monotonic() + _LISTEN_S
    while time.monotonic() < until_s:
        try:
            yield heard.get(timeout=_QUIET_S)
        except queue.Empty:
            return
