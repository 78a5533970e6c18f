"""The desk where commands arrive: what is heard waits in a short queue, one thread reads, weighs, does and answers.

```
        paho's thread            commands thread
 hear ───▶ queue ══▶ too fast? retained? a bad topic for the answer? ─▶ read ─▶ allowed? done before? ─▶ do
                     └──────────────────── refused ────────────────────────────────────────────┴─▶ answer ─▶ outbox
```
"""

from __future__ import annotations

import functools
import logging
import queue
import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Any

from edge_agent.commands.doing import Doings, NotDoneError
from edge_agent.commands.known import Known, Memory, digest_of
from edge_agent.edges.clock import Clock
from edge_agent.edges.outbox import Outbox
from edge_agent.records import Heard, Message
from edge_agent.stages.commands import answer_topic
from edge_agent.stages.commands.bucket import Bucket
from edge_agent.stages.commands.command import SETTING_NAMES, Command, CommandsSettings, Refusal, told
from edge_agent.stages.commands.reading import MOST_BYTES, is_empty, read_command, read_setting
from edge_agent.stages.encode import native
from edge_agent.stages.encode.topics import Topics, split_set

_log = logging.getLogger(__name__)

_MOST_WAITING = 100
_TURN_S = 0.5
_REFUSALS_PER_MINUTE = 6
"""So many of those that come too fast are told so: nobody can make the agent shout."""

_MOST_REASON = 300
_UNKNOWN_PLACE = "its topic"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeskCounters:
    """What became of commands since the start.

    Attributes:
        heard: messages that came.
        done: commands that were done.
        refused: commands that were not, whether that was answered or not.
        dropped: of those, messages that nobody read, for too many waited.
        unanswered: of those, refusals that were not answered, for they came too fast.
    """

    heard: int = 0
    done: int = 0
    refused: int = 0
    dropped: int = 0
    unanswered: int = 0


class Desk:
    """Takes commands; `hear` may be called from any thread, `run` by one.

    Args:
        settings: see `CommandsSettings`.
        topics: of the device.
        closed: first parts of topics that no answer may go below.
        doings: what does them.
        outbox: where answers go.
        clock: what rates and ages are measured with.
    """

    def __init__(
        self,
        *,
        settings: CommandsSettings,
        topics: Topics,
        closed: Collection[str],
        doings: Doings,
        outbox: Outbox,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._topics = topics
        self._closed = closed
        self._doings = doings
        self._outbox = outbox
        self._clock = clock
        self._waiting: queue.Queue[Heard] = queue.Queue(_MOST_WAITING)
        self._bucket = Bucket(settings.per_minute, clock.monotonic_s())
        self._refusals = Bucket(_REFUSALS_PER_MINUTE, clock.monotonic_s())
        self._memory = Memory()
        self._said_retained: set[str] = set()
        self._heard = 0
        self._dropped = 0
        self._counters = DeskCounters()

    @property
    def counters(self) -> DeskCounters:
        """What became of commands since the start."""
        counters = self._counters
        refused = counters.refused + self._dropped
        return replace(counters, heard=self._heard, dropped=self._dropped, refused=refused)

    def hear(self, heard: Heard) -> None:
        """Take note of a message, and no more of it than is read; nothing else is done here."""
        self._heard += 1
        try:
            self._waiting.put_nowait(replace(heard, payload=heard.payload[: MOST_BYTES + 1]))
        except queue.Full:
            self._dropped += 1

    def run(self, stop: threading.Event, beat: Callable[[], None]) -> None:
        """Do what is asked until `stop` is set."""
        while not stop.is_set():
            beat()
            self._doings.tick()
            try:
                heard = self._waiting.get(timeout=_TURN_S)
            except queue.Empty:
                continue
            self.take(heard)

    def take(self, heard: Heard) -> None:
        """Do what one message asks for, and answer."""
        if is_empty(heard.payload):  # somebody clears what the broker had kept
            return
        if not self._bucket.take(self._clock.monotonic_s()):
            self._refuse_unread(heard, f"too many commands, at most {self._settings.per_minute} a minute")
            return
        if (why := self._why_unread(heard)) is not None:
            self._refuse(replace(heard, answer_topic=None), self._unread(heard, why))
            return
        asked = self._read(heard)
        if isinstance(asked, Refusal):
            self._refuse(heard, asked)
        elif asked.name not in self._settings.allow:
            self._refuse(heard, _refusal(asked, "this command is not in commands.allow"))
        elif not self._is_known(heard, asked):
            self._do(heard, asked)

    def _why_unread(self, heard: Heard) -> str | None:
        """Why a message is refused whatever it says."""
        if heard.retained:
            return self._about_retained(heard.topic)
        if len(heard.correlation or b"") > answer_topic.MOST_CORRELATION_BYTES:
            return f"its correlation data is longer than {answer_topic.MOST_CORRELATION_BYTES} bytes"
        if heard.answer_topic is None:
            return None
        return answer_topic.why_not(heard.answer_topic, result=self._topics.command_result, closed=self._closed)

    def _unread(self, heard: Heard, why: str) -> Refusal:
        """A refusal that says what the topic alone tells."""
        camera, name = split_set(self._topics, heard.topic) or ("", "")
        known = camera if camera in self._doings.lines else None
        return Refusal(reason=why, name=next((one for one in SETTING_NAMES if one == name), None), camera=known)

    def _about_retained(self, topic: str) -> str:
        """What to do about a command that the broker would repeat at every connection."""
        camera, name = split_set(self._topics, topic) or ("", "")
        is_ours = topic == self._topics.command or (camera in self._doings.lines and name in SETTING_NAMES)
        named = topic if is_ours else _UNKNOWN_PLACE
        reason = f"it is retained, so it would be repeated for ever; clear it: mosquitto_pub -r -n -t {named}"
        if named not in self._said_retained:
            self._said_retained.add(named)
            _log.warning("a command is refused: %s", reason)
        return reason

    def _read(self, heard: Heard) -> Command | Refusal:
        cameras = self._doings.lines.keys()
        where = split_set(self._topics, heard.topic)
        if where is None:
            return read_command(heard.payload, cameras)
        return read_setting(*where, heard.payload, cameras)

    def _is_known(self, heard: Heard, asked: Command) -> bool:
        """Whether it was asked before: then it is answered again and not done again."""
        before = None if asked.id is None else self._memory.find(asked.id, self._clock.monotonic_s())
        if before is None:
            return False
        if before.digest != digest_of(heard):
            self._refuse(heard, _refusal(asked, "its id is that of another command"))
        elif before.answer is not None:
            topic = heard.answer_topic or self._topics.command_result
            self._outbox.put([replace(before.answer, topic=topic, correlation=heard.correlation)])
        return True

    def _do(self, heard: Heard, asked: Command) -> None:
        answering = functools.partial(self._answer, heard, asked)
        try:
            is_done = self._doings.do(asked, answering)
        except NotDoneError as error:
            self._add(refused=1)
            answer: Message | None = answering(str(error))
        else:
            self._add(done=1)
            # A ping changes nothing, and may come every minute.
            _log.log(logging.DEBUG if asked.name == "ping" else logging.INFO, "command: %s", told(asked))
            answer = answering(None) if is_done else None
        if asked.id is not None:
            at_s = self._clock.monotonic_s()
            self._memory.add(asked.id, Known(digest=digest_of(heard), at_s=at_s, answer=answer))
        if answer is not None:
            self._outbox.put([answer])

    def _refuse(self, heard: Heard, refusal: Refusal) -> None:
        self._add(refused=1)
        if not heard.retained:  # of which it is said once, and what to do
            _log.info("command: %s is refused: %s", refusal.name or "one of no known name", refusal.reason)
        self._outbox.put([self._answer(heard, refusal, refusal.reason)])

    def _refuse_unread(self, heard: Heard, why: str) -> None:
        """Refuse what comes too fast, and say so not too often."""
        if self._refusals.take(self._clock.monotonic_s()):
            self._refuse(replace(heard, answer_topic=None), self._unread(heard, why))
        else:
            self._add(refused=1, unanswered=1)

    def _answer(self, heard: Heard, asked: Command | Refusal, error: str | None) -> Message:
        content: dict[str, Any] = {"id": asked.id, "name": asked.name}
        if asked.camera is not None:
            content["camera"] = asked.camera
        content |= {"ok": error is None, "error": None if error is None else _one_line(error)}
        fits = len(heard.correlation or b"") <= answer_topic.MOST_CORRELATION_BYTES
        topic = heard.answer_topic or self._topics.command_result
        return native.answer(topic, content, heard.correlation if fits else None)

    def _add(self, *, done: int = 0, refused: int = 0, unanswered: int = 0) -> None:
        was = self._counters
        self._counters = replace(
            was, done=was.done + done, refused=was.refused + refused, unanswered=was.unanswered + unanswered
        )


def _refusal(command: Command, reason: str) -> Refusal:
    return Refusal(reason=reason, id=command.id, name=command.name, camera=command.camera)


def _one_line(text: str) -> str:
    """Text for an answer: printable, and not too long, counted as JSON escapes it."""
    printed = "".join(sign if sign.isprintable() else " " for sign in text)
    return printed.encode("utf-16-le")[: 2 * _MOST_REASON].decode("utf-16-le", "ignore")
