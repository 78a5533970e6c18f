"""A constant-velocity Kalman filter for many boxes at once, exact over a gap of any length.

A box is its centre, width and height, each with a velocity. The four move independently, so each is a filter of two
numbers (place and velocity), and prediction over `dt` is written out instead of multiplied as 8x8 matrices.
What disturbs the motion is white noise in the acceleration, so that one prediction over `dt` equals many short ones,
for a box that keeps its size: the noise is measured in box sizes.

Source: Y. Bar-Shalom, X. R. Li, T. Kirubarajan, "Estimation with Applications to Tracking and Navigation", Wiley 2001,
§5.2 (the filter) and §6.2.2 (continuous white-noise acceleration). The noise grows with the box, as in N. Wojke et al.,
"Simple Online and Realtime Tracking with a Deep Association Metric", ICIP 2017; the figures were chosen here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_agent.records import BoolArray, FloatArray, IntArray

MEASUREMENT_STD = 0.05
"""How far a detected centre or side lies beside the true one, in box sizes."""

ACCELERATION_STD = 0.5
"""Strength of the disturbance, in box sizes per second to the power 3/2: a person who starts or stops walking."""

FIRST_VELOCITY_STD = 1.0
"""How fast a thing may be that was seen once, in box sizes a second."""


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


def begin(boxes: FloatArray) -> Motions:
    """What is believed of boxes (N, 4) xyxy that were seen for the first time: where they are, and to be at rest."""
    place = to_cxcywh(boxes)
    size = _size(place)
    return Motions.of(
        place=place,
        velocity=np.zeros_like(place),
        place_variance=np.square(MEASUREMENT_STD * size),
        covariance=np.zeros_like(place),
        velocity_variance=np.square(FIRST_VELOCITY_STD * size),
    )


def predict(motions: Motions, dt_s: FloatArray) -> Motions:
    """Where N boxes are believed to be after `dt_s` (N,) seconds, each its own."""
    dt = dt_s[:, None]
    noise = np.square(ACCELERATION_STD * _size(motions.place))
    grown = motions.velocity_variance * dt
    return Motions.of(
        place=motions.place + motions.velocity * dt,
        velocity=motions.velocity,
        place_variance=motions.place_variance + (2 * motions.covariance + grown + noise * (dt * dt / 3)) * dt,
        covariance=motions.covariance + grown + noise * (dt * dt / 2),
        velocity_variance=motions.velocity_variance + noise * dt,
    )


def correct(motions: Motions, boxes: FloatArray) -> Motions:
    """Take in that N boxes were seen at (N, 4) xyxy."""
    measured = to_cxcywh(boxes)
    surprise = measured - motions.place
    noise = np.square(MEASUREMENT_STD * _size(measured))
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
    low, high = boxes[:, :2], boxes[:, 2:]
    return np.concatenate([(low + high) / 2, high - low], axis=1)


def to_xyxy(places: FloatArray) -> FloatArray:
    """(N, 4) centre, width and height to xyxy; a negative side counts as none."""
    centre, half = places[:, :2], np.maximum(places[:, 2:], 0) / 2
    return np.concatenate([centre - half, centre + half], axis=1)


def _size(places: FloatArray) -> FloatArray:
    """(N, 1) how large each box is: the longer of its sides, at least a pixel."""
    return np.maximum(np.maximum(places[:, 2], places[:, 3]), 1)[:, None]
