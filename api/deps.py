"""What routes ask for: the session that is committed before the answer leaves, who asks, in which language.

This is the one place of the web side that commits. `scope="function"` matters: by FastAPI's default
the answer would leave before the commit.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import secrets
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Annotated, TypeVar
from urllib.parse import quote

import anyio
import anyio.to_thread
from fastapi import Depends, Request
from sqlalchemy.orm import Session

from api.auth import Account, account_of, check_password, known_as
from api.i18n import LANGUAGES, Language
from api.limits import limits_of
from api.permissions import REACH
from api.services import Services
from dispatch.scope import Scope, scope_of
from grid.core.errors import NotAllowed

T = TypeVar("T")
SESSION_COOKIE = "gridward_session"
LANGUAGE_COOKIE = "gridward_lang"
PASSWORD_PAGE = "/account"  # noqa: S105 (an address)
# Of the 40 threads that routes run in, so many may wait for a connection.
ROOM_THREADS = 30
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class SignInNeeded(Exception):
    """A page was asked for without being signed in; answered by a way to the sign-in page."""

    def __init__(self, next_url: str, page: str = "/login") -> None:
        self.address = f"{page}?next={next_url}" if next_url else page


class NotSignedIn(Exception):
    """A program asked without a valid token; answered 401."""


def get_services(request: Request) -> Services:
    """The services of this process."""
    services: Services = request.app.state.services
    return services


async def get_session(request: Request) -> AsyncIterator[Session]:
    """A session, committed when the route has returned and before its answer leaves.

    A session takes its connection in one thread and is ended in another. So only so many requests have one at once
    that each gets a connection, and the others wait here, where they hold no thread: else, when many come at once,
    all threads wait for connections that nobody can give back without a thread.
    """
    services: Services = request.app.state.services
    async with _room(request):
        session = services.sessions()
        try:
            yield session
        except BaseException:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(session.close, limiter=anyio.CapacityLimiter(1))
            raise
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(_end, session, limiter=anyio.CapacityLimiter(1))


def in_one_transaction(services: Services, work: Callable[[Session], T]) -> T:
    """What `work` gives for a session of its own, committed before; for a way that goes on in one thread to its end.

    It finds out who asks by calling `get_account` itself, where dependencies would change threads for each.
    """
    with services.sessions() as session:
        made = work(session)
        session.commit()
    return made


def _room(request: Request) -> asyncio.Semaphore:
    """How many requests of this application may have a session at once.

    Three quarters of what the engine opens at most. What takes a connection beside that (the live feed, one stream's
    look at a scope, health, another application on the same engine) has and gives it back within one thread, so it may
    come late but never stands in a ring. Where others have all connections, ROOM_THREADS still leaves threads to go on.
    """
    state = request.app.state
    if not hasattr(state, "room"):
        most = state.services.settings.database.pool_size * 3 // 2
        state.room = asyncio.Semaphore(min(max(2, most), ROOM_THREADS))
    room: asyncio.Semaphore = state.room
    return room


def _end(session: Session) -> None:
    with session:
        session.commit()


async def get_now() -> datetime:
    """The present moment; a dependency so that tests may set it."""
    return datetime.now(UTC)


async def _services(request: Request) -> Services:
    """`get_services` without a thread: what does not wait needs none."""
    return get_services(request)


ServicesDep = Annotated[Services, Depends(_services)]
DbSession = Annotated[Session, Depends(get_session, scope="function")]
Now = Annotated[datetime, Depends(get_now)]


def get_language(request: Request) -> Language:
    """The reader's language: ?lang=, then the cookie, then Accept-Language, then the town's default."""
    # Most requests have none, and taking an empty one apart costs as much as a full one.
    asked = request.query_params.get("lang") if request.scope.get("query_string") else None
    for given in (asked, request.cookies.get(LANGUAGE_COOKIE)):
        for language in LANGUAGES:
            if given == language:
                return language
    accepted = request.headers.get("accept-language", "").lower()
    ranked = sorted((accepted.find(language), language) for language in LANGUAGES)
    for position, language in ranked:
        if position >= 0:
            return language
    services: Services = request.app.state.services
    return services.settings.web.default_language


async def _language(request: Request) -> Language:
    return get_language(request)


Lang = Annotated[Language, Depends(_language)]


def get_account(request: Request, session: DbSession, now: Now) -> Account | None:
    """Who asks: by bearer token, by basic password, or by the page's session; None for nobody.

    A wrong token or password is an error, not nobody. A session that changes something must carry
    its CSRF value in `X-CSRF-Token`.
    """
    header = request.headers.get("authorization", "")
    scheme, _, value = header.partition(" ")
    if scheme.lower() == "bearer":
        account = account_of(session, value.strip(), "token", now)
        if account is None:
            raise NotSignedIn
        return account
    if scheme.lower() == "basic":
        return _basic(request, session, value, now)
    cookie = request.cookies.get(SESSION_COOKIE)
    if not cookie:
        return None
    account = account_of(session, cookie, "session", now)
    if account is not None and request.method not in SAFE_METHODS:
        sent = request.headers.get("x-csrf-token", "")
        if not secrets.compare_digest(sent.encode(), account.csrf.encode()):
            raise NotAllowed("auth.csrf")
    return account


def credentials(request: Request) -> tuple[str | None, ...]:
    """All of a request that `get_account` looks at: who comes with the same at the same moment is the same."""
    headers = request.headers
    cookie = request.cookies.get(SESSION_COOKIE)
    return headers.get("authorization"), cookie, headers.get("x-csrf-token"), request.method


def _basic(request: Request, session: Session, value: str, now: datetime) -> Account:
    limits_of(request).before_sign_in(request)
    try:
        username, _, password = base64.b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise NotSignedIn from error
    row = check_password(session, username, password, now)
    if row is None:
        # The failure is counted even though the request ends in an error.
        limits_of(request).failed_sign_in(request)
        session.commit()
        raise NotSignedIn
    return known_as(row)


MaybeAccount = Annotated[Account | None, Depends(get_account, scope="function")]


async def get_signed_in(account: MaybeAccount) -> Account:
    """Who asks; 401 for nobody. NotAllowed `auth.must_change` while a one-time password stands."""
    if account is None:
        raise NotSignedIn
    if account.must_change:
        raise NotAllowed("auth.must_change")
    return account


SignedIn = Annotated[Account, Depends(get_signed_in, scope="function")]


async def get_page_account(request: Request, account: MaybeAccount) -> Account:
    """Who asks for a page; the way to the sign-in page for nobody."""
    if account is None:
        target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        raise SignInNeeded(quote(target, safe="/?=&"))
    if account.must_change and request.url.path != PASSWORD_PAGE:
        raise SignInNeeded("", PASSWORD_PAGE)
    return account


PageAccount = Annotated[Account, Depends(get_page_account, scope="function")]


def require(account: Account, permission: str) -> None:
    """NotAllowed `auth.not_permitted` when the account's role, or its token, lacks the permission."""
    if not account.may(permission):
        raise NotAllowed("auth.not_permitted", role=account.role, permission=permission)


def reach(session: Session, account: Account, now: datetime) -> Scope | None:
    """Which incidents an account may see, None for all; NotAllowed `auth.no_person` without a person."""
    require(account, "read")
    if REACH[account.role] == "all":
        return None
    if account.staff_id is None:
        raise NotAllowed("auth.no_person", username=account.username)
    return scope_of(session, account.staff_id, REACH[account.role], now)


def get_reach(session: DbSession, account: SignedIn, now: Now) -> Scope | None:
    """What whoever asks may see."""
    return reach(session, account, now)


Reach = Annotated[Scope | None, Depends(get_reach, scope="function")]


def get_page_reach(session: DbSession, account: PageAccount, now: Now) -> Scope | None:
    """The same for a page; the way to the sign-in page for nobody."""
    return reach(session, account, now)


PageReach = Annotated[Scope | None, Depends(get_page_reach, scope="function")]


def allowed(permission: str) -> Callable[[Account], Account]:
    """A dependency: the signed-in account, if its role has the permission."""

    def check(account: SignedIn) -> Account:
        require(account, permission)
        return account

    return check


Reader = Annotated[Account, Depends(allowed("read"), scope="function")]
Exporter = Annotated[Account, Depends(allowed("export"), scope="function")]
