"""Memory of pictures goes back to the system when they are done with."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

PICTURES, PICTURE_BYTES = 64, 1 << 20

PROGRAM = f"""
import sys
import numpy as np
from edge_agent.edges.allocator import give_back_pictures
from edge_agent.edges.host import memory_rss_bytes

if sys.argv[1] == "told":
    assert give_back_pictures()
np.ones(8 * {PICTURE_BYTES}, np.uint8)  # the first that goes back makes the allocator keep all that are smaller
before_bytes = memory_rss_bytes()
pictures, others = [], []
for _ in range({PICTURES}):
    pictures.append(np.ones({PICTURE_BYTES}, np.uint8))
    others.append(np.ones(20_000, np.uint8))  # lies behind it, so that the heap cannot shrink
del pictures
print(memory_rss_bytes() - before_bytes)
"""


def held_bytes(how: str) -> int:
    """What a process still holds of its pictures after it has let them go."""
    done = subprocess.run([sys.executable, "-c", PROGRAM, how], capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="this C library has no heaps a thread")
def test_pictures_go_back_to_the_system_at_once() -> None:
    assert held_bytes("not told") > PICTURES * PICTURE_BYTES / 2
    assert held_bytes("told") < PICTURES * PICTURE_BYTES / 16
