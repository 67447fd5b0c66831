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
from grid.core.errors import BadInput, NotAllowed

FAILURES_BEFORE_LOCK = 5
LOCK_TIME = timedelta(minutes=15)
SHORTEST_PASSWORD = 8


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

    def may(self, permission: str) -> bool:
        """Whether the role has the permission and the token, if it is limited, was given it."""
        limited = self.token_scopes is not None and permission not in self.token_scopes
        return may(self.role, permission) and not limited


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
    secret, csrf = secrets.token_urlsafe(32), secrets.token_urlsafe(24)
    session.add(
        AccessKey(
            secret_hash=_digest(secret),
            account_id=row.id,
            kind=kind,
            csrf=csrf,
            made_at=now,
            expires_at=now + timedelta(hours=hours),
        )
    )
    session.execute(delete(AccessKey).where(AccessKey.expires_at < now))
    return secret, Account(row.id, row.username, row.name, row.role, row.staff_id, csrf)


def sign_out(session: Session, secret: str) -> None:
    """Ends a session or token."""
    session.execute(delete(AccessKey).where(AccessKey.secret_hash == _digest(secret)))


def account_of(session: Session, secret: str, kind: str, now: datetime) -> Account | None:
    """Whose session or token this is; None when it is unknown, ended or of a disabled account."""
    row = session.execute(
        select(AccountRow, AccessKey.csrf)
        .join(AccessKey, AccessKey.account_id == AccountRow.id)
        .where(
            AccessKey.secret_hash == _digest(secret),
            AccessKey.kind == kind,
            AccessKey.expires_at > now,
            AccountRow.disabled_at.is_(None),
        )
    ).one_or_none()
    if row is None:
        return None
    account: AccountRow = row[0]
    return Account(
        account.id, account.username, account.name, account.role, account.staff_id, row[1]
    )


def save_account(
    session: Session,
    username: str,
    password: str,
    name: str,
    role: str,
    staff_id: int | None = None,
) -> None:
    """Makes an account or gives an existing one this password, name and role.

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
        .values(password_hash=_hasher().hash(password), failed_count=0, locked_until=None)
        .returning(AccountRow.id)
    )
    if found is None:
        return False
    session.execute(delete(AccessKey).where(AccessKey.account_id == found))
    return True


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
