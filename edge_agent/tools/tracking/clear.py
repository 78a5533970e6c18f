"""CLEAR: misses, false alarms and switches of identity, and MOTA made of them.

Source: K. Bernardin, R. Stiefelhagen, "Evaluating Multiple Object Tracking Performance: The CLEAR MOT Metrics", EURASIP
Journal on Image and Video Processing, 2008; in its details as in TrackEval (JonathonLuiten/TrackEval, `clear`, MIT).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edge_agent.tools.tracking.overlap import EPSILON, best_pairs
from edge_agent.tools.tracking.scene import LEAST_OVERLAP, Scene

_LOYALTY = 1000.0
"""More than all overlaps of a frame: who was followed a frame ago is followed on wherever that is possible."""

_UNKNOWN = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Clear:
    """What CLEAR counts.

    Attributes:
        hits: who is there and was reported.
        misses: who is there and was not.
        false_alarms: what was reported and is not there.
        switches: how often somebody is reported under another identity than the last time.
    """

    hits: int
    misses: int
    false_alarms: int
    switches: int

    @property
    def mota(self) -> float:
        """MOTA, at most 1, and less than 0 where there are more errors than persons; 0 where nobody is there."""
        there = self.hits + self.misses
        return (self.hits - self.false_alarms - self.switches) / there if there else 0.0


def measure(scene: Scene) -> Clear:
    """Count a sequence."""
    hits = switches = 0
    last = np.full(len(scene.true_counts), _UNKNOWN)  # as whom each was reported the last time
    just_now = last.copy()  # and in the frame before
    for moment in scene.moments:
        if not moment.overlaps.size:
            continue
        loyal = just_now[moment.true_ids][:, None] == moment.said_ids[None, :]
        gains = np.where(moment.overlaps < LEAST_OVERLAP - EPSILON, 0, _LOYALTY * loyal + moment.overlaps)
        rows, columns = best_pairs(gains)
        close = gains[rows, columns] > EPSILON
        true, said = moment.true_ids[rows[close]], moment.said_ids[columns[close]]
        hits += len(true)
        switches += int(np.count_nonzero((last[true] != _UNKNOWN) & (last[true] != said)))
        last[true] = said
        just_now[:] = _UNKNOWN
        just_now[true] = said
    return Clear(
        hits=hits,
        misses=int(np.sum(scene.true_counts)) - hits,
        false_alarms=int(np.sum(scene.said_counts)) - hits,
        switches=switches,
    )


def combined(parts: Sequence[Clear]) -> Clear:
    """Of several sequences together."""
    return Clear(
        hits=sum(part.hits for part in parts),
        misses=sum(part.misses for part in parts),
        false_alarms=sum(part.false_alarms for part in parts),
        switches=sum(part.switches for part in parts),
    )
