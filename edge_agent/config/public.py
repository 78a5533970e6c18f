"""The configuration without its secrets: to be shown, and to be told from another."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from edge_agent.config.schema import CameraSettings, Settings

LOCAL_SCHEMES = ("csi", "file", "images", "pipe", "v4l2", "watch")
"""Sources on this machine: their addresses hold no password."""

_PIPELINE = "gstreamer:"


def to_public(settings: Settings) -> dict[str, Any]:
    """The settings as JSON types; passwords, and what in an address may be one, are left out."""
    public: dict[str, Any] = settings.model_dump(mode="json", by_alias=True)  # writes a SecretStr as stars
    for camera in public["cameras"]:
        camera["source"] = without_secrets(camera["source"])
    return public


def fingerprint(settings: Settings) -> str:
    """Hex sha256 of the settings; the same in another folder and with other passwords."""
    values = settings.model_dump()
    for camera, dumped in zip(settings.cameras, values["cameras"], strict=True):
        dumped["source"] = _source_without_folder(camera)
    canonical = json.dumps(values, default=_canonical, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def without_secrets(address: str) -> str:
    """Shorten `rtsp://user:secret@host:554/path?token=…` to `rtsp://host:554/…`.

    User, path and query may each hold a password. With an `@` behind the first `/` nobody can say where the host
    begins, so nothing of it is left. A pipeline may hold one anywhere.
    """
    if address.startswith(_PIPELINE):
        return f"{_PIPELINE}…"
    scheme, separator, rest = address.partition("://")
    if not separator or scheme in LOCAL_SCHEMES:
        return address
    authority, slash, path = rest.partition("/")
    if "@" in path or "?" in authority or "#" in authority:
        return f"{scheme}://…"
    return f"{scheme}://{authority.rpartition('@')[2]}{slash}{'…' if path else ''}"


def _source_without_folder(camera: CameraSettings) -> str:
    scheme, _, rest = camera.source.partition("://")
    return f"{scheme}://{Path(rest).name}" if scheme in LOCAL_SCHEMES else without_secrets(camera.source)


def _canonical(value: object) -> str:
    if isinstance(value, SecretStr):
        return ""
    if isinstance(value, Path):
        return value.name
    raise TypeError(f"a setting of type {type(value).__name__} has no canonical form")
