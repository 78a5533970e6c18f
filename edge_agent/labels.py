"""What a model's classes mean: who says so, and COCO's labels where nobody does."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edge_agent.edges import catalogue
from edge_agent.edges.catalogue import CatalogueEntry

BACKGROUND = "background"

MEANINGLESS = frozenset({"-", BACKGROUND})
"""What stands among labels for a class column that is no kind of thing."""

_COCO_WITH_GAPS = 90


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldLabels:
    """Labels as somebody tells them.

    Attributes:
        names: of the classes, in order; None when nobody says.
        origin: where they stand, for people.
    """

    names: tuple[str, ...] | None
    origin: str


def told_labels(file: Path | None, entry: CatalogueEntry | None, metadata: Mapping[str, str]) -> ToldLabels:
    """A model's labels, as the first of these has them.

    Args:
        file: the user's own.
        entry: the catalogue's, of a built-in model.
        metadata: what the model's file says of itself.

    Raises:
        ModelError: the user's file cannot be read.
    """
    if file:
        return ToldLabels(names=catalogue.read_labels(file), origin=file.name)
    if entry:
        return ToldLabels(names=entry.labels, origin="the catalogue")
    if "labels" in metadata:
        names = tuple(label.strip() for label in metadata["labels"].split(","))
        return ToldLabels(names=names, origin="its metadata")
    named = _named(metadata["names"]) if "names" in metadata else None
    return ToldLabels(names=named, origin="its metadata" if named else "COCO, for nobody says")


def fitting(told: ToldLabels, classes: int | None, coco: int) -> tuple[str, ...]:
    """What the classes mean: what is said of them, or COCO's labels where they fit.

    Args:
        told: what is said.
        classes: how many the model tells apart; None where it gives numbers of classes.
        coco: which list of COCO's such numbers count through.

    Raises:
        ValueError: there are more classes, or fewer, than labels.
    """
    names = _coco(classes or coco) if told.names is None else told.names
    if classes not in {None, len(names)}:
        labels = "nobody says what they mean" if told.names is None else f"there are {len(names)} labels"
        apart = "has one class" if classes == 1 else f"tells {classes} classes apart"
        raise ValueError(f"it {apart} and {labels}; set model.labels")
    return names


def _named(names: str) -> tuple[str, ...] | None:
    """Labels from what some exporters write: a mapping of numbers to names, or a list of names, as Python has them."""
    try:
        value = ast.literal_eval(names)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return None
    if isinstance(value, dict) and sorted(map(str, value)) == sorted(map(str, range(len(value)))):
        value = [value.get(number, value.get(str(number))) for number in range(len(value))]
    if isinstance(value, list | tuple) and value and all(isinstance(label, str) for label in value):
        return tuple(value)
    return None


def _coco(classes: int) -> tuple[str, ...]:
    """COCO's labels as models count them: the 80 that are used, all 90 with gaps, either after a background."""
    if classes in {_COCO_WITH_GAPS, _COCO_WITH_GAPS + 1}:
        return catalogue.read_labels(catalogue.FOLDER / catalogue.COCO_WITH_GAPS)[-classes:]
    labels = catalogue.read_labels(catalogue.FOLDER / catalogue.COCO_LABELS)
    return (BACKGROUND, *labels) if classes == len(labels) + 1 else labels
