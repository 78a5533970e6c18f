"""The motion gate: looks at small pictures of what comes, and says when the detector should look too."""

from __future__ import annotations

import math

from edge_agent.records import Frame, Look, Motion
from edge_agent.settings import Polygon
from edge_agent.stages.gate.background import Background
from edge_agent.stages.gate.external import Attention, Times
from edge_agent.stages.gate.pace import EARLY_S, LEAST_WATCH_HZ, Pace
from edge_agent.stages.gate.settings import GateSettings


class Gate:
    """Compares frames with a background, and opens when they differ.

    It watches no more frames than the detector could look at, though at least 5 a second: what comes in between would
    cost much and tell little. Where it is off, and only says whether something moves, 5 a second are enough.

    Args:
        settings: see `GateSettings`.
        rate_hz: how often to look while something moves, at most.
        mask: areas in 0..1 that are not looked at.
        times: when triggers came: with them it opens by these alone, whatever moves.
    """

    def __init__(
        self, settings: GateSettings, rate_hz: float, mask: tuple[Polygon, ...] = (), times: Times | None = None
    ) -> None:
        self._settings = settings
        self._attention = None if times is None else Attention(settings, times)
        self._is_off = settings.mode == "off" and times is None
        self._rate_hz = rate_hz
        self._watch, self._look = self._paces(rate_hz)
        self._background = Background(settings, mask)
        self._moved_s = -math.inf
        self._roused_s = -math.inf
        self._looked_s = -math.inf
        self._moving: bool | None = None

    def observe(self, frame: Frame) -> Motion:
        """Say whether something moves, and whether and why to look at this frame."""
        at_s = frame.at_s
        if self._moving is not None and not self._watch.is_due(at_s):
            look = self._look_at(at_s) if self._is_off else None
            return Motion(moving=self._moving, changed=False, look=look, regions=None, scene_changed=False)
        self._watch.take(at_s)
        regions, scene_changed = self._background.compare(frame)
        if len(regions) or (scene_changed and self._moving):  # while the light changes, what moved is not said to stop
            self._moved_s = at_s
        if len(regions) or scene_changed:  # a new light may show somebody who stands still: look, though nothing moves
            self._roused_s = at_s
        moving = at_s - self._moved_s <= self._settings.hold_s
        changed, self._moving = moving is not self._moving, moving
        look = self._look_at(at_s)
        return Motion(moving=moving, changed=changed, look=look, regions=regions, scene_changed=scene_changed)

    def set_rate(self, rate_hz: float) -> None:
        """From the next frame on: how often to look while something moves, at most."""
        if rate_hz != self._rate_hz:
            self._rate_hz = rate_hz
            self._watch, self._look = self._paces(rate_hz)

    def forget(self) -> None:
        """It was said that nothing moves any more: whatever moves next is news."""
        self._moving = None

    def _paces(self, rate_hz: float) -> tuple[Pace, Pace]:
        """How often to watch and how often to look."""
        return Pace(LEAST_WATCH_HZ if self._is_off else max(rate_hz, LEAST_WATCH_HZ)), Pace(rate_hz)

    def _look_at(self, at_s: float) -> Look | None:
        is_open = self._is_open(at_s)
        is_stale = at_s - self._looked_s >= self._settings.refresh_s - EARLY_S
        if not is_stale and not (is_open and self._look.is_due(at_s)):
            return None
        self._look.take(at_s)
        self._looked_s = at_s
        return "active" if is_open else "refresh"

    def _is_open(self, at_s: float) -> bool:
        if self._attention is not None:
            return self._attention.holds(at_s)
        return self._is_off or at_s - self._roused_s <= self._settings.hold_s
