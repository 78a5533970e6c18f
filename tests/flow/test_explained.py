"""The trail of the running agent: written while it runs, there after a kill, gone when it is turned off."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import program
from brokers import Listener, Mosquitto, needs_mosquitto, until
from program import LOOP, PATIENCE_S, camera, run_program, wait_for_new

STOP_S = 5.0
RULES: dict[str, Any] = {
    "rules": [
        {"name": "there", "kind": "dwell", "after_s": 1},
        {"name": "long", "kind": "dwell", "after_s": "1h"},
    ],
    **LOOP,
}


def explain(config: Path, *arguments: str) -> tuple[int, str, str]:
    done = run_program("explain", *arguments, "-c", config, cwd=config.parent)
    return done.returncode, done.stdout, done.stderr


def loiters(news: Listener) -> list[dict[str, Any]]:
    return [event for event in program.events_in(news.heard) if event.get("rule", {}).get("name") == "there"]


def kept(folder: Path) -> str:
    return "".join(path.read_text() for path in folder.glob("*.jsonl"))


@needs_mosquitto
def test_an_event_of_the_running_agent_is_explained_while_it_runs_and_after_a_kill(
    tmp_path: Path, broker: Mosquitto, news: Listener
) -> None:
    cameras = [camera("front", **RULES), camera("back", **RULES)]
    with program.running(tmp_path, *cameras, mqtt={"url": broker.url}) as agent:
        wait_for_new(news)
        until(lambda: len(loiters(news)) > 2, within_s=PATIENCE_S)
        event = loiters(news)[0]
        trail = tmp_path / "state" / "trail"
        until(lambda: trail.is_dir() and f'"seq":{event["seq"]},' in kept(trail), within_s=PATIENCE_S)
        code, printed, complaint = explain(agent.config, event["event_id"])
        assert (code, complaint) == (0, "")
        assert f"{event['object']['id']}, update: dwell, by rule there" in printed
        assert "rule there: it had been in view for 1" in printed
        until(
            lambda: {json.loads(line)["camera"] for line in kept(trail).splitlines()} == {"front", "back"},
            within_s=PATIENCE_S,
        )
        agent.kill()
        assert explain(agent.config, event["event_id"]) == (0, printed, "")
    assert all(b"trail" not in heard.payload and b"nearest" not in heard.payload for heard in news.heard)


@needs_mosquitto
def test_what_is_in_memory_is_written_at_the_stop_and_removed_when_it_is_turned_off(
    tmp_path: Path, broker: Mosquitto, news: Listener
) -> None:
    with program.running(tmp_path, camera(**RULES), mqtt={"url": broker.url}) as agent:
        wait_for_new(news)
        until(lambda: loiters(news), within_s=PATIENCE_S)
        event = loiters(news)[0]
        assert agent.stop(signal.SIGTERM, within_s=STOP_S) == 0
        code, printed, _ = explain(agent.config, event["event_id"].rpartition("/")[0] + "/0")
        assert code == 0
        assert "ended because no picture came any more, it was paused, or the agent stopped" in printed
        assert "rule long did not speak of it; it came closest at " in printed
    heard = len(news.heard)
    off = program.running(tmp_path, camera(**RULES), mqtt={"url": broker.url}, explain={"enabled": False})
    with off as agent:
        until(lambda: len(program.objects(program.events_in(news.heard[heard:]), "new")) > 0, within_s=PATIENCE_S)
        assert list((tmp_path / "state" / "trail").iterdir()) == []
        assert agent.stop(within_s=STOP_S) == 0
    assert list((tmp_path / "state" / "trail").iterdir()) == []
