"""Triggers that come on a wire: a line of a GPIO chip changes, read through gpiod."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from edge_agent import runtimes
from edge_agent.edges.triggers.trigger import Trigger
from edge_agent.errors import RuntimeMissingError, TriggerError
from edge_agent.settings import Section

_WAIT_S = 1.0
_EDGES = {"rising": "RISING", "falling": "FALLING", "both": "BOTH"}


class GpioTriggerSettings(Section):
    """A wire, such as a motion sensor's, at a line of a GPIO chip."""

    kind: Literal["gpio"]
    """That it comes on a wire."""

    chip: Path = Path("/dev/gpiochip0")
    """The chip; `gpiodetect` names those that there are."""

    line: Annotated[int, Field(ge=0, le=1023)]
    """Number of the line on its chip; on a Raspberry Pi, that of the GPIO and not of the pin."""

    edge: Literal["rising", "falling", "both"] = "rising"
    """Which change counts."""


class GpioLine:
    """One line.

    Args:
        settings: which, and what counts.
        trigger: what it is to the camera.
    """

    def __init__(self, settings: GpioTriggerSettings, trigger: Trigger) -> None:
        self._settings = settings
        self.name = f"trigger {trigger.name}"
        self.triggers = (trigger,)

    def listen(self, stop: threading.Event, beat: Callable[[], None]) -> None:
        """Watch the line until `stop` is set.

        Raises:
            TriggerError: there is no such line, it is in use, or may not be used.
            RuntimeMissingError: gpiod is not here.
        """
        gpiod = runtimes.load("gpiod")
        if not hasattr(gpiod, "request_lines"):
            raise RuntimeMissingError(f"gpiod is here in a version before 2; {runtimes.INSTALL['gpiod']}")
        asked = gpiod.LineSettings(
            direction=gpiod.line.Direction.INPUT,
            edge_detection=getattr(gpiod.line.Edge, _EDGES[self._settings.edge]),
        )
        [trigger] = self.triggers
        try:
            with gpiod.request_lines(
                str(self._settings.chip), consumer="edge-agent", config={self._settings.line: asked}
            ) as request:
                trigger.ready()
                while not stop.is_set():
                    beat()
                    if request.wait_edge_events(_WAIT_S):
                        request.read_edge_events()
                        trigger.pull()
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or error
            raise TriggerError(f"line {self._settings.line} of {self._settings.chip}: {why}") from error
