"""Tokens for programs, who I am, and my tasks."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request, Response

from api import auth, tokens
from api.deps import (
    SESSION_COOKIE,
    DbSession,
    Lang,
    MaybeAccount,
    NotSignedIn,
    Now,
    Reader,
    ServicesDep,
    SignedIn,
)
from api.limits import limits_of
from api.pages.rendering import keep_session
from api.routes.incidents import PROBLEMS, actor_of
from api.schemas import PasswordIn, TokenIn, incident_out, lamp_of
from dispatch import reading, steps
from grid.core.errors import BadInput, NotAllowed

router = APIRouter(prefix="/api/v1", tags=["accounts"])
DONE_SHOWN = timedelta(days=1)


@router.post("/token", responses=PROBLEMS)
def token(
    request: Request,
    session: DbSession,
    services: ServicesDep,
    now: Now,
    username: Annotated[str, Form(max_length=200)],
    password: Annotated[str, Form(max_length=1000)],
) -> dict[str, Any]:
    """A bearer token for a name and password."""
    hours = services.settings.web.token_hours
    limits_of(request).before_sign_in(request)
    made = auth.sign_in(session, username, password, now, kind="token", hours=hours)
    if made is None:
        # The counted failure is kept although the answer is an error.
        limits_of(request).failed_sign_in(request)
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


@router.post("/me/password", status_code=204, responses=PROBLEMS)
def new_password(
    asked: PasswordIn,
    request: Request,
    session: DbSession,
    services: ServicesDep,
    account: MaybeAccount,
    now: Now,
) -> Response:
    """Sets my password when the old one fits; every session and token of mine ends.

    A page gets a new session in its cookie. Also open to an account with a one-time password.
    """
    if account is None:
        raise NotSignedIn
    limits = limits_of(request)
    limits.before_sign_in(request)
    if asked.new == asked.old:
        raise BadInput("account.password_same", field="new")
    if auth.check_password(session, account.username, asked.old, now) is None:
        limits.failed_sign_in(request)
        session.commit()
        raise BadInput("account.password_wrong", field="old")
    auth.change_password(session, account.username, asked.new)
    answer = Response(status_code=204)
    hours = services.settings.web.session_hours
    made = auth.sign_in(session, account.username, asked.new, now, hours=hours)
    if made is not None and SESSION_COOKIE in request.cookies:
        keep_session(request, answer, made[0], hours)
    return answer


@router.get("/me/tokens", responses=PROBLEMS)
def my_tokens(session: DbSession, account: SignedIn, now: Now) -> list[dict[str, Any]]:
    """The tokens I made for programs; never their secrets."""
    return tokens.tokens_of(session, account, now)


@router.post("/me/tokens", status_code=201, responses=PROBLEMS)
def make_token(asked: TokenIn, session: DbSession, account: SignedIn, now: Now) -> dict[str, Any]:
    """A token for a program, limited to `scopes` (permissions; none given: all I may) for `days`."""
    secret, token_id = tokens.make(session, account, asked.name, asked.scopes, asked.days, now)
    return {"access_token": secret, "token_type": "bearer", "id": token_id}


@router.delete("/me/tokens/{token_id}", status_code=204, responses=PROBLEMS)
def end_token(token_id: str, session: DbSession, account: SignedIn) -> Response:
    """Ends one of my tokens."""
    tokens.end(session, account, token_id)
    return Response(status_code=204)


@router.get("/me/tasks", responses=PROBLEMS)
def my_tasks(
    session: DbSession, services: ServicesDep, account: Reader, language: Lang, now: Now
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
