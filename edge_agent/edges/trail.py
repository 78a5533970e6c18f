"""Where trails are kept: lines of text in a few files of a folder, bounded in bytes and in age.

A file that is full, or old enough, is followed by the next, and compressed; the oldest go first. What is written is
appended and flushed to the disk, so a power cut tears at most the last line, which whoever reads it leaves out.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import threading
import zlib
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated

from pydantic import Field

from edge_agent.edges.clock import Clock
from edge_agent.errors import StorageError
from edge_agent.settings import Bytes, Seconds, Section

_log = logging.getLogger(__name__)

EVERY_S = 60.0
"""So often it is written while there is something to write, and so much is lost when the process is killed."""

SOON_S = 10.0
"""So soon after what somebody may ask about: an event."""

_PARTS = 8  # so many files share the bytes and the age
_WAITING_PARTS = 16  # so small a part of the bytes may wait in memory, while the disk does not take it
_NAME = "{:012d}.jsonl"
_COMPRESSED = ".gz"
_GZIP = 31  # what zlib calls the form of gzip
_CHUNK_BYTES = 1 << 16
_NS = 10**9
_OURS = re.compile(r"[0-9]{12,}\.jsonl(\.gz)?")
_LARGEST_BYTES = 1 << 30  # no file of ours is so large; one that was made to be is not unpacked to the end
_SET_CLOCK_S = 1_700_000_000  # November 2023: an earlier time comes from a clock that was never set


class ExplainSettings(Section):
    """What is kept so that `edge-agent explain` can tell why: numbers, no picture, on this machine only."""

    enabled: bool = True
    """Whether anything is kept; when not, what was kept before is removed at the start."""

    max_bytes: Annotated[Bytes, Field(ge=1 << 20, le=1 << 30)] = 16 << 20
    """Bound of all that is kept, of all cameras together; the oldest goes first. A street with
    eight people always in view fills less than 1 MiB an hour."""

    max_age: Annotated[Seconds, Field(ge=60)] = 3 * 86400.0
    """What is older than this is removed."""


class TrailFiles:
    """The folder. Any thread may put something in; only one writes at a time, and nobody else waits for the disk.

    Args:
        folder: it need not be there.
        settings: its bounds.
        clock: tells the time.
    """

    def __init__(self, folder: Path, settings: ExplainSettings, clock: Clock) -> None:
        self._folder = folder
        self._settings = settings
        self._clock = clock
        self._lock = threading.Lock()  # of what waits
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._hurry = False
        self._lost = 0
        self._disk = threading.Lock()
        self._wrote_s = self._tidied_s = clock.monotonic_s()

    def put(self, lines: Iterable[str], *, soon: bool = False) -> None:
        """Keep some lines, each with its end; `write` brings them to the disk when it is time.

        Args:
            lines: what to keep; the oldest of what waits is left out, and counted, when that becomes too much.
            soon: somebody may ask about it at once.
        """
        with self._lock:
            self._hurry |= soon
            self._add(line.encode() for line in lines)

    def write(self, *, at_once: bool = False) -> None:
        """Write what waits, if it is time to, and remove what is too old.

        Args:
            at_once: however short ago the last time was.

        Raises:
            StorageError: the disk does not take it; it waits on, as far as it may.
        """
        with self._disk:
            now_s = self._clock.monotonic_s()
            try:
                if now_s - self._tidied_s >= EVERY_S:
                    self._tidied_s = now_s
                    self._remove_old()
                if at_once or now_s - self._wrote_s >= (SOON_S if self._hurry else EVERY_S):
                    self._write(now_s)
            except OSError as error:
                raise StorageError(f"{self._folder} cannot be written: {error.strerror or error}") from error

    def remove(self) -> None:
        """Remove all that was kept.

        Raises:
            StorageError: the disk does not let it go.
        """
        try:
            for path in files_in(self._folder):
                path.unlink(missing_ok=True)
        except OSError as error:
            raise StorageError(f"{self._folder} cannot be removed: {error.strerror or error}") from error

    def _add(self, lines: Iterable[bytes]) -> None:
        for line in lines:
            self._waiting.append(line)
            self._waiting_bytes += len(line)
        while self._waiting_bytes > self._settings.max_bytes // _WAITING_PARTS:
            self._waiting_bytes -= len(self._waiting.popleft())
            self._lost += 1

    def _write(self, now_s: float) -> None:
        with self._lock:
            lines, self._waiting, self._waiting_bytes = self._waiting, deque(), 0
            self._hurry, lost, self._lost = False, self._lost, 0
        if lost:
            _log.warning("%s: %d entries were left out, the disk did not take them in time", self._folder, lost)
        if not lines:
            return
        self._wrote_s = now_s
        try:
            self._append(b"".join(lines))
        except OSError:
            with self._lock:
                newer, self._waiting, self._waiting_bytes = self._waiting, deque(), 0
                self._add((*lines, *newer))
            raise

    def _append(self, data: bytes) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._file_for(len(data) + 1)
        self._make_room(len(data) + 1)
        with path.open("ab") as file:
            if file.tell() and not _ends_with_a_line(path):
                file.write(b"\n")  # what was torn by a power cut is a line of its own
            file.write(data)
            file.flush()
            os.fsync(file.fileno())

    def _file_for(self, size: int) -> Path:
        """The newest file, or the next one where that is full or has been written to for long enough."""
        now_s, files = self._now_s(), files_in(self._folder)
        if not files:
            return self._folder / _NAME.format(now_s)
        newest = files[-1]
        is_full = newest.stat().st_size + size > self._settings.max_bytes // _PARTS
        is_old = now_s - _begun_s(newest) >= self._settings.max_age / _PARTS
        if not (is_full or is_old or newest.suffix == _COMPRESSED):
            return newest
        for path in files:
            if path.suffix != _COMPRESSED:
                self._make_room(path.stat().st_size)
                _compress(path)
        return self._folder / _NAME.format(max(now_s, _begun_s(newest) + 1))  # the clock may have been set back

    def _make_room(self, size: int) -> None:
        sizes = {path: path.stat().st_size for path in files_in(self._folder)}
        kept = sum(sizes.values())
        for path, there in sizes.items():
            if kept + size <= self._settings.max_bytes:
                return
            path.unlink(missing_ok=True)
            kept -= there

    def _remove_old(self) -> None:
        """Remove what is too old, or from a future that a wrong clock believed in; not by a clock that nobody set."""
        for path in self._folder.glob("*.part"):  # of a power cut
            path.unlink(missing_ok=True)
        now_s = self._now_s()
        for path in files_in(self._folder):
            if now_s > _SET_CLOCK_S and abs(now_s - _begun_s(path)) > self._settings.max_age:
                path.unlink(missing_ok=True)

    def _now_s(self) -> int:
        return self._clock.utc_ns() // _NS


def files_in(folder: Path) -> list[Path]:
    """The files of a folder, the oldest first."""
    return sorted(path for path in folder.glob("*.jsonl*") if _OURS.fullmatch(path.name))


def read_lines(path: Path) -> Iterator[bytes]:
    """All lines that are kept in a file, or in the files of a folder, the oldest first.

    Raises:
        StorageError: it is not there, or cannot be read.
    """
    try:
        for file in files_in(path) if path.is_dir() else (path,):
            with contextlib.suppress(FileNotFoundError) if path.is_dir() else contextlib.nullcontext():
                # One of a folder may be removed just now, for it is too old.
                yield from _read(file).splitlines()
    except OSError as error:
        why = "no such file" if isinstance(error, FileNotFoundError) else error.strerror
        raise StorageError(f"{path} cannot be read: {why}") from error


def _begun_s(path: Path) -> int:
    return int(path.name.partition(".")[0])


def _compress(path: Path) -> None:
    """Put a compressed file in the place of one that is complete; a power cut leaves the one, or both."""
    packer = zlib.compressobj(wbits=_GZIP)
    unfinished = path.with_name(f"{path.name}{_COMPRESSED}.part")
    try:
        with unfinished.open("wb") as file:
            file.write(packer.compress(path.read_bytes()) + packer.flush())
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path.with_name(f"{path.name}{_COMPRESSED}"))
    except OSError:
        with contextlib.suppress(OSError):
            unfinished.unlink(missing_ok=True)
        raise
    path.unlink(missing_ok=True)


def _read(path: Path) -> bytes:
    """All of a file; of a damaged compressed one what comes before the damage."""
    if path.suffix != _COMPRESSED:
        return path.read_bytes()
    unpacker, text = zlib.decompressobj(wbits=_GZIP), bytearray()
    with path.open("rb") as file, contextlib.suppress(zlib.error):
        while chunk := file.read(_CHUNK_BYTES):
            text += unpacker.decompress(chunk, _LARGEST_BYTES - len(text))
            if len(text) >= _LARGEST_BYTES:
                break
    return bytes(text)


def _ends_with_a_line(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"
