"""Counters of what changed, kept by the database itself: what a process read may be used while they stand still.

Triggers raise a counter with every change of its tables (table change_count), inside the transaction that makes
the change, so a reader sees the new count from the moment it can see the change, whoever made it and how.
"""

from __future__ import annotations

from dataclasses import dataclass

import psycopg
from sqlalchemy.orm import Session

# Tables by part, as the triggers have them.
PARTS = {
    "streets": ("segment", "street"),
    "grids": ("grid", "grid_segment", "grid_area"),
    "people": ("staff", "unit", "post_holding", "absence", "shift"),
}

# A count alone could come again after a change that was taken back; with the transaction that wrote it, it cannot.
Mark = tuple[int, int]

_READ = """
select part, number, xmin::text::bigint, (extract(epoch from statement_timestamp()) * 1000000)::bigint
from change_count
"""


@dataclass(frozen=True, slots=True)
class Marks:
    """The marks of streets, grids and people as a statement saw them, and its moment (µs UTC)."""

    streets: Mark
    grids: Mark
    people: Mark
    now_us: int


def read_marks(session: Session) -> Marks | None:
    """The marks as the session sees them now; None when they cannot be had (then read the tables)."""
    connection = session.connection().connection.driver_connection
    try:
        rows = connection.execute(_READ, prepare=True, binary=True).fetchall()  # type: ignore[union-attr]
    except psycopg.Error:  # the next statement of the session meets the same trouble and tells it
        return None
    return marks_of(rows)


def marks_of(rows: list[tuple[str, int, int, int]]) -> Marks | None:
    """Rows of the counters as Marks; None when one is missing."""
    found = {part: (number, writer) for part, number, writer, _ in rows}
    if found.keys() != PARTS.keys():
        return None
    return Marks(found["streets"], found["grids"], found["people"], rows[0][3])


def read_marks_on(connection: psycopg.Connection[tuple[object, ...]]) -> Marks | None:
    """The marks on a connection of one's own."""
    return marks_of(connection.execute(_READ).fetchall())  # type: ignore[arg-type]
