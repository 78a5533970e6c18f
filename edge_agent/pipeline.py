"""The straight line of one camera: a frame goes in on the left, messages come out on the right."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from edge_agent.records import Detections, Frame, InForce, Message, Motion, Moving, Said, Step, Tracks

LONGEST_SILENCE_S = 30.0
"""After so long without a frame, who is seen then is not taken for who was seen before."""


def breaks_off(last: Frame, at_s: float, following: Frame | None) -> bool:
    """Whether what was seen until `last` is over at `at_s`: a long silence, or pictures of another size."""
    if at_s - last.at_s > LONGEST_SILENCE_S:
        return True
    return following is not None and (following.width, following.height) != (last.width, last.height)


@dataclass(frozen=True, kw_only=True)
class Pipeline:
    """The stages of one camera, each by its one verb.

    Attributes:
        adjust: the detector, the gate and whoever else goes by it: what is in force now?
        blank: what is masked is taken out of a frame, before all else.
        begin: the rules: what is true before anything was seen?
        observe: the gate: does something move, and should the detector look?
        detect: the detector, when it is its turn: what is in the picture, and, closer, where something moves? None is
            "not looked".
        sift: the box filters: which of it can be what it is taken for?
        update: the tracker: which of it is what was there before?
        note: the nuisance map: does a place cry wolf? It changes nothing of what is said.
        forget: the gate, the tracker and the map once more: what moved and what was there is over.
        evaluate: the rules: what is there to say?
        conclude: the rules once more: what is there to say when nothing more will come?
        trace: the trail: what is kept of it, should somebody ask why? It changes nothing of what is said either.
        rest: the trail, too: a frame has come at which nobody is to look; None when no more will come.
        encode: the bytes that say it.
    """

    adjust: Callable[[InForce], None]
    blank: Callable[[Frame], Frame]
    begin: Callable[[], Sequence[Said]]
    observe: Callable[[Frame], Motion]
    detect: Callable[[Frame, Motion], Detections | None]
    sift: Callable[[Detections, Frame], Detections]
    update: Callable[[Detections | None, float, Motion, Frame], Tracks]
    note: Callable[[Tracks, Frame], None]
    forget: Callable[[], None]
    evaluate: Callable[[Tracks, Frame], Sequence[Said]]
    conclude: Callable[[Frame], Sequence[Said]]
    trace: Callable[[Step], None]
    rest: Callable[[Frame | None], None]
    encode: Callable[[Said], Message]

    def start(self) -> tuple[Message, ...]:
        """No frame has come yet: nothing moves and nothing is present, whatever an earlier run left as retained."""
        return tuple(map(self.encode, (Moving(value=False), *self.begin())))

    def step(self, frame: Frame) -> tuple[Message, ...]:
        """Take one frame through all stages."""
        frame = self.blank(frame)
        motion = self.observe(frame)
        found = self.detect(frame, motion) if motion.look else None
        kept = self.sift(found, frame) if found is not None else None
        tracks = self.update(kept, frame.at_s, motion, frame)
        self.note(tracks, frame)
        said = self.evaluate(tracks, frame)
        self.trace(Step(frame=frame, motion=motion, found=found, kept=kept, tracks=tracks, said=said))
        if motion.changed:
            said = (Moving(value=motion.moving), *said)
        return tuple(map(self.encode, said))

    def finish(self, last: Frame) -> tuple[Message, ...]:
        """Nothing more is seen, or not for long: nothing moves any more, and everything that is present ends."""
        self.forget()
        said = self.conclude(last)
        self.trace(Step(frame=last, motion=None, found=None, kept=None, tracks=Tracks(live=()), said=said))
        return tuple(map(self.encode, (Moving(value=False), *said)))
