"""The whole configuration as one tree of settings classes, each defined beside the code that reads it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, get_args, get_origin

from pydantic import Field

from edge_agent.edges.inference import ModelSettings
from edge_agent.edges.mqtt import MqttSettings
from edge_agent.edges.outbox import OutboxSettings
from edge_agent.edges.sources.picture import PictureSettings
from edge_agent.edges.sources.supervised import CaptureSettings
from edge_agent.edges.trail import ExplainSettings
from edge_agent.edges.triggers import TriggerSettings
from edge_agent.edges.triggers.webhook import WebhookSettings
from edge_agent.settings import Identifier, Polygon, Section
from edge_agent.stages.commands.command import CommandsSettings
from edge_agent.stages.detect.detector import DetectSettings
from edge_agent.stages.encode.homeassistant.settings import HomeAssistantSettings
from edge_agent.stages.gate.settings import GateSettings
from edge_agent.stages.rules.ground import GroundSettings
from edge_agent.stages.rules.kinds import RuleSettings
from edge_agent.stages.rules.line import LineSettings
from edge_agent.stages.rules.zone import ZoneSettings
from edge_agent.stages.track.tracker import TrackSettings

MAX_ZONES = 16
"""So many names, of the longest, still fit into one event of 2 KiB."""

MAX_LINES = 16
MAX_RULES = 32
"""More for one camera would be looked through in every frame."""

MAX_TRIGGERS = 32
"""More belong into one topic."""


Location = tuple[Annotated[float, Field(ge=-90, le=90)], Annotated[float, Field(ge=-180, le=180)]]
"""Degrees north and degrees east."""


class DeviceSettings(Section):
    """This box among others."""

    id: Identifier
    """Its name in topics."""

    name: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    """Its name for people; the id when left out."""

    timezone: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    """The time zone that schedules go by, such as `Europe/Berlin`; this machine's when left out."""

    location: Location | None = None
    """Where it stands, in degrees north and degrees east, for schedules with `sunrise` or `sunset`."""


class CameraSettings(Section):
    """One camera: where its frames come from and what to make of them."""

    id: Identifier
    """Its name in topics and events."""

    source: Annotated[str, Field(min_length=1)]
    """What to read: an address as in [Sources](#sources), such as `rtsp://…` or `v4l2:///dev/video0`; see Secrets."""

    enabled: bool = True
    """Whether to open it at all; one that is not is `disabled`, and costs nothing."""

    capture: CaptureSettings = CaptureSettings()
    """How patiently to treat it, and what decodes it."""

    picture: PictureSettings = PictureSettings()
    """What to ask of it, where it is one that can be asked."""

    mask: tuple[Polygon, ...] = ()
    """Areas that are blanked before anything looks at them, each a list of corners in 0..1."""

    gate: GateSettings = GateSettings()
    """When the detector looks."""

    triggers: Annotated[tuple[TriggerSettings, ...], Field(max_length=MAX_TRIGGERS)] = ()
    """With `gate.mode: external`: what says that it shall look; each entry is of one `kind`."""

    detect: DetectSettings = DetectSettings()
    """What to look for, and how often."""

    track: TrackSettings = TrackSettings()
    """When boxes over time are one object, and when an object is real."""

    zones: Annotated[dict[Identifier, ZoneSettings], Field(max_length=MAX_ZONES)] = Field(default_factory=dict)
    """Areas to report on, by name."""

    ground: GroundSettings | None = None
    """Where the floor is in the picture and how large it is; without, nobody knows how fast anything moves."""

    lines: Annotated[dict[Identifier, LineSettings], Field(max_length=MAX_LINES)] = Field(default_factory=dict)
    """Lines to count at, by name."""

    rules: Annotated[tuple[RuleSettings, ...], Field(max_length=MAX_RULES)] = ()
    """What else to speak of; each entry is of one `kind` ([rules.md](rules.md))."""


class Settings(Section):
    """The whole configuration."""

    device: DeviceSettings
    """This box among others."""

    mqtt: MqttSettings = MqttSettings()
    """Which broker, as whom, and how patiently."""

    commands: CommandsSettings = CommandsSettings()
    """What others may ask of the running agent over MQTT."""

    model: ModelSettings = ModelSettings()
    """Which model looks, and on what hardware."""

    cameras: Annotated[tuple[CameraSettings, ...], Field(min_length=1)]
    """The cameras."""

    webhook: WebhookSettings = WebhookSettings()
    """Where cameras with a `webhook` trigger are called; nothing listens when there is none."""

    outbox: OutboxSettings = OutboxSettings()
    """Where events wait for the broker, and how many may."""

    homeassistant: HomeAssistantSettings = HomeAssistantSettings()
    """Whether Home Assistant is told what there is, so that it shows it by itself."""

    explain: ExplainSettings = ExplainSettings()
    """What is kept so that `edge-agent explain` can tell why: numbers, no picture, on this machine only."""


def sections(root: type[Section] = Settings, path: str = "") -> Iterator[tuple[str, type[Section]]]:
    """Every settings class below `root` with its path, such as `cameras[].zones{}`, parents first.

    Of classes that are told apart by their `kind` it is `cameras[].triggers[mqtt]`.
    """
    yield path, root
    for name, field in root.by_key().items():
        for ending, child in _sections_in(field.annotation):
            yield from sections(child, f"{path}.{name}{ending}".removeprefix("."))


def _sections_in(annotation: Any) -> Iterator[tuple[str, type[Section]]]:
    """The settings classes that an annotation speaks of; `[]` is an entry of a list, `{}` one of a mapping."""
    origin = get_origin(annotation)
    if origin is None and isinstance(annotation, type) and issubclass(annotation, Section):
        yield "", annotation
    ending = "[]" if origin is tuple else "{}" if origin is dict else ""
    for argument in get_args(annotation):
        for deeper, child in _sections_in(argument):
            kind = child.model_fields.get("kind")
            if kind and ending + deeper == "[]":
                yield f"[{get_args(kind.annotation)[0]}]", child
            else:
                yield ending + deeper, child
