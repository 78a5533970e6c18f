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
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_agent.records import BoolArray, FloatArray, IntArray

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


Numbers = NDArray[np.floating[Any]]
"""Floating-point numbers on their way into an array of float32."""


@dataclass(frozen=True, slots=True, eq=False)
class Motions:
    """What is believed of N boxes.

    Attributes:
        beliefs: (5, N, 4) float32, for centre x, centre y, width and height: the five properties below, in their order.
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
        beliefs = np.empty((5, *place.shape), np.float32)
        for row, belief in zip(beliefs, (place, velocity, place_variance, covariance, velocity_variance), strict=True):
            row[:] = belief
        return Motions(beliefs)

    @property
    def place(self) -> FloatArray:
        """(N, 4) cx, cy, width, height in pixels."""
        return self.beliefs[0]

    @property
    def velocity(self) -> FloatArray:
        """(N, 4) of each, pixels a second."""
        return self.beliefs[1]

    @property
    def place_variance(self) -> FloatArray:
        """(N, 4)."""
        return self.beliefs[2]

    @property
    def covariance(self) -> FloatArray:
        """(N, 4) of place and velocity."""
        return self.beliefs[3]

    @property
    def velocity_variance(self) -> FloatArray:
        """(N, 4)."""
        return self.beliefs[4]

    def __getitem__(self, rows: IntArray | BoolArray) -> Motions:
        """The same for some of the boxes."""
        return Motions(self.beliefs[:, rows])

    def joined(self, other: Motions) -> Motions:
        """These and others."""
        return Motions(np.concatenate([self.beliefs, other.beliefs], axis=1))

    def replaced(self, rows: IntArray, other: Motions) -> Motions:
        """The same with other beliefs at some rows."""
        beliefs = self.beliefs.copy()
        beliefs[:, rows] = other.beliefs
        return Motions(beliefs)

    def shifted(self, by: FloatArray) -> Motions:
        """The same in a picture whose contents have moved by (2,) x and y pixels."""
        beliefs = self.beliefs.copy()
        beliefs[0, :, :2] += by
        return Motions(beliefs)


def begin(place: FloatArray) -> Motions:
    """What is believed of boxes that were seen once, at (N, 4) cx, cy, width, height: that they are at rest there."""
    sizes = size(place)
    return Motions.of(
        place=place,
        velocity=np.zeros_like(place),
        place_variance=np.square(MEASUREMENT_STD * sizes),
        covariance=np.zeros_like(place),
        velocity_variance=np.square(FIRST_VELOCITY_STD * sizes),
    )


def predict(motions: Motions, dt_s: NDArray[np.float64]) -> Motions:
    """Where N boxes are believed to be after `dt_s` (N,) seconds, each its own."""
    times = _Times.after(dt_s)
    noise = _NOISE * np.square(size(motions.place))
    grown = motions.velocity_variance * times.reach
    return Motions.of(
        place=motions.place + motions.velocity * times.reach,
        velocity=motions.velocity * times.left,
        place_variance=motions.place_variance + (2 * motions.covariance + grown) * times.reach + noise * times.place,
        covariance=(motions.covariance + grown) * times.left + noise * times.both,
        velocity_variance=motions.velocity_variance * np.square(times.left) + noise * times.velocity,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Times:
    """What passing time does to N boxes, each (N, 4) float32.

    Attributes:
        left: of a velocity, the part that is left.
        reach: how far a velocity carries, in seconds of it.
        place: what a disturbance of strength 1 adds to the variance of the place.
        both: to its covariance with the velocity.
        velocity: to the variance of the velocity.
    """

    left: FloatArray
    reach: FloatArray
    place: FloatArray
    both: FloatArray
    velocity: FloatArray

    @staticmethod
    def after(dt_s: NDArray[np.float64]) -> _Times:
        """Of (N,) seconds."""
        left = np.exp(-SIDE_DECAY_HZ * dt_s)
        reach = (1 - left) / SIDE_DECAY_HZ
        fading = (1 - left * left) / (2 * SIDE_DECAY_HZ)
        square = dt_s * dt_s
        halves = np.empty((5, 2, len(dt_s)))  # of each factor: of the centre, and of the sides
        halves[0, 0], halves[0, 1] = 1, left
        halves[1, 0], halves[1, 1] = dt_s, reach
        halves[2, 0] = square * dt_s / 3
        halves[2, 1] = (dt_s - 2 * reach + fading) / SIDE_DECAY_HZ**2
        halves[3, 0], halves[3, 1] = square / 2, reach * reach / 2
        halves[4, 0], halves[4, 1] = dt_s, fading
        factors = halves.transpose(0, 2, 1).repeat(2, axis=2).astype(np.float32)
        return _Times(*factors)


def reach(dt_s: NDArray[np.float64]) -> FloatArray:
    """How far the velocities of N boxes carry in (N,) seconds, in seconds of them: (N, 4)."""
    return _Times.after(dt_s).reach


def correct(motions: Motions, measured: FloatArray, scores: FloatArray) -> Motions:
    """Take in that N boxes were seen at (N, 4) cx, cy, width, height; the better their (N,) scores, the more."""
    surprise = measured - motions.place
    unsure = 1 + UNSURE_STD * (1 - scores)[:, None]
    noise = np.square(MEASUREMENT_STD * unsure * size(measured))
    total = motions.place_variance + noise
    place_gain, velocity_gain = motions.place_variance / total, motions.covariance / total
    doubt = noise / total  # 1 - place_gain, which after a long gap would round to nothing
    return Motions.of(
        place=motions.place + place_gain * surprise,
        velocity=motions.velocity + velocity_gain * surprise,
        place_variance=motions.place_variance * doubt,
        covariance=motions.covariance * doubt,
        velocity_variance=motions.velocity_variance - velocity_gain * motions.covariance,
    )


def to_cxcywh(boxes: FloatArray) -> FloatArray:
    """(N, 4) xyxy to centre, width and height."""
    places = np.empty_like(boxes)
    low, high = boxes[:, :2], boxes[:, 2:]
    np.subtract(high, low, out=places[:, 2:])
    np.add(low, high, out=places[:, :2])
    places[:, :2] /= 2
    return places


def to_xyxy(places: FloatArray) -> FloatArray:
    """(N, 4) centre, width and height to xyxy; a negative side counts as none."""
    centre, half = places[:, :2], np.maximum(places[:, 2:], 0) / 2
    return np.concatenate([centre - half, centre + half], axis=1)


def size(places: FloatArray) -> FloatArray:
    """(N, 1) how large each box is: the longer of its sides, at least a pixel."""
    return np.maximum(np.maximum(places[:, 2], places[:, 3]), 1)[:, None]
