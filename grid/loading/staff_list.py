"""What imports of people share: rows as text, refused rows, staff found by number or name, moments as written."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

import pandas as pd
from sqlalchemy import select
from sqlalchemy.orm import Session

from grid.models import Staff


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """One row that was not taken: its number in the file (first data row is 2), code and values."""

    row: int
    code: str
    values: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PeopleReport:
    """What an import of people took and refused."""

    taken: int
    refused: list[RefusedRow]


class Refusal(Exception):
    """Why one row is not taken; the others are."""

    def __init__(self, code: str, **values: object) -> None:
        self.code = code
        self.values = values


class StaffList:
    """Finds staff by number first, then by name (within the post when a name stands twice)."""

    def __init__(self, session: Session) -> None:
        self.by_number: dict[str, int] = {}
        self.by_name: dict[str, list[tuple[int, str]]] = {}
        for row in session.execute(
            select(Staff.id, Staff.staff_no, Staff.name, Staff.post).where(Staff.left_at.is_(None))
        ):
            self.by_number[row.staff_no] = row.id
            self.by_name.setdefault(row.name, []).append((row.id, row.post))

    def find(self, who: str, post: str) -> int:
        """The id of a person; Refusal `crews.person_unknown`, `crews.person_ambiguous`."""
        if who in self.by_number:
            return self.by_number[who]
        named = self.by_name.get(who, [])
        fitting = [staff_id for staff_id, held in named if held == post] or [i for i, _ in named]
        if not fitting:
            raise Refusal("crews.person_unknown", person=who, post=post)
        if len(fitting) > 1:
            raise Refusal("crews.person_ambiguous", person=who, post=post)
        return fitting[0]


def moment_of(record: dict[str, str], name: str, time_zone: str) -> datetime | None:
    """A date (its midnight in the town) or a moment; None for an empty cell."""
    written = record.get(name)
    if not written:
        return None
    moment = pd.to_datetime(written, errors="coerce")
    if pd.isna(moment):
        raise Refusal("crews.date_unreadable", field=name, text=written)
    aware = moment if moment.tzinfo else moment.tz_localize(time_zone)
    there: datetime = aware.to_pydatetime()
    return there


def records(frame: pd.DataFrame) -> Iterable[tuple[int, dict[str, str]]]:
    """Rows as trimmed text with their line number in the file (the header is line 1)."""
    for position, row in enumerate(frame.to_dict("records"), start=2):
        yield (
            position,
            {
                str(key): str(value).strip()
                for key, value in row.items()
                if not pd.isna(value) and str(value).strip()
            },
        )
