"""The start page, signing in and out."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse

from api import auth
from api.auth import Account
from api.deps import SESSION_COOKIE, DbSession, Lang, MaybeAccount, Now, ServicesDep
from api.i18n import translate
from api.limits import limits_of
from api.pages.rendering import keep_session, page
from grid.core.errors import NotAllowed, TooMany

router = APIRouter(include_in_schema=False)


@router.get("/")
def home(request: Request, account: MaybeAccount) -> Response:
    """What one may do here."""
    return page(request, "home.html", account=account)


@router.get("/login")
def login_form(request: Request, services: ServicesDep, next: str = "/") -> Response:  # noqa: A002 (the address says so)
    """The sign-in form; `next` is where to go afterwards, within this site only."""
    return page(
        request,
        "login.html",
        problem=None,
        next=own_path(next),
        username="",
        elsewhere=services.settings.oidc.oidc_label if services.settings.oidc.oidc_issuer else None,
    )


@router.post("/login")
def login(
    request: Request,
    session: DbSession,
    services: ServicesDep,
    language: Lang,
    now: Now,
    username: Annotated[str, Form(max_length=200)],
    password: Annotated[str, Form(max_length=1000)],
    next: Annotated[str, Form(max_length=2000)] = "/",  # noqa: A002
) -> Response:
    """Signs in, or shows the form again with the reason; a failure is counted."""
    hours = services.settings.web.session_hours
    limits = limits_of(request)
    try:
        limits.before_sign_in(request)
        made = auth.sign_in(session, username, password, now, hours=hours)
        problem = translate(language, "login.failed")
    except (NotAllowed, TooMany) as refusal:
        made, problem = None, translate(language, refusal.code, **refusal.values)
    if made is None:
        limits.failed_sign_in(request)
        return page(
            request,
            "login.html",
            status=401,
            problem=problem,
            next=own_path(next),
            username=username,
            elsewhere=services.settings.oidc.oidc_label
            if services.settings.oidc.oidc_issuer
            else None,
        )
    secret, account = made
    target = own_path(next)
    if target == "/":
        target = first_page(account)
    answer = RedirectResponse(target, status_code=303)
    keep_session(request, answer, secret, hours)
    return answer


@router.post("/logout")
def logout(request: Request, session: DbSession) -> Response:
    """Ends the session and forgets its cookie."""
    secret = request.cookies.get(SESSION_COOKIE)
    if secret:
        auth.sign_out(session, secret)
    answer = RedirectResponse("/", status_code=303)
    answer.delete_cookie(SESSION_COOKIE)
    return answer


def first_page(account: Account) -> str:
    """Where somebody's day begins."""
    return "/console" if account.may("console") else "/field"


def own_path(target: str) -> str:
    """`target` if it is a path of this site, else the start page: nobody is led elsewhere by a link."""
    parts = urlsplit(target)
    if parts.scheme or parts.netloc or not target.startswith("/"):
        return "/"
    if target.startswith(("//", "/\\")) or any(ord(sign) < 32 for sign in target):
        return "/"
    return target
