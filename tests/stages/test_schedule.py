"""Schedules: hours of days, over midnight, over clock changes, and by the sun."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from datetime import date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from edge_agent.edges.almanac import Almanac
from edge_agent.stages.rules.schedule import MAX_WINDOWS, Schedule, Schedules, ScheduleSettings

BERLIN = Almanac("Europe/Berlin", (52.5, 13.4))
TROMSO = Almanac("Europe/Oslo", (69.65, 18.96))
READ = TypeAdapter[tuple[ScheduleSettings, ...]](Schedules)
WEEK = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def is_open(written: object, moment: str, almanac: Almanac = BERLIN, *, fold: int = 0) -> bool:
    """Whether a schedule as it stands in the file is open at a moment by the clock on the wall."""
    return Schedule(READ.validate_python(written), almanac).is_open(utc_ns(moment, almanac, fold=fold))


def utc_ns(moment: str, almanac: Almanac, *, fold: int = 0) -> int:
    return round(almanac.utc_s(datetime.fromisoformat(moment).replace(fold=fold)) * 1e9)


# 2026-06-01 is a Monday.
@pytest.mark.parametrize(
    ("written", "moment", "expected"),
    [
        ({"from": "08:00", "to": "18:00"}, "2026-06-01T07:59:59", False),
        ({"from": "08:00", "to": "18:00"}, "2026-06-01T08:00:00", True),
        ({"from": "08:00", "to": "18:00"}, "2026-06-01T17:59:59", True),
        ({"from": "08:00", "to": "18:00"}, "2026-06-01T18:00:00", False),
        ({"from": "8:00"}, "2026-06-01T23:59:59", True),  # to the end of the day when left out
        ({"from": "8:00"}, "2026-06-02T00:00:00", False),
        ({"to": "6:30"}, "2026-06-01T00:00:00", True),
        ({"to": "6:30"}, "2026-06-01T06:30:00", False),
        ({"days": ["mon"]}, "2026-06-01T00:00:00", True),
        ({"days": ["mon"]}, "2026-06-01T23:59:59", True),
        ({"days": ["mon"]}, "2026-06-02T00:00:00", False),
        ({"days": ["mon"]}, "2026-05-31T23:59:59", False),
        # Past midnight it belongs to the day on which it began.
        ({"days": ["mon"], "from": "22:00", "to": "06:00"}, "2026-06-01T05:00:00", False),
        ({"days": ["mon"], "from": "22:00", "to": "06:00"}, "2026-06-01T22:00:00", True),
        ({"days": ["mon"], "from": "22:00", "to": "06:00"}, "2026-06-02T05:59:59", True),
        ({"days": ["mon"], "from": "22:00", "to": "06:00"}, "2026-06-02T06:00:00", False),
        ({"days": ["mon"], "from": "22:00", "to": "06:00"}, "2026-06-02T23:00:00", False),
        ({"from": "22:00", "to": "00:00"}, "2026-06-01T23:59:59", True),
        ({"from": "22:00", "to": "00:00"}, "2026-06-01T00:00:00", False),
        ({"days": ["sat"], "from": "12:00", "to": "11:59"}, "2026-06-07T11:58:00", True),  # a day but a minute
        ({"days": ["sat"], "from": "12:00", "to": "11:59"}, "2026-06-07T11:59:00", False),
        # A leap day is a day like another; 2028-02-29 is a Tuesday.
        ({"days": ["tue"], "from": "22:00", "to": "02:00"}, "2028-02-29T23:00:00", True),
        ({"days": ["tue"], "from": "22:00", "to": "02:00"}, "2028-03-01T01:00:00", True),
        ({"days": ["wed"], "from": "22:00", "to": "02:00"}, "2028-03-01T01:00:00", False),
        # Several: open while any is.
        ([{"from": "08:00", "to": "12:00"}, {"from": "13:00", "to": "17:00"}], "2026-06-01T12:30:00", False),
        ([{"from": "08:00", "to": "12:00"}, {"from": "13:00", "to": "17:00"}], "2026-06-01T13:30:00", True),
        ([{"from": "08:00", "to": "12:00"}, {"from": "11:00", "to": "17:00"}], "2026-06-01T12:00:00", True),
    ],
)
def test_a_window_is_open_from_its_beginning_to_before_its_end(written: object, moment: str, *, expected: bool) -> None:
    assert is_open(written, moment) is expected


# In Berlin the clock jumps from 02:00 to 03:00 on 2026-03-29, and goes back from 03:00 to 02:00 on 2026-10-25.
@pytest.mark.parametrize(
    ("written", "moment", "fold", "expected"),
    [
        ({"from": "02:30", "to": "05:00"}, "2026-03-29T01:59:59", 0, False),
        ({"from": "02:30", "to": "05:00"}, "2026-03-29T03:00:00", 0, True),  # begins when the clock jumps over it
        ({"from": "22:00", "to": "02:30"}, "2026-03-29T01:59:59", 0, True),
        ({"from": "22:00", "to": "02:30"}, "2026-03-29T03:00:00", 0, False),  # ends when the clock jumps over it
        ({"from": "02:10", "to": "02:50"}, "2026-03-29T03:00:00", 0, False),  # skipped altogether
        ({"from": "02:30", "to": "05:00"}, "2026-10-25T02:29:00", 0, False),
        ({"from": "02:30", "to": "05:00"}, "2026-10-25T02:30:00", 0, True),
        ({"from": "02:30", "to": "05:00"}, "2026-10-25T02:29:00", 1, True),  # the second time it is open already
        ({"from": "22:00", "to": "02:30"}, "2026-10-25T02:30:00", 0, True),  # the first time it is still open
        ({"from": "22:00", "to": "02:30"}, "2026-10-25T02:29:59", 1, True),
        ({"from": "22:00", "to": "02:30"}, "2026-10-25T02:30:00", 1, False),
        ({"from": "22:00", "to": "06:00"}, "2026-10-25T02:15:00", 0, True),
        ({"from": "22:00", "to": "06:00"}, "2026-10-25T02:15:00", 1, True),
    ],
)
def test_a_clock_that_is_changed_opens_nothing_late_and_closes_nothing_early(
    written: object, moment: str, fold: int, *, expected: bool
) -> None:
    assert is_open(written, moment, fold=fold) is expected


# In Berlin the sun rises at 04:43 and sets at 21:33 on 2026-06-21, 08:15 and 15:54 on 2026-12-21.
@pytest.mark.parametrize(
    ("written", "moment", "expected"),
    [
        ({"from": "sunrise", "to": "sunset"}, "2026-06-21T04:40", False),
        ({"from": "sunrise", "to": "sunset"}, "2026-06-21T04:46", True),
        ({"from": "sunrise", "to": "sunset"}, "2026-06-21T21:30", True),
        ({"from": "sunrise", "to": "sunset"}, "2026-06-21T21:36", False),
        ({"from": "sunset", "to": "sunrise"}, "2026-12-21T08:12", True),
        ({"from": "sunset", "to": "sunrise"}, "2026-12-21T08:18", False),
        ({"from": "sunset", "to": "sunrise"}, "2026-12-21T15:51", False),
        ({"from": "sunset", "to": "sunrise"}, "2026-12-21T15:57", True),
        ({"from": "sunset-30m", "to": "sunrise+1h"}, "2026-12-21T15:21", False),
        ({"from": "sunset-30m", "to": "sunrise+1h"}, "2026-12-21T15:27", True),
        ({"from": "sunset-30m", "to": "sunrise+1h"}, "2026-12-22T09:12", True),
        ({"from": "sunset-30m", "to": "sunrise+1h"}, "2026-12-22T09:18", False),
        ({"from": "sunrise-30m", "to": "sunrise+30m"}, "2026-12-21T08:00", True),
        ({"from": "sunrise-30m", "to": "sunrise+30m"}, "2026-12-21T12:00", False),
        # From an hour after sunset to an hour before it is a night and a day.
        ({"days": ["sun"], "from": "sunset+1h", "to": "sunset-1h"}, "2026-06-22T20:00", True),
        ({"days": ["sun"], "from": "sunset+1h", "to": "sunset-1h"}, "2026-06-22T21:00", False),
        # Until ten in the evening: not on a day on which the sun sets so late that nothing is left of it.
        ({"from": "sunset", "to": "20:00"}, "2026-12-21T18:00", True),
        ({"from": "sunset", "to": "20:00"}, "2026-06-21T22:00", False),
        ({"from": "sunset", "to": "20:00"}, "2026-06-22T10:00", False),
        ({"from": "sunset", "to": "06:00"}, "2026-06-22T05:00", True),
        ({"from": "06:00", "to": "sunrise"}, "2026-12-21T07:00", True),
        ({"from": "06:00", "to": "sunrise"}, "2026-06-21T07:00", False),  # the sun is up at six already
        ({"from": "06:00", "to": "sunrise"}, "2026-06-22T02:00", False),
        ({"from": "22:00", "to": "sunrise"}, "2026-06-22T04:40", True),
        ({"from": "17:00", "to": "sunset"}, "2026-12-21T18:00", False),
        ({"from": "17:00", "to": "sunset"}, "2026-12-22T15:00", False),
        ({"from": "sunrise", "to": "08:00"}, "2026-06-21T07:00", True),
        ({"from": "sunrise", "to": "08:00"}, "2026-12-21T20:00", False),
    ],
)
def test_a_window_may_go_by_the_sun(written: object, moment: str, *, expected: bool) -> None:
    assert is_open(written, moment) is expected


@pytest.mark.parametrize(
    ("words", "moment", "expected"),
    [
        # From May to July the sun does not set in Tromsø: it is day all the time.
        (("sunrise", "sunset"), "2026-06-21T00:00", True),
        (("sunrise", "sunset"), "2026-06-21T12:00", True),
        (("sunset", "sunrise"), "2026-06-21T00:45", False),
        (("sunset", "sunrise"), "2026-06-21T12:00", False),
        # In December it does not rise: it is night all the time.
        (("sunrise", "sunset"), "2026-12-21T11:42", False),
        (("sunset", "sunrise"), "2026-12-21T11:00", True),
        (("sunset", "sunrise"), "2026-12-21T13:00", True),
        # In between there are both.
        (("sunrise", "sunset"), "2026-03-20T12:00", True),
        (("sunset", "sunrise"), "2026-03-20T00:00", True),
    ],
)
def test_a_day_without_sunrise_is_all_night_and_one_without_sunset_all_day(
    words: tuple[str, str], moment: str, *, expected: bool
) -> None:
    assert is_open({"from": words[0], "to": words[1]}, moment, TROMSO) is expected


@pytest.mark.parametrize("month", range(1, 13))
def test_near_a_pole_day_and_night_still_leave_no_gap_and_do_not_overlap(month: int) -> None:
    day, night = (
        Schedule(READ.validate_python({"from": begin, "to": end}), TROMSO)
        for begin, end in (("sunrise", "sunset"), ("sunset", "sunrise"))
    )
    start_ns = utc_ns(f"2026-{month:02}-01T00:00", TROMSO)
    for minute in range(0, 31 * 1440, 7):
        moment_ns = start_ns + minute * 60 * 10**9
        assert day.is_open(moment_ns) is not night.is_open(moment_ns)


def test_the_clock_may_be_set_back() -> None:
    schedule = Schedule(READ.validate_python({"from": "08:00", "to": "18:00"}), BERLIN)
    moments = ("2026-06-01T12:00", "1970-01-01T12:00", "2026-06-01T07:00", "2026-06-01T09:00", "2031-01-01T19:00")
    assert [schedule.is_open(utc_ns(moment, BERLIN)) for moment in moments] == [True, True, False, True, False]


@pytest.mark.parametrize(
    ("written", "complaint"),
    [
        ({}, "must have `days`, `from` or `to`"),
        ([], "at least 1 item"),
        ([{}], "must have `days`, `from` or `to`"),
        ({"days": []}, "at least 1 item"),
        ({"days": ["monday"]}, "Input should be 'mon'"),
        ({"from": "24:00", "to": "06:00"}, "must not begin at 24:00"),
        ({"from": "08:00", "to": "08:00"}, "must not begin and end at the same time"),
        ({"from": "25:00"}, "should match pattern"),
        ({"from": "8"}, "should match pattern"),
        ({"from": "noon"}, "should match pattern"),
        ({"from": "sunset-7h"}, "should match pattern"),
        ({"from": "sunset -30m"}, "should match pattern"),
        ([{"from": "08:00"}] * (MAX_WINDOWS + 1), "at most 16 items"),
    ],
)
def test_a_schedule_that_says_nothing_is_refused(written: object, complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        READ.validate_python(written)


# --- A whole year, minute by minute.

CLOCKS = {
    "Europe/Berlin": (52.5, 13.4),
    "America/New_York": (40.7, -74.0),
    "America/Havana": (23.1, -82.4),  # changes its clock at midnight
    "Australia/Lord_Howe": (-31.6, 159.1),  # by half an hour
    "Antarctica/Troll": (-72.0, 2.5),  # by two hours; polar day and night
    "Asia/Kathmandu": (27.7, 85.3),  # 5:45 from UTC
    "Pacific/Kiritimati": (1.9, -157.4),  # 14 hours before UTC, and 10 behind it by the sun
    "America/Denver": (39.7, -105.0),
    "UTC": (39.7, -105.0),  # a machine that nobody told where it stands
}
YEAR = 2028  # a leap year
MINUTES = 366 * 1440
START = datetime(YEAR, 1, 1, tzinfo=timezone.utc)


@functools.cache
def shown(zone: str) -> NDArray[np.int64]:
    """What the clock on the wall shows at each minute of the year and three days around it, in minutes since 1970."""
    quarters = [START + timedelta(minutes=15 * n) for n in range(-3 * 96, MINUTES // 15 + 3 * 96)]
    offsets = [moment.astimezone(ZoneInfo(zone)).utcoffset() for moment in quarters]
    minutes = np.arange(len(quarters) * 15) - 3 * 1440 + round(START.timestamp()) // 60
    return minutes + np.repeat([offset // timedelta(minutes=1) for offset in offsets if offset is not None], 15)


@functools.cache
def almanac_of(zone: str) -> Almanac:
    return Almanac(zone, CLOCKS[zone])


def table(windows: Sequence[ScheduleSettings], zone: str) -> NDArray[np.bool_]:
    """Whether it is open at each minute of the year, by looking at the clock each minute."""
    clock, is_open_at = shown(zone), np.zeros(len(shown(zone)), np.bool_)
    first_day = (START - timedelta(days=3)).date()
    for window in windows:
        for number in range(1, 366 + 5):
            day = first_day + timedelta(days=number)
            if WEEK[day.weekday()] not in window.days:
                continue
            begin, end = minutes_of(window.begin), minutes_of(window.end)
            later = not any(one < other for one in begin for other in end) or (
                begin == end and shift_of(window.begin) >= shift_of(window.end)
            )
            first = place_of(window.begin, day, zone, clock, last=False)
            after = place_of(window.end, day + timedelta(days=later), zone, clock, last=True)
            is_open_at[first:after] = True
    return is_open_at[3 * 1440 : 3 * 1440 + MINUTES]


def minutes_of(written: str) -> range:
    """Where in a day it may lie: the sun rises in its first half and sets in its second."""
    if written.startswith("sunrise"):
        return range(720)
    if written.startswith("sunset"):
        return range(720, 1440)
    hours, minutes = written.split(":")
    return range(int(hours) * 60 + int(minutes), int(hours) * 60 + int(minutes) + 1)


def shift_of(written: str) -> int:
    """How far from the sun it lies, in minutes."""
    shift = written.removeprefix("sunrise").removeprefix("sunset")
    return int(shift[:-1]) * (60 if shift.endswith("h") else 1) if shift and ":" not in shift else 0


def place_of(written: str, day: date, zone: str, clock: NDArray[np.int64], *, last: bool) -> int:
    """At which minute of the table it is."""
    if written.startswith("sun"):
        word = "sunrise" if written.startswith("sunrise") else "sunset"
        utc_s = almanac_of(zone).sun_s(day, word) + 60 * shift_of(written)
        return int(np.clip(np.ceil(utc_s / 60) - round(START.timestamp()) // 60 + 3 * 1440, 0, len(clock)))
    wanted = (day - date(1970, 1, 1)).days * 1440 + minutes_of(written)[0]
    exactly = np.flatnonzero(clock == wanted)
    if len(exactly):
        return int(exactly[-1 if last else 0])
    beyond = np.flatnonzero(clock > wanted)
    return int(beyond[0]) if len(beyond) else len(clock)


TIMES = st.one_of(
    st.builds("{:02}:{:02}".format, st.integers(0, 23), st.integers(0, 59)),
    st.builds("{:02}:{:02}".format, st.integers(0, 3), st.sampled_from([0, 30])),  # where clocks are changed
    st.sampled_from(["sunrise", "sunset", "sunrise-45m", "sunrise+6h", "sunset-6h", "sunset+5h", "sunset+99m"]),
)
WINDOWS = (
    st.fixed_dictionaries({"days": st.lists(st.sampled_from(WEEK), min_size=1), "from": TIMES, "to": TIMES})
    .filter(lambda window: window["from"] != window["to"])
    .map(ScheduleSettings.model_validate)
)


@settings(max_examples=25, deadline=None)
@given(st.lists(WINDOWS, min_size=1, max_size=3), st.sampled_from(sorted(CLOCKS)))
@example([ScheduleSettings.model_validate({"from": "00:00", "to": "00:30"})], "America/Havana")
@example([ScheduleSettings.model_validate({"from": "sunset+5h", "to": "sunset-6h"})], "Antarctica/Troll")
def test_it_is_open_whenever_the_clock_on_the_wall_and_the_sun_say_so(
    windows: list[ScheduleSettings], zone: str
) -> None:
    schedule = Schedule(windows, almanac_of(zone))
    start_ns = round(START.timestamp()) * 10**9
    said = np.array([schedule.is_open(start_ns + minute * 60 * 10**9) for minute in range(MINUTES)])
    wrong = np.flatnonzero(said != table(windows, zone))
    assert [START + timedelta(minutes=int(minute)) for minute in wrong[:3]] == []
