"""What a user can say about when to look."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from edge_agent.settings import Bytes, Ratio, Seconds, Section


class GateSettings(Section):
    """When to decode, and when the detector looks."""

    mode: Literal["auto", "packets", "pixels", "external", "off"] = "auto"
    """`pixels` decodes every picture and watches it; `packets` leaves a network stream undecoded while nothing moves,
    wherever its key pictures allow it; `auto` does so only where `blind_s` allows it, else it is `pixels`; `external`
    looks when one of the camera's `triggers` says so, and leaves a network stream undecoded until then; `off` lets
    every frame through at `detect.rate_hz`."""

    width_px: Annotated[int, Field(ge=32, le=640)] = 160
    """Width of the small picture; larger sees smaller things and costs more."""

    threshold: Annotated[float, Field(gt=0, le=255)] = 18.0
    """Grey levels a pixel must differ from the background at least, more where it always does (noise, leaves); larger
    sees less motion."""

    min_area: Ratio = 0.0005
    """Least part of the picture that one moving thing must cover; larger ignores smaller things."""

    background_s: Annotated[Seconds, Field(ge=1)] = 10.0
    """Time constant with which the background follows the picture; larger forgets a parked car later."""

    hold_s: Seconds = 3.0
    """How long to go on looking after the last motion or a change of light; larger misses less and costs more."""

    refresh_s: Annotated[Seconds, Field(gt=0)] = 10.0
    """Look at least this often even when nothing moves; smaller notices a still thing's leaving sooner."""

    light_change: Ratio = 0.4
    """When more than this part of the picture changes it is the light, not a thing: wait until it has settled, for some
    seconds, and learn anew. Larger takes large things near the camera for things, and more light for motion."""

    max_gop_s: Annotated[Seconds, Field(gt=0, le=25)] = 12.0
    """Longest distance of key pictures with which a stream may stay undecoded; larger wakes up with more to decode."""

    blind_s: Seconds = 4.0
    """With `auto`: where packet sizes tell nothing, key pictures at most this far apart are compared instead, and all
    pictures are decoded where key pictures are farther apart; what comes and goes between two is missed. 0 always
    decodes everything then."""

    buffer_bytes: Annotated[Bytes, Field(ge=1 << 18)] = 8 << 20
    """Most memory for undecoded packets, which are decoded after all when something turns out to move."""

    trigger_s: Annotated[Seconds, Field(gt=0, le=3600)] = 30.0
    """With `external`: how long to look after a trigger; each further one prolongs it. Larger misses less of what comes
    after, and costs more."""

    cooldown_s: Annotated[Seconds, Field(le=3600)] = 0.0
    """With `external`: after that, ignore triggers for this long; larger costs less with a sensor that never rests."""

    preroll_s: Annotated[Seconds, Field(le=10)] = 5.0
    """With `external`: how much of what led to a trigger is looked at, too, where undecoded packets can be kept; larger
    needs more memory (`buffer_bytes`)."""
