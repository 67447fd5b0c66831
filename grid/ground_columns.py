"""The columns of the ground that is in memory: segments in force and who held their sides, as arrays, quickly.

PostgreSQL's own binary copy is taken as it comes and read by one compiled loop, without a Python object for each row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from grid.nearest import kernels

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
# Open ends of a period, µs UTC: before and after every moment that a town knows.
OPEN_FROM_US, OPEN_TO_US = -9_000_000_000_000_000, 9_000_000_000_000_000
HEAD_BYTES = 19

_PERIOD = (
    f"coalesce((extract(epoch from lower(valid)) * 1000000)::bigint, {OPEN_FROM_US}),"
    f" coalesce((extract(epoch from upper(valid)) * 1000000)::bigint, {OPEN_TO_US})"
)


@dataclass(frozen=True, slots=True)
class SegmentColumns:
    """Segments in force, ids rising: rank, street (-1 none), vertices in the plane, starts of each (n + 1)."""

    ids: Ints
    rank: Ints
    street_ids: Ints
    coords: Floats
    offsets: Ints


def read_segment_columns(connection: psycopg.Connection[Any]) -> SegmentColumns:
    """The segments in force."""
    data = copied(
        connection,
        "select id, rank::bigint, coalesce(street_id, -1)::bigint, st_asbinary(line_plane, 'NDR')"
        " from segment where gone_at is null",
    )
    numbers, coords, offsets = kernels.copied_lines(data, HEAD_BYTES)
    if len(numbers) and (np.diff(numbers[:, 0]) < 0).any():
        order = np.argsort(numbers[:, 0], kind="stable")
        counts = np.diff(offsets)[order]
        after = np.concatenate([[0], np.cumsum(counts)])
        coords = coords[np.repeat(offsets[order] - after[:-1], counts) + np.arange(len(coords))]
        numbers, offsets = numbers[order], after
    ids, rank, street_ids = (np.ascontiguousarray(column) for column in numbers.T)
    return SegmentColumns(ids, rank, street_ids, coords, offsets)


def read_holding_columns(connection: psycopg.Connection[Any]) -> Ints:
    """Every holding of a side, past and planned ones too, by segment, side and start.

    (n, 5): segment_id, side (0 left, 1 right), grid_id, from and to in µs UTC.
    """
    table = copied_numbers(
        connection,
        f"select segment_id, case side when 'left' then 0::bigint else 1::bigint end, grid_id::bigint, {_PERIOD}"  # noqa: S608 (fixed words)
        " from grid_segment",
        5,
    )
    return table[np.lexsort((table[:, 3], table[:, 1], table[:, 0]))]


def read_area_rows(connection: psycopg.Connection[Any]) -> list[tuple[bytes, int, int, int]]:
    """Grids' areas, lower codes first: area (WKB, plane), grid_id, from and to in µs UTC."""
    return connection.execute(
        f"select st_asbinary(a.area_plane), a.grid_id, {_PERIOD.replace('valid', 'a.valid')}"  # noqa: S608 (fixed words)
        " from grid_area a join grid g on g.id = a.grid_id order by g.code, a.id"
    ).fetchall()


def connection_of(session: Session) -> psycopg.Connection[Any]:
    """The driver's connection of a session, in its transaction, with what the session still held back written."""
    session.flush()
    connection: Any = session.connection().connection.driver_connection
    found: psycopg.Connection[Any] = connection
    return found


def copied(connection: psycopg.Connection[Any], query: str) -> NDArray[np.uint8]:
    """The bytes of a query's binary copy."""
    data = bytearray()
    with (
        connection.cursor() as cursor,
        cursor.copy(f"copy ({query}) to stdout (format binary)") as copy,
    ):
        for part in copy:
            data += part
    return np.frombuffer(data, dtype=np.uint8)


def copied_numbers(connection: psycopg.Connection[Any], query: str, columns: int) -> Ints:
    """The rows (n, columns) of a query whose columns are all bigint and never null."""
    data = copied(connection, query)
    row = np.dtype(
        [("n", ">i2"), *((f"c{k}", [("size", ">i4"), ("v", ">i8")]) for k in range(columns))]
    )
    # 2 bytes of tail.
    count = (len(data) - HEAD_BYTES - 2) // row.itemsize
    table = np.frombuffer(data, dtype=row, offset=HEAD_BYTES, count=count)
    out = np.empty((count, columns), np.int64)
    for k in range(columns):
        out[:, k] = table[f"c{k}"]["v"]
    return out
