"""INT8 models of one float model: what is ordered, what makes them, and what is known of one that was made."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from edge_agent.edges import host
from edge_agent.edges.inference import ModelSettings
from edge_agent.edges.quantizer import Form, Quantizer
from edge_agent.errors import ModelError
from edge_agent.records import ByteArray
from edge_agent.stages.detect.preparation import Preparation
from edge_agent.tools import made_models
from edge_agent.tools.agreement import Agreement
from edge_agent.tools.labelled import LabelledFolder
from edge_agent.tools.labelled_precision import LabelledPrecision
from edge_agent.tools.sensitivity import Found, before_heads, search
from edge_agent.tools.speed import Speed, compare
from edge_agent.tools.trials import Accuracy, Trials
from edge_agent.vision import Vision

FORMS: dict[str, Form] = {"cpu": "u8s8", "tensorrt": "s8s8"}
"""What is to run the model -> the types it wants."""

MAX_LOSS = {Agreement.name: 0.03, LabelledPrecision.name: 0.01}
"""How much may be lost unless told otherwise, by what it is measured in: AP reaches 0.3 where agreement reaches 1."""

_DAMAGE_PICTURES = 8
_FASTER = 0.95  # a smaller difference is noise

Say = Callable[[str], None]


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


class Workshop:
    """One float model, ready to be made INT8.

    Args:
        order: what is to be made.
        teacher: the float model, loaded as the order says.
        folder: for what is only needed meanwhile.

    Raises:
        ModelError: it cannot be quantized; the message says why.
        RuntimeMissingError: onnx or onnxruntime is not installed.
    """

    def __init__(self, order: Order, teacher: Vision, folder: Path) -> None:
        reduce_range = host.sums_saturate() if order.reduce_range is None else order.reduce_range
        self._order = order
        self._teacher = teacher
        self._folder = folder
        self._quantizer = Quantizer(order.path, folder, form=order.form, reduce_range=reduce_range)
        self._may = before_heads(self._quantizer.nodes)
        if not self._may:
            raise ModelError(
                f"model {order.path}: it has neither convolutions nor matrix products, which INT8 speeds up"
            )

    @property
    def making(self) -> dict[str, Any]:
        """With what, and how, it is made, beside the pictures; as JSON types."""
        return {
            "made_with": {"edge-agent": self._order.agent_version, **self._quantizer.versions},
            "settings": {
                "form": self._order.form,
                "per_channel": True,
                "ranges": "least and greatest value",
                "reduce_range": self._quantizer.reduce_range,
                "max_loss": self._order.allowed_loss,
            },
        }

    def make(
        self, calibration: Sequence[ByteArray], others: Sequence[ByteArray], accuracy: Accuracy, say: Say
    ) -> Quantized:
        """Calibrate, search for what is to stay float, and measure.

        Args:
            calibration: pictures to calibrate with, each (h, w, 3) uint8, as large as the model sees them.
            others: of those that are held out, to tell by where the answers go astray; one at least.
            accuracy: what there is to be found in those.
            say: is told how it goes.

        Raises:
            ModelError: it cannot be quantized.
        """
        teacher, quantizer = self._teacher, self._quantizer
        preparation = Preparation(teacher.head, teacher.input_size)
        held = f"{accuracy.pictures} with {accuracy.things} things"
        say(f"calibrating with {len(calibration)} pictures; {held} are held out")
        quantizer.calibrate(teacher.feed(preparation.tensor(picture)) for picture in calibration)
        trials = Trials(quantizer, teacher, self._order.model, accuracy, self._folder / "trial.onnx")
        found = self._search(trials, others, say)
        tensor = preparation.tensor(others[0])
        speed = compare((teacher, trials.load(found.nodes)), (tensor, tensor))
        model = trials.written()
        pays, verdict = judge(self._order, speed, accuracy.name, trials.before, found.loss)
        manifest = {
            "schema": made_models.MANIFEST_SCHEMA,
            "sha256": hashlib.sha256(model).hexdigest(),
            "bytes": len(model),
            "source": made_models.origin(self._order.path, teacher),
            "family": teacher.head.family,
            "input": list(teacher.input_size),
            **self.making,
            "calibration": {"from": self._order.pictures_of, "pictures": len(calibration)},
            "nodes": self._nodes(found),
            "measured": self._measured(accuracy, (trials.before, found.loss), speed),
            "pays": pays,
            "verdict": verdict,
        }
        return Quantized(model=model, manifest=manifest, pays=pays, verdict=verdict)

    def _search(self, trials: Trials, pictures: Sequence[ByteArray], say: Say) -> Found:
        began_s = time.monotonic()
        return search(
            self._may,
            loss_of=trials.loss,
            damage_of=partial(trials.damage, pictures[:: -(-len(pictures) // _DAMAGE_PICTURES)]),
            max_loss=self._order.allowed_loss,
            is_over=lambda: time.monotonic() - began_s >= self._order.search_s,
            say=say,
        )

    def _nodes(self, found: Found) -> dict[str, Any]:
        return {
            "all": len(self._quantizer.nodes),
            "int8": len(found.nodes),
            "kept_float": [node.name for node in self._may if node.name not in found.nodes],
            "trials": found.trials,
            "cut_off": found.cut_off,
        }

    def _measured(self, accuracy: Accuracy, before_and_loss: tuple[float, float], speed: Speed) -> dict[str, Any]:
        labels = self._order.labels
        before, loss = before_and_loss
        return {
            "accuracy": accuracy.name,
            "annotations": labels.labelled.path.name if labels else None,
            "pictures": accuracy.pictures,
            "things": accuracy.things,
            "before": round(before, 4),
            "after": round(before - loss, 4),
            **speed.told(),
            "on": host.board() or host.processor() or host.system(),
            "provider": self._teacher.provider,
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
