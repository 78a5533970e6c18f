"""What a command was asked for: a camera of a configuration, a device of one recording, the name of a replay."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from edge_agent.app.opening import recording_url
from edge_agent.config import CameraSettings, Settings, fingerprint
from edge_agent.errors import ConfigError, SourceError
from edge_agent.settings import parse_seconds

_RUN_ID_BYTES = 8  # even ten thousand boxes that start ten times a day for ten years hardly meet the same one twice
_CHUNK_BYTES = 1 << 20


def camera_of(settings: Settings, name: str | None) -> CameraSettings:
    """The camera of that name; the first one for None.

    Raises:
        ConfigError: there is none.
    """
    for camera in settings.cameras:
        if name in {None, camera.id}:
            return camera
    raise ConfigError(f"--camera {name}: no such camera; there are: {', '.join(c.id for c in settings.cameras)}")


def one_camera(clip: Path, model: str, detect: Mapping[str, Any]) -> Settings:
    """Make the settings of a device that has one camera, a recording, and a model given by name or file.

    Raises:
        ConfigError: a value is out of its range.
    """
    try:
        return Settings.model_validate(
            {
                "device": {"id": "local"},
                "model": {"path": model} if model.endswith((".onnx", ".tflite")) else {"name": model},
                "cameras": [{"id": "clip", "source": recording_url(clip), "detect": detect}],
            }
        )
    except ValidationError as error:
        wrong = error.errors()[0]
        raise ConfigError(f"{wrong['loc'][-1]}: {wrong['msg']}") from error


def age_s(text: str) -> float:
    """A duration as people write it, `30s`, `5m` or `7d`, in seconds.

    Raises:
        ValueError: it is none.
    """
    seconds = parse_seconds(text)
    if not isinstance(seconds, float) or seconds < 0:
        raise ValueError("must not be below zero")
    return seconds


def new_run_id() -> str:
    """Name this start of the agent, never to be used again."""
    return secrets.token_hex(_RUN_ID_BYTES)


def replay_run_id(clip: Path, settings: Settings, begun_ns: int | None = None) -> str:
    """Name the replay of a clip with a configuration: the same for the same two, so that its events are the same.

    Args:
        clip: a file or a folder of pictures.
        settings: the configuration.
        begun_ns: when it is to have begun, nanoseconds since 1970; None for what it says itself.

    Raises:
        SourceError: the clip cannot be read.
    """
    digest = hashlib.sha256(fingerprint(settings).encode())
    if begun_ns is not None:
        digest.update(str(begun_ns).encode())
    try:
        for path in sorted(filter(Path.is_file, clip.iterdir())) if clip.is_dir() else [clip]:
            with path.open("rb") as file:
                while chunk := file.read(_CHUNK_BYTES):
                    digest.update(chunk)
    except OSError as error:
        why = "no such file" if isinstance(error, FileNotFoundError) else error.strerror
        raise SourceError(f"{recording_url(clip)} cannot be opened: {why}") from error
    return digest.hexdigest()[: 2 * _RUN_ID_BYTES]
