"""Durations of stages, threads that fall silent, and machines that are too slow."""

from __future__ import annotations

import pytest
from fakes import FakeClock
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.health import (
    OVERLOAD_BEGINS_S,
    OVERLOAD_ENDS_S,
    TOLERATED,
    WINDOW_S,
    Load,
    Meter,
    Progress,
    Tally,
    percentile_ms,
)


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


class Machine:
    """Counts what a test says, second by second, as the main thread does."""

    def __init__(self, places: int = 2) -> None:
        self.clock = FakeClock(monotonic_s=50.0, utc_ns=0)
        self.load = Load(places, self.clock.utc_ns)
        self.taken_s = 0.0
        self.wanted = {"front": 0, "yard": 0}
        self.given_up = {"front": 0, "yard": 0}
        self._note()

    def passes(self, seconds: int, *, wanted: int = 0, given_up: int = 0, taken_s: float = 0.0) -> list[float]:
        """Let seconds pass in which so much was counted for the camera in front; when did it change its mind?"""
        changed_s = []
        for _ in range(seconds):
            self.clock.advance(1.0)
            self.taken_s += taken_s
            self.wanted["front"] += wanted
            self.given_up["front"] += given_up
            if self._note():
                changed_s.append(self.clock.now_s - 50.0)
        return changed_s

    def _note(self) -> bool:
        looks = {name: Tally(wanted=self.wanted[name], given_up=self.given_up[name]) for name in self.wanted}
        return self.load.note(self.clock.now_s, self.taken_s, looks)


def test_how_busy_the_model_is_is_the_part_of_its_places_that_was_taken_lately() -> None:
    machine = Machine(places=2)
    assert machine.load.busy == 0.0
    machine.passes(5, taken_s=2.0)
    assert machine.load.busy == 1.0
    machine.passes(5, taken_s=0.5)
    assert machine.load.busy == pytest.approx((5 * 2.0 + 5 * 0.5) / (2 * 10))
    machine.passes(round(WINDOW_S), taken_s=0.5)
    assert machine.load.busy == pytest.approx(0.25)


def test_an_overload_begins_after_a_while_and_is_over_after_a_longer_one() -> None:
    machine = Machine()
    assert machine.passes(20, wanted=10, given_up=0) == []
    # Of 100 looks in 10 s two seconds give up 10, which is tolerated: at 22 s all is well for the last time.
    assert machine.passes(40, wanted=10, given_up=5) == [22 + OVERLOAD_BEGINS_S]
    assert machine.load.overloaded
    assert machine.load.since_utc_ns == (22 + OVERLOAD_BEGINS_S) * 1e9
    # It is bad for the last time at 69 s, with one second of 5 and nine of 1 in the window.
    assert machine.passes(60, wanted=10, given_up=1) == [69 + OVERLOAD_ENDS_S]
    assert not machine.load.overloaded
    assert machine.load.since_utc_ns == (69 + OVERLOAD_ENDS_S) * 1e9


def test_a_burst_is_no_overload_and_a_pause_ends_none() -> None:
    machine = Machine()
    assert machine.passes(5, wanted=200, given_up=180) == []  # forty cameras begin at once
    assert machine.passes(60, wanted=10, given_up=0) == []
    assert len(machine.passes(30, wanted=10, given_up=5)) == 1
    assert machine.passes(25, wanted=0, given_up=0) == []
    assert machine.passes(60, wanted=10, given_up=5) == []
    assert machine.load.overloaded


def test_what_is_tolerated_is_no_overload() -> None:
    machine = Machine()
    assert machine.passes(100, wanted=100, given_up=round(100 * TOLERATED)) == []
    assert len(machine.passes(100, wanted=100, given_up=round(100 * TOLERATED) + 1)) == 1


def test_it_tells_what_was_given_up_lately_camera_by_camera() -> None:
    machine = Machine()
    machine.passes(30, wanted=10, given_up=3)
    assert machine.load.lately() == {"front": Tally(wanted=100, given_up=30), "yard": Tally(wanted=0, given_up=0)}


@given(st.lists(st.tuples(st.integers(1, 40), st.integers(0, 10)), max_size=20))
def test_an_overload_lasts_as_long_as_it_takes_to_end_one(spells: list[tuple[int, int]]) -> None:
    machine, changed_s = Machine(), []
    for seconds, given_up in spells:
        changed_s += machine.passes(seconds, wanted=10, given_up=given_up)
    for began_s, over_s in zip(changed_s[::2], changed_s[1::2], strict=False):
        assert over_s - began_s >= OVERLOAD_ENDS_S
    for over_s, began_s in zip(changed_s[1::2], changed_s[2::2], strict=False):
        assert began_s - over_s >= OVERLOAD_BEGINS_S
    assert machine.load.overloaded is (len(changed_s) % 2 == 1)


def test_a_percentile_is_in_milliseconds() -> None:
    assert percentile_ms([0.001, 0.003], 50) == 2.0
