"""Where everything goes: the MQTT topics, all in one place."""

from __future__ import annotations

from dataclasses import dataclass


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

    @property
    def command(self) -> str:
        """JSON: something to do."""
        return f"{self.root}/command"

    @property
    def command_result(self) -> str:
        """JSON: what became of a command."""
        return f"{self.command}/result"

    def camera_status(self, camera: str) -> str:
        """Retained `online` or `offline`."""
        return f"{self.root}/camera/{camera}/status"

    def motion(self, camera: str) -> str:
        """Retained `ON` or `OFF`."""
        return f"{self.root}/camera/{camera}/motion"

    def count(self, camera: str, zone: str | None, label: str) -> str:
        """Retained number of objects in view, or in a zone."""
        place = "" if zone is None else f"/zone/{zone}"
        return f"{self.root}/camera/{camera}{place}/count/{level(label)}"

    def crossings(self, camera: str, line: str, label: str, direction: str) -> str:
        """Retained number of objects that have crossed a line in a direction."""
        return f"{self.root}/camera/{camera}/line/{line}/count/{level(label)}/{direction}"

    def in_force(self, camera: str, setting: str) -> str:
        """Retained `ON` or `OFF`, or a number: a setting that can be changed while the agent runs, as it is now."""
        return f"{self.root}/camera/{camera}/{setting}"

    def set(self, camera: str, setting: str) -> str:
        """What it shall be: `ON`, `OFF`, a number, or `DEFAULT`."""
        return f"{self.root}/camera/{camera}/set/{setting}"

    def split_set(self, topic: str) -> tuple[str, str] | None:
        """The camera and the setting of a topic that `set` gives; None for any other."""
        head, tail = self.set("\0", "\0").split("\0")[:2]
        camera, found, setting = topic.removeprefix(head).partition(tail)
        is_one = topic.startswith(head) and found and "/" not in camera and "/" not in setting
        return (camera, setting) if is_one else None

    def event(self, camera: str) -> str:
        """Event JSON, while it is news."""
        return f"{self.root}/camera/{camera}/event"

    def late_event(self, camera: str) -> str:
        """The same JSON when it is no news any more."""
        return f"{self.event(camera)}/late"


def level(label: str) -> str:
    """A label in a topic. Some brokers know no spaces there: `traffic light` counts at `…/count/traffic_light`."""
    return label.replace(" ", "_")
