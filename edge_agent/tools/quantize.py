"""An INT8 model from a float one, with its loss and its speed measured on this machine before anybody relies on it."""

from __future__ import annotations

import hashlib
import statistics
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

from edge_agent.edges import host
from edge_agent.edges.inference import ModelSettings
from edge_agent.edges.quantizer import Form, Quantizer
from edge_agent.errors import ConfigError, ModelError
from edge_agent.records import ByteArray, Frame
from edge_agent.stages.detect.preparation import Preparation
from edge_agent.tools import made_models
from edge_agent.tools.agreement import Agreement
from edge_agent.tools.model_card import card_of
from edge_agent.tools.sensitivity import answer_error, before_heads, search
from edge_agent.tools.speed import Speed, compare
from edge_agent.vision import Vision, load_vision

FORMS: dict[str, Form] = {"cpu": "u8s8", "tensorrt": "s8s8"}
"""What is to run the model -> the types it wants."""

LEAST_PICTURES = 8
"""Fewer show nothing of what a camera sees in a day."""

_DAMAGE_PICTURES = 8
_FASTER = 0.95  # a smaller difference is noise

Say = Callable[[str], None]
Picture = Callable[[Frame], ByteArray]


class Accuracy(Protocol):
    """A way to tell how well a model sees."""

    @property
    def name(self) -> str:
        """What its numbers are called."""
        ...

    @property
    def things(self) -> int:
        """How many there are to be found."""
        ...

    def measure(self, vision: Vision) -> float:
        """Of a model, 0 to 1."""
        ...


@dataclass(frozen=True, kw_only=True)
class Order:
    """What is to be made.

    Attributes:
        path: of the float model.
        model: how the agent would use it.
        agent_version: of this program.
        pictures_of: what the pictures are of, in words without secrets.
        form: types of activations and weights.
        reduce_range: 7 bits for weights; None leaves it to this machine's processor.
        max_loss: of accuracy.
        search_s: how long to search for what is to stay float.
    """

    path: Path
    model: ModelSettings
    agent_version: str
    pictures_of: str
    form: Form = "u8s8"
    reduce_range: bool | None = None
    max_loss: float = 0.03
    search_s: float = 600.0


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


class Trials:
    """INT8 forms of one model, made, loaded and held against it one after the other.

    Args:
        quantizer: makes them.
        teacher: the float model.
        settings: how it is used.
        accuracy: tells how well each sees.
        path: where each is written, in place of the one before.
    """

    def __init__(
        self, quantizer: Quantizer, teacher: Vision, settings: ModelSettings, accuracy: Accuracy, path: Path
    ) -> None:
        self._quantizer = quantizer
        self._teacher = teacher
        self._accuracy = accuracy
        self.before = accuracy.measure(teacher)
        """Of the float model."""
        self._settings = settings.model_copy(update={"path": path, "name": None, "family": teacher.head.family})
        self._path = path

    def load(self, names: Collection[str]) -> Vision:
        """The model with these of its nodes INT8."""
        self._quantizer.write(self._path, names)
        return load_vision(self._settings, is_trial=True)

    def written(self) -> bytes:
        """The file of the one that was loaded last."""
        return self._path.read_bytes()

    def loss(self, names: Collection[str]) -> float:
        """Of accuracy with these nodes INT8; all of it where the model cannot even be read any more."""
        try:
            return self.before - self._accuracy.measure(self.load(names))
        except ModelError:
            return self.before

    def damage(self, pictures: Sequence[ByteArray], names: Collection[str]) -> float:
        """How far the answers go astray with these nodes INT8."""
        student = self.load(names)
        preparation = Preparation(student.head, student.input_size)
        tensors = (preparation.tensor(picture) for picture in pictures)
        return statistics.fmean(answer_error(student.infer(one), self._teacher.infer(one)) for one in tensors)


def quantize(order: Order, take: Callable[[Picture], Iterable[ByteArray]], say: Say) -> Quantized:
    """Calibrate, search for what is to stay float, and measure.

    Every second picture is held out from calibration, to measure with.

    Args:
        order: what is to be made.
        take: takes the pictures, when it is given what makes a frame as small as the model sees it.
        say: is told how it goes.

    Raises:
        ModelError: the model cannot be used, or not be quantized.
        RuntimeMissingError: onnx or onnxruntime is not installed.
        ConfigError: the pictures are too few, or show nothing that the model finds.
        SourceError: the pictures cannot be read.
    """
    teacher = load_vision(order.model)
    preparation = Preparation(teacher.head, teacher.input_size)
    reduce_range = host.sums_saturate() if order.reduce_range is None else order.reduce_range
    with TemporaryDirectory(prefix="edge-agent-") as folder:
        quantizer = Quantizer(order.path, Path(folder), form=order.form, reduce_range=reduce_range)
        may = before_heads(quantizer.nodes)
        if not may:
            raise ModelError(
                f"model {order.path}: it has neither convolutions nor matrix products, which INT8 speeds up"
            )
        say(f"taking pictures of {order.pictures_of}")
        pictures = list(take(preparation.picture))
        if len(pictures) < LEAST_PICTURES:
            raise ConfigError(f"{order.pictures_of} gives {len(pictures)} pictures; {LEAST_PICTURES} are the least")
        calibration, held_out = pictures[::2], pictures[1::2]
        accuracy = _agreement(order, teacher, held_out)
        say(f"calibrating with {len(calibration)} pictures; {len(held_out)} with {accuracy.things} things are held out")
        quantizer.calibrate(teacher.feed(preparation.tensor(picture)) for picture in calibration)
        trials = Trials(quantizer, teacher, order.model, accuracy, Path(folder) / "trial.onnx")
        began_s = time.monotonic()
        found = search(
            may,
            loss_of=trials.loss,
            damage_of=partial(trials.damage, held_out[:: -(-len(held_out) // _DAMAGE_PICTURES)]),
            max_loss=order.max_loss,
            is_over=lambda: time.monotonic() - began_s >= order.search_s,
            say=say,
        )
        tensor = preparation.tensor(held_out[0])
        speed = compare((teacher, trials.load(found.nodes)), (tensor, tensor))
        model = trials.written()
    pays, verdict = judge(order, speed, accuracy.name, trials.before, found.loss)
    manifest = {
        "schema": made_models.MANIFEST_SCHEMA,
        "sha256": hashlib.sha256(model).hexdigest(),
        "bytes": len(model),
        **_origin(order, teacher),
        "made_with": {"edge-agent": order.agent_version, **quantizer.versions},
        "settings": {
            "form": order.form,
            "per_channel": True,
            "ranges": "least and greatest value",
            "reduce_range": reduce_range,
            "max_loss": order.max_loss,
        },
        "calibration": {"from": order.pictures_of, "pictures": len(calibration)},
        "nodes": {
            "all": len(quantizer.nodes),
            "int8": len(found.nodes),
            "kept_float": [node.name for node in may if node.name not in found.nodes],
            "trials": found.trials,
            "cut_off": found.cut_off,
        },
        "measured": {
            "accuracy": accuracy.name,
            "pictures": len(held_out),
            "things": accuracy.things,
            "before": round(trials.before, 4),
            "after": round(trials.before - found.loss, 4),
            **speed.told(),
            "on": host.board() or host.processor() or host.system(),
            "provider": teacher.provider,
        },
        "pays": pays,
        "verdict": verdict,
    }
    return Quantized(model=model, manifest=manifest, pays=pays, verdict=verdict)


def _origin(order: Order, teacher: Vision) -> dict[str, Any]:
    """Which float model it was made of, and how that was understood."""
    return {
        "source": made_models.origin(order.path, teacher),
        "family": teacher.head.family,
        "input": list(teacher.input_size),
    }


def _agreement(order: Order, teacher: Vision, pictures: Sequence[ByteArray]) -> Accuracy:
    """What the float model finds in the pictures, to hold others against; what is measured with labels comes here."""
    agreement = Agreement(teacher, pictures)
    if not agreement.things:
        raise ConfigError(
            f"{teacher.name} finds nothing with a score of at least {teacher.threshold:g} in {len(pictures)} pictures "
            f"of {order.pictures_of}, so no loss can be measured; take pictures that show what it is to find"
        )
    return agreement


def judge(order: Order, speed: Speed, accuracy: str, before: float, loss: float) -> tuple[bool, str]:
    """Whether an INT8 model is worth having, and why in a line."""
    figures = f"{speed.ratio:.2f} x the time, {accuracy} {before - loss:.3f}, {before:.3f} before"
    elsewhere = order.form == "s8s8"  # made for TensorRT: how fast it is here says nothing
    slower, worse = speed.ratio > 1 and not elsewhere, loss > order.max_loss
    if slower or worse:
        return False, f"{' and '.join(['slower'] * slower + ['worse'] * worse)} here ({figures}): keep FP32"
    quick = "" if elsewhere else "faster and " if speed.ratio < _FASTER else "no slower and "
    return True, f"{quick}good enough here ({figures})"


def write(quantized: Quantized, path: Path) -> tuple[Path, ...]:
    """Write the model, and beside it what is known of it for programs (`.json`) and for people (`.md`).

    Raises:
        StorageError: they cannot be written.
    """
    manifest = {"file": path.name} | quantized.manifest
    return made_models.write(path, quantized.model, manifest, card_of(manifest))
