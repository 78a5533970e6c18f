"""Trails of cameras, from the stage that makes them to the files that keep them, and back."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TextIO

from edge_agent.edges.clock import Clock
from edge_agent.edges.trail import ExplainSettings, TrailFiles, read_lines
from edge_agent.errors import StorageError
from edge_agent.stages.trail import entries as kept
from edge_agent.stages.trail.entries import EventEntry, from_line, to_line

_log = logging.getLogger(__name__)

FOLDER = "trail"
"""In the state folder."""

Entry = kept.Entry

Keep = Callable[[Sequence[Entry]], None]
"""Keeps what a trail hands out."""


def open_trails(settings: ExplainSettings, state: Path, clock: Clock) -> TrailFiles | None:
    """The files in the state folder; None, and none there any more, when nothing is to be kept."""
    files = TrailFiles(state / FOLDER, settings, clock)
    if settings.enabled:
        return files
    try:
        files.remove()
    except StorageError as error:
        _log.warning("%s", error)
    return None


def keep_in(files: TrailFiles) -> Keep:
    """Keep entries in files; events soon, for somebody may ask about them."""

    def keep(entries: Sequence[Entry]) -> None:
        if entries:
            files.put(map(to_line, entries), soon=any(isinstance(entry, EventEntry) for entry in entries))

    return keep


def keep_at(file: TextIO) -> Keep:
    """Keep entries in one file without a bound, as they come."""

    def keep(entries: Sequence[Entry]) -> None:
        file.writelines(map(to_line, entries))

    return keep


def entries_in(path: Path, camera: str | None = None) -> Iterator[Entry]:
    """What is kept in a file or a folder, in its order, of all cameras or of one; what is damaged is left out.

    Raises:
        StorageError: it is not there, or cannot be read.
    """
    part = f'"camera":"{camera}"'.encode()  # most lines are of others, and need not be understood
    for line in read_lines(path):
        if camera is None or part in line:
            entry = from_line(line)
            if entry is not None and camera in {None, entry.camera}:
                yield entry
