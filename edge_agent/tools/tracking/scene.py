"""A tracker's answer laid beside the truth, frame by frame: what the metrics count in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from edge_agent.records import IntArray
from edge_agent.tools.tracking.overlap import EPSILON, best_pairs, iou
from edge_agent.tools.tracking.rows import Identified, Numbers, Truth, rows_of

LEAST_OVERLAP = 0.5
"""From which on two boxes may show the same, where a metric does not ask for many thresholds."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Moment:
    """One frame.

    Attributes:
        true_ids: (N,) who is there, as indexes 0, 1, … into all who ever are.
        said_ids: (M,) whom the tracker reports, likewise.
        overlaps: (N, M) 0..1.
    """

    true_ids: IntArray
    said_ids: IntArray
    overlaps: Numbers


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scene:
    """A sequence.

    Attributes:
        moments: its frames, in order, without those in which nobody is there and nobody is reported.
        true_counts: (T,) in how many frames each who is there is there.
        said_counts: (S,) in how many frames each who is reported is reported.
    """

    moments: tuple[Moment, ...]
    true_counts: IntArray
    said_counts: IntArray


def compare(truth: Truth, said: Identified) -> Scene:
    """Lay a tracker's answer beside the truth.

    A box that is paired with a distractor is taken out, and so is what is there but does not count.

    Source: the preparation of MOT16, MOT17 and MOT20: A. Milan et al., "MOT16: A Benchmark for Multi-Object Tracking",
    arXiv 1603.00831, §4; in its details as in TrackEval (JonathonLuiten/TrackEval, `mot_challenge_2d_box`, MIT).
    """
    moments = tuple(_moments(truth, said))
    true_ids, true_counts = _renumbered([moment.true_ids for moment in moments])
    said_ids, said_counts = _renumbered([moment.said_ids for moment in moments])
    return Scene(
        moments=tuple(
            Moment(true_ids=true, said_ids=reported, overlaps=moment.overlaps)
            for moment, true, reported in zip(moments, true_ids, said_ids, strict=True)
        ),
        true_counts=true_counts,
        said_counts=said_counts,
    )


def _moments(truth: Truth, said: Identified) -> Iterator[Moment]:
    frames = np.union1d(truth.boxes.frames, said.frames)
    for there, reported in zip(rows_of(truth.boxes.frames, frames), rows_of(said.frames, frames), strict=True):
        overlaps = iou(truth.boxes.ltwh[there], said.ltwh[reported])
        counts, distracts = truth.counts[there], truth.distracts[there]
        kept = np.ones(overlaps.shape[1], np.bool_)
        if distracts.any() and kept.any():
            reaching = np.where(overlaps < LEAST_OVERLAP - EPSILON, 0, overlaps)
            rows, columns = best_pairs(reaching)
            kept[columns[distracts[rows] & (reaching[rows, columns] > EPSILON)]] = False
        if counts.any() or kept.any():
            yield Moment(
                true_ids=truth.boxes.ids[there][counts],
                said_ids=said.ids[reported][kept],
                overlaps=overlaps[counts][:, kept],
            )


def _renumbered(ids: list[IntArray]) -> tuple[list[IntArray], IntArray]:
    """The same with 0, 1, … for what occurs, and how often each does."""
    joined = np.concatenate([*ids, np.zeros(0, np.int64)])
    _known, numbers, counts = np.unique(joined, return_inverse=True, return_counts=True)
    ends = np.cumsum([len(some) for some in ids])
    return np.split(numbers.reshape(-1), ends)[: len(ids)], counts
