"""Whether the light is changing: a lamp, a cloud, a camera's exposure, the switch to infrared."""

from __future__ import annotations

import math

import numpy as np

from edge_agent.records import ByteArray
from edge_agent.stages.gate.pace import EARLY_S

SETTLED_S = 0.8
"""Light that has not changed for so long is steady."""

MOST_S = 8.0
"""For so long at a stretch changing light may keep motion unsaid; pauses shorter than half of that count too."""


class Light:
    """Tells from when until when the light is changing."""

    def __init__(self) -> None:
        self._began_s = -math.inf  # this change, or the first of those with hardly a pause between
        self._changed_s = -math.inf
        self.is_changing = False
        self._is_flat: bool | None = None  # without colour

    def observe(self, at_s: float, *, changes: bool) -> bool:
        """Whether to wait for steady light, by whether this picture shows other light than those before."""
        if self.is_changing:
            if changes:
                self._changed_s = at_s
            self.is_changing = at_s - self._changed_s < SETTLED_S - EARLY_S and at_s - self._began_s < MOST_S
        elif changes:
            if at_s - self._changed_s > MOST_S / 2:
                self._began_s = at_s
            self._changed_s = at_s
            self.is_changing = at_s - self._began_s < MOST_S
        return self.is_changing

    def switches(self, chroma: ByteArray) -> bool:
        """Whether colour has gone since the picture before, as by night, or come back; (N,) samples of both planes."""
        coloured = np.count_nonzero(chroma - _FAINT_FROM > _FAINT_RANGE)  # below wraps round to far above
        was_flat = self._is_flat
        if coloured > _COLOURED_PART * chroma.size:
            self._is_flat = False
        elif was_flat is None or coloured <= _FLAT_PART * chroma.size:
            self._is_flat = True
        return was_flat is not None and was_flat is not self._is_flat


_FAINT_FROM, _FAINT_RANGE = np.uint8(126), np.uint8(4)  # 126..130: what an encoder makes of grey, which is 128
# Between these two it stays what it was: a red car on a grey street is no switch.
_FLAT_PART = 0.01
_COLOURED_PART = 0.25
