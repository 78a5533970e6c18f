"""A frame beside what is known of its objects: what each box looks like, which is seen well, who may be which."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from edge_agent import geometry
from edge_agent.records import BoolArray, Detections, FloatArray, Frame, IntArray
from edge_agent.stages.track import appearance, kalman
from edge_agent.stages.track.memory import Lives

ALIKE = 0.08
"""So little may somebody differ from what he looked like. Of persons in a yard, after seconds, nine of ten of the same
differ less and nine of ten others more."""

_REACH = 0.3
_REACH_HZ = 0.75
_LONGEST_REACH = 1.25
"""How far beside where it was, or was presumed, an object is sought, in its own sizes: at once, more each second, and
at most. A person is 1.7 m high and walks 1.4 m a second."""

_HEIGHTS = 0.7
"""Least ratio of the heights of an object and a box that may be it."""

_CLEAR = 0.1
"""Part of a box that others may cover where it is seen well enough to be learnt."""


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
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

    @cached_property
    def clear(self) -> BoolArray:
        """(M,) which boxes are sure, and not covered by other sure ones."""
        return self.found.strong & clear_of(self.found.boxes, self.found.boxes[self.found.strong])


def within_reach(view: View, rows: IntArray, columns: IntArray) -> BoolArray:
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


def clear_of(boxes: FloatArray, others: FloatArray) -> BoolArray:
    """Of (K, 4) boxes, which are not covered by others, of which each is one itself."""
    covered = geometry.covered(boxes, others)
    return np.asarray((covered > _CLEAR).sum(axis=1) <= 1, np.bool_)
