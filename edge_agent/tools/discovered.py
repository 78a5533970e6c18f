"""What agents have told Home Assistant, as the broker keeps it, and taking it back."""

from __future__ import annotations

import queue
import secrets
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from edge_agent.edges import mqtt
from edge_agent.edges.mqtt import Connection, MqttSettings
from edge_agent.errors import BrokerError
from edge_agent.records import Heard
from edge_agent.stages.encode.homeassistant import DiscoveryTopics, device_of, parts_of

_QUIET_S = 1.0
_LISTEN_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Discovered:
    """A message of an agent that the broker keeps.

    Attributes:
        topic: where.
        agent: id of the agent.
        name: what it calls the device.
        parts: how many entities and triggers it announces.
    """

    topic: str
    agent: str
    name: str
    parts: int


class Discovery:
    """What a broker keeps for Home Assistant.

    Args:
        connection: to the broker.
        prefix: first part of the topics.
        patience_s: how long an acknowledgement may take.
    """

    def __init__(self, connection: Connection, prefix: str, patience_s: float) -> None:
        self._connection = connection
        self._prefix = prefix
        self._patience_s = patience_s

    def read(self) -> tuple[Discovered, ...]:
        """What agents have said there, by topic; what others have said is left out.

        Raises:
            BrokerError: the broker does not let us listen, or is gone.
        """
        heard: queue.SimpleQueue[Heard] = queue.SimpleQueue()
        every = DiscoveryTopics(prefix=self._prefix, device="+")
        for topic_filter in (every.agent, every.camera("+")):
            self._connection.subscribe(topic_filter, heard.put)
        found = {one.topic: one for one in map(self._discovered, _until_quiet(heard)) if one}
        if self._connection.lost:
            raise BrokerError(self._connection.lost)
        return tuple(found[topic] for topic in sorted(found))

    def _discovered(self, heard: Heard) -> Discovered | None:
        name, parts = device_of(heard.payload), parts_of(heard.payload)
        if not heard.retained or name is None or parts is None:
            return None
        agent = heard.topic.removeprefix(f"{self._prefix}/device/").partition("/")[0]
        return Discovered(topic=heard.topic, agent=agent, name=name, parts=len(parts))

    def clear(self, topics: Iterable[str]) -> Iterator[str]:
        """Let the broker forget topics, and with it Home Assistant its devices; gives each when it is done.

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
def discovery_at(settings: MqttSettings, prefix: str) -> Iterator[Discovery]:
    """Connect to a broker, under a name of our own, for the length of a `with`.

    Raises:
        BrokerError: it cannot be reached or refuses.
        ConfigError: a file that the settings name cannot be read.
    """
    connection = mqtt.connect(settings, client_id=f"edge-agent-ha-{secrets.token_hex(4)}", will=None)
    try:
        yield Discovery(connection, prefix, settings.ack_timeout_s)
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
