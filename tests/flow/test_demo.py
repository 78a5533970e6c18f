"""The demo, as the first thing that anybody runs: on a terminal and in a pipe, with either broker."""

from __future__ import annotations

import importlib.util
import os
import pty
import re
import socket
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

import av
import program
import pytest
from brokers import MOSQUITTO

LEAST_PERSONS = 5
WITHIN_S = 200.0  # 30 s on a machine that does nothing else
CLIP_FRAMES = 250
ESCAPE = "\x1b["

pytestmark = pytest.mark.timeout(WITHIN_S + 60.0)

PROGRAM = ("-m", "edge_agent")
_HIDE_AND_RUN = (
    "import shutil, sys; find = shutil.which; "
    "shutil.which = lambda name, *more, **named: None if name == 'mosquitto' else find(name, *more, **named); "
    "from edge_agent.cli.main import main; sys.exit(main(sys.argv[1:]))"
)
WITHOUT_MOSQUITTO = ("-c", _HIDE_AND_RUN)
"""The program on a machine where mosquitto is not installed."""

needs_iotcore = pytest.mark.skipif(importlib.util.find_spec("iotcore") is None, reason="iotcore is not installed")


@dataclass(frozen=True, kw_only=True)
class Shown:
    """What a person saw of one demo, what it left behind, and its broker's name and whether it answered at the end."""

    code: int
    text: str
    errors: str
    folder: Path
    temporary: Path
    broker: str
    broker_answers: bool


@pytest.fixture(scope="module")
def demos(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Shown]:
    """One demo in a pipe with the broker that is there, one on a terminal with iotcore; at once, as each takes 30 s."""
    with ThreadPoolExecutor() as threads:
        piped = threads.submit(demo, tmp_path_factory.mktemp("pipe"), PROGRAM, terminal=False)
        on_terminal = threads.submit(demo, tmp_path_factory.mktemp("terminal"), WITHOUT_MOSQUITTO, terminal=True)
        return {"pipe": piped.result(), "terminal": on_terminal.result()}


def demo(folder: Path, how: Sequence[str], *, terminal: bool) -> Shown:
    temporary = folder / "tmp"
    temporary.mkdir()
    home = folder / "home"
    home.mkdir()
    env = program.environment(TMPDIR=str(temporary), TERM="xterm-256color", COLUMNS="120", LINES="50")
    command = [sys.executable, *how, "demo"]
    if not terminal:
        done = subprocess.run(command, cwd=home, env=env, capture_output=True, text=True, timeout=WITHIN_S, check=False)
        return seen(done.returncode, done.stdout, done.stderr, folder)
    ours, theirs = pty.openpty()
    with subprocess.Popen(command, cwd=home, env=env, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        text = read_terminal(ours)
        code = process.wait(WITHIN_S)
    return seen(code, text, "", folder)


def seen(code: int, text: str, errors: str, folder: Path) -> Shown:
    """What is there right after a demo's end; later its broker's port may be somebody else's."""
    said = re.search(r"broker +(\w+) on mqtt://127\.0\.0\.1:(\d+), this machine only", plain(text))
    assert said, text + errors
    with closing(socket.socket()) as probe:
        answers = probe.connect_ex(("127.0.0.1", int(said[2]))) == 0
    return Shown(
        code=code,
        text=text,
        errors=errors,
        folder=folder / "home",
        temporary=folder / "tmp",
        broker=said[1],
        broker_answers=answers,
    )


def read_terminal(descriptor: int) -> str:
    """All that appears on a terminal, until nobody holds its other end any more, which reads as an I/O error."""
    read = bytearray()
    with suppress(OSError):
        while chunk := os.read(descriptor, 65536):
            read += chunk
    os.close(descriptor)
    return read.decode()


both = pytest.mark.parametrize("where", ["pipe", pytest.param("terminal", marks=needs_iotcore)])


@both
def test_it_reports_real_people_over_a_real_broker_and_ends_well(demos: dict[str, Shown], where: str) -> None:
    shown = demos[where]
    assert (shown.code, shown.errors) == (0, "")
    assert "Traceback" not in shown.text
    said = re.search(r"(\d+) objects were reported in (\d+) events over MQTT \((.*)\)", shown.text)
    assert said, shown.text
    persons, events = int(said[1]), int(said[2])
    assert persons >= LEAST_PERSONS
    counted = {name: int(count) for count, name in re.findall(r"(\d+) (\w+)", said[3])}
    assert sum(counted.values()) == events
    assert counted["new"] == counted["end"] == persons


@both
def test_it_leaves_the_annotated_clip_and_nothing_else(demos: dict[str, Shown], where: str) -> None:
    shown = demos[where]
    assert [path.name for path in shown.folder.iterdir()] == ["demo-out"]
    (drawn,) = (shown.folder / "demo-out").iterdir()
    assert str(drawn.relative_to(shown.folder)) in shown.text
    with av.open(str(drawn)) as film:
        assert sum(1 for _ in film.decode(video=0)) == CLIP_FRAMES
    assert list(shown.temporary.iterdir()) == []


@both
def test_its_broker_is_for_this_machine_only_and_gone_afterwards(demos: dict[str, Shown], where: str) -> None:
    assert demos[where].broker == ("mosquitto" if where == "pipe" and MOSQUITTO else "iotcore")
    assert not demos[where].broker_answers


def test_in_a_pipe_each_event_is_a_plain_line(demos: dict[str, Shown]) -> None:
    text = demos["pipe"].text
    assert ESCAPE not in text
    form = r"\d\d:\d\d:\d\d\.\d{3} campus +(new|update|end) +(campus-\d+) +person +[01]\.\d\d .*"
    lines = [found for found in (re.fullmatch(form, line) for line in text.splitlines()) if found]
    said = re.search(r"reported in (\d+) events", text)
    assert said
    assert len(lines) == int(said[1])
    assert len({line[2] for line in lines if line[1] == "new"}) >= LEAST_PERSONS


@needs_iotcore
def test_on_a_terminal_there_is_a_live_table_of_events_and_states(demos: dict[str, Shown]) -> None:
    text = demos["terminal"].text
    assert ESCAPE in text
    shown = plain(text)
    assert shown.count("events over MQTT") > 10, "it was drawn anew hardly ever"
    for title in ("retained states", "edge/demo/status", "edge/demo/camera/campus/count/person", "online"):
        assert title in shown


def plain(text: str) -> str:
    """A terminal's text without colours and movements."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
