"""Show the places that cry wolf again and again, as the agent has learnt them, and the lines that leave them out."""

from __future__ import annotations

import argparse
import json
import math
import sys
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from edge_agent import app
from edge_agent.cli.files import load_settings
from edge_agent.config import CameraSettings, Settings
from edge_agent.tools.nuisance import LEAST_TIMES, Nuisance, places, proposal, summary, verdict
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
        default=LEAST_TIMES,
        metavar="N",
        help=f"how often a place must have been wrong ({LEAST_TIMES:g})",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Say what is known, and propose what to paste."""
    settings = load_settings(args.config)
    known = [_of_clip(args.clip, settings, args.camera)] if args.clip else _of_agent(settings, args.camera)
    found = [(camera, nuisance, places(nuisance.learnt, args.least)) for camera, nuisance in known]
    if args.json:
        print(json.dumps({camera.id: summary(nuisance, wrong) for camera, nuisance, wrong in found}, indent=2))
        return 0
    for camera, nuisance, wrong in found:
        print(f"# {camera.id}: {verdict(nuisance, wrong)}")
    if any(wrong for _camera, _nuisance, wrong in found):
        print("cameras:")
    for camera, _nuisance, wrong in found:
        if wrong:
            existing = {label: asked.without for label, asked in camera.detect.filters.items()}
            print("\n".join(proposal(camera.id, wrong, existing)))
    return 0


def _of_agent(settings: Settings, name: str | None) -> list[tuple[CameraSettings, Nuisance]]:
    """What the agent has written down of all cameras, or of one."""
    pages = app.open_notebook(settings).read()
    cameras = settings.cameras if name is None else (app.camera_of(settings, name),)
    return [(camera, app.nuisance_of(camera, pages)) for camera in cameras]


def _of_clip(clip: Path, settings: Settings, name: str | None) -> tuple[CameraSettings, Nuisance]:
    """What a recording teaches."""
    camera = app.camera_of(settings, name)
    nuisance = app.nuisance_of(camera, {})
    source, vision = app.open_recording(clip), app.load_model(settings)
    pipeline = app.build_replay(settings, camera, vision, app.new_run_id(), nuisance)
    with Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as progress:
        bar = progress.add_task(clip.name, total=None)
        for _frame in replay(pipeline, source.frames()):
            progress.update(bar, advance=1)
    return camera, nuisance


def _times(text: str) -> float:
    try:
        times = float(text)
    except ValueError:
        times = math.nan
    if not 1 <= times < math.inf:
        raise argparse.ArgumentTypeError(f"is {text!r}, must be a number of at least 1")
    return times
