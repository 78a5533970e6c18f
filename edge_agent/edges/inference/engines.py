"""What a runtime compiles of a model at length, kept in the state folder: a folder a model, and in it one a version.

Several programs may share a state folder. Whoever uses an engine holds its folder until the process ends, by a lock
that ends with it; what somebody holds is never removed.
"""

from __future__ import annotations

import fcntl
import logging
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

_log = logging.getLogger(__name__)

_MODEL = re.compile("[0-9a-f]{64}")
_VERSION = "onnxruntime-"

_held: dict[Path, int] = {}
"""Folders that this process holds, and what it holds each by; nothing lets go of one before the process ends."""


def folder_of(state: Path, sha256: str) -> Path:
    """Where the engines of a model are kept, below the state folder."""
    return _below(state) / sha256


def of_version(folder: Path, version: str) -> Path:
    """Where those are that one version of onnxruntime has compiled: another does not read them."""
    return folder / f"{_VERSION}{version}"


def hold(folder: Path) -> None:
    """Make the folder if it is not there, and hold it.

    Raises:
        OSError: it cannot be made.
    """
    while folder not in _held:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:  # removed by another just now
            continue
        fcntl.flock(opened, fcntl.LOCK_SH)
        if _is_there_still(folder, opened):
            _held[folder] = opened
        else:
            os.close(opened)


def prune(state: Path, used: Path | None) -> None:
    """Remove what nobody uses any more: engines of other models and of other versions; says so in a line of the log.

    Args:
        state: the state folder.
        used: where the engines of the model that is loaded now would be; None where its runtime has none.
    """
    removed_bytes = [size for folder in _folders(state) if folder != used and (size := _remove(folder)) is not None]
    if removed_bytes:
        _log.info(
            "removed %d folder(s) of engines of other models or versions from %s: %.1f MB",
            len(removed_bytes),
            _below(state),
            sum(removed_bytes) / 1e6,
        )


def _below(state: Path) -> Path:
    return state / "engines"


def _folders(state: Path) -> Iterator[Path]:
    """Every folder of engines; of what else may lie there, nothing."""
    try:
        models = [path for path in _below(state).iterdir() if _MODEL.fullmatch(path.name) and _is_folder(path)]
        found = [path for model in models for path in sorted(model.iterdir())]
    except OSError:
        return
    yield from (path for path in found if path.name.startswith(_VERSION) and _is_folder(path))


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _remove(folder: Path) -> int | None:
    """Remove a folder that nobody holds, and how many bytes it had; None where it stays."""
    try:
        opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return None
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        size = sum(path.lstat().st_size for path in folder.rglob("*"))
        shutil.rmtree(folder)
        if not any(folder.parent.iterdir()):
            folder.parent.rmdir()
    except BlockingIOError:
        return None
    except OSError as error:
        _log.warning("%s is of no use any more and cannot be removed: %s", folder, error.strerror)
        return None
    finally:
        os.close(opened)
    return size


def _is_there_still(folder: Path, opened: int) -> bool:
    try:
        return os.path.samestat(folder.stat(), os.fstat(opened))
    except FileNotFoundError:
        return False
