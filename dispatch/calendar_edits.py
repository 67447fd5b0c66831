"""The working calendar as the bureau changes it: days off, shifted workdays, which year is official; all written down."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import extract, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from dispatch.models import CalendarDay, CalendarYear
from dispatch.rules_log import lock_rules, log_change, plan_again
from grid.core.errors import BadInput, NotFound

YEARS = range(2000, 2101)
LONGEST_NAME = 100


def set_day(
    session: Session,
    day: date,
    is_workday: bool,
    name_zh: str,
    name_en: str,
    actor: str,
    now: datetime,
) -> bool:
    """Makes a day a day off or a workday, whatever its weekday; False where it was so already.

    Open incidents are due anew. Raises BadInput `calendar.year_outside`, `calendar.name_missing`.
    """
    lock_rules(session)
    _check_year(day.year)
    names = {"name_zh": name_zh.strip(), "name_en": (name_en or name_zh).strip()}
    if not names["name_zh"] or max(map(len, names.values())) > LONGEST_NAME:
        raise BadInput("calendar.name_missing", field="name_zh", most=LONGEST_NAME)
    row = session.get(CalendarDay, day)
    before = None if row is None else _facts(row)
    after = {"is_workday": is_workday, **names}
    if before == after:
        return False
    session.execute(
        insert(CalendarDay)
        .values(day=day, **after)
        .on_conflict_do_update(index_elements=["day"], set_=after)
    )
    session.expire_all()
    _know_year(session, day.year)
    log_change(session, "calendar_day", day.isoformat(), before, after, now, actor, now)
    plan_again(session)
    return True


def drop_day(session: Session, day: date, actor: str, now: datetime) -> None:
    """Lets a day be what its weekday says; NotFound `calendar.day_plain`."""
    lock_rules(session)
    row = session.get(CalendarDay, day)
    if row is None:
        raise NotFound("calendar.day_plain", field="day", day=day.isoformat())
    before = _facts(row)
    session.delete(row)
    session.flush()
    log_change(session, "calendar_day", day.isoformat(), before, None, now, actor, now)
    plan_again(session)


def set_official(session: Session, year: int, official: bool, actor: str, now: datetime) -> None:
    """Says whether a year's shifted workdays are those published; BadInput `calendar.year_outside`."""
    lock_rules(session)
    _check_year(year)
    row = session.get(CalendarYear, year)
    before = {"official": bool(row and row.official)}
    session.execute(
        insert(CalendarYear)
        .values(year=year, official=official)
        .on_conflict_do_update(index_elements=["year"], set_={"official": official})
    )
    session.expire_all()
    log_change(session, "calendar_year", str(year), before, {"official": official}, now, actor, now)


def calendar_at_hand(session: Session, year: int) -> dict[str, Any]:
    """A year as it is kept: year, known, official, days (day, is_workday, name_zh, name_en) that differ from the week."""
    row = session.get(CalendarYear, year)
    days = session.scalars(
        select(CalendarDay)
        .where(extract("year", CalendarDay.day) == year)
        .order_by(CalendarDay.day)
    )
    return {
        "year": year,
        "known": row is not None,
        "official": bool(row and row.official),
        "days": [{"day": each.day, **_facts(each)} for each in days],
    }


def _facts(row: CalendarDay) -> dict[str, Any]:
    return {"is_workday": row.is_workday, "name_zh": row.name_zh, "name_en": row.name_en}


def _check_year(year: int) -> None:
    if year not in YEARS:
        raise BadInput(
            "calendar.year_outside", field="day", year=year, first=YEARS[0], last=YEARS[-1]
        )


def _know_year(session: Session, year: int) -> None:
    """A year with days of its own is known; it is official only when somebody says so."""
    session.execute(insert(CalendarYear).values(year=year, official=False).on_conflict_do_nothing())
