"""The views of schema `gis`: dropped before tables change under them, made anew afterwards, rights kept."""

from __future__ import annotations

from sqlalchemy import Connection, text

from maps.gis_source import SOURCE, stamp

SCHEMA = "gis"
# The view with names of people, granted apart from the layers.
PEOPLE = "people"


def views_current(connection: Connection) -> bool:
    """Whether the views in the database are those of the source."""
    return _mark(connection)[0] == stamp()


def drop_views(connection: Connection) -> None:
    """Takes views and functions of the schema away, so that tables below may change; the schema itself stays."""
    connection.execute(text("create schema if not exists gis"))
    _set_mark(connection, "none", sorted(may_read_names(connection)))
    for view in connection.scalars(
        text(
            "select relname from pg_class where relnamespace = 'gis'::regnamespace and relkind = 'v'"
        )
    ).all():
        connection.execute(text(f'drop view if exists gis."{view}" cascade'))
    for function in connection.scalars(
        text("select oid::regprocedure::text from pg_proc where pronamespace = 'gis'::regnamespace")
    ).all():
        connection.execute(text(f"drop function if exists {function} cascade"))


def make_views(connection: Connection) -> None:
    """Makes all views and functions of the source and gives analysts their rights back."""
    drop_views(connection)
    named = _mark(connection)[1]
    # The driver's own cursor: the text is ours alone and holds colons that are no parameters.
    raw = connection.connection.driver_connection
    if raw is None:
        raise RuntimeError("the connection is gone")
    raw.execute(SOURCE.read_text(encoding="utf-8"))
    _set_mark(connection, stamp(), named)
    for role in analysts(connection):
        grant(connection, role, with_names=role in named)


def analysts(connection: Connection) -> list[str]:
    """Roles that may use the schema, its owner left out."""
    return list(
        connection.scalars(
            text(
                "select r.rolname from pg_namespace n cross join lateral aclexplode(n.nspacl) a"
                " join pg_roles r on r.oid = a.grantee where n.nspname = 'gis'"
                " and a.privilege_type = 'USAGE' and a.grantee <> n.nspowner order by 1"
            )
        )
    )


def grant(connection: Connection, role: str, *, with_names: bool) -> None:
    """Lets a role read every layer, and people's names where it may."""
    name = connection.dialect.identifier_preparer.quote_identifier(role)
    connection.execute(text(f"grant usage on schema gis to {name}"))
    connection.execute(text(f"grant select on all tables in schema gis to {name}"))
    if not with_names:
        connection.execute(text(f"revoke select on gis.people from {name}"))  # noqa: S608


def may_read_names(connection: Connection) -> set[str]:
    """Roles that may read people's names: from the view's rights, or from the mark while there is no view."""
    granted = connection.scalars(
        text(
            "select r.rolname from pg_class c cross join lateral aclexplode(c.relacl) a"
            " join pg_roles r on r.oid = a.grantee where c.relname = :people"
            " and a.privilege_type = 'SELECT' and a.grantee <> c.relowner"
            " and c.relnamespace = (select oid from pg_namespace where nspname = 'gis')"
        ),
        {"people": PEOPLE},
    )
    return {*granted, *_mark(connection)[1]} if not _people_there(connection) else set(granted)


def _people_there(connection: Connection) -> bool:
    return connection.scalar(text("select to_regclass('gis.people')")) is not None


def _mark(connection: Connection) -> tuple[str, list[str]]:
    """The schema's comment: the stamp of its views, and who may read names."""
    comment = connection.scalar(
        text("select obj_description(oid, 'pg_namespace') from pg_namespace where nspname = 'gis'")
    )
    stamped, _, roles = str(comment or "").partition(" names ")
    return stamped, [role for role in roles.split(",") if role]


def _set_mark(connection: Connection, stamped: str, named: list[str]) -> None:
    comment = f"{stamped} names {','.join(named)}".replace("'", "''")
    connection.execute(text(f"comment on schema gis is '{comment}'"))
