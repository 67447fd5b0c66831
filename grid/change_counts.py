"""Counters of what changed, kept by the database itself: what a process read may be used while they stand still.

Triggers count every change of their tables (table change_count), inside the transaction that makes the change, so
a reader sees the new count from the moment it can see the change, whoever made it and how. Each transaction counts
once, in a row of its own with a random tag: writers never wait for each other, whatever order they write in. A part's
mark is the sum of its numbers and the exclusive or of its tags; `add_up` makes one row of many and leaves it the same.
A session that has changed something itself and not committed has no marks: it reads the tables.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import psycopg
from sqlalchemy import text
from sqlalchemy.orm import Session

# Tables by part, as the triggers have them.
PARTS = {
    "streets": ("segment", "street"),
    "grids": ("grid", "grid_segment", "grid_area"),
    "people": ("staff", "unit", "post_holding", "absence", "shift"),
}

# (how many transactions, their tags).
Mark = tuple[int, int]
MOST_ROWS = 12  # so many rows are read as quickly as one

# What `marks_of` wants of a row, after its part.
COUNTED = """number, tag, (extract(epoch from statement_timestamp()) * 1000000)::bigint,
    coalesce(writer = pg_current_xact_id_if_assigned()::text::bigint, false)"""
_READ = f"select part, {COUNTED} from change_count"  # noqa: S608 (made of constants)


@dataclass(frozen=True, slots=True)
class Marks:
    """The marks of streets, grids and people as a statement saw them, and its moment (µs UTC)."""

    streets: Mark
    grids: Mark
    people: Mark
    now_us: int


def read_marks(session: Session) -> Marks | None:
    """The marks as the session sees them now; None when there are none for it (then read the tables)."""
    connection = session.connection().connection.driver_connection
    try:
        rows = connection.execute(_READ, prepare=True, binary=True).fetchall()  # type: ignore[union-attr]
    except psycopg.Error:  # the next statement of the session meets the same trouble and tells it
        return None
    return marks_of(rows)


def marks_of(rows: Sequence[tuple[str, int, int, int, bool]]) -> Marks | None:
    """Rows of the counters as Marks; None without any, or with one that the reader itself has not committed."""
    if not rows or any(own for *_, own in rows):
        return None
    numbers, tags = dict.fromkeys(PARTS, 0), dict.fromkeys(PARTS, 0)
    for part, number, tag, _, _ in rows:
        numbers[part] += number
        tags[part] ^= tag
    found = {part: (numbers[part], tags[part]) for part in PARTS}
    return Marks(found["streets"], found["grids"], found["people"], rows[0][3])


def read_marks_on(connection: psycopg.Connection[tuple[object, ...]]) -> Marks | None:
    """The marks on a connection of one's own."""
    return marks_of(connection.execute(_READ).fetchall())  # type: ignore[arg-type]


def add_up(session: Session) -> bool:
    """Makes one row of each part's many; every mark stays what it was. False when they are few."""
    count = session.scalar(text("select count(*) from change_count"))
    if (count or 0) <= MOST_ROWS:
        return False
    session.execute(_ADD_UP)
    return True


_ADD_UP = text(
    "with taken as (delete from change_count where writer <> 0 returning part, number, tag)"
    " insert into change_count as c (part, writer, number, tag)"
    " select part, 0, sum(number)::bigint, bit_xor(tag) from taken group by part"
    " on conflict (part, writer) do update set number = c.number + excluded.number,"
    " tag = c.tag # excluded.tag"
)
