"""HOTA: detection and association in one figure, over many least overlaps.

Source: J. Luiten et al., "HOTA: A Higher Order Metric for Evaluating Multi-Object Tracking", IJCV 129, 2021; the
pairing of §5.1 in its details as in TrackEval (JonathonLuiten/TrackEval, `hota`, MIT), whose figures these are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edge_agent.records import IntArray
from edge_agent.tools.tracking.overlap import EPSILON, best_pairs
from edge_agent.tools.tracking.rows import Numbers
from edge_agent.tools.tracking.scene import Scene

LEAST_OVERLAPS = np.arange(0.05, 0.99, 0.05)
"""0.05, 0.1, … 0.95; the figures are means over these."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Hota:
    """What HOTA counts, each (A,), one a least overlap.

    Attributes:
        hits: who is there and was reported.
        misses: who is there and was not.
        false_alarms: what was reported and is not there.
        association: mean over the hits of how far the two identities of a hit agree all along, 0..1.
    """

    hits: IntArray
    misses: IntArray
    false_alarms: IntArray
    association: Numbers

    @property
    def detection(self) -> Numbers:
        """(A,) part of all that is there or was reported that are hits."""
        return np.asarray(self.hits / np.maximum(1, self.hits + self.misses + self.false_alarms))

    @property
    def hota(self) -> float:
        """HOTA, 0..1."""
        return float(np.mean(np.sqrt(self.detection * self.association)))

    @property
    def det_a(self) -> float:
        """DetA, 0..1."""
        return float(np.mean(self.detection))

    @property
    def ass_a(self) -> float:
        """AssA, 0..1."""
        return float(np.mean(self.association))


def measure(scene: Scene) -> Hota:
    """Count a sequence."""
    alignment = _alignment(scene)
    true_ids, said_ids, overlaps = _paired(scene, alignment)
    all_true, all_said = int(np.sum(scene.true_counts)), int(np.sum(scene.said_counts))
    hits, association = [], []
    for least in LEAST_OVERLAPS - EPSILON:
        close = overlaps >= least
        hits.append(int(np.count_nonzero(close)))
        association.append(_association(scene, true_ids[close], said_ids[close]))
    found = np.array(hits, np.int64)
    return Hota(hits=found, misses=all_true - found, false_alarms=all_said - found, association=np.array(association))


def combined(parts: Sequence[Hota]) -> Hota:
    """Of several sequences together: a hit weighs the same in all."""
    hits = _sum([part.hits for part in parts])
    weighted = np.sum([part.association * part.hits for part in parts], axis=0)
    return Hota(
        hits=hits,
        misses=_sum([part.misses for part in parts]),
        false_alarms=_sum([part.false_alarms for part in parts]),
        association=weighted / np.maximum(1, hits),
    )


def _alignment(scene: Scene) -> Numbers:
    """(T, S) how far each who is there and each who is reported could be the same, over the whole sequence: 0..1."""
    shared = np.zeros((len(scene.true_counts), len(scene.said_counts)))
    for moment in scene.moments:
        overlaps = moment.overlaps
        either = overlaps.sum(axis=0)[None, :] + overlaps.sum(axis=1)[:, None] - overlaps
        share = np.divide(overlaps, either, out=np.zeros_like(overlaps), where=either > EPSILON)
        shared[moment.true_ids[:, None], moment.said_ids[None, :]] += share
    return np.asarray(shared / (np.add.outer(scene.true_counts, scene.said_counts) - shared))


def _paired(scene: Scene, alignment: Numbers) -> tuple[IntArray, IntArray, Numbers]:
    """All pairs of all frames, those included that overlap by too little: (K,) who, (K,) as whom, (K,) overlaps."""
    true_ids, said_ids = [_NOBODY], [_NOBODY]
    overlaps: list[Numbers] = [np.zeros(0)]
    for moment in scene.moments:
        if moment.overlaps.size:
            fit = alignment[moment.true_ids[:, None], moment.said_ids[None, :]] * moment.overlaps
            rows, columns = best_pairs(fit)
            true_ids.append(moment.true_ids[rows])
            said_ids.append(moment.said_ids[columns])
            overlaps.append(moment.overlaps[rows, columns])
    return np.concatenate(true_ids), np.concatenate(said_ids), np.concatenate(overlaps)


def _association(scene: Scene, true_ids: IntArray, said_ids: IntArray) -> float:
    """The mean over hits of what their two identities share of all frames that either is in."""
    couples, together = np.unique(true_ids * max(1, len(scene.said_counts)) + said_ids, return_counts=True)
    true, said = np.divmod(couples, max(1, len(scene.said_counts)))
    agreement = together / (scene.true_counts[true] + scene.said_counts[said] - together)
    return float(np.sum(together * agreement)) / max(1, len(true_ids))


_NOBODY: IntArray = np.zeros(0, np.int64)


def _sum(counts: Sequence[IntArray]) -> IntArray:
    return np.asarray(np.sum(counts, axis=0), np.int64)
