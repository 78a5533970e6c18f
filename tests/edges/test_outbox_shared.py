"""One agent an outbox, many threads, and people who look in or change something by hand beside it."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import outbox_worker
import pytest
from brokers import until
from fakes import FakeClock
from program import environment

from edge_agent.edges.outbox import Entry, Outbox, OutboxEditor, OutboxReader, OutboxSettings
from edge_agent.edges.outbox.file import File
from edge_agent.errors import StorageError
from edge_agent.records import Message, MessageKind


def event(number: int, kind: MessageKind = "new", subject: str = "", topic: str = "t") -> Message:
    return Message(topic=topic, payload=str(number).encode(), kind=kind, subject=subject, utc_ns=number)


def waiting(outbox: Outbox) -> list[int]:
    return [entry.message.utc_ns for entry in outbox.peek(1000)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outbox.db"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(utc_ns=1_800_000_000_000_000_000)


@pytest.fixture
def outbox(path: Path, clock: FakeClock) -> Iterator[Outbox]:
    with closing(Outbox(OutboxSettings(path=path), clock)) as outbox:
        yield outbox


# --- one agent ------------------------------------------------------------------------------------------------------


def test_a_second_agent_is_refused_in_one_line_that_names_the_first(outbox: Outbox, path: Path) -> None:
    outbox.put([event(0)])
    with pytest.raises(StorageError) as refused:
        Outbox(OutboxSettings(path=path), FakeClock())
    assert str(refused.value) == (
        f"outbox {path}: another agent uses it (process {os.getpid()}); stop that one, or set outbox.path"
    )
    outbox.put([event(1)])
    assert waiting(outbox) == [0, 1]


def test_who_has_ended_holds_nothing(path: Path) -> None:
    for _ in range(2):
        with closing(Outbox(OutboxSettings(path=path), FakeClock())) as outbox:
            outbox.put([event(0)])


def test_who_was_killed_holds_nothing(path: Path, tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    command = [sys.executable, outbox_worker.__file__, str(path), str(ledger), str(10**9)]
    process = subprocess.Popen(command, env=environment())
    until(lambda: ledger.exists() and "put" in ledger.read_text())
    with pytest.raises(StorageError, match=f"process {process.pid}"):
        Outbox(OutboxSettings(path=path), FakeClock())
    process.send_signal(signal.SIGKILL)
    process.wait()
    Outbox(OutboxSettings(path=path), FakeClock()).close()


def test_an_outbox_that_cannot_be_opened_is_not_held(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    path.mkdir()
    with pytest.raises(StorageError, match="make its folder writable"):
        Outbox(OutboxSettings(path=path), FakeClock())
    path.rmdir()
    Outbox(OutboxSettings(path=path), FakeClock()).close()


# --- many threads ---------------------------------------------------------------------------------------------------


@contextmanager
def working_disk(path: Path) -> Iterator[None]:
    """A disk that is busy until the end of the `with`, which must come within the second that an outbox waits."""
    with closing(sqlite3.connect(path, isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        yield
        holder.execute("ROLLBACK")


def test_calls_that_come_while_the_disk_works_are_committed_together(
    outbox: Outbox, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbox.put([event(0)])
    commits: list[int] = []
    insert = File.insert

    def noted(file: File, entries: Sequence[Entry], lost: int = 0) -> int:
        commits.append(len(entries))
        return insert(file, entries, lost)

    monkeypatch.setattr(File, "insert", noted)
    threads = [threading.Thread(target=outbox.put, args=[[event(number)]]) for number in range(1, 9)]
    with working_disk(path):
        threads[0].start()
        until(lambda: commits == [1])
        for thread in threads[1:]:
            thread.start()
        time.sleep(0.2)
        assert all(thread.is_alive() for thread in threads), "a put returned before it was on the disk"
    for thread in threads:
        thread.join()
    assert commits == [1, 7]
    assert sorted(waiting(outbox)) == list(range(9))
    assert outbox.stats().in_memory == 0


def test_a_state_waits_for_no_disk(outbox: Outbox, path: Path) -> None:
    outbox.peek(1)
    putting = threading.Thread(target=outbox.put, args=[[event(0)]])
    with working_disk(path):
        putting.start()
        outbox.put([Message(topic="s", payload=b"1", kind="state")])
        assert [state.payload for state in outbox.dirty_states()] == [b"1"]
        assert outbox.wait(0)
        assert putting.is_alive()
    putting.join()


# --- what a person changes by hand ----------------------------------------------------------------------------------


def test_what_is_purged_beside_a_running_agent_is_gone_and_counted(outbox: Outbox, path: Path) -> None:
    outbox.put([event(0), event(1, "update"), event(2, "end")])
    outbox.bury(outbox.peek(1)[0].id, "test")
    with closing(OutboxEditor(path)) as editor:
        assert editor.purge_waiting() == 2
        assert editor.purge_dead() == 1
        assert editor.purge_waiting() == editor.purge_dead() == 0
    stats = outbox.stats()
    assert (stats.waiting, stats.dead, stats.given_up) == (0, 0, 3)
    outbox.put([event(3)])
    assert waiting(outbox) == [3]


def test_only_what_is_old_is_purged_and_objects_go_whole(outbox: Outbox, path: Path, clock: FakeClock) -> None:
    outbox.put([event(0, "new", "a"), event(1, "new", "b")])
    clock.advance(3600)
    hour_ns = clock.utc_ns()
    outbox.put([event(2, "end", "a"), event(3, "new", "c")])
    clock.synced = False
    clock.now_utc_ns = 10**18
    outbox.put([event(4, "new", "d")])
    with closing(OutboxEditor(path)) as editor:
        assert editor.purge_waiting(hour_ns) == 3
    assert waiting(outbox) == [3, 4]


def test_of_the_dead_only_the_old_are_purged(outbox: Outbox, path: Path, clock: FakeClock) -> None:
    outbox.put([event(0), event(1)])
    outbox.bury(outbox.peek(1)[0].id, "test")
    clock.advance(3600)
    outbox.bury(outbox.peek(1)[0].id, "test")
    with closing(OutboxEditor(path)) as editor:
        assert editor.purge_dead(clock.utc_ns()) == 1
    assert outbox.stats().dead == 1


def test_a_thousand_are_purged_and_sent_again(outbox: Outbox, path: Path) -> None:
    outbox.put([event(number, ("new", "update")[number % 2]) for number in range(450)])  # type: ignore[arg-type]
    for entry in outbox.peek(450):
        outbox.bury(entry.id, "test")
    with closing(OutboxEditor(path)) as editor:
        assert editor.retry() == (450, 0)
        assert outbox.stats().dead == 0
        assert waiting(outbox) == list(range(450))
        assert editor.purge_waiting() == 450


def test_a_damaged_one_is_not_sent_again(outbox: Outbox, path: Path) -> None:
    outbox.put([event(0), event(1)])
    for entry in outbox.peek(2):
        outbox.bury(entry.id, "test")
    with closing(OutboxEditor(path)) as editor:
        with closing(sqlite3.connect(path)) as database, database:
            database.execute("UPDATE dead SET payload = x'00' WHERE utc_ns = 0")
        assert editor.retry() == (1, 1)
    with closing(OutboxReader(path)) as reader:
        assert [one.message for one in reader.dead(9)] == [None]
        assert reader.dead_reasons() == {"test": 1}


def test_the_course_of_a_connection_begins_anew_when_a_person_has_changed_the_file(outbox: Outbox, path: Path) -> None:
    outbox.put([event(0), event(1), event(2)])
    outbox.bury(outbox.peek(1)[0].id, "test")
    course = outbox.course()
    course.look()
    [first] = course.heads()
    course.passed(first)
    assert (first.message.utc_ns, course.stale) == (1, False)
    with closing(OutboxEditor(path)) as editor:
        editor.retry()
    outbox.stats()  # a health report that comes first must not be the only one to notice
    course.look()
    assert course.stale
    course = outbox.course({first.id})
    course.look()
    order = []
    while heads := course.heads():
        order.append(heads[0].message.utc_ns)
        course.passed(heads[0])
    assert order == [0, 2]
    assert not course.stale


def test_nothing_is_edited_that_is_no_outbox(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="there is no such file"):
        OutboxEditor(tmp_path / "outbox.db")
    (tmp_path / "other.db").write_bytes(b"no database" * 1000)
    with pytest.raises(StorageError, match="file is not a database"):
        OutboxEditor(tmp_path / "other.db")
    (tmp_path / "empty.db").touch()
    with pytest.raises(StorageError, match="it is no outbox of layout 2"):
        OutboxEditor(tmp_path / "empty.db")


# --- in turns -------------------------------------------------------------------------------------------------------


def order(outbox: Outbox) -> list[int]:
    course = outbox.course()
    course.look()
    found = []
    while heads := course.heads():
        found.append(heads[0].message.utc_ns)
        course.passed(heads[0])
    return found


def test_cameras_take_turns_and_each_keeps_its_order(outbox: Outbox) -> None:
    outbox.put([event(number, topic="busy") for number in range(50)])
    outbox.put([event(100, topic="quiet"), event(101, topic="quiet")])
    assert order(outbox) == [0, 100, 1, 101, *range(2, 50)]


def test_what_is_put_meanwhile_and_what_waits_in_memory_has_its_turn(outbox: Outbox) -> None:
    course = outbox.course()
    course.look()
    assert course.heads() == []
    outbox.put([event(0, topic="a"), event(1, topic="b"), event(2, topic="a")])
    course.look()
    assert [entry.message.utc_ns for entry in course.heads()] == [0, 1]


def test_what_was_given_up_meanwhile_is_passed_over(outbox: Outbox) -> None:
    outbox.put([event(number) for number in range(30)])
    course = outbox.course()
    course.look()
    outbox.ack([entry.id for entry in outbox.peek(25)])
    assert [entry.message.utc_ns for entry in course.heads()] == [25]
