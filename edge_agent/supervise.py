"""Watching over the threads: says how they do, feeds the watchdog while all of them move on, and notices the end."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from edge_agent import reports
from edge_agent.camera_line import Line
from edge_agent.commands.office import Office
from edge_agent.commands.reload import Reload
from edge_agent.config import Settings
from edge_agent.edges.clock import Clock
from edge_agent.edges.deliver import Deliverer
from edge_agent.edges.homeassistant import Announcer
from edge_agent.edges.mqtt import Brokers
from edge_agent.edges.notebook import Notebook
from edge_agent.edges.outbox import Outbox
from edge_agent.edges.sources.supervised import LeftBehindError, State
from edge_agent.edges.systemd import Notifier
from edge_agent.edges.trail import TrailFiles
from edge_agent.edges.triggers.trigger import TriggerState
from edge_agent.edges.turns import Turns
from edge_agent.errors import StorageError
from edge_agent.health import Load, Progress, Tally
from edge_agent.stages.commands.changes import Change
from edge_agent.stages.encode import native
from edge_agent.stages.encode.topics import Topics
from edge_agent.vision import Vision

_log = logging.getLogger(__name__)

_TICK_S = 1.0
_REPORT_EVERY_S = 30.0
RELOAD_S = 900.0
"""To stop, load a model that may have to be compiled for this machine, and begin: no sign of life comes meanwhile."""

_NAMED = 5  # of many cameras those that suffer most; health tells of all
_AGAINST_OVERLOAD = (
    "lower detect.rate_hz, detect.zoom and detect.tile or the size and rate that the cameras send, choose a smaller "
    "model or model.input, "
    "or give a larger detect.weight to what matters most"
)


def capture_thread(camera: str) -> str:
    """What the thread that captures a camera is called where its beats are watched."""
    return f"capture of {camera}"


def topics_of(settings: Settings) -> Topics:
    """The topics of the device that is configured."""
    return Topics(prefix=settings.mqtt.prefix, device=settings.device.id)


def start_thread(name: str, call: Callable[[], None], progress: Progress) -> Future[None]:
    """Run something in a thread that the process's end does not wait for, should it hang in a library."""
    future: Future[None] = Future()

    def work() -> None:
        try:
            call()
        except LeftBehindError:  # its name, its beat and its future are another thread's
            _log.warning("%s: a thread that hung has come back and ended", name)
            return
        except BaseException as error:  # noqa: BLE001  (handed to the main thread, which raises it)
            _log.error("%s failed: %s: %s", name, type(error).__name__, error)
            future.set_exception(error)
        else:
            future.set_result(None)
        progress.forget(name)  # nobody waits for its beat any more

    threading.Thread(target=work, name=name, daemon=True).start()
    return future


@dataclass(kw_only=True, eq=False)
class Supervisor:
    """What the main thread does while the others work.

    Attributes:
        settings: the configuration.
        run_id: of this start.
        vision: the model in use.
        lines: the cameras, by their ids.
        notebook: where it is kept what was learnt of their places.
        trails: where their trails are kept; None when they are not.
        turns: where they wait for each other.
        outbox: where states and reports go.
        deliverer: who takes them on.
        announcer: who tells Home Assistant what there is.
        brokers: where to.
        progress: whether every thread moves on.
        office: what others ask for, and what was changed by that.
        reload: what is to come after this run.
        start_capture: begins a thread that captures a camera, given its id.
        clock: tells the time.
        notifier: tells systemd.
    """

    settings: Settings
    run_id: str
    vision: Vision
    lines: Mapping[str, Line]
    notebook: Notebook
    trails: TrailFiles | None
    turns: Turns
    outbox: Outbox
    deliverer: Deliverer
    announcer: Announcer
    brokers: Brokers
    progress: Progress
    office: Office
    reload: Reload
    start_capture: Callable[[str], Future[None]]
    clock: Clock
    notifier: Notifier

    def __post_init__(self) -> None:
        """Note when it began."""
        self._topics = topics_of(self.settings)
        self._started_s = self.clock.monotonic_s()
        self._blamed: set[str] = set()
        self._unsaid: set[str] = set()
        self._load = Load(self.turns.places, self.clock.utc_ns)

    def watch(
        self,
        captures: dict[str, Future[None]],
        pipelines: Sequence[Future[None]],
        beside: Sequence[Future[None]],
        stop: threading.Event,
    ) -> None:
        """Watch until told to stop, a thread fails, or every camera was a recording that is over.

        Args:
            captures: the thread of each camera, by its id; one that hangs is replaced there.
            pipelines: the threads to the right of them.
            beside: threads that end with the agent only: delivery, and those that listen for triggers.
            stop: ends it.
        """
        self.outbox.put([native.status(self._topics.status, online=True), *self.reload.done()])
        self.say_states()
        self._report()
        self.notifier.ready()
        report_due_s, reported = self._started_s + _REPORT_EVERY_S, self._news()
        while not self.clock.wait(stop, _TICK_S):
            self.say_states()
            self.announcer.step(connected=self.deliverer.connected)
            self._note_load()
            self.keep_learnt()
            self.keep_trails()
            if self.clock.monotonic_s() >= report_due_s or self._news() != reported:
                report_due_s, reported = self.clock.monotonic_s() + _REPORT_EVERY_S, self._news()
                self._report()
            self._replace_hanging(captures)
            self._feed_watchdog()
            if self._is_to_reload():
                return
            work = (*captures.values(), *pipelines)
            if any(thread.done() and thread.exception() for thread in (*work, *beside)):
                break
            if all(thread.done() for thread in work) and {state for state, _since in self._states()} != {"disabled"}:
                _log.info("every recording is over")
                break
        self.notifier.stopping()

    def _is_to_reload(self) -> bool:
        """Whether somebody wants another configuration, and has one that is right."""
        if self.reload.asked_by_signal():
            self.notifier.reloading(RELOAD_S)
            if self.reload.ask() is not None:
                self.notifier.ready()
        if self.reload.settings is None:
            return False
        _log.info("beginning again with the configuration as it is now")
        self.notifier.reloading(RELOAD_S)
        return True

    def say_states(self) -> None:
        """Say of each camera whether it is there."""
        self.outbox.put(
            [
                reports.camera_status(self._topics.camera_status(camera), line.capture.status())
                for camera, line in self.lines.items()
            ]
        )

    def keep_learnt(self, *, at_once: bool = False) -> None:
        """Write down what was learnt of the cameras' places, if it is time to."""
        maps = {camera: line.nuisance for camera, line in self.lines.items()}
        times_added = sum(one.times_added for one in maps.values())
        try:
            self.notebook.keep(
                times_added, lambda: {camera: one.learnt.to_json() for camera, one in maps.items()}, at_once=at_once
            )
        except StorageError as error:  # it is learnt all the same, and lost with the next restart
            _log.warning("%s", error)

    def keep_trails(self, *, at_once: bool = False) -> None:
        """Write down what explains what was said, if it is time to."""
        if self.trails is None:
            return
        try:
            self.trails.write(at_once=at_once)
        except StorageError as error:  # an agent that cannot explain itself goes on
            _log.warning("%s", error)

    def _states(self) -> list[tuple[State, int]]:
        """The state of each camera and since when, so that a change and back between two looks shows."""
        statuses = [line.capture.status() for line in self.lines.values()]
        return [(status.state, status.since_utc_ns) for status in statuses]

    def _news(self) -> tuple[list[tuple[State, int]], list[TriggerState], bool, tuple[Change, ...]]:
        """What is reported as soon as it changes."""
        triggers = [line.triggers.status().state for line in self.lines.values()]
        return self._states(), triggers, self._load.overloaded, self.office.changes.now

    def _note_load(self) -> None:
        """Count what is given up, and log it when that begins to be too much and when it is over."""
        looks = {camera: line.looks.status() for camera, line in self.lines.items()}
        tallies = {camera: Tally(wanted=one.wanted, given_up=one.given_up) for camera, one in looks.items()}
        if not self._load.note(self.clock.monotonic_s(), self.turns.taken_s(), tallies):
            return
        if self._load.overloaded:
            lately = sorted(self._load.lately().items(), key=lambda each: -each[1].given_up)
            shares = ", ".join(
                f'"{camera}" {one.given_up} of {one.wanted}' for camera, one in lately[:_NAMED] if one.given_up
            )
            _log.warning("the machine is too slow, looks are given up, lately %s; %s", shares, _AGAINST_OVERLOAD)
        else:
            _log.info("the machine is fast enough again: hardly any look is given up")

    def _report(self) -> None:
        """Say how the agent does and what it is made of; the outbox holds back what has not changed."""
        statuses = {camera: line.capture.status() for camera, line in self.lines.items()}
        capabilities = reports.capabilities(self.settings, self.vision, statuses, self.clock)
        self._put_report(self._topics.capabilities, capabilities)
        try:
            health = reports.health(
                clock=self.clock,
                started_s=self._started_s,
                run_id=self.run_id,
                cameras={camera: line.health() for camera, line in self.lines.items()},
                load=self._load,
                outbox=self.outbox,
                deliverer=self.deliverer,
                broker=self.brokers.status,
                commands=self.office.report(),
            )
        except StorageError as error:  # a disk that cannot be read now is no reason to stop watching
            _log.warning("no health report: %s", error)
        else:
            self._put_report(self._topics.health, health)

    def _put_report(self, topic: str, content: Mapping[str, Any]) -> None:
        """Say it; of more cameras than fit into a message, nothing is said, once for all."""
        if message := reports.fitting(topic, content):
            self.outbox.put([message])
        elif topic not in self._unsaid:
            self._unsaid.add(topic)
            _log.warning("%s is not sent: %d cameras do not fit into a message", topic, len(content["cameras"]))

    def _replace_hanging(self, captures: dict[str, Future[None]]) -> None:
        """Let another thread capture where one hangs in a library; of too many, the watchdog is told instead."""
        silent = self.progress.silent()
        for camera, line in self.lines.items():
            if (capture_thread(camera) in silent or line.capture.is_late_to_begin) and line.capture.leave_behind():
                captures[camera] = self.start_capture(camera)

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
        presences = [line.capture.status().presence for line in self.lines.values()]
        online, wanted = presences.count("online"), len(presences) - presences.count("disabled")
        broker = "connected" if self.deliverer.connected else "not connected"
        self.notifier.status(f"{online} of {wanted} cameras online, broker {broker}")
