"""Two who touched: who is who when they part again, by what they look like."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from edge_agent import geometry
from edge_agent.records import IntArray
from edge_agent.stages.track.view import View, within_reach

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
    """Remembers which objects touched, and when; forgotten with either of them, and when it matters no more."""

    def __init__(self) -> None:
        self._touched_s: dict[tuple[int, int], float] = {}  # by ids: when the one, which was there, touched the other

    def put_right(self, view: View, rows: IntArray, columns: IntArray) -> Exchange:
        """Exchange whom boxes alone have taken for each other.

        Args:
            view: what is seen.
            rows: (K,) of objects that are taken for
            columns: (K,) boxes.
        """
        order: IntArray = np.arange(len(view.lives))
        if len(order) <= 1:
            return order, rows, columns
        row_of = {track_id: row for row, track_id in enumerate(view.lives.counts("track_id").tolist())}
        self._note_touches(view, row_of, rows, columns)
        if self._touched_s:
            order, rows, columns = self._part(view, row_of, rows, columns)
            again, rows, columns = self._come_out(view, row_of, rows, columns)
            order = order[again]
        return order, rows, columns

    def _part(self, view: View, row_of: Mapping[int, int], rows: IntArray, columns: IntArray) -> Exchange:
        """Of two who touched and are both seen well again, each is the other where each box looks like that."""
        labels = view.lives.label_ids
        order: IntArray = np.arange(len(labels))
        box_of = dict(zip(rows.tolist(), columns.tolist(), strict=True))
        parted = [
            (row_of[one], row_of[other], one, other)
            for (one, other), touched_s in self._touched_s.items()
            if one < other and touched_s < view.at_s and row_of[one] in box_of and row_of[other] in box_of
        ]
        if not parted:
            return order, rows, columns
        clear = view.clear.tolist()
        apart = [
            pair for pair in sorted(parted)
            if clear[box_of[pair[0]]] and clear[box_of[pair[1]]] and labels[pair[0]] == labels[pair[1]]
        ]  # fmt: skip
        for one, other, one_id, other_id in apart:
            pair, boxes = [one, other], [box_of[one], box_of[other]]
            straight, crossed = view.differences[pair, boxes], view.differences[pair, boxes[::-1]]
            if np.max(crossed) + _EXCHANGED < np.min(straight):
                order[pair] = order[pair[::-1]]
                box_of[other], box_of[one] = boxes
            if not np.any(np.isnan(straight + crossed)):
                del self._touched_s[one_id, other_id]
                self._touched_s.pop((other_id, one_id), None)
        return order, rows, np.array([box_of[row] for row in rows.tolist()], np.int64)

    def _come_out(self, view: View, row_of: Mapping[int, int], rows: IntArray, columns: IntArray) -> Exchange:
        """Who looks like a box that nobody claims is that, and his own is whose it looks like, lost behind him."""
        lives, found = view.lives, view.found
        order = np.arange(len(lives))
        lost = lives.flags("is_established") & (view.at_s - lives.of("seen_s") < _HIDDEN_S)
        lost[rows] = False
        free = found.strong.copy()
        free[columns] = False
        if not (np.count_nonzero(lost) and np.count_nonzero(free)):
            return order, rows, columns
        touched = np.zeros((len(lives), len(lives)), np.bool_)
        for one_id, other_id in self._touched_s:
            touched[row_of[one_id], row_of[other_id]] = True
        before = touched[rows] & lost & (lives.label_ids[rows, None] == lives.label_ids)
        if not np.count_nonzero(before):
            return order, rows, columns
        clear = view.clear
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

    def _note_touches(self, view: View, row_of: Mapping[int, int], rows: IntArray, columns: IntArray) -> None:
        """Note who touches whom now, and forget what was long ago."""
        lives, ids = view.lives, list(row_of)
        self._touched_s = {
            (one, other): touched_s
            for (one, other), touched_s in self._touched_s.items()
            if touched_s >= view.at_s - _PARTED_S and one in row_of and other in row_of
        }
        boxes = view.near.copy()
        boxes[rows] = view.found.boxes.take(columns, axis=0)
        cells = (geometry.covered(boxes, boxes) >= _TOUCHING).ravel().nonzero()[0]
        is_found = np.zeros(len(lives), np.bool_)
        is_found[rows] = True
        there = (is_found | (view.at_s - lives.of("seen_s") < _HIDDEN_S)).tolist()
        seen = is_found.tolist()
        for cell in cells.tolist():  # few but those of each with itself
            one, other = divmod(cell, len(lives))
            if one != other and there[other] and (seen[one] or seen[other]):
                self._touched_s[ids[other], ids[one]] = view.at_s
                if there[one]:
                    self._touched_s[ids[one], ids[other]] = view.at_s
