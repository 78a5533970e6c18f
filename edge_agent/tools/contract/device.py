"""One device's own part of the contract: every topic that its configuration makes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from edge_agent.stages.encode import native
from edge_agent.stages.encode.channels import CHANNELS, Channel, find
from edge_agent.stages.encode.native import Names
from edge_agent.stages.encode.topics import Topics
from edge_agent.stages.rules.line import LineSettings
from edge_agent.stages.rules.rules import Rules
from edge_agent.stages.rules.zone import ZoneSettings


@dataclass(frozen=True, kw_only=True)
class Watched:
    """What of a camera makes topics.

    Attributes:
        id: its name in topics.
        labels: what it looks for.
        zones: its zones, by name.
        lines: its lines, by name.
    """

    id: str
    labels: tuple[str, ...]
    zones: Mapping[str, ZoneSettings]
    lines: Mapping[str, LineSettings]


@dataclass(frozen=True, kw_only=True)
class Device:
    """A device that is configured.

    Attributes:
        prefix: first part of every topic.
        id: its name in topics.
        brokers: the host and port of each of its brokers, the preferred one first, and whether it speaks TLS to it.
        has_password: whether it gives the broker a name and a password.
        has_certificate: whether it shows the broker a certificate of its own.
        cameras: its cameras.
        discovery_prefix: first part of the topics for Home Assistant; None where it is told nothing.
    """

    prefix: str
    id: str
    brokers: Sequence[tuple[str, bool]]
    has_password: bool
    has_certificate: bool
    cameras: Sequence[Watched]
    discovery_prefix: str | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """One topic of a device.

    Attributes:
        channel: which channel it belongs to.
        key: a name for it that is unique on the device.
        address: the topic; with parameters where it belongs to no device.
    """

    channel: Channel
    key: str
    address: str


def addresses_of(device: Device) -> Iterator[Place]:
    """Every topic of a device, those of the whole device first, then camera by camera."""
    known = {"prefix": device.prefix, "device": device.id}
    if device.discovery_prefix is not None:
        known["discovery_prefix"] = device.discovery_prefix
    open_in = {name: set(channel.parameters) - known.keys() for name, channel in CHANNELS.items()}
    for name, channel in CHANNELS.items():
        if not open_in[name]:
            yield Place(channel, name, channel.at(**known))
    for camera in device.cameras:
        for name, channel in CHANNELS.items():
            if open_in[name] == {"camera"}:
                yield Place(channel, f"{name}.{camera.id}", channel.at(**known, camera=camera.id))
        yield from _counts(device, camera)


def _counts(device: Device, camera: Watched) -> Iterator[Place]:
    """The topics of its counts, as the camera itself says them at its start."""
    names = Names(topics=Topics(prefix=device.prefix, device=device.id), camera=camera.id, run_id="")
    for said in Rules(camera.labels, camera.zones, camera.lines).begin():
        topic = native.encode(said, names).topic
        found = find(topic)
        if found is None:
            raise LookupError(f"{topic} belongs to no channel")
        channel, values = found
        levels = [values[name] for name in channel.parameters[2:]]
        yield Place(channel, ".".join((channel.name, *levels)), topic)
