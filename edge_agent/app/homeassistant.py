"""What of a configuration Home Assistant is told, and who tells it."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Mapping, Sequence

import edge_agent
from edge_agent.config import CameraSettings, Settings
from edge_agent.edges.clock import Clock
from edge_agent.edges.deliver import Subscription
from edge_agent.edges.homeassistant import Announcer, Places
from edge_agent.edges.kept import KeptFile
from edge_agent.edges.outbox import Outbox
from edge_agent.records import Message
from edge_agent.stages.encode import homeassistant
from edge_agent.stages.encode.homeassistant import (
    SETTINGS,
    Announcement,
    DiscoveryTopics,
    Setting,
    ShownCamera,
    ShownDevice,
    ShownRule,
)
from edge_agent.stages.rules.zone import PassageSettings
from edge_agent.supervise import topics_of

_log = logging.getLogger(__name__)

_FILE = "homeassistant.json"
_SETTLED_S = 5.0


def announcements(settings: Settings, gone: Mapping[str, Mapping[str, str]] | None = None) -> tuple[Announcement, ...]:
    """The messages for Home Assistant, whether it is to be told or not."""
    return homeassistant.announce(shown_device(settings), discovery_topics(settings), gone)


def discovery_topics(settings: Settings) -> DiscoveryTopics:
    """Where Home Assistant looks."""
    return DiscoveryTopics(prefix=settings.homeassistant.prefix, device=settings.device.id)


def shown_device(settings: Settings) -> ShownDevice:
    """What there is to be shown."""
    model = settings.model
    return ShownDevice(
        topics=topics_of(settings),
        name=settings.device.name or settings.device.id,
        version=edge_agent.__version__,
        model=model.path.name if model.path else model.name or "default",
        cameras=tuple(map(_shown_camera, settings.cameras)),
        settable=_settable(settings),
    )


def _settable(settings: Settings) -> frozenset[Setting]:
    commands = settings.commands
    return frozenset(one for one in SETTINGS if commands.enabled and one in commands.allow)


def _shown_camera(camera: CameraSettings) -> ShownCamera:
    labels = camera.detect.labels
    return ShownCamera(
        id=camera.id,
        labels=labels,
        zones={name: zone.labels or labels for name, zone in camera.zones.items()},
        lines={name: line.labels or labels for name, line in camera.lines.items()},
        rules=tuple(
            ShownRule(
                name=rule.name,
                kind=rule.kind,
                leaves=isinstance(rule, PassageSettings) and rule.on == "leave",
            )
            for rule in camera.rules
        ),
    )


def announcer_of(
    settings: Settings, outbox: Outbox, clock: Clock, uniform: Callable[[float, float], float] = random.uniform
) -> Announcer:
    """Who tells Home Assistant; with discovery off, who takes back what was told."""

    def write(gone: Mapping[str, Mapping[str, str]]) -> Sequence[Message]:
        if not settings.homeassistant.discovery:
            return ()
        return [one.message for one in announcements(settings, gone)]

    for one in announcements(settings) if settings.homeassistant.discovery else ():
        if one.left_out:
            _log.warning(
                "Home Assistant: %s has no room for %d entities and triggers; give zones and lines fewer labels",
                one.message.topic,
                one.left_out,
            )
    return Announcer(
        write=write,
        read=homeassistant.parts_of,
        places=Places(KeptFile(settings.outbox.path.parent / _FILE)),
        outbox=outbox,
        clock=clock,
        jitter_s=lambda: uniform(0.0, settings.homeassistant.jitter_s),
        delivered_s=settings.mqtt.ack_timeout_s + _SETTLED_S,
    )


def subscriptions(settings: Settings, announcer: Announcer) -> tuple[Subscription, ...]:
    """What has to be heard for that; nothing with discovery off."""
    if not settings.homeassistant.discovery:
        return ()
    topics = discovery_topics(settings)
    return (
        Subscription(topics.agent, announcer.hear_earlier),
        Subscription(topics.camera("+"), announcer.hear_earlier),
        Subscription(topics.birth, announcer.hear_birth),
    )
