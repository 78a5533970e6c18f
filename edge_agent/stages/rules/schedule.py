"""Schedules: at which hours of which days a rule speaks, by the clock on the wall and by the sun."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Annotated, Literal, Protocol, cast, get_args

from pydantic import BeforeValidator, Field, model_validator

from edge_agent.settings import Section

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
Sun = Literal["sunrise", "sunset"]

MOMENT = r"^(([01]?[0-9]|2[0-3]):[0-5][0-9]|24:00|(sunrise|sunset)([+-]([0-9]{1,2}m|[1-6]h))?)$"
"""A time of day as it is written: `22:00`, `sunset`, `sunrise-30m`."""

MAX_WINDOWS = 16

_DAYS: tuple[Day, ...] = get_args(Day)
_NOON_MIN = 12 * 60
_MINUTE_S = 60.0
_LOOKED_UP_S = 12 * 3600.0
"""How far from a moment the days around it are known to tell everything."""

_DAYS_AROUND = range(-3, 4)
"""A window lasts two days at most and begins up to 18 hours before its day or after it, with the sun and an offset."""


class ScheduleSettings(Section):
    """When a rule speaks: from one time of day to another, on some days of the week."""

    days: Annotated[tuple[Day, ...], Field(min_length=1)] = _DAYS
    """The days on which it begins."""

    begin: Annotated[str, Field(pattern=MOMENT, alias="from")] = "00:00"
    """When it begins."""

    end: Annotated[str, Field(pattern=MOMENT, alias="to")] = "24:00"
    """When it ends; on the next day where that cannot come after `from` on the same."""

    @model_validator(mode="after")
    def _says_something(self) -> ScheduleSettings:
        if not self.model_fields_set:
            raise ValueError("must have `days`, `from` or `to`; leave the schedule out for always")
        if self.begin == "24:00":
            raise ValueError("must not begin at 24:00; that is 00:00 of the next day")
        if self.begin == self.end:
            raise ValueError("must not begin and end at the same time; leave both out for the whole day")
        return self


def in_a_list(value: object) -> object:
    """Make a list of the one window that is given without a list around it."""
    return [value] if isinstance(value, dict) else value


Schedules = Annotated[
    tuple[ScheduleSettings, ...], BeforeValidator(in_a_list), Field(min_length=1, max_length=MAX_WINDOWS)
]
"""One window or several: open while any of them is."""


class Almanac(Protocol):
    """What knows the clock on the wall and the sun; all moments in seconds since 1970."""

    def day(self, utc_s: float) -> date:
        """Which day the calendar on the wall shows."""
        ...

    def clock_s(self, day: date, minute: int, *, last: bool) -> float:
        """When the clock on the wall shows a minute of a day: the first or the last time of two, where there are two.

        A minute that the clock skips counts as the moment at which it jumps.
        """
        ...

    def sun_s(self, day: date, sun: Sun) -> float:
        """When the sun rises on a day, or sets."""
        ...


@dataclass(frozen=True, slots=True)
class Moment:
    """A time of day: minutes after midnight where `sun` is None, else after what the sun does."""

    sun: Sun | None
    minute: int


def moment_of(text: str) -> Moment:
    """Read a time of day that is written as in `MOMENT`."""
    if ":" in text:
        hours, _, minutes = text.partition(":")
        return Moment(None, int(hours) * 60 + int(minutes))
    word, sign, amount, unit = re.fullmatch("([a-z]+)(?:([+-])([0-9]+)([mh]))?", text).groups()  # type: ignore[union-attr]
    minute = int(f"{sign}{amount}") * (60 if unit == "h" else 1) if sign else 0
    return Moment(cast("Sun", word), minute)


def ends_next_day(begin: Moment, end: Moment) -> bool:
    """Whether a window passes midnight: its end cannot come after its beginning on the same day.

    The sun rises somewhere in the first half of a day and sets somewhere in the second; which of the two times comes
    first must not change with the season, or a window would be empty one day and a day long on the next.
    """
    if begin.sun == end.sun:
        return end.minute <= begin.minute
    if begin.sun is None:
        return end.sun == "sunrise" and begin.minute >= _NOON_MIN
    if end.sun is None:
        return end.minute <= (_NOON_MIN if begin.sun == "sunset" else 0)
    return begin.sun == "sunset"


class Schedule:
    """Says whether any of several windows is open; remembers for how long its answer holds.

    Args:
        windows: at least one.
        almanac: knows the clock on the wall and the sun.
    """

    def __init__(self, windows: Sequence[ScheduleSettings], almanac: Almanac) -> None:
        self._windows = [
            (frozenset(map(_DAYS.index, window.days)), moment_of(window.begin), moment_of(window.end))
            for window in windows
        ]
        self._almanac = almanac
        self._since_s = self._until_s = 0.0  # from the one to before the other the answer holds
        self._open = False

    def is_open(self, utc_ns: int) -> bool:
        """Whether it is open at a moment, nanoseconds since 1970; clocks may go back."""
        utc_s = utc_ns / 1e9
        if not self._since_s <= utc_s < self._until_s:
            self._look_up(utc_s)
        return self._open

    def _look_up(self, utc_s: float) -> None:
        day = self._almanac.day(utc_s)
        spans = [span for offset in _DAYS_AROUND for span in self._spans(day + timedelta(days=offset))]
        edges = sorted(edge for span in spans for edge in span)
        self._since_s = max([utc_s - _LOOKED_UP_S, *(edge for edge in edges if edge <= utc_s)])
        self._until_s = min([utc_s + _LOOKED_UP_S, *(edge for edge in edges if edge > utc_s)])
        self._open = any(begin_s <= utc_s < end_s for begin_s, end_s in spans)

    def _spans(self, day: date) -> Iterator[tuple[float, float]]:
        """From when to when each window is open that begins on a day; one that ends before it begins never is."""
        for weekdays, begin, end in self._windows:
            if day.weekday() in weekdays:
                end_day = day + timedelta(days=ends_next_day(begin, end))
                yield self._moment_s(day, begin, last=False), self._moment_s(end_day, end, last=True)

    def _moment_s(self, day: date, moment: Moment, *, last: bool) -> float:
        if moment.sun is None:
            return self._almanac.clock_s(day, moment.minute, last=last)
        return self._almanac.sun_s(day, moment.sun) + moment.minute * _MINUTE_S
