"""The clock on the wall and the sun: against a second way to compute it, and where there is none to read."""

from __future__ import annotations

import math
import time
import zoneinfo
from datetime import date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.edges.almanac import Almanac
from edge_agent.errors import ConfigError


def elevation(utc_s: float, latitude: float, longitude: float) -> float:
    """Degrees of the sun's middle above the horizon, without the air.

    Source: the Astronomical Almanac's low-precision formulas for the sun, 1950 to 2050, good to 0.01 degrees.
    """
    days = utc_s / 86400 + 2440587.5 - 2451545.0
    mean, anomaly = 280.460 + 0.9856474 * days, math.radians(357.528 + 0.9856003 * days)
    along = math.radians(mean + 1.915 * math.sin(anomaly) + 0.020 * math.sin(2 * anomaly))
    tilt = math.radians(23.439 - 0.0000004 * days)
    ascension = math.atan2(math.cos(tilt) * math.sin(along), math.cos(along))
    declination = math.asin(math.sin(tilt) * math.sin(along))
    turned = math.radians(15 * (18.697374558 + 24.06570982441908 * days) + longitude) - ascension
    north = math.radians(latitude)
    height = math.sin(north) * math.sin(declination) + math.cos(north) * math.cos(declination) * math.cos(turned)
    return math.degrees(math.asin(height))


PLACES = st.tuples(st.floats(-60, 60), st.floats(-180, 180))
DAYS = st.dates(date(2020, 1, 1), date(2045, 12, 31))


@given(PLACES, DAYS, st.sampled_from(["UTC", "Europe/Berlin", "Pacific/Kiritimati", "Pacific/Auckland"]))
def test_the_sun_is_at_the_horizon_when_it_rises_and_sets_around_a_noon_of_that_day(
    place: tuple[float, float], day: date, zone: str
) -> None:
    almanac = Almanac(zone, place)
    rises_s, sets_s = almanac.sun_s(day, "sunrise"), almanac.sun_s(day, "sunset")
    # 50' below it: 16' for half its width and 34' for the air.
    assert [elevation(moment, *place) for moment in (rises_s, sets_s)] == pytest.approx([-0.833] * 2, abs=0.15)
    noon_s = (rises_s + sets_s) / 2
    assert elevation(noon_s, *place) > 0
    assert abs(noon_s - almanac.clock_s(day, 720, last=False)) < 12.6 * 3600


@given(st.floats(-90, 90), st.floats(-180, 180), DAYS)
def test_every_place_has_a_sunrise_of_each_day_and_one_follows_the_other(
    latitude: float, longitude: float, day: date
) -> None:
    almanac = Almanac("UTC", (latitude, longitude))
    moments = [almanac.sun_s(day + timedelta(days=n), word) for n in (0, 1) for word in ("sunrise", "sunset")]
    assert moments == sorted(moments)
    assert moments[3] - moments[0] < 49 * 3600


def test_the_poles_have_one_long_day_and_one_long_night() -> None:
    north, south = Almanac("UTC", (90, 0)), Almanac("UTC", (-90, 0))
    for almanac, summer, winter in (
        (north, date(2026, 6, 21), date(2026, 12, 21)),
        (south, date(2026, 12, 21), date(2026, 6, 21)),
    ):
        assert almanac.sun_s(summer, "sunset") - almanac.sun_s(summer, "sunrise") == pytest.approx(86400, abs=60)
        assert almanac.sun_s(summer, "sunset") == almanac.sun_s(summer + timedelta(days=1), "sunrise")
        assert almanac.sun_s(winter, "sunset") == almanac.sun_s(winter, "sunrise")


def test_a_minute_that_comes_twice_has_a_first_and_a_last_time_and_one_that_is_skipped_neither() -> None:
    berlin = Almanac("Europe/Berlin", None)

    def at(day: date, minute: int) -> list[str]:
        moments = [berlin.clock_s(day, minute, last=last) for last in (False, True)]
        return [datetime.fromtimestamp(moment, timezone.utc).strftime("%H:%M") for moment in moments]

    assert at(date(2026, 10, 25), 150) == ["00:30", "01:30"]
    assert at(date(2026, 3, 29), 150) == ["01:00", "01:00"]  # 02:00 is followed by 03:00, at 01:00 UTC
    assert at(date(2026, 6, 1), 1440) == ["22:00", "22:00"]  # the end of a day is the beginning of the next


def test_a_zone_that_does_not_exist_is_one_line() -> None:
    for name in ("Europe/Berlim", "../etc/passwd", "/etc/passwd", "Europe"):
        with pytest.raises(ConfigError, match=f"device.timezone: there is no time zone {name}, .*pip install tzdata"):
            Almanac(name, None)


def test_the_sun_of_nowhere_is_one_line() -> None:
    with pytest.raises(ConfigError, match=r"sunrise and sunset need `device\.location`"):
        Almanac("UTC", None).sun_s(date(2026, 6, 1), "sunrise")


def test_without_a_zone_it_is_the_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Kathmandu")
    time.tzset()
    try:
        machine, named = Almanac(None, None), Almanac("Asia/Kathmandu", None)
        day = date(2026, 6, 1)
        assert machine.clock_s(day, 540, last=False) == named.clock_s(day, 540, last=False)
        assert machine.day(1_780_300_000.0) == named.day(1_780_300_000.0)
        assert machine.utc_s(datetime(2026, 6, 1, 9)) == named.utc_s(datetime(2026, 6, 1, 9))  # noqa: DTZ001
    finally:
        monkeypatch.undo()
        time.tzset()


def test_zones_are_there_even_where_the_system_brings_none() -> None:
    zoneinfo.reset_tzpath([])
    try:
        zoneinfo.ZoneInfo.clear_cache()
        assert Almanac("Europe/Berlin", None).clock_s(date(2026, 6, 1), 0, last=False) == 1_780_264_800
    finally:
        zoneinfo.reset_tzpath()
