"""What says from outside that a camera is to be looked at, one file a kind."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Annotated

from pydantic import Field

from edge_agent.edges.clock import Clock
from edge_agent.edges.triggers.gpio import GpioLine, GpioTriggerSettings
from edge_agent.edges.triggers.messages import Connection, Messages, MqttTriggerSettings
from edge_agent.edges.triggers.trigger import Trigger, Triggers, Way
from edge_agent.edges.triggers.webhook import Webhook, WebhookSettings, WebhookTriggerSettings

TriggerSettings = Annotated[
    MqttTriggerSettings | WebhookTriggerSettings | GpioTriggerSettings, Field(discriminator="kind")
]
"""One trigger of a camera; `kind` says which."""


def ways_of(
    cameras: Sequence[tuple[str, Triggers, Sequence[TriggerSettings]]],
    webhook: WebhookSettings,
    connect: Callable[[], Connection],
    clock: Clock,
) -> Iterator[Way]:
    """Find the ways in which the triggers of a device come; none when there are no triggers.

    Args:
        cameras: the name of each, where its triggers are noted, and which they are.
        webhook: where HTTP comes.
        connect: makes a connection to the broker.
        clock: what patience is measured with.
    """
    messages: list[tuple[MqttTriggerSettings, Trigger]] = []
    calls: dict[str, list[Trigger]] = {}
    for camera, triggers, all_settings in cameras:
        for settings in all_settings:
            trigger = triggers.add(_name_of(settings))
            if isinstance(settings, MqttTriggerSettings):
                messages.append((settings, trigger))
            elif isinstance(settings, WebhookTriggerSettings):
                calls.setdefault(camera, []).append(trigger)
            else:
                yield GpioLine(settings, trigger)
    if messages:
        yield Messages(messages, connect)
    if calls:
        yield Webhook(webhook, calls, clock)


def _name_of(settings: TriggerSettings) -> str:
    if isinstance(settings, MqttTriggerSettings):
        return f"mqtt {settings.topic}"
    if isinstance(settings, GpioTriggerSettings):
        return f"gpio {settings.chip} {settings.line}"
    return settings.kind
