"""`gridward account`: who may sign in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer
from sqlalchemy import select
from sqlalchemy.orm import Session

from api import accounts_list, auth
from api.cli.opening import opened
from api.cli.output import Json, finish
from api.imports.asked import COMMAND
from api.models import AccountRow
from dispatch import personal
from dispatch.rules_log import write_down
from grid.core.errors import BadInput
from grid.models import Staff

app = typer.Typer(
    no_args_is_help=True, help="Accounts. Example: gridward account add wang --role dispatcher"
)


@app.command()
def add(
    username: str,
    role: Annotated[str, typer.Option(help="The role, such as dispatcher or cleaner.")],
    name: Annotated[str, typer.Option(help="The name people see.")] = "",
    staff_no: Annotated[str | None, typer.Option(help="The staff number behind it.")] = None,
    password: Annotated[
        str, typer.Option(prompt=True, hide_input=True, help="Asked for when left out.")
    ] = "",
    as_json: Json = False,
) -> None:
    """Add an account or change one. Example: gridward account add wang --role dispatcher"""
    with opened() as (_, session):
        staff_id = None
        if staff_no:
            staff_id = session.scalar(select(Staff.id).where(Staff.staff_no == staff_no))
            if staff_id is None:
                raise BadInput("account.staff_unknown", field="staff_no", staff_no=staff_no)
        known = accounts_list.facts_of(session, username) if _there(session, username) else None
        auth.save_account(session, username, password, name or username, role, staff_id)
        _written(session, username, known)
    finish({"username": username, "role": role}, as_json)


@app.command("list")
def list_accounts(as_json: Json = False) -> None:
    """List the accounts. Example: gridward account list"""
    with opened() as (_, session):
        rows = session.scalars(select(AccountRow).order_by(AccountRow.username)).all()
        accounts = [{"username": r.username, "role": r.role, "name": r.name} for r in rows]
    if as_json:
        finish({"accounts": accounts}, True)
        return
    for account in accounts:
        typer.echo("\t".join(account.values()))


@app.command()
def password(
    username: str,
    new: Annotated[str, typer.Option("--password", prompt=True, hide_input=True)] = "",
    as_json: Json = False,
) -> None:
    """Set a new password and end all sessions. Example: gridward account password wang"""
    with opened() as (_, session):
        if not auth.change_password(session, username, new):
            raise BadInput("account.unknown", field="username", username=username)
        now = datetime.now(UTC)
        write_down(session, "account", username, None, {"password": "…"}, now, COMMAND, now)
    finish({"username": username}, as_json)


@app.command()
def disable(username: str, as_json: Json = False) -> None:
    """Close an account and end its sessions and tokens. Example: gridward account disable wang"""
    _set_disabled(username, True, as_json)


@app.command()
def enable(username: str, as_json: Json = False) -> None:
    """Open a closed account again. Example: gridward account enable wang"""
    _set_disabled(username, False, as_json)


def _set_disabled(username: str, disabled: bool, as_json: bool) -> None:
    with opened() as (_, session):
        known = accounts_list.facts_of(session, username) if _there(session, username) else None
        if not auth.set_disabled(session, username, datetime.now(UTC), disabled=disabled):
            raise BadInput("account.unknown", field="username", username=username)
        _written(session, username, known)
    finish({"username": username, "disabled": disabled}, as_json)


def _there(session: Session, username: str) -> bool:
    asked = select(AccountRow.id).where(AccountRow.username == username)
    return session.scalar(asked) is not None


def _written(session: Session, username: str, before: dict[str, Any] | None) -> None:
    now, after = datetime.now(UTC), accounts_list.facts_of(session, username)
    write_down(session, "account", username, before, after, now, COMMAND, now)


@app.command()
def anonymise(as_json: Json = False) -> None:
    """Take away names and numbers of reporters whose time is over. Example: gridward account anonymise"""
    with opened() as (services, session):
        keep = timedelta(days=services.settings.town.reporter_days)
        count = personal.anonymise(session, datetime.now(UTC), keep)
    finish({"anonymised": count}, as_json)
