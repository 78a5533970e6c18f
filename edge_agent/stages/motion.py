"""The motion gate: looks at a small picture of every frame and says whether the detector should look too."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from edge_agent.settings import Ratio, Seconds, Section


class GateSettings(Section):
    """When the detector looks."""

    mode: Literal["auto", "pixels", "off"] = "auto"
    """`pixels` watches the picture; `off` lets every frame through at `detect.rate_hz`; `auto` is `pixels`."""

    width_px: Annotated[int, Field(ge=32, le=640)] = 160
    """Width of the small picture; larger sees smaller things and costs more."""

    threshold: Annotated[float, Field(gt=0, le=255)] = 18.0
    """Grey levels a pixel must differ from the background; larger sees less noise and less motion."""

    min_area: Ratio = 0.0005
    """Least part of the picture that one moving thing must cover; larger ignores smaller things."""

    background_s: Annotated[Seconds, Field(gt=0)] = 10.0
    """Time constant with which the background follows the picture; larger forgets a parked car later."""

    hold_s: Seconds = 3.0
    """How long to go on looking after the last motion."""

    refresh_s: Annotated[Seconds, Field(gt=0)] = 10.0
    """Look at least this often even when nothing moves; smaller notices a still thing's leaving sooner."""

    light_change: Ratio = 0.5
    """When more than this part of the picture changes at once it is the light, not a thing: learn anew."""
