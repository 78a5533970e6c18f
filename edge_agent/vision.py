"""From a model file to something that sees: joins the catalogue, the runtime and the family that reads its head."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_agent import labels
from edge_agent.edges import anchors, catalogue, host, inference
from edge_agent.edges.catalogue import CatalogueEntry
from edge_agent.edges.inference import LoadedModel, ModelSettings, engines
from edge_agent.errors import ModelError
from edge_agent.labels import ToldLabels
from edge_agent.records import Infer, ModelSignature
from edge_agent.stages.detect import more_inputs
from edge_agent.stages.detect.anchors import Told
from edge_agent.stages.detect.detector import Detector, DetectSettings
from edge_agent.stages.detect.families import recognise
from edge_agent.stages.detect.head import Answer, Head, PictureInput, shape_of
from edge_agent.stages.detect.nms import MAX_CANDIDATES
from edge_agent.stages.detect.picture_input import picture_input
from edge_agent.stages.detect.proof import Fingerprint, difference, prove

_FREE_INPUT_SIZE = (416, 256)
"""Width and height for a model that takes any, unless told otherwise: nearly 16:9, as cameras are."""

_USUAL_STEP = 32
"""A model that takes any size takes multiples of this."""


Feed = Callable[[NDArray[Any]], Mapping[str, NDArray[Any]]]
"""The tensor of a picture in, all input tensors by name out."""


@dataclass(frozen=True, kw_only=True)
class Vision:
    """A model that is loaded, understood and proved to run.

    Attributes:
        name: the built-in's name, or the file's.
        feed: what a run takes: the picture, and what else the model wants to know of it.
        infer: one run; several threads may run it at once.
        head: how to prepare its input and read its output.
        signature: what goes in and what comes out.
        label_names: what its classes mean.
        labels_from: where that was read.
        input_size: width and height that it sees.
        takes_any_size: its graph leaves that open.
        threshold: least score of a detection unless a label has its own.
        sha256: of its file.
        provider: what the model runs on.
        provider_why: it runs there, fit to be published.
        nodes: operations in its graph; None where the runtime does not tell.
        fallback_nodes: those of them that run elsewhere than on what was asked for; None where nobody tells.
        engines: the folder for what its runtime compiles of it; None where none is kept.
        ms: milliseconds of a run on this machine.
        memory_bytes: what loading it and running it took.
        fingerprint: what it answered to the picture that it was proved on, in short.
        threads: in one run.
        tuned: why it is used in this form, where that was chosen for this machine; None where it is as configured.
    """

    name: str
    feed: Feed
    infer: Infer
    head: Head
    signature: ModelSignature
    label_names: tuple[str, ...]
    labels_from: str
    input_size: tuple[int, int]
    takes_any_size: bool
    threshold: float
    sha256: str
    provider: str
    provider_why: str
    nodes: int | None
    fallback_nodes: int | None
    engines: Path | None
    ms: float
    memory_bytes: int
    fingerprint: Fingerprint
    threads: int
    tuned: str | None = None

    def blank(self) -> NDArray[Any]:
        """A picture of nothing, as the model takes one."""
        return np.zeros(shape_of(self.head.layout, self.input_size), self.head.dtype)

    def detector(self, settings: DetectSettings, *, max_candidates: int = MAX_CANDIDATES) -> Detector:
        """A detector of its own for one camera.

        Args:
            settings: what to look for.
            max_candidates: how many boxes at most are compared with each other.

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
            max_candidates=max_candidates,
        )


def load_vision(settings: ModelSettings, state: Path | None = None, *, is_trial: bool = False) -> Vision:
    """Load the model that the settings name.

    Args:
        settings: of the model.
        state: a folder to keep what a runtime compiles at length; None to compile it anew each time.
        is_trial: whoever loads it judges its answers, so it is not proved, and has neither `ms` nor a fingerprint.

    Raises:
        ModelError: it is missing, damaged, not understood, or cannot do what the settings ask of it.
        RuntimeMissingError: onnxruntime is not installed.
    """
    entry = None if settings.path else catalogue.find(settings.name or catalogue.DEFAULT)
    if entry:
        catalogue.verify(entry)
    path, sha256 = (entry.path, entry.sha256) if entry else _own_file(settings)
    memory_before = host.memory_rss_bytes() or 0
    loaded = inference.load_model(path, settings, engines.folder_of(state, sha256) if state else None)
    try:
        return _understood(loaded, settings, entry, (path, sha256), memory_before, is_trial=is_trial)
    except ValueError as error:
        raise ModelError(f"model {path}: {error}") from error


def _understood(
    loaded: LoadedModel,
    settings: ModelSettings,
    entry: CatalogueEntry | None,
    file: tuple[Path, str],
    memory_before: int,
    *,
    is_trial: bool,
) -> Vision:
    path, sha256 = file
    _refuse_other_tasks(loaded.signature.metadata)
    if not loaded.signature.outputs:
        raise ValueError("it has no outputs")
    picture = picture_input(loaded.signature)
    told = labels.told_labels(settings.labels, entry, loaded.signature.metadata)
    size = _trial_size(settings, picture, entry)
    feed = _feed(loaded, picture, size)

    def infer(tensor: NDArray[Any]) -> Sequence[NDArray[Any]]:
        return loaded.run(feed(tensor))

    blank = _try_out(infer, picture, size, is_free=picture.size is None and settings.input is None)
    head = _head(_answer(loaded, picture, size, blank, told, told_of(settings)), settings, picture)
    label_names = labels.fitting(told, head.classes, head.coco)
    _prove_scores(head, blank, size, len(label_names))
    proof = _UNPROVED if is_trial else _proved(infer, head, label_names, size, blank)
    _compare(proof.fingerprint, entry, size)
    return Vision(
        name=entry.name if entry else path.name,
        feed=feed,
        infer=infer,
        head=head,
        signature=loaded.signature,
        label_names=label_names,
        labels_from=told.origin,
        input_size=size,
        takes_any_size=picture.size is None,
        threshold=settings.threshold,
        sha256=sha256,
        provider=loaded.provider,
        provider_why=loaded.why,
        nodes=loaded.nodes,
        fallback_nodes=loaded.fallback_nodes,
        engines=loaded.engines,
        ms=proof.ms,
        memory_bytes=max(0, (host.memory_rss_bytes() or 0) - memory_before),
        fingerprint=proof.fingerprint,
        threads=settings.threads,
    )


def told_of(settings: ModelSettings) -> Told:
    """What the settings say of a model's boxes and scores.

    Raises:
        ModelError: the file with its anchors cannot be read.
        ValueError: it is said what the numbers in such a file are, and there is none.
    """
    if settings.anchor_form and not settings.anchors:
        raise ValueError("model.anchor_form says what the numbers in a file are, and model.anchors names none")
    return Told(
        anchors=anchors.read(settings.anchors) if settings.anchors else None,
        origin=settings.anchors.name if settings.anchors else "",
        anchor_form=settings.anchor_form,
        box_scales=settings.box_scales,
        activation=settings.activation,
    )


def _answer(
    loaded: LoadedModel,
    picture: PictureInput,
    size: tuple[int, int],
    blank: Sequence[NDArray[Any]],
    labels_told: ToldLabels,
    told: Told,
) -> Answer:
    """What the model said to a picture of nothing, and what else families recognise it by."""
    return Answer(
        size=size,
        names=tuple(tensor.name for tensor in loaded.signature.outputs),
        outputs=tuple(blank),
        is_byte=picture.dtype == "uint8",
        classes=None if labels_told.names is None else len(labels_told.names),
        extra_inputs=tuple(tensor.name for tensor in loaded.signature.inputs if tensor.name != picture.name),
        told=told,
    )


def _head(answer: Answer, settings: ModelSettings, picture: PictureInput) -> Head:
    """The head that is recognised, if it takes pictures of the size that is asked for."""
    head = _adjusted(recognise(answer, settings.family), settings, picture)
    asked = settings.input or answer.size
    if picture.size is None and any(side % head.size_step for side in asked):
        raise ValueError(f"model.input is {list(asked)}; both must be multiples of {head.size_step}")
    return head


@dataclass(frozen=True, slots=True, kw_only=True)
class _Proof:
    """What a model answered to the picture that it was proved on, and milliseconds of its quickest run."""

    fingerprint: Fingerprint
    ms: float


_UNPROVED = _Proof(fingerprint=[], ms=0.0)


def _proved(
    infer: Infer, head: Head, label_names: tuple[str, ...], size: tuple[int, int], blank: Sequence[NDArray[Any]]
) -> _Proof:
    spent_s: list[float] = []
    fingerprint = prove(inference.timed(infer, spent_s), head, label_names, size, blank)
    return _Proof(fingerprint=fingerprint, ms=round(min(spent_s) * 1000, 2))


def _own_file(settings: ModelSettings) -> tuple[Path, str]:
    path = settings.path or Path()
    inference.refuse_others(path)
    return path, catalogue.sha256_of(path)


def _refuse_other_tasks(metadata: Mapping[str, str]) -> None:
    task = metadata.get("task", _DETECTION)
    if task != _DETECTION:
        raise ValueError(f'its metadata say that its task is "{task}"; only models that detect can be used')


def _trial_size(settings: ModelSettings, picture: PictureInput, entry: CatalogueEntry | None) -> tuple[int, int]:
    """The size that is asked for; where a model takes any, made a multiple of what it most probably wants."""
    asked = settings.input
    if picture.size:
        if any(side % 2 for side in picture.size):
            raise ValueError(f"its input is {list(picture.size)}; pictures with odd sides cannot be made here")
        if asked not in {None, picture.size}:
            raise ValueError(f"its input is fixed at {list(picture.size)}, model.input asks for {list(asked or ())}")
        return picture.size
    width, height = asked or (entry.input_size if entry else _FREE_INPUT_SIZE)
    return -(-width // _USUAL_STEP) * _USUAL_STEP, -(-height // _USUAL_STEP) * _USUAL_STEP


def _feed(loaded: LoadedModel, picture: PictureInput, size: tuple[int, int]) -> Feed:
    """What a run on a picture takes; what else the model wants to know is the same for all."""
    others = {
        tensor.name: more_inputs.told(tensor, size) for tensor in loaded.signature.inputs if tensor.name != picture.name
    }
    return lambda tensor: {picture.name: tensor if picture.has_batch else tensor[0], **others}


def _try_out(infer: Infer, picture: PictureInput, size: tuple[int, int], *, is_free: bool) -> Sequence[NDArray[Any]]:
    """Run the model once on zeros: an answer of another form than the head's fails here, not at night."""
    try:
        outputs = infer(np.zeros(shape_of(picture.layout, size), picture.dtype))
    except Exception as error:  # onnxruntime raises a class of its own for each cause, all derived from Exception
        words = " ".join(str(error).split())
        other = "; model.input sets another size" if is_free else ""
        raise ValueError(f"it does not take one picture of {size[0]}x{size[1]}: {words}{other}") from error
    if not all(isinstance(output, np.ndarray) and output.dtype.kind in "fiub" for output in outputs):
        raise ValueError("it answers with something else than tensors of numbers")
    if not all(np.isfinite(output).all() for output in outputs):
        raise ValueError("it answers zeros with numbers that are not finite")
    return outputs


def _adjusted(head: Head, settings: ModelSettings, picture: PictureInput) -> Head:
    """The head with the form of its input, and with what the user knows better."""
    if picture.dtype == "uint8" and (settings.mean or settings.std):
        raise ValueError("it takes pictures as bytes, so there is nothing to scale; leave model.mean and std out")
    return replace(
        head,
        layout=picture.layout,
        dtype=picture.dtype,
        colour=settings.colour or head.colour,
        resize=settings.resize or head.resize,
        mean=settings.mean or head.mean,
        std=settings.std or head.std,
    )


def _prove_scores(head: Head, outputs: Sequence[NDArray[Any]], size: tuple[int, int], classes: int) -> None:
    """Read the answer to the trial whole, a few classes at a time: all boxes at once would take five times the file."""
    for first in range(0, classes, _CLASSES_AT_A_TIME):
        some = np.arange(first, min(first + _CLASSES_AT_A_TIME, classes))
        try:
            found = head.decode(outputs, size, some, np.full(len(some), -np.inf, np.float32))
        except (ValueError, IndexError) as error:
            raise ValueError(f"its answer does not fit the head of the family {head.family}: {error}") from error
        least, most = float(np.min(found.scores, initial=0.0)), float(np.max(found.scores, initial=0.0))
        if not 0 <= least <= most <= 1:
            raise ValueError(f"its scores reach from {least:.3g} to {most:.3g}, not 0 to 1")


_CLASSES_AT_A_TIME = 8


def _compare(found: Fingerprint, entry: CatalogueEntry | None, size: tuple[int, int]) -> None:
    """A built-in model has to answer here as it did where it was made: another CPU may reckon otherwise."""
    if entry is None or size != entry.input_size or not found:
        return
    apart = difference(found, entry.fingerprint)
    if apart > _MOST_APART:
        raise ValueError(
            f"on this machine it answers a known picture otherwise than it should, by {apart:.0%}; "
            "another version of onnxruntime or another model.provider may help"
        )


_MOST_APART = 0.25  # FP32 and INT8 of the same model lie 0.03 apart, two quantizations 0.02


_DETECTION = "detect"
