"""Days of a working calendar: seeded from the `holidays` package, kept as data, each year official or not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from functools import lru_cache
from zoneinfo import ZoneInfo

import holidays

from dispatch.worktime import OFFICE_HOURS, Season, WorkCalendar
from grid.core.errors import BadInput
from grid.core.values import dataclass

# Years whose published days, shifted workdays included, were compared day by day with a second source
# (chinesecalendar 1.11) and agree. The package answers for later years too, silently without the shifted
# workdays that the State Council publishes each November, so nothing outside this table counts as official.
CHECKED_YEARS: Mapping[str, frozenset[int]] = {"CN": frozenset(range(2010, 2027))}

# Countries that move no workdays: the dates follow from law, so every year the package covers is known.
_UNSHIFTED = frozenset({"FI", "US", "DE", "FR"})


@dataclass(frozen=True, slots=True)
class CalendarDay:
    """One day that differs from its week: a holiday or day off (`is_workday` False), or a shifted workday."""

    day: date
    is_workday: bool
    name_zh: str
    name_en: str
    official: bool


def seed_days(country: str, years: Iterable[int]) -> list[CalendarDay]:
    """Days of the years that differ from a plain week, in order; weekends inside a holiday are named too.

    `official` is that of the day's year (see `is_official`). Raises BadInput calendar.country_unknown.
    """
    rows: list[CalendarDay] = []
    for year in sorted(set(years)):
        rows.extend(_year_days(country, year))
    return rows


def is_official(country: str, year: int) -> bool:
    """True when the seed for that year is the published calendar, shifted workdays included."""
    if country in CHECKED_YEARS:
        return year in CHECKED_YEARS[country]
    return country in _UNSHIFTED


def calendar_of(
    rows: Iterable[CalendarDay],
    zone: ZoneInfo,
    official_years: Iterable[int],
    office_hours: tuple[tuple[int, int], ...] = OFFICE_HOURS,
    seasons: tuple[Season, ...] = (),
    working_day_minutes: int = 480,
) -> WorkCalendar:
    """A working calendar from stored rows. Raises BadInput calendar.day_twice when two rows disagree on a day."""
    days: dict[date, bool] = {}
    for row in rows:
        if days.setdefault(row.day, row.is_workday) != row.is_workday:
            raise BadInput("calendar.day_twice", "day", day=row.day.isoformat())
    return WorkCalendar(
        zone=zone,
        days=days,
        official_years=frozenset(official_years),
        office_hours=office_hours,
        seasons=seasons,
        working_day_minutes=working_day_minutes,
    )


def seed_calendar(country: str, zone: ZoneInfo, years: Iterable[int]) -> WorkCalendar:
    """The working calendar of the seed days: a start before the bureau has edited anything."""
    known = sorted(set(years))
    official = [year for year in known if is_official(country, year)]
    return calendar_of(seed_days(country, known), zone, official)


def _year_days(country: str, year: int) -> list[CalendarDay]:
    zh, en = _names(country, year, "zh_CN"), _names(country, year, "en_US")
    official = is_official(country, year)
    rows = [
        CalendarDay(day, False, zh[day], en.get(day, zh[day]), official)
        for day in zh
        if day.year == year
    ]
    table = _table(country, year, None)
    rows += [
        CalendarDay(day, True, "调休上班", "Shifted workday", official)
        for day in table.weekend_workdays
        if day.year == year and day not in zh
    ]
    return sorted(rows, key=lambda row: row.day)


def _names(country: str, year: int, language: str) -> dict[date, str]:
    table = _table(country, year, language)
    return {day: str(name) for day, name in table.items()}


@lru_cache(maxsize=128)
def _table(country: str, year: int, language: str | None) -> holidays.HolidayBase:
    try:
        known = holidays.country_holidays(country)
        spoken = language if language in known.supported_languages else None
        return holidays.country_holidays(country, years=year, language=spoken)
    except NotImplementedError:
        raise BadInput("calendar.country_unknown", "country", country=country) from None
