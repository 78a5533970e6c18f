"""The desk where commands arrive: each is done once, answered once, kept over restarts, and nobody can wear it out."""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import brokers
import pytest
from brokers import Mosquitto, until
from fakes import FakeClock
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from edge_agent.camera_line import Dial, Line
from edge_agent.commands.desk import Desk
from edge_agent.commands.doing import Doings
from edge_agent.commands.kept import Changes
from edge_agent.commands.office import Office
from edge_agent.commands.reload import Reload
from edge_agent.config import Settings
from edge_agent.edges import mqtt
from edge_agent.edges.clock import Backoff, SystemClock
from edge_agent.edges.deliver import Deliverer, deliverer
from edge_agent.edges.kept import KeptFile
from edge_agent.edges.mqtt import MqttSettings
from edge_agent.edges.outbox import Outbox, OutboxSettings
from edge_agent.errors import ConfigError, Problem
from edge_agent.records import Heard, InForce, Message
from edge_agent.stages.commands.command import CommandsSettings
from edge_agent.stages.encode.topics import Topics

TOPICS = Topics(prefix="edge", device="pi")
RESULT = TOPICS.command_result
AS_CONFIGURED = InForce(detect=True, threshold=0.4, rate_hz=5.0)
SETTINGS = Settings.model_validate({"device": {"id": "pi"}, "cameras": [{"id": "front", "source": "file://x.mp4"}]})


@dataclass
class Camera:
    """Stands in for what the desk sees of a camera."""

    id: str
    enabled: bool = True
    state: str = "streaming"
    restarts: int = 0
    dial: Dial = field(default_factory=lambda: Dial(now=AS_CONFIGURED))

    def line(self) -> Line:
        def begin_anew() -> None:
            self.restarts += 1

        capture = SimpleNamespace(begin_anew=begin_anew, status=lambda: SimpleNamespace(state=self.state))
        camera = SimpleNamespace(id=self.id, enabled=self.enabled)
        return cast("Line", SimpleNamespace(camera=camera, capture=capture, dial=self.dial))


class Bench:
    """A desk with cameras, an outbox and a state folder."""

    def __init__(
        self,
        folder: Path,
        *cameras: Camera,
        clock: Any = None,
        configured: Mapping[str, InForce] | None = None,
        **own: Any,
    ) -> None:
        self.clock = clock or FakeClock()
        self.cameras = {camera.id: camera for camera in cameras or (Camera("front"), Camera("back"))}
        self.outbox = Outbox(OutboxSettings(path=folder / "outbox.db"), self.clock)
        self.file = folder / "runtime.json"
        self.reload = Reload(load=lambda: SETTINGS)
        for camera, now in (configured or {}).items():
            self.cameras[camera].dial.now = now
        dials = {name: camera.dial for name, camera in self.cameras.items()}
        changes = Changes({name: dial.now for name, dial in dials.items()}, dials, KeptFile(self.file), self.clock)
        lines = {name: camera.line() for name, camera in self.cameras.items()}
        self.doings = Doings(topics=TOPICS, lines=lines, changes=changes, outbox=self.outbox, reload=self.reload)
        self.desk = Desk(
            settings=CommandsSettings(**own),
            topics=TOPICS,
            closed=("edge", "homeassistant"),
            doings=self.doings,
            outbox=self.outbox,
            clock=self.clock,
        )
        self.office = Office(topics=TOPICS, changes=changes, doings=self.doings, desk=self.desk)
        self.office.open()

    def close(self) -> None:
        self.outbox.close()

    def answers(self) -> list[Message]:
        """What is answered since the last call."""
        entries = self.outbox.answers(1000)
        for entry in entries:
            self.outbox.forget_answer(entry.id)
        return [entry.message for entry in entries]

    def say(self, topic: str, payload: bytes, **more: Any) -> list[dict[str, Any]]:
        """Send one message, and give what it is answered."""
        self.desk.take(Heard(topic=topic, payload=payload, **more))
        return [json.loads(message.payload) for message in self.answers()]

    def command(self, name: str, args: Mapping[str, Any] | None = None, **more: Any) -> list[dict[str, Any]]:
        return self.say(TOPICS.command, json.dumps({"name": name, "args": args or {}, **more}).encode())

    def states(self) -> dict[str, str]:
        return {message.topic: message.payload.decode() for message in self.outbox.states()}


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with closing(Bench(tmp_path)) as bench:
        yield bench


@contextmanager
def restarted(folder: Path, *cameras: Camera, **own: Any) -> Iterator[Bench]:
    with closing(Bench(folder, *cameras, **own)) as bench:
        yield bench


def done(name: str, **more: Any) -> dict[str, Any]:
    return {"id": None, "name": name, **more, "ok": True, "error": None}


# --- each command ---------------------------------------------------------------------------------------------------


def test_ping_is_answered_with_the_id_of_whoever_asked(bench: Bench) -> None:
    assert bench.command("ping", id="a-1") == [{"id": "a-1", "name": "ping", "ok": True, "error": None}]
    assert bench.command("ping") == [done("ping")]
    assert (bench.desk.counters.done, bench.desk.counters.refused) == (2, 0)


def test_settings_take_effect_at_once_and_are_published_and_undone(bench: Bench) -> None:
    front = bench.cameras["front"].dial
    assert bench.say(TOPICS.set_threshold("front"), b"0.7") == [done("threshold", camera="front")]
    assert bench.command("rate_hz", {"camera": "front", "value": 2}) == [done("rate_hz", camera="front")]
    assert bench.say(TOPICS.set_detect("front"), b"OFF") == [done("detect", camera="front")]
    assert front.now == InForce(detect=False, threshold=0.7, rate_hz=2.0)
    assert bench.cameras["back"].dial.now == AS_CONFIGURED
    states = bench.states()
    published = (TOPICS.detect, TOPICS.threshold, TOPICS.rate_hz)
    assert [states[topic("front")] for topic in published] == ["OFF", "0.7", "2"]
    assert [states[topic("back")] for topic in published] == ["ON", "0.4", "5"]
    bench.say(TOPICS.set_threshold("front"), b"DEFAULT")
    bench.command("rate_hz", {"camera": "front", "value": None})
    bench.say(TOPICS.set_detect("front"), b"ON")
    assert front.now == AS_CONFIGURED
    assert bench.states()[TOPICS.threshold("front")] == "0.4"
    assert bench.office.report()["changes"] == []


def test_pause_and_resume_are_for_one_camera_or_all(bench: Bench) -> None:
    def looked_at() -> list[bool]:
        return [camera.dial.now.detect for camera in bench.cameras.values()]

    assert bench.command("pause", {"camera": "back"}) == [done("pause", camera="back")]
    assert looked_at() == [True, False]
    assert bench.command("pause") == [done("pause")]
    assert looked_at() == [False, False]
    bench.command("resume", {"camera": "front"})
    assert looked_at() == [True, False]
    bench.command("resume")
    assert looked_at() == [True, True]


def test_a_pause_ends_by_itself_and_a_later_one_counts_alone(bench: Bench) -> None:
    front = bench.cameras["front"].dial
    bench.command("pause", {"camera": "front", "for_s": 60})
    bench.clock.advance(59)
    bench.doings.tick()
    assert not front.now.detect
    bench.clock.advance(1)
    bench.doings.tick()
    assert front.now.detect
    assert bench.states()[TOPICS.detect("front")] == "ON"
    bench.command("pause", {"camera": "front", "for_s": 60})
    bench.command("pause", {"camera": "front"})  # until resumed
    bench.clock.advance(3600)
    bench.doings.tick()
    assert not front.now.detect


def test_restart_begins_a_camera_anew_unless_it_is_over(tmp_path: Path) -> None:
    cameras = Camera("front"), Camera("film", state="ended"), Camera("off", enabled=False, state="disabled")
    with restarted(tmp_path, *cameras) as bench:
        assert bench.command("restart_camera", {"camera": "front"}) == [done("restart_camera", camera="front")]
        [over] = bench.command("restart_camera", {"camera": "film"})
        [off] = bench.command("restart_camera", {"camera": "off"})
        assert [over["error"], off["error"]] == ["its recording is over", "the camera is disabled in the configuration"]
        assert [camera.restarts for camera in cameras] == [1, 0, 0]
        assert bench.say(TOPICS.set_detect("off"), b"ON")[0]["ok"] is False
        assert bench.states()[TOPICS.detect("off")] == "OFF"  # nobody looks there, whatever was asked


def test_resync_sends_every_state_again(bench: Bench) -> None:
    first = bench.outbox.dirty_states()
    assert bench.outbox.dirty_states() == ()
    assert bench.command("resync") == [done("resync")]
    assert bench.outbox.dirty_states() == first
    assert len(first) == 6


def test_reload_is_answered_once_the_next_run_has_begun(bench: Bench) -> None:
    assert bench.command("reload", id="r") == []
    assert bench.command("reload", id="r") == []  # a repeat waits for the same answer
    assert bench.reload.settings is SETTINGS
    [answer] = bench.reload.done()
    assert json.loads(answer.payload) == {"id": "r", "name": "reload", "ok": True, "error": None}
    assert answer.topic == RESULT
    assert bench.reload.done() == []


def test_reload_of_a_wrong_file_is_answered_with_its_first_problem_and_nothing_changes(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    def load() -> Settings:
        problems = [Problem(file="c.yaml", line=3, column=line, key="mqtt.url", what="is wrong") for line in (1, 2)]
        raise ConfigError(tuple(problems))

    bench.reload.load = load
    assert bench.command("reload")[0]["error"] == "c.yaml:3:1: mqtt.url: is wrong"
    assert bench.reload.settings is None
    assert "reload: c.yaml:3:2: mqtt.url: is wrong" in caplog.messages
    bench.reload.load = None
    assert bench.command("reload")[0]["error"] == "there is no configuration file to read again"


@pytest.mark.parametrize("sign", ["x", "é", "界", "😀"])
def test_however_long_a_reason_is_and_whatever_it_is_written_in_it_is_answered(bench: Bench, sign: str) -> None:
    def load() -> Settings:
        raise ConfigError(sign * 400)

    bench.reload.load = load
    answer = bench.command("reload", id="a" * 64)[0]
    assert answer["error"].startswith(sign * 150)
    assert not answer["error"].strip(sign)


# --- where answers go -----------------------------------------------------------------------------------------------


def test_whoever_says_so_is_answered_elsewhere_with_what_was_to_be_carried(bench: Bench) -> None:
    heard = Heard(topic=TOPICS.set_rate_hz("front"), payload=b"1", answer_topic="reply/7", correlation=b"\x00\xff")
    bench.desk.take(heard)
    [answer] = bench.answers()
    assert (answer.topic, answer.correlation, answer.kind) == ("reply/7", b"\x00\xff", "answer")


@pytest.mark.parametrize("topic", [TOPICS.command, "edge/other/command", "lamp/set", "reply/#"])
def test_a_command_whose_answer_would_do_harm_is_not_done_and_refused_where_it_does_none(
    bench: Bench, topic: str
) -> None:
    [answer] = bench.say(TOPICS.set_rate_hz("front"), b"1", answer_topic=topic)
    assert not answer["ok"]
    assert "response topic" in answer["error"]
    assert bench.cameras["front"].dial.now == AS_CONFIGURED


def test_an_answer_carries_no_more_than_a_little(bench: Bench) -> None:
    bench.desk.take(Heard(topic=TOPICS.command, payload=b'{"name":"ping"}', correlation=bytes(257)))
    [answer] = bench.answers()
    assert answer.correlation is None
    assert json.loads(answer.payload)["error"] == "its correlation data is longer than 256 bytes"


# --- once -----------------------------------------------------------------------------------------------------------


def test_what_comes_twice_is_answered_twice_and_done_once(bench: Bench) -> None:
    first = bench.command("restart_camera", {"camera": "front"}, id="x")
    again = bench.command("restart_camera", {"camera": "front"}, id="x")
    assert first == again != []
    assert bench.cameras["front"].restarts == 1
    [other] = bench.command("restart_camera", {"camera": "back"}, id="x")
    assert other["error"] == "its id is that of another command"
    assert bench.cameras["back"].restarts == 0
    bench.clock.advance(301)
    assert bench.command("restart_camera", {"camera": "front"}, id="x") == first
    assert bench.cameras["front"].restarts == 2


def test_no_more_ids_are_remembered_than_a_few(tmp_path: Path) -> None:
    with restarted(tmp_path, Camera("front"), per_minute=6000) as bench:
        for number in range(300):
            bench.command("restart_camera", {"camera": "front"}, id=str(number))
        bench.command("restart_camera", {"camera": "front"}, id="299")
        assert bench.cameras["front"].restarts == 300
        bench.command("restart_camera", {"camera": "front"}, id="0")
        assert bench.cameras["front"].restarts == 301


# --- what is refused ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("topic", [TOPICS.command, TOPICS.set_threshold("front")])
def test_a_retained_command_is_refused_and_named_with_what_to_do(
    bench: Bench, topic: str, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        [answer] = bench.say(topic, b"0.9", retained=True)
        assert answer["ok"] is False
        assert answer["error"].endswith(f"clear it: mosquitto_pub -r -n -t {topic}")
    assert bench.cameras["front"].dial.now == AS_CONFIGURED
    assert len([line for line in caplog.messages if topic in line]) == 1
    assert bench.say(topic, b"") == []  # so the broker tells that it was cleared
    assert bench.cameras["front"].dial.now == AS_CONFIGURED


def test_a_retained_command_on_a_topic_of_anybodys_making_is_refused_without_repeating_it(bench: Bench) -> None:
    [answer] = bench.say("edge/pi/camera/$(reboot)/set/detect", b"ON", retained=True)
    assert "reboot" not in json.dumps(answer)
    assert answer["error"].endswith("-t its topic")


def test_what_is_not_allowed_is_refused(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with restarted(tmp_path, allow=["ping"]) as bench:
        assert bench.command("ping")[0]["ok"]
        [answer] = bench.command("reload", id="1")
        assert answer == {"id": "1", "name": "reload", "ok": False, "error": "this command is not in commands.allow"}
        assert "command: reload is refused: this command is not in commands.allow" in caplog.messages
        assert bench.say(TOPICS.set_detect("front"), b"OFF")[0]["ok"] is False
        assert bench.reload.settings is None


def test_too_many_are_refused_and_told_so_only_a_few_times(tmp_path: Path) -> None:
    with restarted(tmp_path, per_minute=10) as bench:
        answers = [bench.command("ping", id=str(number)) for number in range(100)]
        assert [answer[0]["ok"] for answer in answers[:10]] == [True] * 10
        refused = [answer[0] for answer in answers[10:] if answer]
        assert {(one["id"], one["error"]) for one in refused} == {(None, "too many commands, at most 10 a minute")}
        assert len(refused) == 6
        counters = bench.desk.counters
        assert (counters.done, counters.refused, counters.unanswered) == (10, 90, 84)
        bench.clock.advance(60)
        assert bench.command("ping")[0]["ok"]


def test_hearing_waits_for_nothing_and_keeps_no_more_than_a_little(bench: Bench) -> None:
    for _ in range(150):
        bench.desk.hear(Heard(topic=TOPICS.command, payload=bytes(100_000)))
    counters = bench.desk.counters
    assert (counters.heard, counters.dropped, counters.refused) == (150, 50, 50)
    assert bench.answers() == []


# --- over a restart -------------------------------------------------------------------------------------------------


def test_what_was_changed_holds_after_a_restart_and_says_since_when(tmp_path: Path) -> None:
    with restarted(tmp_path) as bench:
        bench.say(TOPICS.set_threshold("front"), b"0.7")
        bench.command("pause", {"camera": "back", "for_s": 600})
        before = bench.office.report()["changes"]
    clock = FakeClock(monotonic_s=5.0)
    with restarted(tmp_path, clock=clock) as later:
        assert later.office.report()["changes"] == before
        assert before[0] == {
            "camera": "front",
            "name": "threshold",
            "value": 0.7,
            "configured": 0.4,
            "since": "2023-11-14T22:13:20.000Z",
            "until": None,
        }
        assert before[1]["until"] == "2023-11-14T22:23:20.000Z"
        assert later.cameras["front"].dial.now.threshold == 0.7
        assert later.states()[TOPICS.threshold("front")] == "0.7"
        clock.advance(599)
        later.doings.tick()
        assert not later.cameras["back"].dial.now.detect
        clock.advance(1)
        later.doings.tick()
        assert later.cameras["back"].dial.now.detect
    with restarted(tmp_path) as last:
        assert [one["name"] for one in last.office.report()["changes"]] == ["threshold"]


@pytest.mark.parametrize("utc_ns", [0, 1_900_000_000_000_000_000])
def test_a_pause_lasts_no_longer_than_it_was_to_whatever_the_wall_clock_says(tmp_path: Path, utc_ns: int) -> None:
    with restarted(tmp_path) as bench:
        bench.command("pause", {"for_s": 600})
    clock = FakeClock(utc_ns=utc_ns)
    with restarted(tmp_path, clock=clock) as later:
        clock.advance(600)
        later.doings.tick()
        assert all(camera.dial.now.detect for camera in later.cameras.values())


def test_a_configuration_that_was_changed_since_wins_and_a_camera_that_is_gone_is_forgotten(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with restarted(tmp_path) as bench:
        bench.say(TOPICS.set_threshold("front"), b"0.7")
        bench.say(TOPICS.set_rate_hz("front"), b"1")
        bench.say(TOPICS.set_rate_hz("back"), b"1")
    changed = InForce(detect=True, threshold=0.5, rate_hz=5.0)
    with restarted(tmp_path, Camera("front"), configured={"front": changed}) as later:
        assert later.cameras["front"].dial.now == InForce(detect=True, threshold=0.5, rate_hz=1.0)
    assert [line.partition(" is dropped")[0] for line in caplog.messages if "dropped" in line] == [
        'camera "front": the changed threshold',
        'camera "back": the changed rate_hz',
    ]


def test_what_was_dropped_once_does_not_come_back_when_the_configuration_says_again_what_it_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with restarted(tmp_path) as bench:
        bench.say(TOPICS.set_threshold("front"), b"0.7")
        bench.say(TOPICS.set_rate_hz("front"), b"1")
    changed = InForce(detect=True, threshold=0.5, rate_hz=5.0)
    for _ in range(2):
        with restarted(tmp_path, Camera("front"), configured={"front": changed}):
            pass
    assert caplog.text.count("the changed threshold is dropped") == 1
    with restarted(tmp_path) as later:
        assert later.cameras["front"].dial.now == InForce(detect=True, threshold=0.4, rate_hz=1.0)


def test_a_disk_that_does_not_let_what_was_dropped_be_forgotten_stops_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with restarted(tmp_path) as bench:
        bench.say(TOPICS.set_threshold("front"), b"0.7")
    changed = InForce(detect=True, threshold=0.5, rate_hz=5.0)
    (tmp_path / f".runtime.json.{os.getpid()}.part").mkdir()  # no file can be written there
    with restarted(tmp_path, Camera("front"), configured={"front": changed}) as later:
        assert later.cameras["front"].dial.now == changed
    assert "what was dropped may come back" in caplog.text


@pytest.mark.parametrize("damage", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b"null", b'{"schema":1}', b" " * (2 << 20)])
def test_a_damaged_file_counts_as_none_and_is_replaced(
    tmp_path: Path, damage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "runtime.json").write_bytes(damage)
    with restarted(tmp_path) as bench:
        assert bench.cameras["front"].dial.now == AS_CONFIGURED
        if damage != b"null":
            assert "runtime.json is not understood, and counts as empty" in caplog.text
        assert bench.say(TOPICS.set_rate_hz("front"), b"1")[0]["ok"]
    with restarted(tmp_path) as later:
        assert later.cameras["front"].dial.now.rate_hz == 1.0


def test_what_the_disk_does_not_take_is_in_force_all_the_same_and_said(bench: Bench) -> None:
    bench.file.mkdir()  # nothing can be renamed to the name of a folder
    [answer] = bench.say(TOPICS.set_rate_hz("front"), b"1")
    assert answer["ok"] is False
    assert "in force until the next restart only" in answer["error"]
    assert bench.cameras["front"].dial.now.rate_hz == 1.0
    assert bench.states()[TOPICS.rate_hz("front")] == "1"
    assert [path.name for path in bench.file.parent.glob(".runtime*")] == []


# --- over a real broker ---------------------------------------------------------------------------------------------


class Asker:
    """A client that sends anything, and collects the answers."""

    def __init__(self, broker: Mosquitto) -> None:
        self.answers: list[dict[str, Any]] = []
        self._client = paho.Client(CallbackAPIVersion.VERSION2)
        self._client.max_inflight_messages_set(1000)
        self._client.on_message = lambda _client, _data, message: self.answers.append(json.loads(message.payload))
        self._client.connect("127.0.0.1", broker.port)
        self._client.subscribe(RESULT, qos=1)
        self._client.loop_start()

    def send(self, topic: str, payload: bytes) -> None:
        self._client.publish(topic, payload, qos=1)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()
        self._client.on_message = None


@contextmanager
def served(bench: Bench, broker: Mosquitto) -> Iterator[None]:
    """The desk with its thread, and delivery with its own."""
    patience = MqttSettings(url=broker.url)
    deliverer = Deliverer(
        outbox=bench.outbox,
        connect=lambda: mqtt.connect(patience, client_id="pi", will=None),
        clock=bench.clock,
        settings=patience,
        backoff=Backoff(first_s=0.1, cap_s=0.1, uniform=lambda _, high: high),
        subscriptions=bench.office.subscriptions(),
    )
    stop = threading.Event()
    threads = [
        threading.Thread(target=deliverer.run, args=[stop]),
        threading.Thread(target=bench.office.run, args=[stop, lambda: None]),
    ]
    for thread in threads:
        thread.start()
    try:
        until(lambda: deliverer.counters.acked)  # states are sent once it has subscribed
        yield
        assert all(thread.is_alive() for thread in threads)
    finally:
        stop.set()
        for thread in threads:
            thread.join()


BATCHES, BATCH = 75, 40
SIGNS = st.characters(exclude_characters="+#/", exclude_categories=["Cs", "Cc", "Cn"])
LEVELS = st.text(SIGNS, min_size=1, max_size=9)
SENT = st.tuples(
    st.just(TOPICS.command) | st.builds(lambda a, b: f"edge/pi/camera/{a}/set/{b}", LEVELS | st.just("front"), LEVELS),
    st.binary(min_size=1, max_size=40)
    | st.sampled_from([b"[" * 4000, b"x" * 5000, b'{"name":"ping","args":{"x":1}}', b'{"name":NaN}', b"1e999", b"nan"])
    | st.dictionaries(st.sampled_from(["id", "name", "args", "x"]), st.text(max_size=5) | st.floats() | st.none()).map(
        lambda content: json.dumps(content).encode()
    ),
)


@brokers.needs_mosquitto
@pytest.mark.timeout(400)
def test_thousands_of_malformed_commands_over_a_broker_are_each_refused_and_it_still_answers(tmp_path: Path) -> None:
    with (
        brokers.running(tmp_path) as broker,
        closing(Asker(broker)) as asker,
        closing(Bench(tmp_path, clock=SystemClock(), per_minute=6000)) as bench,
        served(bench, broker),
    ):
        batches = iter(range(1_000_000))

        @settings(max_examples=BATCHES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(messages=st.lists(SENT, min_size=BATCH, max_size=BATCH))
        def send(messages: list[tuple[str, bytes]]) -> None:
            for topic, payload in messages:
                asker.send(topic, payload)
            last = f"batch-{next(batches)}"
            asker.send(TOPICS.command, json.dumps({"id": last, "name": "ping"}).encode())
            until(lambda: asker.answers and asker.answers[-1]["id"] == last)
            assert asker.answers[-1]["ok"]

        send()
        counters = bench.desk.counters
        refused = [answer for answer in asker.answers if not answer["ok"]]
        assert counters.heard == counters.done + counters.refused == len(asker.answers)
        assert len(refused) == counters.refused > 2500
        assert all(answer["error"] for answer in refused)
        assert all(camera.dial.now == AS_CONFIGURED for camera in bench.cameras.values())


@brokers.needs_mosquitto
def test_a_command_is_heard_done_and_answered_over_a_broker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(deliverer, "_TURN_S", 0.1)
    with (
        brokers.running(tmp_path) as broker,
        closing(Asker(broker)) as asker,
        closing(Bench(tmp_path, clock=SystemClock())) as bench,
        served(bench, broker),
    ):
        asker.send(TOPICS.set_detect("front"), b"OFF")
        until(lambda: asker.answers)
        assert asker.answers == [done("detect", camera="front")]
        assert not bench.cameras["front"].dial.now.detect
    assert "command: detect of front: OFF" in caplog.messages
