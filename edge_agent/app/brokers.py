"""Wires the connections to brokers, each with an id of its own, and what clears those of leftovers."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable

from edge_agent.config import Settings
from edge_agent.edges.clock import Clock
from edge_agent.edges.ghosts import Ghosts
from edge_agent.edges.mqtt import Brokers, Connection, id_beside, id_of_device
from edge_agent.edges.outbox import Outbox
from edge_agent.stages.encode import native
from edge_agent.stages.encode.topics import ghosts, kept_filters
from edge_agent.supervise import topics_of


def delivery_brokers(settings: Settings, clock: Clock) -> Brokers:
    """Where events and states are delivered to; the broker says `offline` when the agent is cut off."""
    will = native.status(topics_of(settings).status, online=False)
    return Brokers(settings.mqtt, client_id=id_of_device(settings.device.id), will=will, clock=clock)


def trigger_brokers(settings: Settings, clock: Clock) -> Brokers:
    """Where triggers are heard."""
    return Brokers(settings.mqtt, client_id=_id_beside(settings, "triggers"), will=None, clock=clock)


def clear_ghosts(
    settings: Settings,
    brokers: Brokers,
    outbox: Outbox,
    clock: Clock,
    beat: Callable[[], None],
    stop: threading.Event,
) -> None:
    """Clear what an earlier life has left retained, on each broker that is delivered to, until `stop` is set."""
    topics = topics_of(settings)
    motions = {topics.motion(camera.id) for camera in settings.cameras}

    def connect(broker: str) -> Connection:
        there = settings.mqtt.model_copy(update={"url": broker, "urls": ()})
        return Brokers(there, client_id=_id_beside(settings, "ghosts"), will=None, clock=clock).connect()

    Ghosts(
        topic_filters=kept_filters(topics),
        choose=functools.partial(ghosts, topics),
        alive=lambda: {state.topic for state in outbox.states()},
        complete=motions.issubset,  # a pipeline says all of its states at once
        again=outbox.redirty,
        clock=clock,
        beat=beat,
    ).run(stop, lambda: brokers.status.broker, connect)


def _id_beside(settings: Settings, purpose: str) -> str:
    return id_beside(id_of_device(settings.device.id), purpose)
