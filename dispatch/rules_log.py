"""Who changed which rule of the bureau, when, from which moment on, from what to what; and the day a change may begin."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from dispatch.catalogue_models import CatalogueChange
from grid.core.errors import BadInput
from grid.town import rules_changed

SUBJECTS = (
    *("category", "condition", "stage_limit", "chase_rule"),
    *("calendar_day", "calendar_year", "channel"),
)
LONGEST_LIST = 500


def beginning(asked: date | None, zone: ZoneInfo, now: datetime) -> datetime:
    """When a change begins: at once (no date, or today), or with the first minute of a later day in the town.

    Raises BadInput `rules.from_past`: what was filed by yesterday's rules stays as it was.
    """
    today = now.astimezone(zone).date()
    if asked is None or asked == today:
        return now
    if asked < today:
        raise BadInput("rules.from_past", field="from", day=asked.isoformat())
    return datetime.combine(asked, time(), zone)


def log_change(
    session: Session,
    subject: str,
    code: str,
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any] | None,
    from_at: datetime,
    actor: str,
    now: datetime,
) -> None:
    """Writes a change down, only what differs, and lets every process read the rules anew; nothing for no change."""
    old, new = dict(before or {}), dict(after or {})
    if before is not None and after is not None:
        changed = [name for name in {**old, **new} if old.get(name) != new.get(name)]
        if not changed:
            return
        old, new = ({name: each.get(name) for name in changed} for each in (old, new))
    session.add(
        CatalogueChange(
            at=now,
            actor=actor,
            subject=subject,
            code=code,
            from_at=from_at,
            change={
                "before": old if before is not None else None,
                "after": new if after is not None else None,
            },
        )
    )
    session.flush()
    rules_changed(session)


def changes(
    session: Session, subject: str | None = None, code: str | None = None, limit: int = 100
) -> list[dict[str, Any]]:
    """Changes of the rules, the newest first: at, actor, subject, code, from_at, before, after."""
    asked = select(CatalogueChange).order_by(CatalogueChange.id.desc())
    if subject is not None:
        asked = asked.where(CatalogueChange.subject == subject)
    if code is not None:
        asked = asked.where(CatalogueChange.code == code)
    return [
        {
            "at": row.at,
            "actor": row.actor,
            "subject": row.subject,
            "code": row.code,
            "from": row.from_at,
            **row.change,
        }
        for row in session.scalars(asked.limit(min(limit, LONGEST_LIST)))
    ]


def lock_rules(session: Session) -> None:
    """One writer of the rules at a time, until the transaction ends."""
    session.execute(text("select pg_advisory_xact_lock(7305116)"))


def plan_again(session: Session) -> None:
    """Lets the worker work out anew what every open incident waits for, and when it is due.

    Plans that somebody writes at this moment are left: they follow with the incident's next step.
    """
    session.execute(
        text(
            "delete from chase_plan where incident_id in"
            " (select incident_id from chase_plan for update skip locked)"
        )
    )
