"""Make an INT8 model of a float one, and write it if it is no slower here and loses little accuracy."""

from __future__ import annotations

import argparse
import functools
import json
import sys
import threading
from pathlib import Path

import edge_agent
from edge_agent import app
from edge_agent.cli.main import EXIT_FAILED
from edge_agent.cli.model_options import add_options, file_settings, number, ratio
from edge_agent.cli.probe import filled
from edge_agent.cli.stopping import tidily
from edge_agent.errors import ConfigError
from edge_agent.tools import accuracy, calibration_pictures, made_models, models
from edge_agent.tools.calibration_pictures import LEAST_PICTURES
from edge_agent.tools.int8 import FORMS, MAX_LOSS, Order, Quantized
from edge_agent.tools.labelled import LabelledFolder, read_labelled, require_pictures
from edge_agent.tools.model_card import card_of
from edge_agent.tools.quantize import quantize

_SHOWN_NODES = 6
_MINUTE_S = 60.0


def arguments(parser: argparse.ArgumentParser) -> None:
    """Say what can be asked."""
    parser.add_argument("model", help="the float model, an ONNX file")
    parser.add_argument(
        "--calibrate",
        required=True,
        metavar="PICTURES",
        help="a video, a folder of pictures, or a camera's address, of what the model is to see; nothing of it is kept",
    )
    parser.add_argument("-o", "--output", type=_onnx, required=True, metavar="OUT.onnx", help="where the model goes")
    add_options(parser)
    parser.add_argument(
        "--pictures",
        type=_pictures,
        default=128,
        metavar="N",
        help="how many to take, a second apart from a camera; half of them calibrate, half measure (128)",
    )
    parser.add_argument(
        "--annotations",
        type=Path,
        metavar="FILE",
        help="what is on labelled pictures: JSON in COCO's form; then the loss is measured in AP, on those that do not "
        "calibrate",
    )
    parser.add_argument("--images", type=Path, metavar="DIR", help="where the labelled pictures lie")
    parser.add_argument(
        "--categories",
        type=Path,
        metavar="FILE",
        help="other names for the categories there, one a line in the order of their ids",
    )
    parser.add_argument(
        "--max-loss",
        type=ratio,
        metavar="LOSS",
        help=f"how much may be lost, 0 to 1: {_usual_losses()}",
    )
    parser.add_argument("--for", dest="target", choices=FORMS, default="cpu", help="what is to run it (cpu)")
    parser.add_argument(
        "--reduce-range",
        choices=("auto", "yes", "no"),
        default="auto",
        help="7-bit weights, for x86 without VNNI; auto asks this machine's processor",
    )
    parser.add_argument(
        "--minutes", type=_minutes, default=10.0, help="how long to search for what is to stay float (10)"
    )
    parser.add_argument("--force", action="store_true", help="write it even if it is slower or loses more")
    parser.add_argument("--json", action="store_true", help="print JSON")


def _usual_losses() -> str:
    return ", ".join(f"of {measured} ({loss:g})" for measured, loss in MAX_LOSS.items())


@tidily()
def run(args: argparse.Namespace) -> int:
    """Make it, say what came of it, and write it if it pays."""
    path = models.file_of(args.model)
    if args.output.resolve() == path.resolve():
        raise ConfigError(f"--output {args.output}: that is the float model itself; choose another name")
    if not args.output.parent.is_dir():
        raise ConfigError(f"--output {args.output}: there is no folder {args.output.parent}")
    made_models.refuse_others(args.output)
    labels = _labels(args)
    name, source = app.open_pictures(filled(args.calibrate), threading.Event())
    order = Order(
        path=path,
        model=file_settings(path, args),
        agent_version=edge_agent.__version__,
        pictures_of=name,
        labels=labels,
        form=FORMS[args.target],
        reduce_range={"auto": None, "yes": True, "no": False}[args.reduce_range],
        max_loss=args.max_loss,
        search_s=args.minutes * _MINUTE_S,
    )
    chosen = calibration_pictures.of_camera if source.live else calibration_pictures.of_recording
    made = quantize(order, functools.partial(chosen, source.frames(), most=args.pictures), _say)
    print(json.dumps(made.manifest, indent=2) if args.json else "\n".join(_lines(made, path)))
    if not (made.pays or args.force):
        print(f"{args.output} is not written; --force writes it all the same", file=sys.stderr)
        return EXIT_FAILED
    manifest = {"file": args.output.name} | made.manifest
    for written in made_models.write(args.output, made.model, manifest, card_of(manifest)):
        print(f"wrote {written}", file=sys.stderr)
    return 0 if made.pays else EXIT_FAILED


def _labels(args: argparse.Namespace) -> LabelledFolder | None:
    """The labelled pictures, seen to be there before much time is spent."""
    if args.annotations is None:
        for option in ("images", "categories"):
            if getattr(args, option) is not None:
                raise ConfigError(f"--{option} is for labelled pictures; --annotations FILE says what is on them")
        return None
    if args.images is None:
        raise ConfigError(f"--annotations {args.annotations}: --images DIR says where its pictures lie")
    accuracy.require_metric()
    labelled = read_labelled(args.annotations, args.categories)
    require_pictures(labelled, args.images)
    return LabelledFolder(labelled=labelled, folder=args.images)


def _say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


def _lines(made: Quantized, path: Path) -> list[str]:
    source, measured, nodes = (made.manifest[key] for key in ("source", "measured", "nodes"))
    kept = nodes["kept_float"]
    some = f"{', '.join(kept[:_SHOWN_NODES])}{', …' * (len(kept) > _SHOWN_NODES)}"
    rows: list[tuple[str, str, str, str]] = [
        ("", "float", "INT8", "ratio"),
        _row("MB", source["bytes"] / 1e6, made.manifest["bytes"] / 1e6, 1),
        _row("CPU ms a run", measured["cpu_ms_before"], measured["cpu_ms_after"], 2),
        _row(measured["accuracy"], measured["before"], measured["after"], 3),
    ]
    return [
        *(f"{name:14} {before:>8} {after:>8} {ratio:>7}" for name, before, after, ratio in rows),
        f"INT8 are {nodes['int8']} of {nodes['all']} nodes; kept float for their loss: {len(kept)} {some}".rstrip(),
        f"{path.name}: {made.verdict}",
    ]


def _row(name: str, before: float, after: float, digits: int) -> tuple[str, str, str, str]:
    return name, f"{before:.{digits}f}", f"{after:.{digits}f}", f"{after / before:.2f}" if before else "-"


def _onnx(text: str) -> Path:
    if not text.endswith(".onnx"):
        raise argparse.ArgumentTypeError(f"{text} has to end in .onnx")
    return Path(text)


def _pictures(text: str) -> int:
    if not text.isdecimal() or int(text) < LEAST_PICTURES:
        raise argparse.ArgumentTypeError(f"must be at least {LEAST_PICTURES}")
    return int(text)


def _minutes(text: str) -> float:
    return number(text, 0.0, 24 * 60.0)
