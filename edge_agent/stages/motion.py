"""The motion gate: looks at small pictures of what comes, and says when the detector should look too."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from edge_agent import geometry, pixels
from edge_agent.records import BoolArray, FloatArray, Frame, Motion
from edge_agent.settings import Polygon, Ratio, Seconds, Section


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
    """How long to go on looking after the last motion or a change of light; larger misses less and costs more."""

    refresh_s: Annotated[Seconds, Field(gt=0)] = 10.0
    """Look at least this often even when nothing moves; smaller notices a still thing's leaving sooner."""

    light_change: Ratio = 0.5
    """When more than this part of the picture changes at once it is the light, not a thing: learn anew."""


_LONGEST_SILENCE_S = 30.0  # a scene that was not seen for so long is a new one
_EARLY_S = 0.001  # a frame that comes this much before its turn is on time: clocks of cameras are not exact
_LEAST_WATCH_HZ = 5.0  # nobody is in a picture for less than a fifth of a second


class Pace:
    """Lets through as many frames a second as it is told, whatever the rate at which they come.

    Args:
        rate_hz: how many, at most; all of them when fewer come.
    """

    def __init__(self, rate_hz: float) -> None:
        self._interval_s = 1.0 / rate_hz
        self._due_s = -math.inf

    def is_due(self, at_s: float) -> bool:
        """Whether a frame of this time is late enough after those that were taken."""
        return at_s >= self._due_s - _EARLY_S

    def take(self, at_s: float) -> None:
        """Note that a frame of this time was let through."""
        # Counting on from when it was due, not from now, keeps the mean rate when the camera's does not divide by it.
        # One interval late is in step still: a camera just as fast as the rate comes now early, now late.
        is_in_step = at_s - self._due_s < 2 * self._interval_s
        self._due_s = (self._due_s if is_in_step else at_s) + self._interval_s


class Gate:
    """Compares a small luma picture with a running average of those before it.

    It watches no more frames than the detector could look at, though at least 5 a second: what comes in between would
    cost much and tell little.

    The average brightness is taken out first, so that a camera's own exposure control is no motion. When most of the
    picture changes at once (a lamp, infrared switching on) the background is learnt anew.

    Args:
        settings: see `GateSettings`.
        rate_hz: how often to look while something moves, at most.
        mask: areas in 0..1 that are not looked at.
    """

    def __init__(self, settings: GateSettings, rate_hz: float, mask: tuple[Polygon, ...] = ()) -> None:
        self._settings = settings
        self._watch = Pace(max(rate_hz, _LEAST_WATCH_HZ))
        self._look = Pace(rate_hz)
        self._mask = mask
        self._background: FloatArray | None = None  # (h, w) grey levels
        self._visible: BoolArray = np.ones((0, 0), np.bool_)  # (h, w), false where masked
        self._watched_s = -math.inf
        self._moved_s = -math.inf
        self._roused_s = -math.inf
        self._looked_s = -math.inf
        self._moving: bool | None = None

    def observe(self, frame: Frame) -> Motion:
        """Say whether something moves, and whether to look at this frame."""
        at_s = frame.at_s
        if self._moving is not None and not self._watch.is_due(at_s):
            return Motion(moving=self._moving, changed=False, look=False, regions=None, scene_changed=False)
        self._watch.take(at_s)
        regions, scene_changed = self._compare(frame)
        if len(regions):
            self._moved_s = at_s
        if len(regions) or scene_changed:  # a new light may show somebody who stands still: look, though nothing moves
            self._roused_s = at_s
        moving = at_s - self._moved_s <= self._settings.hold_s
        changed, self._moving = moving is not self._moving or scene_changed, moving
        return Motion(
            moving=moving, changed=changed, look=self._looks(at_s), regions=regions, scene_changed=scene_changed
        )

    def _looks(self, at_s: float) -> bool:
        is_open = self._settings.mode == "off" or at_s - self._roused_s <= self._settings.hold_s
        is_stale = at_s - self._looked_s >= self._settings.refresh_s - _EARLY_S
        if not is_stale and not (is_open and self._look.is_due(at_s)):
            return False
        self._look.take(at_s)
        self._looked_s = at_s
        return True

    def _compare(self, frame: Frame) -> tuple[FloatArray, bool]:
        """Where something moves, (N, 4) xyxy pixels of the frame, and whether the background was learnt anew."""
        width = self._settings.width_px
        height = max(1, round(width * frame.height / frame.width))
        small = pixels.shrink(frame.luma, width, height).astype(np.float32)
        passed_s, self._watched_s = frame.at_s - self._watched_s, frame.at_s
        is_stale = passed_s > _LONGEST_SILENCE_S
        if self._background is None or self._background.shape != small.shape or is_stale:
            self._background = small
            self._visible = ~geometry.polygon_mask(self._mask, width, height)
            return _NOWHERE, True
        difference = small - self._background
        difference -= self._level(difference)
        moved = (np.abs(difference) > self._settings.threshold) & self._visible
        if np.count_nonzero(moved) > self._settings.light_change * np.count_nonzero(self._visible):
            self._background = small
            return _NOWHERE, True
        # Towards the picture: a first-order low pass with a time constant in seconds.
        self._background += np.float32(1.0 - math.exp(-passed_s / self._settings.background_s)) * (
            small - self._background
        )
        regions = pixels.blobs(moved, self._settings.min_area * moved.size)
        scale = np.array([frame.width / width, frame.height / height] * 2, np.float32)
        return regions * scale, False

    def _level(self, difference: FloatArray) -> np.float32:
        """How much brighter the picture is as a whole, by what is not masked."""
        if not self._mask:
            return _median(difference[::4, ::4])  # one pixel in sixteen tells as much
        return _median(difference[self._visible]) if self._visible.any() else np.float32(0)


def _median(values: FloatArray) -> np.float32:
    """The upper median; NumPy's own takes twice as long, mostly to find out that nothing is missing."""
    flat = values.ravel()
    middle: np.float32 = np.partition(flat, flat.size // 2)[flat.size // 2]
    return middle


_NOWHERE: FloatArray = np.zeros((0, 4), np.float32)
