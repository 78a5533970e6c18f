"""`outbox` as a person uses it, beside a running agent: look at dead messages, forget, send again."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from fakes import FakeClock
from program import run_program

from edge_agent.edges.outbox import Outbox, OutboxSettings
from edge_agent.records import Message, MessageKind

REFUSED, TOO_LARGE = "the broker refuses it: Not authorized (0x87)", "connections break on it"
DAY_NS = 86400 * 10**9


def event(seq: int, kind: MessageKind = "new") -> Message:
    payload = json.dumps({"seq": seq}).encode()
    return Message(topic="edge/a/event", late_topic="edge/a/event/late", payload=payload, kind=kind, utc_ns=seq)


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    """In use by somebody: three events wait, one of them for ten days, and three were set aside."""
    clock = FakeClock(utc_ns=time.time_ns() - 10 * DAY_NS)
    with closing(Outbox(OutboxSettings(path=tmp_path / "outbox.db", max_age="30d"), clock)) as outbox:  # type: ignore[arg-type]
        outbox.put([event(0), event(1), event(2)])
        for entry, reason in zip(outbox.peek(3), (REFUSED, TOO_LARGE, REFUSED), strict=True):
            outbox.bury(entry.id, reason)
        outbox.put([event(3)])
        clock.advance(10 * 86400)
        outbox.put([event(4, "update"), event(5)])
        yield outbox


def asked(folder: Path, *arguments: str) -> Any:
    done = run_program("outbox", *arguments, "--path", folder / "outbox.db", "--json", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def said(folder: Path, *arguments: str) -> str:
    done = run_program("outbox", *arguments, "--path", folder / "outbox.db", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def waiting(outbox: Outbox) -> list[int]:
    return [entry.message.utc_ns for entry in outbox.peek(99)]


@pytest.mark.usefixtures("outbox")
def test_dead_messages_are_listed_with_their_reasons(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "outbox.db")) as database, database:
        database.execute("UPDATE dead SET payload = x'00' WHERE utc_ns = 2")
    listed = asked(tmp_path, "list", "--dead")
    assert [(one["reason"], one["payload"]) for one in listed] == [
        (REFUSED, {"seq": 0}),
        (TOO_LARGE, {"seq": 1}),
        (REFUSED, None),  # damaged: nobody knows what it said
    ]
    assert listed[0]["topic"] == "edge/a/event"
    assert listed[0]["set_aside_utc_ns"] < time.time_ns() - 9 * DAY_NS
    assert said(tmp_path, "list", "--dead", "--limit", "1") == f'{REFUSED}: edge/a/event {{"seq":0}}\n'


@pytest.mark.usefixtures("outbox")
def test_stats_say_why_how_many_were_set_aside(tmp_path: Path) -> None:
    stats = asked(tmp_path, "stats")
    assert stats["dead_reasons"] == {REFUSED: 2, TOO_LARGE: 1}
    assert (stats["waiting"], stats["dead"]) == (3, 3)
    assert said(tmp_path, "stats").splitlines()[-2:] == [f"  2 dead: {REFUSED}", f"  1 dead: {TOO_LARGE}"]


def test_dead_messages_are_sent_again(outbox: Outbox, tmp_path: Path) -> None:
    assert asked(tmp_path, "retry") == {"waiting_again": 3, "damaged": 0}
    assert waiting(outbox) == [0, 1, 2, 3, 4, 5]
    assert said(tmp_path, "retry") == "0 wait again, 0 are damaged and stay set aside\n"


@pytest.mark.parametrize(
    ("what", "purged", "left", "dead"),
    [
        (["--dead"], {"waiting": 0, "dead": 3}, [3, 4, 5], 0),
        (["--all"], {"waiting": 3, "dead": 3}, [], 0),
        (["--older-than", "7d"], {"waiting": 1, "dead": 0}, [4, 5], 3),
        (["--older-than", "11d"], {"waiting": 0, "dead": 0}, [3, 4, 5], 3),
        (["--dead", "--older-than", "7d"], {"waiting": 0, "dead": 3}, [3, 4, 5], 0),
        (["--all", "--older-than", "7d"], {"waiting": 1, "dead": 3}, [4, 5], 0),
    ],
)
def test_purge_forgets_what_it_is_told_to_and_says_how_many(
    outbox: Outbox, tmp_path: Path, what: list[str], purged: dict[str, int], left: list[int], dead: int
) -> None:
    assert asked(tmp_path, "purge", *what) == purged
    assert waiting(outbox) == left
    assert outbox.stats().dead == dead
    assert outbox.stats().given_up == sum(purged.values())


@pytest.mark.usefixtures("outbox")
def test_purge_says_it_in_words_too(tmp_path: Path) -> None:
    assert said(tmp_path, "purge", "--dead") == "purged 0 that waited and 3 that were set aside\n"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["purge"], "purge what? --dead, --all, or --older-than AGE for what waits"),
        (["purge", "--dead", "--all"], "--all and --dead exclude each other"),
        (["purge", "--older-than", "soon"], "must be a number of seconds or one like 500ms, 30s, 5m, 2h, 7d"),
        (["purge", "--older-than=-1d"], "must not be below zero"),
        (["list", "--all"], "--all and --older-than belong to purge, not to list"),
        (["stats", "--dead"], "--dead belongs to list and purge, not to stats"),
    ],
)
def test_what_makes_no_sense_changes_nothing(
    outbox: Outbox, tmp_path: Path, arguments: list[str], complaint: str
) -> None:
    done = run_program("outbox", *arguments, "--path", tmp_path / "outbox.db", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].endswith(complaint)
    assert (outbox.stats().waiting, outbox.stats().dead) == (3, 3)


def test_an_outbox_that_is_held_is_not_purged_but_named(outbox: Outbox, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "outbox.db", isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        done = run_program("outbox", "purge", "--all", "--path", tmp_path / "outbox.db", cwd=tmp_path)
        holder.execute("ROLLBACK")
    assert done.returncode == 69
    assert done.stderr == (f"edge-agent: outbox {tmp_path}/outbox.db: database is locked; another program holds it\n")
    assert outbox.stats().waiting == 3


@pytest.mark.parametrize("action", ["purge", "retry"])
def test_where_there_is_no_outbox_none_is_made(tmp_path: Path, action: str) -> None:
    what = ["--all"] if action == "purge" else []
    done = run_program("outbox", action, *what, "--path", tmp_path / "none.db", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (69, "")
    assert "there is no such file" in done.stderr
    assert list(tmp_path.iterdir()) == []
