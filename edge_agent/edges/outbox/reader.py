"""A look into an outbox that changes nothing."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edge_agent.edges.outbox.file import in_words
from edge_agent.edges.outbox.rows import Entry, lenient_text, select, to_entry
from edge_agent.edges.outbox.stats import FileStats, file_stats
from edge_agent.errors import StorageError
from edge_agent.records import Message

_FIRST_COLUMNS = 9  # of the first layout; the later ones stand behind what only the dead have


@dataclass(frozen=True, slots=True, kw_only=True)
class Dead:
    """A message that was set aside.

    Attributes:
        message: it, None when it is damaged.
        reason: why.
        utc_ns: when.
    """

    message: Message | None
    reason: str
    utc_ns: int


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
            self._database.text_factory = lenient_text
        try:
            self.stats()
        except StorageError:
            self.close()
            raise

    def entries(self, limit: int, after: int = 0) -> tuple[Entry, ...]:
        """The oldest events that wait and have an id above `after`; damaged rows are left out."""
        with self._in_words():
            entries, _ = select(self._database, limit, after)
        return tuple(replace(entry, put_s=None) for entry in entries)

    def dead(self, limit: int) -> tuple[Dead, ...]:
        """The oldest events that were set aside."""
        query = "SELECT reason, dead_utc_ns, dead.* FROM dead ORDER BY id LIMIT ?"
        with self._in_words():
            rows = self._database.execute(query, (limit,)).fetchall()
        return tuple(_dead(*row) for row in rows)

    def dead_reasons(self) -> dict[str, int]:
        """Why how many were set aside, the most frequent first."""
        query = "SELECT reason, count(*) FROM dead GROUP BY reason ORDER BY count(*) DESC, reason"
        with self._in_words():
            return dict(self._database.execute(query).fetchall())

    def stats(self) -> FileStats:
        """What the file says."""
        with self._in_words():
            return file_stats(self._database)

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()

    @contextmanager
    def _in_words(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise StorageError(f"outbox {self._path}: {in_words(error)}") from error


def _dead(reason: str, utc_ns: int, *row: Any) -> Dead:
    """A row of the table `dead`: a message's fields, the reason and the time, and from layout 2 on the subject."""
    entry = to_entry((*row[:_FIRST_COLUMNS], *row[_FIRST_COLUMNS + 2 :]))
    return Dead(message=entry.message if entry else None, reason=reason, utc_ns=utc_ns)
