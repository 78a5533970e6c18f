"""Which commands were done lately: one that comes again is answered again, and not done again."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass

from edge_agent.records import Heard, Message

MOST = 256
KEPT_S = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A command that was done, or could not be.

    Attributes:
        digest: of what it said, and where.
        at_s: when it came.
        answer: what was said of it; None where that is still to come.
    """

    digest: bytes
    at_s: float
    answer: Message | None


class Memory:
    """Commands by their ids, the last 256 of the last five minutes."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, Known] = OrderedDict()

    def find(self, command_id: str, at_s: float) -> Known | None:
        """The command that had this id, if it is remembered at this moment."""
        while self._known and at_s - next(iter(self._known.values())).at_s > KEPT_S:
            self._known.popitem(last=False)
        return self._known.get(command_id)

    def add(self, command_id: str, known: Known) -> None:
        """Remember one."""
        self._known[command_id] = known
        while len(self._known) > MOST:
            self._known.popitem(last=False)


def digest_of(heard: Heard) -> bytes:
    """Tells one command from another."""
    return hashlib.sha256(heard.topic.encode() + b"\0" + heard.payload).digest()
