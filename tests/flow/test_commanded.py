"""The whole agent does what it is asked over MQTT: once, over restarts, and through another configuration."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import brokers
import program
import pytest
from brokers import Listener, Mosquitto, needs_mosquitto, until
from paho.mqtt import publish
from ports import free_port
from program import LOOP, PATIENCE_S, ROOT, SOON_S, Agent, camera, events_in, objects, wait_for_new

pytestmark = needs_mosquitto

COMMAND, RESULT, REPLY = f"{ROOT}/command", f"{ROOT}/command/result", "reply/app"
FRONT = f"{ROOT}/camera/front"


class Asker:
    """Somebody with a client of MQTT 5, who says where the answer is to go, or of 3.1.1, who cannot."""

    def __init__(self, broker: Mosquitto, news: Listener, protocol: int) -> None:
        self._broker = broker
        self._news = news
        self._topic = REPLY if protocol == 5 else RESULT
        self._replies = Listener(broker.port, "reply/#")
        self._asked = 0

    def close(self) -> None:
        self._replies.close()

    def ask(self, name: str, args: dict[str, Any] | None = None) -> dict[str, Any]:
        """Ask, and give the answer."""
        self._asked += 1
        question = {"id": f"q{self._asked}", "name": name, "args": args or {}}
        return self._send(COMMAND, json.dumps(question).encode())

    def set(self, setting: str, value: str) -> dict[str, Any]:
        """Set something of the front camera, and give the answer."""
        return self._send(f"{FRONT}/set/{setting}", value.encode())

    def _send(self, topic: str, payload: bytes) -> dict[str, Any]:
        before = len(self._answers())
        if self._topic == REPLY:
            brokers.request(self._broker.port, topic, payload, answer_topic=REPLY, correlation=b"which")
        else:
            publish.single(topic, payload, qos=1, port=self._broker.port)
        until(lambda: len(self._answers()) > before, f"no answer to {payload!r}", within_s=PATIENCE_S)
        answer: dict[str, Any] = json.loads(self._answers()[before])
        return answer

    def _answers(self) -> list[bytes]:
        return (self._replies if self._topic == REPLY else self._news).payloads(self._topic)


@pytest.fixture(params=[5, 3])
def protocol(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture
def asker(broker: Mosquitto, news: Listener, protocol: int) -> Iterator[Asker]:
    with closing(Asker(broker, news, protocol)) as asker:
        yield asker


def health(news: Listener) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(news.payloads(f"{ROOT}/health")[-1])["commands"]
    return found


def now(news: Listener, topic: str) -> bytes | None:
    payloads = news.payloads(topic)
    return payloads[-1] if payloads else None


def rewrite(agent: Agent, **detect: Any) -> None:
    """Write another configuration of the front camera's `detect`."""
    settings = json.loads(agent.config.read_text())
    settings["cameras"][0]["detect"] = detect
    program.write_config(agent.config, settings)


def test_each_command_is_done_and_answered(
    tmp_path: Path, broker: Mosquitto, news: Listener, asker: Asker, protocol: int
) -> None:
    with program.running(tmp_path, camera(**LOOP), mqtt={"url": broker.url, "protocol": protocol}) as agent:
        wait_for_new(news)
        assert asker.ask("ping") == {"id": "q1", "name": "ping", "ok": True, "error": None}
        assert asker.ask("restart_camera", {"camera": "front"})["ok"]
        until(lambda: agent.log.count('camera "front": told to begin anew') == 1, within_s=SOON_S)

        heard = len(news.heard)
        assert asker.ask("resync")["ok"]
        retained = {
            f"{FRONT}/{name}" for name in ("status", "motion", "count/person", "detect", "threshold", "rate_hz")
        }
        until(lambda: retained <= {one.topic for one in news.heard[heard:]}, within_s=SOON_S)

        assert asker.ask("pause", {"for_s": 3600})["ok"]
        until(lambda: now(news, f"{FRONT}/detect") == b"OFF", within_s=SOON_S)
        until(lambda: now(news, f"{FRONT}/count/person") == b"0", within_s=SOON_S)
        until(lambda: now(news, f"{FRONT}/motion") == b"OFF", within_s=SOON_S)
        until(lambda: _alive(news) == set(), within_s=SOON_S)  # every object has ended in order
        until(lambda: health(news)["changes"], within_s=PATIENCE_S)
        [change] = health(news)["changes"]
        assert (change["camera"], change["name"], change["value"]) == ("front", "detect", False)
        assert now(news, f"{FRONT}/status") == b"online"  # it goes on being captured
        before = len(objects(events_in(news.heard), "new"))
        paused = datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")

        assert asker.set("rate_hz", "2")["ok"]
        assert asker.set("threshold", "0.95")["ok"]
        assert asker.ask("resume")["ok"]
        until(lambda: now(news, f"{FRONT}/motion") == b"ON", within_s=SOON_S)
        assert len(objects(events_in(news.heard), "new")) == before  # hardly anybody reaches 0.95
        assert asker.set("threshold", "DEFAULT")["ok"]
        wait_for_new(news, before + 1)
        assert asker.set("threshold", "7")["error"] == "must be a number, more than 0 and at most 1, or DEFAULT"
        assert agent.stop(within_s=SOON_S) == 0
    assert "command: resume" in agent.log
    asked = ("--camera", "front", "--at", paused, "--within", "1s", "-c", agent.config)
    told = program.run_program("explain", *asked, cwd=tmp_path).stdout
    assert "paused by a command (pause, or detect OFF), so nobody looked at the " in told


def _alive(news: Listener) -> set[str]:
    events = events_in(news.heard)
    return set(objects(events, "new")) - set(objects(events, "end"))


def test_what_was_set_holds_over_a_restart_and_a_retained_command_never_counts(
    tmp_path: Path, broker: Mosquitto, news: Listener, asker: Asker, protocol: int
) -> None:
    publish.single(f"{FRONT}/set/detect", "OFF", qos=1, retain=True, port=broker.port)
    with program.running(tmp_path, camera(**LOOP), mqtt={"url": broker.url, "protocol": protocol}) as agent:
        until(lambda: news.payloads(RESULT), within_s=SOON_S)
        refusal = json.loads(news.payloads(RESULT)[0])
        assert (refusal["name"], refusal["camera"], refusal["ok"]) == ("detect", "front", False)
        assert refusal["error"].endswith(f"clear it: mosquitto_pub -r -n -t {FRONT}/set/detect")
        assert asker.set("rate_hz", "2.5")["ok"]
        agent.kill()
        agent.start()
        until(lambda: "rate_hz is 2.5, as a command has set it" in agent.log, within_s=SOON_S)
        until(lambda: now(news, f"{FRONT}/rate_hz") == b"2.5", within_s=SOON_S)
        assert agent.stop(within_s=SOON_S) == 0

        rewrite(agent, rate_hz=4)  # whoever writes the file afterwards was last
        agent.start()
        until(lambda: now(news, f"{FRONT}/rate_hz") == b"4", within_s=SOON_S)
        assert agent.stop(within_s=SOON_S) == 0
    assert set(news.payloads(f"{FRONT}/detect")) == {b"ON"}
    publish.single(f"{FRONT}/set/detect", None, qos=1, retain=True, port=broker.port)


def test_a_configuration_is_read_anew_when_it_is_right_and_named_when_it_is_wrong(
    tmp_path: Path, broker: Mosquitto, news: Listener, asker: Asker, protocol: int
) -> None:
    with program.running(tmp_path, camera(**LOOP), mqtt={"url": broker.url, "protocol": protocol}) as agent:
        wait_for_new(news)
        pid = agent.pid
        rewrite(agent, rate_hz="fast")
        answer = asker.ask("reload")
        assert not answer["ok"]
        assert answer["error"].startswith(f"{agent.config}:")
        assert 'cameras[0].detect.rate_hz: is "fast", must be a number' in answer["error"]
        before = len(set(objects(events_in(news.heard), "new")))
        assert news.payloads(f"{ROOT}/status") == [b"online"]  # all went on as it was

        rewrite(agent, rate_hz=3)
        assert asker.ask("reload") == {"id": "q2", "name": "reload", "ok": True, "error": None}
        until(lambda: now(news, f"{FRONT}/rate_hz") == b"3", within_s=SOON_S)
        wait_for_new(news, before + 1)

        rewrite(agent, rate_hz=2)
        agent.send_signal(signal.SIGHUP)
        until(lambda: now(news, f"{FRONT}/rate_hz") == b"2", within_s=SOON_S)
        assert agent.pid == pid
        assert agent.alive
        assert agent.stop(within_s=SOON_S) == 0
        until(lambda: _alive(news) == set(), within_s=SOON_S)  # each run has ended what it began
    runs: dict[tuple[str, str], list[int]] = {}
    for event in events_in(news.heard):
        runs.setdefault((event["run_id"], event["camera"]), []).append(event["seq"])
    assert len(runs) >= 2
    assert all(seqs == list(range(len(seqs))) for seqs in runs.values())  # none is lost


def test_events_in_an_outbox_that_the_configuration_no_longer_names_are_named_in_the_log(tmp_path: Path) -> None:
    with program.running(tmp_path, camera(**LOOP), mqtt={"url": f"mqtt://127.0.0.1:{free_port()}"}) as agent:
        until(agent.waiting, within_s=PATIENCE_S)
        settings = json.loads(agent.config.read_text())
        program.write_config(agent.config, settings | {"outbox": {"path": str(tmp_path / "other.db")}})
        agent.send_signal(signal.SIGHUP)
        until((tmp_path / "other.db").exists, within_s=SOON_S)
        assert agent.stop(within_s=SOON_S) == 0
        assert f"outbox {agent.outbox}: {len(agent.waiting())} events stay there" in agent.log


def test_a_configuration_with_which_nothing_begins_is_taken_back(
    tmp_path: Path, broker: Mosquitto, news: Listener
) -> None:
    with (
        program.running(tmp_path, camera(**LOOP), mqtt={"url": broker.url}) as agent,
        closing(Asker(broker, news, 3)) as asker,
    ):
        wait_for_new(news)
        settings = json.loads(agent.config.read_text())
        (tmp_path / "model.onnx").write_bytes(b"no model")
        program.write_config(agent.config, settings | {"model": {"path": "model.onnx"}})
        answer = asker.ask("reload")
        assert not answer["ok"]
        assert "model.onnx" in answer["error"]
        assert asker.ask("ping")["ok"]
        wait_for_new(news, len(objects(events_in(news.heard), "new")) + 1)
        assert agent.stop(within_s=SOON_S) == 0
    assert "the new configuration does not work, the one before goes on" in agent.log
