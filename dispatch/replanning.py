"""What open incidents wait for, worked out anew: after a change of the calendar or of the rules of chasing.

An open incident without a plan gets one, with the moments it is due by the calendar as it is now; many at a time, in
a few statements. Nothing else of it changes: its clocks are those of its record, and its version stays.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from dispatch import incidents
from dispatch.chase_models import ChasePlan
from dispatch.desk import Desk
from dispatch.first_steps import occasions_of
from dispatch.incident_columns import standing_values
from dispatch.moves import State
from dispatch.standing import from_json

BATCH = 2000
AT_WORK = frozenset({State.DISPATCHED, State.IN_DISPOSAL})
MOMENTS = ("due_at", "amber_at", "reply_due_at")

_UNPLANNED = text("""
    select i.id, i.category_code, i.facts, i.clocks, i.due_at, i.amber_at, i.reply_due_at,
        (select min(t.accept_by) from task t where t.incident_id = i.id and t.status = 'offered'
            and t.round = (select max(round) from task l where l.incident_id = i.id)) as accept_by
    from incident i where i.ended_at is null
    and not exists (select 1 from chase_plan p where p.incident_id = i.id)
    order by i.id limit :batch for no key update of i skip locked
""")
_MOMENTS = text(
    "update incident set due_at = :due_at, amber_at = :amber_at, reply_due_at = :reply_due_at"
    " where id = :id"
)
_TASKS = text(
    "update task set due_at = :due_at where incident_id = :id"
    " and status in ('waiting', 'offered', 'accepted', 'arrived')"
)


def plan_missing(session: Session, desk: Desk, now: datetime, batch: int = BATCH) -> int:
    """Gives open incidents without a plan theirs; how many. An incident that somebody is at is left. The caller commits."""
    rows = session.execute(_UNPLANNED, {"batch": batch}).all()
    if not rows:
        return 0
    _, catalogue = desk.read(session)
    plans, moved = [], []
    for row in rows:
        standing = from_json(row.facts, row.clocks)
        category = catalogue.category(row.category_code)
        occasions = occasions_of(standing, catalogue, category, now)
        plans.append(
            {
                "incident_id": row.id,
                "at": occasions[0].at if occasions else None,
                "wake_at": _wake_at(row, standing.facts.state, standing.facts.suspended_until),
                "rule_ids": [each.rule_id for each in occasions],
                "ats": [each.at for each in occasions],
            }
        )
        values = standing_values(standing, catalogue, now)
        if any(values[name] != getattr(row, name) for name in MOMENTS):
            moved.append({"id": row.id, **{name: values[name] for name in MOMENTS}})
    session.execute(insert(ChasePlan).on_conflict_do_nothing(), plans)
    if moved:
        session.execute(_MOMENTS, moved)
        session.execute(_TASKS, moved)
        for each in moved:
            incidents.announce(session, each["id"], now)
    return len(rows)


def _wake_at(row: Row[Any], state: State, resumes_at: datetime | None) -> datetime | None:
    if state is State.SUSPENDED:
        return resumes_at
    return row.accept_by if state in AT_WORK else None
