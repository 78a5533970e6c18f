"""Models that were made of others here: what is written of them beside their files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from edge_agent.errors import StorageError
from edge_agent.vision import Vision

MANIFEST_SCHEMA = 1


def origin(path: Path, vision: Vision) -> dict[str, Any]:
    """Which model one was made of, as a manifest has it."""
    return {"file": path.name, "sha256": vision.sha256, "bytes": path.stat().st_size}


def write(path: Path, model: bytes, manifest: dict[str, Any], card: str) -> tuple[Path, ...]:
    """Write a model, and beside it what is known of it for programs (`.json`) and for people (`.md`).

    Raises:
        StorageError: they cannot be written.
    """
    text = json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"
    files = {path: model, path.with_suffix(".json"): text.encode(), path.with_suffix(".md"): card.encode()}
    for place, content in files.items():
        unfinished = place.with_name(f".{place.name}.part")
        try:
            unfinished.write_bytes(content)
            unfinished.replace(place)
        except OSError as error:
            unfinished.unlink(missing_ok=True)
            raise StorageError(f"cannot write {place}: {error.strerror}; is its folder there?") from error
    return tuple(files)
