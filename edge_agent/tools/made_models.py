"""Models that were made of others here: what is written of them beside their files."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from pathlib import Path
from typing import Any

from edge_agent.errors import ConfigError, StorageError
from edge_agent.vision import Vision

MANIFEST_SCHEMA = 1

_MAKER = "edge-agent"
"""A manifest tells its version under that name."""


def origin(path: Path, vision: Vision) -> dict[str, Any]:
    """Which model one was made of, as a manifest has it."""
    return {"file": path.name, "sha256": vision.sha256, "bytes": path.stat().st_size}


def refuse_others(path: Path) -> None:
    """Say in time that writing a model there would be to write over what was not made here.

    Args:
        path: where the model is to go. What an earlier model of that name left there does not count as another's.

    Raises:
        ConfigError: one of the files is there, and no manifest beside it says that it was made here.
    """
    others = [place.name for place in _places(path) if place.exists()]
    if others and _manifest_of(path) is None:
        raise ConfigError(
            f"{path}: {', '.join(others)} would be written over, and no manifest beside it says that this program "
            "wrote it; choose another name, or move it away"
        )


def read(path: Path) -> tuple[bytes, dict[str, Any]] | None:
    """A model that was made here, with its manifest; None where either is gone or is not what was written."""
    manifest = _manifest_of(path)
    try:
        model = path.read_bytes()
    except OSError:
        return None
    is_whole = manifest is not None and hashlib.sha256(model).hexdigest() == manifest.get("sha256")
    return (model, manifest) if manifest is not None and is_whole else None


def _places(path: Path) -> tuple[Path, Path, Path]:
    return path, path.with_suffix(".json"), path.with_suffix(".md")


def _manifest_of(path: Path) -> dict[str, Any] | None:
    """The manifest of a model that was made here, if it lies there under that name."""
    _model, manifest, _card = _places(path)
    try:
        told = json.loads(manifest.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    is_ours = (
        isinstance(told, dict)
        and told.get("schema") == MANIFEST_SCHEMA
        and told.get("file") == path.name
        and isinstance(told.get("made_with"), dict)
        and _MAKER in told["made_with"]
    )
    return told if is_ours else None


def write(path: Path, model: bytes, manifest: dict[str, Any], card: str) -> tuple[Path, ...]:
    """Write a model, and beside it what is known of it for programs (`.json`) and for people (`.md`).

    A power cut leaves each of them whole, the old one or the new.

    Raises:
        StorageError: they cannot be written.
    """
    text = json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"
    places = _places(path)
    contents = dict(zip(places, (model, text.encode(), card.encode()), strict=True))
    # The manifest first: where it breaks off, that says whose the rest is, and the same order can be given again.
    for place in sorted(places, key=lambda one: one.suffix != ".json"):
        unfinished = place.with_name(f".{place.name}.part")
        try:
            with unfinished.open("wb") as file:
                file.write(contents[place])
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(place)
        except OSError as error:
            hint = "; is its folder there?" if isinstance(error, FileNotFoundError) else ""
            raise StorageError(f"cannot write {place}: {error.strerror}{hint}") from error
        finally:
            with contextlib.suppress(OSError):  # nothing is left where it was interrupted
                unfinished.unlink(missing_ok=True)
    return places
