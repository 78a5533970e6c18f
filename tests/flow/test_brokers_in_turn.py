"""The agent with a second broker: health says with whom it is and why, and it comes home when the first is back."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import program
from brokers import Listener, Mosquitto, listening, needs_mosquitto, running, until
from program import PATIENCE_S, ROOT, camera

HEALTH, STATUS = f"{ROOT}/health", f"{ROOT}/status"


def connection(listener: Listener) -> dict[str, Any]:
    """What the newest health says of the connection."""
    reports = listener.payloads(HEALTH)
    return json.loads(reports[-1])["mqtt"] if reports else {}


@needs_mosquitto
def test_the_agent_goes_to_the_second_broker_says_so_and_comes_home(tmp_path: Path) -> None:
    for name in ("first", "agent"):
        (tmp_path / name).mkdir()
    first = Mosquitto(tmp_path / "first")
    with running(tmp_path) as second, listening(second.port) as listener, ExitStack() as stack:
        stack.callback(first.stop)
        mqtt = {"url": first.url, "urls": [second.url], "return_every_s": 1, "username": "edge", "password": "hunter2"}
        source = camera("front", tmp_path / "nothing.mp4")  # health is sent when its state changes, which it does often
        with program.running(tmp_path / "agent", source, mqtt=mqtt) as agent:
            until(lambda: connection(listener).get("broker"), within_s=PATIENCE_S)
            said = connection(listener)
            assert (said["broker"], said["protocol"]) == (second.url, "5")
            assert said["since"].endswith("Z")
            assert (
                said["reason"] == f"broker {first.url}: nobody listens there; check the port, and that the broker runs"
            )
            first.start()
            with listening(first.port) as home:
                until(lambda: connection(home).get("broker") == first.url, within_s=PATIENCE_S)
                assert connection(home)["reason"] == said["reason"]  # to leave is no failure
                until(lambda: listener.payloads(STATUS)[-1:] == [b"offline"])
                until(lambda: home.payloads(STATUS)[-1:] == [b"online"])
            agent.stop(within_s=PATIENCE_S)
            assert f"broker {first.url}: it is back; leaving {second.url}" in agent.log
            assert "hunter2" not in agent.log + str(listener.heard)
