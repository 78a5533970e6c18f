"""What a row is: a message that waits, in the layout of its table and with a checksum."""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from edge_agent.records import Message

APPLICATION_ID = 0x65646765
"""Stands in the head of the file: "edge", so that `file` and we know our own."""

LAYOUT = 2
"""The version of what follows; a file of an earlier one is brought up to it, one of a later one is not ours."""

PAGE_BYTES = 4096
"""How large a page of the file is; a row fits into one."""

# The order of the first layout, to which others are added at the end.
_ROW = (
    "id INTEGER PRIMARY KEY, kind TEXT NOT NULL, topic TEXT NOT NULL, late_topic TEXT NOT NULL, payload BLOB NOT NULL, "
    "utc_ns INTEGER NOT NULL, put_utc_ns INTEGER NOT NULL, put_s REAL NOT NULL, crc INTEGER NOT NULL"
)

_ADDED = ("subject TEXT NOT NULL DEFAULT ''", "put_synced INTEGER NOT NULL DEFAULT 0")  # by the second layout
_SECOND = ", ".join(_ADDED)

COLUMNS = "id, kind, topic, late_topic, payload, utc_ns, put_utc_ns, put_s, crc, subject, put_synced"
"""What every table has of a message, in the order of `to_row`."""

TABLES = ("lasting", "passing")
"""`passing` holds the updates: deleted first, they leave whole pages behind and not holes between the others."""

SCHEMA = (
    *(f"CREATE TABLE {table} ({_ROW}, {_SECOND})" for table in TABLES),
    "CREATE VIEW message AS SELECT * FROM lasting UNION ALL SELECT * FROM passing",
    f"CREATE TABLE dead ({_ROW}, reason TEXT NOT NULL, dead_utc_ns INTEGER NOT NULL, {_SECOND})",
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID",
    "INSERT INTO meta VALUES ('epoch', 0), ('given_up', 0)",
    f"PRAGMA application_id={APPLICATION_ID}",
    f"PRAGMA user_version={LAYOUT}",
)
"""The statements that lay out a new file."""

UPGRADES = {
    1: (
        *(f"ALTER TABLE {table} ADD COLUMN {column}" for table in (*TABLES, "dead") for column in _ADDED),
        "PRAGMA user_version=2",
    )
}
"""What brings a file of an earlier layout up to the next one: no row is written anew, so even a full disk lets it."""

EPOCH_IDS = 10**12
"""An id is the number of the run times this, plus a count: none comes twice."""


_COLUMN_COUNT = len(COLUMNS.split(","))


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A message that waits.

    Attributes:
        id: grows with every put, and is never used again.
        message: what to send.
        put_s: when it was put, on this run's monotonic clock; None when an earlier run put it.
        put_utc_ns: the same moment on the wall clock of that time.
        put_synced: whether a time server vouched for that clock then.
    """

    id: int
    message: Message
    put_s: float | None
    put_utc_ns: int
    put_synced: bool = False


def to_row(entry: Entry) -> tuple[object, ...]:
    """An entry in the order of `COLUMNS`."""
    message = entry.message
    fields = (entry.id, message.kind, message.topic, message.late_topic, message.payload, message.utc_ns)
    stamped = (*fields, entry.put_utc_ns, entry.put_s)
    return (*stamped, _crc(stamped, message.subject, int(entry.put_synced)), message.subject, int(entry.put_synced))


def to_entry(row: Sequence[object]) -> Entry | None:
    """A row as an entry, also one of the first layout; None when its checksum is wrong, or it holds what it may not."""
    *stamped, crc, subject, put_synced = row if len(row) == _COLUMN_COUNT else (*row, "", 0)
    if _crc(stamped, subject, put_synced) != crc:
        return None
    entry_id, kind, topic, late_topic, payload, utc_ns, put_utc_ns, put_s = stamped
    try:
        message = Message(
            topic=topic,  # type: ignore[arg-type]
            payload=payload,  # type: ignore[arg-type]
            kind=kind,  # type: ignore[arg-type]
            late_topic=late_topic,  # type: ignore[arg-type]
            utc_ns=utc_ns,  # type: ignore[arg-type]
            subject=subject,  # type: ignore[arg-type]
        )
    except (ValueError, KeyError):
        return None
    return Entry(id=entry_id, message=message, put_s=put_s, put_utc_ns=put_utc_ns, put_synced=bool(put_synced))  # type: ignore[arg-type]


def select(database: sqlite3.Connection, limit: int, after: int) -> tuple[list[Entry], list[int]]:
    """The oldest entries above an id, and the ids of damaged rows among them."""
    query = "SELECT * FROM message WHERE id > ? ORDER BY id LIMIT ?"
    return _decoded(database.execute(query, (after, limit)))


def _decoded(rows: Iterable[Sequence[Any]]) -> tuple[list[Entry], list[int]]:
    decoded = [(row[0], to_entry(row)) for row in rows]
    damaged = [entry_id for entry_id, entry in decoded if entry is None]
    return [entry for _, entry in decoded if entry], damaged


def index(database: sqlite3.Connection, limit: int, after: int) -> list[tuple[int, str]]:
    """The ids and topics of the oldest messages above an id."""
    return database.execute("SELECT id, topic FROM message WHERE id > ? ORDER BY id LIMIT ?", (after, limit)).fetchall()


def fetch(database: sqlite3.Connection, ids: Sequence[int]) -> tuple[list[Entry], list[int]]:
    """Those of these entries that are there, oldest first, and the ids of damaged rows among them."""
    query = f"SELECT * FROM message WHERE id IN ({_marks(ids)}) ORDER BY id"  # noqa: S608
    return _decoded(database.execute(query, ids))


def ends_of(database: sqlite3.Connection, ids: Sequence[int]) -> tuple[list[int], set[str]]:
    """Of each `new` among these rows the `end`, so that an object can go whole; and the objects that have none yet."""
    query = f"SELECT subject FROM lasting WHERE kind = 'new' AND subject <> '' AND id IN ({_marks(ids)})"  # noqa: S608
    begun = [row[0] for row in database.execute(query, ids)]
    if not begun:
        return [], set()
    # An `end` comes soon after its `new` as a rule: in the order of ids the search is over with the last one.
    query = f"SELECT id, subject FROM lasting WHERE kind = 'end' AND subject IN ({_marks(begun)}) ORDER BY id LIMIT ?"  # noqa: S608
    ended = database.execute(query, (*begun, len(begun))).fetchall()
    return [entry_id for entry_id, _ in ended], set(begun) - {subject for _, subject in ended}


def table_of(message: Message) -> str:
    """Where a message waits."""
    return "passing" if message.kind == "update" else "lasting"


def _marks(values: Sequence[object]) -> str:
    return ",".join("?" * len(values))


def lenient_text(text: bytes) -> str:
    """Read text whose bytes may have flipped; its checksum tells."""
    return text.decode(errors="replace")


def _crc(fields: Iterable[object], *added: object) -> int:
    """Over all fields; those that the second layout has added only when they say something: older rows stay whole."""
    return zlib.crc32("\0".join(map(ascii, (*fields, *(added if any(added) else ())))).encode())
