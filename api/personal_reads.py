"""Who looked at whose personal data."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from api.models import AccountRow, PersonalRead


def looks_at(session: Session, incident_id: int) -> list[dict[str, Any]]:
    """Looks at the reporters of an incident, newest first: `at`, `username`, `occasion`."""
    rows = session.execute(
        select(PersonalRead.at, AccountRow.username, PersonalRead.occasion)
        .join(AccountRow, AccountRow.id == PersonalRead.account_id)
        .where(PersonalRead.incident_id == incident_id)
        .order_by(PersonalRead.at.desc(), PersonalRead.id.desc())
    )
    return [dict(row._mapping) for row in rows]
