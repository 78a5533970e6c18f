"""Measure whether events are right: a clip's, against what the same rules say of who is known to be there."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress

from edge_agent import app
from edge_agent.cli.eval_track import positive
from edge_agent.cli.files import load_settings
from edge_agent.cli.main import EXIT_FAILED
from edge_agent.config import CameraSettings, Settings
from edge_agent.errors import ConfigError
from edge_agent.tools.happenings import agreement
from edge_agent.tools.happenings.agreement import Agreement
from edge_agent.tools.happenings.replay import Heard, listen
from edge_agent.tools.happenings.truth import TrueTracks
from edge_agent.tools.tracking.motchallenge import read_truth
from edge_agent.tools.tracking.overlap import require_assignment


def arguments(parser: argparse.ArgumentParser) -> None:
    """Say what can be asked."""
    parser.add_argument("clip", type=Path, help="a video file, or a folder of pictures")
    parser.add_argument(
        "--truth", type=Path, required=True, metavar="FILE", help="who is there, in MOTChallenge's form: gt.txt"
    )
    parser.add_argument("-c", "--config", type=Path, required=True, help="the YAML file, with zones, lines and rules")
    parser.add_argument("--camera", metavar="NAME", help="whose settings to use; the first camera's when left out")
    parser.add_argument("--label", default="person", help="what is there, as the model calls it (default: person)")
    parser.add_argument(
        "--every", type=positive, default=1, metavar="N", help="show the agent every Nth frame only; the truth has all"
    )
    parser.add_argument(
        "--tolerance", type=float, default=2.0, metavar="S", help="how many seconds apart two may be that are the same"
    )
    parser.add_argument("--min-recall", type=float, metavar="PERCENT", help="exit 1 when the recall of all is less")
    parser.add_argument(
        "--min-precision", type=float, metavar="PERCENT", help="exit 1 when the precision of all is less"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Replay, compare, and print the figures."""
    require_assignment()
    settings = load_settings(args.config)
    camera = app.camera_of(settings, args.camera)
    if args.label not in camera.detect.labels:
        raise ConfigError(f'camera "{camera.id}" does not look for {args.label}; --label says what the truth speaks of')
    heard = _listen(args, settings, camera)
    parts = agreement.compare(heard.expected, heard.said, args.tolerance)
    overall = agreement.together(parts)
    if not overall.expected:
        raise ConfigError(f'nothing of {args.truth} concerns a zone, line or rule of camera "{camera.id}"')
    print(_summary(parts, overall, args) if args.json else _table(parts, overall))
    wanted = ((overall.recall, args.min_recall), (overall.precision, args.min_precision))
    is_enough = all(least is None or (share or 0.0) * 100 >= least for share, least in wanted)
    return 0 if is_enough else EXIT_FAILED


def _listen(args: argparse.Namespace, settings: Settings, camera: CameraSettings) -> Heard:
    truth = TrueTracks(read_truth(args.truth), args.label)
    source, vision = app.open_recording(args.clip), app.load_model(settings)
    pipeline, reference = (app.build_replay(settings, camera, vision, "eval") for _both in range(2))
    with Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as progress:
        frames = progress.track(source.frames(), total=truth.last_frame, description=args.clip.name)
        return listen(pipeline, reference, truth, args.label, frames, every=args.every)


def _table(parts: dict[str, Agreement], overall: Agreement) -> str:
    width = max(map(len, (*parts, _ALL)))
    head = f"{'':{width}} {'expected':>8} {'said':>6} {'right':>6} {'recall':>7} {'precision':>9} {'twice':>6}"
    return "\n".join(
        [
            "recall and precision in percent, delay in seconds",
            "",
            f"{head} {'delay p50':>9} {'p95':>6}",
            *(_row(what, part, width) for what, part in parts.items()),
            _row(_ALL, overall, width),
        ]
    )


_ALL = "all"


def _row(what: str, part: Agreement, width: int) -> str:
    counts = f"{what:{width}} {part.expected:8} {part.said:6} {part.right:6}"
    shares = f"{_percent(part.recall):>7} {_percent(part.precision):>9} {part.duplicates:6}"
    return f"{counts} {shares} {_seconds(part.delay_s(50)):>9} {_seconds(part.delay_s(95)):>6}"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share * 100:.1f}"


def _seconds(delay: float | None) -> str:
    return "-" if delay is None else f"{delay:.2f}"


def _summary(parts: dict[str, Agreement], overall: Agreement, args: argparse.Namespace) -> str:
    rows = [{"what": what, **_figures(part)} for what, part in parts.items()]
    asked = {"every": args.every, "tolerance_s": args.tolerance}
    return json.dumps({**asked, **_figures(overall), "parts": rows}, indent=2)


def _figures(part: Agreement) -> dict[str, Any]:
    return {
        "expected": part.expected,
        "said": part.said,
        "right": part.right,
        "recall": part.recall,
        "precision": part.precision,
        "duplicates": part.duplicates,
        "missed_s": part.missed_s,
        "wrong_s": part.wrong_s,
        "delay_p50_s": part.delay_s(50),
        "delay_p95_s": part.delay_s(95),
    }
