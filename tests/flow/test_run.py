"""The daemon from start to stop: without a broker, without a camera, through restarts, and to an orderly end."""

from __future__ import annotations

import json
import re
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import program
import pytest
import videos
from brokers import Listener, Mosquitto, listening, needs_mosquitto, until
from brokers import running as running_broker
from ports import free_port
from program import LOOP, PATIENCE_S, ROOT, SOON_S, ZONES, camera, hearing, wait_for_new
from rtsp import rtsp_camera

from edge_agent import app
from edge_agent.cli.files import load_settings
from edge_agent.clips import PEDESTRIANS
from edge_agent.edges.choices import Choice, Pace
from edge_agent.tools import tuned

pytestmark = needs_mosquitto

STOP_S = 5.0

HANGING_STOP_S = 30.0
"""For a stop that waits 20 s for a thread that hangs before it goes without it."""


def retained(port: int, expected: set[str]) -> dict[str, str]:
    """What a newcomer is told at once; newcomers come until one is told everything that is expected."""
    told: dict[str, str] = {}

    def ask() -> bool:
        told.clear()
        with hearing(port) as newcomer:
            with suppress(AssertionError):
                until(lambda: expected <= {heard.topic for heard in newcomer.heard if heard.retain}, within_s=1.0)
            told.update((heard.topic, heard.payload.decode()) for heard in newcomer.heard if heard.retain)
        return expected <= set(told)

    with suppress(AssertionError):
        until(ask, within_s=SOON_S)
    assert expected <= set(told), f"missing: {sorted(expected - set(told))}"
    return told


def states_of(*names: str, zones: tuple[str, ...] = tuple(ZONES)) -> set[str]:
    """Every topic that is retained for a device with these cameras, which all look for persons."""
    topics = {f"{ROOT}/{state}" for state in ("status", "health", "capabilities")}
    in_force = ("detect", "threshold", "rate_hz")
    for name in names:
        counts = ["count/person", *(f"zone/{zone}/count/person" for zone in zones)]
        topics |= {f"{ROOT}/camera/{name}/{state}" for state in ("status", "motion", *in_force, *counts)}
    return topics


def test_it_starts_without_a_broker_and_what_happened_meanwhile_is_delivered_once_the_broker_comes(
    tmp_path: Path,
) -> None:
    persistence = ("persistence true", f"persistence_location {tmp_path}/")
    with running_broker(tmp_path, *persistence) as broker, listening(broker.port, session="archive") as archive:
        broker.finish()  # which keeps everything for the archive from now on
        with program.running(tmp_path, camera(**LOOP), mqtt={"url": broker.url}) as agent:
            until(lambda: len(agent.waiting()) > 3, within_s=SOON_S)
            assert agent.alive
            kept = agent.waiting()
            broker.start()
            until(lambda: len(program.events_in(archive.heard)) > len(kept), within_s=SOON_S)
            assert agent.stop(within_s=STOP_S) == 0
        assert program.events_in(archive.heard)[: len(kept)] == kept
        program.check_messages(archive.heard)


def test_engines_of_a_model_that_is_gone_are_removed_and_the_log_says_so(tmp_path: Path) -> None:
    gone = tmp_path / "state" / "engines" / ("0" * 64) / "onnxruntime-1.0"
    gone.mkdir(parents=True)
    (gone / "graph_sm87.engine").write_bytes(bytes(2_000_000))
    with program.running(tmp_path, camera(**LOOP), mqtt={"url": f"mqtt://127.0.0.1:{free_port()}"}) as agent:
        until(lambda: "engines of other models or versions" in agent.log, within_s=SOON_S)
        assert not gone.parent.exists()
        assert agent.stop(within_s=STOP_S) == 0
    assert agent.log.count("removed 1 folder(s) of engines of other models or versions from ") == 1


def test_it_starts_without_a_camera_says_why_and_goes_on_when_the_camera_comes(
    tmp_path: Path, broker: Mosquitto, news: Listener
) -> None:
    with rtsp_camera(PEDESTRIANS, "viewer:geheim") as real_camera:
        source = real_camera.url("viewer:geheim")
        real_camera.kill()
        front = {"id": "front", "source": source, "capture": {"retry_cap_s": 1}}
        with program.running(tmp_path, front, mqtt={"url": broker.url}) as agent:
            status = f"{ROOT}/camera/front/status"
            until(lambda: b"offline" in news.payloads(status), within_s=SOON_S)
            until(lambda: reasons(news, "front") - {""}, within_s=PATIENCE_S)  # a report comes every 30 s
            (reason,) = reasons(news, "front") - {""}
            assert "connection refused; check that the camera is on" in reason
            told = retained(broker.port, {status, f"{ROOT}/status"})
            assert (told[status], told[f"{ROOT}/status"]) == ("offline", "online")

            real_camera.start()
            until(lambda: b"online" in news.payloads(status), within_s=SOON_S)
            wait_for_new(news)

            real_camera.kill()
            until(lambda: news.payloads(status)[-1] == b"offline", within_s=SOON_S)
            assert agent.stop(within_s=STOP_S) == 0
        assert "geheim" not in agent.log
        assert not any(b"geheim" in heard.payload for heard in news.heard)


AT_ONCE_S = 5.0
"""From the agent's `online` to the first event of a camera that shows people from its first frame on."""


def test_cameras_that_are_dead_delay_neither_the_start_nor_another_and_a_disabled_one_is_left_alone(
    tmp_path: Path, broker: Mosquitto, news: Listener
) -> None:
    with silent_camera() as silent, socket.create_server(("127.0.0.1", 0)) as unwanted:
        dead = {
            "silent": silent,
            "refused": f"rtsp://127.0.0.1:{free_port()}/stream",
            "nameless": "rtsp://camera.invalid/stream",
        }
        off = f"rtsp://127.0.0.1:{unwanted.getsockname()[1]}/stream"
        cameras = [
            *({"id": name, "source": source, "capture": {"stall_s": 2}} for name, source in dead.items()),
            {"id": "off", "source": off, "enabled": False},
            camera("good", **LOOP),
        ]
        with program.running(tmp_path, *cameras, mqtt={"url": broker.url}) as agent:
            wait_for_new(news)
            until(lambda: reasons(news, "silent") - {""}, within_s=PATIENCE_S)
            assert agent.stop(within_s=HANGING_STOP_S) == 0
        unwanted.setblocking(False)  # noqa: FBT003 - the library's way
        with pytest.raises(BlockingIOError):
            unwanted.accept()
    began_s = next(heard.at_utc_s for heard in news.heard if heard.topic == f"{ROOT}/status")
    event_s = next(heard.at_utc_s for heard in news.heard if program.is_event(heard.topic))
    assert event_s - began_s < AT_ONCE_S
    assert {payload for name in dead for payload in news.payloads(f"{ROOT}/camera/{name}/status")} == {b"offline"}
    assert news.payloads(f"{ROOT}/camera/off/status") == [b"disabled"]
    assert news.payloads(f"{ROOT}/camera/off/count/person") == [b"0"]
    reports = [json.loads(payload) for payload in news.payloads(f"{ROOT}/health")]
    assert {report["cameras"]["off"]["state"] for report in reports} == {"disabled"}
    assert '"off"' not in agent.log


def test_an_agent_whose_cameras_are_all_disabled_stays(tmp_path: Path, broker: Mosquitto, news: Listener) -> None:
    with program.running(tmp_path, camera(enabled=False), mqtt={"url": broker.url}) as agent:
        until(lambda: news.payloads(f"{ROOT}/camera/front/status") == [b"disabled"], within_s=SOON_S)
        time.sleep(2.0)  # two looks at whether all is over
        assert agent.alive
        assert agent.stop(within_s=STOP_S) == 0
    assert news.payloads(f"{ROOT}/camera/front/status") == [b"disabled"]


def reasons(news: Listener, name: str) -> set[str]:
    """Why a camera does not stream, in the words of the health reports so far."""
    return {json.loads(payload)["cameras"][name]["reason"] for payload in news.payloads(f"{ROOT}/health")}


def test_every_state_is_there_for_a_newcomer_also_when_the_broker_has_forgotten_everything(
    tmp_path: Path, broker: Mosquitto, news: Listener
) -> None:
    cameras = [camera(name, zones=ZONES, **LOOP) for name in ("left", "right")]
    expected = states_of("left", "right")
    with program.running(tmp_path, *cameras, mqtt={"url": broker.url}):
        wait_for_new(news, 4)
        until(
            lambda: all(news.payloads(f"{ROOT}/camera/{name}/status")[-1:] == [b"online"] for name in ("left", "right"))
        )
        assert_full_and_online(retained(broker.port, expected), expected)
        # Every count began at nothing.
        assert {news.payloads(topic)[0] for topic in expected if "/count/" in topic} == {b"0"}
        broker.restart()
        assert_full_and_online(retained(broker.port, expected), expected)


def assert_full_and_online(states: dict[str, str], expected: set[str]) -> None:
    assert set(states) == expected
    assert {value for topic, value in states.items() if topic.endswith("/status")} == {"online"}
    capabilities = json.loads(states[f"{ROOT}/capabilities"])
    assert capabilities["model"]["name"] == "default"
    assert set(capabilities["cameras"]) == {"left", "right"}


def test_an_agent_that_may_tunes_its_model_at_its_first_start_and_starts_as_tuned_from_then_on(
    tmp_path: Path, broker: Mosquitto
) -> None:
    topic, said = f"{ROOT}/capabilities", []
    told = {"mqtt": {"url": broker.url}, "model": {"max_loss": 1}}
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        environment = program.environment(NOTIFY_SOCKET=str(tmp_path / "notify"))
        with program.running(tmp_path, camera(**LOOP), **told, env=environment) as agent:
            until(lambda: "tuned: " in agent.log, within_s=2 * PATIENCE_S)
            said.append(json.loads(retained(broker.port, {topic})[topic])["model"])
            assert "the model is tuned for this machine, once" in agent.log
            systemd.settimeout(SOON_S)
            heard = [systemd.recv(1000).decode()]
            while heard[-1] != "READY=1":
                heard.append(systemd.recv(1000).decode())
            agent.stop()
    # A slow board is not taken for one that hangs: two steps, five sizes, and some numbers of threads.
    assert set(heard[:-1]) == {"EXTEND_TIMEOUT_USEC=300000000"}
    assert len(heard) > 2 + 5 + 1
    with program.running(tmp_path, camera(**LOOP), **told) as agent:
        said.append(json.loads(retained(broker.port, {topic})[topic])["model"])
        assert agent.log.count("the model is tuned for this machine, once") == 1
    assert said[0]["input"] == said[1]["input"] == [192, 128]
    assert said[0]["tuned"] == said[1]["tuned"]
    assert re.fullmatch(r"0\.\d\d x the time of what is configured, loss of agreement 0\.\d{3}", said[0]["tuned"])


def test_an_agent_whose_chosen_form_is_gone_runs_the_configured_model_and_tells(
    tmp_path: Path, broker: Mosquitto
) -> None:
    topic, model = f"{ROOT}/capabilities", {"max_loss": 1}
    told = program.write_config(
        tmp_path / "facts.yaml", {"device": {"id": "box"}, "model": model, "cameras": [camera(**LOOP)]}
    )
    settings = load_settings(told)
    choice = Choice(
        file="int8/gone-int8-0123456789abcdef.onnx",
        sha256="0" * 64,
        input_size=(192, 128),
        provider="CPUExecutionProvider",
        paces=(Pace(threads=1, cpu_ms=1, wall_ms=1),),
        why="said",
    )
    tuned.remember(settings.model, app.demand_of(settings), tmp_path / "state", choice)
    with program.running(tmp_path, camera(**LOOP), mqtt={"url": broker.url}, model=model) as agent:
        said = json.loads(retained(broker.port, {topic})[topic])["model"]
        assert (said["name"], said["input"], said["tuned"]) == ("default", [416, 256], tuned.LOST)
        assert agent.log.count("is gone or damaged: put it back, or run `edge-agent tune` again") == 1
        assert "the model is tuned for this machine, once" not in agent.log


def test_an_agent_that_is_stopped_while_it_tunes_stops_soon_and_tunes_the_next_time(
    tmp_path: Path, broker: Mosquitto
) -> None:
    with program.running(tmp_path, camera(**LOOP), mqtt={"url": broker.url}, model={"max_loss": 1}) as agent:
        until(lambda: "the model is tuned for this machine, once" in agent.log, within_s=SOON_S)
        assert agent.stop() == 0
        assert "told to stop before it was tuned" in agent.log
    assert not (tmp_path / "state" / "tuned.json").exists()


def test_the_broker_says_offline_for_an_agent_that_was_killed(
    tmp_path: Path, broker: Mosquitto, news: Listener
) -> None:
    with program.running(tmp_path, camera(**LOOP), mqtt={"url": broker.url}) as agent:
        until(lambda: news.payloads(f"{ROOT}/status") == [b"online"], within_s=SOON_S)
        agent.kill()
        news.wait_for(f"{ROOT}/status", b"online", b"offline")
    assert retained(broker.port, {f"{ROOT}/status"})[f"{ROOT}/status"] == "offline"


def test_a_new_life_corrects_what_the_last_one_left_behind_even_without_its_camera(
    tmp_path: Path, broker: Mosquitto, news: Listener
) -> None:
    count, motion = f"{ROOT}/camera/front/count/person", f"{ROOT}/camera/front/motion"
    clip = videos.excerpt(PEDESTRIANS, tmp_path / "clip.mp4", last_s=25.0)
    with program.running(tmp_path, camera(clip=clip, **LOOP), mqtt={"url": broker.url}) as agent:
        until(lambda: news.payloads(count)[-1:] > [b"0"] and news.payloads(motion)[-1:] == [b"ON"], within_s=SOON_S)
        agent.kill()
        clip.unlink()
        agent.start()
        until(lambda: news.payloads(f"{ROOT}/status")[-1] == b"online", within_s=SOON_S)
        until(lambda: news.payloads(count)[-1] == b"0", f"there are still {news.payloads(count)[-1]!r} persons")
        until(lambda: news.payloads(motion)[-1] == b"OFF", "something still moves")


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_an_orderly_stop_ends_every_object_says_offline_and_takes_a_few_seconds(
    tmp_path: Path, broker: Mosquitto, news: Listener, how: signal.Signals
) -> None:
    cameras = [camera(name, zones=ZONES, **LOOP) for name in ("left", "right")]
    with program.running(tmp_path, *cameras, mqtt={"url": broker.url}) as agent:
        wait_for_new(news, 6)
        assert agent.stop(how, within_s=STOP_S) == 0
        until(lambda: news.payloads(f"{ROOT}/status")[-1] == b"offline")
        assert agent.waiting() == []
    events = program.events_in(news.heard)
    began, ended = program.objects(events, "new"), program.objects(events, "end")
    assert sorted(began) == sorted(ended)
    assert len(began) == len(set(began))
    # A report of its health comes only every 30 s.
    assert_nothing_goes_on(retained(broker.port, states_of("left", "right") - {f"{ROOT}/health"}))


def assert_nothing_goes_on(states: dict[str, str]) -> None:
    assert {value for topic, value in states.items() if topic.endswith("/status")} == {"offline"}
    assert {value for topic, value in states.items() if topic.endswith("/motion")} == {"OFF"}
    assert {value for topic, value in states.items() if "/count/" in topic} == {"0"}


@contextmanager
def silent_camera() -> Iterator[str]:
    """The source of a camera that lets itself be called and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"rtsp://127.0.0.1:{server.getsockname()[1]}/stream"


PATIENT: dict[str, Any] = {"id": "dead", "capture": {"stall_s": 300}}
"""A camera that is waited for much longer than a stop may take."""


def test_a_capture_that_hangs_delays_the_stop_but_does_not_prevent_it(
    tmp_path: Path, broker: Mosquitto, news: Listener
) -> None:
    with silent_camera() as source:
        cameras = [{**PATIENT, "source": source}, camera("front", zones=ZONES, **LOOP)]
        with program.running(tmp_path, *cameras, mqtt={"url": broker.url}) as agent:
            wait_for_new(news)
            assert agent.stop(within_s=HANGING_STOP_S) == 0
            assert agent.waiting() == []
        until(lambda: news.payloads(f"{ROOT}/status")[-1] == b"offline")
    events = program.events_in(news.heard)
    assert sorted(program.objects(events, "new")) == sorted(program.objects(events, "end"))


def test_a_second_signal_ends_a_stop_that_takes_long(tmp_path: Path, broker: Mosquitto, news: Listener) -> None:
    with (
        silent_camera() as source,
        program.running(tmp_path, {**PATIENT, "source": source}, mqtt={"url": broker.url}) as agent,
    ):
        until(lambda: news.payloads(f"{ROOT}/status")[-1:] == [b"online"], within_s=SOON_S)
        agent.send_signal(signal.SIGTERM)
        time.sleep(1.0)
        assert agent.alive
        assert agent.stop(within_s=STOP_S) == -signal.SIGTERM


def test_a_stop_without_a_broker_keeps_every_event_for_the_next_life(tmp_path: Path) -> None:
    port = free_port()
    mqtt: dict[str, Any] = {"url": f"mqtt://127.0.0.1:{port}"}
    with program.running(tmp_path, camera(**LOOP), mqtt=mqtt) as agent:
        until(lambda: len(agent.waiting()) > 2, within_s=SOON_S)
        assert agent.stop(within_s=STOP_S) == 0
        kept = agent.waiting()
    assert sorted(program.objects(kept, "new")) == sorted(program.objects(kept, "end"))
    assert kept


def test_a_recording_that_is_over_ends_the_agent_with_everything_delivered(
    tmp_path: Path, broker: Mosquitto, news: Listener
) -> None:
    clip = videos.excerpt(PEDESTRIANS, tmp_path / "start.mp4", last_s=3.0)
    with program.running(tmp_path, camera(clip=clip), mqtt={"url": broker.url}) as agent:
        assert agent.wait(PATIENCE_S) == 0
        assert agent.waiting() == []
    until(lambda: news.payloads(f"{ROOT}/status")[-1] == b"offline")
    events = program.events_in(news.heard)
    assert sorted(program.objects(events, "new")) == sorted(program.objects(events, "end"))
    assert [event["seq"] for event in events] == list(range(len(events)))
    assert events
