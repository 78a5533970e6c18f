"""What an object looks like: how light it is, and of which colours, above and below.

A few numbers, enough to tell two persons in a yard apart for some seconds and far too few to know anybody again. They
stay in memory, beside the object and no longer than it: no record, no event, no trail has a field for them.

Source: histograms compared by the Bhattacharyya coefficient, as in D. Comaniciu, V. Ramesh, P. Meer, "Kernel-Based
Object Tracking", IEEE PAMI 25(5), 2003, §3; a body in parts one above the other, as in M. Farenzena et al., "Person
Re-Identification by Symmetry-Driven Accumulation of Local Features", CVPR 2010, in its simplest form.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge_agent.records import ByteArray, FloatArray, Frame, IntArray

BANDS = 2
"""Parts one above the other: what somebody wears above, and below."""

BINS = 8
"""Of each histogram."""

_ROWS, _COLUMNS = 12, 6
"""So many points of a box are looked at."""

_WIDTH_PART = 0.5
"""They lie in the middle of it, across: beside that it is the background that is seen, and what stands there."""

_TOP, _BOTTOM = 0.08, 0.92
"""And so far along it: boxes jitter."""

_MEMORY_S = 2.0
"""How fast what it looks like follows what is seen of it: light and the side that is shown change."""


_LEVELS = 64
"""Values are told apart as finely as this: every fourth."""


def _shares(low: float, high: float) -> FloatArray:
    """(_LEVELS, BINS) how much of each level belongs to each bin: to the two that are next to it."""
    values = (np.arange(_LEVELS) + 0.5) * 256 / _LEVELS - 0.5
    places = np.clip((values - low) / (high - low) * BINS - 0.5, 0, BINS - 1)
    return np.maximum(1 - np.abs(places[:, None] - np.arange(BINS)), 0).astype(np.float32)


_CHROMA = _shares(96, 160)
"""Clothes are seldom more colourful than half of what there is: what is counts as the last of these."""

_SHARES = np.stack([_shares(16, 235), _CHROMA, _CHROMA])
_FULL_SHARES = np.stack([_shares(0, 255), _CHROMA, _CHROMA])
_SHAPE = (3, BANDS, BINS)


def describe(frame: Frame, boxes: FloatArray) -> FloatArray:
    """Look at (N, 4) xyxy pixels of a frame.

    Returns:
        (N, 3, BANDS, BINS) of luma, blue and red, how much of each part is how light, or how much of that colour; each
        histogram sums to 1.
    """
    along = (boxes[:, :1] + boxes[:, 2:3]) / 2 + (boxes[:, 2:3] - boxes[:, :1]) * _ACROSS
    down = boxes[:, 1:2] + (boxes[:, 3:] - boxes[:, 1:2]) * _DOWN
    columns = np.minimum(np.maximum(along, 0), frame.width - 1).astype(np.int64)[:, None, :]
    rows = np.minimum(np.maximum(down, 0), frame.height - 1).astype(np.int64)[:, :, None]
    levels = np.empty((3, len(boxes), _ROWS, _COLUMNS), np.uint8)
    levels[0] = frame.luma[rows, columns]
    rows, columns = rows // 2, columns // 2
    levels[1], levels[2] = frame.chroma_blue[rows, columns], frame.chroma_red[rows, columns]
    counts: FloatArray = _counts(levels // (256 // _LEVELS)) / np.float32(_POINTS)
    histograms = counts @ (_FULL_SHARES if frame.full_range else _SHARES)
    return histograms.reshape(3, len(boxes), BANDS, BINS).transpose(1, 0, 2, 3)


_ACROSS = (_WIDTH_PART * ((np.arange(_COLUMNS) + 0.5) / _COLUMNS - 0.5)).astype(np.float32)
_DOWN = (_TOP + (_BOTTOM - _TOP) * (np.arange(_ROWS) + 0.5) / _ROWS).astype(np.float32)


_POINTS = _ROWS * _COLUMNS // BANDS
"""Of each part."""


def _counts(levels: ByteArray) -> FloatArray:
    """How many points of each part have which of (3, N, _ROWS, _COLUMNS) levels: (3, N * BANDS, _LEVELS)."""
    parts = levels.reshape(-1, _POINTS) + np.arange(0, levels.size // _POINTS * _LEVELS, _LEVELS)[:, None]
    counted = np.bincount(parts.ravel(), minlength=len(parts) * _LEVELS)
    return counted.reshape(3, -1, _LEVELS).astype(np.float32)


def differences(histograms: FloatArray, others: FloatArray) -> FloatArray:
    """How little each looks like each of others.

    As different as they are in light, or as they are in colour, whichever is more: a picture in infrared has no colour,
    in which all would be alike.

    Args:
        histograms: (N, 3, BANDS, BINS), or not a number where nobody knows.
        others: (M, 3, BANDS, BINS), likewise.

    Returns:
        (N, M) float32, 0 for the same and 1 for nothing in common; not a number where nobody knows.
    """
    roots, other_roots = (_flat(np.sqrt(each)) for each in (histograms, others))
    luma, blue, red = 1 - roots @ other_roots.transpose(0, 2, 1) / BANDS
    return np.maximum(np.maximum(luma, (blue + red) / 2), 0)


def _flat(histograms: FloatArray) -> FloatArray:
    """(N, 3, BANDS, BINS) to (3, N, BANDS * BINS)."""
    return histograms.reshape(len(histograms), 3, BANDS * BINS).transpose(1, 0, 2)


class Appearances:
    """What each object looks like, on the average of when it was seen well; forgotten with the object."""

    def __init__(self) -> None:
        self._ids: list[int] = []
        self._histograms: FloatArray = np.zeros((0, *_SHAPE), np.float32)
        self._times: IntArray = np.zeros(0, np.int64)
        self._learnt_s: NDArray[np.float64] = np.zeros(0)

    def of(self, ids: IntArray) -> FloatArray:
        """What (N,) objects look like, in order of their ids: (N, 3, BANDS, BINS), not a number where nobody knows.

        All others are forgotten.
        """
        self.keep(ids)
        asked = ids.tolist()
        if asked != self._ids:
            known = set(self._ids)
            rows = [row for row, track_id in enumerate(asked) if track_id in known]
            histograms = np.full((len(asked), *_SHAPE), np.nan, np.float32)
            times, learnt_s = np.zeros(len(asked), np.int64), np.zeros(len(asked))
            histograms[rows], times[rows], learnt_s[rows] = self._histograms, self._times, self._learnt_s
            self._ids, self._histograms, self._times, self._learnt_s = asked, histograms, times, learnt_s
        return self._histograms

    def keep(self, ids: IntArray) -> None:
        """Forget all but (N,) objects, of some of which nothing may be known yet."""
        kept = set(ids.tolist())
        if not kept.issuperset(self._ids):
            rows = np.array([row for row, track_id in enumerate(self._ids) if track_id in kept], np.int64)
            self._ids = [track_id for track_id in self._ids if track_id in kept]
            self._histograms = self._histograms.take(rows, axis=0)
            self._times, self._learnt_s = self._times.take(rows), self._learnt_s.take(rows)

    def learn(self, rows: IntArray, histograms: FloatArray, at_s: float) -> None:
        """The objects at (K,) rows of those last asked for look like (K, 3, BANDS, BINS)."""
        self._times[rows] += 1
        weights = 1 - np.exp((self._learnt_s[rows] - at_s) / _MEMORY_S)
        weights = np.maximum(weights, 1 / self._times[rows]).astype(np.float32)[:, None, None, None]
        known = np.where(np.isnan(self._histograms[rows]), histograms, self._histograms[rows])
        self._histograms[rows] = known + weights * (histograms - known)
        self._learnt_s[rows] = at_s
