"""Sends what waits over one connection after another, and settles what the broker answers."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace

from edge_agent.edges.clock import Backoff, Clock
from edge_agent.edges.deliver.blame import Blame
from edge_agent.edges.deliver.ends import Answer, Box, Line, Patience, Subscription, Waiting
from edge_agent.edges.deliver.flight import AnswerId, DeliveryCounters, Flight, Key, Pace, Sent
from edge_agent.edges.deliver.muted import Muted
from edge_agent.errors import BrokerError, PassingError
from edge_agent.records import Message

log = logging.getLogger(__name__)

_TURN_S = 1.0
"""How long to wait for anything at all, and so how late a lost connection or a wish to stop may be noticed."""

_GLANCE_S = 0.05
"""How long to wait for an acknowledgement while the window has room and something new may come."""

_ACK_EVERY_S = 1.0
_ACK_ROWS = 64
"""Confirmed events are deleted together, this late or this many: each commit wears the disk, a crash repeats them."""

_GRACE_S = 3.0
"""How long to go on after the wish to stop."""

_MINUTE_S = 60.0

_BUSY = {0x91, 0x97}
"""Refusals that pass: packet identifier in use, quota exceeded. Source: MQTT version 5.0, section 3.4.2.1."""


class Deliverer:
    """Sends states and events to the broker for as long as it is asked to.

    Answers go before states, states before events. Of the events each camera's leave in the order of their ids, and the
    cameras take turns: first those whose next event is news, at once, then those that have something to catch up on, so
    many a second. After a lost connection everything begins again from the oldest event that the broker has not
    confirmed: each arrives at least once. One thread calls `run`; any thread may read `connected` and `counters`.

    Args:
        outbox: where messages wait.
        connect: makes a new connection, or raises BrokerError.
        clock: tells the age of an event and how long an acknowledgement takes.
        settings: how patient to be.
        backoff: how long to wait between connections.
        subscriptions: what others want to hear; subscribed to anew on every connection.
        beat: called at least every `_TURN_S` unless a connection is being made or subscribed on; for the watchdog.
    """

    def __init__(  # noqa: PLR0913  (what it works between, and what others want of it)
        self,
        *,
        outbox: Box,
        connect: Callable[[], Line],
        clock: Clock,
        settings: Patience,
        backoff: Backoff,
        subscriptions: Sequence[Subscription] = (),
        beat: Callable[[], None] = lambda: None,
    ) -> None:
        self._outbox = outbox
        self._connect = connect
        self._clock = clock
        self._settings = settings
        self._backoff = backoff
        self._subscriptions = tuple(subscriptions)
        self._beat = beat
        self._pace = Pace(settings.drain_per_s, clock)
        self._connected = False
        self._counters = DeliveryCounters()
        self._last_failure = ""
        self._blame = Blame(clock)
        self._one_by_one = 0
        self._muted = Muted(clock)
        self._said_s: dict[str, float] = {}

    @property
    def connected(self) -> bool:
        """Whether there is a connection now."""
        return self._connected

    @property
    def counters(self) -> DeliveryCounters:
        """What was done since the start."""
        return self._counters

    @property
    def last_failure(self) -> str:
        """Why the last connection was lost or could not be made, one line without secrets; empty when none was."""
        return self._last_failure

    def run(self, stop: threading.Event) -> None:
        """Deliver until `stop` is set, through every failure that may pass."""
        while not stop.is_set():
            try:
                self.run_once(stop)
            except PassingError as error:
                self._add(failures=1)
                self._last_failure = str(error)
                retry_s = self._backoff.next_s()
                self._say(str(error), f"retry in {math.ceil(retry_s)} s")
                self._rest(retry_s, stop)
        self._say_muted()

    def run_once(self, stop: threading.Event) -> None:
        """Deliver over one connection until `stop` is set or a better broker is there, then say farewell.

        Raises:
            BrokerError: there is no connection, or it is lost, or an acknowledgement did not come in time.
            StorageError: the outbox cannot be read.
        """
        self._beat()
        line = self._connect()
        self._blame.begin(line.broker)
        flight = Flight(line=line, course=self._outbox.course(), unheard=list(self._subscriptions))
        self._add(connects=1)
        self._connected = True
        self._outbox.redirty()
        try:
            while not (stop.is_set() or flight.line.leaving):
                self._turn(flight)
            self._finish(flight)
        except BaseException:
            flight.line.cut()
            raise
        else:
            flight.line.close()
        finally:
            self._connected = False
            self._outbox.ack(flight.arrived)

    def _turn(self, flight: Flight) -> None:
        self._beat()
        self._subscribe(flight)
        self._send(flight)
        if not flight.sent:
            self._outbox.wait(min(_TURN_S, flight.rest_s))
        else:
            flight.line.wait(min(_GLANCE_S, flight.rest_s) if self._room(flight) > 0 else _TURN_S)
        self._receive(flight)

    def _finish(self, flight: Flight) -> None:
        """Go on for a short while after the wish to stop, as long as something is there to be sent."""
        until_s = self._clock.monotonic_s() + _GRACE_S
        self._send(flight)
        while flight.sent and self._clock.monotonic_s() < until_s:
            self._turn(flight)
            self._send(flight)  # else answers to all that was under way would look like the end of all there is

    def _subscribe(self, flight: Flight) -> None:
        """Ask for what others want to hear; once a minute again for what was refused, for a broker's rules may change.

        Raises:
            BrokerError: the connection is lost; a refusal is none.
        """
        if not flight.unheard or self._clock.monotonic_s() - flight.asked_s < _MINUTE_S:
            return
        for subscription in tuple(flight.unheard):
            self._beat()
            try:
                flight.line.subscribe(subscription.topic_filter, subscription.hear)
            except BrokerError as error:
                if flight.line.lost:
                    raise
                self._say(str(error))
            else:
                flight.unheard.remove(subscription)
        flight.asked_s = self._clock.monotonic_s()  # after the last answer, for which it may have waited long

    def _room(self, flight: Flight) -> int:
        """How many more may be sent now: one at a time where something has just broken a connection."""
        return (1 if self._one_by_one or self._blame.suspects else flight.line.window) - len(flight.sent)

    def _send(self, flight: Flight) -> None:
        """Fill the window: answers first, then changed states, then the oldest events."""
        if (room := self._room(flight)) <= 0:
            return
        self._leave_out(flight)
        for answer in self._outbox.answers(room, flight.newest_answer):
            self._send_answer(flight, answer)
            room -= 1
        if room <= 0:
            return
        states = self._outbox.dirty_states(room)
        if not states and not any(isinstance(sent.key, str) for sent in flight.sent.values()):
            self._say_muted()
        for state in states:
            self._send_state(flight, state)
        self._send_events(flight, room - len(states))

    def _leave_out(self, flight: Flight) -> None:
        """Go on without what connections break on, or with it again."""
        before, flight.without = flight.without, self._blame.left_out
        if before is flight.without:
            return
        if before is not None and isinstance(before.key, AnswerId):
            flight.newest_answer = min(flight.newest_answer, before.key.id - 1)  # it was passed over
        elif before is not None and isinstance(before.key, str):
            self._outbox.redirty()  # it was taken meanwhile, and not sent
        self._begin_course(flight)

    def _begin_course(self, flight: Flight) -> None:
        skip = {sent.key for sent in flight.sent.values()} | set(flight.arrived)
        skip |= {flight.without.key} if flight.without else set()
        flight.course = self._outbox.course({key for key in skip if isinstance(key, int)})

    def _send_events(self, flight: Flight, room: int) -> None:
        """Send what is next, and note for how long nothing more may be sent although something waits."""
        flight.rest_s = math.inf
        if self._blame.events_wait:
            return
        if flight.course.stale:
            self._begin_course(flight)
        flight.course.look()
        for _ in range(room):
            heads = self._heads(flight)
            news = next((entry for entry in heads if not self._is_late(entry)), None)
            if not heads:
                return
            if news is None and self._pace.wait_s > 0:
                flight.rest_s = self._pace.wait_s
                return
            self._send_event(flight, news or heads[0])

    def _heads(self, flight: Flight) -> Sequence[Waiting]:
        """The next event of each camera; while one is left out, its own camera's only where there is no other."""
        heads = flight.course.heads()
        topics = {flight.without.topic} if flight.without else set()
        return [head for head in heads if not topics & {head.message.topic, head.message.late_topic}] or heads

    def _send_answer(self, flight: Flight, entry: Waiting) -> None:
        if flight.without is None or flight.without.key != AnswerId(entry.id):
            self._publish(flight, AnswerId(entry.id), entry.message, entry.message.topic)
        flight.newest_answer = entry.id

    def _send_state(self, flight: Flight, state: Message) -> None:
        if state.topic not in self._muted and (flight.without is None or flight.without.key != state.topic):
            self._publish(flight, state.topic, state, state.topic)

    def _send_event(self, flight: Flight, entry: Waiting) -> None:
        late = self._is_late(entry)
        self._publish(flight, entry.id, entry.message, entry.message.late_topic if late else entry.message.topic)
        flight.course.passed(entry)
        if late:
            self._pace.passed()
            self._add(late=1)

    def _publish(self, flight: Flight, key: Key, message: Message, topic: str) -> None:
        retain = message.kind == "state"
        token = flight.line.publish(topic, message.payload, retain=retain, correlation=message.correlation)
        flight.sent[token] = Sent(key=key, topic=topic, at_s=self._clock.monotonic_s())
        self._add(published=1)

    def _is_late(self, entry: Waiting) -> bool:
        return bool(entry.message.late_topic) and not 0 <= self._age_s(entry) <= self._settings.late_after_s

    def _age_s(self, entry: Waiting) -> float:
        """How long ago it happened; by the wall clock, which may be wrong, only when an earlier run put it."""
        if entry.put_s is not None:
            return self._clock.monotonic_s() - entry.put_s
        return (self._clock.utc_ns() - entry.message.utc_ns) / 1e9

    def _receive(self, flight: Flight) -> None:
        """Settle what the broker has answered; raise when it answers no more."""
        for answer in flight.line.acknowledged():
            head = flight.head
            sent = flight.sent.pop(answer.token, None)
            if sent is not None:
                flight.overtaker = None if sent is head else sent.key
                self._settle(flight, sent, answer)
        self._forget_arrived(flight)
        if flight.line.lost:
            self._judge(flight)
            raise BrokerError(flight.line.lost)
        head = flight.head
        if head and self._clock.monotonic_s() - head.at_s > self._settings.ack_timeout_s:
            if flight.answered:  # a broker that confirms nothing at all has troubles of its own
                self._judge(flight)
            raise BrokerError(f"broker: no acknowledgement within {self._settings.ack_timeout_s:g} s")

    def _settle(self, flight: Flight, sent: Sent, answer: Answer) -> None:
        if answer.refused in _BUSY:
            raise BrokerError(f"broker: it is too busy ({answer.reason})")
        self._backoff.reset()
        flight.answered = True
        self._one_by_one = max(0, self._one_by_one - 1)
        if answer.refused is not None:
            self._blame.refused(sent.key)
            self._give_up(sent.key, f"the broker refuses it: {answer.reason} (0x{answer.refused:02X})")
            return
        self._blame.passed(sent.key)
        self._add(acked=1)
        if isinstance(sent.key, AnswerId):
            self._outbox.forget_answer(sent.key.id)
        if isinstance(sent.key, int):
            flight.arrived_s = flight.arrived_s if flight.arrived else self._clock.monotonic_s()
            flight.arrived.append(sent.key)

    def _forget_arrived(self, flight: Flight) -> None:
        waited_s = self._clock.monotonic_s() - flight.arrived_s
        if flight.arrived and (len(flight.arrived) >= _ACK_ROWS or waited_s >= _ACK_EVERY_S):
            self._outbox.ack(flight.arrived)
            flight.arrived = []

    def _judge(self, flight: Flight) -> None:
        """Find out on what the connection broke; going on one by one makes sure that it is the head that does it."""
        if (head := flight.head) is None:
            return
        self._one_by_one = max(self._one_by_one, len(flight.sent))
        verdict = self._blame.broke(head, flight.overtaker)
        if verdict.words:
            self._say(f"broker {flight.line.broker}: {verdict.words}")
        if verdict.guilty is not None:
            self._give_up(verdict.guilty, "connections break on it again and again, while others get through")

    def _give_up(self, key: Key, reason: str) -> None:
        """Do not try this again: an event goes to the dead, a state is left out for an hour, an answer is lost."""
        self._add(refused=1)
        if isinstance(key, int):
            self._say(f"outbox: an event is set aside: {reason}")
            self._outbox.bury(key, reason)
        elif isinstance(key, AnswerId):
            self._say(f"an answer to a command is lost: {reason}")
            self._outbox.forget_answer(key.id, lost=True)
        else:
            self._muted.add(key, reason)

    def _say_muted(self) -> None:
        """Say which states are left out, once none is under way: some brokers hang up after each that they refuse."""
        for line in self._muted.take_lines():
            self._say(line)

    def _rest(self, seconds: float, stop: threading.Event) -> None:
        while seconds > 0 and not stop.is_set():
            self._beat()
            self._clock.wait(stop, min(seconds, _TURN_S))
            seconds -= _TURN_S

    def _say(self, line: str, detail: str = "") -> None:
        """Log a line, the same one once a minute at most."""
        now_s = self._clock.monotonic_s()
        self._said_s = {said: at_s for said, at_s in self._said_s.items() if now_s - at_s < _MINUTE_S}
        if line not in self._said_s:
            self._said_s[line] = now_s
            log.warning("%s%s", line, f"; {detail}" if detail else "")

    def _add(self, **more: int) -> None:
        self._counters = replace(
            self._counters, **{name: getattr(self._counters, name) + count for name, count in more.items()}
        )
