"""Two who touched: who is who when they part again, by what they look like."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge_agent import geometry
from edge_agent.records import IntArray
from edge_agent.stages.track.view import View, clear_of, within_reach

_TOUCHING = 0.2
"""Part of a box that another covers, from which the two may be taken for one another."""

_HIDDEN_S = 1.5
"""So long may one of them be out of sight, behind the other."""

_PARTED_S = 3.0
"""So long after they touched they are looked at: then both must be seen well."""

_EXCHANGED = 0.03
"""So much less must either look like its own box than either like the other's to have been taken for each other. One of
the two alone may have been seen before something else than the ground, or behind something."""


Exchange = tuple[IntArray, IntArray, IntArray]
"""(N,) of each object, the row of whose place it is to have, its own but for those exchanged; and pairs of rows and
boxes."""


class Contacts:
    """Remembers which objects touched, and when; forgotten with either of them."""

    def __init__(self) -> None:
        self._ids: IntArray = np.zeros(0, np.int64)
        self._touched_s: NDArray[np.float64] = np.zeros((0, 0))  # (N, N) when two last touched

    def put_right(self, view: View, rows: IntArray, columns: IntArray) -> Exchange:
        """Exchange whom boxes alone have taken for each other.

        Args:
            view: what is seen.
            rows: (K,) of objects that are taken for
            columns: (K,) boxes.
        """
        if len(view.lives) <= 1:
            return np.arange(len(view.lives)), rows, columns
        self._note_touches(view, rows, columns)
        order, rows, columns = self._part(view, rows, columns)
        again, rows, columns = self._come_out(view, rows, columns)
        return order[again], rows, columns

    def _part(self, view: View, rows: IntArray, columns: IntArray) -> Exchange:
        """Of two who touched and are both seen well again, each is the other where each box looks like that."""
        lives, found = view.lives, view.found
        order = np.arange(len(lives))
        touched_s = self._touched_s
        apart = (touched_s >= view.at_s - _PARTED_S) & (touched_s < view.at_s)
        if not np.count_nonzero(apart):
            return order, rows, columns
        box_of = np.full(len(lives), -1)
        box_of[rows] = columns
        clear = np.zeros(len(lives), np.bool_)
        clear[rows] = found.strong[columns] & clear_of(found.boxes[columns], found.boxes[found.strong])
        apart &= clear[:, None] & clear
        if not np.count_nonzero(apart):
            return order, rows, columns
        apart &= lives.label_ids[:, None] == lives.label_ids
        for one, other in zip(*(each.tolist() for each in np.nonzero(np.triu(apart, 1))), strict=True):
            pair, boxes = [one, other], box_of[[one, other]]
            straight, crossed = view.differences[pair, boxes], view.differences[pair, boxes[::-1]]
            if np.max(crossed) + _EXCHANGED < np.min(straight):
                order[pair], box_of[pair] = order[pair[::-1]], boxes[::-1]
            if not np.any(np.isnan(straight + crossed)):
                touched_s[one, other] = touched_s[other, one] = -np.inf
        return order, rows, box_of[rows]

    def _come_out(self, view: View, rows: IntArray, columns: IntArray) -> Exchange:
        """Who looks like a box that nobody claims is that, and his own is whose it looks like, lost behind him."""
        lives, found = view.lives, view.found
        order = np.arange(len(lives))
        lost = lives.flags("is_established") & (view.at_s - lives.of("seen_s") < _HIDDEN_S)
        lost[rows] = False
        free = found.strong.copy()
        free[columns] = False
        before = (
            (self._touched_s[rows] >= view.at_s - _PARTED_S) & lost & (lives.label_ids[rows, None] == lives.label_ids)
        )
        if not (np.count_nonzero(before) and np.count_nonzero(free)):
            return order, rows, columns
        clear = found.strong & clear_of(found.boxes, found.boxes[found.strong])
        unclaimed = np.flatnonzero(free & clear)
        may_be = within_reach(view, rows, unclaimed) & np.any(before, axis=1)[:, None] & clear[columns, None]
        box_of = dict(zip(rows.tolist(), columns.tolist(), strict=True))
        for which, what in zip(*(each.tolist() for each in np.nonzero(may_be)), strict=True):
            one, box = int(rows[which]), int(unclaimed[what])
            for other in np.flatnonzero(before[which]).tolist():
                his, pair = box_of[one], [one, other]
                straight, crossed = view.differences[pair, [his, box]], view.differences[pair, [box, his]]
                is_free = other not in box_of and box not in box_of.values()
                if is_free and np.max(crossed) + _EXCHANGED < np.min(straight):
                    order[pair] = order[pair[::-1]]
                    box_of[one], box_of[other] = box, his
        return order, np.array(list(box_of), np.int64), np.array(list(box_of.values()), np.int64)

    def _note_touches(self, view: View, rows: IntArray, columns: IntArray) -> None:
        """Note who touches whom now."""
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
