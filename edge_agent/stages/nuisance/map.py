"""The nuisance map: learns where false tracks come again and again, from how tracks end; it suppresses nothing."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from edge_agent import geometry
from edge_agent.records import Box, Frame, Track, Tracks
from edge_agent.stages.nuisance.learnt import COLUMNS, ROWS, Learnt

SHORT_S = 5.0
"""What was confirmed, never moved and lived no longer than this was no person: a bush for two seconds at three."""

STOOD = 0.25
"""No farther from where it was first seen than this part of its longer side: boxes of a thing at rest jitter so."""

WENT_ON = 0.5
"""At least so far: a real thing on its way. What lies between the two counts for neither."""

_FRAGMENT = 0.5  # so much of it covered by an object when it is first seen: a part of that, not a place's fault
_LONGEST_GAP_S = 30.0  # a longer one was not watched


class NuisanceMap:
    """Follows the tracks of one camera, and counts in which cell each of them turned out false or real.

    A track that ends unconfirmed was a flicker; one that was confirmed, lived shortly and never moved was one that the
    tracker believed. Both count where they stood, with the middle of the lower side, unless they began as a part of
    another object. A confirmed track that went on counts as real in every cell that it went through.

    Args:
        labels: what the camera looks for; so many grids are kept, and no more.
        learnt: what is known already; nothing when left out.
        age_s: how long ago that was.
    """

    def __init__(self, labels: tuple[str, ...], learnt: Learnt | None = None, age_s: float = 0.0) -> None:
        self._known = _Known((learnt or Learnt.nothing(labels)).of(labels).aged(age_s))
        self._at_s: float | None = None
        self._live: tuple[Track, ...] = ()
        self._ways: dict[int, _Way] = {}  # by track id
        self._times_added = 0

    @property
    def learnt(self) -> Learnt:
        """What is known now; may be asked by another thread."""
        return self._known.now

    @property
    def times_added(self) -> int:
        """How often something was added since the start."""
        return self._times_added

    def note(self, tracks: Tracks, frame: Frame) -> None:
        """Take in one frame's tracks."""
        if self._at_s is not None:
            self._known = self._known.after(max(frame.at_s - self._at_s, 0.0))
        self._at_s = frame.at_s
        if tracks.live is self._live and not tracks.ended:  # nobody looked
            return
        self._live = tracks.live
        labels = self._known.learnt.false
        for track in tracks.live:
            if track.seen_s == frame.at_s and track.label in labels:
                self._follow(track, frame)
        over = [(track, way) for track in tracks.ended if (way := self._ways.pop(track.id, None))]
        if over:
            self._judge(over)

    def forget(self) -> None:
        """Nobody is followed any longer: nothing is learnt of who was there."""
        self._ways.clear()
        self._live = ()

    def _follow(self, track: Track, frame: Frame) -> None:
        way = self._ways.get(track.id)
        if way is None:
            way = self._ways[track.id] = _Way(start=geometry.bottom_centre(track.box), is_part=self._is_part(track))
        way.go(track.box, frame)

    def _is_part(self, track: Track) -> bool:
        """Whether it begins as a part of an object that is known already."""
        return any(
            other.confirmed and other.id != track.id and other.label == track.label and _covers(other.box, track.box)
            for other in self._live
        )

    def _judge(self, over: list[tuple[Track, _Way]]) -> None:
        learnt = self.learnt
        false, passed = dict(learnt.false), dict(learnt.passed)
        added = 0
        for track, way in over:
            moved = way.farthest_px / max(track.box[2] - track.box[0], track.box[3] - track.box[1], 1.0)
            if track.confirmed and moved >= WENT_ON:
                grids, cells = passed, way.cells
            elif not way.is_part and _is_false(track, moved):
                grids, cells = false, {way.last}
            else:
                continue
            grid = grids[track.label] = grids[track.label].copy()  # the one before may be read by another thread
            grid.ravel()[sorted(cells)] += 1
            added += 1
        if added:
            self._known = _Known(Learnt(false=false, passed=passed, watched_s=learnt.watched_s))
            self._times_added += added


class _Known(NamedTuple):
    """What was learnt, how long ago that is, and how much of this was watched: one value, for another thread reads."""

    learnt: Learnt
    age_s: float = 0.0
    watched_s: float = 0.0

    @property
    def now(self) -> Learnt:
        return self.learnt.aged(self.age_s).watched(self.watched_s)

    def after(self, seconds: float) -> _Known:
        return _Known(self.learnt, self.age_s + seconds, self.watched_s + min(seconds, _LONGEST_GAP_S))


@dataclass(slots=True, kw_only=True)
class _Way:
    """Where one track has been. It is the map's own and is changed in place.

    Attributes:
        start: x, y in pixels where it was first seen to stand.
        is_part: it began as a part of another.
        farthest_px: how far from there it has been.
        last: the cell that it stands in.
        cells: those that it went through.
    """

    start: tuple[float, float]
    is_part: bool
    farthest_px: float = 0.0
    last: int = -1
    cells: set[int] = field(default_factory=set)

    def go(self, box: Box, frame: Frame) -> None:
        x, y = geometry.bottom_centre(box)
        self.farthest_px = max(self.farthest_px, math.hypot(x - self.start[0], y - self.start[1]))
        cell = _cell(x / frame.width, y / frame.height)
        if cell != self.last:
            self.cells.update(_between(self.last, cell) if self.cells else (cell,))
            self.last = cell


def _is_false(track: Track, moved: float) -> bool:
    if track.confirmed:
        return moved < STOOD and track.seen_s - track.first_s <= SHORT_S
    return moved < WENT_ON


def _covers(box: Box, other: Box) -> bool:
    """Whether a box covers at least half of another."""
    width = min(box[2], other[2]) - max(box[0], other[0])
    height = min(box[3], other[3]) - max(box[1], other[1])
    area = (other[2] - other[0]) * (other[3] - other[1])
    return width > 0 and height > 0 and width * height >= _FRAGMENT * area


def _cell(x: float, y: float) -> int:
    """The cell of a point in 0..1; one outside the picture is taken to its edge."""
    column, row = min(max(int(x * COLUMNS), 0), COLUMNS - 1), min(max(int(y * ROWS), 0), ROWS - 1)
    return row * COLUMNS + column


def _between(start: int, end: int) -> Iterator[int]:
    """The cells on the way from one to another, both included: looks may be some cells apart."""
    (row, column), (end_row, end_column) = divmod(start, COLUMNS), divmod(end, COLUMNS)
    steps = max(abs(end_row - row), abs(end_column - column), 1)
    for step in range(steps + 1):
        part = step / steps
        yield round(row + part * (end_row - row)) * COLUMNS + round(column + part * (end_column - column))
