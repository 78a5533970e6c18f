"""What is under way on one connection, at what pace, and what has been done so far."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from edge_agent.edges.clock import Clock
from edge_agent.edges.deliver.ends import Course, Line, Subscription

_BURST_S = 0.1
"""How much of the pace may be made up for after a rest, for turns have a length of their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryCounters:
    """What delivery has done since the start.

    Attributes:
        published: messages sent, events, states and answers, repeats included.
        acked: of those, confirmed by the broker.
        refused: messages that the broker will never take: events went to the dead, states are left out for a while,
            answers are lost.
        late: events sent to their late topic.
        connects: connections that the broker accepted.
        failures: connections that could not be made, or were lost.
    """

    published: int = 0
    acked: int = 0
    refused: int = 0
    late: int = 0
    connects: int = 0
    failures: int = 0


@dataclass(frozen=True, slots=True)
class AnswerId:
    """Which answer; a number alone is an event."""

    id: int


Key = int | str | AnswerId


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A message under way; `key` is an event's id, a state's topic, or which answer it is."""

    key: Key
    topic: str
    at_s: float


@dataclass(slots=True, kw_only=True)
class Flight:
    """What is under way on one connection, in the order it was sent, and what has arrived.

    `without` is what is left out of it, `overtaker` what was last confirmed although the head, sent before, was not.
    """

    line: Line
    course: Course
    sent: dict[int, Sent] = field(default_factory=dict)
    newest_answer: int = 0
    unheard: list[Subscription] = field(default_factory=list)
    asked_s: float = -math.inf
    arrived: list[int] = field(default_factory=list)
    arrived_s: float = 0.0
    answered: bool = False
    rest_s: float = math.inf
    without: Sent | None = None
    overtaker: Key | None = None

    @property
    def head(self) -> Sent | None:
        """The oldest message under way."""
        return next(iter(self.sent.values()), None)


class Pace:
    """So many a second, and after a rest a tenth of that at once.

    Args:
        per_s: how many.
        clock: tells the time.
    """

    def __init__(self, per_s: float, clock: Clock) -> None:
        self._every_s = 1.0 / per_s
        self._saved_s = max(_BURST_S, self._every_s)
        self._clock = clock
        self._due_s = -math.inf

    @property
    def wait_s(self) -> float:
        """How long the next one has to wait; 0 when it may go now."""
        return max(0.0, self._due_s - self._clock.monotonic_s())

    def passed(self) -> None:
        """One has gone."""
        self._due_s = max(self._due_s, self._clock.monotonic_s() - self._saved_s + self._every_s) + self._every_s
