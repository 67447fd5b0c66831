"""Working time against a table of dates worked out by hand, and its laws for any calendar."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatch.calendars import seed_calendar
from dispatch.worktime import (
    Limit,
    Season,
    Unit,
    WorkCalendar,
    add,
    add_many,
    between,
    from_us,
    limit_minutes,
    reaches_unofficial,
    to_us,
)
from grid.core.errors import BadInput

SHANGHAI = ZoneInfo("Asia/Shanghai")
CHINA = seed_calendar("CN", SHANGHAI, range(2024, 2028))


def at(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%d %H:%M").replace(tzinfo=SHANGHAI)


WH, WD, H, ND, M = (
    Unit.WORKING_HOURS,
    Unit.WORKING_DAYS,
    Unit.HOURS,
    Unit.NATURAL_DAYS,
    Unit.MINUTES,
)

# start, value, unit, due
DATES = [
    ("2026-03-02 09:00", 2, WH, "2026-03-02 11:00"),  # Monday morning
    ("2026-03-02 11:00", 2, WH, "2026-03-02 15:00"),  # Monday, over lunch
    ("2026-03-02 12:00", 4, WH, "2026-03-02 18:00"),  # Monday, lunch begins
    ("2026-03-02 13:10", 4, WH, "2026-03-02 18:00"),  # Monday, in the lunch break
    ("2026-03-02 14:00", 4, WH, "2026-03-02 18:00"),  # used up exactly at closing time
    ("2026-03-02 06:00", 1, WH, "2026-03-02 09:00"),  # Monday before opening
    ("2026-03-02 18:00", 1, WH, "2026-03-03 09:00"),  # Monday at closing
    ("2026-03-02 09:00", 0.5, WD, "2026-03-02 15:00"),  # half a working day: 3 h + 1 h
    ("2026-03-03 10:30", 1, WD, "2026-03-04 10:30"),  # Tuesday to Wednesday, same hour
    ("2026-03-06 17:00", 2, WH, "2026-03-09 09:00"),  # Friday to Monday
    ("2026-03-06 20:00", 4, WH, "2026-03-09 12:00"),  # Friday evening, Monday morning
    ("2026-03-06 20:00", 1, WD, "2026-03-09 18:00"),  # Friday evening, all of Monday
    ("2026-03-07 10:30", 1, WD, "2026-03-09 18:00"),  # Saturday, all of Monday
    ("2026-03-06 20:00", 2, H, "2026-03-06 22:00"),  # emergency hours know no evening
    ("2026-03-06 20:00", 2, ND, "2026-03-08 20:00"),  # natural days know no weekend
    ("2026-02-12 16:00", 2, WD, "2026-02-14 16:00"),  # Thursday; Saturday 14 is a shifted workday
    (
        "2026-02-14 16:00",
        1,
        WD,
        "2026-02-24 16:00",
    ),  # Saturday 2 h; Spring Festival 15 to 23; Tuesday 6 h
    ("2026-02-13 10:00", 5, WD, "2026-02-27 10:00"),  # Fri → Sat 14, Tue 24, Wed, Thu, Fri 27
    ("2026-02-14 17:30", 1, WH, "2026-02-24 08:30"),  # half an hour on each side of the festival
    ("2026-02-16 23:00", 2, H, "2026-02-17 01:00"),  # New Year's Eve, emergency
    ("2026-02-20 09:00", 15, M, "2026-02-20 09:15"),  # stage clock inside the festival
    ("2026-02-19 09:00", 1, WD, "2026-02-24 18:00"),  # festival Thursday: counts from Tuesday 24
    ("2026-02-27 17:00", 1, WD, "2026-02-28 17:00"),  # Saturday 28 is a shifted workday
    ("2026-02-28 17:00", 1, WD, "2026-03-02 17:00"),  # Sunday 1 March is not
    (
        "2025-12-31 17:00",
        1,
        WD,
        "2026-01-04 17:00",
    ),  # Wed 1 h; 1 to 3 January off; Sunday 4 works 7 h
    ("2026-01-04 09:00", 1, WD, "2026-01-05 09:00"),  # shifted Sunday to Monday
    ("2026-04-03 15:00", 1, WD, "2026-04-07 15:00"),  # Friday; Tomb-Sweeping 4 to 6 April
    ("2026-04-30 15:00", 2, WD, "2026-05-07 15:00"),  # Thursday; Labour Day 1 to 5 May
    ("2026-05-08 09:00", 1, WD, "2026-05-09 09:00"),  # Saturday 9 May is a shifted workday
    ("2026-06-18 17:00", 2, WH, "2026-06-22 09:00"),  # Thursday; Dragon Boat 19 to 21 June
    ("2026-09-18 16:00", 1, WD, "2026-09-20 16:00"),  # Friday; Sunday 20 is a shifted workday
    ("2026-09-24 16:00", 1, WD, "2026-09-28 16:00"),  # Thursday; Mid-Autumn 25 to 27
    ("2026-09-30 17:30", 4, WH, "2026-10-08 11:30"),  # Wednesday half an hour; National Day 1 to 7
    ("2026-10-09 09:00", 2, WD, "2026-10-12 09:00"),  # Fri → Sat 10 (shifted) → Monday 12
    (
        "2025-09-28 09:00",
        3,
        WD,
        "2025-10-09 09:00",
    ),  # Sun 28 (shifted), Mon 29, Tue 30, then Thu 9 October
    (
        "2025-01-27 15:00",
        1,
        WD,
        "2025-02-05 15:00",
    ),  # Monday; Spring Festival 28 January to 4 February; Wednesday
]


@pytest.mark.parametrize(("start", "value", "unit", "due"), DATES)
def test_date_table(start: str, value: float, unit: Unit, due: str) -> None:
    assert add(at(start), Limit(value, unit), CHINA) == at(due)


@pytest.mark.parametrize(("start", "value", "unit", "due"), DATES)
def test_time_used_at_the_due_moment_is_the_limit(
    start: str, value: float, unit: Unit, due: str
) -> None:
    assert between(at(start), at(due), CHINA, unit) == Limit(value, unit).minutes(CHINA)


def test_bulk_gives_the_same_as_one_by_one() -> None:
    limits = [Limit(value, unit) for _, value, unit, _ in DATES]
    minutes, round_the_clock = limit_minutes(limits, CHINA)
    starts = np.array([to_us(at(start)) for start, *_ in DATES])
    due = add_many(starts, minutes, round_the_clock, CHINA)
    assert [from_us(int(each), SHANGHAI) for each in due] == [at(row[3]) for row in DATES]


def test_a_hundred_thousand_due_times_in_well_under_a_second() -> None:
    many = 100_000
    generator = np.random.default_rng(7)
    first = to_us(at("2026-01-01 00:00"))
    starts = first + generator.integers(0, 300 * 86_400_000_000, many)
    minutes = generator.integers(1, 15 * 480, many).astype(float)
    add_many(starts[:1], minutes[:1], np.zeros(1, dtype=bool), CHINA)
    began = time.perf_counter()
    due = add_many(starts, minutes, np.zeros(many, dtype=bool), CHINA)
    assert time.perf_counter() - began < 1.0
    assert (due > starts).all()


def test_unofficial_years_are_said() -> None:
    late = at("2026-12-30 09:00")  # Wednesday
    for unit, unofficial in ((WD, True), (WH, False), (H, False), (ND, False)):
        limit = Limit(5, unit)
        assert reaches_unofficial(late, add(late, limit, CHINA), unit, CHINA) is unofficial
    assert not reaches_unofficial(at("2026-02-12 16:00"), at("2026-02-14 16:00"), WD, CHINA)


def test_the_bureaus_own_zone_decides_the_day() -> None:
    # 2026-03-06 20:00 in Shanghai is noon in UTC: the office is shut although UTC says Friday noon.
    start = datetime(2026, 3, 6, 12, 0, tzinfo=UTC)
    assert add(start, Limit(4, WH), CHINA) == at("2026-03-09 12:00")


def test_clock_change_night_is_counted_as_it_passed() -> None:
    helsinki = WorkCalendar(ZoneInfo("Europe/Helsinki"), office_hours=((480, 960),))
    friday = datetime(
        2026, 3, 27, 15, 0, tzinfo=helsinki.zone
    )  # clocks go forward on Sunday 29 March
    assert add(friday, Limit(2, WH), helsinki) == datetime(2026, 3, 30, 9, 0, tzinfo=helsinki.zone)
    assert add(friday, Limit(48, H), helsinki) == datetime(2026, 3, 29, 16, 0, tzinfo=helsinki.zone)


def test_summer_office_hours() -> None:
    summer = Season((6, 1), (9, 30), ((480, 720), (900, 1140)))  # 08:00-12:00, 15:00-19:00
    calendar = WorkCalendar(SHANGHAI, seasons=(summer,))
    assert add(at("2026-06-01 11:00"), Limit(2, WH), calendar) == at("2026-06-01 16:00")
    assert add(at("2026-05-29 17:00"), Limit(2, WH), calendar) == at("2026-06-01 09:00")
    winter = Season((11, 1), (2, 28), ((510, 720),))
    assert winter.holds(date(2026, 1, 5))
    assert not winter.holds(date(2026, 10, 31))


def test_long_limits_and_far_years_are_reached() -> None:
    calendar = WorkCalendar(SHANGHAI)
    # 2,610 working days are 522 weeks; from Monday 2026-01-05 the last Friday is 2036-01-04.
    assert add(at("2026-01-05 08:00"), Limit(2610, WD), calendar) == at("2036-01-04 18:00")


def test_equal_calendars_share_their_compiled_years() -> None:
    again = seed_calendar("CN", SHANGHAI, range(2024, 2028))
    assert again == CHINA
    assert hash(again) == hash(CHINA)
    assert again != seed_calendar("CN", SHANGHAI, range(2024, 2027))


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf")])
def test_a_limit_is_a_positive_number(value: float) -> None:
    with pytest.raises(BadInput) as refused:
        Limit(value, H)
    assert refused.value.code == "limit.value_bad"


def test_refusals_have_codes() -> None:
    with pytest.raises(BadInput) as naive:
        add(datetime(2026, 1, 1), Limit(1, H), CHINA)  # noqa: DTZ001
    assert naive.value.code == "time.naive"
    with pytest.raises(BadInput) as unit:
        Limit.of(1, "fortnights")
    assert unit.value.code == "limit.unit_unknown"
    for hours in ((), ((600, 500),), ((0, 100), (50, 200)), ((0, 1500),)):
        with pytest.raises(BadInput) as bad:
            WorkCalendar(SHANGHAI, office_hours=hours)
        assert bad.value.code == "calendar.hours_bad"
    with pytest.raises(BadInput) as idle:
        WorkCalendar(SHANGHAI, weekends=frozenset(range(7)))
    assert idle.value.code == "calendar.no_workday"


moments = st.datetimes(datetime(2024, 1, 1), datetime(2027, 6, 30), timezones=st.just(SHANGHAI))  # noqa: DTZ001
limits = st.builds(
    Limit, st.integers(1, 400).map(lambda quarters: quarters / 4), st.sampled_from([*Unit])
)


@given(moments, limits)
def test_add_and_between_are_inverse(start: datetime, limit: Limit) -> None:
    due = add(start, limit, CHINA)
    assert between(start, due, CHINA, limit.unit) == limit.minutes(CHINA)
    just_before = due - timedelta(microseconds=1)
    assert between(start, just_before, CHINA, limit.unit) < limit.minutes(CHINA)


@given(moments, moments, limits)
def test_a_later_start_is_never_due_earlier(one: datetime, other: datetime, limit: Limit) -> None:
    early, late = sorted((one, other))
    assert add(early, limit, CHINA) <= add(late, limit, CHINA)


@given(moments, moments, moments)
def test_time_between_adds_up(a: datetime, b: datetime, c: datetime) -> None:
    first, middle, last = sorted((a, b, c))
    for unit in (WH, H):
        whole = between(first, last, CHINA, unit)
        parts = between(first, middle, CHINA, unit) + between(middle, last, CHINA, unit)
        assert whole == pytest.approx(parts, abs=1e-6)


@settings(max_examples=50)
@given(moments, moments)
def test_against_a_walk_minute_by_minute(one: datetime, other: datetime) -> None:
    start = min(one, other).replace(second=0, microsecond=0)
    end = min(max(one, other).replace(second=0, microsecond=0), start + timedelta(days=12))
    walked, here = 0, start
    while here < end:
        wall = here.hour * 60 + here.minute
        in_hours = any(a <= wall < b for a, b in CHINA.office_hours)
        walked += in_hours and CHINA.is_workday(here.date())
        here += timedelta(minutes=1)
    assert between(start, end, CHINA) == walked
