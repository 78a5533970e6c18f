"""List models, show one or what is made of a file, verify files, pull one from elsewhere, or fit one to its use."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from edge_agent.cli import fit
from edge_agent.cli.main import EXIT_FAILED
from edge_agent.cli.model_options import add_options, model_settings
from edge_agent.cli.stopping import tidily
from edge_agent.errors import ModelError
from edge_agent.tools import models


def arguments(parser: argparse.ArgumentParser) -> None:
    """Say what can be asked."""
    parser.add_argument("action", choices=("list", "info", "verify", "pull", "fit"), help="what to do")
    parser.add_argument(
        "name",
        nargs="?",
        help="of a model, for `info` and `fit` also a model file; when left out, for `info` the default one and for "
        "`verify` all",
    )
    fit.arguments(parser)
    add_options(parser, size_help="for a model that takes any size: which one; for `fit` also the one it is to have")
    parser.add_argument(
        "--measure", action="store_true", help="for `list`: time a run of the built-in models, and of those in --to DIR"
    )
    parser.add_argument("--to", type=Path, metavar="DIR", default=Path(), help="where pulled models go (default: here)")
    parser.add_argument(
        "--from", dest="origin", metavar="DIR_OR_URL", help="for `pull`: where from, instead of where it is published"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


@tidily()
def run(args: argparse.Namespace) -> int:
    """Do it."""
    return {"list": _list, "info": _info, "verify": _verify, "pull": _pull, "fit": fit.run}[args.action](args)


def _list(args: argparse.Namespace) -> int:
    listed = [*models.describe_all(), *models.describe_remote()]
    if args.measure:
        ms = models.measure(args.to)
        listed = [model | {"ms": round(ms[model["name"]], 2) if model["name"] in ms else None} for model in listed]
    print(json.dumps(listed, indent=2) if args.json else _table(listed))
    return 0


def _table(listed: list[dict[str, Any]]) -> str:
    has_ms = "ms" in listed[0]
    rows = [("name", "MB", "where", "input", "AP", *(["ms"] * has_ms), "what"), *map(_row, listed)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    pictures = dict.fromkeys(model["accuracy"]["on"] for model in listed if model["accuracy"])
    notes = [f"AP: in percent, on {on}; it compares these models, and is no benchmark" for on in pictures]
    notes += ["ms: of the quickest run here, in CPU time where it computes on the CPU, with one thread"] * has_ms
    return "\n".join([*lines, "", *notes])


def _row(model: dict[str, Any]) -> tuple[str, ...]:
    accuracy = model["accuracy"]
    size = model.get("input") or (accuracy["input"] if accuracy else None)
    return (
        model["name"],
        f"{model['bytes'] / 1e6:.1f}",
        "built in" if model["built_in"] else "to pull",
        f"{size[0]}x{size[1]}" if size else _UNKNOWN,
        f"{accuracy['ap'] * 100:.1f}" if accuracy else _UNKNOWN,
        *([f"{ms:.1f}" if (ms := model["ms"]) else _UNKNOWN] if "ms" in model else []),
        f"{model['title']}  ({model['licence']})",
    )


_UNKNOWN = "-"


def _pull(args: argparse.Namespace) -> int:
    if not args.name:
        names = ", ".join(model["name"] for model in models.describe_remote())
        raise ModelError(f"pull which model? There are: {names}")
    path = models.pull(args.name, args.to, args.origin, _Progress())
    print(path)
    return 0


class _Progress:
    """A line on a terminal every tenth of a file, and none elsewhere."""

    def __init__(self) -> None:
        self._tenth = 0

    def __call__(self, there: int, whole: int) -> None:
        tenth = there * 10 // whole
        if tenth > self._tenth and sys.stderr.isatty():
            print(f"{there / 1e6:.1f} of {whole / 1e6:.1f} MB", file=sys.stderr)
        self._tenth = tenth


def _info(args: argparse.Namespace) -> int:
    if args.name and models.is_file(args.name):
        return _inspect(args)
    described, card = models.describe(args.name or "default")
    print(json.dumps(described, indent=2) if args.json else card.rstrip())
    return 0


def _inspect(args: argparse.Namespace) -> int:
    found = models.inspect(model_settings(args.name, args))
    if args.json:
        print(json.dumps(found, indent=2))
        return 0
    width, height = found["input"]
    labels = found["labels"]
    shown = ", ".join(labels[:_SHOWN_LABELS]) + (", …" if len(labels) > _SHOWN_LABELS else "")
    scale = "bytes" if found["dtype"] == "uint8" else f"less {_numbers(found['mean'])}, by {_numbers(found['std'])}"
    nms = "in the model or not needed" if found["suppressed"] else "by the agent"
    rows = {
        "file": f"{found['name']}, {found['bytes'] / 1e6:.1f} MB, sha256 {found['sha256']}",
        "takes": "; ".join(found["inputs"]),
        "answers": "; ".join(found["outputs"]),
        "family": f"{found['family']}: {found['why']}",
        "picture": f"{width}x{height}, {found['resize']}, {found['colour'].upper()}, {scale}",
        "labels": f"{len(labels)}, from {found['labels_from']}: {shown}",
        "suppression": nms,
        "assumed": f"{', '.join(found['assumed']) or 'nothing'}: the graph does not say",
        "runs": f"on {found['provider']}, {found['ms']:g} ms, {found['memory_bytes'] / 1e6:.0f} MB; "
        f"{found['provider_why']}{_elsewhere(found)}",
    }
    for name, value in rows.items():
        print(f"{name:12} {value}")
    return 0


def _elsewhere(found: dict[str, Any]) -> str:
    left, nodes = found["fallback_nodes"], found["nodes"]
    return f"; {left} of {nodes} operations run elsewhere" if left else ""


def _numbers(values: list[float]) -> str:
    return " ".join(f"{value:g}" for value in values)


_SHOWN_LABELS = 5


def _verify(args: argparse.Namespace) -> int:
    verdicts = models.verify(args.name)
    if args.json:
        print(json.dumps(verdicts, indent=2))
    else:
        for name, verdict in verdicts.items():
            print(f"{name}: {verdict}")
    return 0 if set(verdicts.values()) == {models.SOUND} else EXIT_FAILED
