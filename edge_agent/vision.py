"""From a model file to something that sees: joins the catalogue, the runtime and the family that reads its head."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge_agent.edges import catalogue, inference
from edge_agent.edges.catalogue import CatalogueEntry
from edge_agent.edges.inference import ModelSettings
from edge_agent.errors import ModelError
from edge_agent.records import Infer
from edge_agent.stages.detect.detector import Detector, DetectSettings
from edge_agent.stages.detect.families import recognise
from edge_agent.stages.detect.head import Head

_FREE_INPUT_SIZE = (416, 256)
"""Width and height for a model that takes any, unless told otherwise: nearly 16:9, as cameras are."""


@dataclass(frozen=True, kw_only=True)
class Vision:
    """A model that is loaded, understood and proved to run.

    Attributes:
        name: the built-in's name, or the file's.
        infer: one run; several threads may run it at once.
        head: how to prepare its input and read its output.
        label_names: what its class columns mean.
        input_size: width and height that it sees.
        threshold: least score of a detection unless a label has its own.
        sha256: of its file.
        provider: the execution provider that is active.
    """

    name: str
    infer: Infer
    head: Head
    label_names: tuple[str, ...]
    input_size: tuple[int, int]
    threshold: float
    sha256: str
    provider: str

    def detector(self, settings: DetectSettings) -> Detector:
        """A detector of its own for one camera.

        Raises:
            ValueError: a wanted label is none of the model's.
        """
        return Detector(
            infer=self.infer,
            head=self.head,
            label_names=self.label_names,
            input_size=self.input_size,
            threshold=self.threshold,
            settings=settings,
        )


def load_vision(settings: ModelSettings) -> Vision:
    """Load the model that the settings name.

    Raises:
        ModelError: it is missing, damaged, not understood, or cannot do what the settings ask of it.
        RuntimeMissingError: onnxruntime is not installed.
    """
    entry = None if settings.path else catalogue.find(settings.name or catalogue.DEFAULT)
    if entry:
        catalogue.verify(entry)
    path, sha256 = (entry.path, entry.sha256) if entry else _own_file(settings)
    loaded = inference.load_model(path, settings)
    try:
        head = recognise(loaded.signature)
        input_size = _input_size(settings, head, entry)
        _try_out(loaded.infer, head, input_size)
        label_names = _label_names(settings, head, loaded.signature.metadata, entry)
    except ValueError as error:
        raise ModelError(f"model {path}: {error}") from error
    return Vision(
        name=entry.name if entry else path.name,
        infer=loaded.infer,
        head=head,
        label_names=label_names,
        input_size=input_size,
        threshold=settings.threshold,
        sha256=sha256,
        provider=loaded.provider,
    )


def _own_file(settings: ModelSettings) -> tuple[Path, str]:
    path = settings.path or Path()
    return path, catalogue.sha256_of(path)


def _input_size(settings: ModelSettings, head: Head, entry: CatalogueEntry | None) -> tuple[int, int]:
    asked = settings.input
    if head.input_size:
        if any(side % 2 for side in head.input_size):
            raise ValueError(f"its input is {list(head.input_size)}; pictures with odd sides cannot be made here")
        if asked not in {None, head.input_size}:
            raise ValueError(f"its input is fixed at {list(head.input_size)}, model.input asks for {list(asked or ())}")
        return head.input_size
    size = asked or (entry.input_size if entry else _FREE_INPUT_SIZE)
    if any(side % head.size_step for side in size):
        raise ValueError(f"model.input is {list(size)}; both must be multiples of {head.size_step}")
    return size


def _try_out(infer: Infer, head: Head, input_size: tuple[int, int]) -> None:
    """Run the model once on zeros: an answer of another form than the head's fails here, not at night."""
    width, height = input_size
    try:
        outputs = infer(np.zeros((1, 3, height, width), np.float32))
    except Exception as error:  # onnxruntime raises a class of its own for each cause, all derived from Exception
        raise ValueError(f"it does not take one picture of {width}x{height}: {' '.join(str(error).split())}") from error
    if not all(np.isfinite(output).all() for output in outputs):
        raise ValueError("it answers zeros with numbers that are not finite")
    everything, no_floor = np.arange(head.classes), np.full(head.classes, -np.inf, np.float32)
    try:
        found = head.decode(outputs, input_size, everything, no_floor)
    except (ValueError, IndexError) as error:
        raise ValueError(f"its answer does not fit the head of the family {head.family}: {error}") from error
    least, most = (float(np.min(found.scores)), float(np.max(found.scores))) if len(found.scores) else (0.0, 0.0)
    if not 0 <= least <= most <= 1:
        raise ValueError(f"its scores reach from {least:.3g} to {most:.3g}, not 0 to 1")


def _label_names(
    settings: ModelSettings, head: Head, metadata: Mapping[str, str], entry: CatalogueEntry | None
) -> tuple[str, ...]:
    """The model's labels: from the user's file, the catalogue, the file's own metadata, or COCO's where they fit."""
    if settings.labels:
        labels = catalogue.read_labels(settings.labels)
    elif entry:
        labels = entry.labels
    elif "labels" in metadata:
        labels = tuple(label.strip() for label in metadata["labels"].split(","))
    else:
        labels = catalogue.read_labels(catalogue.FOLDER / catalogue.COCO_LABELS)
    if len(labels) != head.classes:
        raise ValueError(f"it tells {head.classes} classes apart and there are {len(labels)} labels; set model.labels")
    return labels
