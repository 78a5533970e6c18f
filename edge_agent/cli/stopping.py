"""Commands that keep files while they work remove them when they are told to stop, too."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType


class Terminated(KeyboardInterrupt):
    """SIGTERM came: what is under way ends as by Ctrl-C."""


@contextlib.contextmanager
def tidily() -> Iterator[None]:
    """Let SIGTERM end what is under way like Ctrl-C, so that what it keeps meanwhile is removed; also a decorator."""
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _terminate(_signal_number: int, _frame: FrameType | None) -> None:
    raise Terminated
