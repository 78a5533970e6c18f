"""The C library's allocator: pictures that are done with go back to the system at once."""

from __future__ import annotations

import ctypes

# Source: glibc, malloc.h.
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8

_PICTURE_BYTES = 256 << 10
_ARENAS = 2


def give_back_pictures() -> bool:
    """Have what is as large as a picture's plane come from the system and go back to it, now and for good.

    Otherwise each thread has a heap of its own, which keeps the pictures that went through it once for the next ones,
    and two threads a camera that is asleep wait for these all day. To be called before threads begin.

    Returns:
        Whether this C library can be told so: glibc can, and others have no heaps a thread.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, _PICTURE_BYTES) and mallopt(_M_ARENA_MAX, _ARENAS))
