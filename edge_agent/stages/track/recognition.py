"""Who is who by what they look like, where boxes alone cannot tell.

Where looks do not tell either, boxes decide as they would without.
"""

from __future__ import annotations

import numpy as np

from edge_agent.records import BoolArray, Detections, FloatArray, Frame, IntArray
from edge_agent.stages.track import appearance, assign
from edge_agent.stages.track.appearance import Appearances
from edge_agent.stages.track.memory import Lives
from edge_agent.stages.track.parting import Contacts, Exchange
from edge_agent.stages.track.view import ALIKE, View, clear_of, within_reach

_TWINS = 0.02
"""Two objects that differ less look the same, and cannot be told apart by it."""

_RIVAL = 0.85
"""So much less must a box differ from an object than from any other that is out of sight."""

_LEARN_S = 0.3
"""What objects look like is learnt no more often."""

_IN_THE_WAY_S = 0.5
"""So long after it was last seen an object may still stand where it is presumed, behind another or before it."""


class Recognition:
    """Remembers what the objects of one camera look like, and who touched whom."""

    def __init__(self) -> None:
        self._appearances, self._contacts = Appearances(), Contacts()
        self._learnt_s = -np.inf

    def look(self, frame: Frame, found: Detections, lives: Lives, near: FloatArray, at_s: float) -> View:
        """Look at a frame whose boxes are to be matched with objects, presumed at (N, 4) xyxy pixels."""
        known = self._appearances.of(lives.counts("track_id"))
        return View(frame=frame, found=found, lives=lives, known=known, near=near, at_s=at_s)

    def put_right(self, view: View, rows: IntArray, columns: IntArray) -> Exchange:
        """Exchange whom boxes alone have taken for each other: objects at (K,) rows, which are taken for (K,) boxes."""
        return self._contacts.put_right(view, rows, columns)

    def keep(self, ids: IntArray) -> None:
        """Forget what all but (N,) objects look like."""
        self._appearances.keep(ids)

    def learn(self, view: View, rows: IntArray, columns: IntArray) -> None:
        """Remember what the objects at (K,) rows look like, which are (K,) boxes, where they are seen well."""
        if view.at_s < self._learnt_s + _LEARN_S or not len(rows):
            return
        self._learnt_s = view.at_s
        lives, found = view.lives, view.found
        hidden = view.at_s - lives.of("seen_s") <= _IN_THE_WAY_S
        hidden[rows] = False
        others = np.concatenate([found.boxes[found.strong], view.near[hidden]])
        well = found.strong[columns] & clear_of(found.boxes[columns], others)
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
    if len(rows) == len(lives):
        return _NONE, _NONE
    lost = lives.flags("is_established") & ~lives.flags("is_stationary")
    lost[rows] = False
    free = found.strong.copy()
    free[columns] = False
    if not (np.count_nonzero(lost) and np.count_nonzero(free)):
        return _NONE, _NONE
    out_of_sight, unclaimed = np.flatnonzero(lost), np.flatnonzero(free)
    may_be = within_reach(view, out_of_sight, unclaimed)
    if not np.count_nonzero(may_be):
        return _NONE, _NONE
    unlike = view.differences[np.ix_(out_of_sight, unclaimed)]
    may_be &= unlike <= ALIKE
    may_be &= unlike <= _RIVAL * _least_of_others(unlike)
    may_be &= ~_has_twin(view.known, out_of_sight)[:, None]
    which, what = np.nonzero(may_be)
    wishes = zip((1 - unlike[which, what]).tolist(), which.tolist(), what.tolist(), strict=True)
    chosen = assign.best_first(list(wishes), {})
    return out_of_sight[list(chosen)], unclaimed[list(chosen.values())]


_NONE: IntArray = np.zeros(0, np.int64)


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
