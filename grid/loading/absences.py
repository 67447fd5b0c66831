"""Leave into the database, each with the substitute who stands in; refused rows come back with their reason."""

from __future__ import annotations

from datetime import datetime, timedelta

import pandas as pd
from psycopg.errors import ExclusionViolation
from psycopg.types.range import TimestamptzRange
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from grid.loading.staff_list import PeopleReport, RefusedRow, StaffList, moment_of, records
from grid.loading.staff_list import Refusal as _Refusal
from grid.models import Absence
from grid.town import ground_changed, lock_ground


def load_absences(session: Session, absences: pd.DataFrame, *, time_zone: str) -> PeopleReport:
    """Loads staff_no (number or name), from, to, substitute (number or name), reason.

    A plain date in `to` is the last day of leave, which is away as a whole. A row that came before is written
    anew. Refuses `absences.person_missing`, `absences.date_missing`, `crews.date_unreadable`,
    `absences.period_empty`, `absences.substitute_self`, `crews.person_unknown`, `crews.person_ambiguous`,
    `absences.overlaps` (another leave of that person, as the database itself says).
    """
    lock_ground(session)
    people = StaffList(session)
    refused: list[RefusedRow] = []
    taken = 0
    for number, record in records(absences):
        try:
            staff_id, substitute_id, since, until = _leave(people, record, time_zone)
            with session.begin_nested():
                session.execute(
                    text(
                        "delete from absence where staff_id = :staff"
                        " and valid = tstzrange(:since, :until)"
                    ),
                    {"staff": staff_id, "since": since, "until": until},
                )
                session.add(
                    Absence(
                        staff_id=staff_id,
                        substitute_id=substitute_id,
                        valid=TimestamptzRange(since, until),
                        reason=record.get("reason"),
                    )
                )
                session.flush()
            taken += 1
        except _Refusal as refusal:
            refused.append(RefusedRow(number, refusal.code, refusal.values))
        except IntegrityError as error:
            if not isinstance(error.orig, ExclusionViolation):
                raise
            refused.append(RefusedRow(number, "absences.overlaps", {"person": record["staff_no"]}))
    if taken:
        ground_changed(session)
    return PeopleReport(taken, refused)


def _leave(
    people: StaffList, record: dict[str, str], time_zone: str
) -> tuple[int, int | None, datetime, datetime]:
    who = record.get("staff_no")
    if not who:
        raise _Refusal("absences.person_missing")
    staff_id = people.find(who, "")
    substitute = record.get("substitute")
    substitute_id = people.find(substitute, "") if substitute else None
    if substitute_id == staff_id:
        raise _Refusal("absences.substitute_self", person=who)
    since = moment_of(record, "from", time_zone)
    until = moment_of(record, "to", time_zone)
    if since is None or until is None:
        raise _Refusal("absences.date_missing", person=who)
    if (until.hour, until.minute, until.second) == (0, 0, 0) and ":" not in _clock(record["to"]):
        until = _next_day(until)
    if until <= since:
        raise _Refusal("absences.period_empty", person=who)
    return staff_id, substitute_id, since, until


def _clock(written: str) -> str:
    """The clock part of a moment; a spreadsheet writes a plain date as midnight."""
    return written.replace("T", " ").partition(" ")[2].replace("00:00:00", "")


def _next_day(midnight: datetime) -> datetime:
    """Midnight of the day after, by the town's own calendar."""
    day = pd.Timestamp(midnight)
    local = pd.Timestamp(day.date() + timedelta(days=1)).tz_localize(day.tz)
    moment: datetime = local.to_pydatetime()
    return moment
