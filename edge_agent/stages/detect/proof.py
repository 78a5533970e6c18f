"""A model is proved on a drawn picture before it looks at anybody's camera: nonsense is refused here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_agent.records import Frame, Infer
from edge_agent.stages.detect.detector import Detector, DetectSettings
from edge_agent.stages.detect.head import Head

Fingerprint = list[list[float]]
"""Of each output tensor the mean sizes of its numbers, in sixteen parts."""


@dataclass(slots=True, eq=False)
class _Watched:
    """A model whose last answer is kept."""

    infer: Infer
    answer: Sequence[NDArray[Any]] = ()

    def __call__(self, tensor: NDArray[Any]) -> Sequence[NDArray[Any]]:
        self.answer = [output.copy() for output in self.infer(tensor)]
        return self.answer


def prove(
    infer: Infer,
    head: Head,
    label_names: tuple[str, ...],
    input_size: tuple[int, int],
    blank: Sequence[NDArray[Any]],
) -> Fingerprint:
    """Show a model a drawn picture, twice.

    Args:
        infer: one run of it.
        head: how to read its answer.
        label_names: what its classes mean.
        input_size: width and height that it sees.
        blank: what it answered to a picture of nothing.

    Returns:
        What it answered, in short.

    Raises:
        ValueError: it answers with numbers that are not finite, otherwise the second time, as to a picture of nothing,
            or with scores that are none.
    """
    watched = _Watched(infer)
    detector = Detector(
        infer=watched,
        head=head,
        label_names=label_names,
        input_size=input_size,
        threshold=_THRESHOLD,
        settings=DetectSettings.model_construct(labels=tuple(dict.fromkeys(label_names))),
    )
    frame = picture()
    detector.detect(frame)
    first = watched.answer
    found = detector.detect(frame)
    second = watched.answer
    if not all(np.isfinite(output).all() for output in second):
        raise ValueError("it answers a picture with numbers that are not finite")
    if not _are_alike(first, second):
        raise ValueError("it answers the same picture with other numbers the second time")
    # A graph that chooses boxes by itself may rightly find nothing in either picture.
    if head.classes is not None and all(map(np.array_equal, second, blank)):
        raise ValueError("it answers any picture alike")
    least, most = float(np.min(found.scores, initial=1.0)), float(np.max(found.scores, initial=0.0))
    if len(found) and not 0 <= least <= most <= 1:
        raise ValueError(f"its scores reach from {least:.3g} to {most:.3g}, not 0 to 1")
    return fingerprint(second)


def picture() -> Frame:
    """A picture with edges, areas and texture at many scales, the same to the bit on every machine."""
    width, height = _SIZE
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    coarse = (x // 64 * 89 + y // 48 * 151) % 160
    fine = (x * x // 96 + y * y // 64) % 64
    luma = (24 + coarse + fine).astype(np.uint8)
    blue = (64 + (x[::2, ::2] // 40 * 37 + y[::2, ::2] // 56 * 61) % 128).astype(np.uint8)
    red = (64 + (x[::2, ::2] // 72 * 53 + y[::2, ::2] // 32 * 29) % 128).astype(np.uint8)
    return Frame(luma=luma, chroma_blue=blue, chroma_red=red, at_s=0.0, utc_ns=0, utc_synced=False, seq=0)


def fingerprint(outputs: Sequence[NDArray[Any]]) -> Fingerprint:
    """What is left of an answer: in four digits, for it is written down where a model was made."""
    return [
        [float(f"{np.abs(part).mean() if part.size else 0.0:.4g}") for part in np.array_split(output.ravel(), _PARTS)]
        for output in outputs
    ]


def difference(found: Fingerprint, expected: Fingerprint) -> float:
    """How far two fingerprints lie apart, as a part of the expected one: 0 where they are the same."""
    one, other = np.array(found), np.array(expected)
    return float(np.linalg.norm(one - other) / np.linalg.norm(other)) if one.shape == other.shape else np.inf


def _are_alike(one: Sequence[NDArray[Any]], other: Sequence[NDArray[Any]]) -> bool:
    """Whether two answers are the same but for the last bits, which some graphics processors leave open."""
    return all(
        a.shape == b.shape and np.allclose(a, b, rtol=_RTOL, atol=_ATOL) for a, b in zip(one, other, strict=True)
    )


_SIZE = (640, 360)
_PARTS = 16
_THRESHOLD = 0.4
_RTOL = _ATOL = 1e-3
