"""The bytes that leave the device: exact, closed by a schema, and short."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any, get_args

import jsonschema
import pytest
from builders import UTC_NS, frame_of, track_of
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.records import (
    MAX_EVENT_BYTES,
    Count,
    Crossings,
    Event,
    EventType,
    Message,
    Moving,
    Reason,
    RuleKind,
    Spoken,
)
from edge_agent.stages.encode import native
from edge_agent.stages.encode.native import Names
from edge_agent.stages.encode.topics import Topics

SCHEMA: dict[str, Any] = json.loads(
    (resources.files("edge_agent") / "schemas" / "event.schema.json").read_text(encoding="utf-8")
)
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
TOPICS = Topics(prefix="edge", device="gate-pi")
NAMES = Names(topics=TOPICS, camera="front", run_id="b3c1f0")


def event_of(event_type: EventType = "new", **changes: Any) -> Event:
    fields: dict[str, Any] = {
        "seq": 128,
        "event_type": event_type,
        "reason": ("appeared", "zone_entered"),
        "track": track_of(17, box=(64.0, 19.8, 88.0, 72.0), score=0.83, top_score=0.912345, first_s=0.05, seen_s=1.0),
        "zones": ("porch",),
        "frame": frame_of(1.25, seq=913),
    }
    return Event(**fields | changes)


def content_of(message: Message) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(message.payload)
    return content


def test_an_event_is_these_bytes() -> None:
    message = native.encode(event_of(), NAMES)
    assert message.payload == (
        b'{"schema":1,"event_id":"b3c1f0/front/128","seq":128,"run_id":"b3c1f0","event_type":"new",'
        b'"reason":["appeared","zone_entered"],"device":"gate-pi","camera":"front",'
        # 64 / 160, 19.8 / 90, 88 / 160, 72 / 90; 1.25 - .05
        b'"object":{"id":"front-17","label":"person","score":0.83,"top_score":0.912,"box":[0.4,0.22,0.55,0.8],'
        b'"zones":["porch"],"stationary":false,"age_s":1.2},"frame":{"width":160,"height":90,"seq":913},'
        b'"time":"2026-11-22T13:45:01.250Z","started":"2026-11-22T13:45:00.050Z","duration_s":1.2,"time_synced":true}'
    )


def test_an_event_goes_to_the_topic_of_its_camera_and_late_to_the_one_beside_it() -> None:
    message = native.encode(event_of("update"), NAMES)
    assert message.topic == "edge/gate-pi/camera/front/event"
    assert message.late_topic == "edge/gate-pi/camera/front/event/late"
    assert message.kind == "update"
    assert message.utc_ns == UTC_NS + 1_250_000_000


@pytest.mark.parametrize(("event_type", "duration_s"), [("new", 1.2), ("update", 1.2), ("end", 0.95)])
def test_the_duration_of_an_end_stops_when_it_was_last_seen(event_type: EventType, duration_s: float) -> None:
    content = content_of(native.encode(event_of(event_type), NAMES))
    assert content["duration_s"] == duration_s  # 1.25 - .05, and 1 - .05
    assert content["object"]["age_s"] == 1.2


@pytest.mark.parametrize(
    ("utc_ns", "expected"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (UTC_NS, "2026-11-22T13:45:00.000Z"),
        (UTC_NS + 999_999, "2026-11-22T13:45:00.000Z"),  # cut off, not rounded
        (UTC_NS + 1_000_000, "2026-11-22T13:45:00.001Z"),
        (UTC_NS + 59_999_999_999, "2026-11-22T13:45:59.999Z"),
        (-1_000_000, "1969-12-31T23:59:59.999Z"),  # a board without a clock, and an object seen before it started
        (1_709_164_800_000_000_000, "2024-02-29T00:00:00.000Z"),
    ],
)
def test_iso_time_is_utc_to_the_millisecond(utc_ns: int, expected: str) -> None:
    assert native.iso_time(utc_ns) == expected


@pytest.mark.parametrize(
    ("count", "topic", "payload"),
    [
        (Count(zone=None, label="person", value=0), "edge/gate-pi/camera/front/count/person", b"0"),
        (Count(zone="porch", label="car", value=12), "edge/gate-pi/camera/front/zone/porch/count/car", b"12"),
        (
            Crossings(line="door", label="traffic light", direction="out", value=3),
            "edge/gate-pi/camera/front/line/door/count/traffic_light/out",
            b"3",
        ),
    ],
)
def test_a_count_is_a_retained_number(count: Count | Crossings, topic: str, payload: bytes) -> None:
    assert native.encode(count, NAMES) == Message(topic=topic, payload=payload, kind="state")


def test_states_are_plain_words() -> None:
    assert native.encode(Moving(value=True), NAMES) == Message(
        topic="edge/gate-pi/camera/front/motion", payload=b"ON", kind="state"
    )
    assert native.encode(Moving(value=False), NAMES).payload == b"OFF"
    assert native.status(TOPICS.status, online=True) == Message(
        topic="edge/gate-pi/status", payload=b"online", kind="state"
    )
    assert native.status(TOPICS.camera_status("front"), online=False) == Message(
        topic="edge/gate-pi/camera/front/status", payload=b"offline", kind="state"
    )


def test_a_report_is_retained_json() -> None:
    message = native.report(TOPICS.health, {"uptime_s": 3.5, "cameras": {}})
    assert message == Message(topic="edge/gate-pi/health", payload=b'{"uptime_s":3.5,"cameras":{}}', kind="state")


def test_numbers_that_are_none_are_refused() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        native.report(TOPICS.health, {"temperature_c": float("nan")})


def test_every_topic_begins_with_prefix_and_device() -> None:
    assert [
        TOPICS.root,
        TOPICS.status,
        TOPICS.health,
        TOPICS.capabilities,
        TOPICS.camera_status("front"),
        TOPICS.motion("front"),
        TOPICS.count("front", None, "person"),
        TOPICS.count("front", "porch", "person"),
        TOPICS.crossings("front", "door", "person", "in"),
        TOPICS.event("front"),
        TOPICS.late_event("front"),
    ] == [
        "edge/gate-pi",
        "edge/gate-pi/status",
        "edge/gate-pi/health",
        "edge/gate-pi/capabilities",
        "edge/gate-pi/camera/front/status",
        "edge/gate-pi/camera/front/motion",
        "edge/gate-pi/camera/front/count/person",
        "edge/gate-pi/camera/front/zone/porch/count/person",
        "edge/gate-pi/camera/front/line/door/count/person/in",
        "edge/gate-pi/camera/front/event",
        "edge/gate-pi/camera/front/event/late",
    ]


# The schema


def with_change(content: dict[str, Any], place: tuple[str, ...], value: Any) -> dict[str, Any]:
    changed: dict[str, Any] = json.loads(json.dumps(content))
    target = changed
    for key in place[:-1]:
        target = target[key]
    target[place[-1]] = value
    return changed


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("thumbnail",), "aGVsbG8="),
        (("object", "embedding"), [0.1, 0.2]),
        (("frame", "jpeg"), ""),
        (("object", "label"), "x" * 33),
        (("object", "label"), "a\nb"),
        (("camera",), "with space"),
        (("reason",), []),
        (("reason",), ["because"]),
        (("object", "zones"), [f"z{i}" for i in range(17)]),
        (("object", "box"), [0, 0, 1, 1, 1]),
        (("object", "box"), [0, 0, 1, 1.5]),
        (("object", "score"), None),
        (("object", "stationary"), 1),
        (("rule",), {"name": "door"}),
        (("rule",), {"name": "door", "kind": "line", "because": "x"}),
        (("rule",), {"name": "door", "kind": "wall"}),
        (("rule",), {"name": "door", "kind": "line", "direction": "up"}),
        (("reason",), ["count_changed"]),  # about the scene, and has an object
        (("time",), "2026-11-22T13:45:01Z"),
        (("schema",), 2),
    ],
)
def test_what_the_schema_does_not_know_is_refused(place: tuple[str, ...], value: Any) -> None:
    content = content_of(native.encode(event_of(), NAMES))
    VALIDATOR.validate(content)
    assert not VALIDATOR.is_valid(with_change(content, place, value))


def test_every_field_of_an_event_is_needed() -> None:
    content = content_of(native.encode(event_of(), NAMES))
    assert set(content) == {*SCHEMA["required"], "object"}
    assert set(content["object"]) == set(SCHEMA["properties"]["object"]["required"])
    assert set(content["frame"]) == set(SCHEMA["properties"]["frame"]["required"])


def test_what_a_rule_says_stands_in_its_event_and_what_it_does_not_say_is_left_out() -> None:
    rule = Spoken(name="door", kind="line", direction="in")
    content = content_of(native.encode(event_of("update", reason=("line_crossed",), rule=rule), NAMES))
    VALIDATOR.validate(content)
    assert content["rule"] == {"name": "door", "kind": "line", "direction": "in"}
    assert content["object"]["id"] == "front-17"


def test_an_event_about_the_scene_has_no_object_and_tells_since_when() -> None:
    rule = Spoken(name="full", kind="occupancy", count=0, active=False)
    event = event_of("update", reason=("count_changed",), track=None, zones=(), rule=rule, since_s=0.25)
    content = content_of(native.encode(event, NAMES))
    VALIDATOR.validate(content)
    assert "object" not in content
    assert content["rule"] == {"name": "full", "kind": "occupancy", "count": 0, "active": False}
    # The frame was taken at 1.25 s.
    assert (content["started"], content["time"]) == ("2026-11-22T13:45:00.250Z", "2026-11-22T13:45:01.250Z")
    assert content["duration_s"] == 1.0


@pytest.mark.parametrize("place", [("object",), ("rule",)])
def test_an_event_about_an_object_needs_it_and_one_about_the_scene_its_rule(place: tuple[str, ...]) -> None:
    rule = Spoken(name="full", kind="occupancy", count=1, active=True)
    about_scene = event_of("update", reason=("count_changed",), track=None, zones=(), rule=rule, since_s=0.25)
    content = content_of(native.encode(event_of() if place == ("object",) else about_scene, NAMES))
    del content[place[0]]
    assert not VALIDATOR.is_valid(content)


identifiers = st.from_regex(r"[a-zA-Z0-9_-]{1,64}", fullmatch=True)
labels = st.from_regex(r"[a-zA-Z0-9_ -]{1,32}", fullmatch=True)
sides = st.floats(-500, 2500, width=32)
reasons: st.SearchStrategy[Reason] = st.sampled_from(
    [reason for reason in get_args(Reason) if reason != "count_changed"]
)
rules = st.none() | st.builds(
    Spoken,
    name=identifiers,
    kind=st.sampled_from(get_args(RuleKind)),
    direction=st.sampled_from([None, "in", "out"]),
    count=st.none() | st.integers(0, 1000),
    active=st.none() | st.booleans(),
    speed_kmh=st.none() | st.floats(0, 500, width=32),
)


@st.composite
def some_events(draw: st.DrawFn) -> tuple[Event, Names]:
    first_s = draw(st.floats(0, 1e6))
    seen_s = first_s + draw(st.floats(0, 1e5))
    frame = frame_of(seen_s + draw(st.floats(0, 100)), seq=draw(st.integers(0, 10**9)))
    track = track_of(
        draw(st.integers(1, 10**12)),
        label=draw(labels),
        box=(draw(sides), draw(sides), draw(sides), draw(sides)),
        score=draw(st.floats(0, 1, width=32)),
        top_score=draw(st.floats(0, 1, width=32)),
        first_s=first_s,
        seen_s=seen_s,
    )
    event = Event(
        seq=draw(st.integers(0, 10**12)),
        event_type=draw(st.sampled_from(["new", "update", "end"])),
        reason=tuple(draw(st.lists(reasons, min_size=1, max_size=4, unique=True))),
        track=track,
        zones=tuple(draw(st.lists(identifiers, max_size=16, unique=True))),
        frame=frame,
        rule=draw(rules),
        speed_kmh=draw(st.none() | st.floats(0, 1000)),
    )
    names = Names(
        topics=Topics(prefix="edge", device=draw(identifiers)),
        camera=draw(identifiers),
        run_id=draw(st.from_regex(r"[0-9a-f]{6,16}", fullmatch=True)),
    )
    return event, names


@given(some_events())
@settings(max_examples=60)
def test_every_event_validates_and_is_short(event_and_names: tuple[Event, Names]) -> None:
    message = native.encode(*event_and_names)
    VALIDATOR.validate(content_of(message))
    assert len(message.payload) <= MAX_EVENT_BYTES
    assert message == native.encode(*event_and_names)


@pytest.mark.parametrize(
    ("reason", "rule"),
    [
        (("zone_entered", "zone_left", "stationary", "label_changed"), None),
        (("line_crossed",), Spoken(name="r" * 64, kind="line", direction="out")),
        (("speeding",), Spoken(name="r" * 64, kind="speed", speed_kmh=999.9)),
        (("left_behind",), Spoken(name="r" * 64, kind="left_behind")),
    ],
)
def test_the_longest_event_there_can_be_is_under_2_kib(reason: tuple[Reason, ...], rule: Spoken | None) -> None:
    name, digits = "n" * 64, 10**15 - 1
    event = Event(
        seq=digits,
        event_type="update",
        reason=reason,
        track=track_of(
            digits,
            label="l" * 32,
            box=(53.33, 30.77, 123.45, 77.77),
            score=0.123456,
            top_score=0.987654,
            first_s=0.1234,
        ),
        zones=tuple(f"{i:02}" + "z" * 62 for i in range(16)),
        frame=frame_of(0.1 + 1e9, seq=digits),
        rule=rule,
        speed_kmh=999.94,
    )
    message = native.encode(event, Names(topics=Topics(prefix="p" * 64, device=name), camera=name, run_id="f" * 16))
    VALIDATOR.validate(content_of(message))
    assert 1800 < len(message.payload) < MAX_EVENT_BYTES
