"""Who reported: for those who need it, and every look is kept."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query

from api.auth import Account
from api.deps import DbSession, Now, Reach, allowed
from api.models import PersonalRead
from api.personal_reads import looks_at
from api.routes.incidents import PROBLEMS
from dispatch import personal, reading

router = APIRouter(prefix="/api/v1", tags=["reporters"])
Entitled = Annotated[Account, Depends(allowed("see_reporter"), scope="function")]


@router.get("/incidents/{number}/reporters", responses=PROBLEMS)
def reporters(
    number: str, session: DbSession, account: Entitled, scope: Reach, now: Now
) -> list[dict[str, Any]]:
    """Names and numbers of those who reported an incident; who looked, and when, is kept."""
    row = reading.one_incident(session, number, scope=scope)
    found = personal.reporters_of(session, row["id"])
    if found:
        session.add(
            PersonalRead(at=now, account_id=account.id, incident_id=row["id"], occasion="incident")
        )
    return found


@router.get("/callers", responses=PROBLEMS)
def caller(
    session: DbSession,
    account: Entitled,
    now: Now,
    phone: Annotated[str, Query(min_length=5, max_length=40)],
) -> list[dict[str, Any]]:
    """Earlier reports of a calling number, newest first; the look is kept with each of them."""
    found = personal.earlier_reports(session, phone)
    for row in found:
        session.add(
            PersonalRead(
                at=now, account_id=account.id, incident_id=row.pop("id"), occasion="caller"
            )
        )
    return found


@router.get("/personal-reads", responses=PROBLEMS)
def personal_reads(
    session: DbSession,
    account: Annotated[Account, Depends(allowed("administer"), scope="function")],
    number: str,
) -> list[dict[str, Any]]:
    """Who looked at the reporters of an incident."""
    row = reading.one_incident(session, number)
    return looks_at(session, row["id"])
