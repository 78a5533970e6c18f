"""Which discovery topics hold a message of this agent: a small file, so that a later start can clear them."""

from __future__ import annotations

import contextlib
import json
import logging
import os
from collections.abc import Set as AbstractSet
from pathlib import Path

from edge_agent.errors import StorageError

_log = logging.getLogger(__name__)

_SCHEMA = 1
_MOST = 1000
_LONGEST = 1024


class Places:
    """The file. It is written only when something in it changes, and is not there when there is nothing to clear.

    Args:
        path: of the file; it need not be there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._written: frozenset[str] | None = None

    def read(self) -> frozenset[str]:
        """The topics; none where the file is damaged: `edge-agent ha purge` finds them at the broker."""
        self._written = self._read()
        return self._written

    def _read(self) -> frozenset[str]:
        try:
            topics = json.loads(self._path.read_text(encoding="utf-8"))["topics"]
            if all(isinstance(topic, str) and _is_discovery(topic) for topic in topics):
                return frozenset(topics[:_MOST])
        except FileNotFoundError:
            return frozenset()
        except (OSError, ValueError, RecursionError, KeyError, TypeError):
            pass
        _log.warning("%s is not understood, and counts as empty", self._path)
        return frozenset()

    def write(self, topics: AbstractSet[str]) -> None:
        """Remember these topics, and no others.

        Raises:
            StorageError: the file cannot be written.
        """
        wanted = frozenset(topics)
        if wanted == self._written:
            return
        try:
            if wanted:
                self._replace(wanted)
            else:
                self._path.unlink(missing_ok=True)
        except OSError as error:
            raise StorageError(f"{self._path} cannot be written: {error.strerror or error}") from error
        self._written = wanted

    def _replace(self, topics: frozenset[str]) -> None:
        unfinished = self._path.with_name(f".{self._path.name}.{os.getpid()}.part")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with unfinished.open("w", encoding="utf-8") as file:
                json.dump({"schema": _SCHEMA, "topics": sorted(topics)}, file)
                file.flush()
                os.fsync(file.fileno())  # a power cut leaves the old one or the new one
            unfinished.replace(self._path)
        except OSError:
            with contextlib.suppress(OSError):
                unfinished.unlink(missing_ok=True)
            raise


def _is_discovery(topic: str) -> bool:
    """A topic that an agent may have written for Home Assistant: a file that says another does not clear that one."""
    *_, kind = topic.split("/")
    return "/device/" in topic and kind == "config" and len(topic) <= _LONGEST and not set("+#\0") & set(topic)
