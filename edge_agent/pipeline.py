"""The straight line of one camera: a frame goes in on the left, messages come out on the right."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from edge_agent.records import Count, Detections, Event, Frame, Message, Motion, Tracks


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
        encode_motion: the bytes that say whether something moves.
    """

    observe: Callable[[Frame], Motion]
    detect: Callable[[Frame], Detections]
    update: Callable[[Detections | None, float], Tracks]
    evaluate: Callable[[Tracks, Frame], Sequence[Event | Count]]
    conclude: Callable[[Frame], Sequence[Event | Count]]
    encode: Callable[[Event | Count], Message]
    encode_motion: Callable[[Motion], Message]

    def step(self, frame: Frame) -> tuple[Message, ...]:
        """Take one frame through all stages."""
        motion = self.observe(frame)
        found = self.detect(frame) if motion.look else None
        tracks = self.update(found, frame.at_s)
        said = self.evaluate(tracks, frame)
        states = (self.encode_motion(motion),) if motion.changed else ()
        return (*states, *map(self.encode, said))

    def finish(self, last: Frame) -> tuple[Message, ...]:
        """No frame comes after this one: everything that is present ends."""
        return tuple(map(self.encode, self.conclude(last)))
