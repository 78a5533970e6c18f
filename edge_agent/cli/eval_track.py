"""Measure how well the agent's tracker keeps identities, on the detections of MOTChallenge sequences."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from edge_agent.cli.main import EXIT_FAILED
from edge_agent.tools import tracking
from edge_agent.tools.tracking.score import Score


def arguments(parser: argparse.ArgumentParser) -> None:
    """Say what can be asked."""
    parser.add_argument(
        "--mot",
        type=Path,
        required=True,
        metavar="DIR",
        help="a sequence, or a folder of them, or one with `train` in it",
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="also write what the tracker says, a file a sequence")
    parser.add_argument(
        "--every",
        type=positive,
        default=1,
        metavar="N",
        help="take frames 1, 1+N, 1+2N … only, under their own numbers",
    )
    parser.add_argument("--min", type=float, metavar="HOTA", help="exit 1 when HOTA of all, in percent, is less")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Track every sequence, compare, and print the figures."""
    with Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as progress:
        sequences = tracking.read(args.mot, args.every)
        watched = progress.track(sequences, description=args.mot.name)
        scores = {sequence.name: tracking.measure(sequence, args.out) for sequence in watched}
    overall = tracking.combined(list(scores.values()))
    print(_summary(scores, overall, args.every) if args.json else _table(scores, overall, args.every))
    is_enough = args.min is None or overall.hota.hota * 100 >= args.min
    return 0 if is_enough else EXIT_FAILED


def positive(text: str) -> int:
    """Read a whole number from 1, for argparse."""
    step = int(text)
    if step < 1:
        raise argparse.ArgumentTypeError(f"{step} is less than 1")
    return step


def _table(scores: dict[str, Score], overall: Score, every: int) -> str:
    looked = "every frame" if every == 1 else f"1 frame of {every}"
    width = max(map(len, (*scores, _ALL)))
    return "\n".join(
        [
            f"own tracker, {looked}, in percent; IDSW is a number",
            "",
            f"{'':{width}} {'HOTA':>6} {'DetA':>6} {'AssA':>6} {'MOTA':>6} {'IDF1':>6} {'IDSW':>6}",
            *(_row(name, score, width) for name, score in scores.items()),
            _row(_ALL, overall, width),
        ]
    )


_ALL = "combined"


def _row(name: str, score: Score, width: int) -> str:
    *parts, switches = score.figures().values()
    return f"{name:{width}} " + " ".join(f"{part * 100:6.2f}" for part in parts) + f" {switches:6}"


def _summary(scores: dict[str, Score], overall: Score, every: int) -> str:
    rows = [{"name": name, **score.figures()} for name, score in scores.items()]
    return json.dumps({"every": every, **overall.figures(), "sequences": rows}, indent=2)
