"""The pipeline thread of a camera: what is in force counts from the next frame on, and nobody looks while it is off."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from brokers import until
from builders import frame_of

from edge_agent.camera_line import Dial, Line
from edge_agent.edges.clock import SystemClock
from edge_agent.edges.latest import Latest
from edge_agent.edges.outbox import Outbox, OutboxSettings
from edge_agent.records import Frame, InForce, Message

ON = InForce(detect=True, threshold=0.4, rate_hz=5.0)
OFF = InForce(detect=False, threshold=0.4, rate_hz=5.0)


class Stages:
    """Stands in for a pipeline, and notes what it is told, in order."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def start(self) -> tuple[Message, ...]:
        return self._note("start")

    def adjust(self, in_force: InForce) -> None:
        self._note(in_force)

    def step(self, frame: Frame) -> tuple[Message, ...]:
        return self._note(frame.seq)

    def finish(self, last: Frame) -> tuple[Message, ...]:
        return self._note(f"finish {last.seq}")

    def rest(self, frame: Frame | None) -> None:
        self._note("no more" if frame is None else f"rest {frame.seq}")

    def _note(self, what: Any) -> tuple[Message, ...]:
        self.told.append(what)
        return ()


@contextmanager
def running(folder: Path, dial: Dial) -> Iterator[tuple[Stages, Latest[Frame]]]:
    stages, latest = Stages(), Latest[Frame]()
    with closing(Outbox(OutboxSettings(path=folder / "outbox.db"), SystemClock())) as outbox:
        parts: dict[str, Any] = dict.fromkeys(
            ("camera", "capture", "triggers", "looks", "filters", "tracker", "nuisance", "meter")
        )
        line = Line(
            **parts,
            dial=dial,
            latest=latest,
            pipeline=cast("Any", stages),
            outbox=outbox,
            clock=SystemClock(),
            beat=lambda: None,
        )
        thread = threading.Thread(target=line.run_pipeline)
        thread.start()
        try:
            yield stages, latest
        finally:
            latest.close()
            thread.join()


def show(latest: Latest[Frame], seq: int) -> None:
    """Show a frame, and wait until it was taken."""
    latest.put(frame_of(SystemClock().monotonic_s(), seq=seq))
    until(lambda: cast("Any", SimpleNamespace(value=latest._value)).value is None)  # noqa: SLF001


def test_what_is_in_force_is_told_before_the_first_frame_and_after_each_change_once(tmp_path: Path) -> None:
    dial = Dial(now=ON)
    slower = InForce(detect=True, threshold=0.4, rate_hz=1.0)
    with running(tmp_path, dial) as (stages, latest):
        show(latest, 0)
        show(latest, 1)
        until(lambda: 1 in stages.told)
        dial.now = slower
        show(latest, 2)
        until(lambda: 2 in stages.told)
    assert [one for one in stages.told if one != slower] == ["start", ON, 0, 1, 2, "finish 2"]
    assert stages.told.count(slower) == 1
    assert stages.told.index(slower) < stages.told.index(2)


def test_while_it_is_off_what_was_seen_is_over_and_frames_are_left_alone(tmp_path: Path) -> None:
    dial = Dial(now=ON)
    with running(tmp_path, dial) as (stages, latest):
        show(latest, 0)
        until(lambda: 0 in stages.told)
        dial.now = OFF
        until(lambda: "finish 0" in stages.told, "it ends without another frame, too")
        show(latest, 1)
        show(latest, 2)
        dial.now = ON
        show(latest, 3)
        until(lambda: 3 in stages.told)
    seen = [one for one in stages.told if not isinstance(one, InForce)]
    assert 1 not in seen
    either = {2, "rest 2"}  # it may just not be gone yet
    assert [one for one in seen if one not in either] == ["start", 0, "finish 0", "rest 1", 3, "finish 3"]


@pytest.mark.parametrize("frames", [0, 2])
def test_off_from_the_start_it_begins_all_the_same_and_ends_nothing(tmp_path: Path, frames: int) -> None:
    with running(tmp_path, Dial(now=OFF)) as (stages, latest):
        for seq in range(frames):
            show(latest, seq)
        until(lambda: stages.told)
    rested = [f"rest {seq}" for seq in range(frames)]
    assert [one for one in stages.told if one != OFF] == ["start", *rested, "no more"]
