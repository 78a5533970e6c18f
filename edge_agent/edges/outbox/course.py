"""The order in which events leave over one connection: each camera's own, and the cameras in turns."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Container, Sequence

from edge_agent.edges.outbox.rows import Entry

_INDEX_ROWS = 5000
_FETCH_ROWS = 20


class Course:
    """What is next, camera by camera: within a camera the oldest first, and no camera waits for another's backlog.

    Of what waits only ids are kept: a file of 64 MiB that is full holds a hundred thousand.

    Args:
        index: the ids and topics of the oldest events, so many at most, above an id.
        fetch: those of these events that still wait, oldest first.
        stale: whether the file was changed by somebody else, so that this no longer is what waits.
        skip: ids of events that are under way already.
    """

    def __init__(
        self,
        index: Callable[[int, int], Sequence[tuple[int, str]]],
        fetch: Callable[[Sequence[int]], Sequence[Entry]],
        stale: Callable[[], bool],
        skip: Container[int] = (),
    ) -> None:
        self._index = index
        self._fetch = fetch
        self._stale = stale
        self._skip = skip
        self._newest_id = 0
        self._ids: dict[str, deque[int]] = {}
        self._ready: dict[str, deque[Entry]] = {}

    @property
    def stale(self) -> bool:
        """Whether another course must be begun."""
        return self._stale()

    def look(self) -> None:
        """Note what was put since the last look.

        Raises:
            StorageError: the file cannot be read.
        """
        while found := self._index(_INDEX_ROWS, self._newest_id):
            for entry_id, topic in found:
                if entry_id not in self._skip:
                    self._ids.setdefault(topic, deque()).append(entry_id)
            self._newest_id = found[-1][0]

    def heads(self) -> list[Entry]:
        """The next event of each camera; first that of the camera whose last turn is longest ago.

        Raises:
            StorageError: the file cannot be read.
        """
        return [entry for topic in list(self._ids) if (entry := self._head(topic))]

    def passed(self, entry: Entry) -> None:
        """It is under way: its camera's next one is due, after the other cameras' next ones."""
        topic = entry.message.topic
        self._ready[topic].popleft()
        self._ids[topic] = self._ids.pop(topic)

    def _head(self, topic: str) -> Entry | None:
        ready, ids = self._ready.setdefault(topic, deque()), self._ids[topic]
        while not ready and ids:  # some may have been given up meanwhile
            ready.extend(self._fetch([ids.popleft() for _ in range(min(len(ids), _FETCH_ROWS))]))
        if ready:
            return ready[0]
        del self._ids[topic], self._ready[topic]
        return None
