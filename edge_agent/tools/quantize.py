"""An INT8 model from a float one, with its loss and its speed measured on this machine before anybody relies on it."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from edge_agent.edges import host
from edge_agent.edges.inference import ModelSettings
from edge_agent.edges.quantizer import Form, Node, Quantizer
from edge_agent.errors import ConfigError, ModelError
from edge_agent.records import ByteArray, Frame
from edge_agent.stages.detect.preparation import Preparation
from edge_agent.tools import made_models
from edge_agent.tools.agreement import Agreement
from edge_agent.tools.labelled import LabelledFolder
from edge_agent.tools.labelled_precision import LabelledPrecision, held_out
from edge_agent.tools.sensitivity import Found, before_heads, search
from edge_agent.tools.speed import Speed, compare
from edge_agent.tools.trials import Accuracy, Trials
from edge_agent.vision import Vision, load_vision

FORMS: dict[str, Form] = {"cpu": "u8s8", "tensorrt": "s8s8"}
"""What is to run the model -> the types it wants."""

LEAST_PICTURES = 8
"""Fewer show nothing of what a camera sees in a day."""

MAX_LOSS = {Agreement.name: 0.03, LabelledPrecision.name: 0.01}
"""How much may be lost unless told otherwise, by what it is measured in: AP reaches 0.3 where agreement reaches 1."""

_DAMAGE_PICTURES = 8
_FASTER = 0.95  # a smaller difference is noise

Say = Callable[[str], None]
Picture = Callable[[Frame], ByteArray]
Take = Callable[[Picture], Iterable[ByteArray]]
"""Takes pictures, when it is given what makes a frame as small as the model sees it."""


@dataclass(frozen=True, kw_only=True)
class Order:
    """What is to be made.

    Attributes:
        path: of the float model.
        model: how the agent would use it.
        agent_version: of this program.
        pictures_of: what the pictures are of, in words without secrets.
        labels: labelled pictures, to measure AP on; without them agreement with the float model is measured.
        form: types of activations and weights.
        reduce_range: 7 bits for weights; None leaves it to this machine's processor.
        max_loss: of accuracy; None for the usual one of what is measured.
        search_s: how long to search for what is to stay float.
    """

    path: Path
    model: ModelSettings
    agent_version: str
    pictures_of: str
    labels: LabelledFolder | None = None
    form: Form = "u8s8"
    reduce_range: bool | None = None
    max_loss: float | None = None
    search_s: float = 600.0

    @property
    def allowed_loss(self) -> float:
        """Of what is measured."""
        measured = LabelledPrecision.name if self.labels else Agreement.name
        return MAX_LOSS[measured] if self.max_loss is None else self.max_loss


@dataclass(frozen=True, kw_only=True)
class Quantized:
    """What came of it.

    Attributes:
        model: the bytes of the INT8 file.
        manifest: all that is known of it.
        pays: it is no slower, and loses no more than is allowed.
        verdict: that in a line.
    """

    model: bytes
    manifest: dict[str, Any]
    pays: bool
    verdict: str


def quantize(order: Order, take: Take, say: Say) -> Quantized:
    """Calibrate, search for what is to stay float, and measure.

    Every second picture is held out from calibration, to measure with; of labelled pictures all that it has not seen.

    Args:
        order: what is to be made.
        take: takes the pictures.
        say: is told how it goes.

    Raises:
        ModelError: the model cannot be used, or not be quantized.
        RuntimeMissingError: onnx, onnxruntime or, with labels, pycocotools is not installed.
        ConfigError: the pictures are too few, or show nothing that the model finds.
        SourceError: the pictures cannot be read.
    """
    teacher = load_vision(order.model)
    if order.labels:
        order.labels.labelled.shared_with(teacher.label_names)  # before minutes go by for pictures of a camera
    preparation = Preparation(teacher.head, teacher.input_size)
    with TemporaryDirectory(prefix="edge-agent-") as folder:
        quantizer = _quantizer(order, Path(folder))
        may = _may_be_int8(order, quantizer)
        calibration, others = _taken(order, take, preparation.picture, say)
        accuracy = _accuracy(order, teacher, calibration, others, preparation.picture)
        held = f"{accuracy.pictures} with {accuracy.things} things"
        say(f"calibrating with {len(calibration)} pictures; {held} are held out")
        quantizer.calibrate(teacher.feed(preparation.tensor(picture)) for picture in calibration)
        trials = Trials(quantizer, teacher, order.model, accuracy, Path(folder) / "trial.onnx")
        found = _search(order, trials, may, others, say)
        tensor = preparation.tensor(others[0])
        speed = compare((teacher, trials.load(found.nodes)), (tensor, tensor))
        model = trials.written()
    pays, verdict = judge(order, speed, accuracy.name, trials.before, found.loss)
    manifest = {
        "schema": made_models.MANIFEST_SCHEMA,
        "sha256": hashlib.sha256(model).hexdigest(),
        "bytes": len(model),
        **_origin(order, teacher),
        **_making(order, quantizer, len(calibration)),
        "nodes": _nodes(quantizer, may, found),
        "measured": _measured(order, teacher, accuracy, (trials.before, found.loss), speed),
        "pays": pays,
        "verdict": verdict,
    }
    return Quantized(model=model, manifest=manifest, pays=pays, verdict=verdict)


def _quantizer(order: Order, folder: Path) -> Quantizer:
    reduce_range = host.sums_saturate() if order.reduce_range is None else order.reduce_range
    return Quantizer(order.path, folder, form=order.form, reduce_range=reduce_range)


def _may_be_int8(order: Order, quantizer: Quantizer) -> tuple[Node, ...]:
    may = before_heads(quantizer.nodes)
    if not may:
        raise ModelError(f"model {order.path}: it has neither convolutions nor matrix products, which INT8 speeds up")
    return may


def _taken(order: Order, take: Take, picture: Picture, say: Say) -> tuple[list[ByteArray], list[ByteArray]]:
    """Pictures to calibrate with, and as many between them."""
    say(f"taking pictures of {order.pictures_of}")
    pictures = list(take(picture))
    if len(pictures) < LEAST_PICTURES:
        raise ConfigError(f"{order.pictures_of} gives {len(pictures)} pictures; {LEAST_PICTURES} are the least")
    return pictures[::2], pictures[1::2]


def _accuracy(
    order: Order, teacher: Vision, calibration: Sequence[ByteArray], others: Sequence[ByteArray], picture: Picture
) -> Accuracy:
    """What there is to be found, to hold models against: what is annotated, or what the float model finds."""
    if order.labels:
        return LabelledPrecision(held_out(order.labels, calibration, picture), teacher.label_names)
    agreement = Agreement(teacher, others)
    if not agreement.things:
        raise ConfigError(
            f"{teacher.name} finds nothing with a score of at least {teacher.threshold:g} in {len(others)} pictures "
            f"of {order.pictures_of}, so no loss can be measured; take pictures that show what it is to find"
        )
    return agreement


def _search(order: Order, trials: Trials, may: Sequence[Node], pictures: Sequence[ByteArray], say: Say) -> Found:
    began_s = time.monotonic()
    return search(
        may,
        loss_of=trials.loss,
        damage_of=partial(trials.damage, pictures[:: -(-len(pictures) // _DAMAGE_PICTURES)]),
        max_loss=order.allowed_loss,
        is_over=lambda: time.monotonic() - began_s >= order.search_s,
        say=say,
    )


def _origin(order: Order, teacher: Vision) -> dict[str, Any]:
    """Which float model it was made of, and how that was understood."""
    return {
        "source": made_models.origin(order.path, teacher),
        "family": teacher.head.family,
        "input": list(teacher.input_size),
    }


def _making(order: Order, quantizer: Quantizer, pictures: int) -> dict[str, Any]:
    """With what, and how, it was made."""
    return {
        "made_with": {"edge-agent": order.agent_version, **quantizer.versions},
        "settings": {
            "form": order.form,
            "per_channel": True,
            "ranges": "least and greatest value",
            "reduce_range": quantizer.reduce_range,
            "max_loss": order.allowed_loss,
        },
        "calibration": {"from": order.pictures_of, "pictures": pictures},
    }


def _nodes(quantizer: Quantizer, may: Sequence[Node], found: Found) -> dict[str, Any]:
    return {
        "all": len(quantizer.nodes),
        "int8": len(found.nodes),
        "kept_float": [node.name for node in may if node.name not in found.nodes],
        "trials": found.trials,
        "cut_off": found.cut_off,
    }


def _measured(
    order: Order, teacher: Vision, accuracy: Accuracy, before_and_loss: tuple[float, float], speed: Speed
) -> dict[str, Any]:
    before, loss = before_and_loss
    return {
        "accuracy": accuracy.name,
        "annotations": order.labels.labelled.path.name if order.labels else None,
        "pictures": accuracy.pictures,
        "things": accuracy.things,
        "before": round(before, 4),
        "after": round(before - loss, 4),
        **speed.told(),
        "on": host.board() or host.processor() or host.system(),
        "provider": teacher.provider,
    }


def judge(order: Order, speed: Speed, accuracy: str, before: float, loss: float) -> tuple[bool, str]:
    """Whether an INT8 model is worth having, and why in a line."""
    figures = f"{speed.ratio:.2f} x the time, {accuracy} {before - loss:.3f}, {before:.3f} before"
    elsewhere = order.form == "s8s8"  # made for TensorRT: how fast it is here says nothing
    slower, worse = speed.ratio > 1 and not elsewhere, loss > order.allowed_loss
    if slower or worse:
        return False, f"{' and '.join(['slower'] * slower + ['worse'] * worse)} here ({figures}): keep FP32"
    quick = "" if elsewhere else "faster and " if speed.ratio < _FASTER else "no slower and "
    return True, f"{quick}good enough here ({figures})"
