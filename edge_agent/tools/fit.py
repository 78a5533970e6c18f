"""A model fitted to its use: what the use does not need is left out of its graph, and what is left answers the same.

What was asked for and cannot be done is an error; what is done unasked and cannot be done is said.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from edge_agent.edges import host, surgery
from edge_agent.edges.inference import ModelSettings
from edge_agent.edges.surgery import SurgeryError
from edge_agent.errors import ConfigError, ModelError
from edge_agent.labels import MEANINGLESS
from edge_agent.records import Frame
from edge_agent.stages.detect import proof
from edge_agent.stages.detect.picture_input import picture_input
from edge_agent.tools import likeness, made_models
from edge_agent.tools.fit_answers import drop_outputs, leave_suppression
from edge_agent.tools.fit_steps import fix_weights, fold_focus, prune_labels, resize, set_labels
from edge_agent.tools.speed import Speed, compare
from edge_agent.tools.workbench import ProofError, Workbench
from edge_agent.vision import Vision, load_vision

LEAST_SIDE, MOST_SIDE = 32, 4096
"""Of a picture, as `model.input` has it."""

_CPU = "CPUExecutionProvider"
"""Answers are compared to the bit where they are always the same."""

_FASTER = 0.95
"""A smaller difference is noise."""

_TFLITE = ".tflite"


@dataclass(frozen=True, kw_only=True)
class Order:
    """What is to be made.

    Attributes:
        path: of the model.
        model: how the agent would use it.
        agent_version: of this program.
        labels: those that are wanted; None for all.
        size: width and height that it is to see; None for those that it sees.
    """

    path: Path
    model: ModelSettings
    agent_version: str
    labels: tuple[str, ...] | None = None
    size: tuple[int, int] | None = None


@dataclass(frozen=True)
class Fitted:
    """What came of it.

    Attributes:
        model: the bytes of the file; None where nothing was gained, or could be proved.
        manifest: all that is known of it.
        left: what was not done, and why, a line each.
    """

    model: bytes | None
    manifest: dict[str, Any]
    left: tuple[str, ...]


def fit(order: Order, frames: Sequence[Frame]) -> Fitted:
    """Leave out what is not needed, step by step, each proved on pictures.

    Args:
        order: what is to be made.
        frames: pictures to show it, beside a drawn one.

    Raises:
        ModelError: the model cannot be used, or not be fitted as asked.
        ConfigError: a label or a size is none that it can have.
        RuntimeMissingError: onnx or onnxruntime is not installed.
    """
    if order.path.suffix == _TFLITE:
        raise ModelError(f"model {order.path}: only ONNX files can be fitted")
    settings = order.model.model_copy(update={"provider": _CPU, "input": None})
    original = load_vision(settings)
    _refuse_nonsense(order, original)
    is_fixed = picture_input(original.signature).size is not None
    if not is_fixed and order.size:
        settings = settings.model_copy(update={"input": order.size})
        original = load_vision(settings)
    graph = surgery.read(order.path)
    if settings.labels or settings.name:  # what the file does not say of itself
        set_labels(graph, original.label_names)
        settings = settings.model_copy(update={"labels": None, "name": None})
    left: list[str] = []
    with TemporaryDirectory(prefix="edge-agent-") as folder:
        bench = Workbench(graph, original, settings, [proof.picture(), *frames], Path(folder))
        try:
            _change(order, bench, left, is_fixed=is_fixed)
            return _finished(order, original, bench, left) if bench.steps else Fitted(None, {}, tuple(left))
        except SurgeryError as error:
            return Fitted(None, {}, (*left, str(error)))


def _change(order: Order, bench: Workbench, left: list[str], *, is_fixed: bool) -> None:
    """Make all changes; what was not made is said in `left`."""
    size, its_own = order.size, bench.vision.input_size
    _unasked(left, "weights", lambda: fix_weights(bench))
    _unasked(left, "outputs", lambda: drop_outputs(bench))
    _unasked(left, "suppression", lambda: leave_suppression(bench))
    if order.labels is not None and set(order.labels) >= set(bench.vision.label_names):
        left.append("labels: those that are wanted are all that it has")
    elif order.labels is not None:
        labels = order.labels
        _asked(order, "the labels cannot be left out", lambda: prune_labels(bench, labels))
    _unasked(left, "focus", lambda: fold_focus(bench))
    if size is not None and not is_fixed:
        left.append("size: it takes any, which `model.input` tells")
    elif size == its_own:
        left.append(f"size: {its_own[0]}x{its_own[1]} is what it has")
    elif size is not None:
        _asked(order, f"its size cannot be {size[0]}x{size[1]}", lambda: resize(bench, size))


def _refuse_nonsense(order: Order, original: Vision) -> None:
    unknown = [label for label in order.labels or () if label not in original.label_names]
    if unknown:
        raise ConfigError(
            f"--keep {','.join(order.labels or ())}: {original.name} knows no {', '.join(unknown)}; "
            f"it knows {', '.join(label for label in original.label_names if label not in MEANINGLESS)}"
        )
    if order.size is None:
        return
    width, height = order.size
    step = original.head.size_step
    if width % step or height % step or not all(LEAST_SIDE <= side <= MOST_SIDE for side in order.size):
        raise ConfigError(
            f"--input {width}x{height}: both have to be multiples of {step}, from {LEAST_SIDE} to {MOST_SIDE}"
        )


def _try(change: Callable[[], None]) -> None:
    """Make a change; graphs have forms that nobody thought of, which is no reason to end otherwise than with a line."""
    try:
        change()
    except SurgeryError:
        raise
    except (LookupError, TypeError, ValueError) as error:
        words = " ".join(str(error).split())
        raise SurgeryError(f"its graph has a form that is not understood ({type(error).__name__}: {words})") from error


def _unasked(left: list[str], kind: str, change: Callable[[], None]) -> None:
    try:
        _try(change)
    except SurgeryError as error:
        left.append(f"{kind}: {error}")


def _asked(order: Order, what: str, change: Callable[[], None]) -> None:
    try:
        _try(change)
    except ProofError:
        raise
    except SurgeryError as error:
        raise ModelError(f"model {order.path}: {what}: {error}") from error


def _finished(order: Order, original: Vision, bench: Workbench, left: list[str]) -> Fitted:
    """What there is to say of a model that was made; it is loaded once more, as when the agent starts with it."""
    model = bench.graph.written()
    fitted = bench.load(bench.graph, is_trial=False)
    both = original, fitted
    speed = compare(both, [likeness.tensors(one, bench.frames[-1:], one.input_size)[0] for one in both])
    manifest = {
        "schema": made_models.MANIFEST_SCHEMA,
        "sha256": hashlib.sha256(model).hexdigest(),
        "bytes": len(model),
        "source": made_models.origin(order.path, original),
        "family": fitted.head.family,
        "input": list(fitted.input_size),
        "labels": list(fitted.label_names),
        "settings": _told_settings(bench.settings),
        "made_with": {"edge-agent": order.agent_version, "onnx": surgery.version()},
        "steps": [{"kind": step.kind, "told": step.told, "proof": step.proof} for step in bench.steps],
        "left": left,
        "measured": {
            **speed.told(),
            "nodes_before": original.nodes,
            "nodes_after": fitted.nodes,
            "on": host.board() or host.processor() or host.system(),
            "provider": fitted.provider,
        },
        "verdict": _verdict(speed),
    }
    return Fitted(model, manifest, tuple(left))


def _told_settings(settings: ModelSettings) -> dict[str, Any]:
    """What the new file does not say of itself, and the old one's family did."""
    names = {"family", "anchors", "anchor_form", "box_scales", "activation", "input", "colour", "resize", "mean", "std"}
    return settings.model_dump(mode="json", include=names, exclude_none=True)


def _verdict(speed: Speed) -> str:
    return f"{'' if speed.ratio < _FASTER else 'no quicker here: '}{speed.ratio:.2f} x the time"
