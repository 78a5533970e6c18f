"""Measure how good a detector or a tracker is, against what is known to be there."""

from __future__ import annotations

import argparse

from edge_agent.cli import eval_detect, eval_events, eval_track

_WHAT = {
    "detect": (eval_detect, "boxes on single pictures: COCO's metric"),
    "events": (eval_events, "what is said of a clip: recall, precision, repeats and delay"),
    "track": (eval_track, "identities over time: HOTA, MOTA, IDF1 on sequences of MOTChallenge's form"),
}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Say what can be asked."""
    kinds = parser.add_subparsers(dest="what", required=True, metavar="WHAT")
    for name, (module, does) in _WHAT.items():
        module.arguments(kinds.add_parser(name, help=does, description=module.__doc__))


def run(args: argparse.Namespace) -> int:
    """Measure it."""
    module, _does = _WHAT[args.what]
    return module.run(args)
