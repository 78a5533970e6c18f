"""The ground plane: from places in the picture to metres, and from sightings to km/h."""

from __future__ import annotations

import math

import numpy as np
import pytest
from builders import frame_of, track_of
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from edge_agent.records import Box, Tracks
from edge_agent.stages.rules.ground import Ground, GroundSettings, Speeds

SIZE = (1280, 720)

# A camera 5 m above a flat road looks along it, its horizon at y = 0.2. With x and y from 0 to 1, a place that is `far`
# metres away and `side` metres to the right of the middle is seen at x = 0.5 + side / far, y = 0.2 + 4 / far. So a
# rectangle 8 m wide, from 8 m to 20 m away:
#   near left (-4, 8): x = 0.5 - 0.5 = 0, y = 0.2 + 0.5 = 0.7     near right: x = 1, y = 0.7
#   far right (4, 20): x = 0.5 + 0.2 = 0.7, y = 0.2 + 0.2 = 0.4   far left: x = 0.3, y = 0.4
ROAD = GroundSettings(corners=((0.0, 0.7), (1.0, 0.7), (0.7, 0.4), (0.3, 0.4)), width_m=8, length_m=12)


def seen_at(side: float, far: float) -> tuple[float, float]:
    return 0.5 + side / far, 0.2 + 4 / far


@pytest.mark.parametrize(
    ("side", "far"),
    [(-4, 8), (4, 8), (4, 20), (-4, 20), (0, 10), (1.5, 13), (-2, 29), (0, 6)],  # beyond the rectangle, too
)
def test_a_place_in_the_picture_is_a_place_on_the_ground(side: float, far: float) -> None:
    # Across from the first corner, which is 4 m to the left; along from 8 m away.
    assert Ground(ROAD).place(seen_at(side, far)) == pytest.approx((side + 4, far - 8), abs=1e-6)


def test_the_horizon_may_meet_the_origin_of_the_picture() -> None:
    # The sides of the road, from (0.1, 0.9) by (0.3, 0.45) and from (0.9, 0.9) by (0.7, 0.45), meet at (0.5, 0): the
    # horizon is y = 0, and the far edge twice as far away as the near one. From d to 2 d it is 10 m, so d is 10 m, and
    # a place at y is 9 / y metres away.
    road = GroundSettings(corners=((0.1, 0.9), (0.9, 0.9), (0.7, 0.45), (0.3, 0.45)), width_m=4, length_m=10)
    assert Ground(road).place((0.5, 0.6)) == pytest.approx((2, 5))
    assert Ground(road).place((0.5, 0.0)) is None


@pytest.mark.parametrize(
    "point",
    [
        (0.5, 0.2),  # the horizon
        (0.5, 0.1),  # the sky
        (0.5, 0.2 + 4 / 31),  # more than half as far again as the furthest corner, which is 20 m away
    ],
)
def test_there_is_no_ground_near_the_horizon_and_above(point: tuple[float, float]) -> None:
    assert Ground(ROAD).place(point) is None


def test_a_rectangle_seen_from_straight_above_has_no_horizon() -> None:
    floor = GroundSettings(corners=((0.25, 0.25), (0.75, 0.25), (0.75, 0.75), (0.25, 0.75)), width_m=4, length_m=2)
    # Half the picture is 4 m wide and 2 m high.
    assert Ground(floor).place((0.5, 0.5)) == pytest.approx((2, 1))
    assert Ground(floor).place((0.0, 0.0)) == pytest.approx((-2, -1))
    assert Ground(floor).place((1.0, 1.0)) == pytest.approx((6, 3))


@pytest.mark.parametrize("turned", range(4))
@pytest.mark.parametrize("mirrored", [False, True])
def test_any_corner_may_be_the_first_and_either_way_around_will_do(turned: int, *, mirrored: bool) -> None:
    corners = (ROAD.corners * 2)[turned : turned + 4]
    sides = (8.0, 12.0) if turned % 2 == 0 else (12.0, 8.0)
    if mirrored:
        corners = corners[::-1]  # from the last corner to the third it is as far as from first to second
    ground = Ground(GroundSettings.model_validate({"corners": corners, "width_m": sides[0], "length_m": sides[1]}))
    here, there = ground.place(seen_at(0, 10)), ground.place(seen_at(3, 14))
    assert here is not None
    assert there is not None
    assert math.dist(here, there) == pytest.approx(5)  # 3 m to the side and 4 m on


@pytest.mark.parametrize(
    ("corners", "complaint"),
    [
        (((0, 0), (1, 1), (1, 0), (0, 1)), "in the order in which one walks around them"),  # crosses itself
        (((0, 0), (1, 0), (0.2, 0.2), (0, 1)), "none bent inwards"),
        (((0, 0), (0.5, 0), (1, 0), (0, 1)), "none bent inwards"),  # three in a row
        (((0.5, 0.5), (0.52, 0.5), (0.52, 0.52), (0.5, 0.52)), "must cover at least 0.001"),
        (((0, 0), (1, 0), (1, 1)), "Field required"),
    ],
)
def test_corners_that_no_rectangle_has_are_refused(corners: object, complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        GroundSettings.model_validate({"corners": corners, "width_m": 1, "length_m": 1})


@pytest.mark.parametrize(("width_m", "length_m"), [(0, 1), (1, 0), (-1, 1), (10_001, 1)])
def test_sides_have_a_length(width_m: float, length_m: float) -> None:
    with pytest.raises(ValidationError):
        GroundSettings(corners=ROAD.corners, width_m=width_m, length_m=length_m)


SHARES = st.floats(0.05, 0.45)


@given(st.tuples(*[st.tuples(SHARES, SHARES)] * 4), st.floats(0.1, 100), st.floats(0.1, 100))
def test_the_corners_themselves_are_where_they_are_said_to_be(
    inset: tuple[tuple[float, float], ...], width_m: float, length_m: float
) -> None:
    (a, b), (c, d), (e, f), (g, h) = inset
    corners = ((a, b), (1 - c, d), (1 - e, 1 - f), (g, 1 - h))
    try:
        ground = Ground(GroundSettings(corners=corners, width_m=width_m, length_m=length_m))
    except ValidationError:
        return  # bent inwards
    places = [ground.place(corner) for corner in corners]
    expected = [(0, 0), (width_m, 0), (width_m, length_m), (0, length_m)]
    assert np.array(places, np.float64) == pytest.approx(np.array(expected), abs=1e-4 * (width_m + length_m))


# --- Speed


def box_at(side: float, far: float, *, shake: tuple[float, float] = (0, 0)) -> Box:
    """The box in pixels of something 1.6 m high and wide that stands there, its foot a little off."""
    x, y = seen_at(side, far)
    x, y, half, height = x + shake[0], y + shake[1], 0.8 / far, 1.6 * 0.8 / far
    return ((x - half) * SIZE[0], (y - height) * SIZE[1], (x + half) * SIZE[0], y * SIZE[1])


def drive(
    rate_hz: float, metres_s: tuple[float, float], *, seconds: float = 1.4, shake: float = 0.0, seed: int = 0
) -> list[float | None]:
    """How fast something seems to go at each frame that drives from the near middle on, m/s across and along."""
    speeds, lots = Speeds(Ground(ROAD)), np.random.default_rng(seed)
    told: list[float | None] = []
    for number in range(round(seconds * rate_hz) + 1):
        at_s = number / rate_hz
        off_x, off_y = (float(lot) for lot in lots.normal(0, shake, 2)) if shake else (0.0, 0.0)
        box = box_at(metres_s[0] * at_s, 10 + metres_s[1] * at_s, shake=(off_x, off_y))
        track = track_of(box=box, seen_s=at_s)
        told.append(speeds.update(Tracks(live=(track,)), frame_of(at_s, size=SIZE)).get(1))
    return told


# 8 m/s are 28.8 km/h.
@pytest.mark.parametrize(
    ("rate_hz", "metres_s", "expected"),
    [
        (5, (0, 8), 28.8),
        (30, (0, 8), 28.8),
        (10, (3, 4), 18.0),
        (10, (0, 0), 0.0),
        (2, (0, 5), 18.0),  # three sightings in a second
        (1, (0, 5), 18.0),  # three in two seconds
    ],
)
def test_the_speed_is_that_on_the_ground(rate_hz: float, metres_s: tuple[float, float], expected: float) -> None:
    assert drive(rate_hz, metres_s, seconds=2.2)[-1] == pytest.approx(expected, abs=1e-3)


def test_of_too_few_sightings_and_too_short_a_time_there_is_no_speed() -> None:
    assert drive(5, (0, 10), seconds=0.6) == [None, None, None, pytest.approx(36)]
    assert drive(30, (0, 10), seconds=0.5)[:15] == [None] * 15  # 14 / 30 s are less than half a second
    assert drive(30, (0, 10), seconds=0.5)[15] == pytest.approx(36)
    assert drive(0.5, (0, 2), seconds=8) == [None] * 5  # two seconds apart


@settings(max_examples=60)
@given(st.floats(-5, 5), st.floats(-1, 12), st.integers(0, 10_000))
def test_the_speed_does_not_depend_on_the_frame_rate(across: float, along: float, seed: int) -> None:
    # A foot that shakes by 0.2 % of the picture is off by up to 0.1 m across and 0.4 m along at 20 m: a few km/h in the
    # slope over a second of five looks, less with more.
    for rate_hz in (30, 10, 5):
        told = drive(rate_hz, (across, along), shake=0.002, seed=seed)[-1]
        if told is not None:
            assert told == pytest.approx(3.6 * math.hypot(across, along), abs=6.0)


def test_a_box_that_jumps_once_changes_nothing() -> None:
    speeds = Speeds(Ground(ROAD))
    for number in range(7):
        far = 10 + number * 0.4 if number != 4 else 16.0  # 2 m/s, once 4 m beside the way
        track = track_of(box=box_at(0, far), seen_s=number / 5)
        told = speeds.update(Tracks(live=(track,)), frame_of(number / 5, size=SIZE))
    assert told[1] == pytest.approx(7.2)  # least squares would say 9.5


def test_what_has_stood_for_a_second_has_no_speed_any_more() -> None:
    speeds = Speeds(Ground(ROAD))
    told: list[float | None] = []
    for number in range(16):
        far = 10 + min(number, 5) * 1.0  # 10 m/s for half a second, then it stands
        track = track_of(box=box_at(0, far), seen_s=number / 10)
        told.append(speeds.update(Tracks(live=(track,)), frame_of(number / 10, size=SIZE)).get(1))
    assert told[5] == pytest.approx(36)
    assert told[15] == pytest.approx(0, abs=1e-3)


# 90 of 1280 pixels in a tenth of a second, of a floor that is so many metres wide: 0.703 times that in m/s.
@pytest.mark.parametrize(("width_m", "expected"), [(100, {1: 253.125}), (395, {1: 999.84375}), (396, {}), (10_000, {})])
def test_what_seems_faster_than_anything_has_no_speed(width_m: float, expected: dict[int, float]) -> None:
    floor = GroundSettings(corners=((0, 0), (1, 0), (1, 1), (0, 1)), width_m=width_m, length_m=100)
    speeds = Speeds(Ground(floor))
    for number in range(8):
        left = 100.0 + 90 * number
        track = track_of(box=(left, 300, left + 40, 400), seen_s=number / 10)
        told = speeds.update(Tracks(live=(track,)), frame_of(number / 10, size=SIZE))
    assert told == pytest.approx(expected)


def test_something_stationary_does_not_creep() -> None:
    speeds = Speeds(Ground(ROAD))
    for number in range(7):
        still = track_of(box=box_at(0, 10 + 0.05 * number), seen_s=number / 5, stationary=True)
        told = speeds.update(Tracks(live=(still,)), frame_of(number / 5, size=SIZE))
    assert told == {1: 0.0}


@pytest.mark.parametrize(
    "box",
    [
        (0.0, 300.0, 100.0, 500.0),  # half of it is not in the picture yet
        (1200.0, 300.0, 1280.0, 500.0),
        (600.0, 400.0, 700.0, 720.0),  # its foot is below the picture
        (600.0, 10.0, 700.0, 100.0),  # flies above the horizon
    ],
)
def test_where_the_foot_is_not_seen_there_is_no_speed_and_it_begins_anew(box: Box) -> None:
    speeds = Speeds(Ground(ROAD))
    boxes = [box_at(0, 10 + number) for number in range(4)] + [box] + [box_at(0, 15 + number) for number in range(4)]
    told = [
        speeds.update(Tracks(live=(track_of(box=one, seen_s=n / 5),)), frame_of(n / 5, size=SIZE)).get(1)
        for n, one in enumerate(boxes)
    ]
    assert [speed is None for speed in told] == [True, True, True, False, True, True, True, True, False]


def test_a_speed_is_known_for_a_second_after_it_was_seen_last_and_forgotten_with_its_object() -> None:
    speeds = Speeds(Ground(ROAD))
    tracks = [track_of(box=box_at(0, 10 + n), seen_s=n / 5) for n in range(4)]
    for number, track in enumerate(tracks):
        speeds.update(Tracks(live=(track,)), frame_of(number / 5, size=SIZE))
    # Seen last at 0.6 s.
    assert speeds.update(Tracks(live=(tracks[-1],)), frame_of(1.6, size=SIZE)) == {1: pytest.approx(18)}
    assert speeds.update(Tracks(live=(tracks[-1],)), frame_of(1.61, size=SIZE)) == {}
    speeds.update(Tracks(live=(), ended=(tracks[-1],)), frame_of(1.7, size=SIZE))
    again = track_of(box=box_at(0, 14), seen_s=1.8)
    assert speeds.update(Tracks(live=(again,)), frame_of(1.8, size=SIZE)) == {}


def test_a_year_of_frames_takes_no_more_memory_than_a_second() -> None:
    speeds = Speeds(Ground(ROAD))
    for number in range(500):
        at_s = number / 200  # more frames a second than any camera
        speeds.update(Tracks(live=(track_of(box=box_at(0, 10), seen_s=at_s),)), frame_of(at_s, size=SIZE))
    assert len(speeds._sightings[1]) <= 64  # noqa: SLF001  (that is the question)
