"""The contract as an AsyncAPI 3.0 document, of any device or of one that is configured.

Source: AsyncAPI specification 3.0.0 and its MQTT bindings 0.2.0 (Apache-2.0).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edge_agent.stages.encode.channels import CHANNELS, PARAMETERS, QOS, Channel
from edge_agent.tools.contract.device import Device, Place, addresses_of
from edge_agent.tools.contract.schemas import examples, schema, schema_names, value_of

_BINDING = "0.2.0"
_ABOUT = (
    "Camera frames in, detection events out over MQTT; images never leave the device. "
    "The application of this document is the agent: it sends states, events and answers, and receives commands. "
    "Every message has QoS 1, so it may come twice; drop repeats of an event by its event_id. "
    "An empty retained payload removes a state whose camera, zone, line or label is gone. "
    "Within version 1 a field keeps its name and meaning, and fields may be added: leave unknown ones alone."
)


def document(version: str, device: Device | None = None) -> dict[str, Any]:
    """Make the document.

    Args:
        version: of edge-agent.
        device: whose topics to write out; None for addresses with parameters, which are those of any device.
    """
    places = tuple(addresses_of(device)) if device else _everywhere()
    channels = [
        one for one in CHANNELS.values() if not (device and device.discovery_prefix is None and one.for_discovery)
    ]
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": f"edge-agent {device.id}" if device else "edge-agent",
            "version": version,
            "description": _ABOUT,
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
            "tags": [{"name": "mqtt"}, {"name": "object-detection"}],
        },
        "defaultContentType": "application/json",
        "servers": _servers(device),
        "channels": {place.key: _channel(place) for place in places},
        "operations": _operations(places),
        "components": {
            "schemas": {name: _inlined(schema(name)) for name in schema_names(channels)},
            "messages": {channel.name: _message(channel) for channel in channels},
            "operationBindings": {
                name: {"mqtt": {"qos": QOS, "retain": retain, "bindingVersion": _BINDING}}
                for name, retain in (("retained", True), ("passing", False))
            },
            "securitySchemes": {
                "password": {"type": "userPassword", "description": "mqtt.username and its password"},
                "certificate": {"type": "X509", "description": "mqtt.cert_file and its key"},
            },
        },
    }


def _everywhere() -> tuple[Place, ...]:
    return tuple(Place(channel, channel.name, channel.address) for channel in CHANNELS.values())


def _servers(device: Device | None) -> dict[str, Any]:
    status = CHANNELS["status"]
    topic = status.at(prefix=device.prefix, device=device.id) if device else status.address
    will = {"topic": topic, "qos": QOS, "message": "offline", "retain": status.retained}
    if device:
        asked = [("password", device.has_password), ("certificate", device.has_certificate)]
        ways = [name for name, used in asked if used]
        return {
            "broker" if number == 1 else f"broker_{number}": _server(
                host, "secure-mqtt" if secure else "mqtt", ways, will
            )
            for number, (host, secure) in enumerate(device.brokers, 1)
        }
    variables = {"host": {"description": "Where the broker is.", "default": "127.0.0.1"}}
    return {
        "broker": _server("{host}:1883", "mqtt", (), will) | {"variables": variables},
        "secure_broker": _server("{host}:8883", "secure-mqtt", ("password", "certificate"), will)
        | {"variables": variables},
    }


def _server(host: str, protocol: str, security: Sequence[str], will: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "host": host,
        "protocol": protocol,
        "protocolVersion": "5.0",
        "description": "The broker that the agent is told to use; MQTT 5, or 3.1.1 where it knows no other.",
        **({"security": [_ref("securitySchemes", name) for name in security]} if security else {}),
        "bindings": {"mqtt": {"lastWill": dict(will), "bindingVersion": _BINDING}},
    }


def _channel(place: Place) -> dict[str, Any]:
    channel = place.channel
    left = [name for name in channel.parameters if f"{{{name}}}" in place.address]
    return {
        "address": place.address,
        "title": channel.name,
        "summary": channel.summary,
        "messages": {channel.name: _ref("messages", channel.name)},
        **({"parameters": {name: _parameter(name) for name in left}} if left else {}),
    }


def _parameter(name: str) -> dict[str, Any]:
    parameter = PARAMETERS[name]
    fixed = {"enum": parameter.pattern.split("|")} if name == "direction" else {}
    return {
        "description": f"{parameter.summary}; matches {parameter.pattern}",
        **fixed,
        "examples": [parameter.example],
    }


def _operations(places: Sequence[Place]) -> dict[str, Any]:
    answers = {place.channel.name: place for place in places if place.channel.kind == "answer"}
    return {
        f"{'receive' if place.channel.heard else 'send'}.{place.key}": _operation(place, answers)
        for place in places
        if place.channel.kind != "answer"  # it is the reply of a command
    }


def _operation(place: Place, answers: Mapping[str, Place]) -> dict[str, Any]:
    channel = place.channel
    answer = answers[channel.answered_on] if channel.answered_on else None
    return {
        "action": "receive" if channel.heard else "send",
        "channel": {"$ref": f"#/channels/{place.key}"},
        "summary": channel.summary,
        "bindings": _ref("operationBindings", "retained" if channel.retained else "passing"),
        "messages": [_message_at(place)],
        **({"reply": _reply(answer)} if answer else {}),
    }


def _reply(answer: Place) -> dict[str, Any]:
    return {"channel": {"$ref": f"#/channels/{answer.key}"}, "messages": [_message_at(answer)]}


def _message_at(place: Place) -> dict[str, Any]:
    return {"$ref": f"#/channels/{place.key}/messages/{place.channel.name}"}


def _message(channel: Channel) -> dict[str, Any]:
    has_id = channel.name in {"command", "command_result"}
    return {
        "name": channel.name,
        "title": channel.name,
        "summary": channel.summary,
        "contentType": channel.media_type,
        **({"correlationId": {"location": "$message.payload#/id"}} if has_id else {}),
        "payload": _ref("schemas", channel.schema),
        "examples": [
            {"name": name, "payload": value_of(channel, payload)} for name, payload in examples(channel).items()
        ],
    }


def _ref(kind: str, name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/{kind}/{name}"}


def _inlined(part: Any, definitions: Mapping[str, Any] | None = None, title: str = "") -> Any:
    """A schema without references into itself, which mean something else within another document.

    AsyncAPI reads JSON Schema draft 7, where a reference hides what stands beside it; ours are 2020-12. All else that
    ours use means the same in both. Each object and list of words gets a title, such as `HealthOutbox`, of which
    generators make the name of a class.
    """
    if isinstance(part, list):
        return [_inlined(one, definitions, title) for one in part]
    if not isinstance(part, dict):
        return part
    definitions = definitions or part.get("$defs", {})
    title = part.get("title", title)
    beside = {
        key: _properties(value, definitions, title)
        if key == "properties"
        else _inlined(value, definitions, title.removesuffix("s") if key in _ONE_OF_MANY else title)
        for key, value in part.items()
        if key not in {"$ref", "$defs", "$schema", "$id"}
    }
    meant = {} if "$ref" not in part else _inlined(_meant(part["$ref"], definitions), definitions, title)
    named = {"title": title} if "object" in part.get("type", ()) or "enum" in part else {}
    return {**named, **meant, **beside}


_ONE_OF_MANY = {"items", "additionalProperties"}


def _properties(properties: Mapping[str, Any], definitions: Mapping[str, Any], title: str) -> dict[str, Any]:
    return {
        name: _inlined(part, definitions, title + name.title().replace("_", "")) for name, part in properties.items()
    }


def _meant(reference: str, definitions: Mapping[str, Any]) -> Any:
    return definitions[reference.removeprefix("#/$defs/")]
