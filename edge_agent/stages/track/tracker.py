"""The tracker: two-pass association over a constant-velocity filter, everything in seconds."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from edge_agent import geometry
from edge_agent.records import Box, Detections, FloatArray, IntArray, Track, Tracks
from edge_agent.settings import Ratio, Seconds, Section
from edge_agent.stages.track import assign, kalman
from edge_agent.stages.track.memory import LONGEST_MISS_S, Life


class TrackSettings(Section):
    """When boxes over time are one object, and when an object is real."""

    memory_s: Annotated[Seconds, Field(gt=0)] = 3.0
    """How long an object may be looked for and not found before it has gone; larger bridges longer occlusions.

    A miss counts for the time since the look before it, at most 1 s: while nothing moves, looks are `gate.refresh_s`
    apart, and it takes that many of them."""

    confirm_hits: Annotated[int, Field(ge=1, le=100)] = 3
    """How often an object must be found before it is reported; larger means fewer false alarms, later."""

    confirm_score: Ratio = 0.4
    """Least median score, a look that missed it counting 0; larger means fewer false alarms and more missed objects."""

    match_iou: Ratio = 0.15
    """Least overlap of a box with an object's presumed place; smaller follows faster things and confuses near ones."""


class Tracker:
    """Follows objects over the looks of one camera.

    Sure boxes are matched first, with every object that is known; then the weak ones, with objects that were seen a
    moment ago and found no sure box: a person half behind a post scores low but is still there. Only a sure box that
    nobody claims begins an object. Boxes and objects of different labels do not match.

    Source: Y. Zhang et al., "ByteTrack: Multi-Object Tracking by Associating Every Detection Box", ECCV 2022, §3; the
    product of overlap and score as in its code (FoundationVision/ByteTrack, `fuse_score`, MIT).
    """

    def __init__(self, settings: TrackSettings) -> None:
        self._settings = settings
        self._motions = kalman.begin(np.zeros((0, 4), np.float32))  # as of each object's last sighting
        self._sighted_s: NDArray[np.float64] = np.zeros(0)  # (N,) when that was
        self._label_ids: IntArray = np.zeros(0, np.int64)  # (N,) what they are, of the model's labels
        self._lives: list[Life] = []  # N, in order of their ids
        self._next_id = 1
        self._looked_s: float | None = None
        self._live: tuple[Track, ...] = ()  # what was last reported

    def update(self, found: Detections | None, at_s: float) -> Tracks:
        """Take in one frame's boxes; None means that nobody looked, so nobody was missed."""
        if found is None:
            return Tracks(live=self._live)
        since_last_look_s = 0.0 if self._looked_s is None else at_s - self._looked_s
        self._looked_s = at_s
        expected = kalman.predict(self._motions, (at_s - self._sighted_s).astype(np.float32))
        # Speed is believed for as long as a miss would count: over the long gap between looks at a scene where nothing
        # moves, what little speed the jitter of boxes feigns would carry a parked car away from itself.
        believed_s = [life.missed_s + min(since_last_look_s, LONGEST_MISS_S) for life in self._lives]
        near = self._motions.place + self._motions.velocity * np.array(believed_s, np.float32)[:, None]
        rows, columns = self._match(kalman.to_xyxy(near), found)
        self._sight(expected, rows, found, columns, at_s)
        for row in set(range(len(self._lives))).difference(rows.tolist()):
            self._lives[row].miss(since_last_look_s)
        unclaimed = found.strong.copy()
        unclaimed[columns] = False
        if unclaimed.any():
            self._begin(found, np.nonzero(unclaimed)[0], at_s)
        for life in self._lives:
            life.judge(self._settings.confirm_hits, self._settings.confirm_score)
        return self._report(self._forget())

    def forget(self) -> None:
        """Look for nobody any longer; ids go on."""
        self._keep(_NONE)
        self._live, self._looked_s = (), None

    def _match(self, expected: FloatArray, found: Detections) -> tuple[IntArray, IntArray]:
        """Pair objects, expected at (N, 4) xyxy, with boxes: (K,) rows of objects, (K,) indexes of boxes."""
        overlap = geometry.iou(expected, found.boxes)
        overlap *= np.equal.outer(self._label_ids, found.label_ids)
        sure = np.where(overlap >= self._settings.match_iou, overlap, 0) * found.scores * found.strong
        rows, columns = assign.best_first(sure)
        fresh = np.array([life.missed_s == 0.0 for life in self._lives], np.bool_)
        fresh[rows] = False
        weak = np.where(overlap >= _WEAK_IOU, overlap, 0) * ~found.strong * fresh[:, None]
        weak_rows, weak_columns = assign.best_first(weak)
        return np.concatenate([rows, weak_rows]), np.concatenate([columns, weak_columns])

    def _sight(
        self, expected: kalman.Motions, rows: IntArray, found: Detections, columns: IntArray, at_s: float
    ) -> None:
        """Objects at `rows` were found as the boxes at `columns`."""
        self._motions = self._motions.replaced(rows, kalman.correct(expected[rows], found.boxes[columns]))
        self._sighted_s[rows] = at_s
        for row, (box, score) in zip(rows.tolist(), _sightings(found, columns), strict=True):
            self._lives[row].hit(box, score, at_s)

    def _begin(self, found: Detections, columns: IntArray, at_s: float) -> None:
        self._motions = self._motions.joined(kalman.begin(found.boxes[columns]))
        self._sighted_s = np.append(self._sighted_s, np.full(len(columns), at_s))
        label_ids = found.label_ids[columns]
        self._label_ids = np.append(self._label_ids, label_ids)
        for label_id, (box, score) in zip(label_ids.tolist(), _sightings(found, columns), strict=True):
            label = found.label_names[label_id]
            self._lives.append(Life(track_id=self._next_id, label=label, box=box, score=score, at_s=at_s))
            self._next_id += 1

    def _forget(self) -> tuple[Life, ...]:
        """Let go of what has gone."""
        gone = tuple(life for life in self._lives if life.is_over(self._settings.memory_s))
        if gone:
            self._keep(np.array([row for row, life in enumerate(self._lives) if life not in gone], np.int64))
        return gone

    def _keep(self, rows: IntArray) -> None:
        """Of all objects, keep these."""
        self._motions = self._motions[rows]
        self._sighted_s, self._label_ids = self._sighted_s[rows], self._label_ids[rows]
        self._lives = [self._lives[row] for row in rows.tolist()]

    def _report(self, gone: tuple[Life, ...]) -> Tracks:
        self._live = tuple(life.record() for life in self._lives)
        return Tracks(live=self._live, ended=tuple(life.record() for life in gone))


_NONE: IntArray = np.zeros(0, np.int64)
_WEAK_IOU = 0.3
"""Least overlap of a weak box with an object seen a moment ago; more than for a sure one, for it may be anything."""


def _sightings(found: Detections, columns: IntArray) -> list[tuple[Box, float]]:
    """Box and score of some detections."""
    boxes = [(left, top, right, bottom) for left, top, right, bottom in found.boxes[columns].tolist()]
    return list(zip(boxes, found.scores[columns].tolist(), strict=True))
