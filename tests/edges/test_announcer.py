"""When Home Assistant is told: after the broker has told what was said before, and when Home Assistant has started."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

import pytest
from fakes import FakeClock

from edge_agent.edges.homeassistant import Announcer, Places
from edge_agent.edges.homeassistant.announcer import LISTEN_S
from edge_agent.edges.kept import KeptFile
from edge_agent.edges.outbox import Outbox, OutboxSettings
from edge_agent.records import Heard, Message

A, B, OTHER = "ha/device/box/config", "ha/device/box/front/config", "ha/device/box/gone/config"
BIRTH = "ha/status"
DELIVERED_S = 15.0
JITTER_S = 2.5


class Scene:
    """An announcer over a real outbox; `sent` takes what would go to the broker."""

    def __init__(self, folder: Path, *topics: str) -> None:
        self.clock = FakeClock()
        self.file = folder / "homeassistant.json"
        self.outbox = Outbox(OutboxSettings(path=folder / "outbox.db"), self.clock)
        self.topics = topics
        self.drawn = 0
        self.announcer = Announcer(
            write=self.write,
            read=lambda payload: json.loads(payload) if payload.startswith(b"{") else None,
            places=Places(KeptFile(self.file)),
            outbox=self.outbox,
            clock=self.clock,
            jitter_s=self.draw,
            delivered_s=DELIVERED_S,
        )

    def write(self, gone: Mapping[str, Mapping[str, str]]) -> Sequence[Message]:
        return [
            Message(topic=topic, payload=json.dumps(gone.get(topic, {})).encode(), kind="state")
            for topic in self.topics
        ]

    def draw(self) -> float:
        self.drawn += 1
        return JITTER_S

    def close(self) -> None:
        self.outbox.close()

    def run(self, seconds: int, *, connected: bool = True) -> dict[str, str]:
        """Step once a second, as the agent's main thread does; what was sent meanwhile."""
        sent: dict[str, str] = {}
        for _ in range(seconds):
            self.announcer.step(connected=connected)
            sent |= self.sent() if connected else {}
            self.clock.advance(1.0)
        return sent

    def sent(self) -> dict[str, str]:
        return {message.topic: message.payload.decode() for message in self.outbox.dirty_states()}

    @property
    def known(self) -> list[str]:
        return list(json.loads(self.file.read_text())["topics"]) if self.file.exists() else []


def kept(topic: str, payload: str = "{}") -> Heard:
    return Heard(topic=topic, payload=payload.encode(), retained=True)


def test_nothing_is_said_before_the_broker_had_time_to_tell(tmp_path: Path) -> None:
    with closing(Scene(tmp_path, A, B)) as scene:
        assert scene.run(60, connected=False) == {}
        assert scene.run(int(LISTEN_S)) == {}
        assert scene.run(1) == {A: "{}", B: "{}"}
        assert scene.known == [A, B]


def test_what_the_broker_tells_in_time_is_in_the_first_message(tmp_path: Path) -> None:
    with closing(Scene(tmp_path, A, B)) as scene:
        scene.run(1)
        scene.announcer.hear_earlier(kept(B, '{"zone.old": "sensor"}'))
        assert scene.run(int(LISTEN_S)) == {A: "{}", B: '{"zone.old": "sensor"}'}
        assert scene.run(100) == {}


def test_what_it_tells_later_follows(tmp_path: Path) -> None:
    with closing(Scene(tmp_path, A, B)) as scene:
        scene.run(10)
        scene.announcer.hear_earlier(kept(B, '{"zone.old": "sensor"}'))
        assert scene.run(1) == {B: '{"zone.old": "sensor"}'}
        scene.announcer.hear_earlier(kept(B, '{"zone.old": "sensor"}'))
        assert scene.run(10) == {}


def test_what_is_no_memory_of_the_broker_is_our_own(tmp_path: Path) -> None:
    with closing(Scene(tmp_path, A)) as scene:
        scene.announcer.hear_earlier(Heard(topic=A, payload=b'{"zone.old": "sensor"}'))
        assert scene.run(10) == {A: "{}"}


def test_a_camera_that_is_gone_is_cleared_if_it_was_ours(tmp_path: Path) -> None:
    with closing(Scene(tmp_path, A)) as scene:
        scene.announcer.hear_earlier(kept(OTHER))
        scene.announcer.hear_earlier(kept(B, "not ours"))
        scene.announcer.hear_earlier(kept("ha/device/box/empty/config", ""))
        assert scene.run(int(LISTEN_S) + 1) == {OTHER: "", A: "{}"}


def test_after_a_new_start_the_file_says_what_to_clear(tmp_path: Path) -> None:
    with closing(Scene(tmp_path, A, B)) as scene:
        scene.run(10)
    with closing(Scene(tmp_path, A)) as scene:
        assert scene.run(int(LISTEN_S) + 1) == {A: "{}", B: ""}
        assert scene.known == [A, B]  # until it has surely arrived
        scene.run(int(DELIVERED_S))
        assert scene.known == [A]
    with closing(Scene(tmp_path, A)) as scene:
        assert scene.run(10) == {A: "{}"}


def test_a_connection_that_does_not_hold_has_delivered_nothing(tmp_path: Path) -> None:
    Places(KeptFile(tmp_path / "homeassistant.json")).write({B})
    with closing(Scene(tmp_path, A)) as scene:
        for _ in range(5):
            scene.run(int(DELIVERED_S) - 1)
            scene.run(1, connected=False)
        assert scene.known == [A, B]


def test_switched_off_it_takes_back_what_it_said_and_then_says_nothing(tmp_path: Path) -> None:
    Places(KeptFile(tmp_path / "homeassistant.json")).write({A, B})
    with closing(Scene(tmp_path)) as scene:
        assert scene.run(30) == {A: "", B: ""}
        assert scene.known == []
        written = scene.file.stat()
    with closing(Scene(tmp_path)) as scene:
        assert scene.run(30) == {}
        assert scene.file.stat().st_ino == written.st_ino


def test_when_home_assistant_starts_everything_is_said_again_after_a_drawn_while(tmp_path: Path) -> None:
    with closing(Scene(tmp_path, A)) as scene:
        scene.run(10)
        scene.outbox.put([Message(topic="edge/box/status", payload=b"online", kind="state")])
        scene.run(1)
        scene.announcer.hear_birth(Heard(topic=BIRTH, payload=b"online"))
        scene.announcer.hear_birth(Heard(topic=BIRTH, payload=b"online"))  # it is starting, and starting again
        assert scene.run(3) == {}
        assert scene.run(1) == {A: "{}", "edge/box/status": "online"}
        assert scene.drawn == 1
        assert scene.run(60) == {}


@pytest.mark.parametrize(
    "heard",
    [
        Heard(topic=BIRTH, payload=b"offline"),
        Heard(topic=BIRTH, payload=b""),
        Heard(topic=BIRTH, payload=b"online", retained=True),
        Heard(topic=BIRTH, payload=b"\xff" * 100_000),
    ],
)
def test_what_is_no_birth_changes_nothing(tmp_path: Path, heard: Heard) -> None:
    with closing(Scene(tmp_path, A)) as scene:
        scene.run(10)
        scene.announcer.hear_birth(heard)
        assert scene.run(60) == {}


def test_births_and_steps_may_meet(tmp_path: Path) -> None:
    with closing(Scene(tmp_path, A)) as scene:
        births = [
            threading.Thread(target=scene.announcer.hear_birth, args=(Heard(topic=BIRTH, payload=b"online"),))
            for _ in range(20)
        ]
        for birth in births:
            birth.start()
            scene.run(2)
        for birth in births:
            birth.join()
        scene.run(10)
        assert scene.run(10) == {}


def test_a_disk_that_takes_nothing_is_no_reason_to_say_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with closing(Scene(tmp_path, A)) as scene:
        scene.file.mkdir()
        assert scene.run(30) == {A: "{}"}
    assert caplog.text.count("cannot be written") == 1


# The file


def test_it_is_written_only_when_it_changes(tmp_path: Path) -> None:
    file = tmp_path / "state" / "homeassistant.json"
    places = Places(KeptFile(file))
    assert places.read() == frozenset()
    places.write(set())
    assert not file.exists()
    places.write({B, A})
    first = file.stat()
    again = Places(KeptFile(file))
    assert again.read() == {A, B}
    for one in (places, again):
        one.write({A, B})
    assert (file.stat().st_mtime_ns, file.stat().st_ino) == (first.st_mtime_ns, first.st_ino)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"topics": 7}',
        '{"topics": [7]}',
        '{"topics": ["edge/box/status"]}',  # nothing else is ever cleared by it
        '{"topics": ["ha/device/+/config"]}',
        "[" * 100_000,
    ],
)
def test_a_damaged_file_counts_as_empty(tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "x.json").write_text(text)
    assert Places(KeptFile(tmp_path / "x.json")).read() == frozenset()
    assert "not understood" in caplog.text
