"""What becomes of a damaged file: it is recognised, set aside, and what can still be read of it is saved."""

from __future__ import annotations

import heapq
import os
import sqlite3
from collections.abc import Generator, Iterator
from contextlib import closing, suppress
from datetime import datetime, timezone
from pathlib import Path

from edge_agent.edges.outbox.rows import PAGE_BYTES, TABLES, Entry, lenient_text, to_entry

_DAMAGED_FILES = 3
_COMPANIONS = ("-wal", "-shm")
_LAST_ID = 2**63 - 1

# The head of a SQLite file: its first words, and from byte 28 on its size in pages.
# Source: "Database File Format", section 1.3, sqlite.org, public domain.
_MAGIC = b"SQLite format 3\0"
_HEAD_BYTES = 100
_MOST_BYTES = 1 << 40

# The names of our own tables stand in these, nothing else does.
_READ = {table: f"SELECT * FROM {table} WHERE id > ? ORDER BY id" for table in TABLES}  # noqa: S608


def is_damage(error: sqlite3.DatabaseError) -> bool:
    """Whether the file itself is at fault (SQLITE_CORRUPT, SQLITE_NOTADB), and not the disk or a lock."""
    return type(error) is sqlite3.DatabaseError or "no such table" in str(error)


def set_aside(path: Path, utc_ns: int) -> Path:
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


def salvage(aside: Path) -> Generator[Entry, None, None]:
    """The entries of a damaged file that can still be read, oldest first."""
    _pad(aside)
    with closing(sqlite3.connect(aside, isolation_level=None)) as database:
        database.text_factory = lenient_text
        yield from heapq.merge(*(_readable(database, _READ[table]) for table in TABLES), key=lambda entry: entry.id)


def _pad(path: Path) -> None:
    """Let a file that was cut off be as long as it says it is: SQLite reads nothing at all of a shorter one."""
    with suppress(OSError), path.open("r+b") as file:
        head = file.read(_HEAD_BYTES)
        size = PAGE_BYTES * int.from_bytes(head[28:32], "big")
        if head.startswith(_MAGIC) and file.seek(0, os.SEEK_END) < size <= _MOST_BYTES:
            file.truncate(size)  # with zeros that take no room


def _readable(database: sqlite3.Connection, query: str) -> Iterator[Entry]:
    """The entries of one table that can still be read.

    Where a row cannot be read the next 1, 2, 4, … ids are left out, so that a hole of any size is crossed in a few
    steps and costs at most as many good rows as bad ones.
    """
    after, step = 0, 1
    while after < _LAST_ID:
        try:
            for row in database.execute(query, (after,)):
                if row[0] <= after:  # a page that is not what it says it is
                    continue
                after, step = row[0], 1
                if entry := to_entry(row):
                    yield entry
        except sqlite3.DatabaseError:
            after, step = after + step, step * 2
        else:
            return
