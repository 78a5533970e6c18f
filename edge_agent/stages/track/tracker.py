"""The tracker: association over a constant-velocity filter, and a memory of what stands; everything in seconds."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import compress
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from edge_agent import geometry
from edge_agent.records import BoolArray, Detections, FloatArray, Frame, IntArray, Motion, Track, Tracks
from edge_agent.settings import Label, Ratio, Seconds, Section
from edge_agent.stages.track import judging, kalman, kin
from edge_agent.stages.track.camera import LEAST_PAIRS, CameraShift
from edge_agent.stages.track.matching import match
from edge_agent.stages.track.memory import Lives
from edge_agent.stages.track.recognition import Recognition, find_again
from edge_agent.stages.track.view import View


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

    appearance: bool = True
    """Tell apart by light and colour who boxes alone cannot: who comes back into sight, who parts from whom. What an
    object looks like stays in memory, for as long as the object."""

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

_DISTURBED = 0.1
"""Part of an object's box in which something must move to have disturbed it."""

_UNWATCHED_S = 1.0
"""For so long nobody need say where something moves: frames between two of the gate's comparisons tell nothing, and
what comes to an object or leaves it is still on its way at the next."""

_COVERED = 0.85
"""Part of a box that another of its label covers, from which it may be a part of the same thing."""

_COVERED_HITS = 2
"""It must then be found so many times as often to be confirmed."""

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
        self._recognition = Recognition()
        self._next_id = 1
        self._looked_s: float | None = None
        self._watched_s = -np.inf  # when it was last known where something moves
        self._held_until_s = -np.inf
        self._scene = Scene(held=False, changes=0)
        self._live: tuple[Track, ...] = ()  # what was last reported
        self._exchanged: frozenset[int] = frozenset()  # ids of those who had been taken for each other until this look

    def update(
        self, found: Detections | None, at_s: float, motion: Motion | None = None, frame: Frame | None = None
    ) -> Tracks:
        """Take in one frame's boxes.

        Args:
            found: the boxes; None means that nobody looked, so nobody was missed.
            at_s: the frame's time.
            motion: what moves in the frame; None when that is not known.
            frame: the picture; None where there is none, and boxes must do.
        """
        self._disturb(motion, at_s)
        if self._looked_s is not None and motion is not None and motion.scene_changed:
            self._held_until_s = at_s + self._settings.scene_hold_s
            self._recognition = Recognition()  # in another light everybody looks otherwise
        held = at_s < self._held_until_s
        if held is not self._scene.held:
            self._scene = Scene(held=held, changes=self._scene.changes + held)
        if found is None:
            return Tracks(live=self._live, held=held)
        since_last_look_s = 0.0 if self._looked_s is None else at_s - self._looked_s
        self._looked_s, self._exchanged = at_s, frozenset()
        if self._lives.label_names != found.label_names and len(found):
            self._learn_labels(found.label_names)
        if len(self._lives):
            self._find(found, at_s, since_last_look_s, frame if self._settings.appearance else None)
        elif len(found):
            self._begin(found, kalman.to_cxcywh(found.boxes), np.zeros(0, np.int64), at_s)
        if not len(self._lives):
            self._live = ()
            return Tracks(live=(), held=held)
        if not held:
            self._confirm(at_s)
        self._live, ended = self._part()
        return Tracks(live=self._live, ended=ended, held=held, exchanged=self._exchanged)

    @property
    def scene(self) -> Scene:
        """Whether the whole picture has changed a moment ago, and how often it has."""
        return self._scene

    def forget(self) -> None:
        """Look for nobody any longer; ids go on."""
        self._keep(np.zeros(0, np.int64))
        self._camera.forget()
        self._recognition = Recognition()
        self._live, self._looked_s, self._held_until_s = (), None, -np.inf
        self._scene = Scene(held=False, changes=self._scene.changes)

    def _find(self, found: Detections, at_s: float, since_last_look_s: float, frame: Frame | None) -> None:
        """Look for every known object among the boxes, and begin new ones with what is left."""
        lives, strong = self._lives, found.strong
        unseen_s = at_s - lives.of("seen_s")
        expected = kalman.predict(self._motions, unseen_s)
        near = kalman.to_xyxy(self._presumed(expected.place, unseen_s, since_last_look_s))
        places = kalman.to_cxcywh(found.boxes)
        view = None if frame is None else self._recognition.look(frame, found, lives, near, at_s)
        rows, columns = self._match(near, expected, found, view)
        turned = self._turn_of_camera(expected, rows, strong, columns, places, since_last_look_s)
        if turned is not None:
            expected = expected.shifted(turned)
            self._motions = self._motions.shifted(turned)
            lives.shift(turned)
            near += np.array([*turned, *turned])
            rows, columns = self._match(near, expected, found, view)
        if view is not None:
            rows, columns, expected = self._recognise(view, expected, rows, columns)
        if len(rows):
            corrected = kalman.correct(expected[rows], places.take(columns, axis=0), found.scores.take(columns))
            self._motions = self._motions.replaced(rows, corrected)
            lives.hit(rows, found, columns, corrected.place, at_s, self._settings.stationary_s)
        if len(rows) < len(lives):
            missed = _others(rows, len(lives))
            stationary_s = min(since_last_look_s, LONGEST_STATIONARY_MISS_S)
            moving_s = min(since_last_look_s, LONGEST_MISS_S)
            lives.miss(missed, np.where(lives.flags("is_stationary")[missed], stationary_s, moving_s))
        self._begin(found, places, columns, at_s)

    def _presumed(self, expected: FloatArray, unseen_s: NDArray[np.float64], since_last_look_s: float) -> FloatArray:
        """Where each object should be, (N, 4) cx, cy, width, height.

        Speed is believed for as long as a miss would count: over the long gap between looks at a scene where nothing
        moves, what little speed the jitter of boxes feigns would carry a parked car away from itself. What is
        stationary and out of sight is where it stood.
        """
        lives = self._lives
        missed_s, stationary = lives.of("missed_s"), lives.flags("is_stationary")
        believed_s = missed_s + min(since_last_look_s, LONGEST_MISS_S)
        places = expected
        if np.count_nonzero(unseen_s > believed_s + _TINY_S):
            places = self._motions.place + self._motions.velocity * kalman.reach(np.minimum(unseen_s, believed_s))
        if np.count_nonzero(stationary):
            hidden = stationary & (missed_s > 0)
            places = np.where(hidden[:, None], lives.places, places)
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
        if len(rows) < LEAST_PAIRS:
            return None
        lives = self._lives
        steady = (lives.of("missed_s").take(rows) == 0) & (lives.counts("hits").take(rows) > 1) & strong.take(columns)
        steady = steady.nonzero()[0]
        if len(steady) < LEAST_PAIRS:
            return None
        believed, seen = expected[rows.take(steady)], places.take(columns.take(steady), axis=0)
        noise = np.square((kalman.MEASUREMENT_STD + _PARALLAX_STD) * kalman.size(seen))[:, None]
        surprises = seen[:, :2] - believed.place[:, :2]
        by = self._camera.estimate(surprises, believed.place_variance[:, :2] + noise, dt_s)
        return by if max(map(abs, by.tolist())) >= _LEAST_SHIFT_PX else None

    def _match(
        self, near: FloatArray, expected: kalman.Motions, found: Detections, view: View | None
    ) -> tuple[IntArray, IntArray]:
        """Pair objects, presumed at (N, 4) xyxy, with boxes: (K,) rows of objects, (K,) indexes of boxes."""
        deviations = np.sqrt(expected.place_variance[:, 0])
        return match(self._lives, near, deviations, found, self._settings.match_iou, view)

    def _recognise(
        self, view: View, expected: kalman.Motions, rows: IntArray, columns: IntArray
    ) -> tuple[IntArray, IntArray, kalman.Motions]:
        """Put right by looks what boxes have made of it, and learn what is seen well."""
        order, rows, columns = self._recognition.put_right(view, rows, columns)
        moved = order != np.arange(len(order))
        if np.count_nonzero(moved):
            self._motions, expected = self._motions[order], expected[order]
            self._lives.change_places(order)
            self._exchanged = frozenset(self._lives.counts("track_id")[moved].tolist())
        self._recognition.learn(view, rows, columns)
        more_rows, more_columns = find_again(view, rows, columns)
        if len(more_rows):
            rows, columns = np.concatenate([rows, more_rows]), np.concatenate([columns, more_columns])
        return rows, columns, expected

    def _begin(self, found: Detections, places: FloatArray, claimed: IntArray, at_s: float) -> None:
        """Begin objects with boxes that nobody claims, one where a thing is found under two names."""
        unclaimed = found.strong.copy()
        unclaimed[claimed] = False
        if not np.count_nonzero(unclaimed):
            return
        columns = kin.singles(found, unclaimed.nonzero()[0], claimed)
        if not len(columns):
            return
        boxes, places = found.boxes.take(columns, axis=0), places.take(columns, axis=0)
        labels = found.label_ids[columns]
        self._motions = self._motions.joined(kalman.begin(places))
        self._lives.begin(boxes, places, found.scores[columns], labels, self._next_id, at_s)
        self._next_id += len(columns)
        within = geometry.covered(boxes, found.boxes.take(claimed, axis=0)) >= _COVERED
        if np.count_nonzero(within):
            parts = within & np.equal.outer(labels, found.label_ids[claimed])
            self._lives.counts("hits_wanted")[-len(columns) :] = np.where(parts.any(axis=1), _COVERED_HITS, 1)

    def _confirm(self, at_s: float) -> None:
        """Confirm what is no flicker."""
        settings = self._settings
        judging.confirm(
            self._lives, at_s, hits=settings.confirm_hits, long_s=settings.confirm_s,
            least_median=self._least_median, least_top=self._least_top,
        )  # fmt: skip

    def _disturb(self, motion: Motion | None, at_s: float) -> None:
        """Note of what is stationary whether something moves where it stands, or may do so."""
        lives = self._lives
        stands = len(lives) > 0 and np.count_nonzero(lives.flags("is_stationary")) > 0
        if motion is None or motion.regions is None:
            if stands and at_s - self._watched_s > _UNWATCHED_S:
                lives.flags("is_undisturbed")[:] = False
            return
        self._watched_s = at_s
        if stands and len(motion.regions) and not motion.scene_changed:
            touched = geometry.covered(lives.boxes(), motion.regions).max(axis=1) >= _DISTURBED
            lives.flags("is_undisturbed")[touched] = False

    def _part(self) -> tuple[tuple[Track, ...], tuple[Track, ...]]:
        """Let go of what has gone: what lives on, and what has ended."""
        settings, known = self._settings, self._lives.records()
        over = judging.over(self._lives, memory_s=settings.memory_s, stationary_memory_s=settings.stationary_memory_s)
        if not np.count_nonzero(over):
            return known, ()
        self._keep((~over).nonzero()[0])
        return tuple(compress(known, (~over).tolist())), tuple(compress(known, over.tolist()))

    def _keep(self, rows: IntArray) -> None:
        """Of all objects, keep these."""
        self._motions = self._motions[rows]
        self._lives.keep(rows)
        self._recognition.keep(self._lives.counts("track_id"))

    def _learn_labels(self, label_names: tuple[str, ...]) -> None:
        """Labels are those of the model; another model's objects would be others."""
        if len(self._lives):
            raise ValueError(f"labels were {self._lives.label_names} and are {label_names}")
        self._lives = Lives(label_names)
        least = [self._settings.least_scores(name) for name in label_names]
        self._least_median = np.array([median for median, _top in least], np.float32)
        self._least_top = np.array([top for _median, top in least], np.float32)


def _others(taken: IntArray, count: int) -> IntArray:
    """Of the numbers below `count`, in order, those that are not taken."""
    is_taken = np.zeros(count, np.bool_)
    is_taken[taken] = True
    return (~is_taken).nonzero()[0]


_LEAST_SHIFT_PX = 0.5
"""Less is not worth the trouble."""

_TINY_S = 1e-9
"""Sums of misses are not exact."""
