"""The built-in models as a person asks about them: which there are, what each is, and whether its file is sound."""

from __future__ import annotations

from typing import Any

from edge_agent.edges import catalogue
from edge_agent.edges.catalogue import CatalogueEntry
from edge_agent.errors import ModelError

SOUND = "ok"


def labels_by_name() -> dict[str, tuple[str, ...]]:
    """What each built-in model can tell apart."""
    return {model["name"]: tuple(model["labels"]) for model in describe_all()}


def describe_all() -> list[dict[str, Any]]:
    """Every built-in model in numbers and names."""
    return [_describe(entry) for entry in catalogue.entries()]


def describe(name: str) -> tuple[dict[str, Any], str]:
    """One model in numbers and names, and its model card.

    Raises:
        ModelError: there is none of that name.
    """
    entry = catalogue.find(name)
    return _describe(entry), entry.card.read_text(encoding="utf-8")


def verify(name: str | None) -> dict[str, str]:
    """`ok`, or what is wrong, for the model of that name, or for all.

    Raises:
        ModelError: there is none of that name.
    """
    entries = [catalogue.find(name)] if name else catalogue.entries()
    return {entry.name: _verdict(entry) for entry in entries}


def _verdict(entry: CatalogueEntry) -> str:
    try:
        catalogue.verify(entry)
    except ModelError as error:
        return str(error)
    return SOUND


def _describe(entry: CatalogueEntry) -> dict[str, Any]:
    return {
        "name": entry.name,
        "title": entry.title,
        "family": entry.family,
        "input": list(entry.input_size),
        "labels": [label for label in entry.labels if label not in {"-", "background"}],
        "bytes": entry.size_bytes,
        "sha256": entry.sha256,
        "licence": entry.licence,
        "source": entry.source,
    }
