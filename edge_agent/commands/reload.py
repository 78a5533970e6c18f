"""Beginning again with a configuration that was read anew: checked first, and taken back when it does not work."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from edge_agent.config import Settings
from edge_agent.errors import AgentError
from edge_agent.records import Message

_log = logging.getLogger(__name__)

Answering = Callable[[str | None], Message]
"""Writes the answer to whoever asked: why it was not done, or None."""


@dataclass(kw_only=True, eq=False)
class Reload:
    """What is to come after the present run, if anything.

    Attributes:
        load: reads the configuration and checks it whole; raises ConfigError. None where there is no file to read.
        hung_up: somebody sent SIGHUP; set by a signal handler, taken by `asked_by_signal`.
        settings: what to go on with; None to end for good.
        answers: whom to tell how it went.
        outcome: why a run with new settings could not begin, told when one with the old has; None when it could.
    """

    load: Callable[[], Settings] | None = None
    hung_up: bool = False
    settings: Settings | None = None
    answers: list[Answering] = field(default_factory=list)
    outcome: str | None = None

    def ask(self, answering: Answering | None = None) -> str | None:
        """Read the configuration; when it is right, the present run is to end. Else why not: the first problem."""
        if self.load is None:
            return "there is no configuration file to read again"
        try:
            settings = self.load()
        except AgentError as error:
            for line in str(error).splitlines():
                _log.error("reload: %s", line)
            return str(error).splitlines()[0]
        if answering:
            self.answers.append(answering)
        self.settings = settings
        return None

    def asked_by_signal(self) -> bool:
        """Whether somebody sent SIGHUP since the last call."""
        asked, self.hung_up = self.hung_up, False
        return asked

    def done(self) -> list[Message]:
        """What to tell those who asked, now that a run has begun."""
        messages = [answering(self.outcome) for answering in self.answers]
        self.answers, self.outcome = [], None
        return messages
