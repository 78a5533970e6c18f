"""The clock on the wall and the sun: time zones by the standard library, sunrise and sunset by astral.

Reads no clock: it is given moments and days. astral is loaded when the sun is first asked for.
"""

from __future__ import annotations

import functools
import zoneinfo
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from typing import Literal

from edge_agent import runtimes
from edge_agent.errors import ConfigError

_DAYS_REMEMBERED = 64
_HORIZON_DEGREES = -0.833
"""Where the middle of the sun stands when it rises or sets: half its width and the bend of its light below the horizon.

Source: J. Meeus, Astronomical Algorithms, 2nd edition, chapter 15.
"""


class Almanac:
    """Knows one place's clock and sun.

    Args:
        zone: the name of its time zone, such as Europe/Berlin; this machine's when None.
        location: degrees north and degrees east, for the sun; None where nobody asks for it.

    Raises:
        ConfigError: there is no such zone.
    """

    def __init__(self, zone: str | None, location: tuple[float, float] | None) -> None:
        self._zone = _zone_of(zone) if zone else None
        self._location = location
        self._sun = functools.lru_cache(_DAYS_REMEMBERED)(self._sun_of)

    def day(self, utc_s: float) -> date:
        """Which day the calendar on the wall shows."""
        return datetime.fromtimestamp(utc_s, self._zone).date()

    def wall(self, utc_s: float) -> datetime:
        """What the clock on the wall shows at a moment, seconds since 1970."""
        return datetime.fromtimestamp(utc_s, timezone.utc).astimezone(self._zone)

    def utc_s(self, moment: datetime) -> float:
        """Seconds since 1970 of a moment; one without a zone of its own is by the clock on the wall."""
        return (moment if moment.tzinfo else moment.replace(tzinfo=self._zone)).timestamp()

    def clock_s(self, day: date, minute: int, *, last: bool) -> float:
        """When the clock on the wall shows a minute of a day, in seconds since 1970.

        Args:
            day: by the calendar on the wall.
            minute: 0..1440, after midnight as the clock shows it.
            last: where it shows it twice, because it is set back in between: the second time.

        Returns:
            The moment; where the clock skips that minute, the one at which it jumps.
        """
        shown = datetime.combine(day, time(), self._zone) + timedelta(minutes=minute)
        before_s, after_s = (shown.replace(fold=fold).timestamp() for fold in (0, 1))
        if before_s <= after_s:
            return after_s if last else before_s
        return float(self._jump_s(int(after_s), int(before_s)))

    def sun_s(self, day: date, sun: Literal["sunrise", "sunset"]) -> float:
        """When the sun rises on a day or sets, in seconds since 1970.

        It is the day whose noon by the sun lies in the given day, whatever the zone. Where the sun does not set, it
        counts as rising and setting at midnight by the sun; where it does not rise, at noon: so a night is empty in
        the one season and lasts all day in the other.

        Raises:
            ConfigError: nobody said where that is.
            RuntimeMissingError: astral is not installed.
        """
        rises_s, sets_s = self._sun(day)
        return rises_s if sun == "sunrise" else sets_s

    def _jump_s(self, before_s: int, after_s: int) -> int:
        """The first second at which the clock shows another distance to UTC than at `before_s`."""
        offset = self._offset(before_s)
        while after_s - before_s > 1:
            between_s = (before_s + after_s) // 2
            if self._offset(between_s) == offset:
                before_s = between_s
            else:
                after_s = between_s
        return after_s

    def _offset(self, utc_s: int) -> timedelta | None:
        return datetime.fromtimestamp(utc_s, timezone.utc).astimezone(self._zone).utcoffset()

    def _sun_of(self, day: date) -> tuple[float, float]:
        if self._location is None:
            raise ConfigError("sunrise and sunset need `device.location`, degrees north and degrees east")
        astral, sun = runtimes.load("astral"), runtimes.load("astral.sun")
        observer = astral.Observer(*self._location)
        noon_s = self.clock_s(day, 12 * 60, last=False)
        by_the_sun = timedelta(hours=self._location[1] / 15)
        solar_day = (datetime.fromtimestamp(noon_s, timezone.utc) + by_the_sun).date()
        noon: datetime = sun.noon(observer, solar_day)
        # In a zone of its own noon is at twelve, so that astral never takes the sunrise of another day.
        own = timezone(datetime.combine(solar_day, time(12)) - noon.replace(tzinfo=None))
        try:
            return (
                sun.sunrise(observer, solar_day, own).timestamp(),
                sun.sunset(observer, solar_day, own).timestamp(),
            )
        except ValueError:  # it does not reach the horizon
            if sun.elevation(observer, noon, with_refraction=False) < _HORIZON_DEGREES:
                return noon.timestamp(), noon.timestamp()
        before, after = (sun.noon(observer, solar_day + timedelta(days=days)) for days in (-1, 1))
        return (before + (noon - before) / 2).timestamp(), (noon + (after - noon) / 2).timestamp()


def _zone_of(name: str) -> tzinfo:
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ConfigError(
            f"device.timezone: there is no time zone {name}, or this machine knows none: pip install tzdata"
        ) from error
