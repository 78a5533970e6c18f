"""What is remembered of each object beside its motion: when it was seen, how well, as what, and whether it stands."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge_agent.records import BoolArray, FloatArray, IntArray, Track

SCORES = 64
"""How many looks the median goes back; bounded, for an object may stay for days."""

LEFT_ITS_PLACE = 0.3
"""So far, in its own widths and heights, an object must be from its place to have left it; jitter is less."""

_VOTES_KEPT = 1 - 1 / SCORES
"""What is left of the votes for labels with each new one: they go back about as far as the scores."""

_TRAITS = (
    "track_id", "first_s", "seen_s", "missed_s", "missed_looks", "noted", "hits", "hits_wanted",
    "first_score", "top_score", "median_score", "label_id",
    "is_confirmed", "is_established", "is_stationary", "is_undisturbed", "still_since_s",
    "left", "top", "right", "bottom", "place_x", "place_y", "place_width", "place_height",
)  # fmt: skip
_ROW = {name: row for row, name in enumerate(_TRAITS)}
_BOX = slice(_ROW["left"], _ROW["bottom"] + 1)
_PLACE = slice(_ROW["place_x"], _ROW["place_height"] + 1)

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
        self._votes: FloatArray = np.zeros((0, len(label_names)), np.float32)  # what spoke for each label

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
        votes = np.zeros((count, len(self.label_names)), np.float32)
        votes[np.arange(count), label_ids] = scores
        self._votes = np.concatenate([self._votes, votes])

    def hit(self, rows: IntArray, boxes: FloatArray, scores: FloatArray, label_ids: IntArray, at_s: float) -> None:
        """The objects at (M,) rows were found as (M, 4) xyxy boxes."""
        self._note_scores(rows, scores)
        self._vote(rows, scores, label_ids)
        traits = self._traits
        traits[_BOX, rows] = boxes.T
        traits[_ROW["top_score"], rows] = np.maximum(traits[_ROW["top_score"], rows], scores)
        traits[_ROW["hits"], rows] += 1
        traits[_ROW["seen_s"], rows] = at_s
        traits[_ROW["missed_s"], rows] = 0
        traits[_ROW["missed_looks"], rows] = 0
        traits[_ROW["is_undisturbed"], rows] = 1

    def miss(self, rows: BoolArray, seconds: Doubles) -> None:
        """They were looked for and not found, which counts as (N,) seconds of each that is missed."""
        self.of("missed_looks")[rows] += 1
        self.of("missed_s")[rows] += seconds[rows]

    def stand(self, rows: IntArray, places: FloatArray, at_s: float, stationary_s: float) -> None:
        """The objects at (M,) rows are believed to be at (M, 4) cx, cy, width, height: have they left their place?"""
        stood = self._traits[_PLACE, rows]
        away = np.abs(places[:, :2].T - stood[:2]) > LEFT_ITS_PLACE * np.maximum(stood[2:], 1)
        gone = away.any(axis=0)
        moved = rows[gone]
        self._traits[_PLACE, moved] = places[gone].T
        self.of("still_since_s")[moved] = at_s
        stationary = self.of("is_stationary")
        stationary[rows] = at_s - self.of("still_since_s")[rows] >= stationary_s

    def keep(self, rows: IntArray) -> None:
        """Of all, keep these."""
        self._traits, self._scores, self._votes = self._traits[:, rows], self._scores[rows], self._votes[rows]

    def shift(self, by: FloatArray) -> None:
        """The contents of the picture have moved by (2,) x and y pixels."""
        self._traits[_PLACE][:2] += by[:, None]

    def records(self) -> tuple[Track, ...]:
        """What others see of each."""
        told = zip(
            self.of("track_id").astype(np.int64).tolist(),
            [self.label_names[label_id] for label_id in self.label_ids.tolist()],
            map(tuple, self._traits[_BOX].T.tolist()),
            *(self.of(name).tolist() for name in ("median_score", "top_score", "first_s", "seen_s")),
            self.flags("is_confirmed").tolist(),
            self.flags("is_stationary").tolist(),
            self.of("still_since_s").tolist(),
            self.flags("is_established").tolist(),
            strict=True,
        )
        return tuple(map(Track._make, told))

    def _note_scores(self, rows: IntArray, scores: FloatArray) -> None:
        """Take in scores; looks that missed it in between count 0 now, for what is never found again just left."""
        noted, missed = self.of("noted"), self.of("missed_looks")
        for row in rows[missed[rows] > 0].tolist():
            zeros = min(int(missed[row]), SCORES)
            self._scores[row, (int(noted[row]) + np.arange(zeros)) % SCORES] = 0
            noted[row] += zeros
        self._scores[rows, noted[rows].astype(np.int64) % SCORES] = scores
        noted[rows] += 1
        known = np.minimum(noted[rows].astype(np.int64), SCORES)
        ordered = np.sort(self._scores[rows, : np.max(known, initial=1)], axis=1).astype(np.float64)
        each = np.arange(len(rows))
        self.of("median_score")[rows] = (ordered[each, (known - 1) // 2] + ordered[each, known // 2]) / 2

    def _vote(self, rows: IntArray, scores: FloatArray, label_ids: IntArray) -> None:
        """What a box was taken for counts as much as its score says; the object is what most speaks for."""
        self._votes[rows] *= np.float32(_VOTES_KEPT)
        self._votes[rows, label_ids] += scores
        disputed = rows[self.of("label_id")[rows] != label_ids]
        if len(disputed):
            self.of("label_id")[disputed] = np.argmax(self._votes[disputed], axis=1)
