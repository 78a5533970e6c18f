"""The model as it was tuned for this machine, and what the cameras ask of it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace

from edge_agent import clips
from edge_agent.app.opening import open_recording
from edge_agent.config import Settings
from edge_agent.errors import ModelError
from edge_agent.records import Frame
from edge_agent.tools import tuned
from edge_agent.tools.threads import Demand
from edge_agent.vision import Vision, load_vision

_log = logging.getLogger(__name__)


def load_model(settings: Settings, tunes: Callable[[str], None] | None = None) -> Vision:
    """Load the model as it was tuned for this machine, where the configuration allows that.

    Args:
        settings: the configuration.
        tunes: is told how it goes when the model has to be tuned first, with the built-in clip; None not to.

    Raises:
        ModelError: it is missing, damaged, not understood, or cannot do what the settings ask of it.
        RuntimeMissingError: its runtime is not installed.
    """
    state, demand = settings.outbox.path.parent, demand_of(settings)
    if tunes is None:
        model, why = tuned.tuned_model(settings.model, demand, state)
    else:
        model, why = tuned.tuned_model(settings.model, demand, state, _built_in_frames, tunes)
    if why is None:
        return load_vision(model, state)
    try:
        vision = load_vision(model, state)
    except ModelError as error:
        if model is settings.model:
            raise
        _log.warning("the model is used as it is configured, for what was chosen cannot be used any more: %s", error)
        return replace(load_vision(settings.model, state), tuned=tuned.UNUSABLE)
    is_chosen = model.provider != settings.model.provider
    return replace(vision, tuned=why, provider_why=tuned.CHOSEN if is_chosen else vision.provider_why)


def demand_of(settings: Settings) -> Demand:
    """What the cameras want of the model; those that are not enabled look at nothing, unless none is."""
    looks = [camera.detect for camera in settings.cameras if camera.enabled] or [
        camera.detect for camera in settings.cameras
    ]
    return Demand(
        labels=tuple(sorted({label for camera in settings.cameras for label in camera.detect.labels})),
        looks_hz=sum(one.rate_hz * one.most_runs for one in looks),
        rate_hz=max(one.rate_hz * one.most_runs for one in looks),
    )


def _built_in_frames() -> Iterator[Frame | None]:
    return open_recording(clips.PEDESTRIANS).frames()
