"""The outbox itself: events on the disk, or in memory while the disk does not take them; states in memory."""

from __future__ import annotations

import functools
import itertools
import logging
import threading
from collections import deque
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from pydantic import Field

from edge_agent.edges.clock import Clock
from edge_agent.edges.outbox.answers import Answers
from edge_agent.edges.outbox.course import Course
from edge_agent.edges.outbox.disk import Disk
from edge_agent.edges.outbox.file import CHUNK_ROWS, Age, File, in_words
from edge_agent.edges.outbox.lock import Lock
from edge_agent.edges.outbox.priorities import Orphans, victims
from edge_agent.edges.outbox.rows import EPOCH_IDS, Entry
from edge_agent.edges.outbox.states import States
from edge_agent.edges.outbox.stats import OutboxStats
from edge_agent.edges.outbox.tally import Tally
from edge_agent.errors import StorageError
from edge_agent.records import Message
from edge_agent.settings import Bytes, Seconds, Section

log = logging.getLogger(__name__)

_MEMORY_EVENTS = 1000
_MINUTE_S = 60.0


class OutboxSettings(Section):
    """Where events wait for the broker, and how many may."""

    path: Path = Path("/var/lib/edge-agent/outbox.db")
    """The file; its folder must be writable."""

    max_bytes: Annotated[Bytes, Field(ge=1 << 20)] = 64 << 20
    """Bound of the file; when it is full, `update` events go first, then whole objects, the oldest first, counted."""

    max_age: Annotated[Seconds, Field(gt=0)] = 7 * 86400.0
    """Events older than this are given up, counted."""


class Outbox:
    """Where events wait until the broker has them, and states until the next value replaces them.

    A state has only a newest value and stays in memory, an answer to a command waits there for a short while; an event
    has a history and is on the disk when `put` returns.
    Any thread may call it.

    Args:
        settings: which file, and its bounds.
        clock: tells when something was put and how old it is.

    Raises:
        StorageError: the file can be neither opened nor begun, or another agent uses it; damage is no reason, a damaged
            file is set aside.
    """

    def __init__(self, settings: OutboxSettings, clock: Clock) -> None:
        self._path = settings.path
        self._max_age_s = settings.max_age
        self._clock = clock
        self._disk_lock = threading.Lock()  # for the file; taken before the other one, and held while the disk works
        self._changed = threading.Condition()  # for what is in memory; never held for long
        self._news = False
        self._states = States()
        self._answers = Answers(clock)
        self._memory: deque[Entry] = deque()
        self._acked: set[int] = set()
        self._doomed: dict[int, str] = {}  # to be set aside, and why
        self._orphans = Orphans()
        self._under_way: set[int] = set()  # what a connection has taken: it arrives, whatever becomes of its row
        self._tally = Tally(settings.path, clock)
        self._lost_in_memory = 0
        self._put_total = 0
        self._acked_total = 0
        self._tidied_s = clock.monotonic_s()
        self._epoch = 0
        self._ids = itertools.count()
        self._tried_id = 0  # all events up to it are on the disk, or the disk did not take them
        self._committing = False
        self._changed_outside = False
        self._disk = Disk(
            settings.path,
            settings.max_bytes,
            orphans=self._orphans,
            under_way=self._under_way,
            begin=self._begin,
            tally=self._tally,
            clock=clock,
        )
        self._lock = self._locked()
        try:
            self._disk.make_way(File.stats)
        except BaseException:
            self._lock.release()
            raise
        self._disk.hold_back()

    def put(self, messages: Sequence[Message]) -> None:
        """Take messages: the events of one call are committed together (200 at most), a state replaces the one before.

        Calls that come while the disk works are committed together in the next transaction. When the disk does not
        take the events they wait in memory, bounded and counted; that raises nothing.
        """
        with self._changed:
            fresh = [self._states.put(message) for message in messages if message.kind == "state"]
            answers = [message for message in messages if message.kind == "answer"]
            for answer in answers:
                self._answers.put(answer)
            entries = [self._entry(message) for message in messages if message.kind not in {"state", "answer"}]
            self._memory.extend(entries)
            self._put_total += len(entries)
        if entries:
            self._commit(entries[-1].id)
        if entries or answers or any(fresh):
            with self._changed:
                self._news = True
                self._changed.notify_all()

    def peek(self, limit: int, after: int = 0) -> tuple[Entry, ...]:
        """The oldest events with an id above `after`, oldest first, whether on the disk or still in memory.

        Raises:
            StorageError: the file cannot be read.
        """
        with self._disk_lock:
            self._settle()
            on_disk = self._whole_rows(lambda file: file.select(limit + len(self._unseen), after))
            waiting = [*on_disk, *(entry for entry in self._in_memory() if entry.id > after)]
            return tuple(self._dated(entry) for entry in waiting if entry.id not in self._unseen)[:limit]

    def course(self, skip: Container[int] = ()) -> Course:
        """The order in which events leave over a new connection, or over one on which those of `skip` are under way."""
        with self._disk_lock:
            self._changed_outside = False
            self._under_way.intersection_update([one for one in self._under_way if one in skip])
        return Course(self._index, self._fetch, lambda: self._changed_outside, skip)

    def ack(self, ids: Iterable[int]) -> None:
        """Forget events that the broker has; what the disk will not delete now is deleted with the next ones."""
        with self._disk_lock:
            acked = set(ids)
            self._acked_total += len(acked)
            self._under_way -= acked
            self._acked |= acked - self._forget_in_memory(acked)
            self._delete_acked()

    def bury(self, entry_id: int, reason: str) -> None:
        """Set an event aside that the broker will never take.

        While the disk takes nothing it waits, unseen, to be set aside.

        Raises:
            StorageError: the disk does not let it be moved; it is unseen, and moved with the next one.
        """
        with self._disk_lock:
            self._doomed[entry_id] = reason
            self._under_way.discard(entry_id)
            self._flush()
            if not self._waits_in_memory(entry_id):
                self._bury_doomed()

    def states(self) -> tuple[Message, ...]:
        """The newest value of every state."""
        with self._changed:
            return self._states.all()

    def dirty_states(self, limit: int | None = None) -> tuple[Message, ...]:
        """Take the states that changed since they were last taken, at most `limit`."""
        with self._changed:
            return self._states.take(limit)

    def answers(self, limit: int, after: int = 0) -> tuple[Entry, ...]:
        """The oldest answers with an id above `after`; their ids are their own, and not those of events."""
        with self._changed:
            return self._answers.peek(limit, after)

    def forget_answer(self, entry_id: int, *, lost: bool = False) -> None:
        """The broker has an answer, or it is `lost`: the broker will never take it."""
        with self._changed:
            self._answers.forget(entry_id, lost=lost)

    def redirty(self) -> None:
        """Every state counts as changed: a new connection knows nothing, or somebody wants to hear them again."""
        with self._changed:
            self._states.redirty()
            self._news = True
            self._changed.notify_all()

    def wait(self, timeout_s: float) -> bool:
        """Wait until something was put since the last wait; false when nothing was."""
        with self._changed:
            self._changed.wait_for(lambda: self._news, timeout_s)
            news, self._news = self._news, False
            return news

    def stats(self) -> OutboxStats:
        """What waits, and what became of the rest.

        Raises:
            StorageError: the file cannot be read.
        """
        with self._disk_lock:
            file = self._disk.do(File.stats)
            memory = self._in_memory()
            oldest = file.oldest_utc_ns
            if oldest is None and memory:
                oldest = memory[0].message.utc_ns
            return OutboxStats(
                waiting=file.waiting + len(memory) - len(self._acked),
                bytes=file.bytes,
                oldest_utc_ns=oldest,
                given_up=file.given_up + self._lost_in_memory,
                dead=file.dead,
                put_total=self._put_total,
                acked_total=self._acked_total,
                in_memory=len(memory),
                answers_lost=self._answers.lost,
            )

    def close(self) -> None:
        """Write what waits in memory, if the disk takes it, and close the file."""
        with self._disk_lock:
            self._flush()
            self._delete_acked()
            with self._tally.trouble("events wait to be set aside"):
                self._bury_doomed()
            if self._memory:
                log.warning("outbox %s: %d events in memory are lost", self._path, len(self._memory))
            self._disk.close()
            self._lock.release()

    def _locked(self) -> Lock:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            return Lock(self._path)
        except OSError as error:
            raise StorageError(f"outbox {self._path}: {in_words(error)}") from error

    def _entry(self, message: Message) -> Entry:
        return Entry(
            id=self._epoch * EPOCH_IDS + next(self._ids),
            message=message,
            put_s=self._clock.monotonic_s(),
            put_utc_ns=self._clock.utc_ns(),
            put_synced=self._clock.utc_synced(),
        )

    def _dated(self, entry: Entry) -> Entry:
        """Without `put_s` when it comes from the monotonic clock of an earlier run, which means nothing now."""
        return entry if entry.id // EPOCH_IDS == self._epoch else replace(entry, put_s=None)

    def _index(self, limit: int, after: int) -> list[tuple[int, str]]:
        """The ids and topics of the oldest events above an id."""
        with self._disk_lock:
            self._settle()
            found = self._disk.do(lambda file: file.index(limit + len(self._unseen), after))
            found += [(entry.id, entry.message.topic) for entry in self._in_memory() if entry.id > after]
            return [(entry_id, topic) for entry_id, topic in found if entry_id not in self._unseen][:limit]

    def _fetch(self, ids: Sequence[int]) -> list[Entry]:
        """Those of these events that still wait, oldest first."""
        with self._disk_lock:
            on_disk = self._whole_rows(lambda file: file.fetch(ids))
            wanted = set(ids) - self._unseen
            entries = [entry for entry in (*on_disk, *self._in_memory()) if entry.id in wanted]
            self._under_way.update(entry.id for entry in entries)
            return list(map(self._dated, entries))

    @property
    def _unseen(self) -> set[int]:
        """What lies in the file and waits no more, for the disk did not let it be deleted or moved."""
        return self._acked | self._doomed.keys()

    def _settle(self) -> None:
        """What is due before anybody looks."""
        self._flush()
        with self._tally.trouble("events wait to be set aside"):
            self._bury_doomed()
        self._tidy()
        self._changed_outside |= self._disk.do(File.changed_outside)

    def _in_memory(self) -> list[Entry]:
        with self._changed:
            return list(self._memory)

    def _waits_in_memory(self, entry_id: int) -> bool:
        with self._changed:
            return any(entry.id == entry_id for entry in self._memory)

    def _commit(self, newest_id: int) -> None:
        """Have everything up to an id committed: by who is at it already, or by this thread, with all that has come."""
        with self._changed:
            self._changed.wait_for(lambda: self._tried_id >= newest_id or not self._committing)
            if self._tried_id >= newest_id:
                return
            self._committing = True
        try:
            with self._disk_lock:
                self._flush()
                self._tidy()
        finally:
            with self._changed:
                self._committing = False
                self._changed.notify_all()

    def _flush(self) -> None:
        """Commit what waits in memory; when the disk does not take it, it goes on waiting there."""
        taken = False
        with self._tally.trouble("events wait in memory"):
            while chunk := self._chunk():
                lost = self._lost_in_memory
                given_up = self._disk.do(functools.partial(File.insert, entries=chunk, lost=lost))
                self._tally.add("the file has reached outbox.max_bytes", given_up)
                self._lost_in_memory -= lost
                self._forget_in_memory({entry.id for entry in chunk})
                self._note_tried(chunk)
            taken = True
        if not taken:
            self._note_tried(self._in_memory())
        self._bound_memory()

    def _note_tried(self, entries: Sequence[Entry]) -> None:
        """Who waits for these to be committed waits no more."""
        with self._changed:
            self._tried_id = max(self._tried_id, entries[-1].id) if entries else self._tried_id
            self._changed.notify_all()

    def _chunk(self) -> list[Entry]:
        """What to commit next, without an `end` whose `new` was given up."""
        with self._changed:
            ended = self._orphans.among(self._memory)
            if ended:
                self._orphans.forget(entry for entry in self._memory if entry.id in ended)
        if ended:
            self._forget_in_memory(ended)
            self._lose("their objects were given up before", len(ended))
        with self._changed:
            return list(itertools.islice(self._memory, CHUNK_ROWS))

    def _bound_memory(self) -> None:
        with self._changed:
            too_many = len(self._memory) - _MEMORY_EVENTS
            if too_many <= 0:
                return
            waiting = [entry for entry in self._memory if entry.id not in self._under_way]
            gone, orphans = victims(waiting, too_many)
        self._orphans.add(orphans)
        self._forget_in_memory(gone)
        self._lose("the disk takes nothing and the memory list is full", len(gone))

    def _forget_in_memory(self, ids: set[int]) -> set[int]:
        """Drop entries from the memory list; says which were there."""
        with self._changed:
            found = {entry.id for entry in self._memory if entry.id in ids}
            if found:
                self._memory = deque(entry for entry in self._memory if entry.id not in found)
            return found

    def _lose(self, reason: str, count: int) -> None:
        """Count events that are given up; in the file, as soon as that takes something again."""
        self._lost_in_memory += count
        self._tally.add(reason, count)

    def _delete_acked(self) -> None:
        with self._tally.trouble("acknowledged events cannot be deleted and may come twice after a restart"):
            while chunk := tuple(itertools.islice(self._acked, CHUNK_ROWS)):
                self._disk.make_way(functools.partial(File.delete, ids=chunk))
                self._acked.difference_update(chunk)

    def _whole_rows(self, read: Callable[[File], tuple[list[Entry], list[int]]]) -> list[Entry]:
        """What is read of the file; damaged rows among it are set aside."""
        while True:
            entries, damaged = self._disk.do(read)
            if not damaged:
                return entries
            log.warning("outbox %s: %d damaged rows are set aside among its dead messages", self._path, len(damaged))
            self._bury(damaged, "its checksum is wrong")

    def _bury_doomed(self) -> None:
        for entry_id, reason in tuple(self._doomed.items()):
            if not self._waits_in_memory(entry_id):
                self._bury([entry_id], reason)
                del self._doomed[entry_id]

    def _bury(self, ids: Sequence[int], reason: str) -> None:
        utc_ns = self._clock.utc_ns()
        self._disk.make_way(lambda file: file.bury(ids, reason, utc_ns))

    def _tidy(self) -> None:
        """Once a minute: give up what is too old, and hold room back again."""
        if self._clock.monotonic_s() - self._tidied_s < _MINUTE_S:
            return
        self._tidied_s = self._clock.monotonic_s()
        with self._tally.trouble("events that are too old cannot be deleted"):
            self._tally.add("older than outbox.max_age", self._disk.make_way(lambda file: file.expire(self._too_old)))
        self._disk.hold_back()

    def _too_old(self, age: Age) -> bool:
        """By the monotonic clock; what an earlier run put, by clocks for which a time server vouched, then and now."""
        if age.id // EPOCH_IDS == self._epoch:
            return self._clock.monotonic_s() - age.put_s > self._max_age_s
        if not (age.put_synced and self._clock.utc_synced()):
            return False
        return (self._clock.utc_ns() - age.put_utc_ns) / 1e9 > self._max_age_s

    def _begin(self, epoch: int) -> None:
        with self._changed:  # or an id could be made of the old epoch and the new count, or the other way round
            self._epoch = epoch
            self._ids = itertools.count()
