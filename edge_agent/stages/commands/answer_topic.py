"""Where an answer may go: whoever asks names the topic, and must not make the agent command others in its own name."""

from __future__ import annotations

from collections.abc import Collection

MOST_CHARACTERS = 256
MOST_CORRELATION_BYTES = 256

_COMMANDING = {"set", "get", "cmd", "cmnd", "command", "commands", "action", "rpc"}
"""Levels of topics on which other devices wait to be told what to do: by the habits of Home Assistant, Zigbee2MQTT,
Tasmota, ESPHome and Shelly."""

_PRINTABLE_FROM = " "


def why_not(topic: str, *, result: str, closed: Collection[str]) -> str | None:
    """Why an answer may not go there, as it stands in the answer; None when it may.

    Args:
        topic: as whoever asked gave it.
        result: the topic of our own for answers; that and whatever lies below it is open.
        closed: first parts of topics that no answer may go below, such as that of all agents.
    """
    if not 0 < len(topic) <= MOST_CHARACTERS:
        return f"the response topic must have 1 to {MOST_CHARACTERS} characters"
    if any(sign in "+#" or sign < _PRINTABLE_FROM or "\x7f" <= sign <= "\x9f" for sign in topic):
        return "the response topic must have no wildcards and no control characters"
    if topic == result or topic.startswith(f"{result}/"):
        return None
    if topic.startswith("$") or any(topic == root or topic.startswith(f"{root}/") for root in closed):
        return "the response topic is one on which nobody may be answered"
    if _COMMANDING & set(topic.lower().split("/")):
        return "the response topic looks like one on which devices take commands"
    return None
