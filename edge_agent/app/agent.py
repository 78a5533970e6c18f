"""The daemon: objects become threads, and threads come to an orderly stop.

One camera is two threads (capture, pipeline) with `Latest` between them; all cameras share one model and one outbox;
one more thread delivers; the caller's thread watches over them.
"""

from __future__ import annotations

import functools
import logging
import os
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass, field

from edge_agent.app.asked import new_run_id
from edge_agent.app.brokers import clear_ghosts, delivery_brokers, trigger_brokers
from edge_agent.app.homeassistant import announcer_of, subscriptions
from edge_agent.app.models import load_model
from edge_agent.app.office import build_office, configured
from edge_agent.app.pipelines import almanac_of, build_pipeline
from edge_agent.camera_line import Dial, Line
from edge_agent.commands.office import Office
from edge_agent.commands.reload import Reload
from edge_agent.config import CameraSettings, Settings
from edge_agent.edges import allocator, mqtt
from edge_agent.edges.clock import Backoff, Clock, SystemClock
from edge_agent.edges.deliver import Deliverer
from edge_agent.edges.homeassistant import Announcer
from edge_agent.edges.inference import engines
from edge_agent.edges.latest import Latest
from edge_agent.edges.mqtt import Brokers
from edge_agent.edges.notebook import Page
from edge_agent.edges.outbox import Outbox
from edge_agent.edges.sources import open_source
from edge_agent.edges.sources.chosen import DecoderNotes
from edge_agent.edges.sources.supervised import Capture
from edge_agent.edges.systemd import Notifier
from edge_agent.edges.triggers import ways_of
from edge_agent.edges.triggers.trigger import Listening, Triggers
from edge_agent.edges.turns import Looks, Turns, places_for
from edge_agent.errors import PassingError
from edge_agent.health import Meter, Progress
from edge_agent.records import Frame
from edge_agent.stages.detect.filters import Filters
from edge_agent.stages.encode.native import Names
from edge_agent.stages.gate.external import Attention, ExternalGate
from edge_agent.stages.gate.packets import PacketGate
from edge_agent.stages.track.tracker import Tracker
from edge_agent.supervise import Supervisor, capture_thread, start_thread, topics_of
from edge_agent.tools import nuisance as maps
from edge_agent.tools import trails
from edge_agent.tools.trails import Keep
from edge_agent.vision import Vision

_log = logging.getLogger(__name__)

_STOP_S = 20.0
"""How long to wait for threads of a kind to end; three times this is less than the unit's TimeoutStopSec."""

_STEP_S = 300.0
_SILENCE_S = 30.0
"""How long a thread may be silent, beyond what it may lawfully wait for, before the watchdog is no longer fed."""


def _packet_gate(camera: CameraSettings, attention: Attention | None, dial: Dial) -> PacketGate | ExternalGate:
    if attention is not None:
        return ExternalGate(camera.gate, attention)
    return PacketGate(camera.gate, dial.now.rate_hz, camera.mask)  # another rate counts from the next connection on


@dataclass(kw_only=True)
class Agent:
    """The daemon: every camera of a configuration, until told to stop or until all recordings are over.

    Attributes:
        settings: the configuration.
        clock: tells the time.
        notifier: tells systemd.
        run_id: of this start.
        reload: what is to come after this run.
        begun: whether it has come so far that cameras are captured.
    """

    settings: Settings
    clock: Clock = field(default_factory=SystemClock)
    notifier: Notifier = field(default_factory=lambda: Notifier(os.environ))
    run_id: str = field(default_factory=new_run_id)
    reload: Reload = field(default_factory=Reload)
    begun: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        """Prepare what every thread shares."""
        self._topics = topics_of(self.settings)
        self._progress = Progress(self.clock.monotonic_s)

    def run(self, stop: threading.Event) -> None:
        """Run until `stop` is set, every recording is over, or another configuration is to come.

        Raises:
            FatalError: the configuration or the model is wrong; nothing was begun.
            StorageError: the outbox cannot be opened.
        """
        allocator.give_back_pictures()
        mqtt.check_files(self.settings.mqtt)
        vision = load_model(self.settings, functools.partial(self._tunes, stop))
        engines.prune(self.settings.outbox.path.parent, vision.engines)
        turns = Turns(places_for(vision.threads), self.clock)
        outbox = Outbox(self.settings.outbox, self.clock)
        done = threading.Event()  # of this run alone: `stop` may be for several
        try:
            notebook = maps.notebook_in(self.settings.outbox.path.parent, self.clock)
            pages = notebook.read()
            files = trails.open_trails(self.settings.explain, self.settings.outbox.path.parent, self.clock)
            keep = trails.keep_in(files) if files else None
            announcer = announcer_of(self.settings, outbox, self.clock)
            cameras = self.settings.cameras
            lines = {camera.id: self._line(camera, vision, turns, outbox, pages, keep, done) for camera in cameras}
            brokers = delivery_brokers(self.settings, self.clock)
            office = build_office(self.settings, lines, outbox, self.clock, self.reload)
            supervisor = Supervisor(
                settings=self.settings,
                run_id=self.run_id,
                vision=vision,
                lines=lines,
                notebook=notebook,
                trails=files,
                turns=turns,
                outbox=outbox,
                deliverer=self._deliverer(outbox, brokers, office, announcer),
                announcer=announcer,
                brokers=brokers,
                progress=self._progress,
                office=office,
                reload=self.reload,
                start_capture=lambda camera: self._start(capture_thread(camera), lines[camera].capture.run),
                clock=self.clock,
                notifier=self.notifier,
            )
            self._run_threads(tuple(lines.values()), supervisor, stop, done)
        finally:
            outbox.close()

    def _tunes(self, stop: threading.Event, words: str) -> None:
        """Tell of each step of tuning, of which none takes longer than a minute or two on a slow board."""
        _log.debug("%s", words)
        if stop.is_set():
            raise PassingError("told to stop before it was tuned")
        self.notifier.still_starting(_STEP_S)

    def _line(  # noqa: PLR0913, PLR0917  (all that a camera shares with others)
        self,
        camera: CameraSettings,
        vision: Vision,
        turns: Turns,
        outbox: Outbox,
        pages: Mapping[str, Page],
        keep: Keep | None,
        stop: threading.Event,
    ) -> Line:
        latest: Latest[Frame] = Latest()
        meter = Meter(time.perf_counter)
        dial = Dial(now=configured(camera, vision.threshold))
        names = Names(topics=self._topics, camera=camera.id, run_id=self.run_id)
        settings = camera.capture
        triggers = Triggers(camera.id, self.clock)
        times = triggers.times if camera.gate.mode == "external" else None
        attention = Attention(camera.gate, times) if times else None  # the capture's; the pipeline has its own
        decoder = DecoderNotes(requested=settings.decoder)
        capture = Capture(
            name=camera.id,
            open_source=functools.partial(
                open_source,
                camera.source,
                settings,
                self.clock,
                stop,
                pace="real_time",
                picture=camera.picture,
                new_gate=functools.partial(_packet_gate, camera, attention, dial),
                decoder=decoder,
            ),
            slot=latest,
            settings=settings,
            clock=self.clock,
            stop=stop,
            backoff=Backoff(first_s=settings.retry_first_s, cap_s=settings.retry_cap_s, uniform=random.uniform),
            beat=self._progress.watch(capture_thread(camera.id), _SILENCE_S + 2 * settings.stall_s),
            decoder=lambda: decoder.status,
            enabled=camera.enabled,
        )
        beat = self._progress.watch(f"pipeline of {camera.id}", _SILENCE_S)
        looks = Looks(
            turns=turns,
            clock=self.clock,
            rate_hz=camera.detect.rate_hz,
            weight=camera.detect.weight,
            dropped=lambda: latest.dropped,
            beat=beat,
        )
        filters, tracker = Filters(camera.detect.filters), Tracker(camera.track)
        nuisance = maps.map_of(camera.id, camera.detect.labels, pages, self.clock)
        return Line(
            camera=camera,
            dial=dial,
            capture=capture,
            triggers=triggers,
            looks=looks,
            latest=latest,
            filters=filters,
            tracker=tracker,
            nuisance=nuisance,
            pipeline=build_pipeline(
                camera,
                vision,
                names,
                meter,
                looks=looks,
                times=times,
                almanac=almanac_of(self.settings),
                filters=filters,
                tracker=tracker,
                nuisance=nuisance,
                keep=keep,
            ),
            meter=meter,
            outbox=outbox,
            clock=self.clock,
            beat=beat,
        )

    def _deliverer(self, outbox: Outbox, brokers: Brokers, office: Office, announcer: Announcer) -> Deliverer:
        settings = self.settings.mqtt
        return Deliverer(
            outbox=outbox,
            connect=brokers.connect,
            clock=self.clock,
            settings=settings,
            backoff=Backoff(first_s=settings.retry_first_s, cap_s=settings.retry_cap_s, uniform=random.uniform),
            subscriptions=(*office.subscriptions(), *subscriptions(self.settings, announcer)),
            beat=self._progress.watch(
                "delivery", _SILENCE_S + 4 * settings.ack_timeout_s
            ),  # two versions, each asked twice,
        )

    def _listenings(self, lines: Sequence[Line]) -> list[Listening]:
        settings = self.settings.mqtt
        cameras = [(line.camera.id, line.triggers, line.camera.triggers) for line in lines if line.camera.enabled]
        connect = trigger_brokers(self.settings, self.clock).connect
        return [
            Listening(
                way=way,
                clock=self.clock,
                backoff=Backoff(first_s=settings.retry_first_s, cap_s=settings.retry_cap_s, uniform=random.uniform),
                patience_s=settings.retry_cap_s,
                beat=self._progress.watch(way.name, _SILENCE_S + 5 * settings.ack_timeout_s),  # and to subscribe
            )
            for way in ways_of(cameras, self.settings.webhook, connect, self.clock)
        ]

    def _run_threads(
        self, lines: Sequence[Line], supervisor: Supervisor, stop: threading.Event, done: threading.Event
    ) -> None:
        stop_delivery = threading.Event()
        supervisor.office.open()
        self.begun = True
        delivery = self._start("delivery", lambda: supervisor.deliverer.run(stop_delivery))
        captures = {line.camera.id: supervisor.start_capture(line.camera.id) for line in lines}
        pipelines = [self._start(f"pipeline of {line.camera.id}", line.run_pipeline) for line in lines]
        ghosts = self._ghosts(supervisor, done)
        listeners = [self._start(one.way.name, functools.partial(one.run, done)) for one in self._listenings(lines)]
        commands = self._commands(supervisor.office, done)
        try:
            supervisor.watch(captures, pipelines, (delivery, commands, ghosts, *listeners), stop)
        finally:
            done.set()  # captures end, then the pipelines, which still have something to say
            wait(captures.values(), _STOP_S)
            for camera, capture in captures.items():
                if not capture.done():
                    _log.warning("%s hangs in a library; the stop goes on without it", capture_thread(camera))
            for line in lines:
                line.latest.close()  # of a capture that hangs in a library, too
            supervisor.turns.close()
            wait([*pipelines, commands, *(listeners if self.reload.settings else ())], _STOP_S)
            supervisor.keep_learnt(at_once=True)
            supervisor.keep_trails(at_once=True)
            supervisor.say_states()
            stop_delivery.set()
            wait([delivery], _STOP_S)
        for thread in (*captures.values(), *pipelines, delivery, commands, ghosts, *listeners):
            if thread.done():
                thread.result()  # what went wrong there goes wrong here: the process ends, and systemd starts it again

    def _commands(self, office: Office, done: threading.Event) -> Future[None]:
        beat = self._progress.watch("commands", _SILENCE_S)
        return self._start("commands", lambda: office.run(done, beat))

    def _ghosts(self, supervisor: Supervisor, done: threading.Event) -> Future[None]:
        beat = self._progress.watch("ghost topics", _SILENCE_S + 5 * self.settings.mqtt.ack_timeout_s)
        call = functools.partial(
            clear_ghosts, self.settings, supervisor.brokers, supervisor.outbox, self.clock, beat, done
        )
        return self._start("ghost topics", call)

    def _start(self, name: str, call: Callable[[], None]) -> Future[None]:
        return start_thread(name, call, self._progress)
