"""Pictures to calibrate and measure a model with: some of many frames, as small as the model sees them.

Only these small pictures are kept, in memory, and none is written anywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from edge_agent.records import ByteArray, Frame

Picture = TypeVar("Picture")
"""A frame made small, in one form or several."""

LEAST_PICTURES = 8
"""Fewer show nothing of what a camera sees in a day."""

LIVE_EVERY_S = 1.0
"""How far apart pictures of a live camera are taken: nearer ones look alike."""

_CALIBRATES_EVERY = 3
"""Every third picture calibrates: ranges need fewer of them than a loss does to be told."""


def of_recording(frames: Iterable[Frame | None], picture: Callable[[Frame], Picture], most: int) -> list[Picture]:
    """At most so many pictures, spread evenly over all frames of a recording, whose number is not known before.

    Args:
        frames: all of it.
        picture: makes a frame small.
        most: how many to give; twice as many are kept meanwhile.
    """
    kept: list[Picture] = []
    step = 1
    for index, frame in enumerate(frame for frame in frames if frame is not None):
        if index % step:
            continue
        if len(kept) == 2 * most:
            kept, step = kept[::2], 2 * step
        if index % step == 0:
            kept.append(picture(frame))
    if len(kept) <= most:
        return kept
    return [kept[place * len(kept) // most] for place in range(most)]


def of_camera(frames: Iterable[Frame | None], picture: Callable[[Frame], Picture], most: int) -> Iterator[Picture]:
    """So many pictures of a live camera, `LIVE_EVERY_S` apart, or fewer where it ends before.

    Args:
        frames: as they come.
        picture: makes a frame small.
        most: how many to give.
    """
    given, next_s = 0, float("-inf")
    for frame in frames:
        if frame is None or frame.at_s < next_s:
            continue
        yield picture(frame)
        given, next_s = given + 1, frame.at_s + LIVE_EVERY_S
        if given == most:
            return


def parted(pictures: Sequence[ByteArray]) -> tuple[list[int], list[int]]:
    """Which pictures calibrate, and which judge: the others, unless they look just like one that calibrates.

    Args:
        pictures: as large as the configured model sees them. Too few of them, and there is neither.
    """
    if len(pictures) < LEAST_PICTURES:
        return [], []
    calibrating = list(range(0, len(pictures), _CALIBRATES_EVERY))
    seen = {pictures[place].tobytes() for place in calibrating}
    return calibrating, [place for place, one in enumerate(pictures) if one.tobytes() not in seen]
