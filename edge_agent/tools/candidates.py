"""Forms of a model that may suit a machine better: which there are, and which of those that were measured is best."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_agent.edges.inference import ModelSettings
from edge_agent.errors import ModelError
from edge_agent.tools.threads import Demand
from edge_agent.vision import Vision, load_vision

SHARES = (0.5, 0.625, 0.75, 0.875)
"""Smaller sizes that are tried: parts of the configured width and height."""

LEAST_GAIN = 0.95
"""A candidate that takes more than this part of the configured model's time is noise, and not worth any loss."""

_RULE_OF_THREE = 3.0
_STEP = 32  # what sides of free sizes are multiples of, at least


@dataclass(frozen=True, kw_only=True)
class Order:
    """What is to be tuned.

    Attributes:
        model: as it is configured.
        is_set: which of its settings are not at their default; these are kept.
        demand: what the cameras want.
        max_loss: of agreement, 0 to 1.
        pictures_of: what the pictures are of, in words without secrets.
        state: a folder to keep what a runtime compiles at length; None to compile it anew each time.
        others: files of other forms of the same model, such as its INT8 one.
    """

    model: ModelSettings
    is_set: frozenset[str]
    demand: Demand
    max_loss: float
    pictures_of: str
    state: Path | None = None
    others: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One form of the model at one size.

    Attributes:
        settings: how it is loaded.
        name: of its file, or of what it was made of.
        input_size: width and height.
        provider: what it runs on.
        cost_ms: of a run: CPU time, or by the clock where it runs elsewhere.
        share: of what the configured model took in turn with it.
        loss: of agreement with the configured one; None where nothing was seen.
        problem: why it cannot be used; "" where it can.
    """

    settings: ModelSettings
    name: str
    input_size: tuple[int, int]
    provider: str = ""
    cost_ms: float = 0.0
    share: float = 1.0
    loss: float | None = None
    problem: str = ""


def candidates(order: Order, teacher: Vision) -> Iterator[Trial]:
    """Smaller sizes of the model, then its other forms at each size that they take; none is measured yet."""
    for size in _smaller(order, teacher):
        settings = order.model.model_copy(update={"input": size})
        yield Trial(settings=settings, name=teacher.name, input_size=size)
    for path in order.others:
        yield from forms_of(path, path.name, order, teacher)


def forms_of(path: Path, name: str, order: Order, teacher: Vision) -> Iterator[Trial]:
    """Another form of the model at each size that it takes, the configured one first; or why it is none."""
    form = order.model.model_copy(update={"path": path, "name": None})
    try:
        vision = load_vision(form, order.state, is_trial=True)
    except ModelError as error:
        yield Trial(settings=form, name=name, input_size=teacher.input_size, problem=str(error))
        return
    problem = _unlike(vision, teacher, order)
    sizes = (teacher.input_size, *_smaller(order, teacher)) if vision.takes_any_size else (vision.input_size,)
    for size in sizes[:1] if problem else sizes:
        settings = form.model_copy(update={"input": size})
        yield Trial(settings=settings, name=name, input_size=size, problem=problem)


def _unlike(vision: Vision, teacher: Vision, order: Order) -> str:
    """Why a model is no other form of the configured one; "" where it may be."""
    if vision.head.resize != teacher.head.resize:
        return "it sees pictures otherwise: padded or stretched"
    missing = set(order.demand.labels) - set(vision.label_names)
    return f"it does not know {', '.join(sorted(missing))}" if missing else ""


def _smaller(order: Order, teacher: Vision) -> Iterator[tuple[int, int]]:
    """Smaller sizes, in multiples of what the model takes; none where its size is fixed or stands in the settings."""
    if "input" in order.is_set or not teacher.takes_any_size:
        return
    step = max(_STEP, teacher.head.size_step)
    width, height = teacher.input_size
    sizes = {(_multiple(width * share, step), _multiple(height * share, step)) for share in SHARES}
    yield from sorted(size for size in sizes if size[0] * size[1] < width * height)


def _multiple(side: float, step: int) -> int:
    return max(step, round(side / step) * step)


def cheapest(trials: Sequence[Trial], max_loss: float, things: int) -> Trial:
    """The one that costs least of those that lose no more than is allowed; the first, where that gains next to nothing.

    Args:
        trials: the configured model first.
        max_loss: of agreement.
        things: by how many that was measured; with few, chance alone would let a bad one pass.
    """
    if things < least_things(max_loss):
        return trials[0]
    good = [
        trial
        for trial in trials[1:]
        if not trial.problem and trial.loss is not None and trial.loss <= max_loss and trial.share < LEAST_GAIN
    ]
    return min(good, key=lambda trial: trial.share, default=trials[0])


def least_things(max_loss: float) -> float:
    """How many things have to be there to tell a loss: of fewer, none may be lost by chance although more would be.

    Source: the rule of three, J. Hanley and A. Lippman-Hand, "If Nothing Goes Wrong, Is Everything All Right?", JAMA
    249(13), 1983: of n that all go well, up to 3 / n may go wrong at 95 % confidence.
    """
    return math.ceil(_RULE_OF_THREE / max_loss) if max_loss else math.inf


def in_words(trial: Trial) -> str:
    """One line of what was measured."""
    width, height = trial.input_size
    head = f"{trial.name} {width}x{height}"
    if trial.problem:
        return f"{head}: {trial.problem}"
    loss = "loss not known" if trial.loss is None else f"loss {trial.loss:.3f}"
    return f"{head}: {trial.cost_ms:.1f} ms a run, {trial.share:.2f} x, {loss}"
