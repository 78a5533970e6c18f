"""Files from elsewhere: fetched on somebody's word only, gone on with where they broke off, and proved at the end.

`urllib` knows the proxies of the environment (`https_proxy`, `no_proxy`).
"""

from __future__ import annotations

import http.client
import os
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from edge_agent.errors import ModelError, SourceError, StorageError

SILENCE_S = 30.0
"""A server that sends nothing for so long is given up."""

_CHUNK_BYTES = 1 << 18
_PARTIAL = 206
_PAST_THE_END = 416


class _Readable(Protocol):
    """What bytes come from."""

    def read(self, size: int, /) -> bytes:
        """Give so many of them, fewer at the end."""


def fetch(
    origin: str, target: Path, *, size_bytes: int, is_right: Callable[[Path], bool], told: Callable[[int], None]
) -> None:
    """Get a file, unless it is there already.

    It grows beside the target, under the same name with `.part` behind, and takes its place in one step when it is
    whole and right. What is there is never written over with something else.

    Args:
        origin: an address of http or https, or a path of this machine.
        target: where to.
        size_bytes: of the whole.
        is_right: whether a file is the one that is meant.
        told: called with the bytes that are there so far.

    Raises:
        ModelError: another file is there already, or what came is not the one that is meant.
        SourceError: it cannot be read from its origin, for now.
        StorageError: it cannot be written.
    """
    if target.exists():
        if is_right(target):
            return
        raise ModelError(
            f"{target} is there already and is another file; move it away, or name another folder with --to"
        )
    part = target.with_name(f"{target.name}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _grow(origin, part, size_bytes, told)
        if not is_right(part):
            part.unlink()
            raise ModelError(
                f"what came from {_shown(origin)} is not the file that is meant: "
                "its sha256 is another; nothing was kept"
            )
        part.replace(target)
    except OSError as error:  # none of the network's, which `_grow` has told apart
        raise StorageError(f"{target} cannot be written: {error.strerror or error}") from error


def _grow(origin: str, part: Path, size_bytes: int, told: Callable[[int], None]) -> None:
    """Append what is missing; what is there and too long is begun anew."""
    there = part.stat().st_size if part.exists() else 0
    there = there if there <= size_bytes else 0
    if there == size_bytes:
        return
    with _opened(origin, there) as (stream, goes_on), part.open("ab" if goes_on else "wb") as file:
        done = there if goes_on else 0
        while chunk := _read(stream, origin):
            done += len(chunk)
            if done > size_bytes:
                raise ModelError(f"{_shown(origin)} gives more than the {size_bytes} bytes of the file that is meant")
            file.write(chunk)
            told(done)
        file.flush()
        os.fsync(file.fileno())
    if done < size_bytes:
        raise SourceError(
            f"{_shown(origin)} broke off after {done} of {size_bytes} bytes; try again, and it goes on from there"
        )


class _opened:  # noqa: N801 - used like a function
    """What an origin's bytes come from, from a place on, and whether it begins there and not at the beginning."""

    def __init__(self, origin: str, there: int) -> None:
        self._origin, self._there = origin, there

    def __enter__(self) -> tuple[_Readable, bool]:
        if "://" not in self._origin:
            return self._local()
        request = urllib.request.Request(self._origin, headers={"User-Agent": "edge-agent"})  # noqa: S310
        if self._there:
            request.add_header("Range", f"bytes={self._there}-")
        try:
            self._stream = urllib.request.build_opener().open(request, timeout=SILENCE_S)
        except urllib.error.HTTPError as error:
            if error.code == _PAST_THE_END:
                raise ModelError(f"{_shown(self._origin)} has another length than the file that is meant") from None
            raise SourceError(f"{_shown(self._origin)} answers {error.code} {error.reason}; {_HELP}") from None
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", error)
            raise SourceError(f"{_shown(self._origin)} cannot be reached: {reason}; {_HELP}") from None
        return self._stream, self._stream.status == _PARTIAL

    def _local(self) -> tuple[_Readable, bool]:
        try:
            self._stream = Path(self._origin).open("rb")  # noqa: SIM115 - closed at the end
            self._stream.seek(self._there)
        except OSError as error:
            raise SourceError(f"{self._origin} cannot be read: {error.strerror}; check --from") from None
        return self._stream, True

    def __exit__(self, *_: object) -> None:
        self._stream.close()


def _read(stream: _Readable, origin: str) -> bytes:
    try:
        return stream.read(_CHUNK_BYTES)
    except http.client.IncompleteRead as error:
        return error.partial
    except (OSError, http.client.HTTPException) as error:
        raise SourceError(f"{_shown(origin)} broke off: {error}; try again, and it goes on from there") from None


def _shown(origin: str) -> str:
    """An address without what may be a password in it."""
    scheme, separator, rest = origin.partition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2].partition('?')[0]}" if separator else origin


_HELP = "check the network and https_proxy, or take it from elsewhere with --from"
