"""Who else has an incident open: a console says so every few seconds, and hears who else did."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict
from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert

from api.auth import Account
from api.deps import DbSession, Now, Reach, allowed
from api.models import AccountRow, Presence
from api.routes.incidents import PROBLEMS
from dispatch import reading

router = APIRouter(prefix="/api/v1/incidents", tags=["desk"])
# A console speaks every 15 seconds; two words missed, and it is taken as gone.
THERE = timedelta(seconds=40)


class PresenceIn(BaseModel):
    """Whether the incident is open on one's screen."""

    model_config = ConfigDict(extra="forbid")

    open: bool = True


@router.post("/{number}/presence", responses=PROBLEMS)
def present(
    number: str,
    asked: PresenceIn,
    session: DbSession,
    scope: Reach,
    now: Now,
    account: Annotated[Account, Depends(allowed("console"), scope="function")],
) -> list[dict[str, Any]]:
    """Says that one has it open (or no longer) and answers who else has: name and role."""
    incident_id: int = reading.one_incident(session, number, scope=scope)["id"]
    mine = (Presence.incident_id == incident_id) & (Presence.account_id == account.id)
    session.execute(
        delete(Presence).where(
            (Presence.account_id == account.id) & (Presence.seen_at < now - THERE)
        )
    )
    if asked.open:
        session.execute(
            insert(Presence)
            .values(incident_id=incident_id, account_id=account.id, seen_at=now)
            .on_conflict_do_update(
                index_elements=["incident_id", "account_id"], set_={"seen_at": now}
            )
        )
    else:
        session.execute(delete(Presence).where(mine))
    others = session.execute(
        select(AccountRow.name, AccountRow.role)
        .join(Presence, Presence.account_id == AccountRow.id)
        .where(
            Presence.incident_id == incident_id,
            Presence.account_id != account.id,
            Presence.seen_at > now - THERE,
        )
        .order_by(AccountRow.name)
    )
    return [{"name": name, "role": role} for name, role in others]
