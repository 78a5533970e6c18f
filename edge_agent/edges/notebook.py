"""What was learnt of each camera, kept in one file, so that a restart does not forget it."""

from __future__ import annotations

import contextlib
import json
import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_agent.edges.clock import Clock
from edge_agent.errors import StorageError

_log = logging.getLogger(__name__)

SCHEMA = 1

EVERY_S = 600.0
"""No oftener is it written while the agent runs: what is lost with the power is minutes, and an SD card wears."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What was learnt of one camera, as JSON types, and when that was written."""

    utc_ns: int
    content: Any


class Notebook:
    """The file; one that is damaged counts as empty, for all in it is learnt again.

    Args:
        path: of the file; it need not be there.
        clock: tells the time.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._written_s = clock.monotonic_s()
        self._written = 0

    def read(self) -> dict[str, Page]:
        """A page a camera."""
        try:
            book = json.loads(self._path.read_text(encoding="utf-8"))
            if book["schema"] != SCHEMA:
                return {}
            return {
                str(camera): Page(utc_ns=int(page["utc_ns"]), content=page["content"])
                for camera, page in book["cameras"].items()
            }
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, OverflowError, RecursionError, KeyError, TypeError, AttributeError) as error:
            _log.warning("%s is not understood, and counts as empty: %s", self._path, type(error).__name__)
            return {}

    def keep(self, times_added: int, contents: Callable[[], Mapping[str, Any]], *, at_once: bool = False) -> None:
        """Write what was learnt, if that is more than was written and the last time was long enough ago.

        Args:
            times_added: how often something was learnt since the start; it is written when this has changed.
            contents: gives what was learnt of each camera, as JSON types.
            at_once: however short ago the last time was.

        Raises:
            StorageError: the file cannot be written; it is not tried again before the time.
        """
        now_s = self._clock.monotonic_s()
        if times_added == self._written or (now_s - self._written_s < EVERY_S and not at_once):
            return
        self._written_s = now_s
        self._write(contents())
        self._written = times_added

    def _write(self, contents: Mapping[str, Any]) -> None:
        utc_ns = self._clock.utc_ns()
        pages = {camera: {"utc_ns": utc_ns, "content": content} for camera, content in contents.items()}
        text = json.dumps({"schema": SCHEMA, "cameras": pages}, allow_nan=False) + "\n"
        unfinished = self._path.with_name(f".{self._path.name}.{os.getpid()}.part")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with unfinished.open("w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())  # a power cut leaves the old one or the new one
            unfinished.replace(self._path)
        except OSError as error:
            with contextlib.suppress(OSError):
                unfinished.unlink(missing_ok=True)
            raise StorageError(f"{self._path} cannot be written: {error.strerror or error}") from error
