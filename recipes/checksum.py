"""Every file that goes into a recipe or comes out of one is known by its sha256."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from recipes.errors import RecipeError

if TYPE_CHECKING:
    from pathlib import Path


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file as 64 hex digits."""
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def check_sha256(path: Path, expected: str, what_to_do: str) -> None:
    """Accept a file only when it is byte for byte the one that the recipe was written for.

    Raises:
        RecipeError: when the sha256 differs; the message ends with `what_to_do`.
    """
    found = sha256_of(path)
    if found != expected:
        raise RecipeError(f"{path.name}: sha256 is {found}, expected {expected}; {what_to_do}")
