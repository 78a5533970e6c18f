"""The newest value of each state, and which of them a connection has not been told yet."""

from __future__ import annotations

import itertools

from edge_agent.records import Message


class States:
    """States by their topics. Who shares it, locks it."""

    def __init__(self) -> None:
        self._newest: dict[str, Message] = {}
        self._dirty: dict[str, None] = {}

    def put(self, state: Message) -> bool:
        """Replace the value before; says whether it differs."""
        known = self._newest.get(state.topic)
        self._newest[state.topic] = state
        changed = known is None or known.payload != state.payload
        if changed:
            self._dirty[state.topic] = None
        return changed

    def all(self) -> tuple[Message, ...]:
        """The newest value of every state."""
        return tuple(self._newest.values())

    def take(self, limit: int | None) -> tuple[Message, ...]:
        """Take those that changed since they were last taken, at most `limit`."""
        topics = list(itertools.islice(self._dirty, limit))
        for topic in topics:
            del self._dirty[topic]
        return tuple(self._newest[topic] for topic in topics)

    def redirty(self) -> None:
        """Let all count as changed."""
        self._dirty = dict.fromkeys(self._newest)
