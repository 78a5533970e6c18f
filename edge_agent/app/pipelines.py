"""The stages of one camera, wired: for the daemon and for a recording."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable

from edge_agent.config import CameraSettings, Settings
from edge_agent.edges.almanac import Almanac
from edge_agent.edges.turns import Looks
from edge_agent.errors import ConfigError
from edge_agent.health import Meter
from edge_agent.pipeline import Pipeline
from edge_agent.records import Detections, Frame, InForce, Motion, Step
from edge_agent.stages.detect.filters import Filters
from edge_agent.stages.encode import native
from edge_agent.stages.encode.native import Names
from edge_agent.stages.gate.external import Times
from edge_agent.stages.gate.motion import Gate
from edge_agent.stages.mask import Mask
from edge_agent.stages.nuisance.map import NuisanceMap
from edge_agent.stages.rules.rules import Rules
from edge_agent.stages.rules.schedule import Schedule
from edge_agent.stages.track.tracker import Tracker
from edge_agent.stages.trail.entries import Confirming
from edge_agent.stages.trail.trail import Asked, Trail
from edge_agent.supervise import topics_of
from edge_agent.tools.trails import Keep
from edge_agent.vision import Vision


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

    def adjust(in_force: InForce) -> None:
        detector.set_threshold(in_force.threshold)
        gate.set_rate(in_force.rate_hz)
        if looks is not None:
            looks.set_rate(in_force.rate_hz)
        if trail is not None:
            trail.set_thresholds(_thresholds(camera, in_force.threshold))

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
        adjust=adjust,
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
        rest=_resting(trail, keep),
        encode=functools.partial(native.encode, names=names),
    )


def _resting(trail: Trail | None, keep: Keep | None) -> Callable[[Frame | None], None]:
    """What notes that a frame came at which nobody was to look."""

    def rest(frame: Frame | None) -> None:
        if trail is not None and keep is not None:
            keep(trail.rest(frame))

    return rest


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


def almanac_of(settings: Settings) -> Almanac:
    """What knows the device's clock on the wall, and its sun.

    Raises:
        ConfigError: there is no such time zone.
    """
    return Almanac(settings.device.timezone, settings.device.location)


def _asked(camera: CameraSettings, vision: Vision) -> Asked:
    """What a camera's settings ask for, as far as its trail tells of it."""
    labels, track = camera.detect.labels, camera.track
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
        thresholds=_thresholds(camera, vision.threshold),
        zones={rule.name: rule.zone for rule in camera.rules},
        external=camera.gate.mode == "external",
    )


def _thresholds(camera: CameraSettings, threshold: float) -> dict[str, float]:
    """Of each label that a camera looks for, the least score of a detection."""
    return {label: camera.detect.thresholds.get(label, threshold) for label in camera.detect.labels}


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
