"""What Home Assistant's documentation says of a device's discovery message, as a JSON Schema of our own.

Source: its pages "MQTT", "MQTT binary sensor", "… sensor", "… event", "… switch", "… number" and "… device trigger", as
of 2025.4 to 2026.3. Only what an agent has use for is allowed, so that a word that is none is noticed: Home Assistant
leaves it out without a word.
"""

from __future__ import annotations

from typing import Any

_TEXT = {"type": "string", "minLength": 1}
_ID = {"type": "string", "pattern": r"^[a-zA-Z0-9_.-]+$"}
_TOPIC = {"type": "string", "pattern": r"^[^+#\u0000/]+(/[^+#\u0000/]+)*$", "maxLength": 65535}
_TEMPLATE = {"type": "string", "pattern": r"^\{[{%].*\}$"}
_AVAILABILITY = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {"topic": _TOPIC, "value_template": _TEMPLATE},
        "required": ["topic"],
        "additionalProperties": False,
    },
}
_ICON = {"type": "string", "pattern": "^mdi:[a-z-]+$"}
_STATE_CLASSES = {"measurement", "total_increasing"}

_ENTITY: dict[str, Any] = {
    "unique_id": _ID,
    "default_entity_id": {
        "type": "string",
        "pattern": r"^[a-z_]+\.(?!_)(?!.*__)[a-z0-9_]+(?<!_)$",
        "maxLength": 255,
    },
    "name": {"type": "string", "minLength": 1, "maxLength": 255},
    "icon": _ICON,
    "entity_category": {"enum": ["config", "diagnostic"]},
    "enabled_by_default": {"type": "boolean"},
    "availability": _AVAILABILITY,
    "state_topic": _TOPIC,
    "value_template": _TEMPLATE,
    "json_attributes_topic": _TOPIC,
    "json_attributes_template": _TEMPLATE,
    "qos": {"enum": [0, 1]},
}


def _platform(name: str, needs: tuple[str, ...], **more: Any) -> dict[str, Any]:
    return {
        "properties": {"platform": {"const": name}, **_ENTITY, **more},
        "required": ["platform", "unique_id", *needs],
        "additionalProperties": False,
        # Without a name it is called by its device class, and without that by its platform: a class needs no icon.
        "anyOf": [{"required": ["name"]}, {"required": ["device_class"]}],
        "not": {"required": ["device_class", "icon"]},
    }


_UNITS = {"temperature": ["°C"], "duration": ["s"], "data_size": ["B"], "frequency": ["Hz"]}

_SENSOR = _platform(
    "sensor",
    ("state_topic",),
    device_class={"enum": ["temperature", "duration", "data_size", "enum"]},
    state_class={"enum": sorted(_STATE_CLASSES)},
    unit_of_measurement={"enum": ["°C", "s", "B", "%", "events", "objects", "crossings", "fps"]},
    suggested_display_precision={"type": "integer", "minimum": 0},
    options={"type": "array", "items": _TEXT, "minItems": 1, "uniqueItems": True},
)
_SENSOR["allOf"] = [
    {
        "if": {"properties": {"device_class": {"const": "enum"}}, "required": ["device_class"]},
        "then": {"required": ["options"], "properties": {"state_class": False, "unit_of_measurement": False}},
        "else": {"properties": {"options": False}, "required": ["state_class", "unit_of_measurement"]},
    },
    *(
        {
            "if": {"properties": {"device_class": {"const": device_class}}, "required": ["device_class"]},
            "then": {"properties": {"unit_of_measurement": {"enum": units}}},
        }
        for device_class, units in _UNITS.items()
    ),
]

PLATFORMS: dict[str, dict[str, Any]] = {
    "sensor": _SENSOR,
    "binary_sensor": _platform(
        "binary_sensor",
        ("state_topic", "device_class"),
        device_class={"enum": ["connectivity", "motion", "occupancy", "problem"]},
        payload_on=_TEXT,
        payload_off=_TEXT,
    ),
    "event": _platform(
        "event",
        ("state_topic", "event_types"),
        event_types={"type": "array", "items": _TEXT, "minItems": 1, "uniqueItems": True},
    ),
    "switch": _platform("switch", ("state_topic", "command_topic"), command_topic=_TOPIC),
    "number": _platform(
        "number",
        ("state_topic", "command_topic", "min", "max", "step"),
        command_topic=_TOPIC,
        device_class={"enum": ["frequency"]},
        unit_of_measurement={"enum": ["Hz"]},
        min={"type": "number"},
        max={"type": "number"},
        step={"type": "number", "minimum": 0.001},
        mode={"enum": ["auto", "slider", "box"]},
    ),
    "device_automation": {
        "properties": {
            "platform": {"const": "device_automation"},
            "automation_type": {"const": "trigger"},
            "type": _TEXT,
            "subtype": _TEXT,
            "topic": _TOPIC,
            "payload": _TEXT,
            "value_template": _TEMPLATE,
            "qos": {"enum": [0, 1]},
        },
        "required": ["platform", "automation_type", "type", "subtype", "topic"],
        "additionalProperties": False,
    },
}

DEVICE_MESSAGE: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "properties": {
        "device": {
            "type": "object",
            "properties": {
                "identifiers": {"type": "array", "items": _ID, "minItems": 1},
                "name": _TEXT,
                "manufacturer": _TEXT,
                "model": _TEXT,
                "sw_version": _TEXT,
                "via_device": _ID,
            },
            "required": ["identifiers", "name"],
            "additionalProperties": False,
        },
        "origin": {
            "type": "object",
            "properties": {"name": _TEXT, "sw_version": _TEXT, "support_url": {"type": "string", "format": "uri"}},
            "required": ["name"],
            "additionalProperties": False,
        },
        "availability": _AVAILABILITY,
        "availability_mode": {"enum": ["all", "any", "latest"]},
        "components": {
            "type": "object",
            "propertyNames": _ID,
            "additionalProperties": {
                "type": "object",
                "oneOf": [
                    *({"type": "object", **platform} for platform in PLATFORMS.values()),
                    {  # what is taken away
                        "properties": {"platform": {"enum": sorted(PLATFORMS)}},
                        "required": ["platform"],
                        "additionalProperties": False,
                    },
                ],
            },
        },
    },
    "required": ["device", "origin", "components"],
    "additionalProperties": False,
}
