"""What is known of the people who report: read apart from every list and layer, and taken away in time."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

MOST_EARLIER = 20


def reporters_of(session: Session, incident_id: int) -> list[dict[str, Any]]:
    """Who reported an incident, or one that was merged into it: `number` (whose report), `name`, `phone` (None when
    not given or taken away), `anonymised_at`.
    """
    rows = session.execute(
        text(
            "select i.number, r.name, r.phone, r.anonymised_at from incident i"
            " join reporter r on r.incident_id = i.id where i.id = :id or i.merged_into_id = :id"
            " order by i.id <> :id, r.id"
        ),
        {"id": incident_id},
    )
    return [dict(row._mapping) for row in rows]


def earlier_reports(session: Session, phone: str) -> list[dict[str, Any]]:
    """The last reports from one number, newest first: `id`, `number`, `status`, `description`, `reported_at`."""
    rows = session.execute(
        text(
            "select i.id, i.number, i.status, i.category_code, i.description, i.reported_at"
            " from reporter r join incident i on i.id = r.incident_id where r.phone = :phone"
            " order by i.reported_at desc, i.id desc limit :most"
        ),
        {"phone": phone.strip(), "most": MOST_EARLIER},
    )
    return [dict(row._mapping) for row in rows]


def anonymise(session: Session, now: datetime, keep: timedelta) -> int:
    """Takes name and number of reporters away whose incident ended longer than `keep` ago; how many."""
    done = session.execute(
        text(
            "update reporter r set name = null, phone = null, mail = null, tell_by = null,"
            " anonymised_at = :now"
            " from incident i where i.id = r.incident_id and i.ended_at < :before"
            " and r.anonymised_at is null returning r.id"
        ),
        {"now": now, "before": now - keep},
    )
    return len(done.all())
