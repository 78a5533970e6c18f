"""A clip through the agent, and its truth through the same rules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from edge_agent.errors import ConfigError
from edge_agent.pipeline import Pipeline
from edge_agent.records import Frame, Said, Tracks
from edge_agent.tools.happenings.happening import Happening, Listener
from edge_agent.tools.happenings.truth import TrueTracks
from edge_agent.tools.replay import replay


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What happened in a clip.

    Attributes:
        expected: by its truth.
        said: by the agent.
    """

    expected: tuple[Happening, ...]
    said: tuple[Happening, ...]


def listen(
    pipeline: Pipeline, reference: Pipeline, truth: TrueTracks, label: str, frames: Iterable[Frame], *, every: int = 1
) -> Heard:
    """Replay a clip, and say what happened.

    Args:
        pipeline: the agent's; it is given every so manieth frame.
        reference: another of the same settings, whose rules are shown the truth, in all frames.
        truth: who is there.
        label: of whom that speaks.
        frames: the clip's, all of them.
        every: 1 for each frame, 2 for every second one from the first.

    Raises:
        ConfigError: the truth goes on after the clip.
        SourceError: the clip cannot be read.
    """
    expected: list[Happening] = []
    said: list[Happening] = []
    true_ear, ear = Listener(label), Listener(label)
    last: Frame | None = None

    def beside(all_frames: Iterable[Frame]) -> Iterator[Frame]:
        nonlocal last
        for frame in all_frames:
            last = frame.emptied()
            expected.extend(true_ear.hear(reference.evaluate(truth.at(last), last)))
            if frame.seq % every == 0:
                yield frame

    def evaluate(tracks: Tracks, frame: Frame) -> Sequence[Said]:
        found = pipeline.evaluate(tracks, frame)
        said.extend(ear.hear(found))
        return found

    def conclude(frame: Frame) -> Sequence[Said]:
        found = pipeline.conclude(frame)
        said.extend(ear.hear(found))
        return found

    for _frame, _messages in replay(replace(pipeline, evaluate=evaluate, conclude=conclude), beside(frames)):
        pass
    if last is not None:
        expected.extend(true_ear.hear(reference.conclude(last)))
    count = 0 if last is None else last.seq + 1
    if truth.last_frame > count:
        raise ConfigError(f"the truth goes on to frame {truth.last_frame}, and the clip has {count}: is it another's?")
    return Heard(expected=tuple(expected), said=tuple(said))
