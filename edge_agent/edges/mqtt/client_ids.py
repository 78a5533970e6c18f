"""What a connection is called to the broker, which lets each id in once: no two connections of ours have the same.

A device has one main connection, `edge-agent-{device.id}`. Whatever helps beside it has a purpose behind a `:`, which
no `device.id` may contain: so the helper of one device never has the id of another device, whatever that is called.
MQTT 3.1.1 obliges a server to take ids of up to 23 letters and digits only, and lets it take others (section 3.1.3.1);
`:` is one that the known ones do take, and none of `/ + # $`, which some refuse since they mean something in topics.
"""

from __future__ import annotations

import secrets

_OURS = "edge-agent-"
_BEHIND = ":"


def id_of_device(device: str) -> str:
    """The id of a device's main connection."""
    return f"{_OURS}{device}"


def id_beside(client_id: str, purpose: str) -> str:
    """The id of a connection that helps another one."""
    return f"{client_id}{_BEHIND}{purpose}"


def id_of_command(command: str) -> str:
    """An id for a command of a person's, another one each time, or the broker would end one for the next."""
    return f"{_OURS}{command}{_BEHIND}{secrets.token_hex(4)}"
