"""What agents have told Home Assistant, as the broker keeps it."""

from __future__ import annotations

from dataclasses import dataclass

from edge_agent.records import Heard
from edge_agent.stages.encode.homeassistant import DiscoveryTopics, device_of, parts_of
from edge_agent.tools.retained import Retained


@dataclass(frozen=True, slots=True, kw_only=True)
class Discovered:
    """A message of an agent that the broker keeps.

    Attributes:
        topic: where.
        agent: id of the agent.
        name: what it calls the device.
        parts: how many entities and triggers it announces.
    """

    topic: str
    agent: str
    name: str
    parts: int


def discovered(retained: Retained, prefix: str) -> tuple[Discovered, ...]:
    """What agents have said there, by topic; what others have said is left out.

    Args:
        retained: what the broker keeps.
        prefix: first part of Home Assistant's topics.

    Raises:
        BrokerError: the broker does not let us listen, or is gone.
    """
    every = DiscoveryTopics(prefix=prefix, device="+")
    found = retained.read(every.agent, every.camera("+")).values()
    return tuple(one for heard in found if (one := _discovered(heard, prefix)))


def _discovered(heard: Heard, prefix: str) -> Discovered | None:
    name, parts = device_of(heard.payload), parts_of(heard.payload)
    if name is None or parts is None:
        return None
    agent = heard.topic.removeprefix(f"{prefix}/device/").partition("/")[0]
    return Discovered(topic=heard.topic, agent=agent, name=name, parts=len(parts))
