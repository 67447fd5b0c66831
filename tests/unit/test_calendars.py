"""The seeded calendar against the days the State Council published for 2024 to 2026."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from zoneinfo import ZoneInfo

import pytest

from dispatch.calendars import CalendarDay, calendar_of, is_official, seed_calendar, seed_days
from grid.core.errors import BadInput

SHANGHAI = ZoneInfo("Asia/Shanghai")
SHIFTED_WORKDAYS = {
    2024: ["02-04", "02-18", "04-07", "04-28", "05-11", "09-14", "09-29", "10-12"],
    2025: ["01-26", "02-08", "04-27", "09-28", "10-11"],
    2026: ["01-04", "02-14", "02-28", "05-09", "09-20", "10-10"],
}
# First and last day off, weekends inside included.
STRETCHES_2026 = [
    ("01-01", "01-03"),
    ("02-15", "02-23"),
    ("04-04", "04-06"),
    ("05-01", "05-05"),
    ("06-19", "06-21"),
    ("09-25", "09-27"),
    ("10-01", "10-07"),
]


@pytest.mark.parametrize("year", sorted(SHIFTED_WORKDAYS))
def test_shifted_workdays(year: int) -> None:
    days = [row.day for row in seed_days("CN", [year]) if row.is_workday]
    assert [day.strftime("%m-%d") for day in days] == SHIFTED_WORKDAYS[year]
    assert all(day.weekday() >= 5 for day in days)


def test_every_day_of_2026() -> None:
    calendar = seed_calendar("CN", SHANGHAI, [2026])
    off: set[date] = set()
    for first, last in STRETCHES_2026:
        day = date.fromisoformat(f"2026-{first}")
        while day <= date.fromisoformat(f"2026-{last}"):
            off.add(day)
            day += timedelta(days=1)
    shifted = {date.fromisoformat(f"2026-{text}") for text in SHIFTED_WORKDAYS[2026]}
    day = date(2026, 1, 1)
    while day.year == 2026:
        expected = day in shifted or (day.weekday() < 5 and day not in off)
        assert calendar.is_workday(day) is expected, day
        day += timedelta(days=1)


def test_names_in_both_languages() -> None:
    rows = {row.day: row for row in seed_days("CN", [2026])}
    assert rows[date(2026, 10, 1)].name_zh == "国庆节"
    assert rows[date(2026, 10, 1)].name_en == "National Day"
    assert rows[date(2026, 10, 10)].name_zh == "调休上班"


def test_a_year_not_published_is_not_official() -> None:
    assert is_official("CN", 2026)
    assert not is_official("CN", 2027)
    assert {row.official for row in seed_days("CN", [2027])} == {False}
    assert seed_calendar("CN", SHANGHAI, [2026, 2027]).official_years == {2026}
    # A year nobody seeded is not official either, although it could be.
    assert 2025 not in seed_calendar("CN", SHANGHAI, [2026]).official_years


def test_a_bureaus_edit_wins_and_two_rows_for_a_day_are_refused() -> None:
    day = CalendarDay(date(2026, 3, 3), False, "停电", "Power cut", True)
    calendar = calendar_of([*seed_days("CN", [2026]), day], SHANGHAI, [2026])
    assert not calendar.is_workday(day.day)
    with pytest.raises(BadInput) as refused:
        calendar_of([day, replace(day, is_workday=True)], SHANGHAI, [2026])
    assert refused.value.code == "calendar.day_twice"


def test_unknown_country() -> None:
    with pytest.raises(BadInput) as refused:
        seed_days("XX", [2026])
    assert refused.value.code == "calendar.country_unknown"


def test_a_country_without_shifted_days() -> None:
    helsinki = seed_calendar("FI", ZoneInfo("Europe/Helsinki"), [2026])
    assert not helsinki.is_workday(date(2026, 12, 25))  # Friday
    assert 2026 in helsinki.official_years
