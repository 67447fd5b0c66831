"""Read-only roles of the database for analysts: schema `gis` and nothing else."""

from __future__ import annotations

import re
import secrets

from psycopg import sql
from sqlalchemy import Connection, text

from grid.core.errors import BadInput, Conflict, NotAllowed, NotFound
from maps.views import analysts, grant, may_read_names

NAME = re.compile("[a-z][a-z0-9_]{0,39}")
# How a role made here is known again.
MARK = "gridward analyst"
# A careless query must not hold the town's database up.
LIMITS = {
    "default_transaction_read_only": "on",
    "statement_timeout": "10min",
    "search_path": "gis, public",
}


def save_analyst(connection: Connection, name: str, *, with_names: bool) -> str:
    """Makes a role, or gives an existing analyst a new password; returns the password.

    Raises BadInput `analyst.name_bad`, Conflict `analyst.taken`, NotAllowed `analyst.not_allowed`.
    """
    _may_make_roles(connection)
    there = _known(connection, name)
    password = secrets.token_urlsafe(18)
    role = sql.Identifier(name)
    if not there:
        _run(connection, sql.SQL("create role {} nosuperuser nocreatedb nocreaterole").format(role))
        _run(connection, sql.SQL("comment on role {} is {}").format(role, sql.Literal(MARK)))
    _run(
        connection,
        sql.SQL("alter role {} login password {} connection limit 10").format(
            role, sql.Literal(password)
        ),
    )
    for setting, value in LIMITS.items():
        statement = sql.SQL("alter role {} set {} = {}")
        shown = sql.SQL(value) if setting == "search_path" else sql.Literal(value)
        _run(connection, statement.format(role, sql.Identifier(setting), shown))
    _close_the_rest(connection)
    grant(connection, name, with_names=with_names)
    return password


def readers(connection: Connection) -> dict[str, bool]:
    """Roles that read schema gis now: role → may read people's names."""
    named = may_read_names(connection)
    return {role: role in named for role in analysts(connection)}


def let_read_again(connection: Connection, known: dict[str, bool]) -> list[str]:
    """Gives roles (role → people's names) their rights on schema gis back; returns those that are no analysts of this server."""
    there = set(
        connection.scalars(
            text("select rolname from pg_roles where shobj_description(oid, 'pg_authid') = :mark"),
            {"mark": MARK},
        )
    )
    for role in sorted(known.keys() & there):
        grant(connection, role, with_names=known[role])
    return sorted(known.keys() - there)


def remove_analyst(connection: Connection, name: str) -> None:
    """Takes a role away. Raises NotFound `analyst.unknown`, and as `save_analyst`."""
    _may_make_roles(connection)
    if not _known(connection, name):
        raise NotFound("analyst.unknown", field="name", name=name)
    role = sql.Identifier(name)
    _run(connection, sql.SQL("drop owned by {}").format(role))
    _run(connection, sql.SQL("drop role {}").format(role))


def _known(connection: Connection, name: str) -> bool:
    if not NAME.fullmatch(name):
        raise BadInput("analyst.name_bad", field="name", name=name)
    row = connection.execute(
        text("select shobj_description(oid, 'pg_authid') from pg_roles where rolname = :name"),
        {"name": name},
    ).one_or_none()
    if row is not None and row[0] != MARK:
        raise Conflict("analyst.taken", field="name", name=name)
    return row is not None


def _may_make_roles(connection: Connection) -> None:
    row = connection.execute(
        text("select rolname, rolsuper or rolcreaterole from pg_roles where rolname = current_user")
    ).one()
    if not row[1]:
        raise NotAllowed("analyst.not_allowed", role=row[0])


def _close_the_rest(connection: Connection) -> None:
    """What PostgreSQL leaves open to every role and an analyst does not need: temporary tables, large objects."""
    owner = connection.scalar(
        text(
            "select pg_has_role(datdba, 'usage') from pg_database where datname = current_database()"
        )
    )
    if owner:
        database = str(connection.scalar(text("select current_database()")))
        revoke = sql.SQL("revoke temporary on database {} from public")
        _run(connection, revoke.format(sql.Identifier(database)))
    if connection.scalar(text("select rolsuper from pg_roles where rolname = current_user")):
        for function in ("lo_create(oid)", "lo_creat(integer)", "lo_from_bytea(oid, bytea)"):
            connection.execute(
                text(f"revoke execute on function pg_catalog.{function} from public")
            )


def _run(connection: Connection, statement: sql.Composable) -> None:
    # No parameter of the driver: a role's name or password cannot be one.
    connection.exec_driver_sql(statement.as_string(None).replace("%", "%%"))
