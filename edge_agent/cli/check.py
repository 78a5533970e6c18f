"""Find every problem of a configuration file, each with its line and column."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from edge_agent import config
from edge_agent.cli.files import load_settings
from edge_agent.cli.main import EXIT_CONFIG
from edge_agent.errors import ConfigError


def arguments(parser: argparse.ArgumentParser) -> None:
    """Say what can be asked."""
    parser.add_argument("file", type=Path, help="the YAML file")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Check, and say so when all is well."""
    try:
        settings = load_settings(args.file)
    except ConfigError as error:
        if args.json:
            print(json.dumps({"ok": False, "problems": [asdict(problem) for problem in error.problems]}, indent=2))
        else:
            print(error, file=sys.stderr)
        return EXIT_CONFIG
    if args.json:
        print(json.dumps({"ok": True, "problems": [], "settings": config.to_public(settings)}, indent=2))
    else:
        print(f"{args.file}: ok, {len(settings.cameras)} camera(s): {', '.join(c.id for c in settings.cameras)}")
    return 0
