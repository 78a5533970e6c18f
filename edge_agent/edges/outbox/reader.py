"""A look into an outbox that changes nothing."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from edge_agent.edges.outbox.file import in_words
from edge_agent.edges.outbox.rows import Entry, lenient_text, select
from edge_agent.edges.outbox.stats import FileStats, file_stats
from edge_agent.errors import StorageError


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
