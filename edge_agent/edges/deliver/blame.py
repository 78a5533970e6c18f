"""Who is to blame when connections break: a message, or the broker and what lies before it.

Some brokers hang up on a message that is too large for them, and say neither which nor why. Others hang up on anything,
or a proxy before them does. What tells the two apart is whether another message gets through where this one does not:

1. What was at the head when a connection broke is suspected. It is judged at the third time in a row.
2. If another one has got through meanwhile, on the same broker, it is the message's own fault.
3. If none has, it is left out and the next one is tried. If that gets through, the suspect is tried once more, and at
   the next time that a connection breaks on it, it is its own fault. If the connection breaks on the other one, too, it
   is not: all events wait, longer each time.

Only an event tells of events: a broker may take every state, and hang up on every event since a right is missing.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from edge_agent.edges.clock import Clock
from edge_agent.edges.deliver.flight import Key, Sent

_STRIKES = 3
_PEACE = 1000
"""After so many confirmed messages without a break nothing is suspected any more: it may not even be there."""

_FIRST_WAIT_S = 60.0
_LONGEST_WAIT_S = 900.0


class Verdict(NamedTuple):
    """What follows from a connection that broke.

    Attributes:
        guilty: what must not be tried again; None for nothing.
        words: what is to be said; empty for nothing.
    """

    guilty: Key | None = None
    words: str = ""


class Blame:
    """Remembers on what connections broke, and what got through meanwhile.

    Args:
        clock: tells how long to wait.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._broker = ""
        self._suspect: Sent | None = None
        self._strikes = 0
        self._another_passed = False
        self._passed_since = 0
        self._left_out_until_s = -math.inf
        self._events_from_s = -math.inf
        self._setbacks = 0

    @property
    def left_out(self) -> Sent | None:
        """What is not to be sent until another message has got through, or none has come for a while."""
        return self._suspect if self._clock.monotonic_s() < self._left_out_until_s else None

    @property
    def suspects(self) -> bool:
        """Whether messages are to be sent one by one, so that it is seen on which one a connection breaks."""
        return self._suspect is not None

    @property
    def events_wait(self) -> bool:
        """Whether no event is to be sent for a while."""
        return self._clock.monotonic_s() < self._events_from_s

    def begin(self, broker: str) -> None:
        """There is a new connection; of another broker nothing is known."""
        if broker != self._broker:
            self._broker = broker
            self._forget()
            self._settle_down()

    def passed(self, key: Key) -> None:
        """The broker has confirmed a message."""
        if isinstance(key, int):
            self._settle_down()
        if self._suspect is None:
            return
        self._passed_since += 1
        if key == self._suspect.key or self._passed_since >= _PEACE:
            self._forget()
        elif _tells_of(key, self._suspect.key):
            self._another_passed = True
            self._left_out_until_s = -math.inf

    def refused(self, key: Key) -> None:
        """The broker has refused a message in words, so it is none on which it hangs up."""
        if self._suspect is not None and key == self._suspect.key:
            self._forget()

    def broke(self, head: Sent, overtaken_by: Key | None = None) -> Verdict:
        """A connection broke, and this was the oldest message under way.

        Args:
            head: the message.
            overtaken_by: one that was sent after it and confirmed before; None for none.
        """
        left_out = self.left_out
        if left_out is not None and _tells_of(head.key, left_out.key):
            self._forget()  # it breaks without it, too
            if isinstance(left_out.key, int):
                return self._let_wait()
            if not isinstance(head.key, int):
                return Verdict()
        if self._suspect is None or head.key != self._suspect.key:
            self._forget()
        self._suspect, self._passed_since = head, 0
        self._strikes += 1
        self._another_passed |= overtaken_by is not None and _tells_of(overtaken_by, head.key)
        is_known = self._setbacks > 0 and isinstance(head.key, int)
        if self._strikes < _STRIKES and not is_known:
            return Verdict()
        if self._another_passed:
            self._forget()
            return Verdict(guilty=head.key)
        wait_s = self._next_wait_s() if isinstance(head.key, int) else _FIRST_WAIT_S
        self._left_out_until_s = self._clock.monotonic_s() + wait_s
        if not isinstance(head.key, int):
            return Verdict()
        return Verdict(
            words=f"connections break on an event; another one is tried first, or in {wait_s:.0f} s the same"
        )

    def _let_wait(self) -> Verdict:
        wait_s = self._next_wait_s()
        self._events_from_s = self._clock.monotonic_s() + wait_s
        return Verdict(words=f"connections break on one event like on another; all of them wait for {wait_s:.0f} s")

    def _next_wait_s(self) -> float:
        """How long to wait now; twice as long the next time, until an event gets through."""
        self._setbacks += 1
        return min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2.0 ** min(self._setbacks - 1, 32))

    def _settle_down(self) -> None:
        self._setbacks, self._events_from_s = 0, -math.inf

    def _forget(self) -> None:
        self._suspect, self._strikes, self._another_passed = None, 0, False
        self._left_out_until_s = -math.inf


def _tells_of(key: Key, other: Key) -> bool:
    """Whether it says something about one message how the broker takes another."""
    return isinstance(key, int) or not isinstance(other, int)
