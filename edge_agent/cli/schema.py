"""Print the contract: the JSON Schema of a payload, all topics, AsyncAPI, examples; or check recorded messages."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import edge_agent
from edge_agent.cli.files import load_settings
from edge_agent.config import Settings
from edge_agent.errors import ConfigError
from edge_agent.tools import contract
from edge_agent.tools.contract import Device, Watched

_PORTS = {"mqtt": 1883, "mqtts": 8883}
_MORE = ("asyncapi", "examples", "check")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Say what can be asked."""
    parser.add_argument(
        "what",
        nargs="?",
        choices=(*contract.schema_names(), *_MORE),
        metavar="WHAT",
        help=f"a schema: {', '.join(contract.schema_names())}; `asyncapi`: all of it as an AsyncAPI 3.0 document; "
        "`examples`: a message of every kind, a line each; `check FILE`: whether recorded messages keep to it; "
        "without, a list of what there is",
    )
    parser.add_argument("file", nargs="?", metavar="FILE", help="messages to check, a JSON object a line; - is here")
    parser.add_argument(
        "-c", "--config", type=Path, metavar="FILE", help="`asyncapi` with the very topics and broker of this device"
    )
    parser.add_argument("--json", action="store_true", help="the list as JSON; all else is JSON anyway")


def run(args: argparse.Namespace) -> int:
    """Print it, or check."""
    if args.file and args.what != "check":
        raise ConfigError(f"{args.file}: only `schema check` takes a file of messages")
    if args.config and args.what != "asyncapi":
        raise ConfigError(f"-c {args.config}: only `schema asyncapi` is made for a device")
    if args.what is None:
        _list(as_json=args.json)
    elif args.what == "asyncapi":
        device = device_of(load_settings(args.config)) if args.config else None
        print(json.dumps(contract.document(edge_agent.__version__, device), indent=2))
    elif args.what == "examples":
        print("\n".join(contract.example_lines()))
    elif args.what == "check":
        return _check(args.file)
    else:
        print(contract.schema_text(args.what), end="")
    return 0


def device_of(settings: Settings) -> Device:
    """What of a configuration makes topics, and where its broker is."""
    return Device(
        prefix=settings.mqtt.prefix,
        id=settings.device.id,
        brokers=[_broker(url) for url in (settings.mqtt.url, *settings.mqtt.urls)],
        has_password=settings.mqtt.username is not None,
        has_certificate=settings.mqtt.cert_file is not None,
        cameras=[
            Watched(id=camera.id, labels=camera.detect.labels, zones=camera.zones, lines=camera.lines)
            for camera in settings.cameras
        ],
        discovery_prefix=settings.homeassistant.prefix if settings.homeassistant.discovery else None,
    )


def _broker(url: str) -> tuple[str, bool]:
    """Host and port, and whether it is TLS."""
    address = urlsplit(url)
    host = f"[{address.hostname}]" if ":" in (address.hostname or "") else address.hostname
    return f"{host}:{address.port or _PORTS[address.scheme]}", address.scheme == "mqtts"


def _list(*, as_json: bool) -> None:
    rows = list(contract.listing())
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    for row in rows:
        kept = "retained" if row["retained"] else ""
        print(f"{row['address']:71} {row['direction']:5} {kept:8} {row['schema']}")


def _check(file: str | None) -> int:
    if file is None:
        raise ConfigError("schema check needs a file of messages, one JSON object a line; - is the standard input")
    is_sound = True
    for fault in contract.faults_in(_lines(file)):
        print(f"{file}:{fault}")
        is_sound = False
    return 0 if is_sound else 1


def _lines(file: str) -> Iterator[str]:
    if file == "-":
        yield from sys.stdin
        return
    try:
        with Path(file).open(encoding="utf-8", errors="replace") as lines:
            yield from lines
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}") from error
