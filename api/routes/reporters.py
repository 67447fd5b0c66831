"""Who reported: for those who need it, and every look is kept."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query
from pydantic import BaseModel, ConfigDict, Field

from api.auth import Account
from api.deps import DbSession, Now, Reach, ServicesDep, allowed
from api.models import PersonalRead
from api.personal_reads import looks_at
from api.routes.incidents import PROBLEMS
from dispatch import personal, reading
from dispatch.support import Said, also_reported

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


class CallerIn(BaseModel):
    """One more caller about an open incident: what was said, and who they are."""

    model_config = ConfigDict(extra="forbid")

    channel: str = Field(max_length=40)
    description: str = Field(default="", max_length=4000)
    name: str | None = Field(default=None, max_length=100)
    phone: str | None = Field(default=None, max_length=40)


@router.post("/incidents/{number}/reporters", status_code=201, responses=PROBLEMS)
def one_more(
    number: str,
    asked: CallerIn,
    session: DbSession,
    services: ServicesDep,
    account: Entitled,
    scope: Reach,
    now: Now,
    idempotency_key: Annotated[str, Header(min_length=1, max_length=200)],
) -> dict[str, bool]:
    """Counts one more caller on an open incident and keeps them as its reporter; the same key once."""
    reading.one_incident(session, number, scope=scope)
    _, catalogue = services.desk.read(session)
    channel = catalogue.channel(asked.channel).code
    said = Said(channel, asked.description.strip(), asked.name or None, asked.phone or None)
    key, actor = idempotency_key, f"account:{account.username}"
    return {"counted": also_reported(session, number, said, key, actor, now)}


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
