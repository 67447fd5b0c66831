"""The change of shift: what is open now, by queue, since a moment; and what one shift tells the next."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from api.auth import Account
from api.deps import DbSession, Now, Reach, allowed
from api.models import AccountRow, ShiftNote
from api.routes.incidents import PROBLEMS
from api.schemas import lamp_of
from dispatch import overview, reading
from dispatch.reading import IncidentFilter
from dispatch.scope import Scope
from grid.core.errors import BadInput

router = APIRouter(prefix="/api/v1/desk/handover", tags=["desk"])
AtDesk = Annotated[Account, Depends(allowed("console"), scope="function")]
SHIFT = timedelta(hours=8)
LONGEST = timedelta(days=31)
MOST_LISTED = 100
NOTES_BACK = timedelta(days=3)


class NoteIn(BaseModel):
    """What the next shift must know."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    body: str = Field(min_length=1, max_length=8000)
    since: AwareDatetime | None = None


@router.get("", responses=PROBLEMS)
def handover(
    session: DbSession,
    account: AtDesk,
    scope: Reach,
    now: Now,
    since: AwareDatetime | None = None,
) -> dict[str, Any]:
    """What is overdue and what waits in each queue now, what came and ended since a moment, and the notes.

    Of each list the first 100 are given, with their whole number.
    """
    begin = _since(since, now)
    numbers = overview.queue_numbers(session, now, scope)
    asked = [("overdue", IncidentFilter(open_only=True, overdue_at=now, scope=scope))]
    asked += [
        (queue, IncidentFilter(open_only=True, queue=queue, scope=scope))
        for queue in sorted(numbers, key=lambda name: -numbers[name])
        if queue not in ("open", "overdue")
    ]
    asked += [("came", IncidentFilter(open_only=True, from_at=begin, scope=scope))]
    return {
        "since": begin,
        "now": now,
        "numbers": {**numbers, **_flow(session, begin, now, scope)},
        "lists": [_list(session, name, filtered, now) for name, filtered in asked],
        "notes": _notes(session, now - NOTES_BACK),
    }


@router.post("/notes", status_code=201, responses=PROBLEMS)
def write(asked: NoteIn, session: DbSession, account: AtDesk, now: Now) -> dict[str, Any]:
    """Keeps a note for the next shift; notes are only added to."""
    begin = _since(asked.since, now)
    note = ShiftNote(account_id=account.id, since=begin, written_at=now, body=asked.body)
    session.add(note)
    session.flush()
    return {
        "id": note.id,
        "body": note.body,
        "since": begin,
        "written_at": now,
        "name": account.name,
        "role": account.role,
    }


def _since(asked: datetime | None, now: datetime) -> datetime:
    begin = asked or now - SHIFT
    if begin > now or begin < now - LONGEST:
        raise BadInput("handover.since_out", field="since", days=LONGEST.days)
    return begin


def _list(session: Session, name: str, filtered: IncidentFilter, now: datetime) -> dict[str, Any]:
    page = reading.list_incidents(session, filtered, "due_at", 1, MOST_LISTED)
    return {"name": name, "total": page.total, "items": [_line(row, now) for row in page.items]}


def _line(row: dict[str, Any], now: datetime) -> dict[str, Any]:
    """One incident in a line: no personal data but the names of those who work on it."""
    names = [
        task["assignee_name"]
        for task in row["tasks"]
        if task["assignee_name"] and task["status"] in ("offered", "accepted", "arrived")
    ]
    return {
        **{
            name: row[name]
            for name in (
                *("number", "status", "queue", "category_zh", "category_en", "description"),
                *("address", "street", "grid_code", "grid_name", "due_at", "reported_at"),
            )
        },
        "lamp": lamp_of(row, now),
        "people": names,
    }


def _flow(session: Session, since: datetime, now: datetime, scope: Scope | None) -> dict[str, int]:
    bound, values = (f" and {scope.clause}", scope.values) if scope else ("", {})
    row = session.execute(
        text(
            "select count(*) filter (where i.reported_at >= :since) as came,"  # noqa: S608 (our own text)
            " count(*) filter (where i.ended_at >= :since) as ended from incident i"
            f" where (i.reported_at >= :since or i.ended_at >= :since){bound}"
        ),
        {**values, "since": since},
    ).one()
    return {"came": row.came, "ended": row.ended}


def _notes(session: Session, since: datetime) -> list[dict[str, Any]]:
    rows = session.execute(
        select(ShiftNote, AccountRow.name, AccountRow.role)
        .join(AccountRow, AccountRow.id == ShiftNote.account_id)
        .where(ShiftNote.written_at >= since)
        .order_by(ShiftNote.written_at.desc(), ShiftNote.id.desc())
        .limit(50)
    )
    return [
        {
            "id": note.id,
            "body": note.body,
            "since": note.since,
            "written_at": note.written_at,
            "name": name,
            "role": role,
        }
        for note, name, role in rows
    ]
