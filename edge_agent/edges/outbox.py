"""The hand-over from the pipelines to the delivery thread: a SQLite file that no event leaves unacknowledged."""

from __future__ import annotations

import functools
import heapq
import itertools
import logging
import math
import os
import sqlite3
import threading
import zlib
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import Field

from edge_agent.edges.clock import Clock
from edge_agent.errors import StorageError
from edge_agent.records import Message
from edge_agent.settings import Bytes, Seconds, Section

log = logging.getLogger(__name__)

T = TypeVar("T")

_APPLICATION_ID = 0x65646765  # "edge", so that `file` and we know our own
_LAYOUT = 1
_PAGE_BYTES = 4096
_PRAGMAS = (
    # How the file behaves. FULL, because NORMAL may roll a commit back after a power cut; measured: it saves no wear.
    f"PRAGMA page_size={_PAGE_BYTES}",
    "PRAGMA busy_timeout=1000",  # a pipeline waits this long at most; then its events wait in memory
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA wal_autocheckpoint=256",
    "PRAGMA journal_size_limit=1048576",
    "PRAGMA temp_store=MEMORY",
    "PRAGMA cache_size=-512",
)
_ROW = (
    "id INTEGER PRIMARY KEY, kind TEXT NOT NULL, topic TEXT NOT NULL, late_topic TEXT NOT NULL, payload BLOB NOT NULL, "
    "utc_ns INTEGER NOT NULL, put_utc_ns INTEGER NOT NULL, put_s REAL NOT NULL, crc INTEGER NOT NULL"
)
_TABLES = ("lasting", "passing")
"""`passing` holds the updates: deleted first, they leave whole pages behind and not holes between the others."""

_SCHEMA = (
    *(f"CREATE TABLE {table} ({_ROW})" for table in _TABLES),
    "CREATE VIEW message AS SELECT * FROM lasting UNION ALL SELECT * FROM passing",
    f"CREATE TABLE dead ({_ROW}, reason TEXT NOT NULL, dead_utc_ns INTEGER NOT NULL)",
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID",
    "INSERT INTO meta VALUES ('epoch', 0), ('given_up', 0)",
    f"PRAGMA application_id={_APPLICATION_ID}",
    f"PRAGMA user_version={_LAYOUT}",
)

# The names of our own tables stand in these, nothing else does.
_INSERT = {table: f"INSERT OR REPLACE INTO {table} VALUES (?,?,?,?,?,?,?,?,?)" for table in _TABLES}  # noqa: S608
_DELETE = {table: f"DELETE FROM {table} WHERE id = ?" for table in _TABLES}  # noqa: S608
_OLDEST = {table: f"SELECT id FROM {table} ORDER BY id LIMIT ?" for table in _TABLES}  # noqa: S608
_READ = {table: f"SELECT * FROM {table} WHERE id > ? ORDER BY id" for table in _TABLES}  # noqa: S608

_EPOCH_IDS = 10**12  # an id is the number of the run times this, plus a count: none comes twice
_LAST_ID = 2**63 - 1
_CHUNK_ROWS = 200  # more in one transaction would need more room in the log than a full disk has
_SPARE_PAGES = 80  # room for a chunk before room is made: the file never runs into its hard bound
_INSERT_ROWS = 64  # a row fits into a page, so these fit into the spare pages
_VICTIM_ROWS = 16  # given up at once: a few pages' worth
_DEAD_ROWS = 1000
_DEAD_PART = 8  # and never more than an eighth of the pages
_MEMORY_EVENTS = 1000
_BALLAST_BYTES = 2 << 20
_DAMAGED_FILES = 3
_COMPANIONS = ("-wal", "-shm")
_SALVAGE_ROWS = 2000
_MINUTE_S = 60.0
_SET_CLOCK_NS = 1_700_000_000_000_000_000  # November 2023: an earlier time comes from a clock that was never set


class OutboxSettings(Section):
    """Where events wait for the broker, and how many may."""

    path: Path = Path("/var/lib/edge-agent/outbox.db")
    """The file; its folder must be writable."""

    max_bytes: Annotated[Bytes, Field(ge=1 << 20)] = 64 << 20
    """Bound of the file; when it is full, `update` events go first, then the oldest, counted."""

    max_age: Annotated[Seconds, Field(gt=0)] = 7 * 86400.0
    """Events older than this are given up, counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A message that waits.

    Attributes:
        id: grows with every put, and is never used again.
        message: what to send.
        put_s: when it was put, on this run's monotonic clock; None when an earlier run put it.
        put_utc_ns: the same moment on the wall clock of that time.
    """

    id: int
    message: Message
    put_s: float | None
    put_utc_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FileStats:
    """What the file says.

    Attributes:
        waiting: messages that wait for their acknowledgement.
        bytes: how much of the file is in use.
        oldest_utc_ns: when the oldest of them happened; None when none waits.
        given_up: messages that will not be tried again and left no row, since the file was begun.
        dead: messages set aside with their reason: refused, or damaged.
    """

    waiting: int
    bytes: int
    oldest_utc_ns: int | None
    given_up: int
    dead: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxStats(FileStats):
    """What the file says, and what this run has done; `waiting` includes `in_memory`.

    Attributes:
        put_total: events put by this run.
        acked_total: events acknowledged in this run.
        in_memory: events that wait in memory because the disk does not take them.
    """

    put_total: int
    acked_total: int
    in_memory: int


class Outbox:
    """Where events wait until the broker has them, and states until the next value replaces them.

    A state has only a newest value and stays in memory; an event has a history and is on the disk when `put` returns.
    Any thread may call it.

    Args:
        settings: which file, and its bounds.
        clock: tells when something was put and how old it is.

    Raises:
        StorageError: the file can be neither opened nor begun; damage is no reason, a damaged file is set aside.
    """

    def __init__(self, settings: OutboxSettings, clock: Clock) -> None:
        self._path = settings.path
        self._max_bytes = settings.max_bytes
        self._max_age_s = settings.max_age
        self._clock = clock
        self._changed = threading.Condition()
        self._news = False
        self._states: dict[str, Message] = {}
        self._dirty: dict[str, None] = {}
        self._memory: deque[Entry] = deque()
        self._acked: set[int] = set()
        self._tally = _Tally(settings.path, clock)
        self._lost_in_memory = 0
        self._put_total = 0
        self._acked_total = 0
        self._tidied_s = clock.monotonic_s()
        self._epoch = 0
        self._ids = itertools.count()
        self._ballast = _Ballast(settings.path)
        self._file: _File | None = None
        self._make_way(_File.stats)
        self._ballast.take()

    def put(self, messages: Sequence[Message]) -> None:
        """Take messages: the events of one call are committed together (200 at most), a state replaces the one before.

        When the disk does not take the events they wait in memory, bounded and counted; that raises nothing.
        """
        with self._changed:
            states = [message for message in messages if message.kind == "state"]
            events = [message for message in messages if message.kind != "state"]
            fresh = [state for state in states if self._remember(state)]
            if events:
                self._memory.extend(map(self._entry, events))
                self._put_total += len(events)
                self._flush()
                self._tidy()
            if events or fresh:
                self._news = True
                self._changed.notify_all()

    def peek(self, limit: int, after: int = 0) -> tuple[Entry, ...]:
        """The oldest events with an id above `after`, oldest first, whether on the disk or still in memory.

        Raises:
            StorageError: the file cannot be read.
        """
        with self._changed:
            self._flush()
            self._tidy()
            on_disk = self._read(limit + len(self._acked), after)
            waiting = [entry for entry in on_disk if entry.id not in self._acked]
            waiting += [entry for entry in self._memory if entry.id > after]
            return tuple(map(self._dated, waiting[:limit]))

    def ack(self, ids: Iterable[int]) -> None:
        """Forget events that the broker has; what the disk will not delete now is deleted with the next ones."""
        with self._changed:
            acked = set(ids)
            self._acked_total += len(acked)
            self._acked |= acked - self._forget_in_memory(acked)
            self._delete_acked()

    def bury(self, entry_id: int, reason: str) -> None:
        """Set an event aside that the broker will never take.

        Raises:
            StorageError: the disk does not take it; the event stays where it is.
        """
        with self._changed:
            self._flush()
            if self._forget_in_memory({entry_id}):
                self._lost_in_memory += 1
                self._tally.add(f"the disk takes nothing and {reason}", 1)
            else:
                self._bury([entry_id], reason)

    def states(self) -> tuple[Message, ...]:
        """The newest value of every state."""
        with self._changed:
            return tuple(self._states.values())

    def dirty_states(self, limit: int | None = None) -> tuple[Message, ...]:
        """Take the states that changed since they were last taken, at most `limit`."""
        with self._changed:
            topics = list(itertools.islice(self._dirty, limit))
            for topic in topics:
                del self._dirty[topic]
            return tuple(self._states[topic] for topic in topics)

    def redirty(self) -> None:
        """A new connection knows nothing: every state counts as changed."""
        with self._changed:
            self._dirty = dict.fromkeys(self._states)

    def wait(self, timeout_s: float) -> bool:
        """Wait until something was put since the last wait; false when nothing was."""
        with self._changed:
            self._changed.wait_for(lambda: self._news, timeout_s)
            news, self._news = self._news, False
            return news

    def stats(self) -> OutboxStats:
        """What waits, and what became of the rest.

        Raises:
            StorageError: the file cannot be read.
        """
        with self._changed:
            file = self._on_file(_File.stats)
            oldest = file.oldest_utc_ns
            if oldest is None and self._memory:
                oldest = self._memory[0].message.utc_ns
            return OutboxStats(
                waiting=file.waiting + len(self._memory) - len(self._acked),
                bytes=file.bytes,
                oldest_utc_ns=oldest,
                given_up=file.given_up + self._lost_in_memory,
                dead=file.dead,
                put_total=self._put_total,
                acked_total=self._acked_total,
                in_memory=len(self._memory),
            )

    def close(self) -> None:
        """Write what waits in memory, if the disk takes it, and close the file."""
        with self._changed:
            self._flush()
            self._delete_acked()
            if self._memory:
                log.warning("outbox %s: %d events in memory are lost", self._path, len(self._memory))
            if self._file:
                self._file.close()

    def _remember(self, state: Message) -> bool:
        known = self._states.get(state.topic)
        self._states[state.topic] = state
        changed = known is None or known.payload != state.payload
        if changed:
            self._dirty[state.topic] = None
        return changed

    def _entry(self, message: Message) -> Entry:
        return Entry(
            id=self._epoch * _EPOCH_IDS + next(self._ids),
            message=message,
            put_s=self._clock.monotonic_s(),
            put_utc_ns=self._clock.utc_ns(),
        )

    def _dated(self, entry: Entry) -> Entry:
        """Without `put_s` when it comes from the monotonic clock of an earlier run, which means nothing now."""
        return entry if entry.id // _EPOCH_IDS == self._epoch else replace(entry, put_s=None)

    def _flush(self) -> None:
        """Commit what waits in memory; when the disk does not take it, it goes on waiting there."""
        with self._tally.trouble("events wait in memory"):
            while chunk := tuple(itertools.islice(self._memory, _CHUNK_ROWS)):
                given_up = self._on_file(functools.partial(_File.insert, entries=chunk))
                self._tally.add("the file has reached outbox.max_bytes", given_up)
                for _ in chunk:
                    self._memory.popleft()
        self._bound_memory()

    def _bound_memory(self) -> None:
        too_many = len(self._memory) - _MEMORY_EVENTS
        for _ in range(too_many):
            oldest_update = next((entry for entry in self._memory if entry.message.kind == "update"), self._memory[0])
            self._memory.remove(oldest_update)
        if too_many > 0:
            self._lost_in_memory += too_many
            self._tally.add("the disk takes nothing and the memory list is full", too_many)

    def _forget_in_memory(self, ids: set[int]) -> set[int]:
        """Drop entries that the disk has not taken yet; says which were among them."""
        found = {entry.id for entry in self._memory if entry.id in ids}
        if found:
            self._memory = deque(entry for entry in self._memory if entry.id not in found)
        return found

    def _delete_acked(self) -> None:
        with self._tally.trouble("acknowledged events cannot be deleted and may come twice after a restart"):
            while chunk := tuple(itertools.islice(self._acked, _CHUNK_ROWS)):
                self._make_way(functools.partial(_File.delete, ids=chunk))
                self._acked.difference_update(chunk)

    def _read(self, limit: int, after: int) -> list[Entry]:
        """The oldest rows above an id; damaged ones among them are set aside."""
        while True:
            entries, damaged = self._on_file(lambda file: file.select(limit, after))
            if not damaged:
                return entries
            log.warning("outbox %s: %d damaged rows are set aside among its dead messages", self._path, len(damaged))
            self._bury(damaged, "its checksum is wrong")

    def _bury(self, ids: Sequence[int], reason: str) -> None:
        utc_ns = self._clock.utc_ns()
        self._make_way(lambda file: file.bury(ids, reason, utc_ns))

    def _tidy(self) -> None:
        """Once a minute: give up what is too old, and hold room back again."""
        if self._clock.monotonic_s() - self._tidied_s < _MINUTE_S:
            return
        self._tidied_s = self._clock.monotonic_s()
        with self._tally.trouble("events that are too old cannot be deleted"):
            self._tally.add("older than outbox.max_age", self._make_way(lambda file: file.expire(self._too_old)))
        self._ballast.take()

    def _too_old(self, entry_id: int, put_utc_ns: int, put_s: float) -> bool:
        if entry_id // _EPOCH_IDS == self._epoch:
            return self._clock.monotonic_s() - put_s > self._max_age_s
        return put_utc_ns > _SET_CLOCK_NS and (self._clock.utc_ns() - put_utc_ns) / 1e9 > self._max_age_s

    def _make_way(self, action: Callable[[_File], T]) -> T:
        """Do what leads to more room on the disk; when that is full, with the room that is held back for it."""
        try:
            return self._on_file(action)
        except StorageError:
            if not self._ballast.drop():
                raise
            return self._on_file(action)

    def _on_file(self, action: Callable[[_File], T]) -> T:
        """Do something with the file; a damaged one is replaced first.

        Raises:
            StorageError: the disk is full, the file locked, or its folder not writable.
        """
        try:
            try:
                return action(self._opened())
            except sqlite3.DatabaseError as error:
                if not _is_damage(error):
                    raise
                self._replace(str(error))
                return action(self._opened())
        except (sqlite3.Error, OSError) as error:
            raise StorageError(f"outbox {self._path}: {_in_words(error)}") from error

    def _opened(self) -> _File:
        if self._file is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = _File(self._path, self._max_bytes, above_epoch=self._epoch)
            self._begin(self._file.epoch)
        return self._file

    def _begin(self, epoch: int) -> None:
        self._epoch = epoch
        self._ids = itertools.count()

    def _replace(self, reason: str) -> None:
        """Set a damaged file aside, begin a new one, and bring over what can still be read."""
        if self._file:
            self._file.close()
            self._file = None
        aside = _set_aside(self._path, self._clock.utc_ns())
        saved = 0
        file = self._opened()
        with closing(_salvage(aside)) as readable, self._tally.trouble("a damaged file cannot be salvaged"):
            while chunk := tuple(itertools.islice(readable, _SALVAGE_ROWS)):
                saved += len(chunk)
                self._tally.add("the file has reached outbox.max_bytes", file.insert(chunk))
        self._begin(file.begin_epoch(self._epoch))  # above the ids that were brought over
        log.warning("outbox %s was damaged (%s): kept as %s, %d events saved", self._path, reason, aside.name, saved)


class OutboxReader:
    """Looks into an outbox that may be in use, and never creates or writes a file.

    Raises:
        StorageError: there is none, it is no outbox, or it may not be read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        if not path.is_file():
            raise StorageError(f"outbox {path}: there is no such file; has the agent run with this configuration yet?")
        # Without a log beside it nobody uses the file, and `mode=ro` alone would create one and leave it there.
        mode = "mode=ro" if Path(f"{path}-wal").exists() else "immutable=1"
        with self._in_words():
            self._database = sqlite3.connect(f"{path.absolute().as_uri()}?{mode}", uri=True)
            self._database.text_factory = _lenient_text
        try:
            self.stats()
        except StorageError:
            self.close()
            raise

    def entries(self, limit: int, after: int = 0) -> tuple[Entry, ...]:
        """The oldest events that wait and have an id above `after`; damaged rows are left out."""
        with self._in_words():
            entries, _ = _select(self._database, limit, after)
        return tuple(replace(entry, put_s=None) for entry in entries)

    def stats(self) -> FileStats:
        """What the file says."""
        with self._in_words():
            return _file_stats(self._database)

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()

    @contextmanager
    def _in_words(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise StorageError(f"outbox {self._path}: {_in_words(error)}") from error


class _File:
    """One open SQLite file: rows in and out, within its bound; raises what sqlite3 raises, knows no threads."""

    def __init__(self, path: Path, max_bytes: int, above_epoch: int) -> None:
        max_pages = max_bytes // _PAGE_BYTES
        self._most_pages = max_pages - _SPARE_PAGES
        self._most_dead = min(_DEAD_ROWS, max_pages // _DEAD_PART)
        self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            self._database.text_factory = _lenient_text
            for pragma in (*_PRAGMAS, f"PRAGMA max_page_count={max_pages}"):
                self._database.execute(pragma).close()
            self._check()
            self._stats: FileStats | None = _file_stats(self._database)
            self.epoch = self.begin_epoch(above_epoch)
        except BaseException:
            self._database.close()
            raise

    def close(self) -> None:
        """Let go of the file; SQLite brings its log in when it can."""
        with suppress(sqlite3.Error):
            self._database.close()

    def begin_epoch(self, above: int) -> int:
        """The number of a new run: above the one given, the last one, and those of all rows."""
        query = "SELECT max(id) FROM (SELECT id FROM message UNION ALL SELECT id FROM dead)"
        newest_id = self._database.execute(query).fetchone()[0] or 0
        last = self._database.execute("SELECT value FROM meta WHERE key = 'epoch'").fetchone()[0]
        epoch: int = max(above, last, newest_id // _EPOCH_IDS) + 1
        with self._transaction():
            self._database.execute("UPDATE meta SET value = ? WHERE key = 'epoch'", (epoch,))
        return epoch

    def stats(self) -> FileStats:
        """What the file says; counted once, then kept in step."""
        if self._stats is None:
            self._stats = _file_stats(self._database)
        return replace(self._stats, bytes=_used_bytes(self._database), oldest_utc_ns=_oldest_utc_ns(self._database))

    def insert(self, entries: Sequence[Entry]) -> int:
        """Commit entries together; says how many others (or of these) were given up to make room for them."""
        given_up = 0
        with self._transaction():
            for start in range(0, len(entries), _INSERT_ROWS):
                for entry in entries[start : start + _INSERT_ROWS]:
                    table = "passing" if entry.message.kind == "update" else "lasting"
                    self._database.execute(_INSERT[table], _row(entry))
                given_up += self._make_room()
        self._count(waiting=len(entries) - given_up, given_up=given_up)
        return given_up

    def select(self, limit: int, after: int) -> tuple[list[Entry], list[int]]:
        """The oldest entries above an id, and the ids of damaged rows among them."""
        return _select(self._database, limit, after)

    def delete(self, ids: Sequence[int]) -> None:
        """Delete rows in one transaction; those that are gone already do no harm."""
        with self._transaction():
            gone = self._delete(ids)
        self._count(waiting=-gone)

    def bury(self, ids: Sequence[int], reason: str, utc_ns: int) -> None:
        """Move rows among the dead, and forget the oldest of those when they are too many."""
        with self._transaction():
            copied = self._database.executemany(
                "INSERT OR REPLACE INTO dead SELECT *, ?, ? FROM message WHERE id = ?",
                [(reason, utc_ns, entry_id) for entry_id in ids],
            ).rowcount
            self._delete(ids)
            forgotten = self._database.execute(
                "DELETE FROM dead WHERE id <= (SELECT id FROM dead ORDER BY id DESC LIMIT 1 OFFSET ?)",
                (self._most_dead,),
            ).rowcount
            self._note_given_up(forgotten)
        self._count(waiting=-copied, dead=copied - forgotten, given_up=forgotten)

    def expire(self, too_old: Callable[[int, int, float], bool]) -> int:
        """Give up the oldest rows as long as they are too old (told id, put_utc_ns and put_s); says how many."""
        given_up = 0
        while True:
            query = "SELECT id, put_utc_ns, put_s FROM message ORDER BY id LIMIT ?"
            rows = self._database.execute(query, (_CHUNK_ROWS,)).fetchall()
            ids = [row[0] for row in itertools.takewhile(lambda row: too_old(*row), rows)]
            if not ids:
                return given_up
            with self._transaction():
                self._delete(ids)
                self._note_given_up(len(ids))
            self._count(waiting=-len(ids), given_up=len(ids))
            given_up += len(ids)

    def _check(self) -> None:
        """Lay out a new file; refuse, as damaged, one that is not ours or does not hold together."""
        if self._pragma("application_id") == 0 and self._pragma("page_count") <= 1:
            with self._transaction():
                for statement in _SCHEMA:
                    self._database.execute(statement)
        if (self._pragma("application_id"), self._pragma("user_version")) != (_APPLICATION_ID, _LAYOUT):
            raise sqlite3.DatabaseError(f"it is not an outbox of layout {_LAYOUT}")
        if (verdict := self._quick_check()) != "ok":
            raise sqlite3.DatabaseError(verdict)

    def _quick_check(self) -> str:
        try:
            return str(self._pragma("quick_check(1)"))
        except sqlite3.OperationalError as error:
            if "I/O" not in str(error):
                raise
            return str(error)  # a sector of the disk that cannot be read

    def _pragma(self, name: str) -> Any:
        return self._database.execute(f"PRAGMA {name}").fetchone()[0]

    def _make_room(self) -> int:
        given_up = 0
        while _used_bytes(self._database) > self._most_pages * _PAGE_BYTES and (victims := self._victims()):
            given_up += self._delete(victims)
        self._note_given_up(given_up)
        return given_up

    def _victims(self) -> list[int]:
        """Who goes next: the oldest updates, or when there are none, the oldest of the others."""
        for table in ("passing", "lasting"):
            if oldest := [row[0] for row in self._database.execute(_OLDEST[table], (_VICTIM_ROWS,))]:
                return oldest
        return []

    def _delete(self, ids: Sequence[int]) -> int:
        rows = [(entry_id,) for entry_id in ids]
        return sum(self._database.executemany(_DELETE[table], rows).rowcount for table in _TABLES)

    def _note_given_up(self, count: int) -> None:
        if count:
            self._database.execute("UPDATE meta SET value = value + ? WHERE key = 'given_up'", (count,))

    def _count(self, *, waiting: int = 0, given_up: int = 0, dead: int = 0) -> None:
        if self._stats:
            self._stats = replace(
                self._stats,
                waiting=self._stats.waiting + waiting,
                given_up=self._stats.given_up + given_up,
                dead=self._stats.dead + dead,
            )

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._database.execute("COMMIT")
        except BaseException:
            self._stats = None  # what a failed commit has left behind, only the file knows
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            raise


class _Ballast:
    """Room held back on the disk: SQLite needs some even to delete, and on a full disk nothing would ever get better.

    Only deleting may use it: what is put would fill it up again.
    """

    def __init__(self, path: Path) -> None:
        self._path = Path(f"{path}.ballast")

    def take(self) -> None:
        """Hold the room back, if there is any."""
        try:
            with self._path.open("ab") as file:
                os.posix_fallocate(file.fileno(), 0, _BALLAST_BYTES)
        except OSError:
            self.drop()

    def drop(self) -> bool:
        """Give the room back; false when there is none."""
        try:
            self._path.unlink()
        except OSError:
            return False
        return True


class _Tally:
    """Says what went wrong at once, then once a minute how often it has since."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._unsaid: Counter[str] = Counter()
        self._said_s: dict[str, float] = {}

    def add(self, reason: str, given_up: int) -> None:
        """Note events that are given up."""
        if given_up:
            self._say(f"outbox {self._path}: events are given up: {reason}", given_up)

    @contextmanager
    def trouble(self, consequence: str) -> Iterator[None]:
        """Turn an error of the disk into a line that says what follows from it."""
        try:
            yield
        except (StorageError, sqlite3.Error) as error:
            self._say(f"{error}; {consequence}", 1)

    def _say(self, line: str, count: int) -> None:
        self._unsaid[line] += count
        now_s = self._clock.monotonic_s()
        if now_s - self._said_s.get(line, -math.inf) >= _MINUTE_S:
            log.warning("%s (%d)", line, self._unsaid.pop(line))
            self._said_s[line] = now_s


def _lenient_text(text: bytes) -> str:
    """Read text whose bytes may have flipped; its checksum tells."""
    return text.decode(errors="replace")


def _row(entry: Entry) -> tuple[object, ...]:
    """An entry in the order of `_ROW`."""
    message = entry.message
    fields = (entry.id, message.kind, message.topic, message.late_topic, message.payload, message.utc_ns)
    stamped = (*fields, entry.put_utc_ns, entry.put_s)
    return (*stamped, _crc(stamped))


def _crc(fields: Iterable[object]) -> int:
    return zlib.crc32("\0".join(map(ascii, fields)).encode())


def _decode(row: Sequence[object]) -> Entry | None:
    """A row as an entry; None when its checksum is wrong, or it holds what no message may hold."""
    *stamped, crc = row
    if _crc(stamped) != crc:
        return None
    entry_id, kind, topic, late_topic, payload, utc_ns, put_utc_ns, put_s = stamped
    try:
        message = Message(topic=topic, payload=payload, kind=kind, late_topic=late_topic, utc_ns=utc_ns)  # type: ignore[arg-type]
    except (ValueError, KeyError):
        return None
    return Entry(id=entry_id, message=message, put_s=put_s, put_utc_ns=put_utc_ns)  # type: ignore[arg-type]


def _select(database: sqlite3.Connection, limit: int, after: int) -> tuple[list[Entry], list[int]]:
    query = "SELECT * FROM message WHERE id > ? ORDER BY id LIMIT ?"
    decoded = [(row[0], _decode(row)) for row in database.execute(query, (after, limit))]
    damaged = [entry_id for entry_id, entry in decoded if entry is None]
    return [entry for _, entry in decoded if entry], damaged


def _file_stats(database: sqlite3.Connection) -> FileStats:
    return FileStats(
        waiting=database.execute("SELECT count(*) FROM message").fetchone()[0],
        bytes=_used_bytes(database),
        oldest_utc_ns=_oldest_utc_ns(database),
        given_up=database.execute("SELECT value FROM meta WHERE key = 'given_up'").fetchone()[0],
        dead=database.execute("SELECT count(*) FROM dead").fetchone()[0],
    )


def _used_bytes(database: sqlite3.Connection) -> int:
    pages, free = (database.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count"))
    return (pages - free) * _PAGE_BYTES


def _oldest_utc_ns(database: sqlite3.Connection) -> int | None:
    oldest = database.execute("SELECT id, utc_ns FROM message ORDER BY id LIMIT 1").fetchone()  # with id: no sorting
    return oldest[1] if oldest else None


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    """Whether the file itself is at fault (SQLITE_CORRUPT, SQLITE_NOTADB), and not the disk or a lock."""
    return type(error) is sqlite3.DatabaseError or "no such table" in str(error)


def _in_words(error: Exception) -> str:
    """What happened and what to do, from the words of SQLite and of the system."""
    text = f"{error.strerror}: {error.filename}" if isinstance(error, OSError) else str(error)
    if isinstance(error, OSError) or "unable to open" in text or "readonly" in text:
        return f"it cannot be opened for writing ({text}); make its folder writable for this user, or set outbox.path"
    if "full" in text:
        return f"{text}; free some room on its disk"
    if "locked" in text:
        return f"{text}; another program holds it"
    return text


def _set_aside(path: Path, utc_ns: int) -> Path:
    """Rename a file and its companions, so that SQLite still finds them together; only the newest few are kept."""
    stamp = datetime.fromtimestamp(utc_ns / 1e9, timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    earlier = sorted(part for part in path.parent.glob(f"{path.name}.damaged-*") if not part.name.endswith(_COMPANIONS))
    aside = path.with_name(f"{path.name}.damaged-{stamp}")
    while aside in earlier:
        aside = Path(f"{aside}+")
    for forgotten in earlier[: 1 - _DAMAGED_FILES]:
        for companion in ("", *_COMPANIONS):
            Path(f"{forgotten}{companion}").unlink(missing_ok=True)
    for companion in ("", *_COMPANIONS):
        with suppress(FileNotFoundError):
            Path(f"{path}{companion}").rename(f"{aside}{companion}")
    return aside


def _salvage(aside: Path) -> Generator[Entry, None, None]:
    """The entries of a damaged file that can still be read, oldest first."""
    with closing(sqlite3.connect(aside, isolation_level=None)) as database:
        database.text_factory = _lenient_text
        yield from heapq.merge(*(_readable(database, _READ[table]) for table in _TABLES), key=lambda entry: entry.id)


def _readable(database: sqlite3.Connection, query: str) -> Iterator[Entry]:
    """The entries of one table that can still be read.

    Where a row cannot be read the next 1, 2, 4, … ids are left out, so that a hole of any size is crossed in a few
    steps and costs at most as many good rows as bad ones.
    """
    after, step = 0, 1
    while after < _LAST_ID:
        try:
            for row in database.execute(query, (after,)):
                after, step = row[0], 1
                if entry := _decode(row):
                    yield entry
        except sqlite3.DatabaseError:
            after, step = after + step, step * 2
        else:
            return
