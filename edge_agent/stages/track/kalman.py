"""A Kalman filter for many boxes at once, exact over a gap of any length.

A box is its centre, width and height, each with a velocity. The four move independently, so each is a filter of two
numbers (place and velocity), and prediction over `dt` is written out instead of multiplied as 8x8 matrices.
What disturbs the motion is white noise in the acceleration, so that one prediction over `dt` equals many short ones,
for a box that keeps its size: the noise is measured in box sizes.

A centre goes on as it went. A width or height does so only for a moment: it changes mostly because something comes
before the object or a limb moves, and taken for a trend that would blow up, or shrink to nothing, whatever is out of
sight for a second. So the velocities of the sides die away.

Source: Y. Bar-Shalom, X. R. Li, T. Kirubarajan, "Estimation with Applications to Tracking and Navigation", Wiley 2001,
§5.2 (the filter), §6.2.2 (continuous white-noise acceleration) and §8.2.2 (a velocity that dies away, of which the
first is the limit). The noise grows with the box, as in N. Wojke et al., "Simple Online and Realtime Tracking with a
Deep Association Metric", ICIP 2017; the figures were chosen here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from edge_agent.records import FloatArray, IntArray

MEASUREMENT_STD = 0.05
"""How far a detected centre or side lies beside the true one, in box sizes, when the detector is sure."""

UNSURE_STD = 2.0
"""How much farther it lies when the detector is not: with a score of 0 so many times farther still."""

ACCELERATION_STD = 0.5
"""Strength of the disturbance, in box sizes per second to the power 3/2: a person who starts or stops walking."""

SIDE_ACCELERATION_STD = 0.25
"""The same of width and height."""

SIDE_DECAY_HZ = 2.0
"""How fast the velocity of width and height dies away: to a third after half a second."""

FIRST_VELOCITY_STD = 1.0
"""How fast a thing may be that was seen once, in box sizes a second."""

_NOISE = np.square(
    np.array([ACCELERATION_STD, ACCELERATION_STD, SIDE_ACCELERATION_STD, SIDE_ACCELERATION_STD], np.float32)
)


_FEW = 6
"""Of so many numbers Python makes less ado than numpy."""

Times = TypeVar("Times", float, NDArray[np.float64])
"""One time, or many."""

Numbers = NDArray[np.floating[Any]]
"""Floating-point numbers on their way into an array of float32."""


@dataclass(frozen=True, slots=True, eq=False)
class Motions:
    """What is believed of N boxes.

    Attributes:
        beliefs: (5, 4, N) float32, for centre x, centre y, width and height: the five properties below, in their order.
            Each number of all boxes lies together, which is what makes the arithmetic fast.
    """

    beliefs: FloatArray

    @staticmethod
    def of(
        *,
        place: Numbers,
        velocity: Numbers,
        place_variance: Numbers,
        covariance: Numbers,
        velocity_variance: Numbers,
    ) -> Motions:
        """Put the five together, each (N, 4) or (N, 1)."""
        beliefs = np.empty((5, *place.T.shape), np.float32)
        for row, belief in zip(beliefs, (place, velocity, place_variance, covariance, velocity_variance), strict=True):
            row[:] = belief.T
        return Motions(beliefs)

    @property
    def place(self) -> FloatArray:
        """(N, 4) cx, cy, width, height in pixels."""
        return self.beliefs[0].T

    @property
    def velocity(self) -> FloatArray:
        """(N, 4) of each, pixels a second."""
        return self.beliefs[1].T

    @property
    def place_variance(self) -> FloatArray:
        """(N, 4)."""
        return self.beliefs[2].T

    @property
    def covariance(self) -> FloatArray:
        """(N, 4) of place and velocity."""
        return self.beliefs[3].T

    @property
    def velocity_variance(self) -> FloatArray:
        """(N, 4)."""
        return self.beliefs[4].T

    def __getitem__(self, rows: IntArray) -> Motions:
        """The same for some of the boxes."""
        return Motions(self.beliefs.take(rows, axis=2))

    def joined(self, other: Motions) -> Motions:
        """These and others."""
        return Motions(np.concatenate([self.beliefs, other.beliefs], axis=2))

    def replaced(self, rows: IntArray, other: Motions) -> Motions:
        """The same with other beliefs at some rows."""
        beliefs = self.beliefs.copy()
        beliefs[:, :, rows] = other.beliefs
        return Motions(beliefs)

    def shifted(self, by: FloatArray) -> Motions:
        """The same in a picture whose contents have moved by (2,) x and y pixels."""
        beliefs = self.beliefs.copy()
        beliefs[0, :2] += by[:, None]
        return Motions(beliefs)


def begin(place: FloatArray) -> Motions:
    """What is believed of boxes that were seen once, at (N, 4) cx, cy, width, height: that they are at rest there."""
    sizes = size(place)
    beliefs = np.zeros((5, 4, len(place)), np.float32)
    beliefs[0] = place.T
    beliefs[2] = np.square(MEASUREMENT_STD * sizes)
    beliefs[4] = np.square(FIRST_VELOCITY_STD * sizes)
    return Motions(beliefs)


def predict(motions: Motions, dt_s: NDArray[np.float64]) -> Motions:
    """Where N boxes are believed to be after `dt_s` (N,) seconds, each its own."""
    passing = _passing(dt_s)
    left, reach = passing[:2]
    place, velocity, place_variance, covariance, velocity_variance = motions.beliefs
    carried, grown = motions.beliefs[1::3] * reach  # the velocity, and its variance
    later = np.empty_like(motions.beliefs)
    later[0] = place + carried
    later[1] = velocity * left
    later[2] = place_variance + (2 * covariance + grown) * reach
    later[3] = (covariance + grown) * left
    later[4] = velocity_variance * np.square(left)
    later[2:] += _NOISE[:, None] * np.square(size(motions.place)) * passing[2:]
    return Motions(later)


def reach(dt_s: NDArray[np.float64]) -> FloatArray:
    """How far the velocities of N boxes carry in (N,) seconds, in seconds of them: (N, 4)."""
    return _passing(dt_s)[1].T


def _passing(dt_s: NDArray[np.float64]) -> FloatArray:
    """What passing (N,) seconds do to N boxes: (5, 4, N) float32, as `_effects` has it of a centre and of a side."""
    times_s = dt_s.tolist()
    row_of = {seconds: row for row, seconds in enumerate(dict.fromkeys(times_s))}
    if 0 < len(row_of) <= _FEW:  # most were seen in the last look
        left = np.exp(-SIDE_DECAY_HZ * np.array(list(row_of))).tolist()
        effects = np.array(list(map(_effects, row_of, left)), np.float32).T
        return effects.take([row_of[seconds] for seconds in times_s], axis=1).repeat(2, axis=0).reshape(5, 4, -1)
    passing = np.empty((5, 4, len(dt_s)), np.float32)
    effects_of_all = _effects(dt_s, np.exp(-SIDE_DECAY_HZ * dt_s))
    for pair, effect in zip(passing.reshape(10, 2, -1), effects_of_all, strict=True):
        pair[:] = effect
    return passing


def _effects(seconds: Times, left: Times) -> tuple[Times | float, ...]:
    """What passing seconds do to a centre and to a side, by turns, where so much is left of a side's velocity.

    Of a velocity the part that is left, and how far it carries, in seconds of it; then what a disturbance of strength 1
    adds to the variance of the place, to its covariance with the velocity, and to the variance of that.
    """
    reach = (1 - left) / SIDE_DECAY_HZ
    fading = (1 - left * left) / (2 * SIDE_DECAY_HZ)
    square = seconds * seconds
    return (
        1.0, left,
        seconds, reach,
        square * seconds / 3, (seconds - 2 * reach + fading) / SIDE_DECAY_HZ**2,
        square / 2, reach * reach / 2,
        seconds, fading,
    )  # fmt: skip


def correct(motions: Motions, measured: FloatArray, scores: FloatArray) -> Motions:
    """Take in that N boxes were seen at (N, 4) cx, cy, width, height; the better their (N,) scores, the more."""
    beliefs = motions.beliefs
    surprise = measured.T - beliefs[0]
    unsure = 1 + UNSURE_STD * (1 - scores)
    noise = np.square(MEASUREMENT_STD * unsure * size(measured))
    total = beliefs[2] + noise
    gains = beliefs[2:4] / total  # of the place, and of its velocity
    doubt = noise / total  # 1 - the gain of the place, which after a long gap would round to nothing
    corrected = np.empty_like(beliefs)
    corrected[:2] = beliefs[:2] + gains * surprise
    corrected[2:4] = beliefs[2:4] * doubt
    corrected[4] = beliefs[4] - gains[1] * beliefs[3]
    return Motions(corrected)


def to_cxcywh(boxes: FloatArray) -> FloatArray:
    """(N, 4) xyxy to centre, width and height."""
    places = np.empty(boxes.T.shape, boxes.dtype)
    low, high = boxes.T[:2], boxes.T[2:]
    places[:2] = (low + high) / 2
    places[2:] = high - low
    return places.T


def to_xyxy(places: FloatArray) -> FloatArray:
    """(N, 4) centre, width and height to xyxy; a negative side counts as none."""
    centre, half = places.T[:2], np.maximum(places.T[2:], 0) / 2
    return np.concatenate([centre - half, centre + half]).T


def size(places: FloatArray) -> FloatArray:
    """(N,) how large each box of (N, 4) cx, cy, width, height is: the longer of its sides, at least a pixel."""
    return np.maximum(np.maximum(places[:, 2], places[:, 3]), 1)
