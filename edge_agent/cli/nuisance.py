"""Show the places that cry wolf again and again, as the agent has learnt them, and the lines that leave them out."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from edge_agent import app
from edge_agent.cli.files import load_settings
from edge_agent.config import CameraSettings, Settings
from edge_agent.tools.nuisance import LEAST, Known, known, map_of, notebook_in, proposal, verdict
from edge_agent.tools.replay import replay


def arguments(parser: argparse.ArgumentParser) -> None:
    """Say what can be asked."""
    parser.add_argument("-c", "--config", type=Path, required=True, help="the YAML file")
    parser.add_argument("--camera", metavar="NAME", help="of this camera only; of a clip, whose settings to use")
    parser.add_argument(
        "--clip", type=Path, metavar="CLIP", help="learn from a video or a folder of pictures instead, and forget it"
    )
    parser.add_argument(
        "--least",
        type=_times,
        default=LEAST,
        metavar="N",
        help=f"how often a place must have been wrong ({LEAST:g})",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Say what is known, and propose what to paste."""
    settings = load_settings(args.config)
    told = list(_of_clip(args, settings) if args.clip else _of_agent(args, settings))
    if args.json:
        print(json.dumps({camera.id: asdict(one) for camera, one in told}, indent=2))
        return 0
    for camera, one in told:
        print(f"# {camera.id}: {verdict(one)}")
    wrong = [(camera, one.nuisances) for camera, one in told if one.nuisances]
    if wrong:
        print("cameras:")
    for camera, found in wrong:
        existing = {label: asked.without for label, asked in camera.detect.filters.items()}
        print("\n".join(proposal(camera.id, found, existing)))
    return 0


def _of_agent(args: argparse.Namespace, settings: Settings) -> Iterator[tuple[CameraSettings, Known]]:
    """What the agent has written down of all cameras, or of one."""
    pages = notebook_in(settings.outbox.path.parent).read()
    for camera in settings.cameras if args.camera is None else (app.camera_of(settings, args.camera),):
        yield camera, known(map_of(camera.id, camera.detect.labels, pages), args.least)


def _of_clip(args: argparse.Namespace, settings: Settings) -> Iterator[tuple[CameraSettings, Known]]:
    """What a recording teaches."""
    camera = app.camera_of(settings, args.camera)
    nuisance = map_of(camera.id, camera.detect.labels, {})
    source, vision = app.open_recording(args.clip), app.load_model(settings)
    pipeline = app.build_replay(settings, camera, vision, app.new_run_id(), nuisance)
    with Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as progress:
        bar = progress.add_task(args.clip.name, total=None)
        for _frame in replay(pipeline, source.frames()):
            progress.update(bar, advance=1)
    yield camera, known(nuisance, args.least)


def _times(text: str) -> float:
    try:
        times = float(text)
    except ValueError:
        times = math.nan
    if not 1 <= times < math.inf:
        raise argparse.ArgumentTypeError(f"is {text!r}, must be a number of at least 1")
    return times
