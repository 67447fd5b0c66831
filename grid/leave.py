"""Leave and shifts one by one: who is away or will be, who works which hours; each changed from the administrator's page."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pandas as pd
from sqlalchemy import text
from sqlalchemy.orm import Session

from grid.core.errors import BadInput, NotFound
from grid.loading.absences import load_absences
from grid.loading.shifts import load_shifts
from grid.loading.staff_list import PeopleReport
from grid.town import ground_changed, lock_ground


def leave_at_hand(session: Session, now: datetime) -> list[dict[str, Any]]:
    """Leave that goes on or comes: id, staff_no, name, substitute_no, substitute, from, to, reason; the soonest first."""
    rows = session.execute(
        text(
            "select a.id, s.staff_no, s.name, b.staff_no as substitute_no, b.name as substitute,"
            ' lower(a.valid) as "from", upper(a.valid) as "to", a.reason from absence a'
            " join staff s on s.id = a.staff_id left join staff b on b.id = a.substitute_id"
            " where upper(a.valid) > :now order by lower(a.valid), a.id"
        ),
        {"now": now},
    )
    return [dict(row._mapping) for row in rows]


def shifts_at_hand(session: Session, now: datetime) -> list[dict[str, Any]]:
    """Shifts in force or planned: staff_no, name, shift, weekdays (Monday is 1), begins, ends, substitute, from, to."""
    rows = session.execute(
        text(
            "select s.staff_no, s.name, a.name as shift, a.weekdays, to_char(a.begins, 'HH24:MI') as begins,"
            " to_char(a.ends, 'HH24:MI') as ends, b.staff_no as substitute_no, b.name as substitute,"
            ' lower(a.valid) as "from", upper(a.valid) as "to" from shift a'
            " join staff s on s.id = a.staff_id left join staff b on b.id = a.substitute_id"
            " where not isempty(a.valid) and (upper_inf(a.valid) or upper(a.valid) > :now)"
            " order by s.staff_no, lower(a.valid), a.begins"
        ),
        {"now": now},
    )
    return [dict(row._mapping) for row in rows]


def add_leave(session: Session, values: Mapping[str, str | None], *, time_zone: str) -> None:
    """One leave: staff_no, from, to (its last day), substitute, reason. Raises BadInput as `load_absences` refuses."""
    _taken(load_absences(session, pd.DataFrame([values]), time_zone=time_zone))


def end_leave(session: Session, leave_id: int, now: datetime) -> dict[str, Any]:
    """Takes back what has not begun, ends now what goes on; returns it as it was. Raises NotFound `leave.unknown`."""
    lock_ground(session)
    found = next((row for row in leave_at_hand(session, now) if row["id"] == leave_id), None)
    if found is None:
        raise NotFound("leave.unknown", leave=leave_id)
    if found["from"] >= now:
        session.execute(text("delete from absence where id = :id"), {"id": leave_id})
    else:
        session.execute(
            text("update absence set valid = tstzrange(lower(valid), :now) where id = :id"),
            {"id": leave_id, "now": now},
        )
    ground_changed(session)
    return found


def set_shift(
    session: Session, values: Mapping[str, str | None], now: datetime, *, time_zone: str
) -> None:
    """Hours of one person from a day on, in the place of all that stood before.

    staff_no, shift (`none`: always at work), weekdays, from, to, substitute, valid_from. Raises BadInput as
    `load_shifts` refuses.
    """
    _taken(load_shifts(session, pd.DataFrame([values]), now, time_zone=time_zone))


def _taken(report: PeopleReport) -> None:
    if report.refused:
        values: dict[str, Any] = dict(report.refused[0].values)
        raise BadInput(report.refused[0].code, **values)
