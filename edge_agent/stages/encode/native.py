"""The agent's own event JSON, version 1, and its retained states; `schemas/event.schema.json` is the other half."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from edge_agent import geometry
from edge_agent.records import Count, Crossings, Event, Message, Said, Spoken, Track
from edge_agent.stages.encode.topics import Topics

SCHEMA_VERSION = 1
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_SCORE_DIGITS = 3
_BOX_DIGITS = 4  # a tenth of a pixel in a picture 1000 pixels wide
_SECONDS_DIGITS = 3
_SPEED_DIGITS = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """Who speaks.

    Attributes:
        topics: of the device.
        camera: id of the camera.
        run_id: of this start of the agent; makes event ids unique for ever.
    """

    topics: Topics
    camera: str
    run_id: str


def encode(said: Said, names: Names) -> Message:
    """Write what there is to say as its message."""
    if isinstance(said, Event):
        return _event(said, names)
    if isinstance(said, Count):
        topic = names.topics.count(names.camera, said.zone, said.label)
        return _number(topic, said.value)
    if isinstance(said, Crossings):
        return _number(names.topics.crossings(names.camera, said.line, said.label, said.direction), said.value)
    return Message(topic=names.topics.motion(names.camera), payload=b"ON" if said.value else b"OFF", kind="state")


def status(topic: str, *, online: bool) -> Message:
    """Write whether the agent, or a camera, is there."""
    return Message(topic=topic, payload=b"online" if online else b"offline", kind="state")


def report(topic: str, content: Mapping[str, Any]) -> Message:
    """Write a retained JSON object such as the health report."""
    return Message(topic=topic, payload=_json(content), kind="state")


def in_force(topics: Topics, camera: str, setting: str, value: bool | float) -> Message:  # noqa: FBT001
    """Write a setting as it is now."""
    text = ("ON" if value else "OFF") if isinstance(value, bool) else f"{value:.6g}"
    topic = {"detect": topics.detect, "threshold": topics.threshold, "rate_hz": topics.rate_hz}[setting](camera)
    return Message(topic=topic, payload=text.encode(), kind="state")


def answer(topic: str, content: Mapping[str, Any], correlation: bytes | None) -> Message:
    """Write what became of a command."""
    return Message(topic=topic, payload=_json(content), kind="answer", correlation=correlation)


def iso_time(utc_ns: int) -> str:
    """ISO 8601 in UTC, to the millisecond: `2026-11-22T13:45:01.250Z`."""
    moment = _EPOCH + timedelta(microseconds=utc_ns // 1000)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _number(topic: str, value: int) -> Message:
    return Message(topic=topic, payload=str(value).encode(), kind="state")


def _event(event: Event, names: Names) -> Message:
    return Message(
        topic=names.topics.event(names.camera),
        late_topic=names.topics.late_event(names.camera),
        payload=_json(_content(event, names)),
        kind=event.event_type,
        utc_ns=event.frame.utc_ns,
    )


def _content(event: Event, names: Names) -> dict[str, Any]:
    frame = event.frame
    since_s, until_s = _span(event)
    return {
        "schema": SCHEMA_VERSION,
        "event_id": f"{names.run_id}/{names.camera}/{event.seq}",
        "seq": event.seq,
        "run_id": names.run_id,
        "event_type": event.event_type,
        "reason": list(event.reason),
        "device": names.topics.device,
        "camera": names.camera,
        **({} if event.track is None else {"object": _object(event.track, event, names)}),
        **({} if event.rule is None else {"rule": _rule(event.rule)}),
        "frame": {"width": frame.width, "height": frame.height, "seq": frame.seq},
        "time": iso_time(frame.utc_ns),
        "started": iso_time(frame.utc_ns - round((frame.at_s - since_s) * 1e9)),
        "duration_s": round(until_s - since_s, _SECONDS_DIGITS),
        "time_synced": frame.utc_synced,
    }


def _span(event: Event) -> tuple[float, float]:
    """Since when what the event tells of has been so, and until when: an object that ends, until it was last seen."""
    at_s = event.frame.at_s
    if event.track is None:
        return at_s if event.since_s is None else event.since_s, at_s
    return event.track.first_s, event.track.seen_s if event.event_type == "end" else at_s


def _object(track: Track, event: Event, names: Names) -> dict[str, Any]:
    frame, speed_kmh = event.frame, event.speed_kmh
    return {
        "id": f"{names.camera}-{track.id}",
        "label": track.label,
        "score": round(track.score, _SCORE_DIGITS),
        "top_score": round(track.top_score, _SCORE_DIGITS),
        "box": [round(side, _BOX_DIGITS) for side in geometry.normalise(track.box, frame.width, frame.height)],
        "zones": list(event.zones),
        "stationary": track.stationary,
        **({} if speed_kmh is None else {"speed_kmh": round(speed_kmh, _SPEED_DIGITS)}),
        "age_s": round(frame.at_s - track.first_s, _SECONDS_DIGITS),
    }


def _rule(rule: Spoken) -> dict[str, Any]:
    """What a rule says of itself, without what it has nothing to say about."""
    return {name: value for name, value in asdict(rule).items() if value is not None}


def _json(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode()
