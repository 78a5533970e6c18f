"""The built-in models as a person asks about them: which there are, what each is, and whether its file is sound."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edge_agent.edges import catalogue, downloads
from edge_agent.edges.catalogue import CatalogueEntry, RemoteEntry
from edge_agent.edges.inference import ModelSettings, contest, is_on_the_cpu
from edge_agent.edges.inference.model import Run
from edge_agent.errors import ModelError
from edge_agent.labels import MEANINGLESS
from edge_agent.records import Frame
from edge_agent.stages.detect import proof
from edge_agent.stages.detect.preparation import Preparation
from edge_agent.vision import Vision, load_vision

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


def describe_remote() -> list[dict[str, Any]]:
    """Every model that can be pulled, in numbers and names."""
    return [
        {
            "name": entry.name,
            "built_in": False,
            "title": entry.title,
            "bytes": entry.size_bytes,
            "sha256": entry.sha256,
            "licence": entry.licence,
            "source": entry.url,
            "accuracy": asdict(entry.accuracy) if entry.accuracy else None,
        }
        for entry in catalogue.remote_entries()
    ]


def measure(folder: Path) -> dict[str, float]:
    """Milliseconds of a run of each model that is here, by name: the quickest of several, in turns, with one thread.

    What computes on the CPU is timed by its CPU time, which others on the machine do not change; else by the wall.

    Args:
        folder: where pulled models lie; the built-in ones are always here.

    Raises:
        ModelError: one cannot be used.
        RuntimeMissingError: onnxruntime is not installed.
    """
    pulled = {entry.name: folder / entry.file for entry in catalogue.remote_entries() if _lies_in(folder, entry)}
    settings = {entry.name: ModelSettings(name=entry.name) for entry in catalogue.entries()}
    settings |= {name: ModelSettings(path=path) for name, path in pulled.items()}
    visions = {name: load_vision(one) for name, one in settings.items()}
    return contest.timed(
        {name: _run_on(vision, proof.picture()) for name, vision in visions.items()},
        {},
        {name: _stopwatch(vision.provider) for name, vision in visions.items()},
    )


def _lies_in(folder: Path, entry: RemoteEntry) -> bool:
    path = folder / entry.file
    return path.is_file() and entry.is_right(path)


def _run_on(vision: Vision, frame: Frame) -> Run:
    """A run on that picture, whatever it is shown."""
    preparation = Preparation(vision.head, vision.input_size)
    tensor = preparation.tensor(preparation.picture(frame))
    return lambda _inputs: vision.infer(tensor)


def _stopwatch(provider: str) -> contest.Stopwatch:
    return contest.undisturbed(threads=1) if is_on_the_cpu(provider) else contest.by_the_wall


def pull(name: str, folder: Path, origin: str | None, told: Callable[[int, int], None]) -> Path:
    """Get a model's file and prove it.

    Args:
        name: of the model.
        folder: where its file goes.
        origin: a folder, or an address above the file, to take it from instead of where it is published.
        told: called with the bytes that are there, and those that there will be.

    Raises:
        ModelError: there is none of that name, or another file is there or came.
        SourceError: it cannot be had, for now.
        StorageError: it cannot be written.
    """
    entry = catalogue.find_remote(name)
    if origin is None:
        address = entry.url
    elif "://" in origin:
        if not origin.startswith(("http://", "https://")):
            raise ModelError(f"--from {origin}: an address begins with http:// or https://; a folder has no ://")
        address = f"{origin.rstrip('/')}/{entry.file}"
    else:
        address = str(Path(origin) / entry.file)
    target = folder / entry.file
    downloads.fetch(
        address,
        target,
        size_bytes=entry.size_bytes,
        is_right=entry.is_right,
        told=lambda there: told(there, entry.size_bytes),
    )
    return target


def is_file(name: str) -> bool:
    """Whether a person means a file of their own, and no built-in model."""
    return name not in labels_by_name() and ("/" in name or "." in name or Path(name).exists())


def file_of(name: str) -> Path:
    """The file of a model that is built in or a person's own.

    Raises:
        ModelError: it is no file, and no built-in model is called so.
    """
    return Path(name) if is_file(name) else catalogue.find(name).path


def inspect(settings: ModelSettings) -> dict[str, Any]:
    """What the agent makes of a model file: everything that it read in it, and what it takes for granted.

    Raises:
        ModelError: it is none that can be used; the message says why.
        RuntimeMissingError: onnxruntime is not installed.
    """
    vision = load_vision(settings)
    head = vision.head
    return {
        "name": vision.name,
        "sha256": vision.sha256,
        "bytes": settings.path.stat().st_size if settings.path else None,
        "inputs": [str(tensor) for tensor in vision.signature.inputs],
        "outputs": [str(tensor) for tensor in vision.signature.outputs],
        "family": head.family,
        "why": head.why,
        "input": list(vision.input_size),
        "layout": head.layout,
        "dtype": head.dtype,
        "resize": head.resize,
        "colour": head.colour,
        "mean": list(head.mean),
        "std": list(head.std),
        "assumed": list(head.assumed),
        "classes": head.classes,
        "labels": list(vision.label_names),
        "labels_from": vision.labels_from,
        "suppressed": not head.suppresses,
        "provider": vision.provider,
        "provider_why": vision.provider_why,
        "nodes": vision.nodes,
        "fallback_nodes": vision.fallback_nodes,
        "ms": vision.ms,
        "memory_bytes": vision.memory_bytes,
    }


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
        "built_in": True,
        "title": entry.title,
        "family": entry.family,
        "input": list(entry.input_size),
        "labels": [label for label in entry.labels if label not in MEANINGLESS],
        "bytes": entry.size_bytes,
        "sha256": entry.sha256,
        "licence": entry.licence,
        "source": entry.source,
        "accuracy": asdict(entry.accuracy) if entry.accuracy else None,
    }
