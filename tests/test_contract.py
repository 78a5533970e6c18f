"""The contract as code: closed schemas, golden payloads that the encoder still makes, AsyncAPI, recorded messages."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import jsonschema
import pytest
from golden import COMMANDS, GOLDEN, path_of
from hypothesis import given
from hypothesis import strategies as st

import edge_agent
from edge_agent import reports, runtimes
from edge_agent.cli.main import main
from edge_agent.config import Settings
from edge_agent.edges.sources.chosen import DecoderStatus
from edge_agent.edges.sources.supervised import CaptureStatus, State
from edge_agent.edges.triggers.trigger import TriggerState, TriggerStatus
from edge_agent.edges.turns import LooksStatus
from edge_agent.errors import RuntimeMissingError
from edge_agent.health import Meter
from edge_agent.records import EventType, Reason, RuleKind
from edge_agent.stages.commands.command import NAMES, Refusal
from edge_agent.stages.commands.reading import read_command, read_setting
from edge_agent.stages.encode import native
from edge_agent.stages.encode.channels import CHANNELS, PARAMETERS
from edge_agent.stages.nuisance.learnt import Learnt
from edge_agent.stages.track.tracker import Scene
from edge_agent.tools import contract
from edge_agent.tools.contract.schemas import FOLDER

EXAMPLE = Path(__file__).parent.parent / "configs" / "example.yaml"
SCHEMAS = contract.schema_names()
CONTRACT = contract.Contract()

# The schemas


def parts(schema: Any, place: str = "#") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every sub-schema with its place."""
    if isinstance(schema, dict):
        if {"type", "enum", "const"} & schema.keys() and not isinstance(schema.get("type"), dict):
            yield place, schema
        for key, value in schema.items():
            yield from parts(value, f"{place}/{key}")
    elif isinstance(schema, list):
        for index, value in enumerate(schema):
            yield from parts(value, f"{place}/{index}")


def is_open(part: dict[str, Any]) -> bool:
    """Whether a sub-schema leaves room for what was not thought of."""
    if {"enum", "const"} & part.keys():
        return False
    types = part["type"] if isinstance(part["type"], list) else [part["type"]]
    return any(_leaves_room(one, part) for one in types if one != "null") or types == ["null"]


def _leaves_room(kind: str, part: dict[str, Any]) -> bool:
    if kind == "object":
        others = part.get("additionalProperties")
        return others is not False and not (
            isinstance(others, dict) and {"maxProperties", "propertyNames"} <= set(part)
        )
    if kind == "array":
        return "maxItems" not in part or not isinstance(part.get("items"), dict)
    if kind == "string":
        return not {"maxLength", "pattern"} <= part.keys()
    if kind in {"integer", "number"}:
        return "maximum" not in part or not {"minimum", "exclusiveMinimum"} & part.keys()
    return kind != "boolean"


def open_places(schema: dict[str, Any]) -> list[str]:
    return [place for place, part in parts(schema) if is_open(part)]


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_schema_is_one(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(contract.schema(name))
    assert contract.schema(name)["$id"] == f"urn:edge-agent:{name}:1"
    assert contract.schema_text(name).isascii()


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_schema_is_closed_everywhere(name: str) -> None:
    schema = contract.schema(name)
    assert open_places(schema) == []
    assert len(list(parts(schema))) > (20 if name in {"event", "health", "capabilities"} else 0)  # the walk has seen it


@pytest.mark.parametrize(
    "part",
    [
        {"type": "string"},
        {"type": "string", "maxLength": 3},
        {"type": "string", "pattern": "^a*$"},
        {"type": "array", "items": {"type": "boolean"}},
        {"type": "array", "maxItems": 3},
        {"type": "object", "properties": {}},
        {"type": "object", "additionalProperties": True},
        {"type": "object", "additionalProperties": {"type": "boolean"}},
        {"type": "integer", "minimum": 0},
        {"type": "number", "maximum": 1},
        {"type": ["string", "null"], "maxLength": 3},
        {"type": "null"},
    ],
)
def test_an_open_place_in_a_schema_would_be_found(part: dict[str, Any]) -> None:
    assert open_places({"$defs": {"anything": part}}) == ["#/$defs/anything"]


def test_every_schema_belongs_to_a_channel_and_every_channel_has_one() -> None:
    files = {path.name.partition(".")[0] for path in FOLDER.glob("*.schema.json")}
    assert files == set(SCHEMAS) == {channel.schema for channel in CHANNELS.values()}


@pytest.mark.parametrize("name", ["health", "capabilities", "event"])
def test_what_is_not_needed_is_what_is_left_out_where_there_is_nothing_to_say(name: str) -> None:
    optional = {
        f"{place}/{field}"
        for place, part in parts(contract.schema(name))
        for field in set(part.get("properties", ())) - set(part.get("required", ()))
    }
    assert optional == MAY_BE_LEFT_OUT.get(name, set())


MAY_BE_LEFT_OUT = {
    "event": {
        "#/object",
        "#/rule",
        "#/properties/object/speed_kmh",
        *(f"#/properties/rule/{field}" for field in ("direction", "count", "active", "speed_kmh")),
    },
}


def test_the_words_of_the_schemas_are_those_of_the_code() -> None:
    health, capabilities, event = (contract.schema(name) for name in ("health", "capabilities", "event"))
    camera = health["$defs"]["camera"]["properties"]
    assert camera["state"]["enum"] == list(get_args(State))
    assert camera["triggers"]["properties"]["state"]["enum"] == list(get_args(TriggerState))
    assert event["properties"]["event_type"]["enum"] == list(get_args(EventType))
    assert event["properties"]["reason"]["items"]["enum"] == list(get_args(Reason))
    assert event["properties"]["rule"]["properties"]["kind"]["enum"] == list(get_args(RuleKind))
    gate = Settings.model_fields["cameras"].annotation
    mode = get_args(gate)[0].model_fields["gate"].annotation.model_fields["mode"].annotation
    assert capabilities["$defs"]["camera"]["properties"]["gate"]["enum"] == list(get_args(mode))


# Golden payloads


@pytest.mark.parametrize("key", list(GOLDEN), ids="/".join)
def test_a_golden_payload_is_what_the_encoder_makes(key: tuple[str, str]) -> None:
    assert path_of(*key).read_bytes() == GOLDEN[key], "if this is meant: PYTHONPATH=tests:. python tests/golden.py"


def test_every_channel_has_golden_payloads_and_none_is_left_over() -> None:
    files = {(name, example) for name, channel in CHANNELS.items() for example in contract.examples(channel)}
    assert files == set(GOLDEN)
    assert {name for name, _example in files} == set(CHANNELS)
    lying = [path for path in (FOLDER / "examples").rglob("*") if path.is_file()]
    assert len(lying) == len(files)


def test_the_golden_events_show_each_type_each_reason_and_each_kind_of_rule() -> None:
    events = [json.loads(payload) for (channel, _name), payload in GOLDEN.items() if channel == "event"]
    assert {event["event_type"] for event in events} == set(get_args(EventType))
    assert {reason for event in events for reason in event["reason"]} == set(get_args(Reason))
    assert {event["rule"]["kind"] for event in events if "rule" in event} == set(get_args(RuleKind))


def test_the_golden_commands_show_each_that_there_is() -> None:
    names = contract.schema("command")["properties"]["name"]["enum"]
    assert [content["name"] for content in COMMANDS.values()] == names


def test_the_examples_come_as_lines_that_keep_to_the_contract() -> None:
    lines = list(contract.example_lines())
    assert len(lines) == len(GOLDEN)
    assert list(contract.faults_in(lines)) == []


# Messages

EVENT_TOPIC = "edge/gate-pi/camera/front/event"
EVENT = GOLDEN["event", "new"]
HEALTH = json.loads(GOLDEN["health", "usual"])


def changed(payload: bytes, *changes: tuple[str, Any]) -> bytes:
    content = json.loads(payload)
    for place, value in changes:
        *path, last = place.split(".")
        target = content
        for key in path:
            target = target[key]
        target[last] = value
    return json.dumps(content).encode()


@pytest.mark.parametrize(
    ("topic", "payload", "fault"),
    [
        (EVENT_TOPIC, EVENT, None),
        (f"{EVENT_TOPIC}/late", EVENT, None),
        (EVENT_TOPIC, b"", "no application/json: "),
        (EVENT_TOPIC, b"[1,", "no application/json: "),
        (EVENT_TOPIC, b"\xff\xd8\xff", "no application/json: "),
        (EVENT_TOPIC, b"[" * 2048, "no application/json: "),  # too deep for Python 3.10, only unfinished for 3.13
        ("edge/gate-pi/health", b"[" * 65536, "no application/json: nested too deep"),
        (EVENT_TOPIC, b"x" * 2049, "2049 bytes, the limit is 2048"),
        (EVENT_TOPIC, changed(EVENT, ("thumbnail", "/9j/")), "event: $: Additional properties are not allowed"),
        (EVENT_TOPIC, changed(EVENT, ("object.vector", [0.1])), "event: $.object: Additional properties are not"),
        (EVENT_TOPIC, changed(EVENT, ("reason", ["because"])), "event: $.reason[0]: 'because' is not one of"),
        (EVENT_TOPIC, changed(EVENT, ("camera", "back")), "event: $.camera: is back, must be front"),
        (EVENT_TOPIC, changed(EVENT, ("device", "other")), "event: $.device: is other, must be gate-pi"),
        (EVENT_TOPIC, changed(EVENT, ("seq", 129)), "event: $.event_id: is b3c1f04a91d2e87c/front/128, must be"),
        ("edge/gate-pi/status", b"online", None),
        ("edge/gate-pi/status", b'"online"', "status: $: '\"online\"' is not one of ['online', 'offline']"),
        ("edge/gate-pi/camera/front/status", b"disabled", None),
        ("edge/gate-pi/status", b"disabled", "status: $: 'disabled' is not one of"),
        ("edge/gate-pi/camera/front/motion", b"on", "motion: $: 'on' is not one of ['ON', 'OFF']"),
        ("edge/gate-pi/camera/front/count/person", b"3", None),
        ("edge/gate-pi/camera/front/count/person", b"-1", "count: $: -1 is less than the minimum of 0"),
        ("edge/gate-pi/camera/front/count/person", b"NaN", "no application/json: NaN is no JSON"),
        ("edge/gate-pi/camera/front/count/person", b"", None),  # the camera, or the label, is gone
        ("edge/gate-pi/camera/front/threshold", b"0", "threshold: $: 0 is less than or equal to the minimum"),
        ("edge/gate-pi/camera/front/picture", b"", "no such topic in the contract"),
        ("edge/gate-pi/command/result", b"", "no application/json: "),
    ],
)
def test_a_message_keeps_to_the_contract_or_it_is_said_why_not(topic: str, payload: bytes, fault: str | None) -> None:
    found = CONTRACT.faults(topic, payload)
    assert [one[: len(fault or "")] for one in found] == ([fault] if fault else [])


def test_a_field_of_health_that_no_schema_knows_is_found_wherever_it_stands() -> None:
    for place in ("", "load.", "cameras.front.", "cameras.front.stages.detect.", "outbox.", "mqtt."):
        payload = changed(GOLDEN["health", "usual"], (f"{place}new_field", 1))
        [fault] = CONTRACT.faults("edge/gate-pi/health", payload)
        assert "'new_field' was unexpected" in fault


def fields(content: Any, place: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if isinstance(content, dict):
        for key, value in content.items():
            yield (*place, key)
            yield from fields(value, (*place, key))


NAMED_BY_USERS = re.compile(r"cameras\.(front|garden)|cameras\.front\.(filtered|stages)\.[^.]+|.*\.filtered\..*")


@pytest.mark.parametrize("place", list(fields(HEALTH)), ids=".".join)
def test_no_field_of_health_can_be_left_out(place: tuple[str, ...]) -> None:
    if NAMED_BY_USERS.fullmatch(".".join(place)):
        return
    content = json.loads(json.dumps(HEALTH))
    target = content
    for key in place[:-1]:
        target = target[key]
    del target[place[-1]]
    assert CONTRACT.faults("edge/gate-pi/health", json.dumps(content).encode())


@given(st.binary(max_size=64))
def test_whatever_comes_is_judged_and_raises_nothing(payload: bytes) -> None:
    for channel in CHANNELS.values():
        topic = channel.at(**{name: parameter.example for name, parameter in PARAMETERS.items()})
        for fault in CONTRACT.faults(topic, payload):
            assert fault.isprintable()


@pytest.mark.parametrize(
    ("line", "faults"),
    [
        ("", []),
        ('{"topic":"edge/d/status","payload":"online"}', []),
        ('{"topic":"edge/d/camera/c/count/person","payload":2}', []),
        ('{"topic":"edge/d/camera/c/count/person","payload":"2"}', []),  # as `watch --json` writes it
        ('{"topic":"edge/d/camera/c/count/person","payload":"two"}', ["7: edge/d/camera/c/count/person: no appl"]),
        ('{"topic":"edge/d/camera/c/count/person","payload":2.5}', ["7: edge/d/camera/c/count/person: count: $: 2.5"]),
        ('{"topic":"edge/d/pictures","payload":1}', ["7: edge/d/pictures: no such topic in the contract"]),
        ('{"topic":1,"payload":1}', ["7: the topic is no text"]),
        ('{"topic":"edge/d/status"}', ['7: no JSON object with "topic" and "payload"']),
        ("[]", ['7: no JSON object with "topic" and "payload"']),
        ("[" * 100_000, ['7: no JSON object with "topic" and "payload"']),
        ("7", ['7: no JSON object with "topic" and "payload"']),
        ("nothing", ['7: no JSON object with "topic" and "payload"']),
    ],
)
def test_recorded_lines_are_checked_one_by_one(line: str, faults: list[str]) -> None:
    found = list(contract.faults_in([*[""] * 6, line]))
    assert [one[: len(fault)] for one, fault in zip(found, faults, strict=True)] == faults


# Home Assistant

DISCOVERY = GOLDEN["camera_discovery", "usual"]
DISCOVERY_TOPIC = "homeassistant/device/gate-pi/front/config"


@pytest.mark.parametrize(
    ("path", "change", "fault"),
    [
        ("motion", {}, None),
        ("motion", {"entity_picture": "/9j/"}, "Additional properties are not allowed ('entity_picture' was unexp"),
        ("motion", {"device_class": "presence"}, ".device_class: 'presence' is not one of"),
        (
            "motion",
            {"state_topic": "edge/gate-pi/camera/front/picture"},
            ".state_topic: 'edge/gate-pi/camera/front/pic",
        ),
        ("motion", {"platform": "camera"}, ".platform: 'camera' is not one of"),
        ("motion", {"platform": "switch"}, "'name' is a required property"),
        ("count.person", {"value_template": "x"}, ".value_template: 'x' does not match"),
        ("count.person", {"unit_of_measurement": "heads"}, ".unit_of_measurement: 'heads' is not one of"),
        ("event", {"state_topic": "edge/gate-pi/camera/front/event/late"}, ".state_topic: "),
        ("event", {"qos": 0}, ".qos: 1 was expected"),
        ("detect", {"command_topic": "edge/gate-pi/command"}, ".command_topic: 'edge/gate-pi/command' does not match"),
        ("rate_hz", {"max": 1000}, ".max: 1000 is greater than the maximum of 60"),
        ("rule.dwell", {"type": "lingers"}, ".type: 'lingers' is not one of"),
        ("rule.dwell", {"payload": "x" * 100}, ".payload: "),
    ],
)
def test_a_component_keeps_to_the_contract_or_it_is_said_why_not(
    path: str, change: dict[str, Any], fault: str | None
) -> None:
    content = json.loads(DISCOVERY)
    content["components"][path] |= change
    faults = CONTRACT.faults(DISCOVERY_TOPIC, json.dumps(content).encode())
    assert bool(faults) is (fault is not None)
    place = f"$.components.{path}" if "." not in path else f"$.components['{path}']"
    assert all(one.startswith(f"discovery: {place}") for one in faults)
    assert fault is None or any(fault in one for one in faults), faults


@pytest.mark.parametrize(
    ("topic", "payload", "fault"),
    [
        (DISCOVERY_TOPIC, b"", None),  # the camera is gone
        ("homeassistant/device/gate-pi/config", GOLDEN["discovery", "usual"], None),
        (
            "homeassistant/device/gate-pi/config",
            DISCOVERY,
            "discovery: $.device.identifiers: is ['edge-agent.gate-pi.f",
        ),
        ("homeassistant/device/gate-pi/back/config", DISCOVERY, "discovery: $.device.identifiers: is ['edge-agent.gat"),
        (DISCOVERY_TOPIC, changed(DISCOVERY, ("origin.name", "other")), "discovery: $.origin.name: 'edge-agent' was"),
        (DISCOVERY_TOPIC, changed(DISCOVERY, ("device.name", "a\nb")), "discovery: $.device.name: 'a\\nb' does not"),
        (DISCOVERY_TOPIC, b" " * 65537, "65537 bytes, the limit is 65536"),
        ("homeassistant/status", b"online", None),
        ("homeassistant/status", b"born", "birth: $: 'born' is not one of ['online', 'offline']"),
    ],
)
def test_a_message_for_home_assistant_keeps_to_the_contract_too(topic: str, payload: bytes, fault: str | None) -> None:
    found = CONTRACT.faults(topic, payload)
    assert [one[: len(fault or "")] for one in found] == ([fault] if fault else [])


def test_the_golden_discovery_shows_each_platform_and_each_kind_of_trigger() -> None:
    schema = contract.schema("discovery")["$defs"]
    said = [json.loads(GOLDEN[key]) for key in GOLDEN if key[0] in {"discovery", "camera_discovery"}]
    found = [part for content in said for part in content["components"].values()]
    [known] = [part for part in schema["component"]["else"]["allOf"] if "if" not in part]
    assert {part["platform"] for part in found} == set(known["properties"]["platform"]["enum"])
    assert {part["type"] for part in found if "type" in part} == set(schema["trigger"]["properties"]["type"]["enum"])
    for platform in ("binary_sensor", "sensor", "event", "switch", "number"):  # no key that nobody writes
        written = {key for part in found if part["platform"] == platform for key in part}
        assert written == set(schema[platform]["properties"])


# Commands

LEFT_OUT = object()
CAMERAS = (LEFT_OUT, "front", None, 7)
VALUES = (LEFT_OUT, "ON", "OFF", "on", None, 0, 0.4, 1, 5, 60, 61, -1, True)
TIMES_S = (LEFT_OUT, None, 0, 1, 3600.5, 1e9, "1h", False)


def is_taken(asked: dict[str, Any]) -> bool:
    """Whether the agent takes a command; its schema has to say the same."""
    payload = json.dumps(asked).encode()
    taken = not isinstance(read_command(payload, {"front"}), Refusal)
    assert (CONTRACT.faults("edge/d/command", payload) == []) is taken, asked
    return taken


@pytest.mark.parametrize("name", NAMES)
def test_the_schema_of_commands_takes_the_arguments_that_the_agent_takes_and_no_others(name: str) -> None:
    taken = 0
    for camera, value, for_s in itertools.product(CAMERAS, VALUES, TIMES_S):
        args = {"camera": camera, "value": value, "for_s": for_s}
        taken += is_taken({"name": name, "args": {key: one for key, one in args.items() if one is not LEFT_OUT}})
    # Of restart_camera one camera, of resume also none or null, of pause these three with four times; of the settings
    # one camera with null, and of detect ON and OFF, of threshold 0.4 and 1, of rate_hz 0.4, 1, 5 and 60.
    counts = {"restart_camera": 1, "resume": 3, "pause": 12, "detect": 3, "threshold": 3, "rate_hz": 5}
    assert taken == counts.get(name, 1)


@pytest.mark.parametrize(
    ("asked", "taken"),
    [
        ({"name": "ping"}, True),
        ({"name": "ping", "id": "a:b.c-d_e"}, True),
        ({"name": "ping", "id": None}, True),
        ({"name": "ping", "id": 1}, False),
        ({"name": "ping", "id": ""}, False),
        ({"name": "ping", "id": "x" * 65}, False),
        ({"name": "ping", "id": "a b"}, False),
        ({"name": "ping", "args": None}, False),
        ({"name": "ping", "args": []}, False),
        ({"name": "ping", "args": {"extra": 1}}, False),
        ({"name": "ping", "extra": 1}, False),
        ({"name": "reboot"}, False),
        ({"name": None}, False),
        ({"name": "detect"}, False),
        ({}, False),
    ],
)
def test_the_schema_of_commands_takes_the_whole_that_the_agent_takes_and_no_other(
    asked: dict[str, Any], *, taken: bool
) -> None:
    assert is_taken(asked) is taken


@given(st.sampled_from(["ON", "OFF", "DEFAULT", "AUTO", "0.4", "1", "60", "0.123456", "-1", "x", "1.", ".5", "1" * 40]))
def test_what_the_schema_of_a_setting_takes_the_agent_can_read(word: str) -> None:
    for name, most in (("detect", 0), ("threshold", 1), ("rate_hz", 60)):
        read = read_setting("front", name, word.encode(), {"front"})
        is_out_of_range = word[0] in "-.0123456789" and not 0 < float(word) <= most
        assert CONTRACT.faults(f"edge/d/camera/front/set/{name}", word.encode()) or (
            not isinstance(read, Refusal) or is_out_of_range
        )


# What reports make of sentences that others had a part in

LONG = "the camera says:\nerror \x1b[31m" + "x" * 1000


def test_sentences_in_reports_are_one_line_and_bounded_whatever_came() -> None:
    camera = reports.camera_health(
        CaptureStatus(state="backoff", reason=LONG, since_utc_ns=0, fps=1e9),
        TriggerStatus(state="blind", reason=LONG),
        LooksStatus(),
        Meter(lambda: 0.0),
        taken={},
        scene=Scene(held=False, changes=0),
        learnt=Learnt.nothing(("person",)),
    )
    content = {**HEALTH, "cameras": {"front": camera}}
    assert CONTRACT.faults("edge/gate-pi/health", json.dumps(content).encode()) == []
    for reason in (camera["reason"], camera["triggers"]["reason"]):
        assert reason.startswith("the camera says: error [31mxxx")
        assert len(reason) == 300
        assert reason.endswith("x…")
    assert camera["fps"] == 1000.0


def test_names_and_whys_in_capabilities_are_one_line_and_bounded_whatever_came() -> None:
    settings = Settings.model_validate(
        {"device": {"id": "box", "name": "two\nlines"}, "cameras": [{"id": "front", "source": "rtsp://192.0.2.6/"}]}
    )
    told = {"provider": "CPUExecutionProvider", "provider_why": LONG, "nodes": None, "fallback_nodes": None}
    told |= {"ms": 1.0, "memory_bytes": 1, "threads": 1, "tuned": LONG, "sha256": "0" * 64, "input_size": (32, 32)}
    vision = SimpleNamespace(name=f"{LONG}.onnx", head=SimpleNamespace(family="nanodet"), **told)
    decoder = DecoderStatus(requested="auto", active="", why=LONG)
    status = CaptureStatus(state="streaming", reason="", since_utc_ns=0, basis=LONG, decoder=decoder)
    clock: Any = SimpleNamespace(utc_synced=lambda: True)
    content = reports.capabilities(settings, vision, {"front": status}, clock)  # type: ignore[arg-type]
    payload = native.report("edge/box/capabilities", content).payload
    assert CONTRACT.faults("edge/box/capabilities", payload) == []
    front = content["cameras"]["front"]
    sentences = [content["model"]["tuned"], content["provider"]["why"], front["decodes"], front["decoder"]["why"]]
    assert [len(sentence) for sentence in sentences] == [300] * 4
    assert content["device"]["name"] == "two lines"
    assert len(content["model"]["name"]) == 128


@pytest.mark.parametrize("name", ["health", "capabilities"])
def test_of_very_many_cameras_is_said_what_there_is_room_for_and_no_agent_ends_for_it(name: str) -> None:
    topic = f"edge/gate-pi/{name}"
    content = json.loads(GOLDEN[name, "usual"])
    one = next(iter(content["cameras"].values()))

    def cameras(count: int) -> dict[str, Any]:
        return {**content, "cameras": {f"camera-{number}": one for number in range(count)}}

    for count in (1, 20):
        message = reports.fitting(topic, cameras(count))
        assert message
        assert json.loads(message.payload) == cameras(count)
    count = 90
    message = reports.fitting(topic, cameras(count))
    assert message
    assert CONTRACT.faults(topic, message.payload) == []
    said = json.loads(message.payload)["cameras"]
    assert len(said) == count
    assert {camera.get("state") for camera in said.values()} == {one.get("state")}
    assert reports.fitting(topic, cameras(2000)) is None


# AsyncAPI


def test_the_document_is_the_same_bytes_each_time_and_every_reference_leads_somewhere(
    capsys: pytest.CaptureFixture[str],
) -> None:
    printed = []
    for _ in range(2):
        assert main(["schema", "asyncapi"]) == 0
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1]
    assert printed[0].isascii()
    document = json.loads(printed[0])
    assert document["info"]["version"] == edge_agent.__version__
    references = re.findall(r'"\$ref": "#/([^"]+)"', printed[0])
    assert len(references) > len(CHANNELS)
    for reference in references:
        target = document
        for step in reference.split("/"):
            target = target[step]


def test_the_document_says_of_each_channel_who_sends_how() -> None:
    document = contract.document("1")
    for name, channel in CHANNELS.items():
        assert document["channels"][name]["address"] == channel.address
        assert list(document["channels"][name].get("parameters", ())) == list(channel.parameters)
        if channel.kind == "answer":
            continue
        action = "receive" if channel.heard else "send"
        operation = document["operations"][f"{action}.{name}"]
        assert operation["action"] == action
        kept = "retained" if channel.retained else "passing"
        assert operation["bindings"] == {"$ref": f"#/components/operationBindings/{kept}"}
        assert ("reply" in operation) is (channel.kind == "command")
    bindings = document["components"]["operationBindings"]
    assert (bindings["retained"]["mqtt"]["retain"], bindings["passing"]["mqtt"]["retain"]) == (True, False)
    assert {binding["mqtt"]["qos"] for binding in bindings.values()} == {1}


def test_the_schemas_of_the_document_mean_what_ours_mean() -> None:
    document = contract.document("1")
    for name in SCHEMAS:
        older = document["components"]["schemas"][name]
        jsonschema.Draft7Validator.check_schema(older)
        assert "$ref" not in json.dumps(older)
    for (name, _example), payload in GOLDEN.items():
        channel = CHANNELS[name]
        older = jsonschema.Draft7Validator(document["components"]["schemas"][channel.schema])
        value = payload.decode() if channel.media_type == "text/plain" else json.loads(payload)
        newer = jsonschema.Draft202012Validator(contract.schema(channel.schema))
        older.validate(value)
        for wrong in (wrong for one in handy(value) for wrong in spoilt(one)):
            assert older.is_valid(wrong) is newer.is_valid(wrong), wrong


def handy(value: Any) -> Iterator[Any]:
    """A value; one with many components comes with one at a time, of those with the same keys only the first."""
    if isinstance(value, dict) and "components" in value:
        alike = {(part["platform"], *part): path for path, part in reversed(value["components"].items())}
        yield from ({**value, "components": {path: value["components"][path]}} for path in alike.values())
    else:
        yield value


def spoilt(value: Any) -> Iterator[Any]:
    """A value with something else in each of its places in turn, without it, and with something more."""
    yield from ("x" * 1000, -1e18, None, {"thumbnail": ""})
    if isinstance(value, dict):
        yield {**value, "thumbnail": ""}
        for key, child in value.items():
            yield {name: one for name, one in value.items() if name != key}
            yield from ({**value, key: wrong} for wrong in spoilt(child))
    elif isinstance(value, list):
        yield [*value, *value, "x"]
        for place, child in enumerate(value):
            yield from ([*value[:place], wrong, *value[place + 1 :]] for wrong in spoilt(child))


IN_BOTH = {
    "$schema", "$id", "$defs", "$ref", "title", "description", "type", "enum", "const", "pattern", "maxLength",
    "minimum", "maximum", "exclusiveMinimum", "minItems", "maxItems", "uniqueItems", "items", "properties",
    "required", "additionalProperties", "propertyNames", "maxProperties", "if", "then", "else", "not", "anyOf", "allOf",
}  # fmt: skip
"""Keywords that mean the same in JSON Schema draft 7, which AsyncAPI reads, and 2020-12."""


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_schema_uses_only_what_both_drafts_understand(name: str) -> None:
    def words(schema: Any, *, names: bool = False) -> Iterator[str]:
        if isinstance(schema, dict):
            for key, value in schema.items():
                if not names:
                    yield key
                yield from words(value, names=not names and key in {"properties", "$defs"})
        elif isinstance(schema, list):
            for one in schema:
                yield from words(one)

    assert set(words(contract.schema(name))) <= IN_BOTH


def test_with_a_configuration_the_document_has_the_very_topics_and_the_broker_and_no_secret(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "gate.yaml"
    config.write_text(
        "device: {id: gate}\n"
        "mqtt:\n"
        "  {url: 'mqtts://broker.example:8884', urls: ['mqtts://[::1]'],\n"
        "   username: edge, password: geheim, prefix: site/edge}\n"
        "cameras:\n"
        "  - id: front\n"
        "    source: rtsp://viewer:geheim@192.0.2.6/\n"
        "    detect: {labels: [person, traffic light]}\n"
        "    zones: {porch: {polygon: [[0.1, 0.2], [0.6, 0.2], [0.6, 0.9]], labels: [person]}}\n"
        "    lines: {door: {from: [0.2, 0.5], to: [0.8, 0.5], labels: [person]}}\n"
    )
    assert main(["schema", "asyncapi", "-c", str(config)]) == 0
    out = capsys.readouterr().out
    document = json.loads(out)
    front = "site/edge/gate/camera/front"
    states = ("status", "motion", "detect", "threshold", "rate_hz", "event", "event/late")
    assert {channel["address"] for channel in document["channels"].values()} == {
        *(f"site/edge/gate/{state}" for state in ("status", "health", "capabilities", "command", "command/result")),
        *(f"{front}/{state}" for state in states),
        *(f"{front}/set/{value}" for value in ("detect", "threshold", "rate_hz")),
        f"{front}/count/person",
        f"{front}/count/traffic_light",
        f"{front}/zone/porch/count/person",
        f"{front}/line/door/count/person/in",
        f"{front}/line/door/count/person/out",
    }
    assert not any("parameters" in channel for channel in document["channels"].values())
    server = document["servers"]["broker"]
    second = document["servers"]["broker_2"]
    assert (second["host"], second["protocol"]) == ("[::1]:8883", "secure-mqtt")
    assert (server["host"], server["protocol"]) == ("broker.example:8884", "secure-mqtt")
    assert server["security"] == [{"$ref": "#/components/securitySchemes/password"}]
    assert server["bindings"]["mqtt"]["lastWill"]["topic"] == "site/edge/gate/status"
    assert "geheim" not in out
    assert "192.0.2.6" not in out.replace("rtsp://192.0.2.6", "").replace("rtsp://192.0.2.7", "")


@pytest.mark.parametrize("discovery", [True, False])
def test_what_is_for_home_assistant_is_in_a_devices_document_where_it_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], *, discovery: bool
) -> None:
    config = tmp_path / "gate.yaml"
    config.write_text(
        "device: {id: gate}\n"
        f"homeassistant: {{discovery: {str(discovery).lower()}, prefix: house/ha}}\n"
        "cameras: [{id: front, source: 'rtsp://192.0.2.6/'}]\n"
    )
    assert main(["schema", "asyncapi", "-c", str(config)]) == 0
    document = json.loads(capsys.readouterr().out)
    addresses = {channel["address"] for channel in document["channels"].values()}
    told = {"house/ha/device/gate/config", "house/ha/device/gate/front/config", "house/ha/status"}
    assert addresses & told == (told if discovery else set())
    assert [one for one in addresses if not one.startswith(("edge/gate/", "house/ha/"))] == []
    for kind, names in (("schemas", {"discovery", "birth"}), ("messages", {"discovery", "camera_discovery", "birth"})):
        assert document["components"][kind].keys() & names == (names if discovery else set())
    operations = {"send.discovery", "send.camera_discovery.front", "receive.birth"}
    assert document["operations"].keys() & operations == (operations if discovery else set())


# The command


def test_the_command_lists_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [channel.address for channel in CHANNELS.values()]
    assert main(["schema", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [(row["channel"], row["retained"], row["schema"]) for row in rows] == [
        (channel.name, channel.retained, channel.schema) for channel in CHANNELS.values()
    ]


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_command_prints_a_schema_as_it_lies_in_the_package(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema", name]) == 0
    assert capsys.readouterr().out == contract.schema_text(name)


def test_the_command_prints_examples_and_finds_nothing_wrong_with_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["schema", "examples"]) == 0
    recorded = tmp_path / "messages.jsonl"
    recorded.write_text(capsys.readouterr().out)
    assert main(["schema", "check", str(recorded)]) == 0
    assert capsys.readouterr().out == ""
    with recorded.open("a") as file:
        file.write('{"topic":"edge/d/status","payload":"away"}\n')
    assert main(["schema", "check", str(recorded)]) == 1
    number = len(GOLDEN) + 1
    assert capsys.readouterr().out == (
        f"{recorded}:{number}: edge/d/status: status: $: 'away' is not one of ['online', 'offline']\n"
    )


@pytest.mark.parametrize(
    ("arguments", "code", "line"),
    [
        (["check"], 78, "schema check needs a file of messages, one JSON object a line; - is the standard input"),
        (["check", "none.jsonl"], 78, "none.jsonl cannot be read: No such file or directory"),
        (["check", "."], 78, ". cannot be read: Is a directory"),
        (["event", "some.jsonl"], 78, "some.jsonl: only `schema check` takes a file of messages"),
        (["event", "-c", "a.yaml"], 78, "-c a.yaml: only `schema asyncapi` is made for a device"),
    ],
)
def test_a_wrong_use_of_the_command_is_one_line(
    arguments: list[str], code: int, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["schema", *arguments]) == code
    assert capsys.readouterr().err == f"edge-agent: {line}\n"


def test_without_the_library_only_the_check_is_missed_and_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(runtimes.importlib, "import_module", _absent)
    with pytest.raises(RuntimeMissingError):
        contract.Contract()
    monkeypatch.undo()
    assert main(["schema", "event"]) == 0
    assert capsys.readouterr().out


def _absent(name: str) -> None:
    raise ImportError(name)
