"""`edge-agent ghosts`: what a device that is called otherwise now has left on a real broker, listed and cleared."""

from __future__ import annotations

import json
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import program
import pytest
from brokers import Listener, Mosquitto, needs_mosquitto, say, until
from brokers import running as running_broker
from program import LOOP, PATIENCE_S, ROOT, ZONES, camera, run_program, write_config

LINES = {"middle": {"from": [0.5, 0.0], "to": [0.5, 1.0]}}
MARK = "zigbee2mqtt/pir"
STATES = ("status", "motion", "detect", "threshold", "rate_hz", "count/person")
OLD = "edge/old-pi"
OURS = {f"{OLD}/camera/front/{name}" for name in STATES} | {
    f"{OLD}/{name}" for name in ("status", "health", "capabilities")
}
OTHERS = {
    f"{OLD}/command",
    f"{OLD}/camera/front/set/detect",
    f"{OLD}/camera/front/count/a/b",
    "edge/old-pi2/status",
    "edge/new-pi/camera/front/motion",
    "edge/new-pi/status",
    "homeassistant/device/old-pi/config",
    "sites/old-pi/camera/front/motion",
}


def retained(broker: Mosquitto) -> set[str]:
    say(broker.port, MARK, b"x", retain=True)
    with closing(Listener(broker.port)) as listener:
        until(lambda: MARK in {heard.topic for heard in list(listener.heard)})
        threading.Event().wait(0.5)
        return {heard.topic for heard in listener.heard if heard.retain} - {MARK}


@pytest.fixture
def house(broker: Mosquitto) -> Mosquitto:
    """A broker that keeps what an old device, a new one and somebody else have said."""
    for topic in OURS | OTHERS:
        say(broker.port, topic, b"offline" if topic.endswith("status") else b"1", retain=True)
    say(broker.port, "edge/new-pi/status", b"online", retain=True)
    return broker


def config(folder: Path, broker: Mosquitto, device: str, **more: Any) -> Path:
    cameras = [{"id": "front", "source": "file://x", "detect": {"labels": ["person"]}}]
    return write_config(
        folder / f"{device}.yaml", {"device": {"id": device}, "mqtt": {"url": broker.url}, "cameras": cameras, **more}
    )


@needs_mosquitto
def test_what_an_old_name_has_left_is_listed_and_only_then_cleared_and_nothing_else(
    tmp_path: Path, house: Mosquitto
) -> None:
    before = retained(house)
    command = ("ghosts", "-c", config(tmp_path, house, "new-pi"), "--device", "old-pi")
    looked = run_program(*command, cwd=tmp_path)
    *states, status = [*sorted(OURS - {f"{OLD}/status"}), f"{OLD}/status"]
    foreign = sorted(topic for topic in OTHERS if topic.startswith(f"{OLD}/"))
    assert looked.stdout.splitlines() == [
        *(f"{topic}: would be cleared" for topic in (*states, status)),
        *(f"{topic}: left alone: an agent retains nothing there" for topic in foreign),
        "9 retained topics below edge/old-pi that no configuration given claims; --yes clears them",
    ]
    assert (looked.stderr, looked.returncode) == ("", 0)
    assert retained(house) == before

    done = run_program(*command, "--yes", cwd=tmp_path)
    assert done.stdout.splitlines() == [
        line.replace("would be", "is").replace("is cleared", "cleared") for line in looked.stdout.splitlines()[:-1]
    ]
    assert (done.stderr, done.returncode) == ("", 0)
    assert retained(house) == before - OURS

    again = run_program(*command, "--yes", cwd=tmp_path)
    assert again.stdout.splitlines()[-1] == (
        "nothing of an agent below edge/old-pi; other agents below edge: new-pi (online), old-pi2 (offline)"
    )


@needs_mosquitto
def test_what_a_configuration_given_claims_stays(tmp_path: Path, house: Mosquitto) -> None:
    gone = f"{OLD}/camera/back/motion"
    say(house.port, gone, b"OFF", retain=True)
    files = ("-c", config(tmp_path, house, "new-pi"), "-c", config(tmp_path, house, "old-pi"))
    done = run_program("ghosts", *files, "--device", "old-pi", "--yes", "--json", cwd=tmp_path)
    left = "left alone: an agent retains nothing there"
    foreign = sorted(topic for topic in OTHERS if topic.startswith(f"{OLD}/"))
    assert json.loads(done.stdout) == [
        {"topic": gone, "done": "cleared"},
        *({"topic": topic, "done": left} for topic in foreign),
    ]
    assert retained(house) == OURS | OTHERS
    again = run_program("ghosts", *files[2:], cwd=tmp_path)
    assert again.stdout.splitlines()[-1] == (
        "nothing of an agent below edge/old-pi but the 9 topics that a configuration given claims; "
        "other agents below edge: new-pi (online), old-pi2 (offline)"
    )


@needs_mosquitto
def test_an_old_prefix_is_another_place(tmp_path: Path, house: Mosquitto) -> None:
    file = config(tmp_path, house, "old-pi")
    done = run_program("ghosts", "-c", file, "--prefix", "sites", "--yes", cwd=tmp_path)
    assert done.stdout == "sites/old-pi/camera/front/motion: cleared\n"
    assert retained(house) == OURS | OTHERS - {"sites/old-pi/camera/front/motion"}


@needs_mosquitto
def test_a_real_agent_loses_nothing_while_it_runs_and_leaves_nothing_once_it_is_called_otherwise(
    broker: Mosquitto, tmp_path: Path
) -> None:
    front = camera(zones=ZONES, lines=LINES, **LOOP)
    command = ("ghosts", "--broker", broker.url, "--device", program.DEVICE)
    with program.running(tmp_path, front, mqtt={"url": broker.url}) as agent:
        until(lambda: f"{ROOT}/camera/front/zone/road/count/person" in retained(broker), within_s=PATIENCE_S)
        looked = run_program(*command, cwd=tmp_path)
        assert looked.stdout.endswith("claims; edge/box/status is online, stop that agent first\n")
        refused = run_program(*command, "--yes", cwd=tmp_path)
        assert (refused.stdout, refused.returncode) == ("", 78)
        assert refused.stderr == (
            "edge-agent: edge/box/status is online: stop the agent that runs under this name, and ask again; it clears "
            "by itself what its configuration no longer has. If none runs there: mosquitto_pub -r -n -t "
            "edge/box/status\n"
        )
        assert len(retained(broker)) == len(looked.stdout.splitlines()) - 1 > 10
        agent.stop(within_s=PATIENCE_S)
    kept = run_program("ghosts", "-c", agent.config, "--yes", cwd=tmp_path)  # stopped, but still called so
    assert "nothing of an agent below edge/box but the" in kept.stdout
    run_program(*command, "--yes", cwd=tmp_path)
    assert retained(broker) == set()


@needs_mosquitto
def test_a_broker_that_does_not_let_us_clear_is_a_line(tmp_path: Path) -> None:
    users = tmp_path / "acl"
    users.write_text("topic readwrite #\n")
    keeps = ("persistence true", f"persistence_location {tmp_path}/")
    with running_broker(tmp_path, f"acl_file {users}", *keeps) as broker:
        say(broker.port, f"{OLD}/status", b"offline", retain=True)
        users.write_text("topic read #\n")
        broker.finish()
        broker.start()
        done = run_program("ghosts", "--broker", broker.url, "--device", "old-pi", "--yes", cwd=tmp_path)
    assert done.returncode == 69
    assert done.stderr == (
        "edge-agent: edge/old-pi/status cannot be cleared: Not authorized; what may this user write?\n"
    )


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ((), "ghosts: name the device with --device ID"),
        (("--device", "#"), "--device must be 1 to 64 letters (a-z), digits, `-` or `_`"),
        (("--device", "x", "--prefix", "a/#"), "--prefix must be a topic"),
    ],
)
def test_a_wrong_use_is_a_line(tmp_path: Path, arguments: tuple[str, ...], complaint: str) -> None:
    done = run_program("ghosts", "--broker", "mqtt://127.0.0.1:1", *arguments, cwd=tmp_path)
    assert (done.stdout, done.stderr, done.returncode) == ("", f"edge-agent: {complaint}\n", 78)
