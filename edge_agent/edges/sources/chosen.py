"""Which decoder a camera is to have, which it has, and what one connection has learnt for the next."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

AUTO = "auto"
"""Whatever is cheapest on this camera's own pictures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DecoderStatus:
    """Which decoder a camera's pictures go through.

    Attributes:
        requested: what its settings ask for.
        active: `software`, what FFmpeg calls the hardware, or nothing where what is asked for does not work.
        why: in words and numbers of our own, so that it may be published.
        failures: how often hardware that had decoded did so no longer, since the start.
    """

    requested: str
    active: str
    why: str
    failures: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a comparison found out.

    Attributes:
        stream: how the stream looked to which it applies.
        best: the decoder to take.
        why: it is the best.
    """

    stream: Hashable
    best: str
    why: str


@dataclass(slots=True, kw_only=True, eq=False)
class DecoderNotes:
    """What is known of one camera's decoders, over all its connections.

    Its capture's thread writes, others read the status, which is replaced as a whole.

    Attributes:
        requested: `auto`, `software` or what FFmpeg calls the hardware.
        status: which decoder there is; None before the first connection, and for a source that has no choice.
        found: by the last comparison, until the hardware that it chose fails.
        within: the hardware whose code a thread is in; whoever finds it set later knows that a thread never came back.
        failures: how often hardware failed.
        holder: whose notes they are, the last connection's; a thread that hung and comes back is to write nothing.
    """

    requested: str = AUTO
    status: DecoderStatus | None = None
    found: Found | None = None
    within: str = ""
    failures: int = 0
    holder: object = None

    def say(self, active: str, why: str) -> None:
        """Note which decoder there is."""
        self.status = DecoderStatus(requested=self.requested, active=active, why=why, failures=self.failures)

    def failed(self) -> None:
        """Count a failure, and trust what was found no more."""
        self.failures += 1
        self.found = None

    @contextmanager
    def inside(self, hardware: str) -> Iterator[None]:
        """Note that a thread is in the code of a driver, which may keep it for ever."""
        self.within = hardware
        try:
            yield
        finally:
            self.within = ""
