"""Tokens for programs, who I am, and my tasks."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Form

from api import auth
from api.deps import DbSession, Lang, NotSignedIn, Now, ServicesDep, SignedIn
from api.routes.incidents import PROBLEMS, actor_of
from api.schemas import incident_out, lamp_of
from dispatch import reading, steps
from grid.core.errors import NotAllowed

router = APIRouter(prefix="/api/v1", tags=["accounts"])
DONE_SHOWN = timedelta(days=1)


@router.post("/token", responses=PROBLEMS)
def token(
    session: DbSession,
    services: ServicesDep,
    now: Now,
    username: Annotated[str, Form(max_length=200)],
    password: Annotated[str, Form(max_length=1000)],
) -> dict[str, Any]:
    """A bearer token for a name and password."""
    hours = services.settings.web.token_hours
    made = auth.sign_in(session, username, password, now, kind="token", hours=hours)
    if made is None:
        # The counted failure is kept although the answer is an error.
        session.commit()
        raise NotSignedIn
    return {"access_token": made[0], "token_type": "bearer", "expires_in": hours * 3600}


@router.get("/me", responses=PROBLEMS)
def me(account: SignedIn) -> dict[str, Any]:
    """Who is signed in."""
    return {
        "username": account.username,
        "name": account.name,
        "role": account.role,
        "staff_id": account.staff_id,
    }


@router.get("/me/tasks", responses=PROBLEMS)
def my_tasks(
    session: DbSession, services: ServicesDep, account: SignedIn, language: Lang, now: Now
) -> list[dict[str, Any]]:
    """My tasks: the open ones, nearest limit first, and those I finished in the last day."""
    if account.staff_id is None:
        raise NotAllowed("auth.no_person", username=account.username)
    moves = steps.MoveList(session, services.desk, actor_of(account), now)
    rows = reading.tasks_of(session, account.staff_id, done_since=now - DONE_SHOWN)
    return [
        {
            "id": row["id"],
            "post": row["post"],
            "status": row["status"],
            "due_at": row["due_at"],
            "accepted_at": row["accepted_at"],
            "done_at": row["done_at"],
            "lamp": lamp_of(row["incident"], now),
            "incident": incident_out(
                row["incident"],
                language,
                now,
                moves.of(row["incident"]),
            ),
        }
        for row in rows
    ]
