"""Show what waits for the broker, forget it, or send again what was set aside; also while the daemon runs."""

from __future__ import annotations

import argparse
import contextlib
import json
import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from edge_agent import app
from edge_agent.cli.files import load_settings
from edge_agent.records import Message


def arguments(parser: argparse.ArgumentParser) -> None:
    """Say what can be asked."""
    parser.add_argument(
        "action", choices=tuple(_ACTIONS), help="show what waits, count it, forget it, or send dead ones"
    )
    place = parser.add_mutually_exclusive_group(required=True)
    place.add_argument("-c", "--config", type=Path, help="the YAML file that names the outbox")
    place.add_argument("--path", type=Path, help="the outbox itself")
    parser.add_argument("--limit", type=int, default=100, help="list at most so many, the oldest first")
    parser.add_argument("--dead", action="store_true", help="list, purge: what was set aside, instead of what waits")
    parser.add_argument("--all", action="store_true", help="purge: what waits and what was set aside")
    parser.add_argument(
        "--older-than", type=_age, metavar="AGE", help="purge: only what was put, or set aside, longer ago, such as 7d"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(refuse=parser.error)


def run(args: argparse.Namespace) -> int:
    """Do it."""
    if args.action != "purge" and (args.all or args.older_than is not None):
        args.refuse(f"--all and --older-than belong to purge, not to {args.action}")
    if args.action in {"stats", "retry"} and args.dead:
        args.refuse(f"--dead belongs to list and purge, not to {args.action}")
    if args.action == "purge" and not (args.dead or args.all or args.older_than is not None):
        args.refuse("purge what? --dead, --all, or --older-than AGE for what waits")
    if args.all and args.dead:
        args.refuse("--all and --dead exclude each other")
    _ACTIONS[args.action](args.path or load_settings(args.config).outbox.path, args)
    return 0


def _list(path: Path, args: argparse.Namespace) -> None:
    with contextlib.closing(app.open_outbox(path)) as outbox:
        if args.dead:
            found = [
                {"reason": dead.reason, "set_aside_utc_ns": dead.utc_ns, **_told(dead.message)}
                for dead in outbox.dead(args.limit)
            ]
        else:
            found = [_told(entry.message) for entry in outbox.entries(args.limit)]
    if args.json:
        print(json.dumps(found, indent=2))
        return
    for one in found:
        reason = f"{one['reason']}: " if args.dead else ""
        print(f"{reason}{one['topic']} {json.dumps(one['payload'], separators=(',', ':'))}")


def _told(message: Message | None) -> dict[str, Any]:
    """A message for people; nothing of a damaged one, of which nobody knows what is true."""
    if message is None:
        return {"topic": None, "payload": None}
    try:
        payload = json.loads(message.payload)
    except ValueError:
        payload = message.payload.decode(errors="replace")
    return {"topic": message.topic, "payload": payload}


def _stats(path: Path, args: argparse.Namespace) -> None:
    with contextlib.closing(app.open_outbox(path)) as outbox:
        stats, reasons = asdict(outbox.stats()), outbox.dead_reasons()
    if args.json:
        print(json.dumps({**stats, "dead_reasons": reasons}, indent=2))
        return
    oldest_utc_ns = stats.pop("oldest_utc_ns")
    print("\n".join(f"{name:14} {value}" for name, value in stats.items()))
    if oldest_utc_ns is not None:
        print(f"{'oldest':14} {datetime.fromtimestamp(oldest_utc_ns // 10**9, timezone.utc):%Y-%m-%dT%H:%M:%SZ}")
    for reason, count in reasons.items():
        print(f"  {count} dead: {reason}")


def _purge(path: Path, args: argparse.Namespace) -> None:
    before_ns = None if args.older_than is None else time.time_ns() - round(args.older_than * 1e9)
    with contextlib.closing(app.edit_outbox(path)) as outbox:
        waiting = 0 if args.dead else outbox.purge_waiting(before_ns)
        dead = outbox.purge_dead(before_ns) if args.dead or args.all else 0
    if args.json:
        print(json.dumps({"waiting": waiting, "dead": dead}))
    else:
        print(f"purged {waiting} that waited and {dead} that were set aside")


def _retry(path: Path, args: argparse.Namespace) -> None:
    with contextlib.closing(app.edit_outbox(path)) as outbox:
        revived, damaged = outbox.retry()
    if args.json:
        print(json.dumps({"waiting_again": revived, "damaged": damaged}))
    else:
        print(f"{revived} wait again, {damaged} are damaged and stay set aside")


def _age(text: str) -> float:
    try:
        return app.age_s(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


_ACTIONS: dict[str, Callable[[Path, argparse.Namespace], None]] = {
    "list": _list,
    "stats": _stats,
    "purge": _purge,
    "retry": _retry,
}
