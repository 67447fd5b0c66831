"""COPY for many rows: the fast way into a table, inside the caller's transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import shapely
from psycopg import sql
from sqlalchemy.orm import Session


def ewkb(geometry: shapely.Geometry | None, srid: int | None = 4326) -> str | None:
    """Hex EWKB of a geometry; `srid` None leaves it without a reference system (a plane)."""
    if geometry is None:
        return None
    if srid is None:
        return str(shapely.to_wkb(geometry, hex=True))
    return str(shapely.to_wkb(shapely.set_srid(geometry, srid), hex=True, include_srid=True))


def copy_rows(
    session: Session, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]
) -> None:
    """Copies `rows` into `table`; a list becomes an array, a dict must be wrapped as Jsonb."""
    connection = session.connection().connection.driver_connection
    if connection is None:
        raise RuntimeError("the session has lost its connection")
    statement = sql.SQL("copy {} ({}) from stdin").format(
        sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row(row)


def ewkt_point(lon: float | None, lat: float | None) -> str | None:
    """EWKT of a lon/lat point, as the geometry columns take it."""
    return None if lon is None or lat is None else f"SRID=4326;POINT({lon:.9f} {lat:.9f})"
