"""What was chosen for this machine, remembered in one file: which form of a model, at which size, on what."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edge_agent.errors import StorageError

_log = logging.getLogger(__name__)

SCHEMA = 1

MOST = 8
"""So many are remembered, the newest first: of a model before its update, of another set of labels."""

Facts = Mapping[str, Any]
"""What a choice was made for, as JSON types: it holds while these are the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """What a run takes on a number of threads, in milliseconds: of all processors together, and by the clock."""

    threads: int
    cpu_ms: float
    wall_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What suits a machine best.

    Attributes:
        file: another form of the model, to be loaded instead, from the state folder on; None for the model itself.
        sha256: of that file; "" for the model itself.
        input_size: width and height that the model sees.
        provider: what it runs on.
        paces: by number of threads, one at least.
        why: in words and numbers of our own, so that it may be published.
    """

    file: str | None
    sha256: str
    input_size: tuple[int, int]
    provider: str
    paces: tuple[Pace, ...]
    why: str


class Choices:
    """The file of all choices; one that is damaged counts as empty, for everything in it can be measured again.

    Args:
        path: of the file; it need not be there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def find(self, facts: Facts) -> Choice | None:
        """What was chosen for just these facts; None when nothing was."""
        return next((_choice(row["choice"]) for row in self._rows() if row["for"] == facts), None)

    def files(self) -> frozenset[str]:
        """Which other forms are named by any choice."""
        return frozenset(str(row["choice"]["file"]) for row in self._rows() if row["choice"]["file"] is not None)

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Keep others that share the folder from changing what is remembered meanwhile; they wait.

        Raises:
            StorageError: the folder cannot be made or written to.
        """
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise StorageError(f"{self._path} cannot be written: {error.strerror or error}") from error
        try:
            if not os.access(self._path.parent, os.W_OK):
                raise StorageError(f"{self._path} cannot be written: {os.strerror(errno.EACCES)}")
            with contextlib.suppress(OSError):  # some network disks have no locks
                fcntl.flock(folder, fcntl.LOCK_EX)
            yield
        finally:
            os.close(folder)

    def remember(self, facts: Facts, choice: Choice) -> None:
        """Keep a choice, in place of the one for the same facts.

        Raises:
            StorageError: the file cannot be written.
        """
        others = [row for row in self._rows() if row["for"] != facts]
        rows = [{"for": dict(facts), "choice": asdict(choice)}, *others][:MOST]
        text = json.dumps({"schema": SCHEMA, "choices": rows}, indent=2) + "\n"
        # A command may write while an agent does.
        unfinished = self._path.with_name(f".{self._path.name}.{os.getpid()}.part")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with unfinished.open("w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())  # a power cut leaves the old one or the new one
            unfinished.replace(self._path)
        except OSError as error:
            raise StorageError(f"{self._path} cannot be written: {error.strerror or error}") from error
        finally:
            with contextlib.suppress(OSError):
                unfinished.unlink(missing_ok=True)

    def _rows(self) -> Sequence[dict[str, Any]]:
        try:
            table = json.loads(self._path.read_text(encoding="utf-8"))
            if table["schema"] != SCHEMA:
                return []
            for row in table["choices"]:
                _choice(row["choice"])
                dict(row["for"])
        except FileNotFoundError:
            return []
        except (OSError, ValueError, OverflowError, KeyError, TypeError) as error:
            _log.warning("%s is not understood, and counts as empty: %s", self._path, type(error).__name__)
            return []
        rows: list[dict[str, Any]] = table["choices"]
        return rows


def _choice(values: Mapping[str, Any]) -> Choice:
    """A choice as it was written.

    Raises:
        KeyError: something is missing.
        TypeError: something is of another kind.
        ValueError: something has a value that it cannot have.
    """
    width, height = (int(side) for side in values["input_size"])
    paces = tuple(
        Pace(threads=int(pace["threads"]), cpu_ms=float(pace["cpu_ms"]), wall_ms=float(pace["wall_ms"]))
        for pace in values["paces"]
    )
    file = values["file"]
    if not paces or any(pace.threads < 1 or not pace.wall_ms > 0 for pace in paces) or min(width, height) < 1:
        raise ValueError("no choice has such numbers")
    return Choice(
        file=None if file is None else str(file),
        sha256=str(values["sha256"]),
        input_size=(width, height),
        provider=str(values["provider"]),
        paces=paces,
        why=str(values["why"]),
    )
