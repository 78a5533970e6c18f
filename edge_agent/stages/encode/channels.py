"""Every channel of the contract, in one table: where it is, what it carries, and how.

`Topics` and `DiscoveryTopics` write the same addresses; the documents, AsyncAPI and the checks of messages are made
from this table.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

QOS = 1
"""Of every message, either way: it arrives at least once."""

ChannelKind = Literal["state", "event", "command", "answer", "notice"]
MediaType = Literal["application/json", "text/plain"]

_IDENTIFIER = "[a-zA-Z0-9_-]{1,64}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """What may stand in a level of an address.

    Attributes:
        pattern: a regular expression for all of it.
        summary: what it is.
        example: one that may stand there.
    """

    pattern: str
    summary: str
    example: str


PARAMETERS: Mapping[str, Parameter] = {
    "prefix": Parameter(
        pattern=f"{_IDENTIFIER}(?:/{_IDENTIFIER}){{0,7}}",
        summary="mqtt.prefix of the configuration, one to eight levels",
        example="edge",
    ),
    "discovery_prefix": Parameter(
        pattern=f"{_IDENTIFIER}(?:/{_IDENTIFIER}){{0,7}}",
        summary="homeassistant.prefix of the configuration, one to eight levels",
        example="homeassistant",
    ),
    "device": Parameter(pattern=_IDENTIFIER, summary="device.id of the configuration", example="gate-pi"),
    "camera": Parameter(pattern=_IDENTIFIER, summary="id of a camera", example="front"),
    "zone": Parameter(pattern=_IDENTIFIER, summary="name of a zone of the camera", example="porch"),
    "line": Parameter(pattern=_IDENTIFIER, summary="name of a line of the camera", example="door"),
    "label": Parameter(
        pattern="[a-zA-Z0-9_-]{1,32}",
        summary="what is counted, in the model's words; a space becomes _, as in traffic_light",
        example="person",
    ),
    "direction": Parameter(pattern="in|out", summary="which way the line was crossed: in or out", example="in"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """One address and what goes over it.

    Attributes:
        name: unique, as in `Topics`.
        address: its topic, each parameter in braces.
        kind: a `state` is retained and has only a newest value; an `event` is kept until the broker has it; a `command`
            is heard by the agent, an `answer` follows it; a `notice` is heard and not answered. Only states are
            retained.
        schema: name of the JSON Schema of its payloads.
        summary: what it says, in a line.
        media_type: whether a payload is JSON, or a word as it stands.
        answered_on: of a command, the channel of its answer.
    """

    name: str
    address: str
    kind: ChannelKind
    schema: str
    summary: str
    media_type: MediaType = "application/json"
    answered_on: str | None = None

    @property
    def retained(self) -> bool:
        """Whether the broker keeps the last message for those who come later."""
        return self.kind == "state"

    @property
    def heard(self) -> bool:
        """Whether the agent receives what goes over it; else it sends it."""
        return self.kind in {"command", "notice"}

    @property
    def for_discovery(self) -> bool:
        """Whether it is there only where Home Assistant is told which entities there are."""
        return "discovery_prefix" in self.parameters

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names in braces of the address, in order."""
        return tuple(re.findall(r"\{(\w+)\}", self.address))

    def match(self, topic: str) -> dict[str, str] | None:
        """What stands in a topic for each parameter; None when it is none of this channel."""
        found = _pattern(self.address).fullmatch(topic)
        return found and found.groupdict()

    def at(self, **known: str) -> str:
        """The address with what is known put in; the rest stays in braces."""
        return re.sub(r"\{(\w+)\}", lambda one: known.get(one[1], one[0]), self.address)


def find(topic: str, channels: Iterable[Channel] = ()) -> tuple[Channel, dict[str, str]] | None:
    """The channel that a topic belongs to, and what stands there for each parameter.

    A prefix may have several levels, so that `a/b/camera/c/status` could be the status of a device, too: the shortest
    prefix counts.
    """
    found = [(channel, values) for channel in channels or CHANNELS.values() if (values := channel.match(topic))]
    return min(found, key=lambda one: _first_part(one[1]).count("/"), default=None)


def _first_part(values: Mapping[str, str]) -> str:
    return values.get("prefix") or values["discovery_prefix"]


@lru_cache(maxsize=256)
def _pattern(address: str) -> re.Pattern[str]:
    parts = re.split(r"\{(\w+)\}", address)
    return re.compile(
        "".join(
            f"(?P<{part}>{PARAMETERS[part].pattern})" if index % 2 else re.escape(part)
            for index, part in enumerate(parts)
        )
    )


_ROOT = "{prefix}/{device}"
_CAMERA = f"{_ROOT}/camera/{{camera}}"
_DISCOVERY = "{discovery_prefix}/device/{device}"

_TABLE = (
    Channel(
        name="status",
        address=f"{_ROOT}/status",
        kind="state",
        schema="status",
        summary="Whether the agent is there; also its last will.",
        media_type="text/plain",
    ),
    Channel(
        name="health",
        address=f"{_ROOT}/health",
        kind="state",
        schema="health",
        summary="How the agent and each camera do, every 30 s and when a state changes.",
    ),
    Channel(
        name="capabilities",
        address=f"{_ROOT}/capabilities",
        kind="state",
        schema="capabilities",
        summary="What the agent is made of, at start and when that changes.",
    ),
    Channel(
        name="camera_status",
        address=f"{_CAMERA}/status",
        kind="state",
        schema="camera_status",
        summary="Whether the camera is there.",
        media_type="text/plain",
    ),
    Channel(
        name="motion",
        address=f"{_CAMERA}/motion",
        kind="state",
        schema="motion",
        summary="Whether something moves, or did so a moment ago.",
        media_type="text/plain",
    ),
    Channel(
        name="detect",
        address=f"{_CAMERA}/detect",
        kind="state",
        schema="detect",
        summary="Whether the camera is looked at, as it is in force now.",
        media_type="text/plain",
    ),
    Channel(
        name="threshold",
        address=f"{_CAMERA}/threshold",
        kind="state",
        schema="threshold",
        summary="Least score of a detection, as it is in force now.",
    ),
    Channel(
        name="rate_hz",
        address=f"{_CAMERA}/rate_hz",
        kind="state",
        schema="rate_hz",
        summary="How often the camera is looked at while something moves, as it is in force now.",
    ),
    Channel(
        name="count",
        address=f"{_CAMERA}/count/{{label}}",
        kind="state",
        schema="count",
        summary="How many objects with the label are in view.",
    ),
    Channel(
        name="zone_count",
        address=f"{_CAMERA}/zone/{{zone}}/count/{{label}}",
        kind="state",
        schema="count",
        summary="How many objects with the label are in the zone.",
    ),
    Channel(
        name="crossings",
        address=f"{_CAMERA}/line/{{line}}/count/{{label}}/{{direction}}",
        kind="state",
        schema="crossings",
        summary="How many objects with the label have crossed the line that way since the agent started.",
    ),
    Channel(
        name="event",
        address=f"{_CAMERA}/event",
        kind="event",
        schema="event",
        summary="What is said about an object, or about the scene, once, while it is news.",
    ),
    Channel(
        name="late_event",
        address=f"{_CAMERA}/event/late",
        kind="event",
        schema="event",
        summary="The same when it is delivered so late that it is no news any more.",
    ),
    Channel(
        name="set_detect",
        address=f"{_CAMERA}/set/detect",
        kind="command",
        schema="set_detect",
        summary="Look at the camera, or do not.",
        media_type="text/plain",
        answered_on="command_result",
    ),
    Channel(
        name="set_threshold",
        address=f"{_CAMERA}/set/threshold",
        kind="command",
        schema="set_threshold",
        summary="Use this least score from now on.",
        media_type="text/plain",
        answered_on="command_result",
    ),
    Channel(
        name="set_rate_hz",
        address=f"{_CAMERA}/set/rate_hz",
        kind="command",
        schema="set_rate_hz",
        summary="Look this often while something moves from now on.",
        media_type="text/plain",
        answered_on="command_result",
    ),
    Channel(
        name="command",
        address=f"{_ROOT}/command",
        kind="command",
        schema="command",
        summary="Do something, and answer.",
        answered_on="command_result",
    ),
    Channel(
        name="command_result",
        address=f"{_ROOT}/command/result",
        kind="answer",
        schema="command_result",
        summary="What became of a command; goes to its Response Topic instead where it names one (MQTT 5).",
    ),
    Channel(
        name="discovery",
        address=f"{_DISCOVERY}/config",
        kind="state",
        schema="discovery",
        summary="The agent as a device of Home Assistant, with its entities.",
    ),
    Channel(
        name="camera_discovery",
        address=f"{_DISCOVERY}/{{camera}}/config",
        kind="state",
        schema="discovery",
        summary="The camera as a device of Home Assistant, with its entities and triggers.",
    ),
    Channel(
        name="birth",
        address="{discovery_prefix}/status",
        kind="notice",
        schema="birth",
        summary="Home Assistant has started, so everything is said again.",
        media_type="text/plain",
    ),
)

CHANNELS: Mapping[str, Channel] = {channel.name: channel for channel in _TABLE}
"""All of them by their names, in the order in which documents show them."""
