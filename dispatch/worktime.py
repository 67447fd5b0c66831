"""Working time as plain arithmetic: limits added to a moment, and the time between two moments.

How time counts
- `minutes`, `hours`, `natural_days` run round the clock; a natural day is 24 hours from its start.
- `working_hours` run inside office hours of working days only.
- `working_days` are counted in working hours too, eight each (domain 2.1: one working day is eight
  working hours): a limit of one day that starts at 10:30 ends at 10:30 of the next working day, and
  one that starts outside office hours ends with the office hours of the next working day.
- A limit that is used up exactly at closing time ends at closing time, not at the next opening.

What is left out: leave of single persons, and office hours that cross midnight.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import field
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from grid.core.errors import BadInput
from grid.core.values import dataclass

MINUTE_US = 60_000_000
_MICROSECOND = timedelta(microseconds=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
OFFICE_HOURS: tuple[tuple[int, int], ...] = ((8 * 60, 12 * 60), (14 * 60, 18 * 60))
Instants = NDArray[np.int64]


class Unit(StrEnum):
    """Units of limits as stored and shown (domain 2.1)."""

    MINUTES = "minutes"
    HOURS = "hours"
    WORKING_HOURS = "working_hours"
    WORKING_DAYS = "working_days"
    NATURAL_DAYS = "natural_days"

    @property
    def round_the_clock(self) -> bool:
        """True for a unit that nights, weekends and holidays do not stop."""
        return self not in (Unit.WORKING_HOURS, Unit.WORKING_DAYS)


_UNITS = {unit.value: unit for unit in Unit}
_UNIT_MINUTES = {
    Unit.MINUTES: 1.0,
    Unit.HOURS: 60.0,
    Unit.WORKING_HOURS: 60.0,
    Unit.NATURAL_DAYS: 1440.0,
}


@dataclass(frozen=True, slots=True)
class Limit:
    """A time allowed: a positive value in one unit. Raises BadInput limit.value_bad."""

    value: float
    unit: Unit

    def __post_init__(self) -> None:
        if not math.isfinite(self.value) or self.value <= 0:
            raise BadInput("limit.value_bad", "value", value=self.value)

    @classmethod
    def of(cls, value: float, unit: str) -> Limit:
        """A limit from stored text. Raises BadInput limit.value_bad, limit.unit_unknown."""
        known = _UNITS.get(unit)
        if known is None:
            raise BadInput("limit.unit_unknown", "unit", unit=unit, known=[*Unit])
        return cls(float(value), known)

    def minutes(self, calendar: WorkCalendar) -> float:
        """Length in minutes of its own kind of time (working minutes for the working units)."""
        if self.unit is Unit.WORKING_DAYS:
            return self.value * calendar.working_day_minutes
        return self.value * _UNIT_MINUTES[self.unit]


@dataclass(frozen=True, slots=True)
class Season:
    """Other office hours for a part of every year, both ends included; may run over New Year."""

    first: tuple[int, int]  # month, day
    last: tuple[int, int]
    office_hours: tuple[tuple[int, int], ...]

    def holds(self, day: date) -> bool:
        """True when `day` lies in the season."""
        here = (day.month, day.day)
        if self.first <= self.last:
            return self.first <= here <= self.last
        return here >= self.first or here <= self.last


@dataclass(frozen=True, eq=False)
class WorkCalendar:
    """When a bureau works: office hours, weekends, and single days that differ.

    `office_hours` are minutes after midnight, ordered and apart; `days` maps a date to True (shifted workday)
    or False (holiday) and outranks `weekends` (0 Monday … 6 Sunday); `official_years` are those whose
    days are published and checked. Calendars with the same content are equal, so that a calendar read again
    from its table finds its compiled years.
    Raises BadInput calendar.hours_bad, calendar.no_workday.
    """

    zone: ZoneInfo
    days: Mapping[date, bool] = field(default_factory=dict)
    official_years: frozenset[int] = frozenset()
    office_hours: tuple[tuple[int, int], ...] = OFFICE_HOURS
    seasons: tuple[Season, ...] = ()
    weekends: frozenset[int] = frozenset({5, 6})
    working_day_minutes: int = 480
    _hash: int = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(
            self, "days", dict(self.days)
        )  # a caller's later edit must not change us
        for hours in (self.office_hours, *(season.office_hours for season in self.seasons)):
            edges = [edge for window in hours for edge in window]
            in_order = all(a < b for a, b in pairwise(edges))
            if not edges or not in_order or edges[0] < 0 or edges[-1] > 1440:
                raise BadInput("calendar.hours_bad", "office_hours", hours=hours)
        if self.working_day_minutes <= 0:
            raise BadInput("calendar.hours_bad", "working_day_minutes", hours=())
        if not self.weekends < set(range(7)):
            raise BadInput("calendar.no_workday", "weekends")
        object.__setattr__(self, "_hash", hash((self.zone.key, frozenset(self.days.items()))))

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, WorkCalendar):
            return NotImplemented
        return self is other or self._content() == other._content()

    def _content(self) -> tuple[object, ...]:
        return (
            self.zone.key,
            self.days,
            self.official_years,
            self.office_hours,
            self.seasons,
            self.weekends,
            self.working_day_minutes,
        )

    def is_workday(self, day: date) -> bool:
        """True when the bureau works on `day`."""
        return self.days.get(day, day.weekday() not in self.weekends)

    def hours_of(self, day: date) -> tuple[tuple[int, int], ...]:
        """Office hours of a day, whether or not it is a workday."""
        for season in self.seasons:
            if season.holds(day):
                return season.office_hours
        return self.office_hours

    def year_of(self, moment: datetime) -> int:
        """Calendar year of a moment in the bureau's zone."""
        return moment.astimezone(self.zone).year


@dataclass(frozen=True, slots=True, eq=False)
class CompiledCalendar:
    """Office hours of whole years as sorted instants with prefix sums, so that bulk work is two binary searches.

    Instants are int64 microseconds since 1970 UTC. `opens`, `closes`: edges of each stretch of office
    time; `before`: working microseconds ahead of each stretch (one more entry: the total).
    Made by `compiled`; valid from `first_us` to `last_us`.
    """

    opens: Instants
    closes: Instants
    before: Instants
    first_us: int
    last_us: int

    def worked(self, instants: Instants) -> Instants:
        """Working microseconds from `first_us` to each instant."""
        at = np.searchsorted(self.opens, instants, side="right") - 1
        inside = np.clip(at, 0, None)
        spent = np.minimum(instants - self.opens[inside], self.closes[inside] - self.opens[inside])
        return np.where(at < 0, 0, self.before[inside] + spent)

    def reach(self, worked: Instants) -> Instants:
        """First instant at which that much work has passed; -1 when it lies past the last year."""
        at = np.searchsorted(self.before[1:], worked, side="left")
        inside = np.minimum(at, len(self.opens) - 1)
        found = self.opens[inside] + worked - self.before[inside]
        return np.where(at < len(self.opens), found, -1)


@lru_cache(maxsize=64)
def compiled(calendar: WorkCalendar, first_year: int, last_year: int) -> CompiledCalendar:
    """Compile the office hours of the years first…last, both included."""
    if first_year > last_year or first_year < 1900 or last_year > 2400:
        raise BadInput("calendar.year_out_of_range", first=first_year, last=last_year)
    edges: list[tuple[int, int]] = []
    day, end = date(first_year, 1, 1), date(last_year + 1, 1, 1)
    first_us, last_us = _wall_us(day, 0, calendar.zone), _wall_us(end, 0, calendar.zone)
    while day < end:
        if calendar.is_workday(day):
            edges.extend(
                (_wall_us(day, a, calendar.zone), _wall_us(day, b, calendar.zone))
                for a, b in calendar.hours_of(day)
            )
        day += timedelta(days=1)
    pairs = np.array(edges, dtype=np.int64).reshape(-1, 2)
    # A window that falls into the hour a clock change skips has no length.
    pairs[:, 1] = np.maximum(pairs[:, 0], pairs[:, 1])
    before = np.concatenate([[0], np.cumsum(pairs[:, 1] - pairs[:, 0])]).astype(np.int64)
    return CompiledCalendar(pairs[:, 0].copy(), pairs[:, 1].copy(), before, first_us, last_us)


def add(start: datetime, limit: Limit, calendar: WorkCalendar) -> datetime:
    """The moment `limit` is used up when it starts at `start`; aware, in the calendar's zone.

    Raises BadInput time.naive, calendar.year_out_of_range.
    """
    return add_minutes(start, limit.minutes(calendar), calendar, limit.unit.round_the_clock)


def add_minutes(
    start: datetime, minutes: float, calendar: WorkCalendar, round_the_clock: bool
) -> datetime:
    """As `add`, for minutes of either kind; zero minutes give `start` itself."""
    start_us, need_us = to_us(start), _us(minutes)
    if round_the_clock or need_us <= 0:
        return from_us(start_us + max(need_us, 0), calendar.zone)
    local = start if start.tzinfo is calendar.zone else from_us(start_us, calendar.zone)
    first = local.year
    last = first + 1 + need_us // (150 * calendar.working_day_minutes * MINUTE_US)
    while True:
        due = _edges(calendar, *_decades(first, last)).reach(start_us, need_us)
        if due is not None:
            return from_us(due, calendar.zone)
        last += 10


@dataclass(frozen=True, slots=True, eq=False)
class Edges:
    """A compiled calendar as plain lists: for one moment a binary search in these is ten times quicker than numpy."""

    opens: list[int]
    closes: list[int]
    before: list[int]

    def worked(self, instant: int) -> int:
        """As `CompiledCalendar.worked`."""
        at = bisect_right(self.opens, instant) - 1
        if at < 0:
            return 0
        return self.before[at] + min(instant, self.closes[at]) - self.opens[at]

    def reach(self, start: int, need: int) -> int | None:
        """The instant at which `need` has passed since `start`; None when it lies past the last year."""
        worked = self.worked(start) + need
        at = bisect_left(self.before, worked, 1) - 1
        return self.opens[at] + worked - self.before[at] if at < len(self.opens) else None


@lru_cache(maxsize=64)
def _edges(calendar: WorkCalendar, first_year: int, last_year: int) -> Edges:
    office = compiled(calendar, first_year, last_year)
    return Edges(office.opens.tolist(), office.closes.tolist(), office.before.tolist())


def between(
    start: datetime, end: datetime, calendar: WorkCalendar, unit: Unit = Unit.WORKING_HOURS
) -> float:
    """Minutes of the unit's kind of time from `start` to `end`; 0 when `end` is not after `start`.

    Raises BadInput time.naive, calendar.year_out_of_range.
    """
    start_us, end_us = to_us(start), to_us(end)
    if end_us <= start_us:
        return 0.0
    if unit.round_the_clock:
        return (end_us - start_us) / MINUTE_US
    years = (from_us(at, calendar.zone).year for at in (start_us, end_us))
    office = _edges(calendar, *_decades(*years))
    return (office.worked(end_us) - office.worked(start_us)) / MINUTE_US


def add_many(
    starts: Instants,
    minutes: NDArray[np.float64],
    round_the_clock: NDArray[np.bool_],
    calendar: WorkCalendar,
) -> Instants:
    """`add` for arrays: instants in microseconds UTC, minutes of each one's own kind of time.

    A million due times take well under a second once the years are compiled.
    Raises BadInput calendar.year_out_of_range.
    """
    need_us = np.rint(minutes * MINUTE_US).astype(np.int64)
    due = starts + np.maximum(need_us, 0)
    working = ~round_the_clock & (need_us > 0)
    if working.any():
        due[working] = _add_working(starts[working], need_us[working], calendar)
    return due


def between_many(
    starts: Instants, ends: Instants, round_the_clock: NDArray[np.bool_], calendar: WorkCalendar
) -> NDArray[np.float64]:
    """`between` for arrays of instants in microseconds UTC; minutes, never below zero."""
    spent = np.maximum(ends - starts, 0)
    working = ~round_the_clock & (spent > 0)
    if working.any():
        spent[working] = _worked_between(starts[working], ends[working], calendar)
    return np.asarray(spent / MINUTE_US, dtype=np.float64)


def limit_minutes(
    limits: Iterable[Limit], calendar: WorkCalendar
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Arrays (minutes, round_the_clock) for `add_many`."""
    known = list(limits)
    minutes = np.array([limit.minutes(calendar) for limit in known], dtype=np.float64)
    return minutes, np.array([limit.unit.round_the_clock for limit in known], dtype=np.bool_)


def reaches_unofficial(start: datetime, due: datetime, unit: Unit, calendar: WorkCalendar) -> bool:
    """True when working time between the two moments touches a year whose days are not official yet.

    Round-the-clock limits do not depend on the calendar and are never unofficial.
    """
    if unit.round_the_clock:
        return False
    years = range(calendar.year_of(start), calendar.year_of(due) + 1)
    return any(year not in calendar.official_years for year in years)


def to_us(moment: datetime) -> int:
    """Aware datetime → microseconds since 1970 UTC. Raises BadInput time.naive."""
    if moment.tzinfo is None:
        raise BadInput("time.naive", "at", at=moment.isoformat())
    return (moment - EPOCH) // _MICROSECOND


def from_us(instant: int, zone: ZoneInfo) -> datetime:
    """Microseconds since 1970 UTC → datetime in `zone`."""
    return (EPOCH + timedelta(microseconds=instant)).astimezone(zone)


def _add_working(starts: Instants, need_us: Instants, calendar: WorkCalendar) -> Instants:
    first, last = _years(starts, calendar)
    # 150 working days a year is below any real calendar, so the first guess nearly always reaches.
    last += 1 + int(need_us.max() // (150 * calendar.working_day_minutes * MINUTE_US))
    while True:
        office = compiled(calendar, *_decades(first, last))
        due = office.reach(office.worked(starts) + need_us)
        if (due >= 0).all():
            return due
        last += 10


def _worked_between(starts: Instants, ends: Instants, calendar: WorkCalendar) -> Instants:
    first, _ = _years(starts, calendar)
    _, last = _years(ends, calendar)
    office = compiled(calendar, *_decades(first, last))
    return office.worked(ends) - office.worked(starts)


def _years(instants: Instants, calendar: WorkCalendar) -> tuple[int, int]:
    return (
        from_us(int(instants.min()), calendar.zone).year,
        from_us(int(instants.max()), calendar.zone).year,
    )


def _decades(first: int, last: int) -> tuple[int, int]:
    # Whole decades, so that a handful of compiled calendars serves every question.
    return first // 10 * 10, last // 10 * 10 + 9


def _wall_us(day: date, minute: int, zone: ZoneInfo) -> int:
    wall = datetime(day.year, day.month, day.day, tzinfo=zone) + timedelta(minutes=minute)
    return to_us(wall)


def _us(minutes: float) -> int:
    return round(minutes * MINUTE_US)
