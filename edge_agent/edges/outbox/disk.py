"""The outbox's file as long as the disk plays along: opened when it is needed, replaced when it is damaged."""

from __future__ import annotations

import itertools
import logging
import sqlite3
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from contextlib import closing
from pathlib import Path
from typing import TypeVar

from edge_agent.edges.clock import Clock
from edge_agent.edges.outbox.damage import is_damage, salvage, set_aside
from edge_agent.edges.outbox.file import Ballast, File, in_words
from edge_agent.edges.outbox.priorities import Orphans
from edge_agent.edges.outbox.tally import Tally
from edge_agent.errors import StorageError

log = logging.getLogger(__name__)

T = TypeVar("T")

_SALVAGE_ROWS = 2000


class Disk:
    """Does things with the file. Who shares it, locks it.

    Args:
        path: of the file.
        max_bytes: its bound.
        orphans: objects that were given up in part.
        under_way: ids of what may not be given up.
        begin: told the number of each run of the file that begins, before anything is put in under it.
        tally: says what goes wrong.
        clock: gives a file that is set aside its name.
    """

    def __init__(  # noqa: PLR0913  (what the file needs, and whom it tells)
        self,
        path: Path,
        max_bytes: int,
        *,
        orphans: Orphans,
        under_way: AbstractSet[int],
        begin: Callable[[int], None],
        tally: Tally,
        clock: Clock,
    ) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._orphans = orphans
        self._under_way = under_way
        self._tell = begin
        self._tally = tally
        self._clock = clock
        self._ballast = Ballast(path)
        self._file: File | None = None
        self._epoch = 0

    def do(self, action: Callable[[File], T]) -> T:
        """Do something with the file; a damaged one is replaced first.

        Raises:
            StorageError: the disk is full, the file locked, or its folder not writable.
        """
        try:
            try:
                return action(self._opened())
            except sqlite3.DatabaseError as error:
                if not is_damage(error):
                    raise
                self._replace(str(error))
                return action(self._opened())
        except (sqlite3.Error, OSError) as error:
            raise StorageError(f"outbox {self._path}: {in_words(error)}") from error

    def make_way(self, action: Callable[[File], T]) -> T:
        """Do what leads to more room on the disk; when that is full, with the room that is held back for it.

        Raises:
            StorageError: as of `do`.
        """
        try:
            return self.do(action)
        except StorageError:
            if not self._ballast.drop():
                raise
            return self.do(action)

    def hold_back(self) -> None:
        """Take room for the day on which the disk is full, if none is held."""
        self._ballast.take()

    def close(self) -> None:
        """Close the file; it is opened again when something is to be done with it."""
        if self._file:
            self._file.close()
            self._file = None

    def _opened(self) -> File:
        if self._file is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = File(self._path, self._max_bytes, self._epoch, self._orphans, self._under_way)
            self._begin(self._file.epoch)
        return self._file

    def _begin(self, epoch: int) -> None:
        self._epoch = epoch
        self._tell(epoch)

    def _replace(self, reason: str) -> None:
        """Set a damaged file aside, begin a new one, and bring over what can still be read."""
        self.close()
        aside = set_aside(self._path, self._clock.utc_ns())
        saved = 0
        file = self._opened()
        with closing(salvage(aside)) as readable, self._tally.trouble("a damaged file cannot be salvaged"):
            while chunk := tuple(itertools.islice(readable, _SALVAGE_ROWS)):
                saved += len(chunk)
                self._tally.add("the file has reached outbox.max_bytes", file.insert(chunk))
        self._begin(file.begin_epoch(self._epoch))  # above the ids that were brought over
        log.warning("outbox %s was damaged (%s): kept as %s, %d events saved", self._path, reason, aside.name, saved)
