"""Small builders of records: a test names what it is about, the rest is filled in."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edge_agent.records import Box, ByteArray, Detections, FloatArray, Frame, Track

LABELS = ("person", "car", "truck", "cow")
"""What the models of these tests tell apart."""

UTC_NS = 1_795_355_100_000_000_000
"""2026-11-22T13:45:00Z, the moment of a frame at 0 s."""


def boxes_of(*boxes: Box) -> FloatArray:
    """Boxes as (N, 4) float32, none included."""
    return np.array(boxes, np.float32).reshape(-1, 4)


def frame_of(
    at_s: float = 0.0, *, luma: ByteArray | None = None, seq: int = 0, size: tuple[int, int] = (160, 90)
) -> Frame:
    """A grey frame of a size (width, height), or one with that luma plane."""
    plane = np.full(size[::-1], 128, np.uint8) if luma is None else luma
    grey = np.full(((plane.shape[0] + 1) // 2, (plane.shape[1] + 1) // 2), 128, np.uint8)
    return Frame(
        luma=plane,
        chroma_blue=grey,
        chroma_red=grey,
        at_s=at_s,
        utc_ns=UTC_NS + round(at_s * 1e9),
        utc_synced=True,
        seq=seq,
    )


def coloured_frame(luma: int, blue: int, red: int, *, size: tuple[int, int] = (160, 90)) -> Frame:
    """A frame of a size (width, height) in one colour, given as Y, Cb and Cr."""
    width, height = size
    chroma_shape = ((height + 1) // 2, (width + 1) // 2)
    return Frame(
        luma=np.full((height, width), luma, np.uint8),
        chroma_blue=np.full(chroma_shape, blue, np.uint8),
        chroma_red=np.full(chroma_shape, red, np.uint8),
        at_s=0.0,
        utc_ns=UTC_NS,
        utc_synced=True,
        seq=0,
    )


def detections_of(*boxes: Box, label: str = "person", score: float = 0.8, strong: bool = True) -> Detections:
    """Boxes that are all of one label and alike in score."""
    return Detections(
        boxes=boxes_of(*boxes),
        scores=np.full(len(boxes), score, np.float32),
        label_ids=np.full(len(boxes), LABELS.index(label), np.int64),
        strong=np.full(len(boxes), strong, np.bool_),
        label_names=LABELS,
    )


def joined(parts: Sequence[Detections]) -> Detections:
    """The boxes of several detections in one."""
    return Detections(
        boxes=np.concatenate([part.boxes for part in parts]),
        scores=np.concatenate([part.scores for part in parts]),
        label_ids=np.concatenate([part.label_ids for part in parts]),
        strong=np.concatenate([part.strong for part in parts]),
        label_names=LABELS,
    )


def track_of(  # noqa: PLR0913  (a track has that many sides, and a test names only those it is about)
    track_id: int = 1,
    *,
    label: str = "person",
    box: Box = (40.0, 30.0, 60.0, 80.0),
    first_s: float = 0.0,
    seen_s: float = 0.0,
    confirmed: bool = True,
    score: float = 0.8,
    top_score: float = 0.9,
    stationary: bool = False,
    still_since_s: float = 0.0,
) -> Track:
    """A track that is confirmed unless told otherwise."""
    return Track(
        id=track_id,
        label=label,
        box=box,
        score=score,
        top_score=top_score,
        first_s=first_s,
        seen_s=seen_s,
        confirmed=confirmed,
        stationary=stationary,
        still_since_s=still_since_s,
    )
