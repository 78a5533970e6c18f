"""One entity or device trigger as a part of a device's message, and what all of them have in common."""

from __future__ import annotations

import re
from typing import Any

Part = dict[str, Any]
"""What stands for one entity or one trigger in a device's message."""

DIAGNOSTIC = {"entity_category": "diagnostic"}
CONFIG = {"entity_category": "config"}
MEASURED = {"state_class": "measurement", "suggested_display_precision": 0}
SURELY = {"qos": 1}
"""For what has no next value that would make up for a lost one."""


class Parts:
    """The parts of one device, by paths that are never used twice.

    A path is made of fixed words and of names as topics have them, with dots between, which names never have: so it is
    unique, and stays what it is while zones and labels beside it come and go.

    Args:
        owner: names of the agent, and of the camera if it is one: what makes paths unique in a house.
    """

    def __init__(self, *owner: str) -> None:
        self._owner = owner
        self.by_path: dict[str, Part] = {}

    def entity(self, platform: str, *path: str, **options: Any) -> None:
        """Add an entity.

        Args:
            platform: what kind of entity it is.
            path: its place below the owner.
            options: the rest, in the words of Home Assistant. Without a `name` it is called by its `device_class`, in
                the language of the house.
        """
        called = options.get("name", options.get("device_class", ""))
        self.by_path[".".join(path)] = {
            "platform": platform,
            "unique_id": ".".join((*self._owner, *path)),
            "default_entity_id": f"{platform}.{_slug(' '.join((*self._owner, called)))}",
            **options,
        }

    def trigger(self, *path: str, kind: str, subject: str, topic: str, template: str, payload: str) -> None:
        """Add a device trigger: that `template` makes `payload` of a message; people read it as `"subject" kind`."""
        self.by_path[".".join(path)] = {
            "platform": "device_automation",
            "automation_type": "trigger",
            "type": kind,
            "subtype": subject,
            "topic": topic,
            "value_template": template,
            "payload": payload,
            **SURELY,
        }


def words(name: str) -> str:
    """A name from a topic as people read it: `front_door` is `front door`."""
    return " ".join(re.split("[_ -]+", name.strip("_- "))) or name


def title(name: str) -> str:
    """The same with a capital letter to begin with."""
    said = words(name)
    return said[:1].upper() + said[1:]


def _slug(text: str) -> str:
    """Small letters, digits and single underscores, as an entity's id has them."""
    return re.sub("[^a-z0-9]+", "_", text.lower()).strip("_")
