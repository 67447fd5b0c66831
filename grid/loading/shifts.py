"""Shifts into the database: who works which hours of the week, and who covers the rest; refused rows say why."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, time

import pandas as pd
from sqlalchemy import text
from sqlalchemy.orm import Session

from grid.loading.staff_list import PeopleReport, RefusedRow, StaffList, moment_of, records
from grid.loading.staff_list import Refusal as _Refusal
from grid.town import ground_changed, lock_ground

EVERY_DAY = (1, 2, 3, 4, 5, 6, 7)
# A row with this in the place of a shift's name ends the person's shifts: always at work from then on.
NO_SHIFT = frozenset({"none", "无", "常班"})
_ALL = frozenset({"", "daily", "every day", "每天", "每日", "全周"})
_DAYS = {
    **{sign: day for day, sign in enumerate("一二三四五六日", start=1)},
    "天": 7,
    **{str(day): day for day in EVERY_DAY},
    **{n: d for d, n in enumerate(("mon", "tue", "wed", "thu", "fri", "sat", "sun"), start=1)},
}
_DAY = re.compile(r"(?:周|星期|礼拜)?([一二三四五六日天1-7]|mon|tue|wed|thu|fri|sat|sun)[a-z]*")
_CLOCK = re.compile(r"(\d{1,2})[::](\d{2})(?:[::](\d{2}))?")


@dataclass(frozen=True, slots=True)
class _Row:
    staff_id: int
    name: str
    weekdays: list[int]
    hours: tuple[time, time] | None
    substitute_id: int | None
    since: datetime
    until: datetime | None


def load_shifts(
    session: Session, shifts: pd.DataFrame, now: datetime, *, time_zone: str
) -> PeopleReport:
    """Loads staff_no (number or name), shift (its name), weekdays, from, to, substitute, valid_from, valid_to.

    weekdays: `1-5`, `一至五`, `Mon,Wed`, `每天` (empty: every day), the day on which the shift begins. from, to: local
    hours such as 06:00; a shift that ends no later than it begins goes on into the next day. substitute (number
    or name) covers outside the hours. valid_from (default `now`), valid_to: moments, a plain date is its midnight.
    The rows of a person take the place of that person's earlier ones from their first valid_from on; `none` as
    shift ends them. Refuses `shifts.person_missing`, `shifts.hours_missing`, `shifts.hours_unreadable`,
    `shifts.weekdays_unreadable`, `shifts.substitute_self`, `crews.person_unknown`, `crews.person_ambiguous`,
    `crews.date_unreadable`, `crews.period_empty`.
    """
    lock_ground(session)
    people = StaffList(session)
    refused: list[RefusedRow] = []
    rows: list[_Row] = []
    for number, record in records(shifts):
        try:
            rows.append(_read(people, record, now, time_zone))
        except _Refusal as refusal:
            refused.append(RefusedRow(number, refusal.code, refusal.values))
    for staff_id in dict.fromkeys(row.staff_id for row in rows):
        _replace(session, [row for row in rows if row.staff_id == staff_id], time_zone)
    if rows:
        ground_changed(session)
    return PeopleReport(len(rows), refused)


def _read(people: StaffList, record: dict[str, str], now: datetime, time_zone: str) -> _Row:
    who = record.get("staff_no")
    if not who:
        raise _Refusal("shifts.person_missing")
    staff_id = people.find(who, "")
    substitute = record.get("substitute")
    substitute_id = people.find(substitute, "") if substitute else None
    if substitute_id == staff_id:
        raise _Refusal("shifts.substitute_self", person=who)
    since = moment_of(record, "valid_from", time_zone) or now
    until = moment_of(record, "valid_to", time_zone)
    if until is not None and until <= since:
        raise _Refusal("crews.period_empty", valid_from=str(since), valid_to=str(until))
    name = record.get("shift", "")
    hours = None if name.lower() in NO_SHIFT else _hours(record, who)
    days = weekdays_of(record.get("weekdays", ""))
    return _Row(staff_id, name, days, hours, substitute_id, since, until)


def _hours(record: dict[str, str], who: str) -> tuple[time, time]:
    begins, ends = record.get("from"), record.get("to")
    if not begins or not ends:
        raise _Refusal("shifts.hours_missing", person=who)
    return clock_of(begins), clock_of(ends)


def clock_of(written: str) -> time:
    """06:00, 6:00, 06:00:00, 24:00 (midnight); Refusal `shifts.hours_unreadable`."""
    found = _CLOCK.fullmatch(written.strip())
    if found is None:
        raise _Refusal("shifts.hours_unreadable", text=written)
    hour, minute, second = (int(part or 0) for part in found.groups())
    if (hour, minute, second) == (24, 0, 0):
        return time(0)
    if hour > 23 or minute > 59 or second > 59:
        raise _Refusal("shifts.hours_unreadable", text=written)
    return time(hour, minute, second)


def weekdays_of(written: str) -> list[int]:
    """Weekdays as 1 (Monday) to 7, in order; Refusal `shifts.weekdays_unreadable`."""
    plain = written.strip().lower()
    if plain in _ALL:
        return list(EVERY_DAY)
    found: list[int] = []
    position, after_dash = 0, False
    while position < len(plain):
        day = _DAY.match(plain, position)
        dash = re.compile(r"\s*(?:-|–|~|至|到)\s*").match(plain, position)
        gap = re.compile(r"[\s,,、;;+/]+").match(plain, position)
        step = day or dash or gap
        if step is None or (dash is not None and (after_dash or not found)):
            raise _Refusal("shifts.weekdays_unreadable", text=written)
        if day is not None:
            number = _DAYS[day.group(1)]
            # A week turns: Saturday to Monday is three days.
            while after_dash and found[-1] != number:
                found.append(found[-1] % 7 + 1)
            found += [] if after_dash else [number]
        after_dash = dash is not None or (after_dash and gap is not None)
        position = step.end()
    if not found or after_dash:
        raise _Refusal("shifts.weekdays_unreadable", text=written)
    return sorted(set(found))


def _replace(session: Session, rows: list[_Row], time_zone: str) -> None:
    """Puts the rows of one person in the place of the earlier ones, from their first moment on."""
    values = {"staff": rows[0].staff_id, "at": min(row.since for row in rows)}
    session.execute(
        text("delete from shift where staff_id = :staff and lower(valid) >= :at"), values
    )
    session.execute(
        text(
            "update shift set valid = tstzrange(lower(valid), :at)"
            " where staff_id = :staff and valid @> cast(:at as timestamptz)"
        ),
        values,
    )
    for row in rows:
        if row.hours is None:
            continue
        session.execute(
            text(
                "insert into shift (staff_id, name, weekdays, begins, ends, time_zone, substitute_id,"
                " valid) values (:staff, :name, :weekdays, :begins, :ends, :zone, :substitute,"
                " tstzrange(:since, :until))"
            ),
            {
                "staff": row.staff_id,
                "name": row.name,
                "weekdays": row.weekdays,
                "begins": row.hours[0],
                "ends": row.hours[1],
                "zone": time_zone,
                "substitute": row.substitute_id,
                "since": row.since,
                "until": row.until,
            },
        )
