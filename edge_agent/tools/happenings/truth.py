"""The truth as a tracker would give it that makes no mistake: what the rules are to say follows from it."""

from __future__ import annotations

import numpy as np

from edge_agent.records import Frame, Track, Tracks
from edge_agent.tools.tracking.rows import Truth, rows_of


class TrueTracks:
    """Who is there in each frame of a clip, confirmed from the first sight.

    Who is annotated again after a gap was there all the while, though nobody saw him: as a tracker has it that bridges
    every gap.

    Args:
        truth: with the frames of the clip, from 1, and boxes in its pixels.
        label: what everybody is.
    """

    def __init__(self, truth: Truth, label: str) -> None:
        self._label = label
        frames, ids = truth.boxes.frames[truth.counts], truth.boxes.ids[truth.counts]
        ltwh = truth.boxes.ltwh[truth.counts]
        self._last = {number: int(np.max(frames[ids == number])) for number in np.unique(ids).tolist()}
        boxes = np.concatenate([ltwh[:, :2], ltwh[:, :2] + ltwh[:, 2:]], axis=1)
        numbers = np.unique(frames)
        self._seen = {
            frame: list(zip(ids[rows].tolist(), boxes[rows].tolist(), strict=True))
            for frame, rows in zip(numbers.tolist(), rows_of(frames, numbers), strict=True)
        }
        self._live: dict[int, Track] = {}

    @property
    def last_frame(self) -> int:
        """The last frame that somebody is in; 0 when nobody ever is."""
        return max(self._last.values(), default=0)

    def at(self, frame: Frame) -> Tracks:
        """Who is there; frames are to be asked for in order, and none twice."""
        number = frame.seq + 1
        gone = tuple(track for track in self._live.values() if self._last[track.id] < number)
        for track in gone:
            del self._live[track.id]
        for track_id, (left, top, right, bottom) in self._seen.get(number, ()):
            known = self._live.get(track_id)
            self._live[track_id] = Track(
                id=track_id,
                label=self._label,
                box=(left, top, right, bottom),
                score=1.0,
                top_score=1.0,
                first_s=known.first_s if known else frame.at_s,
                seen_s=frame.at_s,
                confirmed=True,
                still_since_s=frame.at_s,
            )
        return Tracks(live=tuple(track for _id, track in sorted(self._live.items())), ended=gone)
