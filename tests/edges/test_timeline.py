"""When pictures were taken, by a camera's clock and ours, and the same for people."""

from __future__ import annotations

import itertools
import math

import pytest
from builders import UTC_NS
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.edges.sources.timeline import LiveTimeline, UtcTimeline

STEP_S = 0.1
DELAY_S = 0.05
"""Of a packet that nothing held up."""


def run(*pairs: tuple[float | None, float]) -> list[float]:
    """What a new timeline makes of stamps and arrivals."""
    timeline = LiveTimeline()
    return [timeline.at_s(stamp_s, arrived_s) for stamp_s, arrived_s in pairs]


def distances(at_s: list[float]) -> list[float]:
    return [later - earlier for earlier, later in itertools.pairwise(at_s)]


# LiveTimeline


def test_the_first_picture_was_taken_when_it_came() -> None:
    assert run((7000.0, 12.5)) == [12.5]


def test_packets_that_were_held_up_keep_their_true_distance() -> None:
    late_s = [0.0, 0.0, 0.3, 0.8, 0.1, 0.0, 0.6]
    at_s = run(*((index * STEP_S, 500 + index * STEP_S + late) for index, late in enumerate(late_s)))
    # Each time the clock may be found slow by a thousandth of what has passed, and the next in time takes it back.
    assert distances(at_s) == pytest.approx([STEP_S] * 6, abs=6 * STEP_S / 1000)
    assert at_s[-1] == pytest.approx(500.6, abs=0.001)


def test_packets_that_come_in_a_burst_after_a_hole_keep_their_true_distance() -> None:
    on_time = [(index * STEP_S, 500 + index * STEP_S) for index in range(10)]
    burst = [(index * STEP_S, 503.0 + index * 0.001) for index in range(10, 30)]  # all at once, up to 2 s late
    assert distances(run(*on_time, *burst)) == pytest.approx([STEP_S] * 29, abs=STEP_S / 1000 + 1e-9)


def test_a_first_picture_that_came_late_is_found_out_by_those_that_come_sooner() -> None:
    # The first was 1 s late, the next are less and less so: where they stand follows from the least late.
    at_s = run((0.0, 501.0), *((index * STEP_S, 501.0) for index in range(1, 11)), (1.1, 501.1), (1.2, 501.2))
    assert at_s[:11] == pytest.approx([501.0] * 11)
    assert at_s[11:] == pytest.approx([501.1, 501.2])


def test_a_picture_that_is_shown_before_one_that_came_earlier_stands_before_it() -> None:
    at_s = run((0.0, 500.0), (0.3, 500.1), (0.1, 500.2), (0.2, 500.3), (0.6, 500.4), (0.4, 500.5), (0.5, 500.6))
    shown = [at_s[index] for index in (0, 2, 3, 1, 5, 6, 4)]
    # The second came 0.2 s before it is shown, and the fifth as well: all but the first stand that much earlier.
    assert shown[1:] == pytest.approx([499.9, 500.0, 500.1, 500.2, 500.3, 500.4], abs=1e-6)


@pytest.mark.parametrize("jump_s", [-3600.0, -6.0, 6.0, 3600.0, 1e6])
def test_where_the_camera_s_clock_jumps_the_arrival_counts(jump_s: float) -> None:
    before = [(1e6 + index * STEP_S, 500 + index * STEP_S) for index in range(10)]
    after = [(1e6 + index * STEP_S + jump_s, 500 + index * STEP_S) for index in range(10, 20)]
    assert run(*before, *after) == pytest.approx([500 + index * STEP_S for index in range(20)])


def test_after_a_long_hole_the_arrival_counts() -> None:
    at_s = run((0.0, 500.0), (0.1, 500.1), (10.0, 513.0), (10.1, 513.1))
    assert at_s == pytest.approx([500.0, 500.1, 513.0, 513.1], abs=1e-6)


def test_a_small_jump_forward_makes_nothing_later_than_it_came() -> None:
    pairs = [(index * STEP_S + (index > 9) * 2.0, 500 + index * STEP_S) for index in range(20)]
    assert run(*pairs) == pytest.approx([arrived_s for _stamp_s, arrived_s in pairs])


def test_without_a_stamp_the_arrival_counts_and_stamps_count_again_when_they_come() -> None:
    assert run((None, 500.0), (None, 500.2), (90.0, 500.3), (90.1, 500.9), (None, 501.0)) == pytest.approx(
        [500.0, 500.2, 500.3, 500.4, 501.0], abs=0.001
    )


@pytest.mark.parametrize("drift", [-0.001, -0.0002, 0.0, 0.0002, 0.00099])
def test_a_clock_that_runs_fast_or_slow_by_a_thousandth_is_followed_for_hours(drift: float) -> None:
    # `drift`: how much too slow the camera's clock runs.
    count = 100_000  # 2.8 hours; ±10 s at the end
    at_s = run(*((index * STEP_S * (1 - drift), 500 + index * STEP_S) for index in range(count)))
    assert all(500 + index * STEP_S - moment < 0.02 for index, moment in enumerate(at_s))


def test_a_clock_that_is_none_is_not_followed_for_long() -> None:
    pairs = [(index * STEP_S * 0.95, 500 + index * STEP_S) for index in range(3000)]  # 5 % slow: 15 s at the end
    late_s = [arrived_s - moment for (_, arrived_s), moment in zip(pairs, run(*pairs), strict=True)]
    assert max(late_s) <= 1.5  # half a second in a window of ten, and half another until the next has passed


def test_a_camera_whose_clock_is_set_back_a_little_is_believed_again_after_a_while() -> None:
    pairs = [(index * STEP_S - (2.0 if index >= 300 else 0.0), 500 + index * STEP_S) for index in range(900)]
    late_s = [arrived_s - moment for (_, arrived_s), moment in zip(pairs, run(*pairs), strict=True)]
    assert max(late_s[:300]) < 0.02
    back = next(index for index in range(310, 900) if late_s[index] < 0.02)
    assert (back - 300) * STEP_S <= 20.0  # two windows
    assert max(late_s[back:]) < 0.02


PAIRS = st.lists(
    st.tuples(st.one_of(st.none(), st.floats(-1e5, 1e5), st.floats(0, 3)), st.floats(0, 8)), min_size=1, max_size=30
)


@given(PAIRS)
def test_nothing_was_taken_later_than_it_came(pairs: list[tuple[float | None, float]]) -> None:
    arrivals = list(itertools.accumulate(passed_s for _stamp_s, passed_s in pairs))
    at_s = run(*((stamp_s, arrived_s) for (stamp_s, _), arrived_s in zip(pairs, arrivals, strict=True)))
    assert all(moment <= arrived_s + 1e-9 for moment, arrived_s in zip(at_s, arrivals, strict=True))


@given(st.lists(st.tuples(st.floats(0, 20), st.floats(0, 8), st.booleans()), min_size=1, max_size=30))
def test_stamps_in_order_never_go_back(steps: list[tuple[float, float, bool]]) -> None:
    stamps = itertools.accumulate(stamp_s for stamp_s, _, _ in steps)
    arrivals = itertools.accumulate(arrived_s for _, arrived_s, _ in steps)
    known = (None if lost else stamp_s for stamp_s, (_, _, lost) in zip(stamps, steps, strict=True))
    at_s = run(*zip(known, arrivals, strict=True))
    assert min(distances(at_s), default=math.inf) >= -1e-9


# UtcTimeline


def test_the_time_between_two_readings_puts_nothing_out_of_order() -> None:
    timeline = UtcTimeline()
    between_ns = [0, 900_000, 4_000_000, 100_000, 2_500_000]  # from reading the one clock to reading the other
    utc_ns = [
        timeline.at_ns(index * STEP_S, index * STEP_S + DELAY_S, UTC_NS + round((index * STEP_S + DELAY_S) * 1e9) + ns)
        for index, ns in enumerate(between_ns)
    ]
    assert utc_ns == [UTC_NS + index * 100_000_000 for index in range(5)]


@pytest.mark.parametrize("set_by_ns", [-3_600_000_000_000, -6_000_000, 6_000_000, 50 * 365 * 86_400_000_000_000])
def test_a_clock_that_is_set_shows(set_by_ns: int) -> None:
    timeline = UtcTimeline()
    assert timeline.at_ns(99.9, 100.0, UTC_NS) == UTC_NS - 100_000_000
    assert timeline.at_ns(100.9, 101.0, UTC_NS + 1_000_000_000 + set_by_ns) == UTC_NS + 900_000_000 + set_by_ns
    assert timeline.at_ns(101.9, 102.0, UTC_NS + 2_000_000_000 + set_by_ns) == UTC_NS + 1_900_000_000 + set_by_ns


def test_a_clock_that_is_slewed_is_followed() -> None:
    timeline = UtcTimeline()
    for index in range(1000):  # 0.5 ms a second, as a time daemon does
        utc_ns = UTC_NS + round(index * 1e9) + index * 500_000
        assert abs(timeline.at_ns(float(index), float(index), utc_ns) - utc_ns) <= 5_500_000
