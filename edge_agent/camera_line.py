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
from edge_agent.records import Frame
from edge_agent.stages.detect.filters import Filters
from edge_agent.stages.nuisance.map import NuisanceMap
from edge_agent.stages.track.tracker import Tracker

_TAKE_S = 1.0


@dataclass(kw_only=True)
class Line:
    """The parts of one camera, of which each can be asked how it does, and its pipeline thread."""

    camera: CameraSettings
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
        """Take frames through the pipeline until no more will come, then conclude."""
        self.outbox.put(self.pipeline.start())
        last = None
        while not self.latest.closed:
            frame = self.latest.take(_TAKE_S)
            if last is not None and breaks_off(last, frame.at_s if frame else self.clock.monotonic_s(), frame):
                self.outbox.put(self.pipeline.finish(last))
                last = None
            if frame is not None:
                self.outbox.put(self.pipeline.step(frame))
                last = frame.emptied()
            self.beat()
        if last is not None:
            self.outbox.put(self.pipeline.finish(last))

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
