"""Leaders in levels: to whom each person reports, never in a circle."""

from __future__ import annotations

import pandas as pd
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from grid.loading.staff_list import Refusal as _Refusal
from grid.loading.staff_list import RefusedRow, StaffList, records
from grid.models import Staff


def set_leaders(session: Session, staff: pd.DataFrame) -> list[RefusedRow]:
    """Writes `reports_to` of rows whose staff number is known; an empty cell means nobody above.

    A leader is named by staff number, or by name among those whose post is leader first. Refuses
    `staff.leader_unknown`, `staff.leader_ambiguous`, `staff.leader_circle`; the person stays as it was.
    """
    people = StaffList(session)
    above: dict[int, int | None] = {
        row.id: row.reports_to for row in session.execute(select(Staff.id, Staff.reports_to))
    }
    refused: list[RefusedRow] = []
    for number, record in records(staff):
        own = people.by_number.get(record.get("staff_no", ""))
        if own is None:
            continue
        try:
            leader = _leader(people, record.get("reports_to"))
            if leader is not None and own in _upwards(above, leader):
                raise _Refusal("staff.leader_circle", person=record["staff_no"])
        except _Refusal as refusal:
            refused.append(RefusedRow(number, refusal.code, refusal.values))
            continue
        above[own] = leader
        session.execute(
            text("update staff set reports_to = :leader where id = :id"),
            {"leader": leader, "id": own},
        )
    return refused


def _leader(people: StaffList, who: str | None) -> int | None:
    if not who:
        return None
    try:
        return people.find(who, "leader")
    except _Refusal as refusal:
        if refusal.code == "crews.person_unknown":
            raise _Refusal("staff.leader_unknown", person=who) from refusal
        raise _Refusal("staff.leader_ambiguous", person=who) from refusal


def _upwards(above: dict[int, int | None], start: int) -> set[int]:
    seen: set[int] = set()
    here: int | None = start
    while here is not None and here not in seen:
        seen.add(here)
        here = above.get(here)
    return seen
