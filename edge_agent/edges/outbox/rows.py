"""What a row is: a message that waits, in the layout of its table and with a checksum."""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from edge_agent.records import Message

APPLICATION_ID = 0x65646765
"""Stands in the head of the file: "edge", so that `file` and we know our own."""

LAYOUT = 1
"""The version of what follows; a file of another is no outbox."""

PAGE_BYTES = 4096
"""How large a page of the file is; a row fits into one."""

_ROW = (
    "id INTEGER PRIMARY KEY, kind TEXT NOT NULL, topic TEXT NOT NULL, late_topic TEXT NOT NULL, payload BLOB NOT NULL, "
    "utc_ns INTEGER NOT NULL, put_utc_ns INTEGER NOT NULL, put_s REAL NOT NULL, crc INTEGER NOT NULL"
)

TABLES = ("lasting", "passing")
"""`passing` holds the updates: deleted first, they leave whole pages behind and not holes between the others."""

SCHEMA = (
    *(f"CREATE TABLE {table} ({_ROW})" for table in TABLES),
    "CREATE VIEW message AS SELECT * FROM lasting UNION ALL SELECT * FROM passing",
    f"CREATE TABLE dead ({_ROW}, reason TEXT NOT NULL, dead_utc_ns INTEGER NOT NULL)",
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID",
    "INSERT INTO meta VALUES ('epoch', 0), ('given_up', 0)",
    f"PRAGMA application_id={APPLICATION_ID}",
    f"PRAGMA user_version={LAYOUT}",
)
"""The statements that lay out a new file."""

EPOCH_IDS = 10**12
"""An id is the number of the run times this, plus a count: none comes twice."""


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


def to_row(entry: Entry) -> tuple[object, ...]:
    """An entry in the order of `_ROW`."""
    message = entry.message
    fields = (entry.id, message.kind, message.topic, message.late_topic, message.payload, message.utc_ns)
    stamped = (*fields, entry.put_utc_ns, entry.put_s)
    return (*stamped, _crc(stamped))


def to_entry(row: Sequence[object]) -> Entry | None:
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


def select(database: sqlite3.Connection, limit: int, after: int) -> tuple[list[Entry], list[int]]:
    """The oldest entries above an id, and the ids of damaged rows among them."""
    query = "SELECT * FROM message WHERE id > ? ORDER BY id LIMIT ?"
    decoded = [(row[0], to_entry(row)) for row in database.execute(query, (after, limit))]
    damaged = [entry_id for entry_id, entry in decoded if entry is None]
    return [entry for _, entry in decoded if entry], damaged


def lenient_text(text: bytes) -> str:
    """Read text whose bytes may have flipped; its checksum tells."""
    return text.decode(errors="replace")


def _crc(fields: Iterable[object]) -> int:
    return zlib.crc32("\0".join(map(ascii, fields)).encode())
