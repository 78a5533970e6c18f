"""What Home Assistant is told: by its rules, of nothing that is not really published, and never too much."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from edge_agent import app
from edge_agent.config import Settings
from edge_agent.edges.sources.supervised import State
from edge_agent.records import MAX_STATE_BYTES, Message
from edge_agent.stages.encode import native
from edge_agent.stages.encode.homeassistant import (
    DiscoveryTopics,
    ShownCamera,
    ShownDevice,
    ShownRule,
    announce,
    device_of,
    parts_of,
)
from edge_agent.stages.encode.homeassistant.camera import STATES
from edge_agent.stages.encode.native import Names
from edge_agent.stages.encode.topics import Topics
from edge_agent.stages.rules.rules import Rules
from edge_agent.tools import contract

RULES = Draft202012Validator(contract.schema("discovery"))
TOPICS = DiscoveryTopics(prefix="homeassistant", device="gate-pi")
SETTABLE = frozenset({"detect", "threshold", "rate_hz"})

KINDS = ("zone", "dwell", "occupancy", "still", "left_behind", "removed", "speed")


def a_camera(name: str = "front", labels: tuple[str, ...] = ("person", "traffic light"), **more: Any) -> ShownCamera:
    return ShownCamera(
        id=name,
        labels=labels,
        **{
            "zones": {"porch": ("person",), "road": labels},
            "lines": {"door": ("person",)},
            "rules": (*(ShownRule(name=f"r-{kind}", kind=kind) for kind in KINDS),),  # type: ignore[arg-type]
            **more,
        },
    )


def a_device(*cameras: ShownCamera, device: str = "gate-pi", name: str = "Gate") -> ShownDevice:
    return ShownDevice(
        topics=Topics(prefix="edge", device=device),
        name=name,
        version="1.2.3",
        model="default",
        cameras=cameras or (a_camera(),),
        settable=SETTABLE,  # type: ignore[arg-type]
    )


def said(device: ShownDevice, gone: Mapping[str, Mapping[str, str]] | None = None) -> dict[str, dict[str, Any]]:
    """Each message by its topic."""
    messages = [one.message for one in announce(device, TOPICS, gone)]
    assert {message.kind for message in messages} == {"state"}
    return {message.topic: json.loads(message.payload) for message in messages}


def entities(messages: Mapping[str, Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    for content in messages.values():
        for part in content["components"].values():
            if part["platform"] != "device_automation":
                yield part


def topics_in(content: Any) -> Iterator[tuple[str, str]]:
    """Every topic that is named, with its key."""
    if isinstance(content, dict):
        for key, value in content.items():
            if isinstance(value, str) and (key == "topic" or key.endswith("_topic")):
                yield key, value
            else:
                yield from topics_in(value)
    elif isinstance(content, list):
        for value in content:
            yield from topics_in(value)


def published(device: ShownDevice) -> set[str]:
    """Every topic that the agent publishes on, as the stages themselves write it, and the reports' and events'."""
    topics = device.topics
    found = {topics.status, topics.health}
    for camera in device.cameras:
        one = Settings.model_validate(
            {
                "device": {"id": "x"},
                "cameras": [
                    {
                        "id": camera.id,
                        "source": "file://x",
                        "detect": {"labels": camera.labels},
                        "zones": {
                            name: {"polygon": [[0, 0], [1, 0], [1, 1]], "labels": labels}
                            for name, labels in camera.zones.items()
                        },
                        "lines": {
                            name: {"from": [0, 0.5], "to": [1, 0.5], "labels": labels}
                            for name, labels in camera.lines.items()
                        },
                    }
                ],
            }
        ).cameras[0]
        names = Names(topics=topics, camera=camera.id, run_id="0" * 16)
        rules = Rules(one.detect.labels, one.zones, one.lines, ())
        found |= {native.encode(word, names).topic for word in rules.begin()}
        found |= {topics.camera_status(camera.id), topics.motion(camera.id), topics.event(camera.id)}
        found |= {topics.detect(camera.id), topics.threshold(camera.id), topics.rate_hz(camera.id)}
    return found


def test_the_messages_keep_home_assistants_rules() -> None:
    messages = said(a_device(a_camera(), a_camera("back", ("cow",))))
    for content in messages.values():
        RULES.validate(content)
    assert list(messages) == [
        "homeassistant/device/gate-pi/config",
        "homeassistant/device/gate-pi/front/config",
        "homeassistant/device/gate-pi/back/config",
    ]


@pytest.mark.parametrize(
    ("platform", "changes"),
    [
        ("sensor", {"unit": "°C"}),  # no such key
        ("sensor", {"unit_of_measurement": None}),
        ("sensor", {"state_topic": "edge/+/status"}),
        ("binary_sensor", {"device_class": "presense"}),
        ("binary_sensor", {"unique_id": None}),
        ("event", {"event_types": []}),
        ("number", {"min": "0"}),
        ("switch", {"command_topic": None}),
        ("device_automation", {"subtype": None}),
        ("device_automation", {"unique_id": "x"}),
    ],
)
def test_the_rules_notice_what_breaks_them(platform: str, changes: dict[str, Any]) -> None:
    for content in said(a_device()).values():
        for part in content["components"].values():
            if part["platform"] == platform:
                part.update(changes)
                for key in [key for key, value in part.items() if value is None]:
                    del part[key]
                assert not RULES.is_valid(content)
                return
    raise AssertionError(platform)


def test_it_is_told_of_no_topic_that_is_not_published_and_of_all_that_have_a_value() -> None:
    device = a_device(a_camera(), a_camera("back", ("cow",), zones={}, lines={}))
    messages = said(device)
    read = {topic for key, topic in topics_in(messages) if key != "command_topic"}
    assert read == published(device)


def test_what_can_be_set_is_set_where_the_agent_listens() -> None:
    topics = a_device().topics
    commands = {topic for key, topic in topics_in(said(a_device())) if key == "command_topic"}
    assert commands == {topics.set_detect("front"), topics.set_threshold("front"), topics.set_rate_hz("front")}


def test_without_commands_there_is_nothing_to_set() -> None:
    device = ShownDevice(
        topics=Topics(prefix="edge", device="gate-pi"), name="Gate", version="1", model="m", cameras=(a_camera(),)
    )
    assert {part["platform"] for part in entities(said(device))} == {"sensor", "binary_sensor", "event"}


def test_every_entity_has_a_name_of_its_own_for_ever() -> None:
    # `a` and `b_c`, `a_b` and `c`: joined with _ they would be one
    cameras = (
        a_camera("a", zones={"b_c": ("d",), "b": ("c_d",)}, labels=("d", "c_d")),
        a_camera("a_b", zones={"c": ("d",)}, labels=("d",)),
    )
    ids = [part["unique_id"] for part in entities(said(a_device(*cameras)))]
    assert len(set(ids)) == len(ids)
    before = {part["unique_id"] for part in entities(said(a_device(a_camera())))}
    more = a_camera(labels=("cow", "person", "traffic light"), zones={"new": ("cow",), **a_camera().zones})
    assert before < {part["unique_id"] for part in entities(said(a_device(more, name="Another")))}


def test_the_agent_is_one_device_and_each_camera_another_below_it() -> None:
    agent, front = said(a_device()).values()
    assert agent["device"] == {
        "identifiers": ["edge-agent.gate-pi"],
        "name": "Gate",
        "manufacturer": "edge-agent",
        "model": "default",
        "sw_version": "1.2.3",
    }
    assert front["device"]["name"] == "Gate front"
    assert front["device"]["via_device"] == "edge-agent.gate-pi"


def test_a_camera_is_there_when_the_agent_and_it_are_there() -> None:
    agent, front = said(a_device()).values()
    assert front["availability_mode"] == "all"
    assert [one["topic"] for one in front["availability"]] == [
        "edge/gate-pi/status",
        "edge/gate-pi/camera/front/status",
    ]
    parts = front["components"]
    own = {path for path, part in parts.items() if "availability" in part}
    # what is known, said or set of a camera that is gone
    assert own == {"event", "status", "problem", "state", "detect", "threshold", "rate_hz"}
    assert {tuple(one["topic"] for one in parts[path]["availability"]) for path in own} == {("edge/gate-pi/status",)}
    assert agent["components"]["status"]["availability"] == []


@pytest.mark.parametrize(
    ("path", "called", "topic", "options"),
    [
        ("occupancy.person", "Person occupancy", "count/person", {"device_class": "occupancy"}),
        ("occupancy.traffic_light", "Traffic light occupancy", "count/traffic_light", {"device_class": "occupancy"}),
        ("count.person", "Person count", "count/person", {"state_class": "measurement"}),
        ("zone.porch.occupancy.person", "Porch person occupancy", "zone/porch/count/person", {}),
        (
            "zone.porch.count.person",
            "Porch person count",
            "zone/porch/count/person",
            {"unit_of_measurement": "objects"},
        ),
        ("line.door.person.in", "Door person in", "line/door/count/person/in", {"state_class": "total_increasing"}),
        ("line.door.person.out", "Door person out", "line/door/count/person/out", {"unit_of_measurement": "crossings"}),
        ("motion", None, "motion", {"device_class": "motion"}),
        ("event", "Event", "event", {"event_types": ["new", "update", "end"], "qos": 1}),
        ("detect", "Detection", "detect", {}),
        ("threshold", "Threshold", "threshold", {"entity_category": "config", "min": 0.01, "max": 1.0, "step": 0.01}),
        ("rate_hz", "Looks a second", "rate_hz", {"unit_of_measurement": "Hz", "min": 0.1, "max": 60.0}),
    ],
)
def test_what_an_entity_is_called_and_where_it_reads(
    path: str, called: str | None, topic: str, options: dict[str, Any]
) -> None:
    part = said(a_device())["homeassistant/device/gate-pi/front/config"]["components"][path]
    assert part.get("name") == called
    assert part["state_topic"] == f"edge/gate-pi/camera/front/{topic}"
    assert options.items() <= part.items()


def test_default_entity_ids_are_made_of_the_ids_and_the_name() -> None:
    parts = said(a_device())["homeassistant/device/gate-pi/front/config"]["components"]
    assert parts["motion"]["default_entity_id"] == "binary_sensor.gate_pi_front_motion"
    assert parts["zone.porch.count.person"]["default_entity_id"] == "sensor.gate_pi_front_porch_person_count"


def test_automations_may_begin_with_who_appears_lines_and_rules() -> None:
    parts = said(a_device())["homeassistant/device/gate-pi/front/config"]["components"].values()
    triggers = [part for part in parts if part["platform"] == "device_automation"]
    assert {f'"{one["subtype"]}" {one["type"]}' for one in triggers} == {
        '"person" appeared',
        '"traffic light" appeared',
        '"door" crossed in',
        '"door" crossed out',
        '"r-zone" entered',
        '"r-dwell" dwells',
        '"r-occupancy" reached',
        '"r-occupancy" no longer reached',
        '"r-still" stands still',
        '"r-left_behind" left behind',
        '"r-removed" removed',
        '"r-speed" speeding',
    }
    assert {one["topic"] for one in triggers} == {"edge/gate-pi/camera/front/event"}


def test_every_state_of_a_camera_is_an_option() -> None:
    assert set(STATES) == set(State.__args__)  # type: ignore[attr-defined]


def test_what_is_gone_is_taken_away_first() -> None:
    before = announce(a_device(a_camera(zones={"old": ("person",)})), TOPICS)
    earlier = {one.message.topic: parts_of(one.message.payload) or {} for one in before}
    topic = TOPICS.camera("front")
    after = said(a_device(a_camera(zones={})), earlier)[topic]["components"]
    assert list(after)[:2] == ["zone.old.occupancy.person", "zone.old.count.person"]
    assert [after[path] for path in list(after)[:2]] == [{"platform": "binary_sensor"}, {"platform": "sensor"}]
    RULES.validate(said(a_device(a_camera(zones={})), earlier)[topic])
    # it is taken away once, and then forgotten
    again = parts_of(json.dumps({"origin": {"name": "edge-agent"}, "components": after}).encode())
    assert again is not None
    assert "zone.old.count.person" not in again
    assert "motion" in again


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff",
        b'{"components":{}}',
        b'{"origin":"edge-agent","components":{}}',
        b'{"origin":{"name":"zigbee2mqtt"},"components":{"a":{"platform":"sensor","x":1}}}',
        b'{"origin":{"name":"edge-agent"},"components":[]}',
        b"[" * 100_000,
    ],
)
def test_what_others_say_there_is_left_alone(payload: bytes) -> None:
    assert parts_of(payload) is None
    assert device_of(payload) is None


def test_what_is_taken_away_can_only_have_names_that_some_version_may_have_used() -> None:
    known = {"platform": "siren", "x": 1}
    parts = {"zone.a": known, "a b": known, "a" * 129: known, "b": {**known, "platform": "Light\n"}}
    payload = json.dumps({"origin": {"name": "edge-agent"}, "components": parts}).encode()
    assert parts_of(payload) == {"zone.a": "siren"}


@pytest.mark.parametrize(
    ("name", "shown"), [("two\nlines", "two lines"), ("Tor süd", "Tor süd"), ("\t", "gate-pi"), ("a\x1b[31m", "a [31m")]
)
def test_a_name_is_one_line(name: str, shown: str) -> None:
    assert next(iter(said(a_device(name=name)).values()))["device"]["name"] == shown


# Sizes


def a_large_camera(name: str, labels: int, zones: int, lines: int) -> ShownCamera:
    words = tuple(f"label {index:02}".ljust(32, "x") for index in range(labels))
    return ShownCamera(
        id=name,
        labels=words,
        zones={f"zone{index:02}".ljust(64, "z"): words for index in range(zones)},
        lines={f"line{index:02}".ljust(64, "l"): words for index in range(lines)},
        rules=tuple(ShownRule(name=f"rule{index:02}".ljust(64, "r"), kind="dwell") for index in range(32)),
    )


@pytest.mark.parametrize(("cameras", "most_bytes"), [(1, 20_000), (4, 60_000), (16, 220_000)])
def test_a_usual_house_is_told_in_few_bytes(cameras: int, most_bytes: int) -> None:
    """Two labels, two zones and a line each: 13 KB a camera, whether there is one or sixteen."""
    usual = [
        a_camera(f"camera{index}", ("person", "car"), zones={"porch": ("person", "car"), "road": ("person", "car")})
        for index in range(cameras)
    ]
    sizes = [len(one.message.payload) for one in announce(a_device(*usual), TOPICS)]
    assert max(sizes) < 15_000
    assert sum(sizes) < most_bytes


def test_what_does_not_fit_is_counted_and_zones_go_first() -> None:
    agent, largest = announce(a_device(a_large_camera("c" * 64, 80, 16, 16)), TOPICS)
    assert agent.left_out == 0
    assert len(largest.message.payload) <= MAX_STATE_BYTES
    parts = json.loads(largest.message.payload)["components"]
    # 9 of its own, 2 a label, 2 a line and label; triggers: 1 a label, 2 a line, 1 a rule; 2 a zone and label
    assert len(parts) + largest.left_out == 9 + 160 + 2560 + (80 + 32 + 32) + 2560
    assert not [path for path in parts if path.startswith("zone.")]
    assert "event" in parts
    RULES.validate(json.loads(largest.message.payload))


def test_there_is_room_for_what_is_gone_too() -> None:
    gone = {TOPICS.camera("c"): {f"zone.gone{index}.count.person": "sensor" for index in range(300)}}
    _, full = announce(a_device(a_large_camera("c", 20, 16, 16)), TOPICS, gone)
    assert len(full.message.payload) <= MAX_STATE_BYTES
    assert list(json.loads(full.message.payload)["components"])[:300] == list(gone[TOPICS.camera("c")])


def test_what_others_made_up_as_gone_takes_no_more_than_its_part() -> None:
    gone = {
        topic: {f"made.up.{index}": "sensor" for index in range(10_000)} for topic in (TOPICS.agent, TOPICS.camera("c"))
    }
    for one in announce(a_device(a_large_camera("c", 20, 16, 16)), TOPICS, gone):
        assert len(one.message.payload) <= MAX_STATE_BYTES
        assert "status" in json.loads(one.message.payload)["components"]


# Any configuration

IDENTIFIERS = st.from_regex(r"[a-zA-Z0-9_-]{1,64}", fullmatch=True)
LABELS = st.lists(st.from_regex(r"[a-zA-Z0-9_ -]{1,32}", fullmatch=True), min_size=1, max_size=3, unique=True).map(
    tuple
)


@st.composite
def devices(draw: st.DrawFn) -> ShownDevice:
    def camera(name: str) -> ShownCamera:
        labels = draw(LABELS)
        places = st.dictionaries(IDENTIFIERS, st.just(labels), max_size=3)
        rules = st.lists(st.builds(ShownRule, name=IDENTIFIERS, kind=st.sampled_from(KINDS)), max_size=3)
        return ShownCamera(id=name, labels=labels, zones=draw(places), lines=draw(places), rules=tuple(draw(rules)))

    names = draw(st.lists(IDENTIFIERS, min_size=1, max_size=3, unique=True))
    return ShownDevice(
        topics=Topics(prefix="edge/of/many", device=draw(IDENTIFIERS)),
        name=draw(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=64)),
        version="1",
        model="m",
        cameras=tuple(map(camera, names)),
        settable=SETTABLE,  # type: ignore[arg-type]
    )


@settings(max_examples=40)
@given(devices())
def test_any_configuration_keeps_the_rules(device: ShownDevice) -> None:
    found = announce(device, DiscoveryTopics(prefix="ha", device=device.topics.device))
    ids = []
    for one in found:
        assert re.fullmatch(r"ha/device/[a-zA-Z0-9_-]{1,64}(/[a-zA-Z0-9_-]{1,64})?/config", one.message.topic)
        content = json.loads(one.message.payload)
        RULES.validate(content)
        ids += [part.get("unique_id", path) for path, part in content["components"].items()]
        assert parts_of(one.message.payload) == {path: part["platform"] for path, part in content["components"].items()}
        assert device_of(one.message.payload) == content["device"]["name"]
    assert len({one.message.topic for one in found}) == len(found)


# The whole configuration


def test_the_messages_of_a_configuration_are_those_of_its_cameras() -> None:
    configured = Settings.model_validate(
        {
            "device": {"id": "gate-pi", "name": "Tor süd"},
            "homeassistant": {"prefix": "ha"},
            "cameras": [
                {
                    "id": "front",
                    "source": "file://x",
                    "detect": {"labels": ["person", "car"]},
                    "zones": {"porch": {"polygon": [[0, 0], [1, 0], [1, 1]], "labels": ["person"]}},
                    "lines": {"door": {"from": [0, 0.5], "to": [1, 0.5]}},
                    "rules": [
                        {"name": "out", "kind": "zone", "zone": "porch", "on": "leave"},
                        {"name": "in", "kind": "zone", "zone": "porch"},
                    ],
                }
            ],
        }
    )
    agent, front = [json.loads(one.message.payload) for one in app.announcements(configured)]
    assert agent["device"]["name"] == "Tor süd"
    parts = front["components"]
    assert "zone.porch.count.person" in parts
    assert "zone.porch.count.car" not in parts
    assert "line.door.car.in" in parts
    assert (parts["rule.out"]["type"], parts["rule.in"]["type"]) == ("left", "entered")


def test_a_message_of_home_assistant_is_a_state_like_others() -> None:
    message = announce(a_device(), TOPICS)[0].message
    assert isinstance(message, Message)
    assert message.kind == "state"
