"""What Home Assistant shows of the agent itself: whether it is there, and how it does."""

from __future__ import annotations

from edge_agent.stages.encode.homeassistant.parts import DIAGNOSTIC, MEASURED, Part, Parts
from edge_agent.stages.encode.topics import Topics

_TOTAL = {"state_class": "total_increasing", "suggested_display_precision": 0}
_TROUBLE = (
    "{{ 'ON' if value_json.load.overloaded or value_json.outbox.in_memory or value_json.outbox.dead else 'OFF' }}"
)
"""Looks are given up, the disk takes no events, or the broker does not take them. An event that was given up once is
no trouble that somebody could end: it is counted."""

_WHY = (
    "{{ {'overloaded': value_json.load.overloaded, 'events_in_memory': value_json.outbox.in_memory,"
    " 'events_set_aside': value_json.outbox.dead} | to_json }}"
)


def parts(topics: Topics) -> dict[str, Part]:
    """The agent's entities, by their paths."""
    found = Parts(topics.device)
    found.entity(
        "binary_sensor",
        "status",
        device_class="connectivity",
        state_topic=topics.status,
        payload_on="online",
        payload_off="offline",
        availability=[],  # or it could never show that the agent is gone
        **DIAGNOSTIC,
    )
    found.entity(
        "binary_sensor",
        "problem",
        device_class="problem",
        state_topic=topics.health,
        value_template=_TROUBLE,
        json_attributes_topic=topics.health,
        json_attributes_template=_WHY,
        **DIAGNOSTIC,
    )
    numbers = Numbers(found, topics.health)
    numbers.add("temperature", "value_json.temperature_celsius", device_class="temperature", unit="°C", digits=1)
    numbers.add("uptime", "value_json.uptime_s", device_class="duration", unit="s", name="Uptime")
    numbers.add("waiting", "value_json.outbox.waiting", unit="events", icon="mdi:tray-full", name="Events waiting")
    found.entity(
        "sensor",
        "given_up",
        name="Events given up",
        icon="mdi:tray-remove",
        state_topic=topics.health,
        value_template="{{ value_json.outbox.given_up }}",
        unit_of_measurement="events",
        **_TOTAL,
        **DIAGNOSTIC,
    )
    load = "(value_json.load.busy * 100) | round(1)"
    numbers.add("load", load, unit="%", icon="mdi:chip", name="Model load")
    memory = "value_json.memory_rss_bytes"
    numbers.add("memory", memory, device_class="data_size", unit="B", name="Memory", enabled_by_default=False)
    return found.by_path


class Numbers:
    """Numbers of the health report that are measured, and are there to find out what is wrong.

    Args:
        parts: where they go.
        topic: of the health report.
    """

    def __init__(self, parts: Parts, topic: str) -> None:
        self._parts = parts
        self._topic = topic

    def add(self, path: str, value: str, *, unit: str, digits: int = 0, **options: object) -> None:
        """Add the sensor of one number; a null there is unknown here."""
        shared = {**MEASURED, "suggested_display_precision": digits, **DIAGNOSTIC}
        self._parts.entity(
            "sensor",
            path,
            state_topic=self._topic,
            value_template=f"{{{{ {value} }}}}",
            unit_of_measurement=unit,
            **shared,
            **options,
        )
