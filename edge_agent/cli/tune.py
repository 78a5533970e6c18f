"""Choose the model's size, form, threads and provider for this machine, by measurement, and remember the choice."""

from __future__ import annotations

import argparse
import functools
import json
import re
import sys
import threading
from dataclasses import asdict
from pathlib import Path
from typing import Any

import edge_agent
from edge_agent import app, clips
from edge_agent.cli.files import load_settings
from edge_agent.cli.model_options import ratio
from edge_agent.cli.probe import filled
from edge_agent.cli.stopping import tidily
from edge_agent.edges.inference import ModelSettings
from edge_agent.errors import ConfigError
from edge_agent.tools import calibration_pictures, models, tuned
from edge_agent.tools.candidates import Trial
from edge_agent.tools.own_form import OwnForm
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
        help=f"how many to take, a second apart from a camera; a third of them calibrates an INT8 form, where one is "
        f"made ({PICTURES})",
    )
    parser.add_argument(
        "--with",
        dest="others",
        action="append",
        default=[],
        metavar="FILE",
        help="another form of the same model, such as an INT8 one, to be tried too; may be repeated",
    )
    parser.add_argument(
        "--no-int8",
        action="store_true",
        help="make no INT8 form of a float ONNX file, which takes minutes on a small board",
    )
    parser.add_argument(
        "--max-loss",
        type=ratio,
        metavar="LOSS",
        help=f"how much agreement may be lost, 0 to 1; else model.max_loss, or {_USUAL_LOSS:g}",
    )
    parser.add_argument("--dry-run", action="store_true", help="measure, and remember nothing")
    parser.add_argument("--json", action="store_true", help="print JSON")


@tidily()
def run(args: argparse.Namespace) -> int:
    """Measure, say what was found, and remember it."""
    settings = load_settings(args.config)
    model, demand = _with_loss(settings.model, args.max_loss), app.demand_of(settings)
    state, stop = settings.outbox.path.parent, threading.Event()
    others = tuple(models.file_of(name).resolve() for name in args.others)
    if args.camera is None:
        name, source = app.open_pictures(filled(args.origin) if args.origin else str(clips.PEDESTRIANS), stop)
    else:
        name, source = args.camera, app.open_camera(app.camera_of(settings, args.camera), stop)
    is_kept = not args.dry_run and settings.model.max_loss == model.max_loss
    if is_kept:
        tuned.require_room(state)
    chosen = calibration_pictures.of_camera if source.live else calibration_pictures.of_recording
    found = tune(
        tuned.order_of(model, demand, state, name, others),
        functools.partial(chosen, source.frames(), most=args.pictures),
        lambda words: print(words, file=sys.stderr, flush=True),
        None if args.no_int8 else functools.partial(OwnForm, version=edge_agent.__version__),
    )
    form = _form(found, state, is_kept=is_kept)
    print(json.dumps(_summary(found, form), indent=2) if args.json else "\n".join(_lines(found, model, form)))
    if args.dry_run:
        return 0
    if not is_kept:
        # The choice holds for a configuration that says so, and for no other.
        raise ConfigError(
            f"nothing is remembered: {args.config} has to say `model: {{max_loss: {model.max_loss:g}}}`, so that the "
            "agent heeds it"
        )
    tuned.remember(model, demand, state, found.choice, found.form)
    print(f"remembered in {state / tuned.FILE}", file=sys.stderr)
    return 0


def _with_loss(model: ModelSettings, max_loss: float | None) -> ModelSettings:
    """The model with the loss that is allowed: the command's, the configuration's, or the usual one."""
    if max_loss is None:
        max_loss = _USUAL_LOSS if model.max_loss is None else model.max_loss
    return model.model_copy(update={"max_loss": max_loss})


def _form(found: Tuned, state: Path, *, is_kept: bool) -> dict[str, Any] | None:
    """The file of the form that was chosen, for who copies it to other boxes; None where it is the model itself."""
    choice = found.choice
    if choice.file is None:
        return None
    path = state / choice.file
    size = len(found.form.model) if found.form else path.stat().st_size
    return {"file": str(path), "bytes": size, "sha256": choice.sha256, "kept": is_kept or found.form is None}


def _lines(found: Tuned, model: ModelSettings, form: dict[str, Any] | None) -> list[str]:
    wide = max(len(trial.name) for trial in found.trials)
    truth = f"{found.things} things in {found.pictures} pictures are the truth"
    if found.calibrating:
        truth += f", without the {found.calibrating} that calibrated the INT8 form"
    return [
        f"{truth}; at most {model.max_loss:g} may be lost",
        "",
        f"{'':{wide}} {'input':>9} {'ms a run':>9} {'ratio':>6} {'loss':>6}",
        *(_row(trial, wide) for trial in found.trials),
        "",
        f"{'threads':>7} {'CPU ms':>7} {'wall ms':>8}",
        *(f"{pace.threads:7} {pace.cpu_ms:7.1f} {pace.wall_ms:8.1f}" for pace in found.choice.paces),
        "",
        *([found.int8] if found.int8 and not found.form else []),
        f"{found.best.name}: {found.choice.why}",
        *_by_hand(found, model, form),
    ]


def _row(trial: Trial, wide: int) -> str:
    width, height = trial.input_size
    head = f"{trial.name:{wide}} {f'{width}x{height}':>9}"
    if trial.problem:
        return f"{head} {trial.problem}"
    loss = "-" if trial.loss is None else f"{trial.loss:.3f}"
    return f"{head} {trial.cost_ms:9.2f} {trial.share:6.2f} {loss:>6}"


def _by_hand(found: Tuned, model: ModelSettings, form: dict[str, Any] | None) -> list[str]:
    """The same choice as settings for other boxes, and which file they need."""
    values = model.model_dump(mode="json", exclude_defaults=True, exclude={"max_loss"})
    if form:
        values = {name: value for name, value in values.items() if name != "name"} | {"path": Path(form["file"]).name}
    values |= {"input": list(found.choice.input_size), "provider": found.choice.provider, "threads": found.threads}
    lines = [f"the same by hand: model: {{{', '.join(f'{name}: {_yaml(value)}' for name, value in values.items())}}}"]
    if form and form["kept"]:
        lines.append(f"with {form['file']} copied beside the configuration, sha256 {form['sha256']}")
    elif form:
        lines.append(
            f"{Path(form['file']).name} is not kept, for nothing is remembered: that needs model.max_loss in the "
            "configuration, and no --dry-run"
        )
    return lines


def _yaml(value: object) -> str:
    """A value as it stands in a flow of YAML."""
    return value if isinstance(value, str) and _PLAIN.fullmatch(value) else json.dumps(value)


_PLAIN = re.compile(r"[\w/][\w/.:-]*")


def _summary(found: Tuned, form: dict[str, Any] | None) -> dict[str, Any]:
    return {
        "pictures": found.pictures,
        "calibrating": found.calibrating,
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
        "int8": found.int8,
        "choice": {**asdict(found.choice), "threads": found.threads},
        "form": form,
    }


def _pictures(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return int(text)
