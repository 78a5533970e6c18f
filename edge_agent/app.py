"""WIRING: settings become objects, objects become threads, threads come to an orderly stop.

The only module that knows all others. One camera is two threads (capture, pipeline) with `Latest` between them; all
cameras share one model and one outbox; one more thread delivers; the caller's thread watches over them.
"""

from __future__ import annotations

import functools
import hashlib
import logging
import os
import random
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, wait
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from pydantic import ValidationError

from edge_agent import clips
from edge_agent.camera_line import Line
from edge_agent.config import CameraSettings, Settings, fingerprint
from edge_agent.edges import allocator, mqtt
from edge_agent.edges.almanac import Almanac
from edge_agent.edges.broker import embedded_broker
from edge_agent.edges.clock import Backoff, Clock, SystemClock
from edge_agent.edges.deliver import Deliverer
from edge_agent.edges.inference import engines
from edge_agent.edges.latest import Latest
from edge_agent.edges.mqtt import Listener, MqttSettings
from edge_agent.edges.notebook import Page
from edge_agent.edges.outbox import Outbox, OutboxReader
from edge_agent.edges.sources import open_source
from edge_agent.edges.sources.chosen import DecoderNotes
from edge_agent.edges.sources.source import PIPELINE, Recording, Source, redact
from edge_agent.edges.sources.supervised import Capture, CaptureSettings
from edge_agent.edges.systemd import Notifier
from edge_agent.edges.triggers import ways_of
from edge_agent.edges.triggers.trigger import Listening, Triggers
from edge_agent.edges.turns import Looks, Turns, places_for
from edge_agent.errors import ConfigError, ModelError, PassingError, SourceError
from edge_agent.health import Meter, Progress
from edge_agent.pipeline import Pipeline
from edge_agent.records import Detections, Frame, Motion, Step
from edge_agent.stages.detect.filters import Filters
from edge_agent.stages.encode import native
from edge_agent.stages.encode.native import Names
from edge_agent.stages.gate.external import Attention, ExternalGate, Times
from edge_agent.stages.gate.motion import Gate
from edge_agent.stages.gate.packets import PacketGate
from edge_agent.stages.mask import Mask
from edge_agent.stages.nuisance.map import NuisanceMap
from edge_agent.stages.rules.rules import Rules
from edge_agent.stages.rules.schedule import Schedule
from edge_agent.stages.track.tracker import Tracker
from edge_agent.stages.trail.entries import Confirming
from edge_agent.stages.trail.trail import Asked, Trail
from edge_agent.supervise import Supervisor, capture_thread, start_thread, topics_of
from edge_agent.tools import nuisance as maps
from edge_agent.tools import trails, tuned
from edge_agent.tools.threads import Demand
from edge_agent.tools.trails import Keep
from edge_agent.vision import Vision, load_vision

_log = logging.getLogger(__name__)

_STOP_S = 20.0
"""How long to wait for threads of a kind to end; three times this is less than the unit's TimeoutStopSec."""

_STEP_S = 300.0
_RUN_ID_BYTES = 8  # even ten thousand boxes that start ten times a day for ten years hardly meet the same one twice
_CHUNK_BYTES = 1 << 20
_SILENCE_S = 30.0
"""How long a thread may be silent, beyond what it may lawfully wait for, before the watchdog is no longer fed."""


def build_pipeline(  # noqa: PLR0913  (a pipeline is that many stages, and some of them are asked how they do)
    camera: CameraSettings,
    vision: Vision,
    names: Names,
    meter: Meter,
    *,
    looks: Looks | None = None,
    times: Times | None = None,
    almanac: Almanac | None = None,
    filters: Filters | None = None,
    tracker: Tracker | None = None,
    nuisance: NuisanceMap | None = None,
    keep: Keep | None = None,
) -> Pipeline:
    """Wire the stages of one camera.

    Args:
        camera: its settings.
        vision: the model.
        names: who speaks, in what is said.
        meter: what durations are noted in.
        looks: where looks wait for their turn; without, nobody waits.
        times: tells when triggers came, where it goes by these.
        almanac: what its schedules go by; this machine's clock without.
        filters: those of the camera, where somebody wants to know what they took.
        tracker: that of the camera, where somebody wants to know whether the scene has changed.
        nuisance: what learns which places cry wolf, where somebody wants to know.
        keep: what keeps its trail; without, it has none.

    Raises:
        ConfigError: the camera looks for a label that the model does not know, or goes by the sun of nowhere.
    """
    try:
        detector = vision.detector(camera.detect)
    except ValueError as error:
        raise ConfigError(f'camera "{camera.id}": detect.labels: {error}') from error
    gate = Gate(camera.gate, camera.detect.rate_hz, camera.mask, times)
    filters = filters or Filters(camera.detect.filters)
    nuisance = nuisance or NuisanceMap(camera.detect.labels)
    tracker = tracker or Tracker(camera.track)
    schedules = _schedules(camera, almanac or Almanac(None, None))
    trail = Trail(names.run_id, camera.id, _asked(camera, vision)) if keep else None
    rules = Rules(
        camera.detect.labels,
        camera.zones,
        camera.lines,
        camera.rules,
        schedules=schedules,
        note=trail.weigh if trail else None,
        ground=camera.ground,
    )

    def look(frame: Frame, motion: Motion) -> Detections:
        return detector.detect(frame, motion.regions)

    def forget() -> None:
        gate.forget()
        tracker.forget()
        nuisance.forget()

    def trace(step: Step) -> None:
        if trail is not None and keep is not None:
            is_sifted = step.found is not None and step.kept is not step.found
            sifted = filters.explain(step.found, step.frame) if step.found is not None and is_sifted else ()
            keep(trail.trace(step, rules.zones_since_s, sifted))

    timed_look = meter.timed("detect", look)
    return Pipeline(
        blank=Mask(camera.mask).blank,
        begin=rules.begin,
        observe=meter.timed("gate", gate.observe),
        detect=looks.in_turn(timed_look) if looks else timed_look,
        sift=filters.sift,
        update=meter.timed("track", tracker.update),
        note=nuisance.note,
        forget=forget,
        evaluate=meter.timed("rules", rules.evaluate),
        conclude=rules.finish,
        trace=trace,
        encode=functools.partial(native.encode, names=names),
    )


def _asked(camera: CameraSettings, vision: Vision) -> Asked:
    """What a camera's settings ask for, as far as its trail tells of it."""
    labels, thresholds, track = camera.detect.labels, camera.detect.thresholds, camera.track
    least = {label: track.least_scores(label) for label in labels}
    return Asked(
        confirm={
            label: Confirming(
                hits=track.confirm_hits,
                seconds=track.confirm_s,
                score=median,
                top=top,
            )
            for label, (median, top) in least.items()
        },
        thresholds={label: thresholds.get(label, vision.threshold) for label in labels},
        zones={rule.name: rule.zone for rule in camera.rules},
        external=camera.gate.mode == "external",
    )


def _schedules(camera: CameraSettings, almanac: Almanac) -> dict[str, Callable[[int], bool]]:
    """When each line and rule of a camera that has a schedule speaks, by its name."""
    written = [(name, line.schedule) for name, line in camera.lines.items()]
    written += [(rule.name, rule.schedule) for rule in camera.rules]
    schedules: dict[str, Callable[[int], bool]] = {
        name: Schedule(windows, almanac).is_open for name, windows in written if windows
    }
    for is_open in schedules.values():
        is_open(0)  # what it needs and is not there is said now, and not in the middle of the night
    return schedules


def load_model(settings: Settings, tunes: Callable[[str], None] | None = None) -> Vision:
    """Load the model as it was tuned for this machine, where the configuration allows that.

    Args:
        settings: the configuration.
        tunes: is told how it goes when the model has to be tuned first, with the built-in clip; None not to.

    Raises:
        ModelError: it is missing, damaged, not understood, or cannot do what the settings ask of it.
        RuntimeMissingError: its runtime is not installed.
    """
    state, demand = settings.outbox.path.parent, demand_of(settings)
    if tunes is None:
        model, why = tuned.tuned_model(settings.model, demand, state)
    else:
        model, why = tuned.tuned_model(settings.model, demand, state, _built_in_frames, tunes)
    if why is None:
        return load_vision(model, state)
    try:
        vision = load_vision(model, state)
    except ModelError as error:
        _log.warning("the model is used as it is configured, for what was chosen cannot be used any more: %s", error)
        return load_vision(settings.model, state)
    is_chosen = model.provider != settings.model.provider
    return replace(vision, tuned=why, provider_why=tuned.CHOSEN if is_chosen else vision.provider_why)


def _built_in_frames() -> Iterator[Frame | None]:
    return open_recording(clips.PEDESTRIANS).frames()


def demand_of(settings: Settings) -> Demand:
    """What the cameras want of the model; those that are not enabled look at nothing, unless none is."""
    looks = [camera.detect for camera in settings.cameras if camera.enabled] or [
        camera.detect for camera in settings.cameras
    ]
    return Demand(
        labels=tuple(sorted({label for camera in settings.cameras for label in camera.detect.labels})),
        looks_hz=sum(one.rate_hz * one.most_runs for one in looks),
        rate_hz=max(one.rate_hz * one.most_runs for one in looks),
    )


def camera_of(settings: Settings, name: str | None) -> CameraSettings:
    """The camera of that name; the first one for None.

    Raises:
        ConfigError: there is none.
    """
    for camera in settings.cameras:
        if name in {None, camera.id}:
            return camera
    raise ConfigError(f"--camera {name}: no such camera; there are: {', '.join(c.id for c in settings.cameras)}")


def build_replay(
    settings: Settings,
    camera: CameraSettings,
    vision: Vision,
    run_id: str,
    nuisance: NuisanceMap | None = None,
    keep: Keep | None = None,
) -> Pipeline:
    """Wire the stages of one camera for a recording, read by the caller; without triggers, so that motion opens."""
    names = Names(topics=topics_of(settings), camera=camera.id, run_id=run_id)
    meter = Meter(time.perf_counter)
    return build_pipeline(camera, vision, names, meter, nuisance=nuisance, almanac=almanac_of(settings), keep=keep)


def one_camera(clip: Path, model: str, detect: Mapping[str, Any]) -> Settings:
    """Make the settings of a device that has one camera, a recording, and a model given by name or file.

    Raises:
        ConfigError: a value is out of its range.
    """
    try:
        return Settings.model_validate(
            {
                "device": {"id": "local"},
                "model": {"path": model} if model.endswith((".onnx", ".tflite")) else {"name": model},
                "cameras": [{"id": "clip", "source": recording_url(clip), "detect": detect}],
            }
        )
    except ValidationError as error:
        wrong = error.errors()[0]
        raise ConfigError(f"{wrong['loc'][-1]}: {wrong['msg']}") from error


def almanac_of(settings: Settings) -> Almanac:
    """What knows the device's clock on the wall, and its sun.

    Raises:
        ConfigError: there is no such time zone.
    """
    return Almanac(settings.device.timezone, settings.device.location)


def new_run_id() -> str:
    """Name this start of the agent, never to be used again."""
    return secrets.token_hex(_RUN_ID_BYTES)


def replay_run_id(clip: Path, settings: Settings, begun_ns: int | None = None) -> str:
    """Name the replay of a clip with a configuration: the same for the same two, so that its events are the same.

    Args:
        clip: a file or a folder of pictures.
        settings: the configuration.
        begun_ns: when it is to have begun, nanoseconds since 1970; None for what it says itself.

    Raises:
        SourceError: the clip cannot be read.
    """
    digest = hashlib.sha256(fingerprint(settings).encode())
    if begun_ns is not None:
        digest.update(str(begun_ns).encode())
    try:
        for path in sorted(filter(Path.is_file, clip.iterdir())) if clip.is_dir() else [clip]:
            with path.open("rb") as file:
                while chunk := file.read(_CHUNK_BYTES):
                    digest.update(chunk)
    except OSError as error:
        why = "no such file" if isinstance(error, FileNotFoundError) else error.strerror
        raise SourceError(f"{recording_url(clip)} cannot be opened: {why}") from error
    return digest.hexdigest()[: 2 * _RUN_ID_BYTES]


def recording_url(clip: Path) -> str:
    """The address of a clip or a folder of pictures."""
    return f"{'images' if clip.is_dir() else 'file'}://{clip}"


def open_recording(clip: Path) -> Recording:
    """Open a clip or a folder of pictures, to be read as fast as it goes."""
    source = open_source(recording_url(clip), CaptureSettings(), SystemClock(), threading.Event(), pace="as_fast")
    return cast("Recording", source)


def open_pictures(address: str, stop: threading.Event) -> tuple[str, Source]:
    """Open a clip, a folder of pictures or a camera, by its path or its address, and name it without its secrets.

    Raises:
        ConfigError: no kind of source has such an address.
    """
    is_url = "://" in address or address.startswith(PIPELINE)
    url = address if is_url else recording_url(Path(address))
    name = redact(url) if is_url else Path(address).name
    return name, open_source(url, CaptureSettings(), SystemClock(), stop, pace="as_fast")


def open_camera(camera: CameraSettings, stop: threading.Event) -> Source:
    """Open a camera as it is configured, to be read as fast as it goes."""
    return open_source(camera.source, camera.capture, SystemClock(), stop, pace="as_fast", picture=camera.picture)


def demo_broker(folder: Path) -> AbstractContextManager[tuple[str, str]]:
    """Run a broker of our own on loopback: its name and its address; `folder` is for its configuration."""
    return embedded_broker(folder)


def listen(settings: MqttSettings, topic_filter: str) -> Listener:
    """Hear what is published."""
    return Listener(settings, topic_filter)


def open_outbox(path: Path) -> OutboxReader:
    """Look into an outbox that may be in use."""
    return OutboxReader(path)


def _packet_gate(camera: CameraSettings, attention: Attention | None) -> PacketGate | ExternalGate:
    if attention is not None:
        return ExternalGate(camera.gate, attention)
    return PacketGate(camera.gate, camera.detect.rate_hz, camera.mask)


@dataclass(kw_only=True)
class Agent:
    """The daemon: every camera of a configuration, until told to stop or until all recordings are over.

    Attributes:
        settings: the configuration.
        clock: tells the time.
        notifier: tells systemd.
        run_id: of this start.
    """

    settings: Settings
    clock: Clock = field(default_factory=SystemClock)
    notifier: Notifier = field(default_factory=lambda: Notifier(os.environ))
    run_id: str = field(default_factory=new_run_id)

    def __post_init__(self) -> None:
        """Prepare what every thread shares."""
        self._topics = topics_of(self.settings)
        self._progress = Progress(self.clock.monotonic_s)

    def run(self, stop: threading.Event) -> None:
        """Run until `stop` is set.

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
        try:
            notebook = maps.notebook_in(self.settings.outbox.path.parent, self.clock)
            pages = notebook.read()
            files = trails.open_trails(self.settings.explain, self.settings.outbox.path.parent, self.clock)
            keep = trails.keep_in(files) if files else None
            cameras = self.settings.cameras
            lines = {camera.id: self._line(camera, vision, turns, outbox, pages, keep, stop) for camera in cameras}
            supervisor = Supervisor(
                settings=self.settings,
                run_id=self.run_id,
                vision=vision,
                lines=lines,
                notebook=notebook,
                trails=files,
                turns=turns,
                outbox=outbox,
                deliverer=self._deliverer(outbox),
                progress=self._progress,
                start_capture=lambda camera: self._start(capture_thread(camera), lines[camera].capture.run),
                clock=self.clock,
                notifier=self.notifier,
            )
            self._run_threads(tuple(lines.values()), supervisor, stop)
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
                new_gate=functools.partial(_packet_gate, camera, attention),
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

    def _deliverer(self, outbox: Outbox) -> Deliverer:
        settings = self.settings.mqtt
        client_id = f"edge-agent-{self.settings.device.id}"
        will = native.status(self._topics.status, online=False)
        return Deliverer(
            outbox=outbox,
            connect=functools.partial(mqtt.reconnect, settings, client_id=client_id, will=will),
            clock=self.clock,
            settings=settings,
            backoff=Backoff(first_s=settings.retry_first_s, cap_s=settings.retry_cap_s, uniform=random.uniform),
            beat=self._progress.watch(
                "delivery", _SILENCE_S + 4 * settings.ack_timeout_s
            ),  # two versions, each asked twice,
        )

    def _listenings(self, lines: Sequence[Line]) -> list[Listening]:
        settings = self.settings.mqtt
        client_id = f"edge-agent-{self.settings.device.id}-triggers"
        cameras = [(line.camera.id, line.triggers, line.camera.triggers) for line in lines if line.camera.enabled]
        connect = functools.partial(mqtt.reconnect, settings, client_id=client_id, will=None)
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

    def _run_threads(self, lines: Sequence[Line], supervisor: Supervisor, stop: threading.Event) -> None:
        stop_delivery = threading.Event()
        delivery = self._start("delivery", lambda: supervisor.deliverer.run(stop_delivery))
        captures = {line.camera.id: supervisor.start_capture(line.camera.id) for line in lines}
        pipelines = [self._start(f"pipeline of {line.camera.id}", line.run_pipeline) for line in lines]
        listeners = [self._start(one.way.name, functools.partial(one.run, stop)) for one in self._listenings(lines)]
        try:
            supervisor.watch(captures, pipelines, (delivery, *listeners), stop)
        finally:
            stop.set()  # captures end, then the pipelines, which still have something to say
            wait(captures.values(), _STOP_S)
            for line in lines:
                line.latest.close()  # of a capture that hangs in a library, too
            supervisor.turns.close()
            wait(pipelines, _STOP_S)
            supervisor.keep_learnt(at_once=True)
            supervisor.keep_trails(at_once=True)
            supervisor.say_states()
            stop_delivery.set()
            wait([delivery], _STOP_S)
        for thread in (*captures.values(), *pipelines, delivery, *listeners):
            if thread.done():
                thread.result()  # what went wrong there goes wrong here: the process ends, and systemd starts it again

    def _start(self, name: str, call: Callable[[], None]) -> Future[None]:
        return start_thread(name, call, self._progress)
