"""Who is given up first where there is no room: updates, then whole objects, and last an `end` that stands alone.

An object is its `new` and its `end`. They go together: an `end` whose `new` nobody will ever get tells nothing, and a
`new` without its `end` stays open for ever where it arrives. So an `end` whose `new` has arrived already is kept to the
last, and an object that is given up while it is still there is remembered until its `end` comes, which goes too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from edge_agent.edges.outbox.rows import Entry
from edge_agent.records import Message

_MOST_ORPHANS = 10_000
"""Far more than can be in view of all cameras at once."""


class Orphans:
    """Objects whose `new` was given up before their `end` came.

    They need not outlive the process: no `end` comes of what an earlier run saw.
    """

    def __init__(self) -> None:
        self._subjects: dict[str, None] = {}

    def add(self, subjects: Iterable[str]) -> None:
        """Remember objects, of too many the newest."""
        self._subjects |= dict.fromkeys(subjects)
        while len(self._subjects) > _MOST_ORPHANS:
            del self._subjects[next(iter(self._subjects))]

    def among(self, entries: Iterable[Entry]) -> set[int]:
        """The ids of those entries that are the `end` of one of them."""
        if not self._subjects:
            return set()
        return {
            entry.id for entry in entries if entry.message.kind == "end" and entry.message.subject in self._subjects
        }

    def forget(self, entries: Iterable[Entry]) -> None:
        """Their `end` has come and gone."""
        for entry in entries:
            self._subjects.pop(entry.message.subject, None)


def victims(entries: Sequence[Entry], count: int) -> tuple[set[int], set[str]]:
    """Whom to give up of entries in the order in which they were put.

    Args:
        entries: the oldest first.
        count: how many have to go at least; an object's `end` may be one more.

    Returns:
        The ids of those that go, and the objects whose `end` is still to come and has to go too.
    """
    gone: set[int] = set()
    orphans: set[str] = set()
    ends = {entry.message.subject: entry.id for entry in entries if entry.message.kind == "end"}
    for entry in sorted(entries, key=lambda entry: _rank(entry.message)):
        if len(gone) >= count:
            break
        gone.add(entry.id)
        if entry.message.kind == "new" and (subject := entry.message.subject):
            if subject in ends:
                gone.add(ends[subject])
            else:
                orphans.add(subject)
    return gone, orphans


def _rank(message: Message) -> int:
    """Who goes first; what belongs to no object goes with the objects, by its age."""
    if message.kind == "update":
        return 0
    return 1 if message.kind == "new" or not message.subject else 2
