"""What is remembered of each object beside its motion: when it was seen, how well, as what, and whether it stands."""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from edge_agent.records import BoolArray, FloatArray, IntArray, Track

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

_TRAITS = (
    "track_id", "first_s", "seen_s", "missed_s", "missed_looks", "noted", "hits", "hits_wanted",
    "first_score", "top_score", "median_score", "label_id",
    "is_confirmed", "is_established", "is_stationary", "is_undisturbed", "still_since_s",
    "left", "top", "right", "bottom", "place_x", "place_y", "place_width", "place_height",
)  # fmt: skip
_ROW = {name: row for row, name in enumerate(_TRAITS)}
_BOX = slice(_ROW["left"], _ROW["bottom"] + 1)
_PLACE = slice(_ROW["place_x"], _ROW["place_height"] + 1)

_ALL = slice(None)

Doubles = NDArray[np.float64]


class Lives:
    """The lives of N objects so far, in order of their ids: one array of numbers, a row a trait.

    Args:
        label_names: what the model can tell apart.
    """

    def __init__(self, label_names: tuple[str, ...] = ()) -> None:
        self.label_names = label_names
        self._traits: Doubles = np.zeros((len(_TRAITS), 0))
        self._scores: FloatArray = np.zeros((0, SCORES), np.float32)  # a ring; infinite where there is none yet
        self._votes: dict[float, dict[int, float]] = {}  # by track id, of those that were taken for several things

    def __len__(self) -> int:
        """How many there are."""
        return self._traits.shape[1]

    def of(self, name: str) -> Doubles:
        """(N,) one trait of all, to be read and written: one of `_TRAITS`."""
        return self._traits[_ROW[name]]

    def flags(self, name: str) -> BoolArray:
        """(N,) a trait that is true or false, to be read."""
        return self._traits[_ROW[name]] > 0

    @property
    def label_ids(self) -> IntArray:
        """(N,) what each is, by the votes of its boxes."""
        return self.of("label_id").astype(np.int64)

    @property
    def places(self) -> FloatArray:
        """(N, 4) cx, cy, width, height in pixels: where each has stood since it last moved."""
        return self._traits[_PLACE].T.astype(np.float32)

    def boxes(self) -> FloatArray:
        """(N, 4) xyxy pixels: where each was last seen."""
        return self._traits[_BOX].T.astype(np.float32)

    def begin(self, boxes: FloatArray, scores: FloatArray, label_ids: IntArray, first_id: int, at_s: float) -> None:
        """Objects are seen for the first time, as (M, 4) xyxy boxes; their ids count up from `first_id`."""
        count = len(boxes)
        new = np.zeros((len(_TRAITS), count))
        new[_ROW["track_id"]] = np.arange(first_id, first_id + count)
        for name in ("first_s", "seen_s", "still_since_s"):
            new[_ROW[name]] = at_s
        for name in ("hits", "noted", "is_undisturbed", "hits_wanted"):
            new[_ROW[name]] = 1
        for name in ("first_score", "top_score", "median_score"):
            new[_ROW[name]] = scores
        new[_ROW["label_id"]] = label_ids
        new[_BOX] = boxes.T
        low, high = boxes[:, :2].T, boxes[:, 2:].T
        new[_PLACE] = np.concatenate([(low + high) / 2, high - low])
        self._traits = np.concatenate([self._traits, new], axis=1)
        ring = np.full((count, SCORES), np.inf, np.float32)
        ring[:, 0] = scores
        self._scores = np.concatenate([self._scores, ring])

    def hit(self, rows: IntArray, boxes: FloatArray, scores: FloatArray, label_ids: IntArray, at_s: float) -> None:
        """The objects at (M,) rows were found as (M, 4) xyxy boxes."""
        own = self._traits[:, rows]  # (traits, M), a copy
        self._vote(rows, own, scores, label_ids)
        self._note_scores(rows, own, scores)
        own[_BOX] = boxes.T
        np.maximum(own[_ROW["top_score"]], scores, out=own[_ROW["top_score"]])
        own[_ROW["hits"]] += 1
        own[_ROW["seen_s"]] = at_s
        own[_ROW["missed_s"]] = 0
        own[_ROW["missed_looks"]] = 0
        own[_ROW["is_undisturbed"]] = 1
        self._traits[:, rows] = own

    def miss(self, rows: BoolArray, seconds: Doubles) -> None:
        """They were looked for and not found, which counts as (N,) seconds of each that is missed."""
        self.of("missed_looks")[rows] += 1
        self.of("missed_s")[rows] += seconds[rows]

    def stand(self, rows: IntArray, places: FloatArray, at_s: float, stationary_s: float) -> None:
        """The objects at (M,) rows are believed to be at (M, 4) cx, cy, width, height: have they left their place?

        What is seen of it within its place, or around it, has not: something stands before it, or no longer does.
        """
        stood = self._traits[_PLACE, rows]
        away = np.abs(places[:, :2].T - stood[:2]) > LEFT_ITS_PLACE * np.maximum(stood[2:], 1)
        if np.count_nonzero(away):
            gone = (away[0] | away[1]) & ~_is_part(self._traits[_BOX, rows], stood)
            self._traits[_PLACE, rows[gone]] = places[gone].T
            self.of("still_since_s")[rows[gone]] = at_s
        stands = at_s - self.of("still_since_s")[rows] >= stationary_s
        came_to_a_stand = stands & (self.of("is_stationary")[rows] == 0)
        if np.count_nonzero(came_to_a_stand):  # its place so far was where it was still slowing down
            self._traits[_PLACE, rows[came_to_a_stand]] = places[came_to_a_stand].T
        self.of("is_stationary")[rows] = stands

    def keep(self, rows: IntArray) -> None:
        """Of all, keep these."""
        self._traits, self._scores = self._traits[:, rows], self._scores[rows]
        kept = set(self.of("track_id").tolist())
        self._votes = {track_id: votes for track_id, votes in self._votes.items() if track_id in kept}

    def shift(self, by: FloatArray) -> None:
        """The contents of the picture have moved by (2,) x and y pixels."""
        self._traits[_PLACE][:2] += by[:, None]

    def records(self, rows: IntArray | slice = _ALL) -> tuple[Track, ...]:
        """What others see of each, or of those at some rows."""
        traits = self._traits[:, rows]
        told = zip(
            traits[_ROW["track_id"]].astype(np.int64).tolist(),
            [self.label_names[int(label_id)] for label_id in traits[_ROW["label_id"]].tolist()],
            map(tuple, traits[_BOX].T.tolist()),
            *(traits[_ROW[name]].tolist() for name in ("median_score", "top_score", "first_s", "seen_s")),
            (traits[_ROW["is_confirmed"]] > 0).tolist(),
            (traits[_ROW["is_stationary"]] > 0).tolist(),
            traits[_ROW["still_since_s"]].tolist(),
            (traits[_ROW["is_established"]] > 0).tolist(),
            strict=True,
        )
        return tuple(map(_record, told))

    def _note_scores(self, rows: IntArray, own: Doubles, scores: FloatArray) -> None:
        """Take in scores; looks that missed it in between count 0 now, for what is never found again just left."""
        noted, missed = own[_ROW["noted"]], own[_ROW["missed_looks"]]
        for index in np.flatnonzero(missed).tolist():
            zeros = min(int(missed[index]), SCORES)
            self._scores[rows[index], (int(noted[index]) + np.arange(zeros)) % SCORES] = 0
            noted[index] += zeros
        slots = noted.astype(np.int64)
        self._scores[rows, slots % SCORES] = scores
        noted += 1
        known = np.minimum(slots + 1, SCORES)
        most = int(np.max(known))
        ordered = self._scores[rows, :most]
        lower, upper = (known - 1) // 2, known // 2
        if np.min(known) == most:  # as of all who have been there for long, of whom there are many
            ordered.partition(((most - 1) // 2, most // 2), axis=1)
        else:
            ordered.sort(axis=1)
        each = np.arange(len(rows))
        own[_ROW["median_score"]] = (ordered[each, lower].astype(np.float64) + ordered[each, upper]) / 2

    def _vote(self, rows: IntArray, own: Doubles, scores: FloatArray, label_ids: IntArray) -> None:
        """What a box was taken for counts as much as its score says; the object is what clearly most speaks for."""
        current = own[_ROW["label_id"]]
        if not self._votes and np.array_equal(current, label_ids):
            return
        for index, (track_id, label_id, score) in enumerate(
            zip(own[_ROW["track_id"]].tolist(), label_ids.tolist(), scores.tolist(), strict=True)
        ):
            label = int(current[index])
            if label_id == label and track_id not in self._votes:
                continue
            if track_id not in self._votes:
                hits = min(own[_ROW["hits"], index], SCORES)
                self._votes[track_id] = {label: float(hits * self._usual_score(int(rows[index])))}
            votes = self._votes[track_id]
            for voted in votes:
                votes[voted] *= _VOTES_KEPT
            votes[label_id] = votes.get(label_id, 0.0) + score
            most = max(votes, key=votes.__getitem__)
            if votes[most] > _OUTVOTED * votes[label]:
                current[index] = most

    def _usual_score(self, row: int) -> float:
        """The mean score of the looks that found it: of those that missed it none took it for something else."""
        scores = self._scores[row]
        found = scores[(scores > 0) & (scores < np.inf)]
        return float(np.sum(found)) / max(len(found), 1)


def _is_part(boxes: Doubles, places: Doubles) -> BoolArray:
    """Of boxes (4, M) xyxy and places (4, M) cx, cy, width, height: does one lie within the other, as no tiny part?"""
    half = places[2:] / 2
    shared = np.minimum(boxes[2:], places[:2] + half) - np.maximum(boxes[:2], places[:2] - half)
    inside = np.prod(np.maximum(shared, 0), axis=0)
    areas, others = np.prod(boxes[2:] - boxes[:2], axis=0), np.prod(places[2:], axis=0)
    small, large = np.minimum(areas, others), np.maximum(areas, others)
    return (inside >= _WITHIN * small) & (small >= _PART * large)


_record = functools.partial(tuple.__new__, Track)
"""Makes a track of its values in their order, without a call in Python for each."""
