"""Clears retained topics that an earlier life of this device has left behind on a broker."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from edge_agent.edges.clock import Clock
from edge_agent.errors import BrokerError
from edge_agent.records import Heard

_log = logging.getLogger(__name__)

_TURN_S = 1.0
_RETRY_S = 60.0
_QUIET_S = 1.0
"""A broker sends what it has retained at once; silence for so long means that this was all."""

_MOST_S = 10.0
_MOST_TOPICS = 10_000
"""What a broker may send at most before it is left at that; the next start goes on."""

_NAMED = 3


class Receipt(Protocol):
    """What became of a message, see `edges/mqtt/`."""

    @property
    def reason(self) -> str:
        """Why it was refused; empty when it was not."""
        ...


class Line(Protocol):
    """A connection of its own to a broker."""

    @property
    def window(self) -> int:
        """How many messages may be under way."""
        ...

    @property
    def lost(self) -> str | None:
        """Why it is gone; None as long as it is there."""
        ...

    def subscribe(self, topic_filter: str, hear: Callable[[Heard], None], /) -> None:
        """Let `hear` have what matches, or raise BrokerError."""
        ...

    def publish(self, topic: str, payload: bytes, *, retain: bool) -> int:
        """Send a message."""
        ...

    def acknowledged(self) -> Sequence[Receipt]:
        """What became of messages since the last call."""
        ...

    def wait(self, timeout_s: float, /) -> None:
        """Wait for an answer, or for the end of the connection."""
        ...

    def close(self) -> None:
        """Go."""
        ...


@dataclass(frozen=True, kw_only=True)
class Ghosts:
    """Looks once for what is retained on each broker that the agent uses, and clears what it no longer has.

    Attributes:
        topic_filters: what to listen to; nothing that others publish to is among it.
        choose: of the topics that were found, given those that are alive, those to clear.
        alive: the topics of all states of this life so far.
        complete: whether these are all.
        again: lets every state be sent again: one may have come into being just as it was cleared.
        clock: tells how long it has been quiet.
        beat: called every second or so, but not while a connection is made.
    """

    topic_filters: Sequence[str]
    choose: Callable[[Iterable[str], Collection[str]], Sequence[str]]
    alive: Callable[[], set[str]]
    complete: Callable[[set[str]], bool]
    again: Callable[[], None]
    clock: Clock
    beat: Callable[[], None] = field(repr=False)

    def run(self, stop: threading.Event, broker: Callable[[], str | None], connect: Callable[[str], Line]) -> None:
        """Clear once on each broker, until `stop` is set.

        Args:
            stop: ends it.
            broker: which one is in use now; None while none is.
            connect: makes a connection to it, or raises BrokerError.
        """
        done: set[str] = set()
        not_before_s = 0.0
        while not self.clock.wait(stop, _TURN_S):
            self.beat()
            name = broker()
            if name is None or name in done or self.clock.monotonic_s() < not_before_s:
                continue
            if not self.complete(self.alive()):
                continue
            try:
                self.clear(connect(name), stop)
                done.add(name)
            except BrokerError as error:  # a wish, not a need: delivery has a connection of its own
                _log.debug("no look for topics left behind: %s", error)
                not_before_s = self.clock.monotonic_s() + _RETRY_S

    def clear(self, line: Line, stop: threading.Event) -> None:
        """Look at what one broker has retained, clear what is to be cleared, and close the connection.

        Raises:
            BrokerError: the connection is lost.
        """
        try:
            topics = self.choose(self._listen(line, stop), self.alive())
            refusal = self._send_empty(line, topics, stop)
        finally:
            line.close()
        if refusal:
            _log.warning("topics left behind are not cleared, the broker refuses %s: %s", topics[0], refusal)
        elif topics:
            names = ", ".join(topics[:_NAMED]) + ("…" if len(topics) > _NAMED else "")
            _log.info("%d topics that an earlier configuration left behind are cleared: %s", len(topics), names)
        if self.alive().intersection(topics):
            self.again()

    def _listen(self, line: Line, stop: threading.Event) -> list[str]:
        """The topics that the broker has retained something on."""
        found: list[str] = []
        heard_s: list[float] = [self.clock.monotonic_s()]

        def hear(heard: Heard) -> None:  # in another thread, which only adds to these lists
            if heard.retained and heard.payload and len(found) < _MOST_TOPICS:
                found.append(heard.topic)
                heard_s.append(self.clock.monotonic_s())

        for topic_filter in self.topic_filters:
            self.beat()
            try:
                line.subscribe(topic_filter, hear)
            except BrokerError as error:
                if line.lost:
                    raise
                _log.warning("topics left behind are not looked for: %s", error)
                return []
        began_s = self.clock.monotonic_s()
        while True:
            now_s = self.clock.monotonic_s()
            if now_s - max(heard_s[-1], began_s) >= _QUIET_S or now_s - began_s >= _MOST_S:
                return found
            if self.clock.wait(stop, _QUIET_S / 4):
                return []

    def _send_empty(self, line: Line, topics: Sequence[str], stop: threading.Event) -> str:
        """Clear topics, a window of them at a time; gives why one was refused, and then leaves it at that."""
        for start in range(0, len(topics), line.window):
            some = topics[start : start + line.window]
            for topic in some:
                line.publish(topic, b"", retain=True)
            answered = 0
            until_s = self.clock.monotonic_s() + _MOST_S
            while answered < len(some):
                self.beat()
                line.wait(_TURN_S)
                for answer in line.acknowledged():
                    if answer.reason:
                        return answer.reason
                    answered += 1
                if answered < len(some) and (line.lost or stop.is_set() or self.clock.monotonic_s() > until_s):
                    raise BrokerError(line.lost or "told to stop, or no acknowledgement in time")
        return ""
