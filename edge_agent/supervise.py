"""Watching over the threads: says how they do, feeds the watchdog while all of them move on, and notices the end."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from edge_agent import reports
from edge_agent.config import Settings
from edge_agent.edges.clock import Clock
from edge_agent.edges.deliver import Deliverer
from edge_agent.edges.outbox import Outbox
from edge_agent.edges.sources.supervised import Capture
from edge_agent.edges.systemd import Notifier
from edge_agent.errors import StorageError
from edge_agent.health import Meter, Progress
from edge_agent.stages.encode import native
from edge_agent.stages.encode.topics import Topics
from edge_agent.vision import Vision

_log = logging.getLogger(__name__)

_TICK_S = 1.0
_REPORT_EVERY_S = 30.0


def topics_of(settings: Settings) -> Topics:
    """The topics of the device that is configured."""
    return Topics(prefix=settings.mqtt.prefix, device=settings.device.id)


@dataclass(kw_only=True, eq=False)
class Supervisor:
    """What the main thread does while the others work.

    Attributes:
        settings: the configuration.
        run_id: of this start.
        vision: the model in use.
        cameras: capture and meter of each, by its id.
        outbox: where states and reports go.
        deliverer: who takes them on.
        progress: whether every thread moves on.
        clock: tells the time.
        notifier: tells systemd.
    """

    settings: Settings
    run_id: str
    vision: Vision
    cameras: Mapping[str, tuple[Capture, Meter]]
    outbox: Outbox
    deliverer: Deliverer
    progress: Progress
    clock: Clock
    notifier: Notifier

    def __post_init__(self) -> None:
        """Note when it began."""
        self._topics = topics_of(self.settings)
        self._started_s = self.clock.monotonic_s()
        self._blamed: set[str] = set()

    def watch(self, work: Sequence[Future[None]], delivery: Future[None], stop: threading.Event) -> None:
        """Watch until told to stop, a thread fails, or every camera was a recording that is over."""
        self.outbox.put([native.status(self._topics.status, online=True)])
        self.say_states()
        self._report()
        self.notifier.ready()
        report_due_s, reported = self._started_s + _REPORT_EVERY_S, self._states()
        while not self.clock.wait(stop, _TICK_S):
            self.say_states()
            if self.clock.monotonic_s() >= report_due_s or self._states() != reported:
                report_due_s, reported = self.clock.monotonic_s() + _REPORT_EVERY_S, self._states()
                self._report()
            self._feed_watchdog()
            if any(thread.done() and thread.exception() for thread in (*work, delivery)):
                break
            if all(thread.done() for thread in work):
                _log.info("every recording is over")
                break
        self.notifier.stopping()

    def say_states(self) -> None:
        """Say of each camera whether it is there."""
        self.outbox.put(
            [
                native.status(self._topics.camera_status(camera), online=capture.status().online)
                for camera, (capture, _meter) in self.cameras.items()
            ]
        )

    def _states(self) -> list[str]:
        return [capture.status().state for capture, _meter in self.cameras.values()]

    def _report(self) -> None:
        """Say how the agent does and what it is made of; the outbox holds back what has not changed."""
        capabilities = reports.capabilities(self.settings, self.vision, self.clock)
        self.outbox.put([native.report(self._topics.capabilities, capabilities)])
        try:
            health = reports.health(
                clock=self.clock,
                started_s=self._started_s,
                run_id=self.run_id,
                cameras={camera: (capture.status(), meter) for camera, (capture, meter) in self.cameras.items()},
                outbox=self.outbox,
                deliverer=self.deliverer,
            )
        except StorageError as error:  # a disk that cannot be read now is no reason to stop watching
            _log.warning("no health report: %s", error)
        else:
            self.outbox.put([native.report(self._topics.health, health)])

    def _feed_watchdog(self) -> None:
        """Tell systemd that all is well, unless a thread stands still."""
        silent = self.progress.silent()
        if silent:
            if set(silent) == self._blamed:  # said already; it goes on until systemd ends it, or for ever without one
                return
            self._blamed = set(silent)
            _log.error("standing still: %s", ", ".join(f"{name} for {age_s:.0f} s" for name, age_s in silent.items()))
            return
        self._blamed = set()
        self.notifier.alive()
        online = sum(capture.status().online for capture, _meter in self.cameras.values())
        broker = "connected" if self.deliverer.connected else "not connected"
        self.notifier.status(f"{online} of {len(self.cameras)} cameras online, broker {broker}")
