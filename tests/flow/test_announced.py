"""The daemon and Home Assistant's topics: what it announces is there, comes again, and goes when it is gone."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from brokers import Listener, Mosquitto, needs_mosquitto, say, until
from brokers import running as running_broker
from program import DEVICE, LOOP, PATIENCE_S, ROOT, ZONES, Agent, camera, run_program

pytestmark = needs_mosquitto

HOME: dict[str, Any] = {"discovery": True, "jitter_s": 0.1}
BOX, FRONT, BACK = (f"homeassistant/device/{DEVICE}{end}/config" for end in ("", "/front", "/back"))
BIRTH = "homeassistant/status"
LINES = {"middle": {"from": [0.5, 0.0], "to": [0.5, 1.0]}}

MQTT: dict[str, Any] = {"ack_timeout_s": 1}
"""So that the agent believes after 6 s that what it has sent has arrived."""


def an_agent(folder: Path, broker: Mosquitto, *cameras: Mapping[str, Any], **home: Any) -> Agent:
    return Agent(folder, *cameras, mqtt={"url": broker.url, **MQTT}, homeassistant={**HOME, **home})


def retained(port: int) -> dict[str, bytes]:
    """What the broker keeps now: what comes before Home Assistant says that it goes, which changes nothing."""
    with closing(Listener(port)) as listener:
        say(port, BIRTH, b"offline")
        listener.wait_for(BIRTH, b"offline")
        return {heard.topic: heard.payload for heard in listener.heard if heard.retain}


def announced(kept: Mapping[str, bytes], topic: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(kept[topic])
    return content


def topics_read(content: Any) -> Iterator[str]:
    """Every topic that Home Assistant reads for the last value of something."""
    if isinstance(content, dict):
        for key, value in content.items():
            if isinstance(value, str) and (key in {"topic", "state_topic", "json_attributes_topic"}):
                yield value
            else:
                yield from topics_read(value)
    elif isinstance(content, list):
        for value in content:
            yield from topics_read(value)


def wait_until_kept(port: int, *topics: str) -> None:
    until(lambda: set(topics) <= retained(port).keys(), f"never kept: {topics}", PATIENCE_S)


def wait_until_cleared(port: int, *topics: str) -> None:
    until(lambda: not set(topics) & retained(port).keys(), f"never cleared: {topics}", PATIENCE_S)


def is_said_again(listener: Listener, since: int, *topics: str) -> bool:
    return set(topics) <= {heard.topic for heard in listener.heard[since:]}


def test_all_that_is_announced_has_a_value_and_comes_again_when_home_assistant_starts(
    tmp_path: Path, broker: Mosquitto, news: Listener
) -> None:
    agent = an_agent(tmp_path, broker, camera(zones=ZONES, lines=LINES, **LOOP))
    agent.start()
    try:
        wait_until_kept(broker.port, BOX, FRONT)
        kept = retained(broker.port)
        read = {topic for one in (BOX, FRONT) for topic in topics_read(announced(kept, one))}
        assert read - kept.keys() == {f"{ROOT}/camera/front/event"}  # the only one that is no state
        since = len(news.heard)
        say(broker.port, BIRTH, b"online")
        states = read & kept.keys()
        until(lambda: is_said_again(news, since, BOX, FRONT, *states), within_s=PATIENCE_S)
    finally:
        agent.kill()
    assert "Traceback" not in agent.log


def test_what_is_gone_after_a_change_is_taken_away_and_switched_off_everything(
    tmp_path: Path, broker: Mosquitto, news: Listener
) -> None:
    both = (camera(zones=ZONES, **LOOP), camera("back", enabled=False))
    agent = an_agent(tmp_path, broker, *both)
    agent.start()
    try:
        wait_until_kept(broker.port, BOX, FRONT, BACK)
        agent.kill()

        # the back camera and the zone `road` are gone, and so is the file: as with a new SD card
        (agent.outbox.parent / "homeassistant.json").unlink()
        zones = {"crossing": ZONES["crossing"]}
        agent = an_agent(tmp_path, broker, camera(zones=zones, **LOOP))
        agent.start()
        wait_until_cleared(broker.port, BACK)
        parts = announced(retained(broker.port), FRONT)["components"]
        assert parts["zone.road.count.person"] == {"platform": "sensor"}
        assert len(parts["zone.crossing.count.person"]) > 1
        agent.kill()

        # at the next start it is as if it had never been
        agent = an_agent(tmp_path, broker, camera(zones=zones, **LOOP))
        agent.start()
        until(
            lambda: "zone.road.count.person" not in announced(retained(broker.port), FRONT)["components"],
            within_s=PATIENCE_S,
        )
        agent.kill()

        agent = an_agent(tmp_path, broker, camera(zones=zones, **LOOP), discovery=False)
        agent.start()
        wait_until_cleared(broker.port, BOX, FRONT)
        file = agent.outbox.parent / "homeassistant.json"
        is_forgotten = "it is never sure that everything is cleared"
        until(lambda: json.loads(file.read_text())["topics"] == [], is_forgotten, PATIENCE_S)
        assert len(news.payloads(FRONT)) > 3  # all of which kept to the contract: `news` sees to it
    finally:
        agent.kill()
    assert "Traceback" not in agent.log


# Taking it back by hand


@pytest.fixture
def houses(broker: Mosquitto) -> Mosquitto:
    """A broker that keeps what two agents and somebody else have said."""
    ours = {"origin": {"name": "edge-agent"}, "components": {"status": {"platform": "sensor", "unique_id": "x"}}}
    others = {**ours, "origin": {"name": "zigbee2mqtt"}}
    for topic, content, name in (
        ("homeassistant/device/old/config", ours, "Old"),
        ("homeassistant/device/old/front/config", ours, "Old front"),
        ("homeassistant/device/old/lamp/config", others, "Lamp"),
        ("homeassistant/device/new/config", ours, "New"),
        ("homeassistant/sensor/old/config", ours, "Single"),
    ):
        say(broker.port, topic, json.dumps({**content, "device": {"name": name}}).encode(), retain=True)
    say(broker.port, "homeassistant/device/old/broken/config", b"{", retain=True)
    return broker


def test_purge_clears_what_a_device_has_said_and_nothing_else(tmp_path: Path, houses: Mosquitto) -> None:
    before = retained(houses.port).keys()
    command = ("ha", "purge", "--broker", houses.url, "--device", "old")
    dry = run_program(*command, "--dry-run", cwd=tmp_path)
    assert dry.stdout.splitlines() == [
        'homeassistant/device/old/config: would be cleared: "Old", 1 entities and triggers',
        'homeassistant/device/old/front/config: would be cleared: "Old front", 1 entities and triggers',
    ]
    assert retained(houses.port).keys() == before
    done = run_program(*command, cwd=tmp_path)
    assert done.stdout == dry.stdout.replace("would be cleared", "cleared")
    assert (done.stderr, done.returncode) == ("", 0)
    gone = {"homeassistant/device/old/config", "homeassistant/device/old/front/config"}
    assert retained(houses.port).keys() == before - gone
    again = run_program(*command, cwd=tmp_path)
    assert again.stdout == "nothing of device old below homeassistant/device; agents that are there: new\n"


def test_purge_takes_broker_prefix_and_device_from_a_configuration(tmp_path: Path, houses: Mosquitto) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(
        f"device: {{id: new}}\nmqtt: {{url: '{houses.url}'}}\ncameras: [{{id: front, source: 'file://x'}}]\n"
    )
    done = run_program("ha", "purge", "-c", file, "--json", cwd=tmp_path)
    assert json.loads(done.stdout) == [
        {"topic": "homeassistant/device/new/config", "agent": "new", "name": "New", "parts": 1}
    ]
    assert "homeassistant/device/new/config" not in retained(houses.port)


def test_purge_says_what_it_may_not_do(tmp_path: Path) -> None:
    users = tmp_path / "acl"
    users.write_text("topic readwrite #\n")
    ours = {"origin": {"name": "edge-agent"}, "device": {"name": "Old"}, "components": {}}
    keeps = ("persistence true", f"persistence_location {tmp_path}/")
    with running_broker(tmp_path, f"acl_file {users}", *keeps) as broker:
        say(broker.port, "homeassistant/device/old/config", json.dumps(ours).encode(), retain=True)
        users.write_text("topic read #\n")
        broker.finish()
        broker.start()
        done = run_program("ha", "purge", "--broker", broker.url, "--device", "old", cwd=tmp_path)
    assert done.returncode == 69
    assert done.stderr == (
        "edge-agent: homeassistant/device/old/config cannot be cleared: Not authorized; what may this user write?\n"
    )


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("purge", "--broker", "mqtt://127.0.0.1:1"), "ha purge: name the device to forget with --device ID"),
        (("show", "--broker", "mqtt://127.0.0.1:1"), "ha show: name the configuration with -c FILE"),
        (
            ("purge", "--broker", "mqtt://127.0.0.1:1", "--device", "x", "--prefix", "a/#"),
            "--prefix must be the first part of a topic, such as homeassistant",
        ),
        (("purge", "--broker", "http://x", "--device", "x"), "--broker must be mqtt://host:port or mqtts://host:port"),
    ],
)
def test_a_wrong_use_is_a_line(tmp_path: Path, arguments: tuple[str, ...], complaint: str) -> None:
    done = run_program("ha", *arguments, cwd=tmp_path)
    assert (done.stdout, done.stderr, done.returncode) == ("", f"edge-agent: {complaint}\n", 78)


def test_a_broker_that_is_not_there_is_a_line(tmp_path: Path) -> None:
    done = run_program("ha", "purge", "--broker", "mqtt://127.0.0.1:1", "--device", "x", cwd=tmp_path)
    assert done.returncode == 69
    assert done.stderr == (
        "edge-agent: broker mqtt://127.0.0.1:1: nobody listens there; check the port, and that the broker runs\n"
    )
