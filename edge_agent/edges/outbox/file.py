"""The open SQLite file: rows in and out, never beyond its bound, with room held back for a full disk."""

from __future__ import annotations

import itertools
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from edge_agent.edges.outbox.priorities import Orphans
from edge_agent.edges.outbox.rows import (
    APPLICATION_ID,
    COLUMNS,
    EPOCH_IDS,
    LAYOUT,
    PAGE_BYTES,
    SCHEMA,
    TABLES,
    UPGRADES,
    Entry,
    ends_of,
    fetch,
    index,
    lenient_text,
    select,
    table_of,
    to_row,
)
from edge_agent.edges.outbox.stats import FileStats, file_stats, oldest_utc_ns, used_bytes

PRAGMAS = (
    f"PRAGMA page_size={PAGE_BYTES}",
    "PRAGMA busy_timeout=1000",  # a pipeline waits this long at most; then its events wait in memory
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA wal_autocheckpoint=256",
    "PRAGMA journal_size_limit=1048576",
    "PRAGMA temp_store=MEMORY",
    "PRAGMA cache_size=-512",
)
"""How the file behaves. FULL, because NORMAL may roll a commit back after a power cut; measured: it saves no wear."""

CHUNK_ROWS = 200
"""In one transaction at most: more would need more room in the log than a full disk has."""

_SPARE_PAGES = 80  # room for a chunk before room is made: the file never runs into its hard bound
_INSERT_ROWS = 64  # a row fits into a page, so these fit into the spare pages
_VICTIM_ROWS = 16  # given up at once: a few pages' worth
_DEAD_ROWS = 1000
_DEAD_PART = 8  # and never more than an eighth of the pages
_BALLAST_BYTES = 2 << 20
_BLOCK_BYTES = 512  # the unit of st_blocks: stat(3type)

# The names of our own tables stand in these, nothing else does.
_MARKS = ",".join("?" * len(COLUMNS.split(",")))
_INSERT = {table: f"INSERT OR REPLACE INTO {table} ({COLUMNS}) VALUES ({_MARKS})" for table in TABLES}  # noqa: S608
_DELETE = {table: f"DELETE FROM {table} WHERE id = ?" for table in TABLES}  # noqa: S608
_BURY = (
    f"INSERT OR REPLACE INTO dead ({COLUMNS}, reason, dead_utc_ns) "  # noqa: S608
    f"SELECT {COLUMNS}, ?, ? FROM message WHERE id = ?"
)
_VICTIMS = (  # updates, then objects that have begun here, then what is left
    "SELECT id FROM passing ORDER BY id LIMIT ?",
    "SELECT id FROM lasting WHERE kind = 'new' OR subject = '' ORDER BY id LIMIT ?",
    "SELECT id FROM lasting ORDER BY id LIMIT ?",
)


class Age(NamedTuple):
    """When a row was put, as `Entry` has it."""

    id: int
    put_s: float
    put_utc_ns: int
    put_synced: int


class File:
    """One open SQLite file: rows in and out, within its bound; raises what sqlite3 raises, knows no threads.

    Args:
        path: where it is.
        max_bytes: its bound.
        above_epoch: the number of its run is above this.
        orphans: objects that were given up before their `end` came.
        spared: ids of what is given up last, for it is under way.
    """

    def __init__(
        self,
        path: Path,
        max_bytes: int,
        above_epoch: int,
        orphans: Orphans | None = None,
        spared: AbstractSet[int] = frozenset(),
    ) -> None:
        self._orphans = Orphans() if orphans is None else orphans
        self._spared = spared
        self._orphaned: set[str] = set()
        max_pages = max_bytes // PAGE_BYTES
        self._most_pages = max_pages - _SPARE_PAGES
        self._most_dead = min(_DEAD_ROWS, max_pages // _DEAD_PART)
        self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            self._database.text_factory = lenient_text
            for pragma in (*PRAGMAS, f"PRAGMA max_page_count={max_pages}"):
                self._database.execute(pragma).close()
            self._check()
            self._version = self._pragma("data_version")
            self._changed = False
            self._stats: FileStats | None = file_stats(self._database)
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
        epoch: int = max(above, last, newest_id // EPOCH_IDS) + 1
        with self._transaction():
            self._database.execute("UPDATE meta SET value = ? WHERE key = 'epoch'", (epoch,))
        return epoch

    def stats(self) -> FileStats:
        """What the file says; counted once, then kept in step."""
        self._look_outside()
        if self._stats is None:
            self._stats = file_stats(self._database)
        return replace(self._stats, bytes=used_bytes(self._database), oldest_utc_ns=oldest_utc_ns(self._database))

    def changed_outside(self) -> bool:
        """Whether another program, `outbox purge` say, has changed the file since this was last asked."""
        self._look_outside()
        changed, self._changed = self._changed, False
        return changed

    def _look_outside(self) -> None:
        """Count anew what another program has changed, and remember it for whoever asks next."""
        version, self._version = self._version, self._pragma("data_version")
        if version != self._version:
            self._stats, self._changed = None, True

    def insert(self, entries: Sequence[Entry], lost: int = 0) -> int:
        """Commit entries together; says how many others (or of these) were given up to make room for them.

        Args:
            entries: those.
            lost: how many were given up elsewhere, to be counted in the file from now on.
        """
        given_up = 0
        with self._transaction():
            for start in range(0, len(entries), _INSERT_ROWS):
                for entry in entries[start : start + _INSERT_ROWS]:
                    self._database.execute(_INSERT[table_of(entry.message)], to_row(entry))
                given_up += self._make_room()
            self._note_given_up(lost)
        self._count(waiting=len(entries) - given_up, given_up=given_up + lost)
        return given_up

    def select(self, limit: int, after: int) -> tuple[list[Entry], list[int]]:
        """The oldest entries above an id, and the ids of damaged rows among them."""
        return select(self._database, limit, after)

    def index(self, limit: int, after: int) -> list[tuple[int, str]]:
        """The ids and topics of the oldest entries above an id."""
        return index(self._database, limit, after)

    def fetch(self, ids: Sequence[int]) -> tuple[list[Entry], list[int]]:
        """Those of these entries that are still there, and the ids of damaged rows among them."""
        return fetch(self._database, ids)

    def delete(self, ids: Sequence[int]) -> None:
        """Delete rows in one transaction; those that are gone already do no harm."""
        with self._transaction():
            gone = self._delete(ids)
        self._count(waiting=-gone)

    def bury(self, ids: Sequence[int], reason: str, utc_ns: int) -> None:
        """Move rows among the dead, and forget the oldest of those when they are too many."""
        with self._transaction():
            copied = self._database.executemany(
                _BURY,
                [(reason, utc_ns, entry_id) for entry_id in ids],
            ).rowcount
            self._delete(ids)
            forgotten = self._database.execute(
                "DELETE FROM dead WHERE id <= (SELECT id FROM dead ORDER BY id DESC LIMIT 1 OFFSET ?)",
                (self._most_dead,),
            ).rowcount
            self._note_given_up(forgotten)
        self._count(waiting=-copied, dead=copied - forgotten, given_up=forgotten)

    def expire(self, too_old: Callable[[Age], bool]) -> int:
        """Give up the oldest rows as long as they are too old; says how many."""
        given_up = 0
        while True:
            query = "SELECT id, put_s, put_utc_ns, put_synced FROM message ORDER BY id LIMIT ?"
            ages = [Age(*row) for row in self._database.execute(query, (CHUNK_ROWS,))]
            ids = [age.id for age in itertools.takewhile(too_old, ages)]
            if not ids:
                return given_up
            with self._transaction():
                gone = self._give_up(ids)
                self._note_given_up(gone)
            self._count(waiting=-gone, given_up=gone)
            given_up += gone

    def _check(self) -> None:
        """Lay out a new file; refuse, as damaged, one that is not ours or does not hold together."""
        if self._pragma("application_id") == 0 and self._pragma("page_count") <= 1:
            with self._transaction():
                for statement in SCHEMA:
                    self._database.execute(statement)
        while self._pragma("application_id") == APPLICATION_ID and self._pragma("user_version") in UPGRADES:
            with self._transaction():
                for statement in UPGRADES[self._pragma("user_version")]:
                    self._database.execute(statement)
        if (self._pragma("application_id"), self._pragma("user_version")) != (APPLICATION_ID, LAYOUT):
            raise sqlite3.DatabaseError(f"it is not an outbox of layout {LAYOUT}")
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
        while used_bytes(self._database) > self._most_pages * PAGE_BYTES and (victims := self._victims()):
            given_up += self._give_up(victims)
        self._note_given_up(given_up)
        return given_up

    def _victims(self) -> list[int]:
        """Who goes next: the oldest updates, then the oldest objects, then an `end` whose `new` has arrived."""
        for spared in (self._spared, frozenset[int]()):
            for query in _VICTIMS:
                rows = self._database.execute(query, (_VICTIM_ROWS + len(spared),))
                if oldest := [row[0] for row in rows if row[0] not in spared]:
                    return oldest[:_VICTIM_ROWS]
        return []

    def _give_up(self, ids: Sequence[int]) -> int:
        """Delete rows, and with each `new` its `end`; says how many went."""
        ends, orphans = ends_of(self._database, ids)
        self._orphaned |= orphans
        return self._delete([*ids, *ends])

    def _delete(self, ids: Sequence[int]) -> int:
        rows = [(entry_id,) for entry_id in ids]
        return sum(self._database.executemany(_DELETE[table], rows).rowcount for table in TABLES)

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
            self._orphans.add(self._orphaned)
            self._orphaned = set()
        except BaseException:
            self._orphaned = set()
            self._stats = None  # what a failed commit has left behind, only the file knows
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            raise


class Ballast:
    """Room held back on the disk: SQLite needs some even to delete, and on a full disk nothing would ever get better.

    Only deleting may use it: what is put would fill it up again.
    """

    def __init__(self, path: Path) -> None:
        self._path = Path(f"{path}.ballast")

    def take(self) -> None:
        """Hold the room back, if there is any; what is held already is left alone, for a card wears."""
        with suppress(OSError):
            held = self._path.stat()
            if min(held.st_size, held.st_blocks * _BLOCK_BYTES) >= _BALLAST_BYTES:
                return
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


def in_words(error: Exception) -> str:
    """What happened and what to do, from the words of SQLite and of the system."""
    text = f"{error.strerror}: {error.filename}" if isinstance(error, OSError) else str(error)
    if isinstance(error, OSError) or "unable to open" in text or "readonly" in text:
        return f"it cannot be opened for writing ({text}); make its folder writable for this user, or set outbox.path"
    if "full" in text:
        return f"{text}; free some room on its disk"
    if "locked" in text:
        return f"{text}; another program holds it"
    return text
