"""What a look at the file tells: how many wait, how many were given up, how much room they take."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from edge_agent.edges.outbox.rows import PAGE_BYTES


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
        answers_lost: answers to commands that were given up: too many, too old, or refused by the broker.
    """

    put_total: int
    acked_total: int
    in_memory: int
    answers_lost: int


def file_stats(database: sqlite3.Connection) -> FileStats:
    """Count everything anew."""
    return FileStats(
        waiting=database.execute("SELECT count(*) FROM message").fetchone()[0],
        bytes=used_bytes(database),
        oldest_utc_ns=oldest_utc_ns(database),
        given_up=database.execute("SELECT value FROM meta WHERE key = 'given_up'").fetchone()[0],
        dead=database.execute("SELECT count(*) FROM dead").fetchone()[0],
    )


def used_bytes(database: sqlite3.Connection) -> int:
    """How much of the file is in use, without the pages that stand free."""
    pages, free = (database.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count"))
    return (pages - free) * PAGE_BYTES


def oldest_utc_ns(database: sqlite3.Connection) -> int | None:
    """When the oldest message that waits happened; None when none waits."""
    oldest = database.execute("SELECT id, utc_ns FROM message ORDER BY id LIMIT 1").fetchone()  # with id: no sorting
    return oldest[1] if oldest else None
