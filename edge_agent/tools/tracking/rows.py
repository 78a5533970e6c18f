"""What stands in the files of a tracking benchmark: boxes of numbered frames, as arrays with a row a box.

Boxes are left, top, width and height in pixels, as the files have them, and of double precision: a metric asks whether
an overlap reaches a threshold, and other programs ask that of the same numbers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_agent.records import BoolArray, IntArray

Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Identified:
    """Boxes that have an identity: what is there, or what a tracker says.

    Attributes:
        frames: (N,) their numbers, from 1, never falling.
        ids: (N,) whose they are.
        ltwh: (N, 4) left, top, width, height in pixels.
    """

    frames: IntArray
    ids: IntArray
    ltwh: Numbers


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Truth:
    """What is there.

    Attributes:
        boxes: everything that is annotated.
        counts: (N,) bool, it is to be found: a pedestrian that is not marked as hidden.
        distracts: (N,) bool, it looks like one: whoever reports it is neither right nor wrong.
    """

    boxes: Identified
    counts: BoolArray
    distracts: BoolArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Found:
    """What a detector found.

    Attributes:
        frames: (N,) their numbers, from 1, never falling.
        ltwh: (N, 4) left, top, width, height in pixels.
        scores: (N,) 0..1.
    """

    frames: IntArray
    ltwh: Numbers
    scores: Numbers


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sequence:
    """A recording without its pictures.

    Attributes:
        name: of its folder.
        rate_hz: how many frames a second was recorded, before any were left out.
        looked: (F,) numbers of the frames that are looked at.
        size: width and height of its pictures, where that is known.
        found: detections.
        truth: what is there.
    """

    name: str
    rate_hz: float
    looked: IntArray
    size: tuple[int, int] | None
    found: Found
    truth: Truth

    def every(self, step: int) -> Sequence:
        """The same with frames 1, 1 + step, 1 + 2 step, … only, under their numbers."""
        found, truth, boxes = self.found, self.truth, self.truth.boxes
        seen, there = _at(found.frames, step), _at(boxes.frames, step)
        return replace(
            self,
            looked=self.looked[_at(self.looked, step)],
            found=Found(frames=found.frames[seen], ltwh=found.ltwh[seen], scores=found.scores[seen]),
            truth=Truth(
                boxes=Identified(frames=boxes.frames[there], ids=boxes.ids[there], ltwh=boxes.ltwh[there]),
                counts=truth.counts[there],
                distracts=truth.distracts[there],
            ),
        )


def rows_of(frames: IntArray, wanted: IntArray) -> list[slice]:
    """Which rows belong to each of the wanted frames; `frames` never falls."""
    starts, ends = np.searchsorted(frames, wanted, "left"), np.searchsorted(frames, wanted, "right")
    return [slice(start, end) for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]


def _at(frames: NDArray[Any], step: int) -> BoolArray:
    return np.asarray((frames - 1) % step == 0, np.bool_)
