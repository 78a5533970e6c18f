"""What a device that is no more, or is called otherwise now, has left retained on a broker."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from edge_agent.errors import BrokerError
from edge_agent.stages.encode.channels import CHANNELS
from edge_agent.stages.encode.topics import Topics
from edge_agent.tools.contract.device import Device, addresses_of
from edge_agent.tools.retained import Retained

_ONLINE = b"online"


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftBehind:
    """What is retained below a device's topics.

    Attributes:
        root: what all of these topics begin with.
        status: the topic of its status.
        ghosts: topics of states of an agent which no configuration claims; its status, by which it is known, is last.
        claimed: how many others a configuration claims.
        foreign: topics of which an agent writes none, such as retained commands.
        online: whether an agent runs there, by what its status says.
    """

    root: str
    status: str
    ghosts: Sequence[str]
    claimed: int
    foreign: Sequence[str]
    online: bool


def left_behind(retained: Retained, prefix: str, device: str, claimed: Collection[str]) -> LeftBehind:
    """Look below the topics of a device.

    Args:
        retained: what the broker keeps.
        prefix: first part of its topics.
        device: its id.
        claimed: the topics of all states that are alive.

    Raises:
        BrokerError: the broker does not let us listen, or is gone.
    """
    topics = Topics(prefix=prefix, device=device)
    found = retained.read(f"{topics.root}/#")
    ours = [topic for topic in found if _is_state_of(topics, topic)]
    ghosts = [topic for topic in ours if topic not in claimed]
    return LeftBehind(
        root=topics.root,
        status=topics.status,
        ghosts=sorted(ghosts, key=lambda topic: topic == topics.status),
        claimed=len(ours) - len(ghosts),
        foreign=[topic for topic in found if topic not in ours],
        online=topics.status in found and found[topics.status].payload == _ONLINE,
    )


def agents_at(retained: Retained, prefix: str) -> dict[str, str]:
    """The devices that have said their status below a prefix, and what it is; none where we may not listen."""
    every = Topics(prefix=prefix, device="+").status
    try:
        found = retained.read(every)
    except BrokerError:
        return {}
    begin = len(prefix) + 1
    return {
        topic[begin:].partition("/")[0]: "online" if heard.payload == _ONLINE else "offline"
        for topic, heard in found.items()
    }


def states_of(device: Device) -> set[str]:
    """The topics of every state that a device's configuration makes."""
    return {place.address for place in addresses_of(device) if place.channel.retained}


def _is_state_of(topics: Topics, topic: str) -> bool:
    """Whether an agent of that name writes there, whatever its cameras, zones, lines and labels are called."""
    own = {"prefix": topics.prefix, "device": topics.device}
    return any(
        own.items() <= values.items()
        for channel in CHANNELS.values()
        if channel.retained and not channel.for_discovery and (values := channel.match(topic)) is not None
    )
