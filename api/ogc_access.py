"""The door of `/ogc`: who asks, what they may see, and under which address the links of the answer stand.

Everything behind it is closed, descriptions too. Programs that cannot send a header come by a link of their own,
`/ogc/key/{token}/`: only a named token that reads and nothing else opens it, because links are written down.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import anyio.to_thread
from fastapi import FastAPI, Request
from starlette.types import Message, Receive, Scope, Send

from api.auth import Account, account_of
from api.deps import NotSignedIn, get_account, get_services, reach, require
from api.errors import problem
from api.permissions import may
from dispatch.scope import Scope as Seen
from grid.core.errors import NotAllowed
from maps.export_filters import Wanted
from maps.features import LARGEST_PAGE
from maps.layers import LAYERS, Layer

# A page for those who look things up.
READERS_PAGE = 1000
LINK_PERMISSIONS = frozenset({"read", "export", "see_people"})


@dataclass(frozen=True, slots=True)
class Access:
    """An account at the service and the incidents it may see (None: all)."""

    account: Account
    seen: Seen | None

    def layers(self) -> tuple[Layer, ...]:
        """The layers this account may read: some count incidents of the whole town."""
        return tuple(one for one in LAYERS.values() if self.seen is None or not one.whole_town)

    @property
    def largest_page(self) -> int:
        """How many rows one page may hold: roles that may take whole layers away get large ones."""
        return LARGEST_PAGE if may(self.account.role, "export") else READERS_PAGE

    def wanted(self) -> Wanted:
        """The bounds of every question of this account."""
        return Wanted(
            with_names=self.account.may("see_people"),
            limit_sql=self.seen.clause if self.seen else None,
            limit_values=self.seen.values if self.seen else None,
            grid_ids=self.seen.grid_ids if self.seen else None,
        )


def admit(request: Request, secret: str | None) -> Access:
    """Who asks. Raises NotSignedIn; NotAllowed `auth.must_change`, `auth.not_permitted`, `auth.no_person`."""
    now = datetime.now(UTC)
    with get_services(request).sessions() as session:
        if secret is None:
            account = get_account(request, session, now)
        else:
            account = account_of(session, secret, "token", now)
            if account is None or not (account.token_scopes or {"all"}) <= LINK_PERMISSIONS:
                raise NotSignedIn
        if account is None:
            raise NotSignedIn
        if account.must_change:
            raise NotAllowed("auth.must_change")
        require(account, "read")
        access = Access(account, reach(session, account, now))
        session.commit()
    return access


class OgcDoor:
    """Stands before the service's application; answers for it when somebody may not enter."""

    def __init__(self, app: FastAPI) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        root, secret = scope["root_path"], None
        rest = scope["path"][len(root) :]
        inner = {**scope, "state": dict(scope.get("state") or {})}
        if scope["method"] == "HEAD":
            # What GET would answer, without the bytes.
            inner["method"], send = "GET", _without_body(send)
        if rest.startswith("/key/"):
            secret, _, rest = rest[len("/key/") :].partition("/")
            root, rest = f"{root}/key/{secret}", f"/{rest}"
            # Whoever notes down requests outside of here finds no secret.
            scope["path"] = f"{scope['root_path']}/key/...{rest}"
            scope["raw_path"] = scope["path"].encode()
        # The links of the answer stand under the address the request came by.
        inner |= {"root_path": root, "app_root_path": root, "path": root + (rest or "/")}
        inner.pop("router", None)
        request = Request(inner, receive)
        try:
            inner["state"]["ogc"] = await anyio.to_thread.run_sync(admit, request, secret)
        except NotSignedIn:
            # Basic: QGIS and browsers ask for name and password when they are told so.
            headers = {"WWW-Authenticate": 'Basic realm="Gridward", charset="UTF-8"'}
            answer = problem(request, 401, "auth.sign_in_needed", headers=headers)
            await answer(scope, receive, send)
            return
        await self.app(inner, receive, send)


def _without_body(send: Send) -> Send:
    async def headers_alone(message: Message) -> None:
        if message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await send(message)

    return headers_alone


def access_of(request: Request) -> Access:
    """What the door has found out."""
    access: Access = request.state.ogc
    return access
