"""Tokens for programs: named, limited to chosen permissions, with an end; told once, kept as a hash."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from api.auth import Account, digest, give_key
from api.models import AccessKey, AccountRow
from api.permissions import PERMISSIONS
from grid.core.errors import BadInput, NotAllowed, NotFound

# Enough of the hash to name a token among one's own.
ID_LENGTH = 12


def make(
    session: Session,
    account: Account,
    name: str,
    scopes: list[str] | None,
    days: int,
    now: datetime,
) -> tuple[str, str]:
    """A new token of an account: (secret, id).

    Raises BadInput `token.scope_unknown`; NotAllowed `token.scope_beyond` for a permission that the
    account, or the token it asks with, has not.
    """
    for scope in scopes or ():
        if scope not in PERMISSIONS:
            known = ", ".join(PERMISSIONS)
            raise BadInput("token.scope_unknown", field="scopes", scope=scope, known=known)
        if not account.may(scope):
            raise NotAllowed("token.scope_beyond", field="scopes", scope=scope)
    limited = scopes
    if scopes is None and account.token_scopes is not None:
        limited = sorted(account.token_scopes)
    row = session.get_one(AccountRow, account.id)
    lasting = timedelta(days=days)
    secret, _ = give_key(
        session, row, now, kind="token", lasting=lasting, name=name.strip(), scopes=limited
    )
    return secret, digest(secret)[:ID_LENGTH]


def tokens_of(session: Session, account: Account, now: datetime) -> list[dict[str, Any]]:
    """An account's named tokens, newest first: `id`, `name`, `scopes`, `made_at`, `expires_at`."""
    rows = session.scalars(
        select(AccessKey)
        .where(
            AccessKey.account_id == account.id,
            AccessKey.name.is_not(None),
            AccessKey.expires_at > now,
        )
        .order_by(AccessKey.made_at.desc())
    )
    return [
        {
            "id": row.secret_hash[:ID_LENGTH],
            "name": row.name,
            "scopes": row.scopes,
            "made_at": row.made_at,
            "expires_at": row.expires_at,
        }
        for row in rows
    ]


def end(session: Session, account: Account, token_id: str) -> None:
    """Ends one of an account's tokens; NotFound `token.unknown`."""
    ended = session.execute(
        delete(AccessKey)
        .where(
            AccessKey.account_id == account.id,
            AccessKey.name.is_not(None),
            func.left(AccessKey.secret_hash, ID_LENGTH) == token_id,
        )
        .returning(AccessKey.secret_hash)
    ).all()
    if not ended:
        raise NotFound("token.unknown", field="token_id", token_id=token_id)
