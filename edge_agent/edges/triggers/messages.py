"""Triggers that come as MQTT messages, of a sensor or of another camera, over the agent's own broker."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated, Literal, Protocol

from pydantic import Field

from edge_agent.edges.triggers.trigger import Trigger
from edge_agent.errors import BrokerError
from edge_agent.records import Heard
from edge_agent.settings import Section

_WAIT_S = 0.5
_ASK_AGAIN_TURNS = 120  # a minute: a broker's rules may change
_MOST_BYTES = 65_536
"""A longer payload is not looked into: sensors speak briefly."""


class MqttTriggerSettings(Section):
    """A message on the agent's own broker: a motion sensor's, ONVIF's as some gateways pass it on, another camera's."""

    kind: Literal["mqtt"]
    """That it comes over MQTT."""

    topic: Annotated[str, Field(min_length=1, max_length=512, pattern=r"^(([^+#/]*|\+)/)*([^+#/]*|\+|#)$")]
    """Where it comes, with `+` and `#` as in MQTT. What a broker has retained from before does not count."""

    payload: Annotated[str, Field(max_length=256)] | None = None
    """What it must say, such as `ON`; anything when left out."""

    path: Annotated[str, Field(min_length=1, max_length=256)] | None = None
    """Where in a JSON payload `payload` must stand: names and places in lists with dots between them, such as
    `occupancy`."""


class Connection(Protocol):
    """A connection to the broker, see `edges/mqtt/`."""

    @property
    def lost(self) -> str | None:
        """Why it is gone; None as long as it is there."""
        ...

    @property
    def leaving(self) -> bool:
        """Whether a better broker is there, so that this one is to be left."""
        ...

    def subscribe(self, topic_filter: str, hear: Callable[[Heard], None], /, *, retained: bool) -> None:
        """Let `hear` have what matches."""
        ...

    def wait(self, timeout_s: float, /) -> None:
        """Wait until it is gone."""
        ...

    def close(self) -> None:
        """Go."""
        ...


class Messages:
    """All triggers of a device that come over MQTT, by one connection.

    Args:
        waiting: who waits for what.
        connect: makes a connection.
    """

    name = "triggers over MQTT"

    def __init__(
        self, waiting: Sequence[tuple[MqttTriggerSettings, Trigger]], connect: Callable[[], Connection]
    ) -> None:
        self._waiting = {
            topic: [(settings, trigger) for settings, trigger in waiting if settings.topic == topic]
            for topic in dict.fromkeys(settings.topic for settings, _ in waiting)
        }
        self._connect = connect
        self.triggers = tuple(trigger for _, trigger in waiting)

    def listen(self, stop: threading.Event, beat: Callable[[], None]) -> None:
        """Listen until `stop` is set.

        Raises:
            BrokerError: the broker cannot be reached, refuses, or is gone.
        """
        beat()
        connection = self._connect()
        try:
            refused = list(self._waiting)
            for turn in itertools.count():
                if turn % _ASK_AGAIN_TURNS == 0:
                    refused = [topic for topic in refused if not self._subscribe(connection, topic, beat)]
                if stop.is_set() or connection.leaving:
                    return
                beat()
                connection.wait(_WAIT_S)
                if connection.lost:
                    raise BrokerError(connection.lost)
        finally:
            connection.close()

    def _subscribe(self, connection: Connection, topic: str, beat: Callable[[], None]) -> bool:
        """Whether the broker lets us have a topic; one that it refuses is no reason to give up the others."""
        beat()
        waiting = self._waiting[topic]
        try:
            connection.subscribe(topic, partial(_hear, waiting), retained=False)
        except BrokerError as error:
            if connection.lost:
                raise
            for _, trigger in waiting:
                trigger.fail(str(error))
            return False
        for _, trigger in waiting:
            trigger.ready()
        return True


def _hear(waiting: Sequence[tuple[MqttTriggerSettings, Trigger]], heard: Heard) -> None:
    for settings, trigger in waiting:
        if matches(settings, heard.payload):
            trigger.pull()


def matches(settings: MqttTriggerSettings, payload: bytes) -> bool:
    """Whether a payload says what it must."""
    if settings.payload is None:
        return True
    if len(payload) > _MOST_BYTES:
        return False
    try:
        said = payload.decode()
        return (said if settings.path is None else _at(settings.path, json.loads(said))) == settings.payload
    except (ValueError, LookupError, RecursionError):  # no text, no JSON, or nothing at that path
        return False


def _at(path: str, content: object) -> str | None:
    """What stands at a path, as text; of anything but text, as JSON writes it; None where there is no such place."""
    for step in path.split("."):
        if not isinstance(content, dict | list):
            return None
        content = content[int(step)] if isinstance(content, list) else content[step]
    return content if isinstance(content, str) else json.dumps(content)
