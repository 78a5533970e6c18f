"""Measure how good a detector is on labelled pictures, by COCO's metric."""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress

from edge_agent.cli.main import EXIT_FAILED
from edge_agent.cli.model_options import add_options, model_settings
from edge_agent.tools import accuracy
from edge_agent.tools.accuracy import Accuracy, Figures
from edge_agent.tools.labelled import Labelled, read_labelled, require_pictures
from edge_agent.vision import Vision, load_vision


def arguments(parser: argparse.ArgumentParser) -> None:
    """Say what can be asked."""
    parser.add_argument("--images", type=Path, required=True, metavar="DIR", help="where the pictures lie")
    parser.add_argument(
        "--annotations", type=Path, required=True, metavar="FILE", help="what is on them: JSON in COCO's form"
    )
    parser.add_argument(
        "--categories",
        type=Path,
        metavar="FILE",
        help="other names for the categories there, one a line in the order of their ids",
    )
    parser.add_argument("--model", default="default", help="a built-in model's name, or an ONNX file")
    add_options(parser)
    parser.add_argument("--min", type=float, metavar="AP", help="exit 1 when AP, in percent, is less")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Look at every picture, compare, and print the figures."""
    accuracy.require_metric()
    labelled = read_labelled(args.annotations, args.categories)
    require_pictures(labelled, args.images)
    vision = load_vision(model_settings(args.model, args))
    category_ids = labelled.shared_with(vision.label_names)
    with Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as progress:
        looks = accuracy.look(vision, labelled, category_ids, args.images)
        watched = progress.track(looks, total=len(labelled.pictures), description=args.images.name)
        found = list(itertools.chain.from_iterable(watched))
    judged = accuracy.judge(labelled, category_ids, found)
    print(json.dumps(_summary(judged, vision, labelled), indent=2) if args.json else _table(judged, vision, labelled))
    is_enough = args.min is None or (judged.overall.ap or 0.0) * 100 >= args.min
    return 0 if is_enough else EXIT_FAILED


def _table(judged: Accuracy, vision: Vision, labelled: Labelled) -> str:
    width, height = vision.input_size
    seen = {label: figures for label, figures in judged.labels.items() if figures.objects}
    rows = [
        f"{vision.name} at {width}x{height} on {len(labelled.pictures)} pictures, in percent",
        "",
        f"{'':{_LABEL}} {'objects':>7} {'AP':>6} {'AP50':>6} {'AP75':>6} {'AR100':>6}",
        _row(_ALL, judged.overall),
        *(_row(label, figures) for label, figures in seen.items()),
    ]
    for what, labels in {
        "nothing is annotated as": [label for label in judged.labels if label not in seen],
        "left out, for the model does not know it": _unknown(judged, labelled),
    }.items():
        if labels:
            rows += ["", f"{what}: {', '.join(labels)}"]
    return "\n".join(rows)


_ALL = "all labels"
_LABEL = 16  # letters


def _row(name: str, figures: Figures) -> str:
    shares = (figures.ap, figures.ap50, figures.ap75, figures.ar100)
    return f"{name:{_LABEL}} {figures.objects:7} " + " ".join(f"{(share or 0.0) * 100:6.1f}" for share in shares)


def _unknown(judged: Accuracy, labelled: Labelled) -> list[str]:
    """Categories that are annotated and that the model does not look for."""
    return [name for name in labelled.category_ids if name not in judged.labels]


def _summary(judged: Accuracy, vision: Vision, labelled: Labelled) -> dict[str, Any]:
    return {
        "model": vision.name,
        "sha256": vision.sha256,
        "input": list(vision.input_size),
        "pictures": len(labelled.pictures),
        "least_score": accuracy.LEAST_SCORE,
        "most_boxes_a_picture": accuracy.MOST_A_PICTURE,
        **asdict(judged.overall),
        "labels": [{"label": label, **asdict(figures)} for label, figures in judged.labels.items()],
        "left_out": _unknown(judged, labelled),
    }
