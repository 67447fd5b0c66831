"""Whether a database is as new as this program, asked without the libraries that would bring it there."""

from __future__ import annotations

from pathlib import Path

import psycopg

from maps.gis_source import stamp

VERSIONS = Path(__file__).parent / "migrations" / "versions"


def newest_revision() -> str:
    """The last migration: they are numbered, one after another (a test compares it with alembic's own answer)."""
    return max(file.name.partition("_")[0] for file in VERSIONS.glob("[0-9]*_*.py"))


def is_newest(url: str) -> bool:
    """Whether tables and the layers' views are the newest; False also where nothing is there yet."""
    try:
        with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
            row = connection.execute(
                "select (select min(version_num) from public.alembic_version),"
                " obj_description(to_regnamespace('gis'), 'pg_namespace')"
            ).fetchone()
    except psycopg.Error:
        # Whoever brings it up to date says what is wrong.
        return False
    return row is not None and row[0] == newest_revision() and str(row[1]).startswith(f"{stamp()} ")
