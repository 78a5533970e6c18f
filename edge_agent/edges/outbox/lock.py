"""One agent an outbox: a lock that the kernel keeps, and lets go of whatever becomes of the process."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
from contextlib import suppress
from pathlib import Path

from edge_agent.errors import StorageError

log = logging.getLogger(__name__)

_TAKEN = {errno.EWOULDBLOCK, errno.EACCES}


class Lock:
    """Held from its making until `release`, or until the process ends.

    It lies in a file of its own beside the outbox. The outbox's file is no place for it: that may be renamed, and
    closing it once more would take away the locks by which SQLite keeps its readers apart.

    Args:
        path: of the outbox.

    Raises:
        StorageError: another process holds it.
    """

    def __init__(self, path: Path) -> None:
        self._descriptor: int | None = None
        descriptor = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = _read(descriptor)
            os.close(descriptor)
            if error.errno in _TAKEN:
                raise StorageError(
                    f"outbox {path}: another agent uses it{holder}; stop that one, or set outbox.path"
                ) from None
            log.warning("outbox %s: nothing keeps a second agent away: %s", path, error.strerror)  # some network disks
            return
        self._descriptor = descriptor
        with suppress(OSError):  # only to name it; the disk may be full
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, str(os.getpid()).encode(), 0)

    def release(self) -> None:
        """Let the next one have it; the file stays, for whoever removes it may remove the next one's."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _read(descriptor: int) -> str:
    """Who holds it, as far as is known."""
    try:
        number = int(os.pread(descriptor, 20, 0))
    except (OSError, ValueError):
        return ""
    return f" (process {number})"
