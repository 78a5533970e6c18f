"""The messages: a device each for the agent and its cameras, bounded, and with what is to be taken away."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edge_agent.records import MAX_STATE_BYTES, Message
from edge_agent.stages.encode.homeassistant import box, camera
from edge_agent.stages.encode.homeassistant.camera import ONLINE
from edge_agent.stages.encode.homeassistant.parts import Part, words
from edge_agent.stages.encode.homeassistant.shown import ShownCamera, ShownDevice
from edge_agent.stages.encode.words import MAX_NAME, one_line

ORIGIN = "edge-agent"
"""Who says it: what is from others is left alone."""

_PATH = re.compile("[a-zA-Z0-9_.-]{1,128}")
_PLATFORM = re.compile("[a-z_]{1,32}")
_MOST_GONE_BYTES = MAX_STATE_BYTES // 2
"""Of a message for what is gone: more than all parts of a full one take, for a platform without options is short."""

Gone = Mapping[str, str]
"""Parts of a device that were there once: the platform of each, by its path."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscoveryTopics:
    """Where Home Assistant looks.

    Attributes:
        prefix: first part of every topic.
        device: id of the agent.
    """

    prefix: str
    device: str

    @property
    def agent(self) -> str:
        """Retained JSON: the agent as a device."""
        return f"{self.prefix}/device/{self.device}/config"

    def camera(self, camera_id: str) -> str:
        """Retained JSON: a camera as a device; with `+` the filter of all."""
        return f"{self.prefix}/device/{self.device}/{camera_id}/config"

    @property
    def birth(self) -> str:
        """Where Home Assistant says `online` when it has started."""
        return f"{self.prefix}/status"


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """A device's message.

    Attributes:
        message: what to send.
        left_out: how many entities and triggers it has no room for.
    """

    message: Message
    left_out: int


def announce(
    device: ShownDevice, topics: DiscoveryTopics, gone: Mapping[str, Gone] | None = None
) -> tuple[Announcement, ...]:
    """Write the messages, the agent's first.

    Args:
        device: what there is.
        topics: where Home Assistant looks.
        gone: by topic what was announced there earlier; what of it is not there any more is taken away.
    """
    said = gone or {}
    root = device.topics
    agent = {
        "device": _device(device, (device.topics.device,), device.name, device.model),
        "availability": [{"topic": root.status}],
    }
    found = [_announcement(topics.agent, agent, box.parts(root), said.get(topics.agent, {}))]
    for one in device.cameras:
        topic = topics.camera(one.id)
        parts = camera.parts(one, root, device.settable)
        found.append(_announcement(topic, _camera(one, device), parts, said.get(topic, {})))
    return tuple(found)


def parts_of(payload: bytes) -> dict[str, str] | None:
    """What an earlier message of ours announced: the platform of each part, by its path; None if it is not ours.

    What it took away already is not among it.
    """
    content = _ours(payload)
    if content is None or not isinstance(parts := content.get("components"), dict):
        return None
    return {
        path: part["platform"]
        for path, part in parts.items()
        if _PATH.fullmatch(path)
        and isinstance(part, dict)
        and isinstance(part.get("platform"), str)
        and _PLATFORM.fullmatch(part["platform"])
        and len(part) > 1
    }


def device_of(payload: bytes) -> str | None:
    """What an earlier message of ours calls its device; None if it is not ours."""
    content = _ours(payload)
    device = content.get("device") if content else None
    return str(device.get("name", "")) if isinstance(device, dict) else None


def _ours(payload: bytes) -> dict[str, Any] | None:
    try:
        content = json.loads(payload)
    except (ValueError, RecursionError):
        return None
    if not isinstance(content, dict):
        return None
    origin = content.get("origin")
    return content if isinstance(origin, dict) and origin.get("name") == ORIGIN else None


def _camera(one: ShownCamera, device: ShownDevice) -> Part:
    """A camera is a device of its own, so that it can be in an area of its own."""
    topics = device.topics
    name = f"{device.name} {words(one.id)}"
    return {
        "device": {
            **_device(device, (topics.device, one.id), name, "camera"),
            "via_device": _identifier(topics.device),
        },
        "availability": [
            {"topic": topics.status},
            {"topic": topics.camera_status(one.id), "value_template": ONLINE},
        ],
    }


def _device(device: ShownDevice, path: tuple[str, ...], name: str, model: str) -> Part:
    return {
        "identifiers": [_identifier(*path)],
        "name": one_line(name) or path[-1],
        "manufacturer": ORIGIN,
        "model": one_line(model, MAX_NAME),
        "sw_version": device.version,
    }


def _identifier(*path: str) -> str:
    return ".".join((ORIGIN, *path))


def _announcement(topic: str, head: Part, parts: Mapping[str, Part], said: Gone) -> Announcement:
    """As many parts as there is room for.

    What is gone stands first: Home Assistant skips the rest of a message at a part that it is just setting up.
    """
    tombs = _fitting(
        {path: {"platform": platform} for path, platform in said.items() if path not in parts}, _MOST_GONE_BYTES
    )
    whole = {
        **head,
        "availability_mode": "all",
        "origin": {"name": ORIGIN, "sw_version": head["device"]["sw_version"]},
    }
    room = MAX_STATE_BYTES - len(_json({**whole, "components": tombs}))
    kept = _fitting(parts, room)
    payload = _json({**whole, "components": {**tombs, **kept}})
    return Announcement(message=Message(topic=topic, payload=payload, kind="state"), left_out=len(parts) - len(kept))


def _fitting(parts: Mapping[str, Part], room: int) -> dict[str, Part]:
    """The first parts, as many as there is room for."""
    sizes = (len(_json({path: part})) for path, part in parts.items())  # two braces more than it takes, less a comma
    fitting = sum(used <= room for used in itertools.accumulate(sizes))
    return dict(itertools.islice(parts.items(), fitting))


def _json(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
