"""The straight line of one camera: a frame goes in on the left, messages come out on the right."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from edge_agent.records import Detections, Frame, Message, Motion, Moving, Said, Tracks


@dataclass(frozen=True, kw_only=True)
class Pipeline:
    """The stages of one camera, each by its one verb.

    Attributes:
        observe: the gate: does something move, and should the detector look?
        detect: the detector: what is in the picture?
        update: the tracker: which of it is what was there before? None means "not looked".
        evaluate: the rules: what is there to say?
        conclude: the rules once more: what is there to say when nothing more will come?
        encode: the bytes that say it.
    """

    observe: Callable[[Frame], Motion]
    detect: Callable[[Frame], Detections]
    update: Callable[[Detections | None, float], Tracks]
    evaluate: Callable[[Tracks, Frame], Sequence[Said]]
    conclude: Callable[[Frame], Sequence[Said]]
    encode: Callable[[Said], Message]

    def step(self, frame: Frame) -> tuple[Message, ...]:
        """Take one frame through all stages."""
        motion = self.observe(frame)
        found = self.detect(frame) if motion.look else None
        tracks = self.update(found, frame.at_s)
        said = self.evaluate(tracks, frame)
        if motion.changed:
            said = (Moving(value=motion.moving), *said)
        return tuple(map(self.encode, said))

    def finish(self, last: Frame) -> tuple[Message, ...]:
        """No frame comes after this one: nothing moves any more, and everything that is present ends."""
        return tuple(map(self.encode, (Moving(value=False), *self.conclude(last))))
