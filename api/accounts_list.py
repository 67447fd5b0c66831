"""Accounts as the administrator sees and changes them."""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, select, text, update
from sqlalchemy.orm import Session

from api import auth
from api.auth import Account
from api.models import AccessKey, AccountRow
from api.permissions import ROLES
from grid.core.errors import BadInput, Conflict, NotFound
from grid.models import Staff


def list_accounts(session: Session, now: datetime) -> list[dict[str, Any]]:
    """Every account by name: role, person behind it, when it was last used, whether closed or locked."""
    used = (
        select(AccessKey.account_id, func.max(AccessKey.made_at).label("at"))
        .group_by(AccessKey.account_id)
        .subquery()
    )
    rows = session.execute(
        select(AccountRow, Staff.staff_no, Staff.name.label("person"), used.c.at)
        .outerjoin(Staff, Staff.id == AccountRow.staff_id)
        .outerjoin(used, used.c.account_id == AccountRow.id)
        .order_by(AccountRow.username)
    )
    return [
        {
            "username": row[0].username,
            "name": row[0].name,
            "role": row[0].role,
            "staff_no": row.staff_no,
            "person": row.person,
            "disabled": row[0].disabled_at is not None,
            "locked": row[0].locked_until is not None and row[0].locked_until > now,
            "must_change": row[0].must_change,
            "elsewhere": row[0].oidc_subject is not None,
            "last_key_at": row.at,
        }
        for row in rows
    ]


def facts_of(session: Session, username: str) -> dict[str, Any]:
    """What the record says of an account: name, role, staff number, closed or not; NotFound `account.unknown`."""
    session.flush()
    row = session.execute(
        text(
            "select a.name, a.role, s.staff_no, a.disabled_at is not null as disabled"
            " from account a left join staff s on s.id = a.staff_id where a.username = :name"
        ),
        {"name": username},
    )
    found = row.mappings().one_or_none()
    if found is None:
        raise NotFound("account.unknown", field="username", username=username)
    return dict(found)


def add_account(session: Session, username: str, name: str, role: str, staff_no: str | None) -> str:
    """Makes an account and tells its one-time password.

    Raises Conflict `account.taken`; BadInput `account.username_bad`, `account.role_unknown`,
    `account.staff_unknown`.
    """
    plain = username.strip()
    if not plain or len(plain) > 60 or any(ord(sign) < 33 for sign in plain):
        raise BadInput("account.username_bad", field="username")
    if session.scalar(select(AccountRow.id).where(AccountRow.username == plain)) is not None:
        raise Conflict("account.taken", field="username", username=plain)
    password = secrets.token_urlsafe(9)
    staff_id = staff_of(session, staff_no)
    auth.save_account(
        session, plain, password, name.strip() or plain, role, staff_id, must_change=True
    )
    return password


def change_account(
    session: Session,
    asking: Account,
    username: str,
    *,
    name: str | None,
    role: str | None,
    staff_no: str | None,
) -> None:
    """Gives an account another name, role or person; a changed role ends its sessions and tokens.

    Raises NotFound `account.unknown`; BadInput `account.role_unknown`, `account.staff_unknown`;
    Conflict `account.own_role` (nobody takes their own administration away by mistake).
    """
    row = _row(session, username)
    if role is not None and role != row.role:
        if role not in ROLES:
            raise BadInput("account.role_unknown", field="role", role=role, roles=", ".join(ROLES))
        if row.id == asking.id:
            raise Conflict("account.own_role")
        row.role = role
        session.execute(delete(AccessKey).where(AccessKey.account_id == row.id))
    if name is not None and name.strip():
        row.name = name.strip()
    if staff_no is not None:
        row.staff_id = staff_of(session, staff_no)


def reset_password(session: Session, username: str) -> str:
    """A new one-time password, told once; the lock and every session and token end."""
    row = _row(session, username)
    password = secrets.token_urlsafe(9)
    auth.change_password(session, row.username, password)
    session.execute(update(AccountRow).where(AccountRow.id == row.id).values(must_change=True))
    return password


def set_disabled(
    session: Session, asking: Account, username: str, now: datetime, *, disabled: bool
) -> None:
    """Closes or opens an account; Conflict `account.own_role` for one's own."""
    row = _row(session, username)
    if disabled and row.id == asking.id:
        raise Conflict("account.own_role")
    auth.set_disabled(session, row.username, now, disabled=disabled)


def staff_of(session: Session, staff_no: str | None) -> int | None:
    """The person of a staff number; None for none; BadInput `account.staff_unknown`."""
    if not staff_no or not staff_no.strip():
        return None
    found = session.scalar(
        text("select id from staff where staff_no = :no"), {"no": staff_no.strip()}
    )
    if found is None:
        raise BadInput("account.staff_unknown", field="staff_no", staff_no=staff_no)
    return int(found)


def _row(session: Session, username: str) -> AccountRow:
    row = session.scalar(
        select(AccountRow).where(AccountRow.username == username).with_for_update()
    )
    if row is None:
        raise NotFound("account.unknown", field="username", username=username)
    return row
