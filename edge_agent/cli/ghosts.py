"""List the states that a renamed or retired device has left on its broker, or let the broker forget them."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import ValidationError

from edge_agent.cli.files import broker_settings, load_settings
from edge_agent.cli.schema import device_of
from edge_agent.config.schema import DeviceSettings
from edge_agent.errors import ConfigError
from edge_agent.tools.left_behind import LeftBehind, agents_at, left_behind, states_of
from edge_agent.tools.retained import Retained, retained_at


def arguments(parser: argparse.ArgumentParser) -> None:
    """Say what can be asked."""
    place = parser.add_mutually_exclusive_group(required=True)
    place.add_argument(
        "-c",
        "--config",
        type=Path,
        action="append",
        metavar="FILE",
        help="take broker, user, prefix and device from here, and leave alone what this configuration says; "
        "each further -c FILE is left alone, too",
    )
    place.add_argument("--broker", metavar="URL", help="mqtt://host:port or mqtts://…, without a configuration")
    parser.add_argument("--username", help="who to be to the broker; the password comes from EDGE_AGENT_MQTT_PASSWORD")
    parser.add_argument("--prefix", help="mqtt.prefix of the device; that of the file, or edge")
    parser.add_argument("--device", metavar="ID", help="its device.id; that of the file when left out")
    parser.add_argument("--yes", action="store_true", help="clear them; without, they are only listed")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """List or clear."""
    known = [load_settings(file) for file in args.config or ()]
    mqtt = known[0].mqtt if known else broker_settings(args.broker, args.username)
    prefix = broker_settings(None, None, args.prefix).prefix if args.prefix else mqtt.prefix
    device = _device(args.device) if args.device else known[0].device.id if known else None
    if device is None:
        raise ConfigError("ghosts: name the device with --device ID")
    claimed = set[str]().union(*(states_of(device_of(one)) for one in known))
    with retained_at(mqtt, "ghosts") as retained:
        found = left_behind(retained, prefix, device, claimed)
        if args.yes and found.ghosts and found.online:
            raise ConfigError(_running(found))
        said = _said(retained, found, yes=args.yes)
        if args.json:
            print(json.dumps([{"topic": topic, "done": done} for topic, done in said], indent=2))
            return 0
        for topic, done in said:
            print(f"{_shown(topic)}: {done}")
        if not found.ghosts:
            print(_nothing(found, agents_at(retained, prefix), prefix, device))
        elif not args.yes:
            print(_not_yet(found))
    return 0


def _device(written: str) -> str:
    try:
        return DeviceSettings(id=written).id
    except ValidationError as error:
        raise ConfigError("--device must be 1 to 64 letters (a-z), digits, `-` or `_`") from error


def _said(retained: Retained, found: LeftBehind, *, yes: bool) -> Iterator[tuple[str, str]]:
    """Each topic and what is done with it, as it is done."""
    for topic in retained.clear(found.ghosts) if yes else found.ghosts:
        yield topic, "cleared" if yes else "would be cleared"
    for topic in found.foreign:
        yield topic, "left alone: an agent retains nothing there"


def _shown(text: str) -> str:
    """What others have named, for a terminal: not every broker refuses topics that would move its cursor."""
    return text if text.isprintable() else json.dumps(text)


def _running(found: LeftBehind) -> str:
    return (
        f"{found.status} is online: stop the agent that runs under this name, and ask again; it clears by itself what "
        f"its configuration no longer has. If none runs there: mosquitto_pub -r -n -t {found.status}"
    )


def _not_yet(found: LeftBehind) -> str:
    count = len(found.ghosts)
    last = f"{found.status} is online, stop that agent first" if found.online else "--yes clears them"
    return f"{count} retained topics below {found.root} that no configuration given claims; {last}"


def _nothing(found: LeftBehind, agents: Mapping[str, str], prefix: str, device: str) -> str:
    others = ", ".join(f"{_shown(agent)} ({status})" for agent, status in agents.items() if agent != device) or "none"
    known = f" but the {found.claimed} topics that a configuration given claims" if found.claimed else ""
    return f"nothing of an agent below {found.root}{known}; other agents below {prefix}: {others}"
