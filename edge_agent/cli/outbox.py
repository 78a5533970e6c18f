"""Show what waits for the broker, also while the daemon runs."""

from __future__ import annotations

import argparse
import contextlib
import json
from dataclasses import asdict
from pathlib import Path

from edge_agent import app
from edge_agent.cli.files import load_settings


def arguments(parser: argparse.ArgumentParser) -> None:
    """Say what can be asked."""
    parser.add_argument("action", choices=("list", "stats"), help="what to show")
    place = parser.add_mutually_exclusive_group(required=True)
    place.add_argument("-c", "--config", type=Path, help="the YAML file that names the outbox")
    place.add_argument("--path", type=Path, help="the outbox itself")
    parser.add_argument("--limit", type=int, default=100, help="list at most so many, the oldest first")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Show it."""
    path = args.path or load_settings(args.config).outbox.path
    with contextlib.closing(app.open_outbox(path)) as outbox:
        if args.action == "stats":
            stats = asdict(outbox.stats())
            print(json.dumps(stats, indent=2) if args.json else "\n".join(f"{k:14} {v}" for k, v in stats.items()))
            return 0
        messages = [entry.message for entry in outbox.entries(args.limit)]
    if args.json:
        print(json.dumps([{"topic": m.topic, "payload": json.loads(m.payload)} for m in messages], indent=2))
        return 0
    for message in messages:
        print(f"{message.topic} {message.payload.decode()}")
    return 0
