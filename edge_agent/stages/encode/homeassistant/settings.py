"""Whether Home Assistant is told what there is, and where it listens."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from edge_agent.settings import Seconds, Section


class HomeAssistantSettings(Section):
    """What Home Assistant is told ([home-assistant.md](home-assistant.md))."""

    discovery: bool = False
    """Whether to tell it which entities there are; with `true` the agent also writes below `prefix`, which is outside
    of `mqtt.prefix`, and listens there."""

    prefix: Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,64}(/[a-zA-Z0-9_-]{1,64}){0,7}$")] = "homeassistant"
    """First part of the topics that Home Assistant looks at: its own "discovery prefix"."""

    jitter_s: Annotated[Seconds, Field(le=300)] = 3.0
    """Longest wait, drawn anew each time, before everything is said again because Home Assistant has started; larger
    spreads many agents further."""
