"""What goes first: states, then news, then what is to be caught up on, at a pace, each camera in its own order."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import brokers
import pytest
import torture_agent
from brokers import Listener, Mosquitto, until
from fakes import FakeClock
from program import environment

from edge_agent.edges import mqtt
from edge_agent.edges.clock import Backoff
from edge_agent.edges.deliver import Deliverer, deliverer
from edge_agent.edges.mqtt import MqttSettings
from edge_agent.edges.outbox import Outbox, OutboxEditor, OutboxSettings
from edge_agent.records import Message

pytestmark = brokers.needs_mosquitto


def event(camera: str, number: int) -> Message:
    topic = f"edge/pi/camera/{camera}/event"
    return Message(topic=topic, late_topic=f"{topic}/late", payload=str(number).encode(), kind="new")


@pytest.fixture(autouse=True)
def brisk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorter turns, so that no test waits for what it does not test."""
    monkeypatch.setattr(deliverer, "_TURN_S", 0.05)
    monkeypatch.setattr(deliverer, "_ACK_EVERY_S", 0.05)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "box" / "outbox.db"


@pytest.fixture
def outbox(path: Path, clock: FakeClock) -> Iterator[Outbox]:
    with closing(Outbox(OutboxSettings(path=path), clock)) as outbox:
        yield outbox


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with brokers.running(tmp_path) as broker:
        yield broker


@pytest.fixture
def listener(broker: Mosquitto) -> Iterator[Listener]:
    with brokers.listening(broker.port) as listener:
        yield listener


@contextmanager
def delivering(outbox: Outbox, clock: FakeClock, broker: Mosquitto, drain_per_s: float = 50) -> Iterator[Deliverer]:
    settings = MqttSettings(url=broker.url, drain_per_s=drain_per_s)
    will = Message(topic="edge/pi/status", payload=b"offline", kind="state")
    deliverer = Deliverer(
        outbox=outbox,
        connect=lambda: mqtt.connect(settings, client_id="pi", will=will),
        clock=clock,
        settings=settings,
        backoff=Backoff(first_s=0.02, cap_s=0.1, uniform=lambda _, high: high),
    )
    stop = threading.Event()
    thread = threading.Thread(target=deliverer.run, args=[stop])
    thread.start()
    try:
        yield deliverer
    finally:
        stop.set()
        thread.join()


def heard(listener: Listener, camera: str) -> list[tuple[str, int]]:
    """What came of a camera's events, `event` or `late`, and their numbers."""
    mine = [one for one in listener.heard if one.topic.startswith(f"edge/pi/camera/{camera}/")]
    return [(one.topic.rpartition("/")[2], int(one.payload)) for one in mine]


def late(*numbers: int) -> list[tuple[str, int]]:
    return [("late", number) for number in numbers]


def test_what_is_no_news_any_more_is_sent_at_its_pace_and_news_and_states_are_not_held_back(
    outbox: Outbox, clock: FakeClock, broker: Mosquitto, listener: Listener
) -> None:
    outbox.put([event("busy", number) for number in range(20)])
    clock.advance(61)
    outbox.put([event("quiet", 0), event("busy", 20)])
    with delivering(outbox, clock, broker) as deliverer:  # 50 a second: 5 at once after a rest
        until(lambda: len(heard(listener, "busy")) == 5 and heard(listener, "quiet") == [("event", 0)])
        outbox.put([event("quiet", 1), Message(topic="state", payload=b"1", kind="state")])
        until(lambda: heard(listener, "quiet") == [("event", 0), ("event", 1)] and listener.payloads("state"))
        assert heard(listener, "busy") == late(*range(5))
        clock.advance(0.02)
        until(lambda: heard(listener, "busy") == late(*range(6)))
        clock.advance(10.0)  # however long it rests, no more at once
        until(lambda: heard(listener, "busy") == late(*range(11)))
        for count in range(12, 21):
            clock.advance(0.0201)
            until(lambda count=count: len(heard(listener, "busy")) >= count)  # type: ignore[misc]
        until(lambda: len(heard(listener, "busy")) == 21)
    assert heard(listener, "busy") == [*late(*range(20)), ("event", 20)]
    assert deliverer.counters.late == 20


def test_cameras_catch_up_in_turns(outbox: Outbox, clock: FakeClock, broker: Mosquitto, listener: Listener) -> None:
    outbox.put([event("busy", number) for number in range(30)])
    outbox.put([event("quiet", number) for number in range(3)])
    clock.advance(61)
    with delivering(outbox, clock, broker, drain_per_s=1000):
        until(lambda: len(listener.heard) == 33)
    cameras = [one.topic.split("/")[3] for one in listener.heard if one.topic.endswith("late")]
    assert cameras == ["busy", "quiet"] * 3 + ["busy"] * 27
    assert heard(listener, "busy") == late(*range(30))
    assert heard(listener, "quiet") == late(*range(3))


def test_who_stops_waits_for_no_backlog(
    outbox: Outbox, clock: FakeClock, broker: Mosquitto, listener: Listener
) -> None:
    outbox.put([event("a", number) for number in range(1000)])
    clock.advance(61)
    with delivering(outbox, clock, broker):
        until(lambda: len(heard(listener, "a")) == 5)
    until(lambda: listener.payloads("edge/pi/status") == [b"offline"])
    assert outbox.stats().waiting == 995


def test_what_a_person_sends_again_goes_over_the_connection_that_is_there(
    outbox: Outbox, clock: FakeClock, broker: Mosquitto, listener: Listener, path: Path
) -> None:
    outbox.put([event("a", 0), event("a", 1)])
    outbox.bury(outbox.peek(1)[0].id, "test")
    with delivering(outbox, clock, broker) as deliverer:
        until(lambda: heard(listener, "a") == [("event", 1)])
        with closing(OutboxEditor(path)) as editor:
            assert editor.retry() == (1, 0)
        until(lambda: heard(listener, "a") == [("event", 1), ("event", 0)])
        wait_empty(outbox, clock)
        assert deliverer.counters.connects == 1
        assert deliverer.counters.published == 2


def wait_empty(outbox: Outbox, clock: FakeClock) -> None:
    """Let the time pass in which confirmed events are kept for the next ones."""

    def empty() -> bool:
        clock.advance(0.1)
        return outbox.stats().waiting == 0

    until(empty)


def written(folder: Path) -> dict[str, tuple[int, int, int]]:
    """When each file there was last changed, in content or otherwise, and its size."""
    return {
        part.name: (stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size)
        for part in sorted(folder.iterdir())
        for stat in [part.stat()]
    }


def test_while_nothing_happens_nothing_is_written_for_hours(
    outbox: Outbox, clock: FakeClock, broker: Mosquitto, listener: Listener, path: Path
) -> None:
    with delivering(outbox, clock, broker) as deliverer:
        outbox.put([event("a", 0)])
        wait_empty(outbox, clock)
        before = written(path.parent)
        for minute in range(120):
            clock.advance(60)
            outbox.put([Message(topic="state", payload=str(minute).encode(), kind="state")])
            outbox.stats()
            assert outbox.peek(9) == ()
        until(lambda: listener.payloads("state")[-1:] == [b"119"])
        assert deliverer.connected
    assert written(path.parent) == before
    assert "outbox.db.ballast" in before


def bytes_written(pid: int) -> int:
    """What a process made the disk write. Source: proc_pid_io(5)."""
    lines = Path(f"/proc/{pid}/io").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("write_bytes"))


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="this kernel does not count what a process writes")
def test_a_process_that_has_nothing_to_say_makes_the_disk_write_nothing(
    tmp_path: Path, broker: Mosquitto, listener: Listener
) -> None:
    """The kernel counts it, memory-mapped files included."""
    rarely = "0.000001"
    command = [
        sys.executable,
        torture_agent.__file__,
        str(tmp_path / "o.db"),
        str(tmp_path / "l"),
        broker.url,
        "1",
        rarely,
    ]
    with subprocess.Popen(command, env=environment()) as process:
        try:
            until(lambda: "Sending CONNACK to torture" in broker.log.read_text())
            time.sleep(1.0)
            counts = []
            for _ in range(2):
                counts.append(bytes_written(process.pid))
                time.sleep(2.5)
        finally:
            process.kill()
    assert counts[0] == counts[1] > 0
    assert not [one for one in listener.heard if one.topic.endswith(("event", "late"))]
