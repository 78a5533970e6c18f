"""A model file of one's own, as a command is told of it."""

from __future__ import annotations

import argparse
from pathlib import Path

from edge_agent.edges.inference import ModelSettings


def file_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what can be told of a file."""
    parser.add_argument("--labels", type=Path, metavar="FILE", help="for a file: its labels, one a line")
    parser.add_argument("--family", metavar="NAME", help="for a file: how its answer is to be read")
    parser.add_argument("--input", metavar="WxH", type=_size, help="for a file that takes any size: which one")


def file_settings(args: argparse.Namespace, path: Path) -> ModelSettings:
    """What was told of a file."""
    return ModelSettings.model_construct(path=path, labels=args.labels, family=args.family, input=args.input)


def _size(text: str) -> tuple[int, int]:
    width, _x, height = text.partition("x")
    if not (width.isdecimal() and height.isdecimal()):
        raise argparse.ArgumentTypeError(f"{text} is no size such as 416x256")
    return int(width), int(height)
