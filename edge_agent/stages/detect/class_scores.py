"""Scores from what a model says of its classes: taken as they are, each by itself, or as shares of all.

Whether a model was trained with the sigmoid or the softmax, its class logits tell where they contradict one of the two.
The softmax needs a background, for else there would be something everywhere. Only differences count for it, so logits
lie on both sides of 0, and the sigmoid of those makes many things of each anchor. The sigmoid of what was trained with
it makes one of each, the background. What contradicts neither could be either.

Found by measuring: in a picture of nothing the sigmoids of SSDLite MobileNetV2's 90 classes add up to 0.006, at an
anchor as they usually are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edge_agent.records import BoolArray, FloatArray, IntArray
from edge_agent.stages.detect.anchors import Activation
from edge_agent.stages.detect.head import above, sigmoid

_NEARLY_ALL = 0.9  # of the anchors
_NOTHING = 0.03  # things at an anchor, at most
_TOO_MANY = 1.0
_SEEN_BY_SCORE, _SEEN_BY_LOGIT = 0.5, 0.0  # from there on
_ENOUGH_CLASSES = 20  # with fewer, the softmax may leave as little to them
_SAME = 1e-3  # what adds up to 1 but for rounding
_LEAST_SHARE = 1e-30


@dataclass(frozen=True, slots=True, kw_only=True)
class Scoring:
    """How scores come of a model's numbers.

    Attributes:
        are_logits: whether these are no scores yet.
        activation: what makes, or has made, scores of logits; None where it could be either.
        background: the column of a background, the first or the last; None where there is none.
    """

    are_logits: bool
    activation: Activation | None
    background: int | None


def scoring_of(numbers: FloatArray, told: Activation | None, labels: int | None) -> Scoring:
    """What a model's numbers are.

    Args:
        numbers: (N, classes), of a picture of nothing.
        told: what a person says; None leaves it to them.
        labels: how many there are; one less than columns leaves one for the background. None where nobody says.

    Raises:
        ValueError: a person says what makes scores of them, and they are scores.
    """
    are_logits = bool((numbers < 0).any() or (numbers > 1).any())
    if told and not are_logits:
        raise ValueError("its class numbers all lie in 0..1, so they are scores already; leave model.activation out")
    background = _background(numbers, labels, _SEEN_BY_LOGIT if are_logits else _SEEN_BY_SCORE)
    activation = told or (_by_logits(numbers, background) if are_logits else _by_sums(numbers))
    return Scoring(are_logits=are_logits, activation=activation, background=background)


def _background(numbers: FloatArray, labels: int | None, seen: float) -> int | None:
    """Its column: what is seen nearly everywhere in a picture of nothing is none of the things."""
    columns = numbers.shape[1]
    if columns == 1:
        return None
    first, last = numbers[:, 0], numbers[:, -1]
    if _nearly_always(first > np.max(numbers[:, 1:], axis=1)):
        return 0
    if _nearly_always((last > np.max(numbers[:, :-1], axis=1)) & (last > seen)):
        return columns - 1
    return 0 if labels == columns - 1 else None


def _nearly_always(at_anchors: BoolArray) -> bool:
    return bool(at_anchors.mean() >= _NEARLY_ALL)


def _by_logits(logits: FloatArray, background: int | None) -> Activation | None:
    if background is None:
        return "sigmoid"
    things = float(np.median(sigmoid(np.delete(logits, background, axis=1)).sum(axis=1)))
    if things > _TOO_MANY:
        return "softmax"
    return "sigmoid" if things <= _NOTHING and logits.shape[1] > _ENOUGH_CLASSES else None


def _by_sums(scores: FloatArray) -> Activation | None:
    """What has made scores: those of the softmax add up to 1 in each row; in steps of a byte it cannot be told."""
    beside = np.abs(scores.sum(axis=1) - 1)
    if float(np.max(beside)) <= _SAME:
        return "softmax"
    return "sigmoid" if float(np.max(beside)) > scores.shape[1] / 256 else None


def by_scores(scores: FloatArray, columns: IntArray, floors: FloatArray) -> tuple[IntArray, IntArray, FloatArray]:
    """Rows of the scores (N, classes), places among the columns (K,), and scores, of what reaches the floors (K,)."""
    wanted = scores[:, columns]
    rows, places = above(wanted, floors)
    return rows, places, wanted[rows, places].astype(np.float32, copy=False)


def by_sigmoid(logits: FloatArray, columns: IntArray, floors: FloatArray) -> tuple[IntArray, IntArray, FloatArray]:
    """The same of logits that count each by itself."""
    # Comparing logits spares the sigmoid of every anchor: it is monotonic.
    wanted = logits[:, columns]
    rows, places = above(wanted, _logit(floors))
    return rows, places, (1 / (1 + np.exp(-wanted[rows, places]))).astype(np.float32, copy=False)


def by_softmax(logits: FloatArray, columns: IntArray, floors: FloatArray) -> tuple[IntArray, IntArray, FloatArray]:
    """The same of logits whose shares count."""
    # A share is at most the exponential of how far its logit is below the highest, so most rows need no sum.
    below = logits[:, columns] - np.max(logits, axis=1, keepdims=True)
    likely = np.flatnonzero((below >= np.log(np.maximum(floors, _LEAST_SHARE))).any(axis=1))
    heights = np.exp(logits[likely] - np.max(logits[likely], axis=1, keepdims=True))
    shares = np.asarray(heights[:, columns] / heights.sum(axis=1, keepdims=True), np.float32)
    rows, places = above(shares, floors)
    return likely[rows], places, shares[rows, places]


def _logit(probabilities: FloatArray) -> FloatArray:
    inside = np.clip(probabilities, 1e-6, 1 - 1e-6)
    return np.log(inside / (1 - inside))
