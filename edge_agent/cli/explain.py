"""Tell why an event was said, or what a camera made of a moment, from the numbers that the agent keeps."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from datetime import timezone
from pathlib import Path

from edge_agent import app
from edge_agent.cli.files import load_settings
from edge_agent.cli.replay import moment
from edge_agent.config import Settings
from edge_agent.errors import ConfigError
from edge_agent.tools import explain, trails
from edge_agent.tools.explain import EventId, Story, Wall
from edge_agent.tools.explain_words import in_words

_WITHIN_S = 2.0


def arguments(parser: argparse.ArgumentParser) -> None:
    """Say what can be asked."""
    parser.add_argument("event", nargs="?", type=_event_id, metavar="EVENT_ID", help="an event's id: RUN/CAMERA/SEQ")
    parser.add_argument("-c", "--config", type=Path, help="the YAML file of the agent that keeps the trail")
    parser.add_argument("--trail", type=Path, metavar="FILE", help="another trail: what `replay --explain` wrote")
    parser.add_argument("--camera", metavar="NAME", help="with --at: of which camera")
    parser.add_argument(
        "--at",
        type=moment,
        metavar="TIME",
        help="what the camera made of a moment, such as 2026-06-01T23:00:03; by the device's clock unless +HH:MM or Z "
        "stands behind it",
    )
    parser.add_argument(
        "--within",
        type=_within,
        default=_WITHIN_S,
        metavar="SECONDS",
        help=f"how long before and after that counts, such as 30s ({_WITHIN_S:g} s)",
    )
    parser.add_argument("--rule", metavar="NAME", help="with --at: of all rules and lines only this one")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Find it, and say it."""
    if (args.event is None) is (args.at is None) or (args.at is not None and args.camera is None):
        raise ConfigError("explain wants an EVENT_ID, or --camera NAME and --at TIME")
    if args.config is None and args.trail is None:
        raise ConfigError("explain wants -c CONFIG, or --trail FILE for what `replay --explain` wrote")
    settings = load_settings(args.config) if args.config else None
    camera = args.event.camera if args.event else args.camera
    if settings is not None:
        _check(settings, camera, args.rule)
    wall = app.almanac_of(settings).wall if settings else None
    story = _story(args, trails.entries_in(_path(args, settings), camera), wall)
    facts = tuple(in_words(story, wall))
    print(json.dumps({"facts": facts, **story.as_json()}, indent=2) if args.json else "\n".join(facts))
    return 0


def _path(args: argparse.Namespace, settings: Settings | None) -> Path:
    """Where the trail is kept."""
    if args.trail or settings is None:
        return Path(args.trail)
    state = settings.outbox.path.parent
    if not settings.explain.enabled:
        raise ConfigError(f"{args.config}: explain.enabled is false, so nothing is kept that could explain")
    return state / trails.FOLDER


def _story(args: argparse.Namespace, entries: Iterable[trails.Entry], wall: Wall | None) -> Story:
    if args.event:
        return explain.of_event(entries, args.event, wall)
    at = args.at if args.at.tzinfo or wall is not None else args.at.replace(tzinfo=timezone.utc)
    story = explain.at(entries, args.camera, round(at.timestamp() * 1000), round(args.within * 1000), wall)
    return story.only(args.rule) if args.rule else story


def _check(settings: Settings, name: str, rule: str | None) -> None:
    """Refuse a camera that there is not, and a rule that it has not."""
    cameras = {camera.id: camera for camera in settings.cameras}
    if name not in cameras:
        raise ConfigError(f"{name}: no such camera; there are: {', '.join(cameras)}")
    rules = [*cameras[name].lines, *(one.name for one in cameras[name].rules)]
    if rule is not None and rule not in rules:
        raise ConfigError(f'--rule {rule}: camera "{name}" has no such rule or line; there are: {", ".join(rules)}')


def _event_id(text: str) -> EventId:
    try:
        return EventId.parse(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is no event id such as dbaf8c7afa7dcaf5/gate/8") from None


def _within(text: str) -> float:
    try:
        return explain.seconds(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"is {text!r}, {error}") from None
