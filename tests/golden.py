"""The golden payloads of the package, made anew by the real encoder; `python tests/golden.py` writes them.

Each stands in `edge_agent/schemas/examples/CHANNEL/NAME.json`, or `.txt` where it is a plain word, byte for byte as it
is sent. Commands, which others write, are written out here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import numpy as np
from builders import UTC_NS, frame_of, track_of
from fakes import FakeClock

from edge_agent import reports
from edge_agent.commands.desk import Desk
from edge_agent.config import Settings
from edge_agent.edges.deliver import DeliveryCounters
from edge_agent.edges.mqtt import BrokerStatus
from edge_agent.edges.outbox.stats import OutboxStats
from edge_agent.edges.sources.chosen import DecoderStatus
from edge_agent.edges.sources.supervised import CaptureStatus
from edge_agent.edges.triggers.trigger import TriggerStatus
from edge_agent.edges.turns import LooksStatus
from edge_agent.health import Load, Meter
from edge_agent.records import Count, Crossings, Event, Heard, Message, Moving, RuleKind, Said, Spoken
from edge_agent.stages.commands.command import CommandsSettings
from edge_agent.stages.encode import native
from edge_agent.stages.encode.channels import CHANNELS
from edge_agent.stages.encode.homeassistant import (
    SETTINGS,
    DiscoveryTopics,
    ShownCamera,
    ShownDevice,
    ShownRule,
    announce,
)
from edge_agent.stages.encode.native import Names
from edge_agent.stages.encode.topics import Topics
from edge_agent.stages.nuisance.learnt import Learnt
from edge_agent.stages.track.tracker import Scene
from edge_agent.tools.contract.schemas import FOLDER, SUFFIXES

TOPICS = Topics(prefix="edge", device="gate-pi")
RUN_ID = "b3c1f04a91d2e87c"
NAMES = Names(topics=TOPICS, camera="front", run_id=RUN_ID)

_SIZE = (1920, 1080)
_BOX = (806.4, 237.6, 1017.6, 831.6)  # 0.42 to 0.53 across, 0.22 to 0.77 down

Golden = dict[tuple[str, str], bytes]
"""Payloads by channel and name."""


def golden() -> Golden:
    """All of them."""
    return {
        **{("event", name): _encoded(event).payload for name, event in events().items()},
        ("late_event", "end"): _encoded(events()["end"]).payload,
        **_words(),
        ("health", "usual"): native.report(TOPICS.health, _health()).payload,
        ("health", "first"): native.report(TOPICS.health, _first_health()).payload,
        ("capabilities", "usual"): native.report(TOPICS.capabilities, _capabilities()).payload,
        **{("command", name): _written(content) for name, content in COMMANDS.items()},
        **{("command_result", name): payload for name, payload in _results().items()},
        **_discovery(),
        **{("birth", word): word.encode() for word in ("online", "offline")},
    }


def path_of(channel: str, name: str) -> Path:
    """Where a golden payload lies."""
    return FOLDER / "examples" / channel / f"{name}{SUFFIXES[CHANNELS[channel].media_type]}"


def _encoded(said: Said) -> Message:
    return native.encode(said, NAMES)


def _written(content: object) -> bytes:
    return json.dumps(content, separators=(",", ":")).encode()


def events() -> dict[str, Event]:
    """An event for each turn in an object's life, and for each kind of rule."""
    named = dict(_lives())
    rules = {
        "line_in": (("line_crossed",), Spoken(name="door", kind="line", direction="in")),
        "line_out": (("line_crossed",), Spoken(name="door", kind="line", direction="out")),
        "rule_zone_entered": (("zone_entered",), Spoken(name="visitor", kind="zone")),
        "rule_zone_left": (("zone_left",), Spoken(name="visitor", kind="zone")),
        "dwell": (("dwell",), Spoken(name="loiter", kind="dwell")),
        "still": (("stationary",), Spoken(name="parked", kind="still")),
        "left_behind": (("left_behind",), Spoken(name="bag", kind="left_behind")),
        "removed": (("removed",), Spoken(name="bike", kind="removed")),
        "speeding": (("speeding",), Spoken(name="lane", kind="speed", speed_kmh=41.26)),
    }
    for name, (reason, rule) in rules.items():
        named[name] = _event("update", reason, rule=rule, speed_kmh=rule.speed_kmh)
    for name, active in (("occupied", True), ("free", False)):
        rule = Spoken(name="full", kind="occupancy", count=5 if active else 4, active=active)
        named[name] = _event("update", ("count_changed",), track=None, zones=(), rule=rule, since_s=12.0)
    return named


def _lives() -> Iterator[tuple[str, Event]]:
    yield "new", _event("new", ("appeared",), zones=())
    yield "new_in_zone", _event("new", ("appeared", "zone_entered"))
    yield "zone_entered", _event("update", ("zone_entered",))
    yield "zone_left", _event("update", ("zone_left",), zones=())
    yield "zones_changed", _event("update", ("zone_entered", "zone_left"), zones=("road",))
    yield "stationary", _event("update", ("stationary",), track=_track(stationary=True))
    yield "moving", _event("update", ("moving",))
    yield "label_changed", _event("update", ("label_changed",), track=_track(label="truck"))
    yield "end", _event("end", ("disappeared",), track=_track(seen_s=12.5))


def _track(**changes: Any) -> Any:
    known = {"box": _BOX, "first_s": 11.8, "seen_s": 13.0, "score": 0.8312, "top_score": 0.9123}
    return track_of(17, **known | changes)


def _event(event_type: Any, reason: Any, **changes: Any) -> Event:
    known = {"track": _track(), "zones": ("porch",), "frame": frame_of(13.0, seq=913, size=_SIZE)}
    return Event(seq=128, event_type=event_type, reason=reason, **known | changes)


def _words() -> Golden:
    words: Golden = {
        ("status", word): native.status(TOPICS.status, online=word == "online").payload
        for word in ("online", "offline")
    }
    for presence, state in (("online", "streaming"), ("offline", "backoff"), ("disabled", "disabled")):
        status = _capture(state=state)
        words["camera_status", presence] = reports.camera_status(TOPICS.camera_status("front"), status).payload
    for word, value in (("on", True), ("off", False)):
        words["motion", word] = _encoded(Moving(value=value)).payload
        words["detect", word] = native.in_force(TOPICS, "front", "detect", value).payload
        words["set_detect", word] = word.upper().encode()
    words["threshold", "usual"] = native.in_force(TOPICS, "front", "threshold", 0.4).payload
    words["rate_hz", "usual"] = native.in_force(TOPICS, "front", "rate_hz", 5.0).payload
    words["set_threshold", "usual"], words["set_rate_hz", "usual"] = b"0.5", b"2"
    for setting in ("set_detect", "set_threshold", "set_rate_hz"):
        words[setting, "default"] = b"DEFAULT"
    words["count", "none"] = _encoded(Count(zone=None, label="person", value=0)).payload
    words["count", "two"] = _encoded(Count(zone=None, label="person", value=2)).payload
    words["zone_count", "one"] = _encoded(Count(zone="porch", label="person", value=1)).payload
    words["crossings", "twelve"] = _encoded(Crossings(line="door", label="person", direction="in", value=12)).payload
    return words


COMMANDS: dict[str, Any] = {
    "ping": {"id": "1", "name": "ping", "args": {}},
    "resync": {"id": "2", "name": "resync", "args": {}},
    "reload": {"id": "3", "name": "reload", "args": {}},
    "restart_camera": {"id": "4", "name": "restart_camera", "args": {"camera": "front"}},
    "pause": {"id": "5", "name": "pause", "args": {"camera": "front", "for_s": 3600}},
    "resume": {"id": "6", "name": "resume", "args": {}},
    "detect": {"id": "7", "name": "detect", "args": {"camera": "front", "value": "OFF"}},
    "threshold": {"id": "8", "name": "threshold", "args": {"camera": "front", "value": 0.5}},
    "rate_hz": {"id": "9", "name": "rate_hz", "args": {"camera": "front", "value": 2}},
}


def _results() -> dict[str, bytes]:
    """What the desk where commands arrive answers to some."""
    clock, answers = FakeClock(), []
    doings = SimpleNamespace(lines={"front": None}, do=lambda _asked, _answer: True, tick=lambda: None)
    desk = Desk(
        settings=CommandsSettings(allow=("ping", "threshold")),
        topics=TOPICS,
        closed=(),
        doings=doings,  # type: ignore[arg-type]
        outbox=SimpleNamespace(put=answers.extend),  # type: ignore[arg-type]
        clock=clock,
    )
    asked = {
        "done": (TOPICS.command, _written(COMMANDS["ping"])),
        "set": (TOPICS.set_threshold("front"), b"0.5"),
        "refused": (TOPICS.command, _written(COMMANDS["reload"])),
        "out_of_range": (TOPICS.set_threshold("front"), b"2"),
        "unreadable": (TOPICS.command, b"reload"),
    }
    for topic, payload in asked.values():
        desk.take(Heard(topic=topic, payload=payload))
    return dict(zip(asked, (answer.payload for answer in answers), strict=True))


def _capture(**changes: Any) -> CaptureStatus:
    known = {"state": "streaming", "reason": "", "since_utc_ns": UTC_NS}
    return CaptureStatus(**known | changes)


def _meter(clock: FakeClock) -> Meter:
    """A meter that has seen each stage once, for as many milliseconds as stand here."""
    meter = Meter(clock.monotonic_s)
    for stage, spent_ms in (("gate", 0.8), ("detect", 41.3), ("track", 0.4), ("rules", 0.2)):
        meter.timed(stage, lambda spent_s=spent_ms / 1000: clock.advance(spent_s))()
    return meter


def _learnt() -> Learnt:
    """A bush has been taken for a person six times in an hour and a half, in one cell."""
    learnt = Learnt.nothing(("person",)).watched(5400.0)
    grid = np.array(learnt.false["person"])
    grid[9, 11] = 6.0
    return Learnt(false={"person": grid}, passed=learnt.passed, watched_s=learnt.watched_s)


def _cameras(clock: FakeClock) -> dict[str, Any]:
    streaming = _capture(
        frames=90210,
        drops=45102,
        damaged=3,
        fps=24.98,
        reconnects=1,
        width=1920,
        height=1080,
        decoder=DecoderStatus(requested="auto", active="software", why="no hardware here for h264"),
    )
    broken = _capture(
        state="backoff",
        reason="rtsp://192.0.2.7/stream cannot be opened: connection refused; check that the camera is on",
        reconnects=12,
    )
    triggers = TriggerStatus(
        state="partly", reason="no answer from the broker", heard=7, failures=1, last_utc_ns=UTC_NS
    )
    looks = LooksStatus(wanted=1200, given_up=3, waits_s=(0.001, 0.004, 0.011))
    calm, held = Scene(held=False, changes=2), Scene(held=True, changes=3)
    taken = {"person": {"min_area": 12, "without": 340}}
    nothing = Learnt.nothing(("person",))
    return {
        "front": reports.camera_health(
            streaming, TriggerStatus(), looks, _meter(clock), taken=taken, scene=calm, learnt=_learnt()
        ),
        "garden": reports.camera_health(
            broken, triggers, LooksStatus(), Meter(clock.monotonic_s), taken={}, scene=held, learnt=nothing
        ),
    }


def _stats(**known: int | None) -> OutboxStats:
    """What an outbox tells in which nothing has happened but what is said."""
    numbers: dict[str, Any] = dict.fromkeys((field.name for field in fields(OutboxStats)), 0)
    return OutboxStats(**numbers | known)


def _health() -> dict[str, Any]:
    clock = FakeClock(monotonic_s=86_400.0, utc_ns=UTC_NS)
    stats = _stats(waiting=2, bytes=20480, oldest_utc_ns=UTC_NS, put_total=310, acked_total=308)
    counters = DeliveryCounters(published=4211, acked=4209, refused=0, late=3, connects=2, failures=1)
    changed = {"camera": "garden", "value": False, "configured": True, "since": native.iso_time(UTC_NS)}
    changes = [{**changed, "name": "detect", "until": native.iso_time(UTC_NS + 3_600_000_000_000)}]
    commands = {"enabled": True, "heard": 2, "done": 1, "refused": 1, "dropped": 0, "unanswered": 0, "changes": changes}
    content = _report(clock, 80_000.0, _cameras(clock), stats, counters, commands)
    return content | {"memory_rss_bytes": 183_500_800, "temperature_celsius": 54.5}


def _first_health() -> dict[str, Any]:
    """The first one of an agent on a machine that tells little, before its camera has given a frame."""
    clock = FakeClock(monotonic_s=10.0, utc_ns=UTC_NS)
    clock.synced = False
    stats = _stats(bytes=4096, oldest_utc_ns=None)
    camera = reports.camera_health(
        _capture(state="connecting"),
        TriggerStatus(),
        LooksStatus(),
        Meter(clock.monotonic_s),
        taken={},
        scene=Scene(held=False, changes=0),
        learnt=Learnt.nothing(("person",)),
    )
    counters = dict.fromkeys(("heard", "done", "refused", "dropped", "unanswered"), 0)
    commands = {"enabled": False, **counters, "changes": []}
    content = _report(clock, 10.0, {"front": camera}, stats, DeliveryCounters(), commands)
    return content | {"memory_rss_bytes": None, "temperature_celsius": None}


def _report(
    clock: FakeClock,
    started_s: float,
    cameras: dict[str, Any],
    stats: OutboxStats,
    counters: DeliveryCounters,
    commands: dict[str, Any],
) -> dict[str, Any]:
    outbox = SimpleNamespace(stats=lambda: stats)
    last_failure = "" if not counters.failures else "broker 192.0.2.1:1883: connection refused; is it running?"
    deliverer = SimpleNamespace(counters=counters, last_failure=last_failure)
    there = {"broker": "192.0.2.1:1883", "protocol": "5", "since_utc_ns": UTC_NS} if counters.connects else {}
    return reports.health(
        clock=clock,
        started_s=started_s,
        run_id=RUN_ID,
        cameras=cameras,
        load=Load(2, clock.utc_ns),
        outbox=outbox,  # type: ignore[arg-type]
        deliverer=deliverer,  # type: ignore[arg-type]
        commands=commands,
        broker=BrokerStatus(**there),
    )


def _capabilities() -> dict[str, Any]:
    zones = {"porch": {"polygon": [[0.1, 0.2], [0.6, 0.2], [0.6, 0.9]]}}
    lines = {"door": {"from": [0.2, 0.5], "to": [0.8, 0.5]}}
    settings = Settings.model_validate(
        {
            "device": {"id": "gate-pi", "name": "Gate"},
            "cameras": [
                {
                    "id": "front",
                    "source": "rtsp://192.0.2.6/stream",
                    "detect": {"labels": ["person", "traffic light"]},
                    "zones": zones,
                    "lines": lines,
                    "rules": [{"name": "loiter", "kind": "dwell", "zone": "porch", "after_s": 30}],
                },
                {"id": "garden", "source": "rtsp://192.0.2.7/stream"},
            ],
        }
    )
    vision = SimpleNamespace(
        name="default",
        head=SimpleNamespace(family="nanodet"),
        sha256="ebcbe389a6ec077fd00a4fc1222044b524577ce2b51b7c300416b0695d869ec4",
        input_size=(416, 256),
        ms=18.3,
        memory_bytes=61_865_984,
        threads=1,
        tuned=None,
        provider="CPUExecutionProvider",
        provider_why="the CPU is the only provider here",
        nodes=231,
        fallback_nodes=0,
    )
    software = DecoderStatus(requested="auto", active="software", why="no hardware here for h264")
    statuses = {
        "front": _capture(basis="sizes and key pictures", stamped_by="camera", decoder=software),
        "garden": _capture(state="connecting"),
    }
    content = reports.capabilities(settings, vision, statuses, FakeClock(utc_ns=UTC_NS))  # type: ignore[arg-type]
    return content | {"version": "0.1.0"}  # that it was made by; it need not be made anew for each


def _discovery() -> Golden:
    """What Home Assistant is told: of a camera that has some of everything, and of one that has lost a zone."""
    kinds = [kind for kind in get_args(RuleKind) if kind != "line"]
    rules = [*(ShownRule(name=kind, kind=kind) for kind in kinds), ShownRule(name="gone", kind="zone", leaves=True)]
    front = ShownCamera(
        id="front",
        labels=("person", "traffic light"),
        zones={"porch": ("person",)},
        lines={"door": ("person",)},
        rules=tuple(rules),
    )
    topics = DiscoveryTopics(prefix="homeassistant", device="gate-pi")
    lost = {"zone.lawn.occupancy.person": "binary_sensor", "zone.lawn.count.person": "sensor"}
    agent, usual = _announced(front, topics, {})
    _, lost_a_zone = _announced(ShownCamera(id="front", labels=("person",)), topics, {topics.camera("front"): lost})
    return {
        ("discovery", "usual"): agent,
        ("camera_discovery", "usual"): usual,
        ("camera_discovery", "lost_a_zone"): lost_a_zone,
    }


def _announced(camera: ShownCamera, topics: DiscoveryTopics, gone: dict[str, dict[str, str]]) -> list[bytes]:
    """The agent's message and the camera's."""
    device = ShownDevice(
        topics=TOPICS,
        name="Gate",
        version="0.1.0",  # as in capabilities
        model="default",
        cameras=(camera,),
        settable=frozenset(SETTINGS),
    )
    return [one.message.payload for one in announce(device, topics, gone)]


GOLDEN = golden()

if __name__ == "__main__":
    made = {path_of(*key): payload for key, payload in GOLDEN.items()}
    for stale in set((FOLDER / "examples").glob("*/*")) - made.keys():
        stale.unlink()
    for path, payload in made.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(payload)
