"""Show a live table of the events and states that agents publish."""

from __future__ import annotations

import argparse
import contextlib
import threading

from rich.console import Console

from edge_agent import app
from edge_agent.cli.live import LiveTable
from edge_agent.edges.mqtt import MqttSettings


def arguments(parser: argparse.ArgumentParser) -> None:
    """Say what can be asked."""
    parser.add_argument(
        "--broker", metavar="URL", default="mqtt://127.0.0.1:1883", help="mqtt://host:port or mqtts://…"
    )
    parser.add_argument("-c", "--config", metavar="FILE", help="take the broker, user and prefix from a configuration")
    parser.add_argument("--topic", default="#", help="below the prefix; everything when left out")
