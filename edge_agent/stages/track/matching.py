"""Matching: which box of a frame is which of the objects that are known."""

from __future__ import annotations

import numpy as np

from edge_agent.records import BoolArray, Detections, FloatArray, IntArray
from edge_agent.stages.track import assign, kin, likeness
from edge_agent.stages.track.memory import Lives
from edge_agent.stages.track.view import ALIKE, View

_WEAK_LIKENESS = 0.5
"""Least likeness of a weak box to an object seen a moment ago; more than for a sure one, for it may be anything."""

_KIN_LIKENESS = 0.6
"""Least likeness of a box of another label that is easily taken for the object's."""

_KIN_S = 1.0
"""For no longer may an object have been missed that is found again under such a label, unless it stands still."""

_STOOD_PART = 0.5
"""Part of `match_iou` that a box must always fit an object that stands still: however long it was out of sight, it is
known where it stood, and what comes to stand beside it is another."""

_TENTATIVE = 0.7
"""How much less a box is an object's that is not established, where another wants it too."""

_MISSED_DECAY_HZ = 0.3
"""How fast an object's claim to a box fades while it is missed, against others that want it."""

_LOOKS_WEIGHT = 2.0
"""How fast a claim falls with how little the two look alike: less than with their distance, for whoever stands before
another lends him his colours."""


def match(
    lives: Lives,
    near: FloatArray,
    deviations: FloatArray,
    found: Detections,
    match_iou: float,
    view: View | None = None,
) -> tuple[IntArray, IntArray]:
    """Pair objects with boxes: sure boxes of an object's label first, then those of its kin, at last weak ones.

    Args:
        lives: of the N objects.
        near: (N, 4) xyxy pixels, where each is presumed to be.
        deviations: (N,) how far beside that it may be across, pixels.
        found: the boxes.
        match_iou: how much a box must overlap an object whose place is well known.
        view: the picture, to look at where several objects want a box, or one wants several; None where there is none.

    Returns:
        (K,) rows of objects and (K,) indexes of boxes.
    """
    pairs = likeness.pairs_of(near, found.boxes)
    alike = lives.label_ids[pairs.rows] == found.label_ids[pairs.columns]
    strong = found.strong[pairs.columns]
    least = _least(lives, near, deviations, match_iou)
    sure = pairs[alike & strong & (pairs.similarity >= least[pairs.rows])]
    wanted = sure.similarity * _claims(lives)[sure.rows] * found.scores[sure.columns]
    if view is not None and _is_contested(sure.rows, sure.columns):
        wanted *= _likes(view.differences[sure.rows, sure.columns])
    matched = assign.best_first(sure.rows, sure.columns, wanted)
    apart = ~alike & strong & (pairs.similarity >= _KIN_LIKENESS)
    if np.count_nonzero(apart):
        others = pairs[apart]
        related = kin.table(found.label_names)[lives.label_ids[others.rows], found.label_ids[others.columns]]
        lately = (lives.of("missed_s") <= _KIN_S) | lives.flags("is_stationary")
        matched = _match_more(others[related], lately, np.ones(len(found), np.bool_), *matched)
    weak = alike & ~strong & (pairs.similarity >= _WEAK_LIKENESS)
    if np.count_nonzero(weak):
        matched = _match_more(pairs[weak], lives.of("missed_s") == 0, ~found.strong, *matched)
    return matched


def _match_more(
    pairs: likeness.Pairs, wanting: BoolArray, free: BoolArray, rows: IntArray, columns: IntArray
) -> tuple[IntArray, IntArray]:
    """Add to the pairs that are made some of objects that are wanting, of (N,), and of boxes that are free, of (M,)."""
    wanting[rows] = False
    free[columns] = False
    left = pairs[wanting[pairs.rows] & free[pairs.columns]]
    more_rows, more_columns = assign.best_first(left.rows, left.columns, left.similarity)
    return np.concatenate([rows, more_rows]), np.concatenate([columns, more_columns])


def _least(lives: Lives, near: FloatArray, deviations: FloatArray, match_iou: float) -> FloatArray:
    """How well a box must fit each object, (N,)."""
    least = likeness.least_overlaps(near[:, 2] - near[:, 0], deviations, match_iou)
    stationary = lives.flags("is_stationary")
    if np.count_nonzero(stationary):
        least[stationary] = np.maximum(least[stationary], _STOOD_PART * match_iou)
    return least


def _is_contested(rows: IntArray, columns: IntArray) -> bool:
    """Whether one row or one column is in several pairs."""
    return any(len(each) and np.max(np.bincount(each)) > 1 for each in (rows, columns))


def _likes(unlike: FloatArray) -> FloatArray:
    """How much what they look like counts where several want a box, (K,)."""
    return np.exp(-_LOOKS_WEIGHT * np.maximum(np.nan_to_num(unlike) - ALIKE, 0))


def _claims(lives: Lives) -> FloatArray:
    """How much each object's wish for a box counts against that of others, (N,)."""
    return np.exp(-_MISSED_DECAY_HZ * lives.of("missed_s")) * np.where(lives.flags("is_established"), 1, _TENTATIVE)
