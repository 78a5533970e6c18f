"""The model as it was tuned for this machine: what was chosen is looked up, and measured at the first start."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from edge_agent.edges import anchors, catalogue, host
from edge_agent.edges.choices import Choice, Choices, Facts
from edge_agent.edges.inference import ModelSettings
from edge_agent.errors import ModelError, PassingError
from edge_agent.records import Frame
from edge_agent.tools import calibration_pictures, kept_forms
from edge_agent.tools.candidates import Order
from edge_agent.tools.kept_forms import KeptForm
from edge_agent.tools.threads import Demand, chosen
from edge_agent.tools.tuning import PICTURES, Say, Tuned, tune

_log = logging.getLogger(__name__)

FILE = "tuned.json"
"""In the state folder."""

CHOSEN = "chosen for this machine"
"""Why a provider runs the model."""

LOST = "as configured, for the file of the form that was chosen is gone or damaged"
"""Why a model is used as it is, where something was chosen."""

UNUSABLE = "as configured, for what was chosen cannot be used any more"
"""The same where its file is there."""

Frames = Callable[[], Iterable[Frame | None]]


def tuned_model(
    model: ModelSettings, demand: Demand, state: Path, frames: Frames | None = None, say: Say = _log.debug
) -> tuple[ModelSettings, str | None]:
    """The model's settings with what was chosen for this machine, and why; as they are where nothing was.

    Args:
        model: as it is configured.
        demand: what the cameras want.
        state: where choices are remembered.
        frames: opens pictures to tune with, where nothing is remembered; None to leave it at that.
        say: is told how that goes.

    Raises:
        ModelError: the model as it is configured cannot be used.
        RuntimeMissingError: its runtime is not installed.
    """
    if model.max_loss is None:
        return model, None
    choice = find(model, demand, state)
    if choice is None and frames is not None:
        choice = _first(model, demand, state, frames, say)
    if choice is None:
        return model, None
    if choice.file is not None and not _is_whole(Path(choice.file), choice.sha256):
        _log.warning(
            "the model is used as it is configured, for %s, which was chosen for this machine, is gone or damaged: put "
            "it back, or run `edge-agent tune` again",
            choice.file,
        )
        return model, LOST
    return applied(model, choice, demand), choice.why


def find(model: ModelSettings, demand: Demand, state: Path) -> Choice | None:
    """What is remembered for this model, these settings and labels, and this machine; its file may be gone."""
    choice = Choices(state / FILE).find(facts_of(model, demand))
    if choice is None or choice.file is None:
        return choice
    return replace(choice, file=str(state / choice.file))


def _is_whole(path: Path, sha256: str) -> bool:
    try:
        return catalogue.sha256_of(path) == sha256
    except ModelError:
        return False


def require_room(state: Path) -> None:
    """Say before minutes go by that nothing can be remembered there.

    Raises:
        StorageError: the folder cannot be made or written to.
    """
    with Choices(state / FILE).alone():
        pass


def remember(model: ModelSettings, demand: Demand, state: Path, choice: Choice, form: KeptForm | None = None) -> None:
    """Keep a choice for the next start, with the INT8 form that it names, and no form that none names any longer.

    Args:
        model: as it is configured.
        demand: what the cameras want.
        state: where choices and forms are kept.
        choice: what suits this machine.
        form: that which it names, if that was made for it.

    Raises:
        StorageError: it cannot be written.
    """
    choices = Choices(state / FILE)
    with choices.alone():  # another's form is not removed before its choice stands there
        if form:
            kept_forms.keep(state, form)
        choices.remember(facts_of(model, demand), choice)
        kept_forms.prune(state, choices.files())


def facts_of(model: ModelSettings, demand: Demand) -> Facts:
    """What a choice holds for: a model's file, anchors and settings, the labels that are looked for, the processor.

    How often cameras look is none of it: the number of threads is chosen at each start, from what was measured.
    """
    entry = None if model.path else catalogue.find(model.name or catalogue.DEFAULT)
    files = {"labels", "anchors"}
    read = {"anchors": anchors.sha256_of(model.anchors)} if model.anchors else {}
    return {
        "sha256": entry.sha256 if entry else catalogue.sha256_of(model.path or Path()),
        "settings": model.model_dump(mode="json", exclude={"path", "name", *files}, exclude_defaults=True),
        **read,
        "labels": list(demand.labels),
        "processor": host.processor_name(),
        "cores": host.cpu_count(),
    }


def set_in(model: ModelSettings) -> frozenset[str]:
    """Which settings say something else than their default, and are kept; a required provider is one that is named."""
    said = {name for name, field in type(model).model_fields.items() if getattr(model, name) != field.default}
    return frozenset(said | {"provider"} if model.require_provider else said)


def applied(model: ModelSettings, choice: Choice, demand: Demand) -> ModelSettings:
    """The settings with a choice in place of what they leave out."""
    pace = chosen(choice.paces, demand, host.cpu_count())
    chosen_values = {"input": choice.input_size, "provider": choice.provider, "threads": pace.threads}
    values: dict[str, object] = {name: value for name, value in chosen_values.items() if name not in set_in(model)}
    if choice.file is not None:
        values |= {"path": Path(choice.file), "name": None}
    return model.model_copy(update=values)


def order_of(
    model: ModelSettings, demand: Demand, state: Path | None, pictures_of: str, others: tuple[Path, ...] = ()
) -> Order:
    """What is to be tuned for a configuration."""
    return Order(
        model=model,
        is_set=set_in(model),
        demand=demand,
        max_loss=model.max_loss or 0.0,
        pictures_of=pictures_of,
        state=state,
        others=others,
    )


def _first(model: ModelSettings, demand: Demand, state: Path, frames: Frames, say: Say) -> Choice | None:
    """Tune with what pictures there are; what goes wrong with these is no reason not to watch a gate."""
    _log.info("the model is tuned for this machine, once; `edge-agent tune` does it with pictures of your own")
    try:
        found = tune(
            order_of(model, demand, state, "the built-in clip"),
            lambda picture: calibration_pictures.of_recording(frames(), picture, PICTURES),
            say,
        )
        _say_choice(found)
        remember(model, demand, state, found.choice)
    except PassingError as error:
        _log.warning("the model is used as it is configured: %s", error)
        return None
    return found.choice


def _say_choice(found: Tuned) -> None:
    """Log what was chosen."""
    width, height = found.choice.input_size
    _log.info(
        "tuned: %s, %dx%d, %s, threads %d: %s",
        found.best.name,
        width,
        height,
        found.choice.provider,
        found.threads,
        found.choice.why,
    )
