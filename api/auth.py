"""Signing in: argon2 passwords, sessions for pages, bearer tokens for programs; only hashes are kept."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

from pwdlib import PasswordHash
from sqlalchemy import delete, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from api.models import AccessKey, AccountRow
from api.permissions import ROLES, may
from grid.core.database import ask
from grid.core.errors import BadInput, NotAllowed

FAILURES_BEFORE_LOCK = 5
LOCK_TIME = timedelta(minutes=15)
SHORTEST_PASSWORD = 8
# A session that lasts on with its use is written anew so often, not at each request.
RENEWED_EVERY = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody signed in."""

    id: int
    username: str
    name: str
    role: str
    staff_id: int | None
    csrf: str
    # What a program's token is limited to; None is everything the role may.
    token_scopes: frozenset[str] | None = None
    must_change: bool = False
    # The unit of the person behind it, id and name, where it was read along.
    unit: tuple[int | None, str | None] | None = None

    def may(self, permission: str) -> bool:
        """Whether the role has the permission and the token, if it is limited, was given it."""
        limited = self.token_scopes is not None and permission not in self.token_scopes
        return may(self.role, permission) and not limited and not self.must_change


@lru_cache(maxsize=1)
def _hasher() -> PasswordHash:
    return PasswordHash.recommended()


@lru_cache(maxsize=1)
def _nobody_hash() -> str:
    """Compared when the name is unknown, so that the answer takes as long as for a known one."""
    return _hasher().hash(secrets.token_urlsafe())


def check_password(
    session: Session, username: str, password: str, now: datetime
) -> AccountRow | None:
    """The account of a name and password, None when they do not fit (the failure is counted).

    Raises NotAllowed `auth.locked` after five failures in a row, for fifteen minutes.
    """
    # No name holds NUL, which PostgreSQL cannot even compare.
    known = username.replace("\x00", "�")
    row = session.scalar(select(AccountRow).where(AccountRow.username == known).with_for_update())
    if row is None or row.disabled_at is not None:
        _hasher().verify(password, _nobody_hash())
        return None
    if row.locked_until is not None and row.locked_until > now:
        minutes = int((row.locked_until - now).total_seconds() // 60) + 1
        raise NotAllowed("auth.locked", minutes=minutes)
    if not _hasher().verify(password, row.password_hash):
        row.failed_count += 1
        if row.failed_count >= FAILURES_BEFORE_LOCK:
            row.failed_count = 0
            row.locked_until = now + LOCK_TIME
        return None
    row.failed_count = 0
    row.locked_until = None
    return row


def sign_in(
    session: Session,
    username: str,
    password: str,
    now: datetime,
    *,
    kind: str = "session",
    hours: int = 12,
) -> tuple[str, Account] | None:
    """Makes a session or token; (secret, account), or None when name and password do not fit."""
    row = check_password(session, username, password, now)
    if row is None:
        return None
    return give_key(session, row, now, kind=kind, lasting=timedelta(hours=hours))


def give_key(
    session: Session,
    row: AccountRow,
    now: datetime,
    *,
    kind: str,
    lasting: timedelta,
    name: str | None = None,
    scopes: list[str] | None = None,
) -> tuple[str, Account]:
    """A new session or token of an account that has shown who it is; the secret is told only here."""
    secret, csrf = secrets.token_urlsafe(32), secrets.token_urlsafe(24)
    session.add(
        AccessKey(
            secret_hash=digest(secret),
            account_id=row.id,
            kind=kind,
            csrf=csrf,
            made_at=now,
            expires_at=now + lasting,
            name=name,
            scopes=scopes,
        )
    )
    session.execute(delete(AccessKey).where(AccessKey.expires_at < now))
    return secret, known_as(row, csrf, scopes)


def renew(session: Session, secret: str, now: datetime, lasting: timedelta) -> bool:
    """Lets a session last on from now; whether that was due (at most once in RENEWED_EVERY)."""
    renewed = session.scalar(
        update(AccessKey)
        .where(
            AccessKey.secret_hash == digest(secret),
            AccessKey.kind == "session",
            AccessKey.expires_at > now,
            AccessKey.expires_at < now + lasting - RENEWED_EVERY,
        )
        .values(expires_at=now + lasting)
        .returning(AccessKey.account_id)
    )
    return renewed is not None


def sign_out(session: Session, secret: str) -> None:
    """Ends a session or token."""
    session.execute(delete(AccessKey).where(AccessKey.secret_hash == digest(secret)))


def account_of(session: Session, secret: str, kind: str, now: datetime) -> Account | None:
    """Whose session or token this is; None when it is unknown, ended or of a disabled account."""
    rows = ask(
        session,
        "select a.id, a.username, a.name, a.role, a.staff_id, k.csrf, k.scopes, a.must_change, u.id, u.name"
        " from access_key k join account a on a.id = k.account_id left join staff s on s.id = a.staff_id"
        " left join unit u on u.id = s.unit_id where k.secret_hash = %s"
        " and k.kind = %s and k.expires_at > %s and a.disabled_at is null",
        [digest(secret), kind, now],
    )
    if not rows:
        return None
    key, username, name, role, staff_id, csrf, scopes, must_change, *unit = rows[0]
    limited = None if scopes is None else frozenset(scopes)
    return Account(
        key, username, name, role, staff_id, csrf, limited, must_change, (unit[0], unit[1])
    )


def known_as(row: AccountRow, csrf: str = "", scopes: list[str] | None = None) -> Account:
    """The account of a row, as routes know it."""
    limited = None if scopes is None else frozenset(scopes)
    return Account(
        *(row.id, row.username, row.name, row.role, row.staff_id, csrf, limited, row.must_change)
    )


def save_account(
    session: Session,
    username: str,
    password: str,
    name: str,
    role: str,
    staff_id: int | None = None,
    *,
    must_change: bool = False,
) -> None:
    """Makes an account or gives an existing one this password, name and role.

    With `must_change` the password only opens the page where another one is chosen.

    Raises BadInput `account.role_unknown`, `account.password_short`.
    """
    if role not in ROLES:
        raise BadInput("account.role_unknown", field="role", role=role, roles=", ".join(ROLES))
    if len(password) < SHORTEST_PASSWORD:
        raise BadInput("account.password_short", field="password", least=SHORTEST_PASSWORD)
    values = {
        "name": name,
        "role": role,
        "staff_id": staff_id,
        "password_hash": _hasher().hash(password),
        "must_change": must_change,
    }
    session.execute(
        insert(AccountRow)
        .values(username=username, **values)
        .on_conflict_do_update(index_elements=["username"], set_=values)
    )


def change_password(session: Session, username: str, password: str) -> bool:
    """Sets a new password and ends every session; False when there is no such account."""
    if len(password) < SHORTEST_PASSWORD:
        raise BadInput("account.password_short", field="password", least=SHORTEST_PASSWORD)
    found = session.scalar(
        update(AccountRow)
        .where(AccountRow.username == username)
        .values(
            password_hash=_hasher().hash(password),
            failed_count=0,
            locked_until=None,
            must_change=False,
        )
        .returning(AccountRow.id)
    )
    if found is None:
        return False
    session.execute(delete(AccessKey).where(AccessKey.account_id == found))
    return True


def set_disabled(session: Session, username: str, now: datetime, *, disabled: bool) -> bool:
    """Closes an account and ends its sessions and tokens, or opens it again; False when unknown."""
    found = session.scalar(
        update(AccountRow)
        .where(AccountRow.username == username)
        .values(disabled_at=now if disabled else None)
        .returning(AccountRow.id)
    )
    if found is None:
        return False
    if disabled:
        session.execute(delete(AccessKey).where(AccessKey.account_id == found))
    return True


def first_administrator(session: Session) -> str | None:
    """Makes `admin` with a one-time password where no account exists yet, and tells it once."""
    if session.scalar(select(AccountRow.id).limit(1)) is not None:
        return None
    password = secrets.token_urlsafe(12)
    save_account(session, "admin", password, "admin", "administrator", must_change=True)
    return password


def digest(secret: str) -> str:
    """What is kept of a secret."""
    return hashlib.sha256(secret.encode()).hexdigest()
