"""One small JSON file that is written whole or not at all."""

from __future__ import annotations

import contextlib
import json
import logging
import os
from pathlib import Path
from typing import Any

from edge_agent.errors import StorageError

_log = logging.getLogger(__name__)

_MOST_BYTES = 1 << 20


class KeptFile:
    """A file that is read at the start and written at each change; a damaged one counts as not there.

    Args:
        path: of the file; neither it nor its folder need be there.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> Any:
        """What stands there, as JSON types; None when nothing that can be read does."""
        try:
            with self.path.open("rb") as file:
                return json.loads(file.read(_MOST_BYTES))  # what is longer ends too early to be JSON
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecursionError) as error:
            _log.warning("%s is not understood, and counts as empty: %s", self.path, error)
            return None

    def write(self, content: Any) -> None:
        """Replace what stands there; a power cut leaves the old or the new.

        Raises:
            StorageError: the disk does not take it; the old is still there.
        """
        unfinished = self.path.with_name(f".{self.path.name}.{os.getpid()}.part")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with unfinished.open("w", encoding="utf-8") as file:
                file.write(json.dumps(content, allow_nan=False) + "\n")
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(self.path)
            self._settle()
        except OSError as error:
            with contextlib.suppress(OSError):
                unfinished.unlink(missing_ok=True)
            raise StorageError(f"{self.path} cannot be written: {error.strerror or error}") from error

    def _settle(self) -> None:
        """Have the new name on the disk, too."""
        folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
