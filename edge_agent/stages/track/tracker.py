"""The tracker: association over a constant-velocity filter, and a memory of what stands; everything in seconds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from edge_agent import geometry
from edge_agent.records import BoolArray, Detections, FloatArray, IntArray, Motion, Track, Tracks
from edge_agent.settings import Label, Ratio, Seconds, Section
from edge_agent.stages.track import assign, kalman, kin, likeness
from edge_agent.stages.track.camera import LEAST_PAIRS, CameraShift
from edge_agent.stages.track.memory import Lives


class TrackSettings(Section):
    """When boxes over time are one object, and when an object is real."""

    memory_s: Annotated[Seconds, Field(gt=0)] = 3.0
    """How long an object may be looked for and not found before it has gone; larger bridges longer occlusions.

    A miss counts for the time since the look before it, at most 1 s: while nothing moves, looks are `gate.refresh_s`
    apart, and it takes that many of them."""

    confirm_hits: Annotated[int, Field(ge=1, le=100)] = 3
    """How often an object must be found before it is reported; larger means fewer false alarms, later."""

    confirm_s: Seconds = 0.0
    """How long it must have been there; larger means fewer false alarms, later, at any rate of looks."""

    confirm_score: Ratio = 0.4
    """Least median score, a look that missed it counting 0; larger means fewer false alarms and more missed objects."""

    confirm_top: Ratio = 0.6
    """Least best score: once it must have been seen this well; larger means fewer false alarms and more missed
    objects."""

    confirm_scores: dict[Label, Ratio] = Field(default_factory=dict)
    """Least median score of a label where it differs from `confirm_score`; it need not be seen better than that."""

    match_iou: Ratio = 0.4
    """Least overlap of a box with an object whose place is well known, less the longer it was out of sight; smaller
    follows faster things and confuses near ones."""

    stationary_s: Annotated[Seconds, Field(gt=0)] = 10.0
    """How long an object must have stood still to be `stationary`; larger takes who waits for a moment for moving."""

    stationary_memory_s: Seconds = 300.0
    """How long what is stationary may be missed while nothing has moved where it stands; larger outlives longer
    failures of the detector, and reports later that something went unseen. Where something has moved it is at most a
    fifth of this, and no longer than it had stood there."""

    scene_hold_s: Seconds = 3.0
    """How long nothing new is reported after the light has changed or the camera has gone over to infrared; larger
    means fewer false alarms, and later true ones."""

    def least_scores(self, label: str) -> tuple[float, float]:
        """The least median score of a label, and the least best one."""
        if label in self.confirm_scores:
            return self.confirm_scores[label], min(self.confirm_top, self.confirm_scores[label])
        return self.confirm_score, self.confirm_top


LONGEST_MISS_S = 1.0
"""A miss counts for the time since the look before it, but never more than this.

While nothing moves, looks are many seconds apart; one of them that misses somebody must not end him.
"""

LONGEST_STATIONARY_MISS_S = 10.0
"""The same for what is stationary, of which much more must be missed."""

_UNCONFIRMED_PART = 0.25
"""An object that is not confirmed yet is forgotten after this part of the memory."""

_DISTURBED_PART = 0.2
"""What is left of the memory of what is stationary once something has moved where it stands."""

_DISTURBED = 0.1
"""Part of an object's box in which something must move to have disturbed it."""

_WEAK_LIKENESS = 0.5
"""Least likeness of a weak box to an object seen a moment ago; more than for a sure one, for it may be anything."""

_KIN_LIKENESS = 0.6
"""Least likeness of a box of another label that is easily taken for the object's."""

_KIN_S = 1.0
"""For no longer may an object have been missed that is found again under such a label, unless it stands still."""

_STOOD_PART = 0.5
"""Part of `match_iou` that a box must always fit an object that stands still: however long it was out of sight, it is
known where it stood, and what comes to stand beside it is another."""

_COVERED = 0.85
"""Part of a box that another of its label covers, from which it may be a part of the same thing."""

_COVERED_HITS = 2
"""It must then be found so many times as often to be confirmed."""

_TENTATIVE = 0.7
"""How much less a box is an object's that is not established, where another wants it too."""

_MISSED_DECAY_HZ = 0.3
"""How fast an object's claim to a box fades while it is missed, against others that want it."""

_SURE_AT_ONCE = 0.8
"""Of a score like this, one look is enough to follow an object as a thing of its own."""

_ESTABLISHED_HITS = 2
"""Of a lower one it takes two."""

_PARALLAX_STD = 0.02
"""How far objects are moved by a turn of the camera more or less than others, in their sizes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What became of the picture as a whole; one value, so that another thread may read it.

    Attributes:
        held: it has changed a moment ago, so nothing new is confirmed for now.
        changes: how often it has changed so far.
    """

    held: bool
    changes: int


class Tracker:
    """Follows objects over the looks of one camera.

    Sure boxes are matched first, with every object that is known; then those that are left, with objects of a label
    that is easily taken for theirs, which were seen a moment ago or stand still; at last the weak ones, with objects
    that were seen a moment ago and found no sure box: a person half behind a post scores low but is still there. Only a
    sure box that nobody claims begins an object.

    Source: Y. Zhang et al., "ByteTrack: Multi-Object Tracking by Associating Every Detection Box", ECCV 2022, §3; the
    product of overlap and score as in its code (FoundationVision/ByteTrack, `fuse_score`, MIT).
    """

    def __init__(self, settings: TrackSettings) -> None:
        self._settings = settings
        self._motions = kalman.begin(np.zeros((0, 4), np.float32))  # as of each object's last sighting
        self._lives = Lives()
        self._least_median: FloatArray = np.zeros(0, np.float32)  # (L,) what is asked of each label
        self._least_top: FloatArray = np.zeros(0, np.float32)
        self._camera = CameraShift()
        self._next_id = 1
        self._looked_s: float | None = None
        self._held_until_s = -np.inf
        self._scene = Scene(held=False, changes=0)
        self._live: tuple[Track, ...] = ()  # what was last reported

    def update(self, found: Detections | None, at_s: float, motion: Motion | None = None) -> Tracks:
        """Take in one frame's boxes.

        Args:
            found: the boxes; None means that nobody looked, so nobody was missed.
            at_s: the frame's time.
            motion: what moves in the frame; None when that is not known.
        """
        self._disturb(motion)
        if self._looked_s is not None and motion is not None and motion.scene_changed:
            self._held_until_s = at_s + self._settings.scene_hold_s
        held = at_s < self._held_until_s
        if held is not self._scene.held:
            self._scene = Scene(held=held, changes=self._scene.changes + held)
        if found is None:
            return Tracks(live=self._live, held=held)
        since_last_look_s = 0.0 if self._looked_s is None else at_s - self._looked_s
        self._looked_s = at_s
        if self._lives.label_names != found.label_names and len(found):
            self._learn_labels(found.label_names)
        if len(self._lives):
            self._find(found, at_s, since_last_look_s)
        elif len(found):
            self._begin(found, found.strong, np.zeros(0, np.int64), at_s)
        if not held:
            self._judge(at_s)
        gone = self._forget()
        self._live = self._lives.records()
        return Tracks(live=self._live, ended=gone, held=held)

    @property
    def scene(self) -> Scene:
        """Whether the whole picture has changed a moment ago, and how often it has."""
        return self._scene

    def forget(self) -> None:
        """Look for nobody any longer; ids go on."""
        self._keep(np.zeros(0, np.int64))
        self._camera.forget()
        self._live, self._looked_s, self._held_until_s = (), None, -np.inf
        self._scene = Scene(held=False, changes=self._scene.changes)

    def _find(self, found: Detections, at_s: float, since_last_look_s: float) -> None:
        """Look for every known object among the boxes, and begin new ones with what is left."""
        lives = self._lives
        unseen_s = at_s - lives.of("seen_s")
        expected = kalman.predict(self._motions, unseen_s)
        near = kalman.to_xyxy(self._presumed(expected.place, unseen_s, since_last_look_s))
        places = kalman.to_cxcywh(found.boxes)
        rows, columns = self._match(near, expected, found)
        turned = self._turn_of_camera(expected, rows, found.strong, columns, places, since_last_look_s)
        if turned is not None:
            expected = expected.shifted(turned)
            self._motions = self._motions.shifted(turned)
            lives.shift(turned)
            rows, columns = self._match(near + np.tile(turned, 2), expected, found)
        if len(rows):
            scores = found.scores[columns]
            corrected = kalman.correct(expected[rows], places[columns], scores)
            self._motions = self._motions.replaced(rows, corrected)
            lives.hit(rows, found.boxes[columns], scores, found.label_ids[columns], at_s)
            lives.stand(rows, corrected.place, at_s, self._settings.stationary_s)
        missed = np.ones(len(lives), np.bool_)
        missed[rows] = False
        if len(rows) < len(lives):
            stationary = lives.flags("is_stationary")
            longest_s = np.where(stationary, LONGEST_STATIONARY_MISS_S, LONGEST_MISS_S)
            lives.miss(missed, np.minimum(since_last_look_s, longest_s))
        unclaimed = found.strong.copy()
        unclaimed[columns] = False
        self._begin(found, unclaimed, columns, at_s)

    def _presumed(self, expected: FloatArray, unseen_s: NDArray[np.float64], since_last_look_s: float) -> FloatArray:
        """Where each object should be, (N, 4) cx, cy, width, height.

        Speed is believed for as long as a miss would count: over the long gap between looks at a scene where nothing
        moves, what little speed the jitter of boxes feigns would carry a parked car away from itself. What is
        stationary and out of sight is where it stood.
        """
        lives = self._lives
        believed_s = lives.of("missed_s") + min(since_last_look_s, LONGEST_MISS_S)
        places = expected.copy()
        if np.count_nonzero(unseen_s > believed_s + _TINY_S):
            places = self._motions.place + self._motions.velocity * kalman.reach(np.minimum(unseen_s, believed_s))
        hidden = lives.flags("is_stationary") & (lives.of("missed_s") > 0)
        if np.count_nonzero(hidden):
            places[hidden] = lives.places[hidden]
        return places

    def _turn_of_camera(
        self,
        expected: kalman.Motions,
        rows: IntArray,
        strong: BoolArray,
        columns: IntArray,
        places: FloatArray,
        dt_s: float,
    ) -> FloatArray | None:
        """By how much the picture has moved, (2,) pixels, as objects at `rows` that are boxes at `columns` have it.

        None when it has not. Only objects that were seen a moment ago tell, and whose speed is known.
        """
        lives = self._lives
        steady = (lives.of("missed_s")[rows] == 0) & (lives.of("hits")[rows] > 1) & strong[columns]
        if np.count_nonzero(steady) < LEAST_PAIRS:
            return None
        rows, seen = rows[steady], places[columns[steady]]
        noise = np.square((kalman.MEASUREMENT_STD + _PARALLAX_STD) * kalman.size(seen))[:, None]
        surprises = seen[:, :2] - expected.place[rows, :2]
        by = self._camera.estimate(surprises, expected.place_variance[rows, :2] + noise, dt_s)
        return by if max(map(abs, by.tolist())) >= _LEAST_SHIFT_PX else None

    def _match(self, near: FloatArray, expected: kalman.Motions, found: Detections) -> tuple[IntArray, IntArray]:
        """Pair objects, presumed at (N, 4) xyxy, with boxes: (K,) rows of objects, (K,) indexes of boxes."""
        lives = self._lives
        pairs = likeness.pairs_of(near, found.boxes)
        deviations = np.sqrt(expected.place_variance[:, 0])
        least = likeness.least_overlaps(near[:, 2] - near[:, 0], deviations, self._settings.match_iou)
        missed_s, stationary = lives.of("missed_s"), lives.flags("is_stationary")
        least[stationary] = np.maximum(least[stationary], _STOOD_PART * self._settings.match_iou)
        claims = np.exp(-_MISSED_DECAY_HZ * missed_s) * np.where(lives.flags("is_established"), 1, _TENTATIVE)
        alike = lives.label_ids[pairs.rows] == found.label_ids[pairs.columns]
        strong = found.strong[pairs.columns]
        sure = pairs[alike & strong & (pairs.similarity >= least[pairs.rows])]
        rows, columns = assign.best_first(
            sure.rows, sure.columns, sure.similarity * claims[sure.rows] * found.scores[sure.columns]
        )
        wanting = np.ones(len(lives), np.bool_)
        weak = (alike & ~strong, _WEAK_LIKENESS, missed_s == 0)
        of_kin = (~alike & strong, _KIN_LIKENESS, (missed_s <= _KIN_S) | stationary)
        for kind, least_likeness, may_be in (of_kin, weak):
            others = kind & (pairs.similarity >= least_likeness)
            if not np.count_nonzero(others):
                continue
            wanting[rows] = False
            free = np.ones(len(found), np.bool_)
            free[columns] = False
            left = pairs[others]
            may = wanting[left.rows] & may_be[left.rows] & free[left.columns]
            may &= kin.table(found.label_names)[lives.label_ids[left.rows], found.label_ids[left.columns]]
            more_rows, more_columns = assign.best_first(left.rows, left.columns, left.similarity * may)
            rows, columns = np.concatenate([rows, more_rows]), np.concatenate([columns, more_columns])
        return rows, columns

    def _begin(self, found: Detections, unclaimed: BoolArray, claimed: IntArray, at_s: float) -> None:
        """Begin objects with boxes that nobody claims, one where a thing is found under two names."""
        columns = np.flatnonzero(unclaimed)
        if len(columns):
            columns = columns[~np.any(kin.doubles(found, columns, claimed), axis=1)]
            columns = columns[~np.any(kin.doubles(found, columns, columns) & _is_better(found.scores[columns]), axis=1)]
        if not len(columns):
            return
        covered = np.zeros(len(columns), np.bool_)
        if len(claimed):
            same = np.equal.outer(found.label_ids[columns], found.label_ids[claimed])
            covered = np.any((geometry.covered(found.boxes[columns], found.boxes[claimed]) >= _COVERED) & same, axis=1)
        boxes, scores = found.boxes[columns], found.scores[columns]
        self._motions = self._motions.joined(kalman.begin(kalman.to_cxcywh(boxes)))
        self._lives.begin(boxes, scores, found.label_ids[columns], self._next_id, at_s)
        if covered.any():
            self._lives.of("hits_wanted")[-len(columns) :] = np.where(covered, _COVERED_HITS, 1)
        self._next_id += len(columns)

    def _judge(self, at_s: float) -> None:
        """Confirm what was found often, long and well enough, last in this look; what is confirmed stays so.

        What is out of sight is not: it would be reported where it is no more.
        """
        lives, settings = self._lives, self._settings
        if not len(lives) or np.count_nonzero(lives.of("is_confirmed")) == len(lives):
            return
        hits, top, median = lives.of("hits"), lives.of("top_score"), lives.of("median_score")
        well = top >= self._least_top[lives.label_ids]
        often = (hits >= _ESTABLISHED_HITS) | (lives.of("first_score") >= _SURE_AT_ONCE)
        lives.of("is_established")[well & often] = 1
        enough = (hits >= settings.confirm_hits * lives.of("hits_wanted")) & (
            median >= self._least_median[lives.label_ids]
        )
        long = at_s - lives.of("first_s") >= settings.confirm_s
        confirmed = well & enough & long & (lives.of("seen_s") == at_s)
        lives.of("is_confirmed")[confirmed] = 1
        lives.of("is_established")[confirmed] = 1

    def _disturb(self, motion: Motion | None) -> None:
        """Note of what is stationary whether something moves where it stands, or may do so."""
        lives = self._lives
        if not len(lives) or not np.count_nonzero(lives.of("is_stationary")):
            return
        if motion is None or motion.regions is None:
            lives.of("is_undisturbed")[:] = 0
        elif len(motion.regions) and not motion.scene_changed:
            touched = geometry.covered(lives.boxes(), motion.regions).max(axis=1) >= _DISTURBED
            lives.of("is_undisturbed")[touched] = 0

    def _forget(self) -> tuple[Track, ...]:
        """Let go of what has gone."""
        lives, settings = self._lives, self._settings
        missed_s = lives.of("missed_s")
        if not len(lives) or not np.count_nonzero(missed_s):
            return ()
        memory_s = np.where(lives.flags("is_confirmed"), 1, _UNCONFIRMED_PART) * settings.memory_s
        stationary = lives.flags("is_stationary") & lives.flags("is_confirmed")
        if np.count_nonzero(stationary):
            stood_s = np.minimum(
                lives.of("seen_s") - lives.of("still_since_s"), _DISTURBED_PART * settings.stationary_memory_s
            )
            longer_s = np.where(lives.flags("is_undisturbed"), settings.stationary_memory_s, stood_s)
            memory_s = np.where(stationary, np.maximum(longer_s, memory_s), memory_s)
        over = missed_s >= memory_s - _TINY_S
        if not np.count_nonzero(over):
            return ()
        gone = lives.records(np.flatnonzero(over))
        self._keep(np.flatnonzero(~over))
        return gone

    def _keep(self, rows: IntArray) -> None:
        """Of all objects, keep these."""
        self._motions = self._motions[rows]
        self._lives.keep(rows)

    def _learn_labels(self, label_names: tuple[str, ...]) -> None:
        """Labels are those of the model; another model's objects would be others."""
        if len(self._lives):
            raise ValueError(f"labels were {self._lives.label_names} and are {label_names}")
        self._lives = Lives(label_names)
        least = [self._settings.least_scores(name) for name in label_names]
        self._least_median = np.array([median for median, _top in least], np.float32)
        self._least_top = np.array([top for _median, top in least], np.float32)


def _is_better(scores: FloatArray) -> BoolArray:
    """Which of (K,) scores the others are better than, (K, K); of two that are equal the first is."""
    ranks = np.argsort(np.argsort(-scores, kind="stable"))
    return np.greater.outer(ranks, ranks)


_LEAST_SHIFT_PX = 0.5
"""Less is not worth the trouble."""

_TINY_S = 1e-9
"""Sums of misses are not exact."""
