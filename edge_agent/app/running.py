"""Running the daemon for as long as it is wanted: again and again, each time with the configuration as it is then."""

from __future__ import annotations

import logging
import threading
from contextlib import closing, suppress
from pathlib import Path

from edge_agent.app.agent import Agent
from edge_agent.commands.reload import Reload
from edge_agent.config import Settings
from edge_agent.edges.outbox import OutboxReader
from edge_agent.errors import AgentError, StorageError

_log = logging.getLogger(__name__)


def run(settings: Settings, stop: threading.Event, reload: Reload) -> None:
    """Run until `stop` is set, or until all recordings are over.

    A new configuration with which no run can begin, because its model is wrong, say, is taken back: the one before goes
    on, and whoever asked is told.

    Args:
        settings: the first configuration.
        stop: ends it.
        reload: begins it again.

    Raises:
        FatalError: the first configuration or its model is wrong; nothing was begun.
        StorageError: the outbox cannot be opened.
    """
    before: Settings | None = None
    while True:
        agent = Agent(settings=settings, reload=reload)
        try:
            agent.run(stop)
        except AgentError as error:
            if agent.begun or before is None or stop.is_set():
                raise
            reload.outcome = str(error).splitlines()[0]
            _log.error("the new configuration does not work, the one before goes on: %s", error)
            settings, before = before, None
            continue
        if reload.settings is None or stop.is_set():
            return
        before, settings, reload.settings = settings, reload.settings, None
        if before.outbox.path != settings.outbox.path:
            _tell_of_those_left(before.outbox.path)


def _tell_of_those_left(path: Path) -> None:
    """Warn of events in an outbox that nobody empties any more."""
    with suppress(StorageError), closing(OutboxReader(path)) as reader:
        if waiting := reader.stats().waiting:
            _log.warning("outbox %s: %d events stay there until outbox.path names it again", path, waiting)
