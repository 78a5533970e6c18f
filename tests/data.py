"""The real recordings and models that lie beside a checkout in `../shared/data`, and may not be part of it."""

from __future__ import annotations

from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "shared" / "data"

OPTION = "--require-data"


class _Absence:
    """What follows when something is not there; `conftest.py` sets it from the command line."""

    is_failure = False


def require_data(*, required: bool) -> None:
    """Let tests fail, not skip, for want of their data."""
    _Absence.is_failure = required


def shared_data(part: str) -> Path:
    """A file or folder of the shared data; without it the test is skipped, or fails under `--require-data`."""
    path = FOLDER / part
    if not path.exists():
        missing = f"{part} is not in ../shared/data beside this checkout"
        if _Absence.is_failure:
            pytest.fail(missing)
        pytest.skip(missing)
    return path
