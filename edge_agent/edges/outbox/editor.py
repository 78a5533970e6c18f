"""What a person does to an outbox by hand: forget what waits or was set aside, or send the latter again.

All of it is safe beside a running agent: each step is a transaction of its own, and the agent notices that the file has
changed. What is under way just then arrives all the same.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from edge_agent.edges.outbox.file import CHUNK_ROWS, in_words
from edge_agent.edges.outbox.rows import (
    APPLICATION_ID,
    COLUMNS,
    LAYOUT,
    TABLES,
    ends_of,
    lenient_text,
    table_of,
    to_entry,
)
from edge_agent.errors import StorageError

_BUSY_MS = 5000
_EVER_NS = 2**63 - 1

# The names of our own tables and columns stand in these, nothing else does.
_WAITING = "SELECT id FROM message WHERE put_synced AND put_utc_ns < ? ORDER BY id LIMIT ?"
_DELETE = {table: f"DELETE FROM {table} WHERE id = ?" for table in (*TABLES, "dead")}  # noqa: S608
_DEAD = f"SELECT {COLUMNS} FROM dead WHERE id > ? ORDER BY id LIMIT ?"  # noqa: S608
_REVIVE = {
    table: f"INSERT OR REPLACE INTO {table} ({COLUMNS}) SELECT {COLUMNS} FROM dead WHERE id = ?"  # noqa: S608
    for table in TABLES
}


class OutboxEditor:
    """Changes an outbox that may be in use; never creates one.

    Raises:
        StorageError: there is none, it is none of this version's, or it may not be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        if not path.is_file():
            raise StorageError(f"outbox {path}: there is no such file; has the agent run with this configuration yet?")
        with self._in_words():
            self._database = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None)
            self._database.text_factory = lenient_text
        try:
            self._prepare()
        except StorageError:
            self.close()
            raise

    def purge_waiting(self, before_utc_ns: int | None = None) -> int:
        """Give up events that wait: all, or those put before a moment, each object whole; says how many.

        An event that was put by a clock for which no time server vouched has no age, and goes with all only.
        """
        if before_utc_ns is None:
            return self._purge("SELECT id FROM message ORDER BY id LIMIT ?", ())
        return self._purge(_WAITING, (before_utc_ns,))

    def purge_dead(self, before_utc_ns: int | None = None) -> int:
        """Forget events that were set aside: all, or those set aside before a moment; says how many."""
        with self._transaction():
            before = (_EVER_NS if before_utc_ns is None else before_utc_ns,)
            gone = self._database.execute("DELETE FROM dead WHERE dead_utc_ns < ?", before).rowcount
            self._note_given_up(gone)
        return gone

    def retry(self) -> tuple[int, int]:
        """Let events that were set aside wait again, as the oldest of all.

        Returns:
            How many, and how many stay behind because they are damaged.
        """
        after, revived, damaged = 0, 0, 0
        while True:
            with self._transaction():
                rows = self._database.execute(_DEAD, (after, CHUNK_ROWS)).fetchall()
                entries = [entry for row in rows if (entry := to_entry(row))]
                for entry in entries:
                    self._database.execute(_REVIVE[table_of(entry.message)], (entry.id,))
                    self._database.execute(_DELETE["dead"], (entry.id,))
            if not rows:
                return revived, damaged
            after = rows[-1][0]
            revived, damaged = revived + len(entries), damaged + len(rows) - len(entries)

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()

    def _prepare(self) -> None:
        with self._in_words():
            self._database.execute(f"PRAGMA busy_timeout={_BUSY_MS}").close()
            self._database.execute("PRAGMA synchronous=FULL")
            found = tuple(
                self._database.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")
            )
        if found != (APPLICATION_ID, LAYOUT):
            raise StorageError(
                f"outbox {self._path}: it is no outbox of layout {LAYOUT}; start this agent with it once"
            )

    def _purge(self, query: str, values: Sequence[int]) -> int:
        gone = 0
        while True:
            with self._transaction():
                ids = [row[0] for row in self._database.execute(query, (*values, CHUNK_ROWS))]
                ends, _ = ends_of(self._database, ids)
                rows = [(entry_id,) for entry_id in (*ids, *ends)]
                deleted = sum(self._database.executemany(_DELETE[table], rows).rowcount for table in TABLES)
                self._note_given_up(deleted)
            if not ids:
                return gone
            gone += deleted

    def _note_given_up(self, count: int) -> None:
        if count:
            self._database.execute("UPDATE meta SET value = value + ? WHERE key = 'given_up'", (count,))

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._in_words():
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._database.execute("COMMIT")
            except BaseException:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                raise

    @contextmanager
    def _in_words(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise StorageError(f"outbox {self._path}: {in_words(error)}") from error
