"""The live table: what arrives over MQTT, as a person wants to see it; plain lines where there is no terminal."""

from __future__ import annotations

import json
from collections import Counter, deque
from collections.abc import Iterable
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

_ROWS = 14
_REFRESH_HZ = 8
_COLOURS = {"new": "green", "update": "cyan", "end": "magenta"}
_SHOWN_STATES = ("status", "motion", "count")
_MOST_STATES = 200  # anybody may publish any number of topics
_LONGEST_STATE = 40


class LiveTable:
    """Collects messages and shows the last events above the newest states.

    Args:
        console: where to.
        as_json: print every message as a JSON object instead.
    """

    def __init__(self, console: Console, *, as_json: bool = False) -> None:
        self._console = console
        self._as_json = as_json
        self._events: deque[dict[str, Any]] = deque(maxlen=_ROWS)
        self._states: dict[str, str] = {}
        self.event_types: Counter[str] = Counter()
        self.objects: set[str] = set()
        """Ids of all objects that had a `new`."""

    def show(self, messages: Iterable[tuple[str, bytes]]) -> None:
        """Show messages as they come, until there are no more."""
        if self._as_json:
            for topic, payload in messages:
                print(json.dumps({"topic": topic, "payload": payload.decode(errors="replace")}), flush=True)
        elif self._console.is_terminal:
            with Live(console=self._console, refresh_per_second=_REFRESH_HZ) as live:
                for topic, payload in messages:
                    self._take(topic, payload)
                    live.update(self._render())
        else:
            for topic, payload in messages:
                if self._take(topic, payload):
                    self._console.print(_line(self._events[-1]), highlight=False, soft_wrap=True, markup=False)

    def _take(self, topic: str, payload: bytes) -> bool:
        """Note a message; true when it is an event."""
        event = _parse(payload) if topic.endswith(("/event", "/event/late")) else None
        if event is None:
            if len(self._states) < _MOST_STATES and any(part in _SHOWN_STATES for part in topic.split("/")):
                self._states[topic] = payload.decode(errors="replace")[:_LONGEST_STATE]
            return False
        self._events.append(event)
        self.event_types[event["event_type"]] += 1
        if event["event_type"] == "new":
            self.objects.add(_identity(event))
        return True

    def _render(self) -> RenderableType:
        events = Table("time", "camera", "event", "object", "label", "score", "zones", "why", title="events over MQTT")
        for event in self._events:
            colour = _COLOURS.get(event["event_type"], "white")
            time, *cells = _cells(event)
            events.add_row(Text(time[:8]), *map(Text, cells), style=colour)  # to the second: a terminal is narrow
        states = Table("state", "value", title="retained states")
        for topic, value in sorted(self._states.items()):
            states.add_row(Text(topic), Text(value))
        return Group(events, states)


def _parse(payload: bytes) -> dict[str, Any] | None:
    """An event that can be shown; None for anything else, for anybody may publish there."""
    try:
        event: dict[str, Any] = json.loads(payload)
        _cells(event)
        if event["event_type"] == "new":
            _identity(event)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return event


def _identity(event: dict[str, Any]) -> str:
    """What tells its object from every other, of other runs too."""
    return f"{event['run_id']}/{event['object']['id']}"


def _cells(event: dict[str, Any]) -> tuple[str, ...]:
    why = ", ".join(event["reason"])
    if "rule" in event:
        why += f": {ruling(event['rule'])}"
    if event["event_type"] == "end":
        why += f" after {event['duration_s']:.1f} s"
    time = event["time"][11:-1]
    camera, event_type = _names(event["camera"], event["event_type"])
    if "object" not in event:  # about the scene
        return time, camera, event_type, "", "", "", "", why
    seen = event["object"]
    object_id, label = _names(seen["id"], seen["label"])
    return time, camera, event_type, object_id, label, f"{seen['score']:.2f}", ", ".join(seen["zones"]), why


def _names(*names: Any) -> tuple[str, ...]:
    if not all(isinstance(name, str) for name in names):
        raise TypeError("a name is no text")
    return names


def ruling(rule: dict[str, Any]) -> str:
    """What a rule says of itself: `door in`, `full 5 true`."""
    return " ".join(
        str(value) if isinstance(value, str) else json.dumps(value) for key, value in rule.items() if key != "kind"
    )


def _line(event: dict[str, Any]) -> str:
    time, camera, event_type, object_id, label, score, zones, why = _cells(event)
    return f"{time} {camera:8} {event_type:6} {object_id:16} {label:10} {score} {zones:16} {why}"
