"""How far the camera has turned, read off the boxes: what many objects seem to do at once, none of them did."""

from __future__ import annotations

import numpy as np

from edge_agent.records import FloatArray

LEAST_PAIRS = 4
"""So many objects must agree."""

_MEMORY_S = 2.0
"""For how long it is remembered that the camera moves."""

_MEDIAN_VARIANCE = np.pi / 2
"""Of the median of many normal values, in parts of the variance of their mean."""


class CameraShift:
    """Remembers how much a camera tends to move, so that a fixed one is believed to stand still.

    The median of the surprises is an estimate of the shift with a known doubt. How much of it is believed is a Kalman
    gain, whose prior is what this camera has done lately: of a fixed camera nothing, of one in a hand nearly all.
    """

    def __init__(self) -> None:
        self._variance = (0.0, 0.0)  # px² a second, x and y

    def estimate(self, surprises: FloatArray, variances: FloatArray, dt_s: float) -> FloatArray:
        """Estimate by how much the contents of the picture have moved.

        Args:
            surprises: (K, 2) pixels x and y, from where each object was presumed to where it is.
            variances: (K, 2) px², how large the squares of these may be by chance.
            dt_s: since the last look.

        Returns:
            (2,) pixels x and y.
        """
        if len(surprises) < LEAST_PAIRS or dt_s <= 0:
            return np.zeros(2, np.float32)
        kept = float(np.exp(-dt_s / _MEMORY_S))
        believed, remembered = [], []
        for seen, variance, before in zip(_median(surprises), _median(variances), self._variance, strict=True):
            doubt = _MEDIAN_VARIANCE * variance / len(surprises)
            remembered.append(kept * before + (1 - kept) * max(seen * seen - doubt, 0.0) / dt_s)
            prior = remembered[-1] * dt_s
            believed.append(seen * prior / (prior + doubt))
        self._variance = (remembered[0], remembered[1])
        return np.array(believed, np.float32)

    def forget(self) -> None:
        """It may be another camera, or another view."""
        self._variance = (0.0, 0.0)


def _median(values: FloatArray) -> list[float]:
    """Of (K, 2), each; the upper one of two in the middle: several times faster than numpy's own, and as good here."""
    middle: list[float] = np.sort(values, axis=0)[len(values) // 2].tolist()
    return middle
