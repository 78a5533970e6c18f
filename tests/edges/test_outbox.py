"""The outbox loses nothing that it has taken, keeps order, stays within its bounds, and outlives a bad disk."""

from __future__ import annotations

import logging
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest
from fakes import FakeClock
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.edges.outbox import Entry, Outbox, OutboxReader, OutboxSettings
from edge_agent.edges.outbox import file as outbox_file
from edge_agent.errors import StorageError
from edge_agent.records import Message, MessageKind

MIB = 1 << 20


def event(number: int, kind: MessageKind = "new", size: int = 0) -> Message:
    payload = str(number).encode().ljust(size)
    return Message(topic="edge/pi/camera/a/event", payload=payload, kind=kind, late_topic="late", utc_ns=number)


def state(topic: str, payload: bytes) -> Message:
    return Message(topic=topic, payload=payload, kind="state")


def numbers(entries: Sequence[Entry]) -> list[int]:
    return [int(entry.message.payload) for entry in entries]


def execute(path: Path, statement: str, *values: object) -> None:
    """Change the file behind the outbox's back."""
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(statement, values)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for a lock no longer than it takes to see that it is there."""
    pragmas = [pragma for pragma in outbox_file.PRAGMAS if "busy_timeout" not in pragma]
    monkeypatch.setattr(outbox_file, "PRAGMAS", (*pragmas, "PRAGMA busy_timeout=10"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "outbox.db"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def outbox(path: Path, clock: FakeClock) -> Iterator[Outbox]:
    with closing(Outbox(OutboxSettings(path=path, max_bytes=MIB), clock)) as outbox:
        yield outbox


def reopened(path: Path, clock: FakeClock | None = None) -> closing[Outbox]:
    return closing(Outbox(OutboxSettings(path=path, max_bytes=MIB), clock or FakeClock()))


# --- put, peek, ack -------------------------------------------------------------------------------------------------


def test_an_event_is_on_the_disk_when_put_returns(path: Path) -> None:
    program = (
        "import os, signal, sys; from pathlib import Path\n"
        "from edge_agent.edges.clock import SystemClock\n"
        "from edge_agent.edges.outbox import Outbox, OutboxSettings\n"
        "from edge_agent.records import Message\n"
        "outbox = Outbox(OutboxSettings(path=Path(sys.argv[1])), SystemClock())\n"
        "outbox.put([Message(topic='t', payload=b'%d' % n, kind='new') for n in range(3)])\n"
        "outbox.put([Message(topic='t', payload=b'3', kind='end')])\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", program, str(path)], check=False).returncode == -9
    with reopened(path) as outbox:
        assert numbers(outbox.peek(10)) == [0, 1, 2, 3]


def test_events_come_back_oldest_first_and_after_the_one_that_is_asked_for(outbox: Outbox) -> None:
    outbox.put([event(0), event(1)])
    outbox.put([event(2)])
    first, second = outbox.peek(2)
    assert numbers([first, second]) == [0, 1]
    assert numbers(outbox.peek(2, second.id)) == [2]
    assert outbox.peek(2, outbox.peek(3)[-1].id) == ()
    assert first.message == event(0)


def test_an_acknowledged_event_is_gone_and_its_id_never_comes_again(outbox: Outbox, path: Path) -> None:
    outbox.put([event(0), event(1)])
    first, second = outbox.peek(2)
    outbox.ack([first.id, second.id])
    assert outbox.peek(9) == ()
    outbox.close()
    with reopened(path) as again:
        again.put([event(2)])
        assert again.peek(1)[0].id > second.id


def test_a_thousand_events_are_acknowledged_at_once(outbox: Outbox) -> None:
    outbox.put([event(number) for number in range(1000)])
    outbox.ack(entry.id for entry in outbox.peek(999))
    assert numbers(outbox.peek(9)) == [999]
    assert outbox.stats().waiting == 1


def test_nothing_put_is_nothing_written(outbox: Outbox) -> None:
    outbox.put([])
    outbox.ack([])
    assert outbox.peek(9) == ()
    assert not outbox.wait(0)


def test_an_event_knows_when_this_run_put_it_and_forgets_when_an_earlier_run_did(
    outbox: Outbox, path: Path, clock: FakeClock
) -> None:
    outbox.put([event(0)])
    assert outbox.peek(1)[0].put_s == clock.monotonic_s()
    outbox.close()
    with reopened(path) as again:
        assert again.peek(1)[0].put_s is None
        assert again.peek(1)[0].put_utc_ns == clock.utc_ns()


def test_wait_wakes_when_another_thread_puts(outbox: Outbox) -> None:
    putting = threading.Timer(0.05, outbox.put, [[event(0)]])
    putting.start()
    assert outbox.wait(10)
    putting.join()
    assert not outbox.wait(0)


def test_four_threads_put_at_once_and_each_keeps_its_order(outbox: Outbox) -> None:
    def put_all(hundreds: int) -> None:
        for number in range(30):
            outbox.put([event(hundreds * 100 + number)])

    threads = [threading.Thread(target=put_all, args=[hundreds]) for hundreds in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = numbers(outbox.peek(500))
    assert sorted(found) == [hundreds * 100 + number for hundreds in range(4) for number in range(30)]
    for hundreds in range(4):
        own = [number for number in found if number // 100 == hundreds]
        assert own == sorted(own)


@settings(max_examples=25, deadline=None)
@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("put"), st.integers(0, 5)),
            st.tuples(st.just("ack"), st.integers(0, 5)),
            st.tuples(st.just("bury"), st.integers(0, 3)),
            st.tuples(st.just("reopen"), st.just(0)),
        ),
        max_size=30,
    )
)
def test_any_sequence_of_calls_agrees_with_a_plain_list(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]]
) -> None:
    path = tmp_path_factory.mktemp("model") / "outbox.db"
    outbox = Outbox(OutboxSettings(path=path), FakeClock())
    waiting: list[int] = []
    dead = put_total = 0
    for step, amount in steps:
        entries = outbox.peek(amount)
        assert numbers(entries) == waiting[:amount]
        if step == "put":
            fresh = list(range(put_total, put_total + amount))
            outbox.put([event(number) for number in fresh])
            waiting += fresh
            put_total += amount
        elif step == "ack":
            outbox.ack([entry.id for entry in entries])
            del waiting[:amount]
        elif step == "bury" and entries:
            outbox.bury(entries[-1].id, "test")
            del waiting[len(entries) - 1]
            dead += 1
        elif step == "reopen":
            outbox.close()
            outbox = Outbox(OutboxSettings(path=path), FakeClock())
    stats = outbox.stats()
    assert numbers(outbox.peek(1000)) == waiting
    assert (stats.waiting, stats.dead, stats.given_up) == (len(waiting), dead, 0)
    outbox.close()


# --- states ---------------------------------------------------------------------------------------------------------


def test_of_a_state_only_the_newest_value_stays(outbox: Outbox) -> None:
    outbox.put([state("a", b"1"), state("a", b"2"), state("b", b"1")])
    assert outbox.dirty_states() == (state("a", b"2"), state("b", b"1"))
    assert outbox.dirty_states() == ()
    assert outbox.states() == (state("a", b"2"), state("b", b"1"))
    assert outbox.peek(9) == ()


def test_a_state_that_does_not_change_is_not_sent_again(outbox: Outbox) -> None:
    outbox.put([state("a", b"1")])
    outbox.dirty_states()
    assert outbox.wait(0)
    outbox.put([state("a", b"1")])
    assert outbox.dirty_states() == ()
    assert not outbox.wait(0)


def test_states_are_taken_in_portions_and_all_again_for_a_new_connection(outbox: Outbox) -> None:
    outbox.put([state("a", b"1"), state("b", b"1"), state("c", b"1")])
    assert outbox.dirty_states(2) == (state("a", b"1"), state("b", b"1"))
    outbox.redirty()
    assert outbox.dirty_states() == outbox.states()


# --- bounds ---------------------------------------------------------------------------------------------------------


def test_a_full_file_gives_up_updates_first_then_the_oldest(outbox: Outbox, caplog: pytest.LogCaptureFixture) -> None:
    kinds: tuple[MessageKind, ...] = ("new", "update", "end")
    for number in range(450):  # two a page, and 176 of the 256 pages may be used: 352 fit at most
        outbox.put([event(number, kinds[number % 3], 1900)])
    left = [entry.message.kind for entry in outbox.peek(1000)]
    assert left.count("new") == left.count("end") == 150
    assert outbox.stats().given_up == 450 - len(left) > 0
    assert outbox.stats().bytes <= MIB

    for number in range(450, 750):
        outbox.put([event(number, "new", 1900)])
    still_left = outbox.peek(1000)
    assert all(entry.message.kind != "update" for entry in still_left)
    assert numbers(still_left)[-300:] == list(range(450, 750))
    assert outbox.stats().given_up == 750 - len(still_left)
    assert "events are given up: the file has reached outbox.max_bytes" in caplog.text


def test_given_up_events_are_said_once_a_minute(
    outbox: Outbox, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(700):
        outbox.put([event(number, "update", 2000)])
    clock.advance(61)
    for number in range(20):
        outbox.put([event(number, "update", 2000)])
    assert len([line for line in caplog.messages if "given up" in line]) == 2


def test_the_file_stays_within_its_bound_and_so_does_its_log(outbox: Outbox, path: Path) -> None:
    for number in range(1000):
        outbox.put([event(number, "new", 2000)])
    assert path.stat().st_size <= MIB
    assert Path(f"{path}-wal").stat().st_size < 3 * MIB


def test_an_event_that_is_too_old_is_given_up(outbox: Outbox, clock: FakeClock) -> None:
    outbox.put([event(0)])
    clock.advance(6 * 86400)
    outbox.put([event(1)])
    clock.advance(2 * 86400)
    assert numbers(outbox.peek(9)) == [1]
    assert outbox.stats().given_up == 1


def test_a_clock_that_jumps_makes_nothing_old(outbox: Outbox, path: Path, clock: FakeClock) -> None:
    clock.now_utc_ns, clock.synced = 0, False  # no battery, no network: the year is 1970
    outbox.put([event(0)])
    clock.now_utc_ns, clock.synced = 1_800_000_000_000_000_000, True
    clock.advance(61)
    assert numbers(outbox.peek(9)) == [0]
    outbox.close()
    later = FakeClock(utc_ns=1_800_000_000_000_000_000)
    with reopened(path, later) as again:
        later.advance(61)
        assert numbers(again.peek(9)) == [0]


def test_what_a_vouched_for_clock_has_dated_grows_not_old_by_one_that_nobody_vouches_for(
    outbox: Outbox, path: Path, clock: FakeClock
) -> None:
    outbox.put([event(0)])
    outbox.close()
    later = FakeClock(
        utc_ns=clock.utc_ns() + 3000 * 86400 * 10**9
    )  # the battery is empty, and this board begins in 2031
    later.synced = False
    with reopened(path, later) as again:
        later.advance(61)
        assert numbers(again.peek(9)) == [0]


@settings(max_examples=40, deadline=None)
@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("put"), st.integers(1, 4)),
            st.tuples(st.just("step"), st.integers(-(10**18), 10**18)),  # 31 years at most
            st.tuples(st.just("wait"), st.integers(1, 3600)),
            st.tuples(st.just("reopen"), st.integers(-(10**18), 10**18)),
        ),
        max_size=30,
    )
)
def test_a_clock_that_steps_to_and_fro_expires_reorders_and_loses_nothing(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]]
) -> None:
    path = tmp_path_factory.mktemp("steps") / "outbox.db"
    clock = FakeClock(utc_ns=2 * 10**18)
    clock.synced = False
    outbox = Outbox(OutboxSettings(path=path), clock)
    put_total = 0
    for step, amount in steps:
        if step == "put":
            outbox.put([event(put_total + number) for number in range(amount)])
            put_total += amount
        elif step == "wait":
            clock.advance(amount)
        elif step == "step":
            clock.now_utc_ns = max(0, clock.now_utc_ns + amount)
        else:
            outbox.close()
            clock = FakeClock(monotonic_s=float(amount % 1000), utc_ns=max(0, clock.now_utc_ns + amount))
            clock.synced = False
            outbox = Outbox(OutboxSettings(path=path), clock)
        assert numbers(outbox.peek(1000)) == list(range(put_total))
    assert outbox.stats().given_up == 0
    outbox.close()


def test_events_of_an_earlier_run_grow_old_by_the_wall_clock(outbox: Outbox, path: Path, clock: FakeClock) -> None:
    clock.now_utc_ns = 1_750_000_000_000_000_000
    outbox.put([event(0)])
    outbox.close()
    later = FakeClock(utc_ns=1_750_000_000_000_000_000 + 8 * 86400 * 10**9)
    with reopened(path, later) as again:
        later.advance(61)
        assert again.peek(9) == ()


# --- trouble with the disk ------------------------------------------------------------------------------------------


@pytest.fixture
def locked(outbox: Outbox, path: Path) -> Iterator[sqlite3.Connection]:
    """Another program that holds the file, until `rollback`."""
    outbox.peek(1)
    with closing(sqlite3.connect(path, isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        yield holder


def test_events_wait_in_memory_while_the_file_is_locked_and_can_be_delivered_from_there(
    outbox: Outbox, locked: sqlite3.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    outbox.put([event(0)])
    outbox.put([event(1)])
    first, second = outbox.peek(9)
    assert numbers([first, second]) == [0, 1]
    assert outbox.stats().in_memory == outbox.stats().waiting == 2
    assert "locked; another program holds it; events wait in memory" in caplog.text
    outbox.ack([first.id])
    locked.rollback()
    outbox.put([event(2)])
    assert numbers(outbox.peek(9)) == [1, 2]
    assert outbox.stats().in_memory == 0


def test_an_acknowledged_event_stays_gone_while_the_file_is_locked(outbox: Outbox, path: Path) -> None:
    outbox.put([event(0), event(1)])
    first, second = outbox.peek(2)
    with closing(sqlite3.connect(path, isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        outbox.ack([first.id])
        assert outbox.peek(9) == (second,)
        assert outbox.stats().waiting == 1
    outbox.ack([])
    with closing(OutboxReader(path)) as reader:
        assert reader.stats().waiting == 1


FULL_DISK = """
import sys; from pathlib import Path
from edge_agent.edges.clock import SystemClock
from edge_agent.edges.outbox import Outbox, OutboxSettings
from edge_agent.records import Message

def put(first, last):
    for n in range(first, last):
        outbox.put([Message(topic="t", payload=b"%d" % n + b" " * 1500, kind="new")])

folder = Path(sys.argv[1])
outbox = Outbox(OutboxSettings(path=folder / "outbox.db"), SystemClock())
put(0, 100)
filler = (folder / "filler").open("wb", buffering=0)
try:
    while filler.write(bytes(4096)) == 4096:
        pass
except OSError:
    pass
put(100, 1600)
stats = outbox.stats()
assert stats.in_memory == 1000, stats
assert stats.given_up > 0, stats
assert stats.waiting + stats.given_up == 1600, stats
entries = outbox.peek(5000)
numbers = [int(entry.message.payload) for entry in entries]
assert numbers == sorted(numbers) and len(numbers) == stats.waiting
outbox.ack([entry.id for entry in entries[:800]])
put(1600, 1610)
stats = outbox.stats()
assert stats.in_memory == 0, stats
assert [int(entry.message.payload) for entry in outbox.peek(5000)] == numbers[800:] + list(range(1600, 1610))
"""


def test_on_a_disk_that_is_really_full_deleting_still_works_and_makes_room(tmp_path: Path) -> None:
    private_disk = ["unshare", "--mount", "sh", "-ec"]
    mount = 'mount -t tmpfs -o size=8m none "$0"'
    if subprocess.run([*private_disk, mount, str(tmp_path)], check=False, capture_output=True).returncode:
        pytest.skip("this user may not mount a small disk")
    run = f'{mount}; exec "$1" -c "$2" "$0"'
    subprocess.run([*private_disk, run, str(tmp_path), sys.executable, FULL_DISK], check=True)


def test_a_folder_that_cannot_be_written_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="File exists") as raised:
        Outbox(OutboxSettings(path=tmp_path / "file" / "outbox.db"), FakeClock())
    assert "\n" not in str(raised.value)


def test_a_path_that_is_a_folder_is_said_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="make its folder writable"):
        Outbox(OutboxSettings(path=tmp_path), FakeClock())


# --- damage ---------------------------------------------------------------------------------------------------------


def damaged_files(path: Path) -> list[str]:
    return sorted(part.name for part in path.parent.glob("outbox.db.damaged-*"))


@pytest.mark.parametrize("content", [b"this is no database" * 500, b"SQLite format 3\0", bytes(8192)])
def test_a_file_that_is_no_database_is_set_aside_and_the_agent_starts(
    path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    with reopened(path) as outbox:
        outbox.put([event(0)])
        assert numbers(outbox.peek(9)) == [0]
    assert damaged_files(path) == ["outbox.db.damaged-20231114T221320Z"]
    assert (path.parent / "outbox.db.damaged-20231114T221320Z").read_bytes() == content
    assert "was damaged" in caplog.text


def test_an_empty_file_is_a_new_outbox(path: Path) -> None:
    path.parent.mkdir()
    path.touch()
    with reopened(path) as outbox:
        outbox.put([event(0)])
    assert damaged_files(path) == []


def test_another_programs_database_is_set_aside(path: Path) -> None:
    path.parent.mkdir()
    execute(path, "CREATE TABLE somebody_elses (x)")
    with reopened(path) as outbox:
        assert outbox.peek(9) == ()
    assert len(damaged_files(path)) == 1


def test_what_can_be_read_of_a_damaged_file_is_saved_in_order(outbox: Outbox, path: Path) -> None:
    outbox.put([event(number, size=1500) for number in range(300)])  # 2 rows a page
    last_id = outbox.peek(400)[-1].id
    outbox.close()
    with path.open("r+b") as file:
        for page in (60, 61, 120):
            file.seek(page * 4096)
            file.write(b"\xff" * 4096)
    with reopened(path) as again:
        saved = numbers(again.peek(1000))
        assert saved == sorted(saved)
        assert 300 - 3 * 6 <= len(saved) < 300
        again.put([event(300)])
        assert again.peek(1000)[-1].id > last_id
        assert again.stats().waiting == len(saved) + 1


def test_damage_while_it_runs_loses_neither_the_readable_nor_the_new(outbox: Outbox, path: Path) -> None:
    outbox.put([event(number, size=1500) for number in range(300)])
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with path.open("r+b") as file:
        file.seek(4096 * 100)
        file.write(b"\xff" * 4096 * 10)
    execute(path, "UPDATE meta SET value = value")  # so that the open connection drops its cached pages
    found = numbers(outbox.peek(1000))
    outbox.put([event(300)])
    assert found == sorted(found)
    assert 0 < len(found) < 300
    assert numbers(outbox.peek(1000)) == [*found, 300]
    assert len(damaged_files(path)) >= 1


def test_only_the_newest_damaged_files_are_kept(path: Path, clock: FakeClock) -> None:
    path.parent.mkdir()
    for _ in range(5):
        path.write_bytes(b"no database" * 1000)
        clock.advance(1)
        reopened(path, clock).__exit__(None, None, None)
    assert [name[-4:] for name in damaged_files(path)] == ["323Z", "324Z", "325Z"]


@pytest.mark.parametrize(
    "change", ["payload = x'00'", "topic = 'other'", "topic = x'ff00fe'", "kind = 'state'", "payload = 5", "utc_ns = 9"]
)
def test_a_row_with_a_wrong_checksum_is_set_aside_and_the_next_ones_come(
    outbox: Outbox, path: Path, change: str
) -> None:
    outbox.put([event(0), event(1), event(2)])
    damaged = outbox.peek(9)[1]
    execute(path, f"UPDATE lasting SET {change} WHERE id = {damaged.id}")  # noqa: S608 - our own words
    assert numbers(outbox.peek(2)) == [0, 2]
    assert outbox.stats().dead == 1
    assert outbox.stats().waiting == 2


def test_a_buried_event_is_kept_with_its_reason(outbox: Outbox, path: Path) -> None:
    outbox.put([event(0), event(1)])
    outbox.bury(outbox.peek(1)[0].id, "the broker refuses it")
    assert numbers(outbox.peek(9)) == [1]
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT payload, reason FROM dead").fetchall() == [(b"0", "the broker refuses it")]


def test_the_dead_do_not_grow_for_ever(outbox: Outbox) -> None:
    for number in range(40):  # an eighth of 256 pages: 32 of them are kept
        outbox.put([event(number)])
        outbox.bury(outbox.peek(1)[0].id, "test")
    stats = outbox.stats()
    assert (stats.dead, stats.given_up, stats.waiting) == (32, 8, 0)


# --- looking in -----------------------------------------------------------------------------------------------------


def test_a_reader_sees_what_waits_while_the_outbox_is_in_use(outbox: Outbox, path: Path) -> None:
    outbox.put([event(0), event(1)])
    with closing(OutboxReader(path)) as reader:
        assert numbers(reader.entries(1)) == [0]
        outbox.put([event(2)])
        assert numbers(reader.entries(9)) == [0, 1, 2]
        assert reader.stats().waiting == 3
        assert reader.stats().oldest_utc_ns == 0


def test_a_reader_leaves_no_file_behind(outbox: Outbox, path: Path) -> None:
    outbox.put([event(0)])
    outbox.close()
    before = sorted(path.parent.iterdir())
    with closing(OutboxReader(path)) as reader:
        assert numbers(reader.entries(9)) == [0]
        assert sorted(path.parent.iterdir()) == before
    assert sorted(path.parent.iterdir()) == before


def test_a_reader_says_that_there_is_no_outbox(path: Path) -> None:
    with pytest.raises(StorageError, match="there is no such file"):
        OutboxReader(path)
    assert not path.parent.exists()


def test_a_reader_says_that_a_file_is_no_outbox(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(StorageError, match="file is not a database"):
        OutboxReader(path)


def test_stats_count_this_run(outbox: Outbox, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    assert outbox.stats().oldest_utc_ns is None
    outbox.put([event(7), event(8)])
    outbox.ack([outbox.peek(1)[0].id])
    stats = outbox.stats()
    assert (stats.put_total, stats.acked_total, stats.waiting, stats.oldest_utc_ns) == (2, 1, 1, 8)
    assert caplog.text == ""


# --- answers --------------------------------------------------------------------------------------------------------


def answer(number: int) -> Message:
    return Message(topic="edge/pi/command/result", payload=b"%d" % number, kind="answer")


def test_answers_wait_in_memory_and_never_on_the_disk(outbox: Outbox, path: Path) -> None:
    outbox.wait(0)
    outbox.put([answer(0), event(1), answer(2)])
    assert outbox.wait(0)
    first, second = outbox.answers(10)
    assert numbers([first, second]) == [0, 2]
    assert numbers(outbox.peek(10)) == [1]
    assert numbers(outbox.answers(1)) == [0]
    assert numbers(outbox.answers(10, first.id)) == [2]
    outbox.forget_answer(first.id)
    assert numbers(outbox.answers(10)) == [2]
    assert (outbox.stats().answers_lost, outbox.stats().waiting) == (0, 1)
    outbox.close()
    with reopened(path) as later:
        assert later.answers(10) == ()


def test_of_too_many_answers_the_oldest_are_lost_and_counted(outbox: Outbox) -> None:
    outbox.put([answer(number) for number in range(103)])
    assert numbers(outbox.answers(1000)) == list(range(3, 103))
    assert outbox.stats().answers_lost == 3


def test_after_a_minute_nobody_waits_for_an_answer(outbox: Outbox, clock: FakeClock) -> None:
    outbox.put([answer(0)])
    clock.advance(30)
    outbox.put([answer(1)])
    clock.advance(30)
    assert numbers(outbox.answers(10)) == [0, 1]
    clock.advance(0.1)
    assert numbers(outbox.answers(10)) == [1]
    assert outbox.stats().answers_lost == 1


def test_an_answer_that_the_broker_never_takes_is_lost_once(outbox: Outbox) -> None:
    outbox.put([answer(0)])
    [entry] = outbox.answers(10)
    outbox.forget_answer(entry.id, lost=True)
    outbox.forget_answer(entry.id, lost=True)
    assert outbox.stats().answers_lost == 1
