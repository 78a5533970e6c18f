"""The options of a command that is given a model by name or as a file: what cannot be read in the file."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

from edge_agent.edges.inference import ModelSettings
from edge_agent.tools import models


def add_options(
    parser: argparse.ArgumentParser, *, size_help: str = "for a model that takes any size: which one"
) -> None:
    """Let a file's labels, family and input be told."""
    parser.add_argument("--labels", type=Path, metavar="FILE", help="for a file: its labels, one a line")
    parser.add_argument("--family", metavar="NAME", help="for a file: how its answer is to be read")
    parser.add_argument("--input", metavar="WxH", type=_size, help=size_help)


def model_settings(model: str, args: argparse.Namespace) -> ModelSettings:
    """The settings for a built-in model's name or for a file, with the options above."""
    if models.is_file(model):
        return file_settings(Path(model), args)
    return ModelSettings.model_construct(name=model, labels=args.labels, family=args.family, input=args.input)


def file_settings(path: Path, args: argparse.Namespace) -> ModelSettings:
    """The settings for a file, with the options above."""
    return ModelSettings.model_construct(path=path, labels=args.labels, family=args.family, input=args.input)


def _size(text: str) -> tuple[int, int]:
    width, _x, height = text.partition("x")
    if not (width.isdecimal() and height.isdecimal()):
        raise argparse.ArgumentTypeError(f"{text} is no size such as 416x256")
    return int(width), int(height)


def ratio(text: str) -> float:
    """A part of a whole, 0 to 1."""
    return number(text, 0.0, 1.0)


def number(text: str, least: float, most: float) -> float:
    """A number within bounds."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not least <= value <= most:
        raise argparse.ArgumentTypeError(f"must be {least:g} to {most:g}")
    return value
