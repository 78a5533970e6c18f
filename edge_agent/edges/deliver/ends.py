"""What delivery works between: the outbox at one end, a connection to the broker at the other."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from edge_agent.records import Heard, Message


class Patience(Protocol):
    """What delivery reads of the MQTT settings."""

    @property
    def ack_timeout_s(self) -> float:
        """How long an acknowledgement may take, in seconds."""
        ...

    @property
    def late_after_s(self) -> float:
        """From which age on an event is no news any more, in seconds."""
        ...

    @property
    def drain_per_s(self) -> float:
        """How many events that are no news any more may be sent a second."""
        ...


class Waiting(Protocol):
    """An event as the outbox shows it."""

    @property
    def id(self) -> int:
        """Grows from event to event."""
        ...

    @property
    def message(self) -> Message:
        """What to send."""
        ...

    @property
    def put_s(self) -> float | None:
        """When it was put, on this run's monotonic clock; None when an earlier run put it."""
        ...


class Course(Protocol):
    """The order in which events leave over one connection."""

    @property
    def stale(self) -> bool:
        """Whether the outbox was changed by somebody else, so that another course must be begun."""
        ...

    def look(self) -> None:
        """Note what was put since the last look."""
        ...

    def heads(self) -> Sequence[Waiting]:
        """The next event of each camera; first that of the camera whose last turn is longest ago."""
        ...

    def passed(self, entry: Any, /) -> None:
        """It is under way."""
        ...


class Box(Protocol):
    """The outbox."""

    def course(self, skip: Container[int] = (), /) -> Course:
        """All events that wait but those of `skip`, in the order in which they leave."""
        ...

    def ack(self, ids: Iterable[int]) -> None:
        """Forget events."""
        ...

    def bury(self, entry_id: int, reason: str) -> None:
        """Set an event aside that the broker will never take."""
        ...

    def dirty_states(self, limit: int | None = None) -> Sequence[Message]:
        """Take states that changed since they were last taken."""
        ...

    def redirty(self) -> None:
        """Let every state count as changed."""
        ...

    def answers(self, limit: int, after: int = 0) -> Sequence[Waiting]:
        """The oldest answers to commands with an id above `after`."""
        ...

    def forget_answer(self, entry_id: int, *, lost: bool = False) -> None:
        """The broker has an answer, or will never take it."""
        ...

    def wait(self, timeout_s: float) -> bool:
        """Wait until something is put."""
        ...


class Answer(Protocol):
    """What became of a published message."""

    @property
    def token(self) -> int:
        """What `publish` returned for it."""
        ...

    @property
    def refused(self) -> int | None:
        """Reason code of a refusal."""
        ...

    @property
    def reason(self) -> str:
        """The same in words."""
        ...


class Line(Protocol):
    """A connection to the broker."""

    @property
    def broker(self) -> str:
        """Where it leads."""
        ...

    @property
    def window(self) -> int:
        """How many messages may be under way."""
        ...

    @property
    def lost(self) -> str | None:
        """Why it is gone; None as long as it is there."""
        ...

    @property
    def leaving(self) -> bool:
        """Whether a better broker is there, so that this line is to be closed in order."""
        ...

    def publish(self, topic: str, payload: bytes, *, retain: bool, correlation: bytes | None = None) -> int:
        """Send a message and return its token."""
        ...

    def subscribe(self, topic_filter: str, hear: Callable[[Heard], None], /) -> None:
        """Let `hear` have what matches, or raise BrokerError."""
        ...

    def acknowledged(self) -> Sequence[Answer]:
        """What became of messages since the last call."""
        ...

    def wait(self, timeout_s: float) -> None:
        """Wait for an answer, or for the end of the connection."""
        ...

    def close(self) -> None:
        """Say farewell and go."""
        ...

    def cut(self) -> None:
        """Go without a word, so that the broker publishes the last will."""
        ...


@dataclass(frozen=True, slots=True)
class Subscription:
    """What somebody wants to hear from the broker.

    Attributes:
        topic_filter: the topics, with `+` and `#` as in MQTT.
        hear: takes note of each message; another thread calls it, and delivery waits for nothing that it does.
    """

    topic_filter: str
    hear: Callable[[Heard], None]
