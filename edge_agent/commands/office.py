"""All that there is of commands in one run: what is in force, the desk, what it listens to, and how it does."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from edge_agent.commands.desk import Desk
from edge_agent.commands.doing import Doings
from edge_agent.commands.kept import Changes
from edge_agent.edges.deliver import Subscription
from edge_agent.stages.encode.topics import Topics

FILE = "runtime.json"
"""In the state folder: what was changed by commands."""


@dataclass(kw_only=True, eq=False)
class Office:
    """What the agent has of commands.

    Attributes:
        topics: of the device.
        changes: what is in force.
        doings: what does commands.
        desk: where they arrive; None where nobody listens.
    """

    topics: Topics
    changes: Changes
    doings: Doings
    desk: Desk | None

    def subscriptions(self) -> tuple[Subscription, ...]:
        """What it listens to."""
        if self.desk is None:
            return ()
        settings = f"{self.topics.root}/camera/+/set/+"  # of cameras and settings that are not there, too: answered
        return tuple(Subscription(one, self.desk.hear) for one in (self.topics.command, settings))

    def open(self) -> None:
        """Take up what an earlier run has kept, where commands count at all, and say what is in force."""
        if self.desk is not None:
            self.changes.restore()
        self.doings.begin()

    def run(self, stop: threading.Event, beat: Callable[[], None]) -> None:
        """Do what is asked until `stop` is set."""
        if self.desk is not None:
            self.desk.run(stop, beat)

    def report(self) -> dict[str, Any]:
        """How it does, for the health report."""
        counters = asdict(self.desk.counters) if self.desk else {}
        return {"enabled": self.desk is not None, **_NONE, **counters, "changes": self.changes.report()}


_NONE = {"heard": 0, "done": 0, "refused": 0, "dropped": 0, "unanswered": 0}
