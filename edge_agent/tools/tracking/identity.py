"""IDF1: how much of the time everybody is reported under one identity, the best for the whole sequence.

Source: E. Ristani et al., "Performance Measures and a Data Set for Multi-Target, Multi-Camera Tracking", ECCV Workshops
2016, §3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edge_agent.tools.tracking.overlap import best_pairs
from edge_agent.tools.tracking.scene import LEAST_OVERLAP, Scene


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What IDF1 counts.

    Attributes:
        hits: boxes of those who are there that were reported under the identity that is theirs.
        misses: all other boxes of those who are there.
        false_alarms: all other boxes that were reported.
    """

    hits: int
    misses: int
    false_alarms: int

    @property
    def idf1(self) -> float:
        """IDF1, 0..1; 0 where nobody is there and nobody is reported."""
        return self.hits / max(1.0, self.hits + (self.misses + self.false_alarms) / 2)


def measure(scene: Scene) -> Identity:
    """Count a sequence.

    The identities that cause the fewest misses and false alarms are those that share most frames, since each shared
    frame takes away one of both: a pairing without the places for nobody that the paper adds has the same sums.
    """
    shared = np.zeros((len(scene.true_counts), len(scene.said_counts)))
    for moment in scene.moments:
        rows, columns = np.nonzero(moment.overlaps >= LEAST_OVERLAP)
        shared[moment.true_ids[rows], moment.said_ids[columns]] += 1
    hits = int(np.sum(shared[best_pairs(shared)]))
    return Identity(
        hits=hits,
        misses=int(np.sum(scene.true_counts)) - hits,
        false_alarms=int(np.sum(scene.said_counts)) - hits,
    )


def combined(parts: Sequence[Identity]) -> Identity:
    """Of several sequences together."""
    return Identity(
        hits=sum(part.hits for part in parts),
        misses=sum(part.misses for part in parts),
        false_alarms=sum(part.false_alarms for part in parts),
    )
