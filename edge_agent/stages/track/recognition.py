"""Who is who by what they look like, where boxes alone cannot tell: who comes back into sight, and who parts from whom.

Whoever looks like nobody else, and little like himself a moment ago, gains nothing by this, and loses nothing: where
looks do not tell, boxes decide as they would without.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from edge_agent import geometry
from edge_agent.records import BoolArray, Detections, FloatArray, Frame, IntArray
from edge_agent.stages.track import appearance, assign, kalman
from edge_agent.stages.track.appearance import Appearances
from edge_agent.stages.track.memory import Lives

ALIKE = 0.08
"""So little may somebody differ from what he looked like. Of persons in a yard, after seconds, nine of ten of the same
differ less and nine of ten others more."""

_TWINS = 0.02
"""Two objects that differ less look the same, and cannot be told apart by it."""

_RIVAL = 0.85
"""So much less must a box differ from an object than from any other that is out of sight."""

_REACH = 0.3
_REACH_HZ = 0.75
_LONGEST_REACH = 1.25
"""How far beside where it was, or was presumed, an object is sought, in its own sizes: at once, more each second, and
at most. A person is 1.7 m high and walks 1.4 m a second."""

_HEIGHTS = 0.7
"""Least ratio of the heights of an object and a box that may be it."""

_CLEAR = 0.1
"""Part of a box that others may cover where it is seen well enough to be learnt."""

_LEARN_S = 0.3
"""What objects look like is learnt no more often."""

_IN_THE_WAY_S = 0.5
"""So long after it was last seen an object may still stand where it is presumed, behind another or before it."""

_TOUCHING = 0.2
"""Part of a box that another covers, from which the two may be taken for one another."""

_HIDDEN_S = 1.5
"""So long may one of them be out of sight, behind the other."""

_PARTED_S = 3.0
"""So long after they touched they are looked at: then both must be seen well."""

_EXCHANGED = 0.03
"""So much less must either look like its own box than either like the other's to have been taken for each other. One of
the two alone may have been seen before something else than the ground, or behind something."""


@dataclass(frozen=True, kw_only=True, eq=False)
class View:
    """A frame with M boxes, beside N objects; it is looked at when somebody asks, and then once.

    Attributes:
        frame: the picture.
        found: the boxes.
        lives: of the objects.
        known: (N, 3, BANDS, BINS) what each object looks like, not a number where nobody knows.
        near: (N, 4) xyxy pixels, where each is presumed to be.
        at_s: when.
    """

    frame: Frame
    found: Detections
    lives: Lives
    known: FloatArray
    near: FloatArray
    at_s: float

    @cached_property
    def seen(self) -> FloatArray:
        """(M, 3, BANDS, BINS) what each box looks like, not a number where it is weak."""
        seen = np.full((len(self.found), *self.known.shape[1:]), np.nan, np.float32)
        seen[self.found.strong] = appearance.describe(self.frame, self.found.boxes[self.found.strong])
        return seen

    @cached_property
    def differences(self) -> FloatArray:
        """(N, M) how little each object looks like each box, not a number where nobody knows."""
        return appearance.differences(self.known, self.seen)


class Recognition:
    """Remembers what the objects of one camera look like, and who touched whom."""

    def __init__(self) -> None:
        self._appearances = Appearances()
        self._learnt_s = -np.inf
        self._ids: IntArray = np.zeros(0, np.int64)
        self._touched_s: NDArray[np.float64] = np.zeros((0, 0))  # (N, N) when two last touched

    def look(self, frame: Frame, found: Detections, lives: Lives, near: FloatArray, at_s: float) -> View:
        """Look at a frame whose boxes are to be matched with objects, presumed at (N, 4) xyxy pixels."""
        known = self._appearances.of(lives.counts("track_id"))
        return View(frame=frame, found=found, lives=lives, known=known, near=near, at_s=at_s)

    def part(self, view: View, rows: IntArray, columns: IntArray) -> tuple[IntArray, IntArray]:
        """Take two who touched and stand apart again for each other, where that is what they look like.

        Args:
            view: what is seen.
            rows: (K,) of objects that are taken for
            columns: (K,) boxes.

        Returns:
            (N,) of each object, the row of whose place it is to have: its own, but for those; and (K,) boxes.
        """
        lives, found = view.lives, view.found
        order = np.arange(len(lives))
        if not len(lives) > 1:
            return order, columns
        touched_s = self._touches(view, rows, columns)
        apart = (touched_s >= view.at_s - _PARTED_S) & (touched_s < view.at_s)
        if not np.count_nonzero(apart):
            return order, columns
        box_of = np.full(len(lives), -1)
        box_of[rows] = columns
        clear = np.zeros(len(lives), np.bool_)
        clear[rows] = found.strong[columns] & _clear(found.boxes[columns], found.boxes[found.strong])
        apart &= clear[:, None] & clear
        if not np.count_nonzero(apart):
            return order, columns
        apart &= lives.label_ids[:, None] == lives.label_ids
        for one, other in zip(*(each.tolist() for each in np.nonzero(np.triu(apart, 1))), strict=True):
            pair, boxes = [one, other], box_of[[one, other]]
            straight, crossed = view.differences[pair, boxes], view.differences[pair, boxes[::-1]]
            if np.max(crossed) + _EXCHANGED < np.min(straight):
                order[pair], box_of[pair] = order[pair[::-1]], boxes[::-1]
            if not np.any(np.isnan(straight + crossed)):
                touched_s[one, other] = touched_s[other, one] = -np.inf
        return order, box_of[rows]

    def _touches(self, view: View, rows: IntArray, columns: IntArray) -> NDArray[np.float64]:
        """When two objects last touched, (N, N), with those that do so now."""
        lives = view.lives
        ids = lives.counts("track_id")
        if not np.array_equal(ids, self._ids):
            _both, old, new = np.intersect1d(self._ids, ids, assume_unique=True, return_indices=True)
            touched_s = np.full((len(ids), len(ids)), -np.inf)
            touched_s[np.ix_(new, new)] = self._touched_s[np.ix_(old, old)]
            self._ids, self._touched_s = ids.copy(), touched_s
        boxes = view.near.copy()
        boxes[rows] = view.found.boxes[columns]
        is_found = np.zeros(len(lives), np.bool_)
        is_found[rows] = True
        there = is_found | (view.at_s - lives.of("seen_s") < _HIDDEN_S)
        covered = geometry.covered(boxes, boxes)
        over = (covered >= _TOUCHING) & there & (is_found | is_found[:, None])
        touching = (over | over.T) & there[:, None]
        np.fill_diagonal(touching, val=False)
        self._touched_s[touching] = view.at_s
        return self._touched_s

    def learn(self, view: View, rows: IntArray, columns: IntArray) -> None:
        """Remember what the objects at (K,) rows look like, which are (K,) boxes, where they are seen well."""
        if view.at_s < self._learnt_s + _LEARN_S or not len(rows):
            return
        self._learnt_s = view.at_s
        lives, found = view.lives, view.found
        hidden = view.at_s - lives.of("seen_s") <= _IN_THE_WAY_S
        hidden[rows] = False
        others = np.concatenate([found.boxes[found.strong], view.near[hidden]])
        well = found.strong[columns] & _clear(found.boxes[columns], others)
        self._appearances.learn(rows[well], view.seen[columns[well]], view.at_s)


def find_again(view: View, rows: IntArray, columns: IntArray) -> tuple[IntArray, IntArray]:
    """Look among the boxes that nobody claims for who is out of sight: within reach, of its height, and alike.

    What has stood still is not sought beside its place, and not who must have left the picture.

    Args:
        view: what is seen.
        rows: (K,) of objects that have been found.
        columns: (K,) boxes that they are.

    Returns:
        (L,) rows and (L,) boxes more.
    """
    lives, found = view.lives, view.found
    lost = lives.flags("is_established") & ~lives.flags("is_stationary")
    lost[rows] = False
    free = found.strong.copy()
    free[columns] = False
    if not (np.count_nonzero(lost) and np.count_nonzero(free)):
        return _NONE, _NONE
    out_of_sight, unclaimed = np.flatnonzero(lost), np.flatnonzero(free)
    may_be = _within_reach(view, out_of_sight, unclaimed)
    if not np.count_nonzero(may_be):
        return _NONE, _NONE
    unlike = view.differences[np.ix_(out_of_sight, unclaimed)]
    may_be &= unlike <= ALIKE
    may_be &= unlike <= _RIVAL * _least_of_others(unlike)
    may_be &= ~_has_twin(view.known, out_of_sight)[:, None]
    which, what = np.nonzero(may_be)
    which, what = assign.best_first(which, what, 1 - unlike[which, what])
    return out_of_sight[which], unclaimed[what]


_NONE: IntArray = np.zeros(0, np.int64)


def _within_reach(view: View, rows: IntArray, columns: IntArray) -> BoolArray:
    """Of objects at (L,) rows, which may be the boxes at (U,) columns by where, how high and what they are, (L, U)."""
    lives, found = view.lives, view.found
    last, presumed = kalman.to_cxcywh(lives.boxes()[rows]), kalman.to_cxcywh(view.near[rows])
    places = kalman.to_cxcywh(found.boxes[columns])
    inside = np.all((presumed[:, :2] >= 0) & (presumed[:, :2] < (view.frame.width, view.frame.height)), axis=1)
    off = np.minimum(_distances(last, places), _distances(presumed, places))
    unseen_s = view.at_s - lives.of("seen_s")[rows]
    reach = np.minimum(_REACH + _REACH_HZ * unseen_s, _LONGEST_REACH) * np.maximum(last[:, 2], last[:, 3])
    heights = np.minimum.outer(last[:, 3], places[:, 3]) / np.maximum.outer(last[:, 3], places[:, 3])
    same = np.equal.outer(lives.label_ids[rows], found.label_ids[columns])
    within: BoolArray = inside[:, None] & same & (off <= reach[:, None]) & (heights >= _HEIGHTS)
    return within


def _distances(places: FloatArray, others: FloatArray) -> FloatArray:
    """Between the centres of (L, 4) and (U, 4) cx, cy, width, height, (L, U)."""
    return np.hypot(np.subtract.outer(places[:, 0], others[:, 0]), np.subtract.outer(places[:, 1], others[:, 1]))


def _least_of_others(unlike: FloatArray) -> FloatArray:
    """Of (L, U) differences, the least in the column beside each; infinite where there is no other."""
    known = np.where(np.isnan(unlike), np.inf, unlike)
    ordered = np.sort(np.concatenate([known, np.full_like(known[:1], np.inf)]), axis=0)
    return np.where(known == ordered[0], ordered[1], ordered[0])


def _has_twin(known: FloatArray, rows: IntArray) -> BoolArray:
    """Of objects at (L,) rows, which look like another of the (N,) that are known."""
    unlike = appearance.differences(known[rows], known)
    unlike[np.arange(len(rows)), rows] = np.inf
    return np.any(unlike < _TWINS, axis=1)


def _clear(boxes: FloatArray, others: FloatArray) -> BoolArray:
    """Of (K, 4) boxes, which are not covered by others, of which each is one itself."""
    covered = geometry.covered(boxes, others)
    return np.asarray(np.count_nonzero(covered > _CLEAR, axis=1) <= 1, np.bool_)
