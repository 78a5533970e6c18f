"""Says to Home Assistant what there is: once the broker has told what was said before, and whenever it has started."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from edge_agent.edges.clock import Clock
from edge_agent.edges.homeassistant.places import Places
from edge_agent.errors import StorageError
from edge_agent.records import Heard, Message

_log = logging.getLogger(__name__)

LISTEN_S = 3.0
"""For so long on the first connection the broker may tell what was said before. Home Assistant skips parts of a message
that follows another at once, so what is gone is best in the first; told later, it follows after all."""

_BORN = b"online"
_MOST_HEARD = 1000
_MOST_BYTES = 1 << 20

Parts = Mapping[str, str]
"""What a message announced: the platform of each part."""


class Box(Protocol):
    """The outbox."""

    def put(self, messages: Sequence[Message], /) -> None:
        """Take states."""
        ...

    def redirty(self) -> None:
        """Let every state be sent again."""
        ...


class Announcer:
    """Puts the messages for Home Assistant into the outbox at the right moments.

    The two `hear_…` are called by the connection's thread and take note; another calls `step` every second or so.

    Args:
        write: makes the messages, given by topic what was announced there earlier.
        read: what an earlier message announced; None when it is from somebody else.
        places: where it is remembered which topics hold a message.
        outbox: where messages go.
        clock: tells the time.
        jitter_s: draws how long to wait after Home Assistant has started, so that not all agents speak at once.
        delivered_s: for how long a connection must hold before what was sent at its beginning has surely arrived.
    """

    def __init__(  # noqa: PLR0913  (what it says, what it knows, and when)
        self,
        *,
        write: Callable[[Mapping[str, Parts]], Sequence[Message]],
        read: Callable[[bytes], Parts | None],
        places: Places,
        outbox: Box,
        clock: Clock,
        jitter_s: Callable[[], float],
        delivered_s: float,
    ) -> None:
        self._write = write
        self._read = read
        self._places = places
        self._outbox = outbox
        self._clock = clock
        self._jitter_s = jitter_s
        self._delivered_s = delivered_s
        self._lock = threading.Lock()
        self._earlier: deque[Heard] = deque(maxlen=_MOST_HEARD)
        self._due_s: float | None = None
        self._gone: dict[str, dict[str, str]] = {}
        self._own = frozenset(message.topic for message in write({}))
        self._stale = places.read() - self._own
        self._connected_s: float | None = None
        self._said_s: float | None = None
        self._forgotten = False

    def hear_birth(self, heard: Heard) -> None:
        """Home Assistant says that it is there. What the broker kept of that is old: who connects says all anyway."""
        if heard.retained or heard.payload != _BORN:
            return
        with self._lock:
            if self._due_s is None:
                self._due_s = self._clock.monotonic_s() + self._jitter_s()

    def hear_earlier(self, heard: Heard) -> None:
        """The broker tells what was announced before; what comes just now is our own."""
        if heard.retained and len(heard.payload) <= _MOST_BYTES:
            with self._lock:
                self._earlier.append(heard)

    def step(self, *, connected: bool) -> None:
        """Say what is due."""
        now_s = self._clock.monotonic_s()
        if not connected:
            self._connected_s = None
        elif self._connected_s is None:
            self._connected_s = now_s
        news = self._learn()
        if self._said_s is None:
            if self._connected_s is not None and now_s - self._connected_s >= LISTEN_S:
                self._say(now_s)
        elif news:
            self._say(now_s)
        elif self._take_birth(now_s):
            self._say(now_s)
            self._outbox.redirty()
        self._forget_cleared(now_s)

    def _take_birth(self, now_s: float) -> bool:
        with self._lock:
            is_due = self._due_s is not None and now_s >= self._due_s
            if is_due:
                self._due_s = None
            return is_due

    def _learn(self) -> bool:
        """Note what is gone of what the broker has told; true when that is more than was known."""
        with self._lock:
            told = list(self._earlier)
            self._earlier.clear()
        before = (frozenset(self._stale), {topic: dict(parts) for topic, parts in self._gone.items()})
        for heard in told:
            parts = self._read(heard.payload) if heard.payload else None
            if parts is None:
                continue
            if heard.topic in self._own:
                self._gone.setdefault(heard.topic, {}).update(parts)
            else:
                self._stale |= {heard.topic}
        return before != (frozenset(self._stale), self._gone)

    def _say(self, now_s: float) -> None:
        self._remember(self._own | self._stale)  # before anything is sent, so that a power cut leaves nothing unknown
        cleared = [Message(topic=topic, payload=b"", kind="state") for topic in sorted(self._stale)]
        if self._said_s is None and cleared:
            _log.info("Home Assistant: %s", ", ".join(f"clearing {one.topic}" for one in cleared))
        self._outbox.put([*cleared, *self._write(self._gone)])
        self._said_s, self._forgotten = now_s, False

    def _forget_cleared(self, now_s: float) -> None:
        """What was cleared long enough ago, on a connection that has held since, needs no memory any more."""
        if self._forgotten or self._said_s is None or self._connected_s is None:
            return
        if now_s - max(self._said_s, self._connected_s) >= self._delivered_s:
            self._forgotten = True
            self._remember(self._own)

    def _remember(self, topics: frozenset[str]) -> None:
        try:
            self._places.write(topics)
        except StorageError as error:  # it is said all the same; what is gone later must be purged by hand then
            if self._said_s is None:
                _log.warning("%s", error)
