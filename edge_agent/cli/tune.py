"""Choose the model's size, form, threads and provider for this machine, by measurement, and remember the choice."""

from __future__ import annotations

import argparse
import functools
import json
import sys
import threading
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edge_agent import app, clips
from edge_agent.cli.files import load_settings
from edge_agent.cli.model_options import ratio
from edge_agent.cli.probe import filled
from edge_agent.edges.inference import ModelSettings
from edge_agent.errors import ConfigError
from edge_agent.tools import calibration_pictures, models, tuned
from edge_agent.tools.candidates import Trial
from edge_agent.tools.tuning import PICTURES, Tuned, tune

_USUAL_LOSS = 0.03


def arguments(parser: argparse.ArgumentParser) -> None:
    """Say what can be asked."""
    parser.add_argument("-c", "--config", type=Path, required=True, help="the YAML file")
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--from",
        dest="origin",
        metavar="PICTURES",
        help="a video, a folder of pictures or a camera's address, of what the cameras see; else the built-in clip",
    )
    what.add_argument("--camera", metavar="NAME", help="take the pictures from this camera of the configuration")
    parser.add_argument(
        "--pictures",
        type=_pictures,
        default=PICTURES,
        metavar="N",
        help=f"how many to take, a second apart from a camera ({PICTURES})",
    )
    parser.add_argument(
        "--with",
        dest="others",
        action="append",
        default=[],
        metavar="FILE",
        help="another form of the same model, such as its INT8 one, to be tried too; may be repeated",
    )
    parser.add_argument(
        "--max-loss",
        type=ratio,
        metavar="LOSS",
        help=f"how much agreement may be lost, 0 to 1; else model.max_loss, or {_USUAL_LOSS:g}",
    )
    parser.add_argument("--dry-run", action="store_true", help="measure, and remember nothing")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Measure, say what was found, and remember it."""
    settings = load_settings(args.config)
    model, demand = _with_loss(settings.model, args.max_loss), app.demand_of(settings)
    stop = threading.Event()
    others = tuple(models.file_of(name).resolve() for name in args.others)
    if args.camera is None:
        name, source = app.open_pictures(filled(args.origin) if args.origin else str(clips.PEDESTRIANS), stop)
    else:
        name, source = args.camera, app.open_camera(app.camera_of(settings, args.camera), stop)
    chosen = calibration_pictures.of_camera if source.live else calibration_pictures.of_recording
    found = tune(
        tuned.order_of(model, demand, settings.outbox.path.parent, name, others),
        functools.partial(chosen, source.frames(), most=args.pictures),
        lambda words: print(words, file=sys.stderr, flush=True),
    )
    print(json.dumps(_summary(found), indent=2) if args.json else "\n".join(_lines(found, model)))
    if args.dry_run:
        return 0
    if settings.model.max_loss != model.max_loss:
        # The choice holds for a configuration that says so, and for no other.
        raise ConfigError(
            f"nothing is remembered: {args.config} has to say `model: {{max_loss: {model.max_loss:g}}}`, so that the "
            "agent heeds it"
        )
    tuned.remember(model, demand, settings.outbox.path.parent, found.choice)
    print(f"remembered in {settings.outbox.path.parent / tuned.FILE}", file=sys.stderr)
    return 0


def _with_loss(model: ModelSettings, max_loss: float | None) -> ModelSettings:
    """The model with the loss that is allowed: the command's, the configuration's, or the usual one."""
    if max_loss is None:
        max_loss = _USUAL_LOSS if model.max_loss is None else model.max_loss
    return model.model_copy(update={"max_loss": max_loss})


def _lines(found: Tuned, model: ModelSettings) -> list[str]:
    width, height = found.choice.input_size
    said = model.model_dump(mode="json", exclude_defaults=True, exclude={"max_loss"})
    if found.choice.file:
        said = {name: value for name, value in said.items() if name != "name"} | {"path": found.choice.file}
    values = {
        **said,
        "input": f"[{width}, {height}]",
        "provider": found.choice.provider,
        "threads": found.threads,
    }
    return [
        f"{found.things} things in {found.pictures} pictures are the truth; at most {model.max_loss:g} may be lost",
        "",
        f"{'':{_NAME}} {'input':>9} {'ms a run':>9} {'ratio':>6} {'loss':>6}",
        *map(_row, found.trials),
        "",
        f"{'threads':>7} {'CPU ms':>7} {'wall ms':>8}",
        *(f"{pace.threads:7} {pace.cpu_ms:7.1f} {pace.wall_ms:8.1f}" for pace in found.choice.paces),
        "",
        f"{found.best.name}: {found.choice.why}",
        f"the same by hand: model: {{{', '.join(f'{name}: {value}' for name, value in values.items())}}}",
    ]


_NAME = 28  # letters


def _row(trial: Trial) -> str:
    width, height = trial.input_size
    head = f"{trial.name[:_NAME]:{_NAME}} {f'{width}x{height}':>9}"
    if trial.problem:
        return f"{head} {trial.problem}"
    loss = "-" if trial.loss is None else f"{trial.loss:.3f}"
    return f"{head} {trial.cost_ms:9.2f} {trial.share:6.2f} {loss:>6}"


def _summary(found: Tuned) -> dict[str, Any]:
    return {
        "pictures": found.pictures,
        "things": found.things,
        "trials": [
            {
                "name": trial.name,
                "input": list(trial.input_size),
                "provider": trial.provider,
                "cost_ms": round(trial.cost_ms, 3),
                "ratio": round(trial.share, 3),
                "loss": None if trial.loss is None else round(trial.loss, 4),
                "problem": trial.problem,
            }
            for trial in found.trials
        ],
        "choice": {**asdict(found.choice), "threads": found.threads},
    }


def _pictures(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return int(text)
