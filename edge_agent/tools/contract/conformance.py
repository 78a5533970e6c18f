"""Whether messages keep to the contract: topic, payload, and what both of them name."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from edge_agent import runtimes
from edge_agent.records import MAX_EVENT_BYTES, MAX_STATE_BYTES
from edge_agent.stages.commands.reading import MOST_BYTES
from edge_agent.stages.encode.channels import Channel, find
from edge_agent.stages.encode.homeassistant import ORIGIN
from edge_agent.stages.encode.words import one_line
from edge_agent.tools.contract.schemas import read_json, schema, value_of

MAX_FAULTS = 5
"""Of one message; more say nothing new."""

_MAX_BYTES = {
    "event": MAX_EVENT_BYTES,
    "state": MAX_STATE_BYTES,
    "command": MOST_BYTES,
    "answer": MAX_EVENT_BYTES,
    "notice": MOST_BYTES,
}
_MAX_WORDS = 160


class Contract:
    """All schemas, each read when it is first needed.

    Raises:
        RuntimeMissingError: jsonschema is not installed.
    """

    def __init__(self) -> None:
        self._validator = runtimes.load("jsonschema").Draft202012Validator
        self._validators: dict[str, Any] = {}

    def faults(self, topic: str, payload: bytes) -> list[str]:
        """What is wrong with a message, each in a line; nothing when it keeps to the contract.

        An empty payload of a state is how MQTT removes it: whatever it spoke of is gone.
        """
        found = find(topic)
        if found is None:
            return ["no such topic in the contract"]
        channel, values = found
        if channel.retained and not payload:
            return []
        if len(payload) > _MAX_BYTES[channel.kind]:
            return [f"{len(payload)} bytes, the limit is {_MAX_BYTES[channel.kind]}"]
        try:
            value = value_of(channel, payload)
        except ValueError as error:
            return [one_line(f"no {channel.media_type}: {error}", _MAX_WORDS)]
        return self._misfits(channel, value) or _contradictions(channel, values, value)

    def _misfits(self, channel: Channel, value: Any) -> list[str]:
        name = channel.schema
        if name not in self._validators:
            self._validators[name] = self._validator(schema(name))
        errors = sorted(self._validators[name].iter_errors(value), key=lambda error: error.json_path)
        return [one_line(f"{name}: {error.json_path}: {error.message}", _MAX_WORDS) for error in errors[:MAX_FAULTS]]


def _contradictions(channel: Channel, values: Mapping[str, str], value: Any) -> list[str]:
    """Where topic and payload name different things, which no schema can see."""
    if channel.schema == "discovery":
        return _mistaken_device(values, value["device"])
    if channel.kind != "event":
        return []
    wanted = {name: values[name] for name in ("device", "camera")}
    wanted["event_id"] = f"{value['run_id']}/{values['camera']}/{value['seq']}"
    return [
        f"event: $.{name}: is {value[name]}, must be {expected}"
        for name, expected in wanted.items()
        if value[name] != expected
    ]


def _mistaken_device(values: Mapping[str, str], device: Mapping[str, Any]) -> list[str]:
    """The same of Home Assistant's device: the agent, or one of its cameras."""
    expected = [".".join((ORIGIN, *(values[name] for name in ("device", "camera") if name in values)))]
    if device["identifiers"] == expected:
        return []
    return [f"discovery: $.device.identifiers: is {device['identifiers']}, must be {expected}"]


def faults_in(lines: Iterable[str]) -> Iterator[str]:
    """What is wrong with recorded messages, each fault with the number of its line.

    A message is a line `{"topic": …, "payload": …}`, as `replay --events` and `watch --json` write it; an empty line is
    none.

    Raises:
        RuntimeMissingError: jsonschema is not installed.
    """
    contract = Contract()
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            message = read_json(line)
            topic, payload = message["topic"], message["payload"]
        except (ValueError, LookupError, TypeError):
            yield f'{number}: no JSON object with "topic" and "payload"'
            continue
        if not isinstance(topic, str):
            yield f"{number}: the topic is no text"
            continue
        raw = payload if isinstance(payload, str) else json.dumps(payload)
        for fault in contract.faults(topic, raw.encode("utf-8", "replace")):
            yield f"{number}: {one_line(topic)}: {fault}"
