"""Which discovery topics hold a message of this agent: a small file, so that a later start can clear them."""

from __future__ import annotations

import logging
from collections.abc import Set as AbstractSet
from typing import Any, Protocol

_log = logging.getLogger(__name__)

_SCHEMA = 1
_MOST = 1000
_LONGEST = 1024


class File(Protocol):
    """A small file, see `edges/kept.py`."""

    def read(self) -> Any:
        """What stands there, as JSON types; None for nothing."""
        ...

    def write(self, content: Any, /) -> None:
        """Replace what stands there."""
        ...


class Places:
    """The topics in the file, which is written only when they change.

    Args:
        file: where they are kept.
    """

    def __init__(self, file: File) -> None:
        self._file = file
        self._written: frozenset[str] = frozenset()

    def read(self) -> frozenset[str]:
        """The topics; none where the file is damaged: `edge-agent ha purge` finds them at the broker."""
        content = self._file.read()
        if content is None:
            return self._written
        topics = content.get("topics") if isinstance(content, dict) else None
        if not isinstance(topics, list) or not all(isinstance(topic, str) and _is_discovery(topic) for topic in topics):
            _log.warning("what Home Assistant was told is not understood, and counts as nothing")
            return self._written
        self._written = frozenset(topics[:_MOST])
        return self._written

    def write(self, topics: AbstractSet[str]) -> None:
        """Remember these topics, and no others.

        Raises:
            StorageError: the file cannot be written.
        """
        wanted = frozenset(topics)
        if wanted != self._written:
            self._file.write({"schema": _SCHEMA, "topics": sorted(wanted)})
            self._written = wanted


def _is_discovery(topic: str) -> bool:
    """A topic that an agent may have written for Home Assistant: a file that says another does not clear that one."""
    return "/device/" in topic and topic.endswith("/config") and len(topic) <= _LONGEST and not set("+#\0") & set(topic)
