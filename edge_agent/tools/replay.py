"""A recorded clip through the stages of a camera: every frame, as fast as it goes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from edge_agent.pipeline import Pipeline, breaks_off
from edge_agent.records import Frame, Message


def begun_at(frames: Iterable[Frame], utc_ns: int) -> Iterator[Frame]:
    """Frames as if the first had been taken at a moment, nanoseconds since 1970, and the others as long after it."""
    later_ns: int | None = None
    for frame in frames:
        later_ns = utc_ns - frame.utc_ns if later_ns is None else later_ns
        yield replace(frame, utc_ns=frame.utc_ns + later_ns)


def replay(pipeline: Pipeline, frames: Iterable[Frame]) -> Iterator[tuple[Frame, tuple[Message, ...]]]:
    """Take every frame through a pipeline; what ends with the clip is said on its last frame."""
    held: tuple[Frame, tuple[Message, ...]] | None = None
    for frame in frames:
        over: tuple[Message, ...] = ()
        if held is not None:
            yield held
            over = pipeline.finish(held[0]) if breaks_off(held[0], frame.at_s, frame) else ()
        held = frame, (*over, *pipeline.step(frame))
    if held is not None:
        last, messages = held
        yield last, (*messages, *pipeline.finish(last))
