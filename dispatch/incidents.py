"""The only writer of incidents, tasks and history: every change is a line of the record.

Nothing here commits. Each writing call leaves, in the caller's transaction, the changed rows, the
history lines chained by hash, and one live event that PostgreSQL announces at commit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import RowMapping, delete, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from dispatch.chain import GENESIS, line_hash
from dispatch.chase_models import ChasePlan
from dispatch.chase_rules import Occasion
from dispatch.models import (
    History,
    Incident,
    LiveEvent,
    Notice,
    Task,
)
from grid.core.errors import Conflict, NotFound
from grid.core.values import dataclass

LIVE_CHANNEL = "gridward_live"
# Where a session keeps, until `announce`, which lines of each incident it has written.
WRITTEN_LINES = "gridward_written_lines"


@dataclass(frozen=True, slots=True)
class Line:
    """One history line to be written."""

    move: str
    from_status: str | None
    to_status: str
    note: str | None = None
    detail: dict[str, Any] = field(default_factory=dict)


def number_of(serial: int, reported_at: datetime, zone: ZoneInfo) -> str:
    """An incident's number: local date and a serial of INCIDENT_NUMBERS that never comes back."""
    return f"{reported_at.astimezone(zone):%Y%m%d}-{serial:06d}"


def twin_of(
    session: Session, idempotency_key: str | None, channel_code: str, external_id: str | None
) -> Incident | None:
    """The incident that came with the same key, or the same external id on the same channel."""
    if idempotency_key is not None:
        found = session.scalar(select(Incident).where(Incident.idempotency_key == idempotency_key))
        if found is not None:
            return found
    if external_id is None:
        return None
    return session.scalar(
        select(Incident).where(
            Incident.channel_code == channel_code, Incident.external_id == external_id
        )
    )


def add_task(session: Session, values: dict[str, Any]) -> int:
    """Gives a part of an incident to a post and a person; returns the task's id."""
    task_id = session.scalar(insert(Task).values(values).returning(Task.id))
    if task_id is None:
        raise RuntimeError("the database returned no id for a task")
    return int(task_id)


def add_tasks(session: Session, rows: Sequence[dict[str, Any]]) -> None:
    """Gives several parts of an incident at once."""
    if rows:
        session.execute(insert(Task), list(rows))


def keep_plan(
    session: Session,
    incident_id: int,
    occasions: Sequence[Occasion],
    wake_at: datetime | None,
    *,
    ended: bool = False,
) -> None:
    """Keeps what an open incident waits for (`dispatch/chasing.py`); one that has ended waits for nothing."""
    if ended:
        session.execute(delete(ChasePlan).where(ChasePlan.incident_id == incident_id))
        return
    values = {
        "at": occasions[0].at if occasions else None,
        "wake_at": wake_at,
        "rule_ids": [each.rule_id for each in occasions],
        "ats": [each.at for each in occasions],
    }
    session.execute(
        upsert(ChasePlan)
        .values(incident_id=incident_id, **values)
        .on_conflict_do_update(index_elements=["incident_id"], set_=values)
    )


def add_notice(
    session: Session,
    incident_id: int,
    staff_id: int | None,
    kind: str,
    detail: dict[str, Any],
    now: datetime,
    *,
    audience: str = "staff",
) -> None:
    """Leaves a notice in the same transaction as its cause; the row itself is the worker's queue.

    `audience` is `staff` (the person of `staff_id`), `unit:ID`, `role:NAME` or `resident` (whoever
    reported). `detail` with `"urgent": true` breaks through quiet hours; so does every notice of an
    emergency.
    """
    values = notice_values(staff_id, kind, detail, now, audience=audience)
    session.execute(insert(Notice).values(incident_id=incident_id, **values))


def notice_values(
    staff_id: int | None,
    kind: str,
    detail: dict[str, Any],
    now: datetime,
    *,
    audience: str = "staff",
) -> dict[str, Any]:
    """A notice's columns without the incident's id; see `add_notice`."""
    if (audience == "staff") != (staff_id is not None):
        raise ValueError("a notice to staff needs a person, any other has none")
    return {
        "staff_id": staff_id,
        "audience": audience,
        "kind": kind,
        "detail": detail,
        "made_at": now,
    }


def write_history(
    session: Session,
    incident_id: int,
    number: str,
    lines: Sequence[Line],
    actors: Sequence[str],
    at: datetime,
    *,
    first: bool = False,
) -> int:
    """Appends lines to an incident's record, each chained to the one before by its hash; the first one's `seq`."""
    seq, previous = 0, GENESIS
    if not first:
        last = session.execute(
            select(History.seq, History.hash)
            .where(History.incident_id == incident_id)
            .order_by(History.seq.desc())
            .limit(1)
        ).one_or_none()
        if last is not None:
            seq, previous = last
    rows = [
        {"incident_id": incident_id, **row}
        for row in chained(number, lines, actors, at, seq=seq, previous=previous)
    ]
    session.execute(insert(History), rows)
    written = session.info.setdefault(WRITTEN_LINES, {})
    begun, ended = written.get(incident_id, (0, 0))
    # Only what follows without a gap belongs together: a rolled back attempt may have left a range.
    first_seq, last_seq = rows[0]["seq"], rows[-1]["seq"]
    written[incident_id] = (begun if ended + 1 == first_seq else first_seq, last_seq)
    return int(first_seq)


def chained(
    number: str,
    lines: Sequence[Line],
    actors: Sequence[str],
    at: datetime,
    *,
    seq: int = 0,
    previous: str = GENESIS,
) -> list[dict[str, Any]]:
    """The rows of lines that follow the line `seq` with the hash `previous`, without the incident's id."""
    rows: list[dict[str, Any]] = []
    for line, actor in zip(lines, actors, strict=True):
        seq += 1
        row = {
            "seq": seq,
            "at": at,
            "actor": actor,
            "move": line.move,
            "from_status": line.from_status,
            "to_status": line.to_status,
            "note": line.note,
            "detail": line.detail,
        }
        row_hash = line_hash(previous, seq, chained_fields(number, row))
        rows.append({**row, "previous_hash": previous, "hash": row_hash})
        previous = row_hash
    return rows


def chained_fields(number: str, row: dict[str, Any] | RowMapping) -> dict[str, object]:
    """The fields of a history line that its hash covers."""
    names = ("at", "actor", "move", "from_status", "to_status", "note", "detail")
    return {"number": number, **{name: row[name] for name in names}}


def announce(session: Session, incident_id: int, now: datetime) -> None:
    """Leaves a live event; consoles hear of it when the transaction is committed.

    It carries which history lines this session wrote since the last one: from these the worker tells
    residents and other systems, so that the move itself pays no further statement.
    """
    first, last = session.info.get(WRITTEN_LINES, {}).pop(incident_id, (None, None))
    values = {"at": now, "incident_id": incident_id, "first_seq": first, "last_seq": last}
    event_id = session.scalar(insert(LiveEvent).values(values).returning(LiveEvent.id))
    session.execute(select(func.pg_notify(LIVE_CHANNEL, str(event_id))))


def set_flag(session: Session, incident_id: int, flag: str, on: bool) -> bool:
    """Puts a flag on an incident or takes it off, its version kept; False when somebody is just moving it."""
    free = (
        select(Incident.id)
        .where(Incident.id == incident_id)
        .with_for_update(key_share=True, skip_locked=True)
    )
    without = func.array_remove(Incident.flags, flag)
    flags = func.array_append(without, flag) if on else without
    changed = session.scalar(
        update(Incident)
        .where(Incident.id.in_(free))
        .values(flags=flags)
        .returning(Incident.id)
        .execution_options(synchronize_session=False)
    )
    return changed is not None


def count_repeat(session: Session, incident_id: int, seen_at: datetime) -> int:
    """One more report of a machine about an incident that the caller has locked, its version kept; how many there are."""
    count = session.scalar(
        update(Incident)
        .where(Incident.id == incident_id)
        .values(
            repeats=Incident.repeats + 1,
            last_repeat_at=func.greatest(Incident.last_repeat_at, seen_at),
        )
        .returning(Incident.repeats)
        .execution_options(synchronize_session=False)
    )
    return int(count or 0)


def lock_incident(session: Session, number: str, version: int | None) -> Incident:
    """The incident, locked for this transaction.

    Raises NotFound `incident.unknown`; Conflict `incident.changed` when `version` is not the present one.
    """
    row = session.scalar(
        select(Incident)
        .where(Incident.number == number)
        # Not `for update`: others may go on adding rows that only point to this one.
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )
    if row is None:
        raise NotFound("incident.unknown", field="number", number=number)
    if version is not None and version != row.version:
        raise Conflict("incident.changed", number=number, status=row.status, version=row.version)
    return row


def lock_if_free(session: Session, incident_id: int) -> Incident | None:
    """The incident, locked for this transaction; None when somebody is at it."""
    return session.scalar(
        select(Incident)
        .where(Incident.id == incident_id)
        .with_for_update(key_share=True, skip_locked=True)
        .execution_options(populate_existing=True)
    )


def change_incident(session: Session, incident: Incident, values: dict[str, Any]) -> None:
    """Writes new values and raises the version."""
    session.execute(
        update(Incident)
        .where(Incident.id == incident.id)
        .values(**values, version=incident.version + 1)
    )
    session.refresh(incident)


def tasks_of_round(session: Session, incident_id: int) -> list[Task]:
    """Every task of an incident's present round, as the database has them now; oldest first."""
    latest = select(func.max(Task.round)).where(Task.incident_id == incident_id).scalar_subquery()
    return list(
        session.scalars(
            select(Task)
            .where(Task.incident_id == incident_id, Task.round == latest)
            .order_by(Task.id)
            .execution_options(populate_existing=True)
        )
    )
