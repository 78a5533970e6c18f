"""Show a live table of the events and states that agents publish."""

from __future__ import annotations

import argparse
import contextlib
import threading
from pathlib import Path

from rich.console import Console

from edge_agent import app
from edge_agent.cli.files import broker_settings, load_settings
from edge_agent.cli.live import LiveTable


def arguments(parser: argparse.ArgumentParser) -> None:
    """Say what can be asked."""
    place = parser.add_mutually_exclusive_group()
    place.add_argument("--broker", metavar="URL", help="mqtt://host:port or mqtts://…; this machine's when left out")
    place.add_argument("-c", "--config", type=Path, metavar="FILE", help="take broker, user and prefix from here")
    parser.add_argument("--username", help="who to be to the broker; the password comes from EDGE_AGENT_MQTT_PASSWORD")
    parser.add_argument("--prefix", default="edge", help="first part of the topics")
    parser.add_argument("--json", action="store_true", help="print each message as a JSON object on a line of its own")


def run(args: argparse.Namespace) -> int:
    """Watch until interrupted."""
    settings = (
        load_settings(args.config).mqtt if args.config else broker_settings(args.broker, args.username, args.prefix)
    )
    stop = threading.Event()
    with contextlib.closing(app.listen(settings, f"{settings.prefix}/#")) as listener:
        table = LiveTable(Console(), as_json=args.json)
        table.show(listener.messages(stop))
    return 0
