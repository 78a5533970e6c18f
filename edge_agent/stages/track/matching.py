"""Matching: which box of a frame is which of the objects that are known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edge_agent.records import Detections, FloatArray, IntArray
from edge_agent.stages.track import assign, kin, likeness
from edge_agent.stages.track.assign import Wish
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
    sure, other, weak = _possible(lives, likeness.pairs_of(near, found.boxes), near, deviations, found, match_iou)
    if view is not None and _is_contested(sure):
        sure = _with_looks(sure, view)
    column_of = assign.best_first(sure, {})
    if other:
        lately = (lives.of("missed_s") <= _KIN_S) | lives.flags("is_stationary")
        related = kin.table(found.label_names)[lives.label_ids]  # of each object, which labels may be its
        likely = [wish for wish in other if lately[wish[1]] and related[wish[1], found.label_ids[wish[2]]]]
        column_of = assign.best_first(likely, column_of)
    if weak:
        missed_s = lives.of("missed_s").tolist()
        column_of = assign.best_first([wish for wish in weak if missed_s[wish[1]] == 0], column_of)
    return np.array(list(column_of), np.int64), np.array(list(column_of.values()), np.int64)


def _possible(
    lives: Lives, pairs: likeness.Pairs, near: FloatArray, deviations: FloatArray, found: Detections, match_iou: float
) -> tuple[list[Wish], list[Wish], list[Wish]]:
    """Which pairs may be: of objects and sure boxes of their label, sure ones of another label, and weak ones.

    A loop over the few pairs there are, which is faster than to ask of all of them one thing after the other.
    """
    labels, box_labels = lives.label_ids.tolist(), found.label_ids.tolist()
    strong, scores = found.strong.tolist(), found.scores.tolist()
    least, claims = _least(lives, near, deviations, match_iou).tolist(), _claims(lives).tolist()
    sure, other, weak = list[Wish](), list[Wish](), list[Wish]()
    for row, column, similarity in zip(*(each.tolist() for each in pairs), strict=True):
        if labels[row] != box_labels[column]:
            if strong[column] and similarity >= _KIN_LIKENESS:
                other.append((similarity, row, column))
        elif not strong[column]:
            if similarity >= _WEAK_LIKENESS:
                weak.append((similarity, row, column))
        elif similarity >= least[row]:
            sure.append((similarity * claims[row] * scores[column], row, column))
    return sure, other, weak


def _least(lives: Lives, near: FloatArray, deviations: FloatArray, match_iou: float) -> FloatArray:
    """How well a box must fit each object, (N,)."""
    least = likeness.least_overlaps(near[:, 2] - near[:, 0], deviations, match_iou)
    stationary = lives.flags("is_stationary")
    if np.count_nonzero(stationary):
        least[stationary] = np.maximum(least[stationary], _STOOD_PART * match_iou)
    return least


def _is_contested(wishes: Sequence[Wish]) -> bool:
    """Whether one object or one box is in several pairs."""
    return any(len({wish[part] for wish in wishes}) < len(wishes) for part in (1, 2))


def _with_looks(wishes: Sequence[Wish], view: View) -> list[Wish]:
    """The same where what they look like counts too."""
    _wanted, rows, columns = zip(*wishes, strict=True)
    unlike = view.differences[rows, columns]
    likes = np.exp(-_LOOKS_WEIGHT * np.fmax(unlike - ALIKE, 0)).tolist()  # where nobody knows, not at all
    return [(wanted * like, row, column) for (wanted, row, column), like in zip(wishes, likes, strict=True)]


def _claims(lives: Lives) -> FloatArray:
    """How much each object's wish for a box counts against that of others, (N,)."""
    return np.exp(-_MISSED_DECAY_HZ * lives.of("missed_s")) * np.where(lives.flags("is_established"), 1, _TENTATIVE)
