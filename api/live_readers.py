"""Who reads the live feed, looked at again while they read: an open stream must not outlive its account.

One question for the keys of all streams of a process and one for each person with a scope, whatever their number, every
CHECK_SECONDS: a key that was ended, an account that was disabled or may no longer see the console ends the stream;
another grid, unit or line of reporting changes what it tells.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from fastapi import Request
from sqlalchemy import text
from sqlalchemy.orm import Session

from api.auth import digest
from api.deps import SESSION_COOKIE
from api.permissions import REACH, may
from dispatch.scope import Scope, scope_of

CHECK_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Reader:
    """Of one stream: account, the hash of its session or token (None: name and password), what the token is limited to, scope."""

    account_id: int
    key_hash: str | None
    token_scopes: frozenset[str] | None = None
    scope: Scope | None = None


_KEYS = text(
    "select k.secret_hash, k.scopes, a.role, a.staff_id from access_key k join account a on a.id = k.account_id"
    " where k.secret_hash = any(:hashes) and k.expires_at > :now and a.disabled_at is null and not a.must_change"
)
_ACCOUNTS = text(
    "select a.id, a.role, a.staff_id from account a where a.id = any(:ids)"
    " and a.disabled_at is null and not a.must_change"
)


def key_of(request: Request) -> str | None:
    """The hash of the session or token that a request came with; None for a name and password."""
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return digest(value.strip())
    cookie = None if scheme else request.cookies.get(SESSION_COOKIE)
    return digest(cookie) if cookie else None


def looked_at(
    session: Session, readers: Iterable[Reader], now: datetime
) -> dict[Reader, Reader | None]:
    """Each reader as they are now; None for who may read no longer."""
    all_of_them = set(readers)
    hashes = [reader.key_hash for reader in all_of_them if reader.key_hash is not None]
    ids = [reader.account_id for reader in all_of_them if reader.key_hash is None]
    keys = {
        row.secret_hash: (row.role, row.staff_id, row.scopes)
        for row in (session.execute(_KEYS, {"hashes": hashes, "now": now}) if hashes else ())
    }
    accounts = {
        row.id: (row.role, row.staff_id, None)
        for row in (session.execute(_ACCOUNTS, {"ids": ids}) if ids else ())
    }
    scopes: dict[tuple[str, int], Scope | None] = {}
    found: dict[Reader, Reader | None] = {}
    for reader in all_of_them:
        known = keys.get(reader.key_hash) if reader.key_hash else accounts.get(reader.account_id)
        found[reader] = None
        if known is None:
            continue
        role, staff_id, limited = known
        wanted = ("console", "read")
        if not all(may(role, one) and (limited is None or one in limited) for one in wanted):
            continue
        scope = None
        if REACH[role] != "all":
            if staff_id is None:
                continue
            if (role, staff_id) not in scopes:
                scopes[role, staff_id] = scope_of(session, staff_id, REACH[role], now)
            scope = scopes[role, staff_id]
        token_scopes = None if limited is None else frozenset(limited)
        found[reader] = Reader(reader.account_id, reader.key_hash, token_scopes, scope)
    return found
