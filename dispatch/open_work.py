"""The open work of one person: what somebody else must take over when that person goes."""

from __future__ import annotations

from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session


def open_work_of(session: Session, staff_id: int) -> list[dict[str, Any]]:
    """Open tasks of a person by number: number, post, status of the task, grid, due_at."""
    rows = session.execute(
        text(
            "select i.number, t.post, t.status, g.code as grid, i.due_at from task t"
            " join incident i on i.id = t.incident_id left join grid g on g.id = i.grid_id"
            " where t.assignee_id = :id and t.status in ('waiting', 'offered', 'accepted', 'arrived')"
            " order by i.number"
        ),
        {"id": staff_id},
    )
    return [dict(row) for row in rows.mappings()]
