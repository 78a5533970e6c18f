"""One camera as the daemon runs it: capture on the left of `latest`, the pipeline on its right."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from edge_agent import reports
from edge_agent.config import CameraSettings
from edge_agent.edges.clock import Clock
from edge_agent.edges.latest import Latest
from edge_agent.edges.outbox import Outbox
from edge_agent.edges.sources.supervised import Capture
from edge_agent.edges.triggers.trigger import Triggers
from edge_agent.edges.turns import Looks
from edge_agent.health import Meter
from edge_agent.pipeline import Pipeline, breaks_off
from edge_agent.records import Frame, InForce
from edge_agent.stages.detect.filters import Filters
from edge_agent.stages.nuisance.map import NuisanceMap
from edge_agent.stages.track.tracker import Tracker

_TAKE_S = 1.0


@dataclass(kw_only=True)
class Dial:
    """What is in force for a camera: one thread replaces it, any other may look."""

    now: InForce


@dataclass(kw_only=True)
class Line:
    """The parts of one camera, of which each can be asked how it does, and its pipeline thread."""

    camera: CameraSettings
    dial: Dial
    capture: Capture
    triggers: Triggers
    looks: Looks
    latest: Latest[Frame]
    filters: Filters
    tracker: Tracker
    nuisance: NuisanceMap
    pipeline: Pipeline
    meter: Meter
    outbox: Outbox
    clock: Clock
    beat: Callable[[], None]

    def run_pipeline(self) -> None:
        """Take frames through the pipeline until no more will come, then conclude.

        While nobody is to look, frames are taken and left at that: what was seen before is over.
        """
        self.outbox.put(self.pipeline.start())
        last, adjusted = None, None
        while not self.latest.closed:
            frame = self.latest.take(_TAKE_S)
            in_force = self.dial.now
            if in_force is not adjusted:
                self.pipeline.adjust(in_force)
                adjusted = in_force
            is_over = last is not None and (not in_force.detect or self._breaks_off(last, frame))
            if last is not None and is_over:
                self.outbox.put(self.pipeline.finish(last))
                last = None
            if frame is not None and in_force.detect:
                self.outbox.put(self.pipeline.step(frame))
                last = frame.emptied()
            elif frame is not None:
                self.pipeline.rest(frame.emptied())
            self.beat()
        if last is not None:
            self.outbox.put(self.pipeline.finish(last))
        else:
            self.pipeline.rest(None)

    def _breaks_off(self, last: Frame, frame: Frame | None) -> bool:
        return breaks_off(last, frame.at_s if frame else self.clock.monotonic_s(), frame)

    def health(self) -> dict[str, Any]:
        """How it does, for the health report."""
        return reports.camera_health(
            self.capture.status(),
            self.triggers.status(),
            self.looks.status(),
            self.meter,
            taken=self.filters.taken,
            scene=self.tracker.scene,
            learnt=self.nuisance.learnt,
        )
