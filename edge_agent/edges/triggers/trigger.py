"""What says from outside that a camera is to be looked at: when it came, and whether it can come at all."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, Protocol

from edge_agent.edges.clock import Backoff, Clock
from edge_agent.errors import PassingError

_log = logging.getLogger(__name__)

TriggerState = Literal["off", "starting", "ready", "partly", "blind"]

_REMEMBERED = 256  # far more than can come between two frames and matter
_WAIT_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerStatus:
    """How the triggers of a camera are doing.

    Attributes:
        state: `off` without any; `starting` until each was tried; `ready` when all can come, `partly` when some can,
            `blind` when none can, so that nobody looks.
        reason: why one cannot come, one line without secrets; empty when all can.
        heard: how many came since start, those included that found the camera looking already or in `cooldown_s`.
        failures: how often one of them became unable to come.
        last_utc_ns: when one came last; None before the first.
    """

    state: TriggerState = "off"
    reason: str = ""
    heard: int = 0
    failures: int = 0
    last_utc_ns: int | None = None


class Triggers:
    """All triggers of one camera; safe from any thread.

    Args:
        camera: what it is called in the log.
        clock: what triggers are stamped with, and frames too.
    """

    def __init__(self, camera: str, clock: Clock) -> None:
        self._camera = camera
        self._clock = clock
        self._changed = threading.Lock()
        self._times: deque[float] = deque(maxlen=_REMEMBERED)
        self._complaints: list[str | None] = []  # of each trigger: empty when it can come, None before it was tried
        self._heard = 0
        self._failures = 0
        self._last_utc_ns: int | None = None

    def add(self, name: str) -> Trigger:
        """Have one more, with what it is called in the log."""
        with self._changed:
            self._complaints.append(None)
            return Trigger(triggers=self, name=name, index=len(self._complaints) - 1)

    def times(self) -> tuple[float, ...]:
        """When the last ones came, in order."""
        with self._changed:
            return tuple(self._times)

    def status(self) -> TriggerStatus:
        """Say how they do."""
        with self._changed:
            return TriggerStatus(
                state=self._state(),
                reason=next(filter(None, self._complaints), ""),
                heard=self._heard,
                failures=self._failures,
                last_utc_ns=self._last_utc_ns,
            )

    def pull(self) -> None:
        """One has come, just now."""
        with self._changed:
            self._times.append(self._clock.monotonic_s())  # within the lock, so that they stay in order
            self._heard += 1
            self._last_utc_ns = self._clock.utc_ns()

    def tell(self, name: str, index: int, complaint: str) -> None:
        """Note whether one can come; empty when it can. What is no news is not logged."""
        with self._changed:
            before, self._complaints[index] = self._complaints[index], complaint
            self._failures += bool(complaint) and not before
            is_blind = self._state() == "blind"
        if complaint and not before:
            _log.warning('camera "%s": trigger %s: %s; tried again', self._camera, name, complaint)
            if is_blind:
                _log.error('camera "%s" is blind: none of its triggers can come', self._camera)
        elif not complaint and before != "":
            _log.info('camera "%s": trigger %s: ready', self._camera, name)

    def _state(self) -> TriggerState:
        if not self._complaints:
            return "off"
        can_come = self._complaints.count("")
        if can_come == len(self._complaints):
            return "ready"
        if can_come:
            return "partly"
        return "starting" if None in self._complaints else "blind"


@dataclass(frozen=True, kw_only=True)
class Trigger:
    """One of a camera's triggers, for whoever listens for it.

    Attributes:
        triggers: all of the camera's.
        name: what it is called in the log.
        index: its place among them.
    """

    triggers: Triggers
    name: str
    index: int

    def pull(self) -> None:
        """It has come, just now."""
        self.triggers.pull()

    def ready(self) -> None:
        """It can come from now on."""
        self.triggers.tell(self.name, self.index, "")

    def fail(self, complaint: str) -> None:
        """It cannot come for now, and why: one line without secrets."""
        self.triggers.tell(self.name, self.index, complaint)


class Way(Protocol):
    """A way in which triggers come."""

    @property
    def name(self) -> str:
        """What its thread is called."""
        ...

    @property
    def triggers(self) -> tuple[Trigger, ...]:
        """Those that come in this way."""
        ...

    def listen(self, stop: threading.Event, beat: Callable[[], None]) -> None:
        """Listen until `stop` is set, calling `beat` about once a second.

        Raises:
            PassingError: nothing can come in this way for now.
            RuntimeMissingError: a library is not here.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class Listening:
    """Listens for triggers again and again: `run` it in a thread of its own.

    Attributes:
        way: how they come.
        clock: what waits are measured with.
        backoff: how long to wait before each further try.
        patience_s: one that listened for this long is forgiven, and the waits begin anew.
        beat: called about once a second, but not while a connection is made.
    """

    way: Way
    clock: Clock
    backoff: Backoff
    patience_s: float
    beat: Callable[[], None] = field(repr=False)

    def run(self, stop: threading.Event) -> None:
        """Listen until `stop` is set."""
        while not stop.is_set():
            began_s = self.clock.monotonic_s()
            try:
                self.way.listen(stop, self.beat)
            except PassingError as error:
                for trigger in self.way.triggers:
                    trigger.fail(str(error))
                if self.clock.monotonic_s() - began_s >= self.patience_s:
                    self.backoff.reset()
                self._wait(stop, self.backoff.next_s())

    def _wait(self, stop: threading.Event, seconds: float) -> None:
        until_s = self.clock.monotonic_s() + seconds
        while (left_s := until_s - self.clock.monotonic_s()) > 0:
            self.beat()
            if self.clock.wait(stop, min(left_s, _WAIT_S)):
                return
