"""What is remembered of each object beside its motion: when it was seen, how well, as what, and whether it stands."""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from edge_agent.records import BoolArray, Detections, FloatArray, IntArray, Track

SCORES = 64
"""How many looks the median goes back; bounded, for an object may stay for days."""

LEFT_ITS_PLACE = 0.3
"""So far, in its own widths and heights, an object must be from its place to have left it; jitter is less."""

_WITHIN = 0.85
"""So much of a box must lie within another to be a part of it: boxes jitter."""

_PART = 0.25
"""A smaller part may be anything, such as the same thing far away."""

_VOTES_KEPT = 1 - 1 / SCORES
"""What is left of the votes for labels with each new one: they go back about as far as the scores."""

_OUTVOTED = 1.5
"""So many times what speaks for its label must speak for another before it takes that, or one that a detector finds
as likely a car as a truck would be the one and the other in turn."""

_TOLD_MEASURES = ("first_s", "seen_s", "still_since_s", "median_score", "top_score", "left", "top", "right", "bottom")
_TOLD_COUNTS = ("track_id", "label_id")
_TOLD_FLAGS = ("is_confirmed", "is_stationary", "is_established")
"""What others see of an object comes first, and is read at once."""

_MEASURES = (*_TOLD_MEASURES, "missed_s", "first_score", "place_x", "place_y", "place_width", "place_height")
_COUNTS = (*_TOLD_COUNTS, "hits", "hits_wanted", "noted", "missed_looks")
_FLAGS = (*_TOLD_FLAGS, "is_undisturbed")
_ROW = {name: row for names in (_MEASURES, _COUNTS, _FLAGS) for row, name in enumerate(names)}
_BOX = slice(_ROW["left"], _ROW["bottom"] + 1)
_PLACE = slice(_ROW["place_x"], _ROW["place_height"] + 1)

Doubles = NDArray[np.float64]


class Lives:
    """The lives of N objects so far, in order of their ids: an array each of measures, counts and flags, a row a trait.

    Args:
        label_names: what the model can tell apart.
    """

    def __init__(self, label_names: tuple[str, ...] = ()) -> None:
        self.label_names = label_names
        self._measures: Doubles = np.zeros((len(_MEASURES), 0))
        self._counts: IntArray = np.zeros((len(_COUNTS), 0), np.int64)
        self._flags: BoolArray = np.zeros((len(_FLAGS), 0), np.bool_)
        self._scores: FloatArray = np.zeros((0, SCORES), np.float32)  # a ring; infinite where there is none yet
        self._votes: dict[int, dict[int, float]] = {}  # by track id, of those that were taken for several things

    def __len__(self) -> int:
        """How many there are."""
        return self._counts.shape[1]

    def of(self, name: str) -> Doubles:
        """(N,) one measure of all, to be read and written: one of `_MEASURES`."""
        return self._measures[_ROW[name]]

    def counts(self, name: str) -> IntArray:
        """(N,) a number that counts, to be read and written: one of `_COUNTS`."""
        return self._counts[_ROW[name]]

    def flags(self, name: str) -> BoolArray:
        """(N,) what is true or false of each, to be read and written: one of `_FLAGS`."""
        return self._flags[_ROW[name]]

    @property
    def label_ids(self) -> IntArray:
        """(N,) what each is, by the votes of its boxes."""
        return self.counts("label_id")

    @property
    def places(self) -> FloatArray:
        """(N, 4) cx, cy, width, height in pixels: where each has stood since it last moved."""
        return self._measures[_PLACE].T.astype(np.float32)

    def boxes(self) -> FloatArray:
        """(N, 4) xyxy pixels: where each was last seen."""
        return self._measures[_BOX].T.astype(np.float32)

    def begin(
        self,
        boxes: FloatArray,
        places: FloatArray,
        scores: FloatArray,
        label_ids: IntArray,
        first_id: int,
        at_s: float,
    ) -> None:
        """Objects are seen for the first time, as (M, 4) xyxy boxes, which are at (M, 4) cx, cy, width, height.

        Their ids count up from `first_id`.
        """
        count = len(boxes)
        measures = np.zeros((len(_MEASURES), count))
        for name in ("first_s", "seen_s", "still_since_s"):
            measures[_ROW[name]] = at_s
        for name in ("first_score", "top_score", "median_score"):
            measures[_ROW[name]] = scores
        measures[_BOX] = boxes.T
        measures[_PLACE] = places.T
        counts = np.zeros((len(_COUNTS), count), np.int64)
        counts[_ROW["track_id"]] = np.arange(first_id, first_id + count)
        counts[_ROW["label_id"]] = label_ids
        for name in ("hits", "hits_wanted", "noted"):
            counts[_ROW[name]] = 1
        flags = np.zeros((len(_FLAGS), count), np.bool_)
        flags[_ROW["is_undisturbed"]] = True
        ring = np.full((count, SCORES), np.inf, np.float32)
        ring[:, 0] = scores
        self._measures = np.concatenate([self._measures, measures], axis=1)
        self._counts = np.concatenate([self._counts, counts], axis=1)
        self._flags = np.concatenate([self._flags, flags], axis=1)
        self._scores = np.concatenate([self._scores, ring])

    def hit(
        self,
        rows: IntArray,
        found: Detections,
        columns: IntArray,
        places: FloatArray,
        at_s: float,
        stationary_s: float,
    ) -> None:
        """The objects at (M,) rows were found as the boxes at (M,) columns.

        They are believed to be at (M, 4) cx, cy, width, height; who has not left his place for so long is stationary.
        """
        boxes, scores = found.boxes.take(columns, axis=0), found.scores.take(columns)
        self._vote(rows, scores, found.label_ids.take(columns))
        measures, counts = self._measures.take(rows, axis=1), self._counts.take(rows, axis=1)  # to change them at once
        measures[_ROW["median_score"]] = self._median(rows, scores, counts)
        measures[_BOX] = boxes.T
        measures[_ROW["top_score"]] = np.maximum(measures[_ROW["top_score"]], scores)
        measures[_ROW["seen_s"]], measures[_ROW["missed_s"]] = at_s, 0
        counts[_ROW["hits"]] += 1
        counts[_ROW["missed_looks"]] = 0
        stood = self.flags("is_stationary").take(rows)
        stands = _stand(measures, stood, places, at_s, stationary_s)
        self._measures[:, rows], self._counts[:, rows] = measures, counts
        self.flags("is_stationary")[rows] = stands
        self.flags("is_undisturbed")[rows] = True

    def miss(self, rows: IntArray, seconds: Doubles) -> None:
        """Those at (M,) rows were looked for and not found, which counts as (M,) seconds of each."""
        self.counts("missed_looks")[rows] += 1
        self.of("missed_s")[rows] += seconds

    def keep(self, rows: IntArray) -> None:
        """Of all, keep these."""
        self._measures = self._measures.take(rows, axis=1)
        self._counts = self._counts.take(rows, axis=1)
        self._flags = self._flags.take(rows, axis=1)
        self._scores = self._scores.take(rows, axis=0)
        if self._votes:
            kept = set(self.counts("track_id").tolist())
            self._votes = {track_id: votes for track_id, votes in self._votes.items() if track_id in kept}

    def change_places(self, order: IntArray) -> None:
        """Each stands, and has stood, where the one at a row of (N,) did."""
        self._measures[_PLACE] = self._measures[_PLACE, :][:, order]
        self.of("still_since_s")[:] = self.of("still_since_s")[order]
        self.flags("is_stationary")[:] = self.flags("is_stationary")[order]

    def shift(self, by: FloatArray) -> None:
        """The contents of the picture have moved by (2,) x and y pixels."""
        self._measures[_PLACE][:2] += by[:, None]

    def records(self) -> tuple[Track, ...]:
        """What others see of each."""
        names = self.label_names
        first_s, seen_s, still_since_s, median, top, *box = self._measures[: len(_TOLD_MEASURES)].tolist()
        ids, label_ids = self._counts[: len(_TOLD_COUNTS)].tolist()
        confirmed, stationary, established = self._flags[: len(_TOLD_FLAGS)].tolist()
        labels = [names[label_id] for label_id in label_ids]
        told = zip(
            ids, labels, zip(*box, strict=True), median, top, first_s, seen_s,
            confirmed, stationary, still_since_s, established, strict=True,
        )  # fmt: skip
        return tuple(map(_record, told))

    def _median(self, rows: IntArray, scores: FloatArray, counts: IntArray) -> Doubles:
        """Take in scores of objects at (M,) rows, whose counts these are, a column each: the median of each.

        Looks that missed it in between count 0 now, for what is never found again just left.
        """
        noted, missed = counts[_ROW["noted"]], counts[_ROW["missed_looks"]]
        if np.count_nonzero(missed):
            again = missed.nonzero()[0]
            zeros = np.minimum(missed[again], SCORES)
            for row, first, count in zip(rows[again].tolist(), noted[again].tolist(), zeros.tolist(), strict=True):
                for look in range(first, first + count):
                    self._scores[row, look % SCORES] = 0
            noted[again] += zeros
        self._scores[rows, noted % SCORES] = scores
        noted += 1
        known = np.minimum(noted, SCORES)
        ordered = self._scores.take(rows, axis=0)
        ordered.sort(axis=1)
        each = np.arange(len(rows))
        lower, upper = ordered[each, (known - 1) // 2], ordered[each, known // 2]
        return np.add(lower, upper, dtype=np.float64) / 2

    def _vote(self, rows: IntArray, scores: FloatArray, label_ids: IntArray) -> None:
        """What a box was taken for counts as much as its score says; the object is what clearly most speaks for."""
        current = self.label_ids
        if not self._votes and np.count_nonzero(current[rows] != label_ids) == 0:
            return
        track_ids, hits = self.counts("track_id")[rows], self.counts("hits")
        for row, track_id, label_id, score in zip(
            rows.tolist(), track_ids.tolist(), label_ids.tolist(), scores.tolist(), strict=True
        ):
            label = int(current[row])
            if label_id == label and track_id not in self._votes:
                continue
            if track_id not in self._votes:
                self._votes[track_id] = {label: min(int(hits[row]), SCORES) * self._usual_score(row)}
            votes = self._votes[track_id]
            for voted in votes:
                votes[voted] *= _VOTES_KEPT
            votes[label_id] = votes.get(label_id, 0.0) + score
            most = max(votes, key=votes.__getitem__)
            if votes[most] > _OUTVOTED * votes[label]:
                current[row] = most

    def _usual_score(self, row: int) -> float:
        """The mean score of the looks that found it: of those that missed it none took it for something else."""
        scores = self._scores[row]
        found = scores[(scores > 0) & (scores < np.inf)]
        return float(np.sum(found)) / max(len(found), 1)


def _stand(measures: Doubles, stood: BoolArray, places: FloatArray, at_s: float, stationary_s: float) -> BoolArray:
    """Write down a new place, and since when, of those who have left theirs, in these measures, a column each.

    They are believed to be at (M, 4) cx, cy, width, height. What is seen within its place, or around it, has not left:
    something stands before it, or no longer does.

    Returns:
        (M,) which are stationary; `stood` says which were.
    """
    place, since_s = measures[_PLACE], measures[_ROW["still_since_s"]]
    away = np.abs(places.T[:2] - place[:2]) > LEFT_ITS_PLACE * np.maximum(place[2:], 1)
    left = (away[0] | away[1]).nonzero()[0]
    if len(left):
        left = left[~_is_part(measures[_BOX].take(left, axis=1), place.take(left, axis=1))]
        place[:, left] = places.T.take(left, axis=1)
        since_s[left] = at_s
    stands: BoolArray = at_s - since_s >= stationary_s
    stopped = (stands & ~stood).nonzero()[0]
    if len(stopped):  # its place so far was where it was still slowing down
        place[:, stopped] = places.T.take(stopped, axis=1)
    return stands


def _is_part(boxes: Doubles, places: Doubles) -> BoolArray:
    """Of boxes (4, M) xyxy and places (4, M) cx, cy, width, height: does one lie within the other, as no tiny part?"""
    half = places[2:] / 2
    shared = np.minimum(boxes[2:], places[:2] + half) - np.maximum(boxes[:2], places[:2] - half)
    wide, tall = np.maximum(shared, 0)
    box_wide, box_tall = boxes[2:] - boxes[:2]
    inside, area, other = wide * tall, box_wide * box_tall, places[2] * places[3]
    small, large = np.minimum(area, other), np.maximum(area, other)
    return (inside >= _WITHIN * small) & (small >= _PART * large)


_record = functools.partial(tuple.__new__, Track)
"""Makes a track of its values in their order, without a call in Python for each."""
