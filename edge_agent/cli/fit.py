"""`models fit`: leave out of a model what its use does not need, and show that the rest answers the same."""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import threading
from pathlib import Path

import edge_agent
from edge_agent import app, clips
from edge_agent.cli.main import EXIT_FAILED
from edge_agent.cli.model_options import model_settings
from edge_agent.errors import ConfigError
from edge_agent.records import Frame
from edge_agent.tools import fit_card, made_models, models
from edge_agent.tools.fit import Fitted, Order, fit

_FRAMES = 4
_EVERY = 40
"""Every so many frames of the built-in clip is shown: 4 s of it, in which people come and go."""

_SUFFIX = ".onnx"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Say what can be asked, beside the model and its options."""
    parser.add_argument("output", nargs="?", type=Path, metavar="OUT.onnx", help="for `fit`: where the new model goes")
    parser.add_argument(
        "--keep", metavar="LABEL,…", type=_labels, help="for `fit`: the labels to compute; all, when left out"
    )


def run(args: argparse.Namespace) -> int:
    """Make it, say what came of it, and write it if anything was gained."""
    path, output = _paths(args)
    order = Order(
        path=path,
        model=model_settings(args.name, args).model_copy(update={"input": None}),
        agent_version=edge_agent.__version__,
        labels=args.keep,
        size=args.input,
    )
    made = fit(order, _frames())
    if made.model is None:
        why = "; ".join(made.left) or "nothing of it can be left out"
        print(f"edge-agent: {path.name}: nothing is written: {why}", file=sys.stderr)
        return EXIT_FAILED
    manifest = {"file": output.name} | made.manifest
    print(json.dumps(manifest, indent=2) if args.json else "\n".join(_lines(made)))
    for written in made_models.write(output, made.model, manifest, fit_card.card_of(manifest)):
        print(f"wrote {written}", file=sys.stderr)
    return 0


def _paths(args: argparse.Namespace) -> tuple[Path, Path]:
    if not args.name or args.output is None:
        raise ConfigError("models fit: which model, and where does the new one go? models fit MODEL OUT.onnx")
    path, output = models.file_of(args.name), args.output
    if output.suffix != _SUFFIX:
        raise ConfigError(f"models fit: {output} has to end in {_SUFFIX}")
    if output.resolve() == path.resolve():
        raise ConfigError(f"models fit: {output} is the model itself; choose another name")
    if not output.parent.is_dir():
        raise ConfigError(f"models fit: {output}: there is no folder {output.parent}")
    made_models.refuse_others(output)
    return path, output


def _frames() -> list[Frame]:
    """Some pictures of people."""
    _name, source = app.open_pictures(str(clips.PEDESTRIANS), threading.Event())
    frames = (frame for frame in source.frames() if frame is not None)
    return list(itertools.islice(frames, 0, _FRAMES * _EVERY, _EVERY))


def _lines(made: Fitted) -> list[str]:
    source, measured = made.manifest["source"], made.manifest["measured"]
    rows = [
        *((step["kind"], f"{step['told']}: {step['proof']}") for step in made.manifest["steps"]),
        *(("left", line) for line in made.left),
        ("bytes", f"{source['bytes']} before, {made.manifest['bytes']} now"),
        ("CPU ms a run", f"{measured['cpu_ms_before']:.2f} before, {measured['cpu_ms_after']:.2f} now"),
        ("", f"{source['file']}: {made.manifest['verdict']}"),
    ]
    return [f"{name:12} {words}".strip() for name, words in rows]


def _labels(text: str) -> tuple[str, ...]:
    labels = tuple(dict.fromkeys(label.strip() for label in text.split(",")))
    if not all(labels):
        raise argparse.ArgumentTypeError(f"{text!r} names a label that is empty")
    return labels
