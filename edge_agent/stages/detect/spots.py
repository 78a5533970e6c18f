"""What to look at closer: where something moves, and where something small was seen, though it may stand still now."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge_agent import geometry
from edge_agent.records import FloatArray, Frame
from edge_agent.stages.detect.parts import Part, held


class Spots:
    """Remembers where small things are, and who waits for a closer look since when.

    Somebody far away who stops does not move any more, and the whole picture shows them too small: so where a closer
    look has found something small, another is due, until they have missed it for some seconds. When there are more
    spots than may be looked at, the rest waits; what is near a spot that waits has waited as long as that.
    """

    def __init__(self) -> None:
        self._size = (0, 0)
        self._things: FloatArray = _NONE
        self._looked_s: NDArray[np.float64] = np.zeros(0)  # (N,) when a closer look last showed each thing's place
        self._missed_s: NDArray[np.float64] = np.zeros(0)  # (N,) for how long closer looks have not found each thing
        self._waiting: FloatArray = _NONE
        self._since_s: NDArray[np.float64] = np.zeros(0)

    def due(self, moving: FloatArray | None, frame: Frame) -> tuple[FloatArray, NDArray[np.float64]]:
        """The spots that are to be looked at, (N, 4) xyxy pixels, and since when each waits, (N,).

        Args:
            moving: (M, 4) xyxy pixels, where something moves that is not seen well already; None when that is not
                known, and whoever waits goes on to wait.
            frame: the one that is looked at; what is known of frames of another size is forgotten.
        """
        at_s, size = frame.at_s, (frame.width, frame.height)
        if size != self._size:
            self._size, self._things, self._waiting = size, _NONE, _NONE
            self._looked_s = self._missed_s = self._since_s = np.zeros(0)
        spots = np.concatenate([self._things, self._waiting if moving is None else moving])
        near = geometry.iou(_grown(self._waiting), spots) > 0  # (waiting, spots)
        since_s = np.where(near, self._since_s[:, None], at_s).min(axis=0, initial=at_s)
        return spots, since_s

    def note(
        self,
        at_s: float,
        parts: tuple[Part, ...],
        spots: FloatArray,
        since_s: NDArray[np.float64],
        found: FloatArray,
    ) -> None:
        """Learn what came of it.

        Args:
            at_s: when the frame was taken.
            parts: what was looked at closer.
            spots: what was due, as `due` said, those that no part could have shown left out.
            since_s: the same.
            found: (M, 4) xyxy, the small things that were found there.
        """
        waits = ~held(parts, spots)
        self._waiting, self._since_s = spots[waits], since_s[waits]
        looked = held(parts, self._things)
        missed = looked & ~(geometry.iou(_grown(self._things), found) > 0).any(axis=1)
        passed_s = np.clip(at_s - self._looked_s, 0, _LONGEST_MISS_S)
        self._missed_s[missed] += passed_s[missed]
        self._looked_s[looked] = at_s
        kept = ~looked | (missed & (self._missed_s < _MEMORY_S))
        found = found[(geometry.iou(found, spots) > 0).any(axis=1)]  # what never moved may be no thing at all
        self._things = np.concatenate([self._things[kept], found])
        self._missed_s = np.concatenate([self._missed_s[kept], np.zeros(len(found))])
        self._looked_s = np.concatenate([self._looked_s[kept], np.full(len(found), at_s)])


def _grown(boxes: FloatArray) -> FloatArray:
    """Boxes that are larger by half of their longer side, all round: where a thing may be by the next look."""
    return boxes + geometry.longer_side(boxes)[:, None] * np.array([-0.5, -0.5, 0.5, 0.5], np.float32)


_NONE: FloatArray = np.zeros((0, 4), np.float32)
_MEMORY_S = 3.0  # as long as a track is remembered, unless told otherwise
_LONGEST_MISS_S = 1.0  # while nothing moves, looks are many seconds apart: one that misses is not to end it
