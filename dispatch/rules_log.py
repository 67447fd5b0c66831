"""Who changed what in the administration, when, from which moment on, from what to what; and the day a change may begin.

Rules of the bureau by `log_change`; accounts, people, posts, imports, base maps and words by `write_down`.
"""

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
ADMINISTRATION = (
    *("account", "person", "unit", "post", "import"),
    *("base_map", "template", "contact", "webhook"),
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
    if write_down(session, subject, code, before, after, from_at, actor, now):
        rules_changed(session)


def write_down(
    session: Session,
    subject: str,
    code: str,
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any] | None,
    from_at: datetime,
    actor: str,
    now: datetime,
) -> bool:
    """Writes a change of the administration down, only what differs; False when nothing does."""
    old, new = dict(before or {}), dict(after or {})
    if before is not None and after is not None:
        changed = [name for name in {**old, **new} if old.get(name) != new.get(name)]
        if not changed:
            return False
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
    return True


def changes(
    session: Session,
    subject: str | None = None,
    code: str | None = None,
    limit: int = 100,
    *,
    actor: str | None = None,
    before: int | None = None,
) -> list[dict[str, Any]]:
    """Changes, the newest first: id, at, actor, subject, code, from, before, after.

    `subject`: one of SUBJECTS and ADMINISTRATION, or several with commas; `before`: only those older than this id.
    """
    asked = select(CatalogueChange).order_by(CatalogueChange.id.desc())
    if subject:
        asked = asked.where(CatalogueChange.subject.in_(subject.split(",")))
    if code is not None:
        asked = asked.where(CatalogueChange.code == code)
    if actor:
        asked = asked.where(CatalogueChange.actor == actor)
    if before is not None:
        asked = asked.where(CatalogueChange.id < before)
    return [
        {
            "id": row.id,
            "at": row.at,
            "actor": row.actor,
            "subject": row.subject,
            "code": row.code,
            "from": row.from_at,
            **row.change,
        }
        for row in session.scalars(asked.limit(min(limit, LONGEST_LIST)))
    ]


def actors(session: Session) -> list[str]:
    """Everybody who has changed something, in order."""
    return sorted(session.scalars(select(CatalogueChange.actor).distinct()))


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
