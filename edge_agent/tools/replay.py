"""A recorded clip through the stages of a camera: every frame, as fast as it goes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from edge_agent.pipeline import Pipeline
from edge_agent.records import Frame, Message


def replay(pipeline: Pipeline, frames: Iterable[Frame]) -> Iterator[tuple[Frame, tuple[Message, ...]]]:
    """Take every frame through a pipeline; the last comes twice, the second time with what ends with the clip."""
    last = None
    for frame in frames:
        yield frame, pipeline.step(frame)
        last = frame
    if last is not None:
        yield last, pipeline.finish(last)
