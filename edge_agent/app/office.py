"""Wires what others may ask of the running agent."""

from __future__ import annotations

from collections.abc import Mapping

from edge_agent.camera_line import Line
from edge_agent.commands.desk import Desk
from edge_agent.commands.doing import Doings
from edge_agent.commands.kept import Changes
from edge_agent.commands.office import FILE, Office
from edge_agent.commands.reload import Reload
from edge_agent.config import CameraSettings, Settings
from edge_agent.edges.clock import Clock
from edge_agent.edges.kept import KeptFile
from edge_agent.edges.outbox import Outbox
from edge_agent.records import InForce
from edge_agent.supervise import topics_of


def configured(camera: CameraSettings, threshold: float) -> InForce:
    """What a camera goes by while nobody has changed anything; `threshold` is that of the model."""
    return InForce(detect=True, threshold=threshold, rate_hz=camera.detect.rate_hz)


def build_office(settings: Settings, lines: Mapping[str, Line], outbox: Outbox, clock: Clock, reload: Reload) -> Office:
    """Wire what hears commands, does them, and keeps what they change.

    Args:
        settings: the configuration.
        lines: the cameras, with their dials as configured.
        outbox: where states and answers go.
        clock: tells the time.
        reload: what begins the agent again.
    """
    topics = topics_of(settings)
    changes = Changes(
        {camera: line.dial.now for camera, line in lines.items()},
        {camera: line.dial for camera, line in lines.items()},
        KeptFile(settings.outbox.path.parent / FILE),
        clock,
    )
    doings = Doings(topics=topics, lines=lines, changes=changes, outbox=outbox, reload=reload)
    desk = Desk(
        settings=settings.commands,
        topics=topics,
        closed=(settings.mqtt.prefix, settings.homeassistant.prefix),
        doings=doings,
        outbox=outbox,
        clock=clock,
    )
    return Office(topics=topics, changes=changes, doings=doings, desk=desk if settings.commands.enabled else None)
