"""Where everything goes: the MQTT topics, all in one place."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

_KEPT = (
    "camera/+/status",
    "camera/+/motion",
    "camera/+/detect",
    "camera/+/threshold",
    "camera/+/rate_hz",
    "camera/+/count/+",
    "camera/+/zone/+/count/+",
    "camera/+/line/+/count/+/+",
)
"""What is retained of cameras, below the device's root; `+` is a name, as in a subscription to MQTT topics."""

_NAME = "[a-zA-Z0-9_-]{1,64}"
_KEPT_SHAPE = re.compile("|".join(re.escape(shape).replace(r"\+", _NAME) for shape in _KEPT))


@dataclass(frozen=True, slots=True, kw_only=True)
class Topics:
    """The topics of one device.

    Attributes:
        prefix: first part of every topic.
        device: id of the device.
    """

    prefix: str
    device: str

    @property
    def root(self) -> str:
        """What every topic of the device begins with."""
        return f"{self.prefix}/{self.device}"

    @property
    def status(self) -> str:
        """Retained `online` or `offline`; the broker says `offline` when the agent is cut off."""
        return f"{self.root}/status"

    @property
    def health(self) -> str:
        """Retained JSON: how it is doing."""
        return f"{self.root}/health"

    @property
    def capabilities(self) -> str:
        """Retained JSON: what it is made of."""
        return f"{self.root}/capabilities"

    def camera_status(self, camera: str) -> str:
        """Retained `online` or `offline`."""
        return f"{self.root}/camera/{camera}/status"

    def motion(self, camera: str) -> str:
        """Retained `ON` or `OFF`."""
        return f"{self.root}/camera/{camera}/motion"

    def detect(self, camera: str) -> str:
        """Retained `ON` or `OFF`: whether it is looked at, as it is in force now."""
        return f"{self.root}/camera/{camera}/detect"

    def threshold(self, camera: str) -> str:
        """Retained number: the least score of a detection, as it is in force now."""
        return f"{self.root}/camera/{camera}/threshold"

    def rate_hz(self, camera: str) -> str:
        """Retained number: how often it is looked at, as it is in force now."""
        return f"{self.root}/camera/{camera}/rate_hz"

    def count(self, camera: str, zone: str | None, label: str) -> str:
        """Retained number of objects in view, or in a zone."""
        place = "" if zone is None else f"/zone/{zone}"
        return f"{self.root}/camera/{camera}{place}/count/{level(label)}"

    def crossings(self, camera: str, line: str, label: str, direction: str) -> str:
        """Retained number of objects that have crossed a line in a direction."""
        return f"{self.root}/camera/{camera}/line/{line}/count/{level(label)}/{direction}"

    def event(self, camera: str) -> str:
        """Event JSON, while it is news."""
        return f"{self.root}/camera/{camera}/event"

    def late_event(self, camera: str) -> str:
        """The same JSON when it is no news any more."""
        return f"{self.event(camera)}/late"

    def set_detect(self, camera: str) -> str:
        """Heard: `ON` or `OFF`."""
        return f"{self.root}/camera/{camera}/set/detect"

    def set_threshold(self, camera: str) -> str:
        """Heard: a number."""
        return f"{self.root}/camera/{camera}/set/threshold"

    def set_rate_hz(self, camera: str) -> str:
        """Heard: a number."""
        return f"{self.root}/camera/{camera}/set/rate_hz"

    @property
    def command(self) -> str:
        """Heard: JSON, what to do."""
        return f"{self.root}/command"

    @property
    def command_result(self) -> str:
        """JSON, what became of it."""
        return f"{self.command}/result"


def split_set(topics: Topics, topic: str) -> tuple[str, str] | None:
    """Camera and setting of a topic `P/camera/{camera}/set/{setting}`, whatever they are; None for any other."""
    head, _, setting = topic.rpartition("/set/")
    camera = head.removeprefix(f"{topics.root}/camera/")
    return (camera, setting) if camera != head and "/" not in camera + setting else None


def kept_filters(topics: Topics) -> tuple[str, ...]:
    """What to subscribe to in order to hear all that is retained of cameras, and nothing else."""
    return tuple(f"{topics.root}/{shape}" for shape in _KEPT)


def ghosts(topics: Topics, found: Iterable[str], alive: Collection[str]) -> tuple[str, ...]:
    """Topics that an earlier life has left behind: of a camera, a zone, a line or a label that is no more.

    Args:
        topics: of the device.
        found: topics that the broker has retained; those whose shape is not ours are none of our business.
        alive: the topics of all states of this life.
    """
    ours = (topic for topic in found if topic.startswith(f"{topics.root}/"))
    kept = (topic for topic in ours if _KEPT_SHAPE.fullmatch(topic, len(topics.root) + 1))
    return tuple(sorted(set(kept) - set(alive)))


def level(label: str) -> str:
    """A label in a topic. Some brokers know no spaces there: `traffic light` counts at `…/count/traffic_light`."""
    return label.replace(" ", "_")
