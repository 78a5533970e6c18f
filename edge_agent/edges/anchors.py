"""A file of anchors: rows of numbers, as numpy writes them or as text; what they mean is not known here."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_agent.errors import ModelError

Numbers = NDArray[np.float64]

_MOST_BYTES = 16 << 20  # a hundred times what the largest models have
_AXES = 2
_IN_A_ROW = 4  # numbers of one anchor


def read(path: Path) -> Numbers:
    """The rows of a file, (N, K).

    A text file has a row a line, with commas, semicolons or blanks between numbers; what follows a # is left out. Of an
    array with more than two axes the last counts the numbers of a row. Four rows of more numbers are columns.

    Args:
        path: with a name that ends with `.npy`, `.txt` or `.csv`.

    Raises:
        ModelError: it cannot be read, or is no table of finite numbers.
    """
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise _wrong(path, f"its name ends with none of {', '.join(_READERS)}")
    try:
        if path.is_file() and path.stat().st_size > _MOST_BYTES:
            raise _wrong(path, "it is larger than 16 MB, and no anchors are")
        table = reader(path)
    except OSError as error:
        raise _wrong(path, error.strerror or str(error)) from error
    except (ValueError, EOFError, MemoryError) as error:
        raise _wrong(path, " ".join(str(error).split())) from error
    if not table.size:
        raise _wrong(path, "it is empty")
    if not np.isfinite(table).all():
        raise _wrong(path, "some of its numbers are not finite")
    return table.T if len(table) == _IN_A_ROW < table.shape[1] else table


def sha256_of(path: Path) -> str:
    """Of the numbers in a file, however and wherever they are written.

    Raises:
        ModelError: as `read` does.
    """
    rows = read(path)
    return hashlib.sha256(repr(rows.shape).encode() + np.ascontiguousarray(rows).tobytes()).hexdigest()


def _wrong(path: Path, why: str) -> ModelError:
    return ModelError(f"anchor file {path} cannot be read: {why}; check model.anchors")


def _array(path: Path) -> Numbers:
    try:
        found = np.load(path, allow_pickle=False)
    except ValueError as error:  # numpy's own words propose to load it unsafely
        raise ValueError("it is no whole array of numbers as numpy writes them") from error
    if not isinstance(found, np.ndarray) or found.dtype.kind not in "fiu":
        raise ValueError("it holds something else than numbers")
    if found.ndim < _AXES:
        raise ValueError(f"it has the form {found.shape}, and anchors have one of rows")
    return np.asarray(found.reshape(-1, found.shape[-1]) if found.size else found, np.float64)


def _text(path: Path) -> Numbers:
    rows: list[list[float]] = []
    for number, line in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), 1):
        words = line.partition("#")[0].replace(",", " ").replace(";", " ").split()
        if words:
            rows.append([_number(word, number) for word in words])
            if len(rows[-1]) != len(rows[0]):
                raise ValueError(f"line {number} has {len(rows[-1])} numbers, and the first has {len(rows[0])}")
    return np.array(rows, np.float64)


def _number(word: str, line: int) -> float:
    try:
        return float(word)
    except ValueError:
        raise ValueError(f"line {line}: {word[:_SHOWN]!r} is no number") from None


_SHOWN = 20  # letters of what is no number
_READERS: dict[str, Callable[[Path], Numbers]] = {".npy": _array, ".txt": _text, ".csv": _text}
