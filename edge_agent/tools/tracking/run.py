"""The agent's own tracker on the detections of a sequence, in the order and at the times of a camera."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from edge_agent.edges.inference import ModelSettings
from edge_agent.records import Detections, IntArray, Tracks
from edge_agent.stages.detect.detector import DetectSettings
from edge_agent.stages.track.tracker import Tracker, TrackSettings
from edge_agent.tools.tracking.rows import Identified, Numbers, Sequence, rows_of

LABEL = "person"
DECIMALS = 3
"""Of a pixel, in what is reported: what is measured here is what stands in a file."""

Update = Callable[[Detections, float], Tracks]
"""A tracker: the boxes of a frame and its time in seconds, to what is known then."""


def run_tracker(sequence: Sequence, settings: TrackSettings | None = None) -> Identified:
    """What our tracker reports of a sequence, with its default settings unless others are given."""
    return follow(sequence, Tracker(settings or TrackSettings()).update)


def follow(sequence: Sequence, update: Update) -> Identified:
    """What a tracker reports of a sequence: in each frame the tracks that are established and were seen in it."""
    frames, ids, boxes = [], [], []
    for frame, rows in zip(sequence.looked.tolist(), rows_of(sequence.found.frames, sequence.looked), strict=True):
        at_s = (frame - 1) / sequence.rate_hz
        found = detections(sequence.found.ltwh[rows], sequence.found.scores[rows])
        for track in update(found, at_s).live:
            if track.established and track.seen_s == at_s:
                frames.append(frame)
                ids.append(track.id)
                boxes.append(track.box)
    return identified(np.array(frames, np.int64), np.array(ids, np.int64), np.array(boxes, np.float64).reshape(-1, 4))


def identified(frames: IntArray, ids: IntArray, boxes: Numbers) -> Identified:
    """What was reported, as it would stand in a file.

    Args:
        frames: (N,) numbers, never falling.
        ids: (N,).
        boxes: (N, 4) xyxy pixels.
    """
    ltwh = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
    return Identified(frames=frames, ids=ids, ltwh=np.round(ltwh, DECIMALS))


def detections(ltwh: Numbers, scores: Numbers) -> Detections:
    """What the detector would give of the boxes (N, 4) of one frame: the best first, and no further down than weak."""
    threshold = ModelSettings().threshold
    order = np.argsort(-scores, kind="stable")
    order = order[(scores[order] >= threshold * DetectSettings().weak) & (ltwh[order, 2:] > 0).all(axis=1)]
    kept, sizes = scores[order].astype(np.float32), ltwh[order]
    return Detections(
        boxes=np.concatenate([sizes[:, :2], sizes[:, :2] + sizes[:, 2:]], axis=1).astype(np.float32),
        scores=kept,
        label_ids=np.zeros(len(order), np.int64),
        strong=kept >= np.float32(threshold),
        label_names=(LABEL,),
    )
