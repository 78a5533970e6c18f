"""The options of a command that is given a model by name or as a file: what cannot be read in the file."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

from edge_agent.edges.inference import ModelSettings
from edge_agent.tools import models


def add_options(
    parser: argparse.ArgumentParser, *, size_help: str = "for a model that takes any size: which one"
) -> None:
    """Let a file's labels, family and input be told."""
    parser.add_argument("--labels", type=Path, metavar="FILE", help="for a file: its labels, one a line")
    parser.add_argument("--family", metavar="NAME", help="for a file: how its answer is to be read")
    parser.add_argument("--anchors", type=Path, metavar="FILE", help="for a file that ends in raw offsets: its anchors")
    parser.add_argument("--anchor-form", choices=_FORMS, help="what the numbers in --anchors are")
    parser.add_argument(
        "--box-scales", type=_scales, metavar="N,N,N,N", help="for an SSD: how many times as large its offsets are"
    )
    parser.add_argument("--activation", choices=_ACTIVATIONS, help="for an SSD: what makes scores of its logits")
    parser.add_argument("--input", metavar="WxH", type=_size, help=size_help)


def model_settings(model: str, args: argparse.Namespace) -> ModelSettings:
    """The settings for a built-in model's name or for a file, with the options above."""
    if models.is_file(model):
        return file_settings(Path(model), args)
    return ModelSettings.model_construct(name=model, **_options(args))


def file_settings(path: Path, args: argparse.Namespace) -> ModelSettings:
    """The settings for a file, with the options above."""
    return ModelSettings.model_construct(path=path, **_options(args))


_NAMES = ("labels", "family", "anchors", "anchor_form", "box_scales", "activation", "input")
_FORMS = ("yxyx", "xyxy", "yxhw", "xywh")
_ACTIVATIONS = ("sigmoid", "softmax")


def _options(args: argparse.Namespace) -> dict[str, Any]:
    return {name: getattr(args, name) for name in _NAMES}


def _scales(text: str) -> tuple[float, ...]:
    """Four numbers from 1 on."""
    scales = tuple(number(one, 1.0, math.inf) for one in text.split(","))
    if len(scales) != 4:  # noqa: PLR2004
        raise argparse.ArgumentTypeError(f"{text} are not four numbers such as 10,10,5,5")
    return scales


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
