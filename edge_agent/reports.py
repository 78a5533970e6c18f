"""What `P/health` and `P/capabilities` say: numbers, names and states, never a picture."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from typing import Any

import edge_agent
from edge_agent.config import Settings
from edge_agent.edges import host
from edge_agent.edges.clock import Clock
from edge_agent.edges.deliver import Deliverer
from edge_agent.edges.mqtt import BrokerStatus
from edge_agent.edges.outbox import Outbox
from edge_agent.edges.sources.chosen import DecoderStatus
from edge_agent.edges.sources.supervised import CaptureStatus
from edge_agent.edges.triggers.trigger import TriggerStatus
from edge_agent.edges.turns import LooksStatus
from edge_agent.health import Load, Meter, percentile_ms
from edge_agent.records import Message
from edge_agent.stages.encode import native
from edge_agent.stages.encode.native import iso_time
from edge_agent.stages.encode.words import MAX_NAME, one_line
from edge_agent.stages.nuisance.learnt import Learnt
from edge_agent.stages.nuisance.nuisances import Nuisance, nuisances
from edge_agent.stages.track.tracker import Scene
from edge_agent.vision import Vision

MOST_NUISANCES = 3
"""So many of those that cry wolf are shown, the worst: health of many cameras is one message."""

_BOX_DIGITS = 4

_DETAILS = ("nuisance", "filtered", "stages", "rules", "lines", "zones", "labels")
"""What is said of each camera and can be done without, the least needed first."""
_MOST_FPS = 1000.0  # two frames that came at once would be any number


def health(  # noqa: PLR0913  (all that can do well or badly)
    *,
    clock: Clock,
    started_s: float,
    run_id: str,
    cameras: Mapping[str, Mapping[str, Any]],
    load: Load,
    outbox: Outbox,
    deliverer: Deliverer,
    broker: BrokerStatus,
    commands: Mapping[str, Any],
) -> dict[str, Any]:
    """How the agent is doing; `cameras` are what `camera_health` says of each, `commands` what their office does."""
    waiting = outbox.stats()
    return {
        "uptime_s": round(clock.monotonic_s() - started_s, 1),
        "run_id": run_id,
        "time": iso_time(clock.utc_ns()),
        "time_synced": clock.utc_synced(),
        "memory_rss_bytes": host.memory_rss_bytes(),
        "temperature_celsius": host.temperature_celsius(),
        "load": {
            "places": load.places,
            "busy": round(min(load.busy, 1.0), 3),
            "overloaded": load.overloaded,
            "since": iso_time(load.since_utc_ns),
        },
        "cameras": dict(cameras),
        "outbox": {
            "waiting": waiting.waiting,
            "in_memory": waiting.in_memory,
            "bytes": waiting.bytes,
            "given_up": waiting.given_up,
            "dead": waiting.dead,
        },
        "mqtt": {
            "broker": None if broker.broker is None else one_line(broker.broker),
            "protocol": broker.protocol,
            "since": None if broker.since_utc_ns is None else iso_time(broker.since_utc_ns),
            "reason": one_line(deliverer.last_failure),
            **asdict(deliverer.counters),
        },
        "commands": {**commands, "answers_lost": waiting.answers_lost},
    }


def fitting(topic: str, content: Mapping[str, Any]) -> Message | None:
    """A report as a message; of very many cameras without the details of each that there is no room for.

    Returns:
        None where not even that fits into a state.
    """
    cameras = {camera: dict(told) for camera, told in content["cameras"].items()}
    for detail in ("", *_DETAILS):
        for told in cameras.values():
            if detail in told:
                told[detail] = type(told[detail])()
        with suppress(ValueError):
            return native.report(topic, {**content, "cameras": cameras})
    return None


def camera_status(topic: str, status: CaptureStatus) -> Message:
    """Whether a camera is there; why not, and since when, is in its health."""
    return Message(topic=topic, payload=status.presence.encode(), kind="state")


def camera_health(  # noqa: PLR0913  (all of a camera that can do well or badly)
    status: CaptureStatus,
    triggers: TriggerStatus,
    looks: LooksStatus,
    meter: Meter,
    *,
    taken: Mapping[str, Mapping[str, int]],
    scene: Scene,
    learnt: Learnt,
) -> dict[str, Any]:
    """How one camera is doing."""
    return {
        "state": status.state,
        "reason": one_line(status.reason),
        "since": iso_time(status.since_utc_ns),
        "fps": round(min(status.fps, _MOST_FPS), 2),
        "frames": status.frames,
        "drops": status.drops,
        "damaged": status.damaged,
        "decoder_failures": status.decoder.failures if status.decoder else 0,
        "reconnects": status.reconnects,
        "replaced": status.replaced,
        "width": status.width,
        "height": status.height,
        "triggers": {
            "state": triggers.state,
            "reason": one_line(triggers.reason),
            "heard": triggers.heard,
            "failures": triggers.failures,
            "last": None if triggers.last_utc_ns is None else iso_time(triggers.last_utc_ns),
        },
        "looks": {
            "wanted": looks.wanted,
            "given_up": looks.given_up,
            "wait_p50_ms": percentile_ms(looks.waits_s, 50) if looks.waits_s else None,
            "wait_p99_ms": percentile_ms(looks.waits_s, 99) if looks.waits_s else None,
        },
        "scene_change": {"held": scene.held, "count": scene.changes},
        "filtered": {label: dict(counts) for label, counts in taken.items()},
        "nuisance": [_nuisance(one) for one in nuisances(learnt)[:MOST_NUISANCES]],
        "stages": meter.snapshot(),
    }


def _nuisance(one: Nuisance) -> dict[str, Any]:
    return {
        "label": one.label,
        "box": [round(side, _BOX_DIGITS) for side in one.box],
        "times": one.times,
        "per_hour": one.per_hour,
        "passed": one.passed,
    }


def capabilities(
    settings: Settings, vision: Vision, cameras: Mapping[str, CaptureStatus], clock: Clock
) -> dict[str, Any]:
    """What the agent is made of; `cameras` tells of each which pictures are decoded, by what, and why."""
    return {
        "version": edge_agent.__version__,
        "device": {"id": settings.device.id, "name": one_line(settings.device.name or settings.device.id)},
        "model": {
            "name": one_line(vision.name, MAX_NAME),
            "family": vision.head.family,
            "sha256": vision.sha256,
            "input": list(vision.input_size),
            "ms": vision.ms,
            "memory_bytes": vision.memory_bytes,
            "threads": vision.threads,
            "tuned": None if vision.tuned is None else one_line(vision.tuned),
        },
        "provider": {
            "requested": settings.model.require_provider or settings.model.provider,
            "active": vision.provider,
            "why": one_line(vision.provider_why),
            "nodes": vision.nodes,
            "fallback_nodes": vision.fallback_nodes,
        },
        "cameras": {
            camera.id: {
                "labels": list(camera.detect.labels),
                "zones": list(camera.zones),
                "lines": list(camera.lines),
                "rules": [rule.name for rule in camera.rules],
                "gate": camera.gate.mode,
                "decodes": one_line(cameras[camera.id].basis),
                "clock": cameras[camera.id].stamped_by,
                "decoder": _decoder(cameras[camera.id].decoder),
            }
            for camera in settings.cameras
        },
        "time_synced": clock.utc_synced(),
    }


def _decoder(status: DecoderStatus | None) -> dict[str, str] | None:
    if status is None:
        return None
    return {"requested": status.requested, "active": status.active, "why": one_line(status.why)}
