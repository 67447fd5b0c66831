"""The administrator's calls: accounts made, changed, closed; passwords given anew."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field
from sqlalchemy.orm import Session

from api import accounts_list
from api.auth import Account
from api.deps import DbSession, Now, allowed
from api.routes.incidents import PROBLEMS
from dispatch.rules_log import write_down

router = APIRouter(prefix="/api/v1/accounts", tags=["accounts"])
Administrator = Annotated[Account, Depends(allowed("administer"), scope="function")]


class AccountIn(BaseModel):
    """A new account; its one-time password is in the answer."""

    username: str = Field(max_length=60)
    name: str = Field(default="", max_length=100)
    role: str
    staff_no: str | None = Field(default=None, max_length=60)


class AccountChange(BaseModel):
    """What is to change; an empty `staff_no` unties the account from its person."""

    name: str | None = Field(default=None, max_length=100)
    role: str | None = None
    staff_no: str | None = Field(default=None, max_length=60)
    disabled: bool | None = None


@router.get("", responses=PROBLEMS)
def accounts(session: DbSession, account: Administrator, now: Now) -> list[dict[str, Any]]:
    """Every account."""
    return accounts_list.list_accounts(session, now)


@router.post("", status_code=201, responses=PROBLEMS)
def add(asked: AccountIn, session: DbSession, account: Administrator, now: Now) -> dict[str, str]:
    """A new account with a one-time password, told only here."""
    password = accounts_list.add_account(
        session, asked.username, asked.name, asked.role, asked.staff_no
    )
    username = asked.username.strip()
    _written(session, account, username, None, now)
    return {"username": username, "password": password}


@router.patch("/{username}", status_code=204, responses=PROBLEMS)
def change(
    username: str, asked: AccountChange, session: DbSession, account: Administrator, now: Now
) -> None:
    """Another name, role or person, or the account closed or opened."""
    before = accounts_list.facts_of(session, username)
    accounts_list.change_account(
        session, account, username, name=asked.name, role=asked.role, staff_no=asked.staff_no
    )
    if asked.disabled is not None:
        accounts_list.set_disabled(session, account, username, now, disabled=asked.disabled)
    _written(session, account, username, before, now)


@router.post("/{username}/password", responses=PROBLEMS)
def reset(username: str, session: DbSession, account: Administrator, now: Now) -> dict[str, str]:
    """A new one-time password, told only here; every session and token of the account ends."""
    password = accounts_list.reset_password(session, username)
    who = f"account:{account.username}"
    write_down(session, "account", username, None, {"password": "…"}, now, who, now)
    return {"username": username, "password": password}


def _written(
    session: Session, account: Account, username: str, before: dict[str, Any] | None, now: datetime
) -> None:
    after = accounts_list.facts_of(session, username)
    who = f"account:{account.username}"
    write_down(session, "account", username, before, after, now, who, now)
