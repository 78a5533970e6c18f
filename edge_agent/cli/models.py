"""List the built-in models, show one with its model card, or verify their files."""

from __future__ import annotations

import argparse
import json

from edge_agent.cli.main import EXIT_FAILED
from edge_agent.tools import models


def arguments(parser: argparse.ArgumentParser) -> None:
    """Say what can be asked."""
    parser.add_argument("action", choices=("list", "info", "verify"), help="what to do")
    parser.add_argument(
        "name", nargs="?", help="of a model; for `info` the default one and for `verify` all, when left out"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Do it."""
    return {"list": _list, "info": _info, "verify": _verify}[args.action](args)


def _list(args: argparse.Namespace) -> int:
    described = models.describe_all()
    if args.json:
        print(json.dumps(described, indent=2))
        return 0
    for model in described:
        width, height = model["input"]
        size = f"{model['bytes'] / 1e6:.1f} MB"
        print(f"{model['name']:9} {size:7} {width}x{height}  {model['title']}  ({model['licence']})")
    return 0


def _info(args: argparse.Namespace) -> int:
    described, card = models.describe(args.name or "default")
    print(json.dumps(described, indent=2) if args.json else card.rstrip())
    return 0


def _verify(args: argparse.Namespace) -> int:
    verdicts = models.verify(args.name)
    if args.json:
        print(json.dumps(verdicts, indent=2))
    else:
        for name, verdict in verdicts.items():
            print(f"{name}: {verdict}")
    return 0 if set(verdicts.values()) == {models.SOUND} else EXIT_FAILED
