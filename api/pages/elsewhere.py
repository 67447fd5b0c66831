"""Signing in elsewhere: the way to the identity provider and back."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse

from api.auth import give_key, known_as
from api.deps import DbSession, Now, ServicesDep
from api.oidc import Attempt, Provider, account_for
from api.pages.entrance import first_page, own_path
from api.pages.rendering import keep_session
from grid.core.errors import NotAllowed, NotFound

router = APIRouter(include_in_schema=False)
COOKIE = "gridward_elsewhere"
TARGET_COOKIE = "gridward_elsewhere_next"
TEN_MINUTES = 600


def provider_of(request: Request) -> Provider:
    """The provider of the settings; NotFound `oidc.not_set` without one."""
    provider: Provider | None = request.app.state.oidc
    if provider is None:
        raise NotFound("oidc.not_set")
    return provider


@router.get("/login/elsewhere")
def leave(request: Request, services: ServicesDep, next: str = "/") -> Response:  # noqa: A002
    """To the provider; what must come back stays in a cookie for ten minutes."""
    attempt = Attempt.new()
    url = provider_of(request).address(attempt, _back(request))
    answer = RedirectResponse(url, status_code=303)
    secure = services.settings.web.secure_cookies
    for name, value in ((COOKIE, attempt.packed()), (TARGET_COOKIE, own_path(next))):
        answer.set_cookie(
            name, value, max_age=TEN_MINUTES, httponly=True, samesite="lax", secure=secure,
            path="/login",
        )  # fmt: skip
    return answer


@router.get("/login/elsewhere/back")
def come_back(
    request: Request,
    session: DbSession,
    services: ServicesDep,
    now: Now,
    state: Annotated[str, Query(max_length=500)] = "",
    code: Annotated[str, Query(max_length=4000)] = "",
) -> Response:
    """From the provider; a session of the account, or why not."""
    attempt = Attempt.of(request.cookies.get(COOKIE, ""))
    if attempt is None or not code or not secrets.compare_digest(attempt.state, state):
        raise NotAllowed("oidc.refused")
    claims = provider_of(request).identify(attempt, code, _back(request))
    row = account_for(session, claims, services.settings.oidc)
    hours = services.settings.web.session_hours
    secret, _ = give_key(session, row, now, kind="session", lasting=timedelta(hours=hours))
    target = own_path(request.cookies.get(TARGET_COOKIE, "/"))
    answer = RedirectResponse(
        first_page(known_as(row)) if target == "/" else target, status_code=303
    )
    for name in (COOKIE, TARGET_COOKIE):
        answer.delete_cookie(name, path="/login")
    keep_session(request, answer, secret, hours)
    return answer


def _back(request: Request) -> str:
    return str(request.url_for("come_back"))
