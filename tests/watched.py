"""The program with a note of every frame that a camera gave: `python watched.py NOTES COMMAND …`.

A note is a line: the camera, the monotonic clock in seconds, width and height.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TextIO

from edge_agent.app import agent
from edge_agent.cli.main import main
from edge_agent.edges.sources.supervised import Capture, Slot
from edge_agent.records import Frame


class NotingSlot:
    """A slot that notes what is left in it."""

    def __init__(self, slot: Slot, camera: str, notes: TextIO) -> None:
        self._slot = slot
        self._camera = camera
        self._notes = notes

    @property
    def dropped(self) -> int:
        return self._slot.dropped

    def put(self, value: Frame, patience_s: float, /) -> None:
        self._notes.write(f"{self._camera} {time.monotonic():.3f} {value.width} {value.height}\n")
        self._slot.put(value, patience_s)

    def close(self) -> None:
        self._slot.close()


def watch(notes: TextIO) -> None:
    """Make every capture note its frames."""

    class NotingCapture(Capture):
        def __post_init__(self) -> None:
            super().__post_init__()
            self.slot = NotingSlot(self.slot, self.name, notes)

    agent.Capture = NotingCapture  # type: ignore[misc]


if __name__ == "__main__":
    with Path(sys.argv[1]).open("w", buffering=1) as file:
        watch(file)
        sys.exit(main(sys.argv[2:]))
