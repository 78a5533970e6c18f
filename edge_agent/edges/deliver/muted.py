"""States that the broker does not take are left out for an hour, and that is said in one line for all of them."""

from __future__ import annotations

import math
from collections.abc import Iterator

from edge_agent.edges.clock import Clock

MUTE_S = 3600.0
_NAMED = 3


class Muted:
    """Topics of states that are not sent for a while.

    Args:
        clock: tells when it is over.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._until_s: dict[str, float] = {}
        self._unsaid: dict[str, list[str]] = {}

    def add(self, topic: str, reason: str) -> None:
        """Send no state there from now on."""
        self._until_s[topic] = self._clock.monotonic_s() + MUTE_S
        self._unsaid.setdefault(reason, []).append(topic)

    def __contains__(self, topic: str) -> bool:
        """Whether no state is to be sent there."""
        return self._clock.monotonic_s() < self._until_s.get(topic, -math.inf)

    def take_lines(self) -> Iterator[str]:
        """What has not been said yet: a line for each reason."""
        unsaid, self._unsaid = self._unsaid, {}
        for reason, topics in unsaid.items():
            more = f" and {len(topics) - _NAMED} more" if len(topics) > _NAMED else ""
            yield f"{', '.join(topics[:_NAMED])}{more}: not sent for {MUTE_S / 60:.0f} min: {reason}"
