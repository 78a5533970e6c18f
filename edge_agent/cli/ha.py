"""Show what Home Assistant is told, or let the broker forget what an agent has told it."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from pydantic import ValidationError

from edge_agent import app
from edge_agent.cli.files import broker_settings, load_settings
from edge_agent.config import Settings
from edge_agent.edges.mqtt import MqttSettings
from edge_agent.errors import ConfigError
from edge_agent.stages.encode.homeassistant import HomeAssistantSettings
from edge_agent.tools.discovered import Discovered, discovered
from edge_agent.tools.retained import retained_at


def arguments(parser: argparse.ArgumentParser) -> None:
    """Say what can be asked."""
    parser.add_argument(
        "action", choices=("show", "purge"), help="show: the messages of a configuration; purge: take them back"
    )
    place = parser.add_mutually_exclusive_group(required=True)
    place.add_argument(
        "-c", "--config", type=Path, metavar="FILE", help="take broker, user, prefix and device from here"
    )
    place.add_argument("--broker", metavar="URL", help="purge: mqtt://host:port or mqtts://…, without a configuration")
    parser.add_argument("--username", help="who to be to the broker; the password comes from EDGE_AGENT_MQTT_PASSWORD")
    parser.add_argument("--prefix", help="first part of Home Assistant's topics; that of the file, or homeassistant")
    parser.add_argument("--device", metavar="ID", help="purge: the device.id to forget; that of the file when left out")
    parser.add_argument("--dry-run", action="store_true", help="purge: only say what would be cleared")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Show or purge."""
    settings = load_settings(args.config) if args.config else None
    if args.action == "show":
        if settings is None:
            raise ConfigError("ha show: name the configuration with -c FILE")
        return _show(settings)
    mqtt = settings.mqtt if settings else broker_settings(args.broker, args.username)
    device = args.device or (settings and settings.device.id)
    if not device:
        raise ConfigError("ha purge: name the device to forget with --device ID")
    house = settings.homeassistant if settings else HomeAssistantSettings()
    return _purge(mqtt, _prefix(args.prefix) if args.prefix else house.prefix, device, args)


def _prefix(written: str) -> str:
    try:
        return HomeAssistantSettings(prefix=written).prefix
    except ValidationError as error:
        raise ConfigError("--prefix must be the first part of a topic, such as homeassistant") from error


def _show(settings: Settings) -> int:
    """Print the messages as JSON, whether discovery is on or not."""
    said = app.announcements(settings)
    messages = [{"topic": one.message.topic, "payload": json.loads(one.message.payload)} for one in said]
    print(json.dumps(messages, indent=2, ensure_ascii=False))
    for one in said:
        room = f"; no room for {one.left_out} more" if one.left_out else ""
        print(f"{one.message.topic}: {len(one.message.payload)} bytes{room}", file=sys.stderr)
    return 0


def _purge(mqtt: MqttSettings, prefix: str, device: str, args: argparse.Namespace) -> int:
    with retained_at(mqtt, "ha") as retained:
        found = discovered(retained, prefix)
        wanted = {one.topic: one for one in found if one.agent == device}
        if args.json:
            if not args.dry_run:
                list(retained.clear(wanted))
            print(json.dumps([asdict(one) for one in wanted.values()], indent=2))
            return 0
        for topic in wanted if args.dry_run else retained.clear(wanted):
            print(_line(wanted[topic], dry=args.dry_run))
    if not wanted:
        others = ", ".join(sorted({one.agent for one in found})) or "none"
        print(f"nothing of device {device} below {prefix}/device; agents that are there: {others}")
    return 0


def _line(one: Discovered, *, dry: bool) -> str:
    done = "would be cleared" if dry else "cleared"
    return f'{one.topic}: {done}: "{one.name}", {one.parts} entities and triggers'
