"""Where there is no room objects go whole: no `end` is left whose `new` was given up, no `new` without its `end`."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest
from fakes import FakeClock
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.edges.outbox import Entry, Outbox, OutboxReader, OutboxSettings
from edge_agent.edges.outbox import file as outbox_file
from edge_agent.edges.outbox.priorities import victims
from edge_agent.records import Message, MessageKind

MIB = 1 << 20
SIZE = 1900
"""Two rows a page, and 176 of the 256 pages of a file of 1 MiB may be used: 352 fit."""


def event(subject: str, kind: MessageKind, size: int = SIZE) -> Message:
    payload = json.dumps([subject, kind]).encode().ljust(size)
    return Message(topic="t", payload=payload, kind=kind, late_topic="late", subject=subject)


def left(outbox: Outbox) -> list[tuple[str, MessageKind]]:
    return [(entry.message.subject, entry.message.kind) for entry in outbox.peek(10_000)]


def subjects(left: Sequence[tuple[str, MessageKind]], kind: MessageKind) -> list[str]:
    return [subject for subject, its_kind in left if its_kind == kind]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outbox.db"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def outbox(path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> Iterator[Outbox]:
    pragmas = [pragma for pragma in outbox_file.PRAGMAS if "busy_timeout" not in pragma]
    monkeypatch.setattr(outbox_file, "PRAGMAS", (*pragmas, "PRAGMA busy_timeout=10"))
    with closing(Outbox(OutboxSettings(path=path, max_bytes=MIB), clock)) as outbox:
        yield outbox


@pytest.fixture
def locked(outbox: Outbox, path: Path) -> Iterator[sqlite3.Connection]:
    """A disk that takes nothing, until `rollback`."""
    outbox.peek(1)
    with closing(sqlite3.connect(path, isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        yield holder


@pytest.mark.parametrize("is_over", [False, True])
def test_the_end_of_what_is_under_way_is_kept(outbox: Outbox, *, is_over: bool) -> None:
    """Its `new` arrives, whatever becomes of the row."""
    end = [event("under way", "end")]
    outbox.put([event("under way", "new"), *(end if is_over else [])])
    course = outbox.course()
    course.look()
    [under_way] = course.heads()
    course.passed(under_way)
    for number in range(400):
        outbox.put([event(f"later {number}", "new")])
    outbox.ack([under_way.id])
    outbox.put([] if is_over else end)
    assert "under way" in subjects(left(outbox), "end")
    assert "under way" not in subjects(left(outbox), "new")


def test_of_a_full_file_the_oldest_objects_go_whole(outbox: Outbox) -> None:
    for number in range(500):  # always ten of them there at a time
        outbox.put([event(str(number), "new")])
        if number >= 10:
            outbox.put([event(str(number - 10), "end")])
    found = left(outbox)
    began, ended = subjects(found, "new"), subjects(found, "end")
    assert 300 < len(found) <= 352
    assert began == [str(number) for number in range(500 - len(began), 500)]
    assert ended == began[:-10]
    assert outbox.stats().given_up == 990 - len(found)


def test_updates_go_before_any_object(outbox: Outbox) -> None:
    for number in range(150):
        outbox.put([event(str(number), kind) for kind in ("new", "update", "update", "end")])
    found = left(outbox)
    assert len(subjects(found, "new")) == len(subjects(found, "end")) == 150
    assert 20 < len(subjects(found, "update")) < 60


def test_the_end_of_an_object_that_was_given_up_while_it_was_there_goes_too(outbox: Outbox) -> None:
    outbox.put([event("long", "new")])
    for number in range(400):
        outbox.put([event(str(number), "new")])
    assert "long" not in subjects(left(outbox), "new")
    given_up = outbox.stats().given_up
    outbox.put([event("long", "end"), event("399", "end")])
    assert subjects(left(outbox), "end") == ["399"]
    assert outbox.stats().given_up == given_up + 1


def test_an_end_whose_new_has_arrived_is_kept_to_the_last(outbox: Outbox) -> None:
    outbox.put([event("arrived", "new")])
    outbox.ack([outbox.peek(1)[0].id])
    outbox.put([event("arrived", "end")])
    for number in range(400):
        outbox.put([event(str(number), "new"), event(str(number), "end")])
    assert left(outbox)[0] == ("arrived", "end")


def test_what_belongs_to_no_object_goes_by_its_age(outbox: Outbox) -> None:
    for _ in range(500):
        outbox.put([event("", "end")])
    outbox.put([event("a", "new")])
    assert left(outbox)[-1] == ("a", "new")
    assert len(left(outbox)) <= 352


def test_an_object_that_is_too_old_goes_whole(outbox: Outbox, clock: FakeClock) -> None:
    outbox.put([event("a", "new"), event("b", "new")])
    clock.advance(6.9 * 86400)
    outbox.put([event("a", "end"), event("c", "new"), event("c", "end")])
    clock.advance(0.2 * 86400)
    assert left(outbox) == [("c", "new"), ("c", "end")]
    outbox.put([event("b", "end")])
    assert left(outbox) == [("c", "new"), ("c", "end")]
    assert outbox.stats().given_up == 4


def test_the_memory_list_keeps_to_the_same_order(outbox: Outbox, locked: sqlite3.Connection) -> None:
    outbox.put([event("a", "new", 0), event("b", "new", 0), event("c", "new", 0), event("a", "end", 0)])
    outbox.put([event("c", "update", 0)])
    for number in range(499):
        outbox.put([event(str(number), "new", 0), event(str(number), "end", 0)])
    # 1003 events for 1000 places: the update, then a with its end.
    assert left(outbox)[:2] == [("b", "new"), ("c", "new")]
    assert (outbox.stats().in_memory, outbox.stats().given_up) == (1000, 3)
    outbox.put([event("d", "new", 0)])  # b goes, and its end is still to come
    locked.rollback()
    outbox.put([event("b", "end", 0)])
    assert "b" not in subjects(left(outbox), "end")
    assert (outbox.stats().in_memory, outbox.stats().given_up) == (0, 5)


def test_what_was_given_up_in_memory_is_counted_in_the_file_once_that_takes_it(
    outbox: Outbox, locked: sqlite3.Connection, path: Path
) -> None:
    outbox.put([event(str(number), "update", 0) for number in range(1007)])
    assert outbox.stats().given_up == 7
    locked.rollback()
    outbox.close()
    with closing(Outbox(OutboxSettings(path=path, max_bytes=MIB), FakeClock())) as again:
        assert again.stats().given_up == 7


KINDS = st.sampled_from(["new", "update", "end"])


@given(
    lives=st.lists(st.tuples(st.sampled_from(["", "a", "b", "c", "d"]), KINDS), max_size=25), count=st.integers(1, 30)
)
def test_whoever_goes_no_end_stays_without_its_new(lives: list[tuple[str, MessageKind]], count: int) -> None:
    seen: set[tuple[str, str]] = set()
    entries = []
    for number, (subject, kind) in enumerate(lives):  # an object begins and ends once, and does not end before
        late_new = kind == "new" and (subject, "end") in seen
        if not subject or kind == "update" or ((subject, kind) not in seen and not late_new):
            entries.append(Entry(id=number, message=event(subject, kind, 0), put_s=0.0, put_utc_ns=0))
        seen.add((subject, kind))
    gone, orphans = victims(entries, count)
    kept = [entry.message for entry in entries if entry.id not in gone]
    began = {entry.message.subject for entry in entries if entry.message.kind == "new"}
    kept_began = {message.subject for message in kept if message.kind == "new"}
    kept_ended = {message.subject for message in kept if message.kind == "end" and message.subject}
    assert min(count, len(entries)) <= len(gone) <= count + 1
    assert kept_ended & began <= kept_began
    had_end = {entry.message.subject for entry in entries if entry.message.kind == "end"}
    if kept_began:  # no `end` goes while an object is still there whole
        assert kept_began & had_end <= kept_ended | {""}
    assert orphans == began - kept_began - had_end - {""}
    if any(message.kind == "update" for message in kept):
        assert all(entry.message.kind == "update" for entry in entries if entry.id in gone)


# --- the first layout -----------------------------------------------------------------------------------------------

_OLD_ROW = (
    "id INTEGER PRIMARY KEY, kind TEXT NOT NULL, topic TEXT NOT NULL, late_topic TEXT NOT NULL, payload BLOB NOT NULL, "
    "utc_ns INTEGER NOT NULL, put_utc_ns INTEGER NOT NULL, put_s REAL NOT NULL, crc INTEGER NOT NULL"
)
_OLD_ROWS = (  # as version 0.1.0 wrote them before the second layout
    (10**12, "new", "t", "late", b"0", 7, 8, 1.5, 2228546567),
    (10**12 + 1, "update", "t", "late", b"1", 7, 8, 1.5, 3601914342),
    (10**12 + 2, "end", "t", "late", b"2", 7, 8, 1.5, 3146534814),
)


def old_file(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        for table in ("lasting", "passing"):
            database.execute(f"CREATE TABLE {table} ({_OLD_ROW})")
        database.execute("CREATE VIEW message AS SELECT * FROM lasting UNION ALL SELECT * FROM passing")
        database.execute(f"CREATE TABLE dead ({_OLD_ROW}, reason TEXT NOT NULL, dead_utc_ns INTEGER NOT NULL)")
        database.execute("CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID")
        database.execute("INSERT INTO meta VALUES ('epoch', 1), ('given_up', 5)")
        database.execute("PRAGMA application_id=1701078885")
        database.execute("PRAGMA user_version=1")
        database.execute("PRAGMA journal_mode=WAL")
        marks = ",".join("?" * 9)
        for row in _OLD_ROWS:
            table = "passing" if row[1] == "update" else "lasting"
            database.execute(f"INSERT INTO {table} VALUES ({marks})", row)  # noqa: S608 - our own words
        dead = (10**12 + 3, "new", "t", "late", b"3", 7, 8, 1.5, 2093706871)
        database.execute(f"INSERT INTO dead VALUES ({marks},?,?)", (*dead, "because", 9))  # noqa: S608


def payloads(entries: Sequence[Entry]) -> list[bytes]:
    return [entry.message.payload for entry in entries]


def test_a_file_of_the_first_layout_is_brought_up_and_nothing_of_it_is_lost(path: Path) -> None:
    old_file(path)
    with closing(Outbox(OutboxSettings(path=path), FakeClock())) as outbox:
        stats = outbox.stats()
        assert (stats.waiting, stats.dead, stats.given_up) == (3, 1, 5)
        assert payloads(outbox.peek(9)) == [b"0", b"1", b"2"]
        outbox.put([event("a", "new", 0)])
        assert payloads(outbox.peek(9))[:3] == [b"0", b"1", b"2"]
        assert left(outbox)[3] == ("a", "new")
        outbox.bury(outbox.peek(1)[0].id, "test")
    assert list(path.parent.glob("*.damaged*")) == []
    with closing(Outbox(OutboxSettings(path=path), FakeClock())) as again:
        assert again.stats().waiting == 3
    with closing(OutboxReader(path)) as reader:
        dead = reader.dead(9)
        assert [one.message and one.message.payload for one in dead] == [b"0", b"3"]
        assert [one.reason for one in dead] == ["test", "because"]


def test_a_file_of_the_first_layout_can_be_looked_into_as_it_is(path: Path) -> None:
    old_file(path)
    with closing(OutboxReader(path)) as reader:
        assert payloads(reader.entries(9)) == [b"0", b"1", b"2"]
        assert [one.message and one.message.payload for one in reader.dead(9)] == [b"3"]
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (1,)


def test_what_can_be_read_of_a_damaged_file_of_the_first_layout_is_saved(path: Path) -> None:
    old_file(path)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("DROP VIEW message")
        database.execute("CREATE TABLE message (x)")  # its layout does not hold together
        database.execute("PRAGMA application_id=5")
    with closing(Outbox(OutboxSettings(path=path), FakeClock())) as outbox:
        assert payloads(outbox.peek(9)) == [b"0", b"1", b"2"]


def test_a_file_of_a_later_layout_is_set_aside_and_kept(path: Path) -> None:
    with closing(Outbox(OutboxSettings(path=path), FakeClock())) as outbox:
        outbox.put([event("a", "new", 0)])
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA user_version=3")
    with closing(Outbox(OutboxSettings(path=path), FakeClock())) as outbox:
        assert left(outbox) == [("a", "new")]
    assert len(list(path.parent.glob("outbox.db.damaged-*"))) == 1
