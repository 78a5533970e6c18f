"""What a device says is what its contract says, and a message without a schema fails the test that produced it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import program
import pytest
from brokers import Listener, Mosquitto, listening, needs_mosquitto, until
from golden import GOLDEN
from paho.mqtt import publish
from program import LOOP, PATIENCE_S, ROOT, SOON_S, ZONES

from edge_agent import app, reports
from edge_agent.clips import PEDESTRIANS
from edge_agent.config import Settings

pytestmark = needs_mosquitto

EVENT = GOLDEN["event", "new"].replace(b"gate-pi", b"box")
HEALTH = GOLDEN["health", "usual"]


def with_field(payload: bytes, *path: str) -> bytes:
    """The payload with a field more, called `extra`, at a place."""
    content = json.loads(payload)
    target = content
    for key in path:
        target = target[key]
    target["extra"] = 1
    return json.dumps(content).encode()


@pytest.mark.parametrize(
    ("topic", "payload", "retain", "qos", "fault"),
    [
        ("camera/front/event", with_field(EVENT), False, 1, r"event: \$: .*'extra' was unexpected"),
        ("camera/front/event", with_field(EVENT, "object"), False, 1, r"event: \$.object: .*'extra' was unexpected"),
        ("health", with_field(HEALTH), True, 1, r"health: \$: .*'extra' was unexpected"),
        ("health", with_field(HEALTH, "cameras", "front"), True, 1, r"health: \$.cameras.front: .*'extra' was unexp"),
        ("camera/front/event", EVENT, True, 1, "it is retained"),
        ("health", HEALTH, False, 1, "it is not retained"),
        ("health", HEALTH, True, 0, "its QoS is 0, must be 1"),
        ("health", HEALTH, True, 2, "its QoS is 2, must be 1"),
        ("camera/front/snapshot", b"", True, 1, "0 channels of the contract have this topic"),
    ],
)
def test_a_message_that_breaks_the_contract_fails_the_test_that_hears_it(
    broker: Mosquitto, topic: str, payload: bytes, qos: int, fault: str, *, retain: bool
) -> None:
    def hear() -> None:
        with listening(broker.port) as news:
            publish.single(f"{ROOT}/{topic}", payload, qos=qos, retain=retain, port=broker.port)
            until(lambda: news.heard)

    with pytest.raises(AssertionError, match=fault):
        hear()


def test_a_message_for_home_assistant_that_breaks_it_fails_the_test_too(broker: Mosquitto) -> None:
    broken = with_field(GOLDEN["discovery", "usual"], "components", "uptime")

    def hear() -> None:
        with listening(broker.port) as news:
            topic = "homeassistant/device/gate-pi/config"
            publish.single(topic, broken, qos=1, retain=True, port=broker.port)
            until(lambda: news.heard)

    with pytest.raises(AssertionError, match=r"discovery: \$.components.uptime: .*'extra' was unexpected"):
        hear()


def test_messages_that_keep_to_it_pass_and_what_others_tell_the_agent_is_their_own_affair(broker: Mosquitto) -> None:
    with listening(broker.port) as news:
        for topic, payload, retain in (
            ("camera/front/event", EVENT, False),
            ("health", HEALTH, True),
            ("health", b"", True),
            ("command", b"{not even JSON", True),
        ):
            publish.single(f"{ROOT}/{topic}", payload, qos=1, retain=retain, port=broker.port)
        until(lambda: len(news.heard) == 4)


def test_a_field_that_is_added_to_a_report_without_its_schema_fails_the_test(
    tmp_path: Path, broker: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    original: Callable[..., dict[str, Any]] = reports.health
    monkeypatch.setattr(reports, "health", lambda **known: {**original(**known), "mood": "good"})
    settings = Settings.model_validate(
        {
            "device": {"id": "box"},
            "mqtt": {"url": broker.url},
            "outbox": {"path": tmp_path / "outbox.db"},
            "cameras": [{"id": "front", "source": f"file://{PEDESTRIANS}", "enabled": False}],
        }
    )
    stop = threading.Event()
    agent = threading.Thread(target=app.Agent(settings=settings).run, args=(stop,))

    def hear() -> None:
        with listening(broker.port) as news:
            agent.start()
            try:
                until(lambda: news.payloads(f"{ROOT}/health"), within_s=SOON_S)
            finally:
                stop.set()
                agent.join(PATIENCE_S)

    with pytest.raises(AssertionError, match=r"health: \$: .*'mood' was unexpected"):
        hear()


def test_what_a_device_keeps_with_the_broker_is_what_asyncapi_says_of_it(
    tmp_path: Path, broker: Mosquitto, news: Listener
) -> None:
    lines = {"door": {"from": [0.2, 0.5], "to": [0.8, 0.5], "labels": ["person"]}}
    looks_for = {"detect": {"labels": ["person", "traffic light"]}}
    cameras = [
        program.camera("left", zones=ZONES, lines=lines, **looks_for, **LOOP),
        program.camera("right", enabled=False),
    ]
    told = {"discovery": True}
    with program.running(tmp_path, *cameras, mqtt={"url": broker.url}, homeassistant=told) as agent:
        program.wait_for_new(news)
        until(lambda: news.payloads("homeassistant/device/box/right/config"), within_s=SOON_S)
        until(lambda: news.payloads(f"{ROOT}/health"), within_s=SOON_S)
        assert agent.stop() == 0
        printed = program.run_program("schema", "asyncapi", "-c", agent.config, cwd=tmp_path)
    document = json.loads(printed.stdout)
    assert kept(document) == {heard.topic for heard in news.heard if heard.retain}
    assert passing(document) >= {heard.topic for heard in news.heard if not heard.retain} > set()


def kept(document: dict[str, Any]) -> set[str]:
    """The topics of which a document says that they are retained."""
    return _sent(document, "retained")


def passing(document: dict[str, Any]) -> set[str]:
    """The topics of which it says that they are not."""
    return _sent(document, "passing")


def _sent(document: dict[str, Any], how: str) -> set[str]:
    found = set()
    for operation in document["operations"].values():
        channel = document["channels"][operation["channel"]["$ref"].rpartition("/")[2]]
        if operation["action"] == "send" and operation["bindings"]["$ref"].endswith(how):
            found.add(channel["address"])
    return found


def test_what_is_recorded_of_a_replay_keeps_to_the_contract(tmp_path: Path) -> None:
    config = program.write_config(
        tmp_path / "config.yaml", {"device": {"id": "box"}, "cameras": [program.camera(zones=ZONES)]}
    )
    program.run_program("replay", PEDESTRIANS, "-c", config, "--events", "events.jsonl", cwd=tmp_path)
    assert len((tmp_path / "events.jsonl").read_text().splitlines()) > 10
    done = program.run_program("schema", "check", "events.jsonl", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
