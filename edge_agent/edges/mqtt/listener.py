"""Hears what others publish: for `watch` and the demo."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator

from edge_agent.edges.mqtt.brokers import connect
from edge_agent.edges.mqtt.client_ids import id_of_command
from edge_agent.edges.mqtt.settings import MqttSettings
from edge_agent.errors import BrokerError

_QUIET_S = 0.3


class Listener:
    """Hears what others publish.

    Args:
        settings: which broker, and as whom.
        topic_filter: what to hear.

    Raises:
        BrokerError: the broker cannot be reached, does not answer in time, or refuses.
    """

    def __init__(self, settings: MqttSettings, topic_filter: str) -> None:
        self._heard: queue.SimpleQueue[tuple[str, bytes]] = queue.SimpleQueue()
        self._connection = connect(settings, client_id=id_of_command("watch"), will=None)
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
