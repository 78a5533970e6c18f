"""Durations of stages, and threads that fall silent."""

from __future__ import annotations

import pytest
from fakes import FakeClock

from edge_agent.health import Meter, Progress


@pytest.mark.parametrize(
    ("durations_ms", "median_ms", "p99_ms"),
    [
        ([7], 7.0, 7.0),
        ([1, 3], 2.0, 2.98),  # linear between neighbours: 1 + .5 * 2, 1 + .99 * 2
        (list(range(1, 102)), 51.0, 100.0),  # of 101 values, the 50th and the 99th after the first
    ],
)
def test_a_meter_says_the_median_and_the_99th_percentile(
    durations_ms: list[int], median_ms: float, p99_ms: float
) -> None:
    clock = FakeClock()
    meter = Meter(clock.monotonic_s)
    slow = meter.timed("detect", lambda ms: clock.advance(ms / 1000))
    for duration_ms in durations_ms:
        slow(duration_ms)
    assert meter.snapshot() == {"detect": {"calls": len(durations_ms), "p50_ms": median_ms, "p99_ms": p99_ms}}


def test_a_meter_hands_on_what_the_call_takes_and_gives() -> None:
    meter = Meter(FakeClock().monotonic_s)
    assert meter.timed("divide", divmod)(7, 3) == (2, 1)


def test_a_meter_says_nothing_of_a_stage_that_has_not_run() -> None:
    meter = Meter(FakeClock().monotonic_s)
    meter.timed("detect", lambda: None)
    assert meter.snapshot() == {}


def test_a_meter_keeps_stages_apart_and_forgets_old_durations() -> None:
    clock = FakeClock()
    meter = Meter(clock.monotonic_s)
    gate = meter.timed("gate", lambda: clock.advance(0.001))
    detect = meter.timed("detect", lambda ms: clock.advance(ms / 1000))
    gate()
    detect(5000)
    for _ in range(512):  # as many as it keeps: the first is out
        detect(10)
    assert meter.snapshot() == {
        "gate": {"calls": 1, "p50_ms": 1.0, "p99_ms": 1.0},
        "detect": {"calls": 513, "p50_ms": 10.0, "p99_ms": 10.0},
    }


def test_a_call_that_fails_is_not_measured_and_its_error_is_not_swallowed() -> None:
    meter = Meter(FakeClock().monotonic_s)
    divide = meter.timed("detect", divmod)
    with pytest.raises(ZeroDivisionError):
        divide(1, 0)
    assert meter.snapshot() == {}


def test_a_thread_is_silent_only_after_more_than_its_limit() -> None:
    clock = FakeClock(monotonic_s=0.0)
    progress = Progress(clock.monotonic_s)
    beat = progress.watch("capture", 10.0)
    clock.advance(10.0)
    assert progress.silent() == {}
    clock.advance(0.5)
    assert progress.silent() == {"capture": 10.5}
    beat()
    assert progress.silent() == {}


def test_every_thread_has_a_limit_of_its_own_and_beats_for_itself() -> None:
    clock = FakeClock(monotonic_s=0.0)
    progress = Progress(clock.monotonic_s)
    progress.watch("capture", 60.0)
    beat_deliver = progress.watch("deliver", 5.0)
    progress.watch("pipeline", 5.0)
    clock.advance(4.0)
    beat_deliver()
    clock.advance(4.0)
    assert progress.silent() == {"pipeline": 8.0}


def test_a_thread_that_ended_as_it_should_is_not_missed() -> None:
    clock = FakeClock()
    progress = Progress(clock.monotonic_s)
    progress.watch("capture", 1.0)
    progress.forget("capture")
    progress.forget("never watched")
    clock.advance(100.0)
    assert progress.silent() == {}
