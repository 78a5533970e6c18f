"""What is remembered of one object beside its motion: when it was seen, how well, and whether it is real."""

from __future__ import annotations

import statistics
from collections import deque

from edge_agent.records import Box, Track

_SCORES = 64
"""How many looks the median goes back; bounded, for an object may stay for days."""

LONGEST_MISS_S = 1.0
"""A miss counts for the time since the look before it, but never more than this.

While nothing moves, looks are many seconds apart; one of them that misses a parked car must not end it.
"""

_UNCONFIRMED_PART = 0.25
"""An object that is not confirmed yet is forgotten after this part of the memory."""


class Life:
    """One object's life so far. It is the tracker's own and is changed in place; `record` makes what others see.

    Args:
        track_id: its number.
        label: what it is.
        box: xyxy pixels.
        score: of the detection that began it.
        at_s: when that was.
    """

    def __init__(self, *, track_id: int, label: str, box: Box, score: float, at_s: float) -> None:
        self.track_id = track_id
        self.label = label
        self.confirmed = False
        self.missed_s = 0.0
        self._missed_looks = 0
        self._box = box
        self._scores = deque([score], _SCORES)
        self._median_score = score
        self._top_score = score
        self._hits = 1
        self._first_s = self._seen_s = at_s

    def hit(self, box: Box, score: float, at_s: float) -> None:
        """It was found."""
        self._box = box
        self._note([0.0] * min(self._missed_looks, _SCORES) + [score])
        self._missed_looks = 0
        self._top_score = max(self._top_score, score)
        self._hits += 1
        self._seen_s = at_s
        self.missed_s = 0.0

    def miss(self, since_last_look_s: float) -> None:
        """It was looked for and not found; that lowers its median only if it is found again, else it just left."""
        self._missed_looks += 1
        self.missed_s += min(since_last_look_s, LONGEST_MISS_S)

    def judge(self, confirm_hits: int, confirm_score: float) -> None:
        """Confirm it if it was found often and well enough; what is confirmed stays so."""
        if self._hits >= confirm_hits and self._median_score >= confirm_score:
            self.confirmed = True

    def is_over(self, memory_s: float) -> bool:
        """Whether it was missed for so long that it has gone."""
        return self.missed_s >= memory_s * (1 if self.confirmed else _UNCONFIRMED_PART)

    def record(self) -> Track:
        """What others see."""
        return Track(
            id=self.track_id,
            label=self.label,
            box=self._box,
            score=self._median_score,
            top_score=self._top_score,
            first_s=self._first_s,
            seen_s=self._seen_s,
            confirmed=self.confirmed,
        )

    def _note(self, scores: list[float]) -> None:
        self._scores.extend(scores)
        self._median_score = statistics.median(self._scores)
