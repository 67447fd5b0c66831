"""Periods of the ground against the lives they hang on: nothing is held before its grid or segment begins or after
it ends, nobody takes up a post after leaving, and a segment once divided is never without an owner.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.orm import Session

# What belongs to a grid, how a row of it is named for people, and the life it must fit. A post may be older than its
# grid: a bureau's list of people goes back before the first division.
OF_GRID = {
    "grid_segment": ("'segment ' || h.segment_id || ' ' || h.side", "g.valid"),
    "post_holding": ("h.post", "tstzrange(null, upper(g.valid))"),
    "grid_area": ("coalesce(h.name, 'area ' || h.id)", "g.valid"),
}
OF_SEGMENT = {
    "grid_segment": ("h.side", "tstzrange(s.since_at, s.gone_at)"),
    "post_holding": ("h.post", "tstzrange(null, s.gone_at)"),
}


@dataclass(frozen=True, slots=True)
class Mended:
    """How many rows were mended: cut or taken away to fit a life, and lengthened to close a gap."""

    cut: int
    lengthened: int


def outside_grid(session: Session) -> list[str]:
    """Rows held outside the life of their grid: grid code and what."""
    return [
        f"{row.code} {row.what}"
        for table, (what, life) in OF_GRID.items()
        for row in session.execute(
            text(
                f"select g.code, {what} as what from {table} h join grid g on g.id = h.grid_id"  # noqa: S608 (fixed words)
                f" where isempty(h.valid) or not {life} @> h.valid order by g.code, h.id"
            )
        )
    ]


def outside_segment(session: Session) -> list[str]:
    """Rows held before their segment came or after it went: segment id and what."""
    return [
        f"{row.segment_id} {row.what}"
        for table, (what, life) in OF_SEGMENT.items()
        for row in session.execute(
            text(
                f"select h.segment_id, {what} as what from {table} h"  # noqa: S608 (fixed words)
                " join segment s on s.id = h.segment_id"
                f" where isempty(h.valid) or not {life} @> h.valid order by h.segment_id, h.id"
            )
        )
    ]


def outside_person(session: Session) -> list[str]:
    """Posts, leave and shifts that begin after the person has left: staff number and what.

    A post that goes on after its holder has left is no fault of history: others stand in, and it is told as empty.
    """
    rows = session.execute(
        text(
            "select s.staff_no, p.post as what, p.id from post_holding p join staff s on s.id = p.staff_id"
            " where lower(p.valid) >= s.left_at union all"
            " select s.staff_no, 'absence', a.id from absence a join staff s on s.id = a.staff_id"
            " where isempty(a.valid) or lower(a.valid) >= s.left_at union all"
            " select s.staff_no, 'shift', h.id from shift h join staff s on s.id = h.staff_id"
            " where isempty(h.valid) or lower(h.valid) >= s.left_at order by 1, 2, 3"
        )
    )
    return [f"{row.staff_no} {row.what}" for row in rows]


def without_owner(session: Session) -> list[str]:
    """Sides of segments that were held once and then for a time by nobody: segment id and side."""
    rows = session.execute(
        text(
            "select s.id, h.side from (select segment_id, side, range_agg(valid) as held,"
            " min(lower(valid)) as first from grid_segment group by segment_id, side) h"
            " join segment s on s.id = h.segment_id"
            " where (s.gone_at is null or h.first < s.gone_at)"
            " and not h.held @> tstzrange(h.first, s.gone_at) order by s.id, h.side"
        )
    )
    return [f"{row.id} {row.side}" for row in rows]


def mend_periods(session: Session) -> Mended:
    """Cuts periods to the lives they hang on, and lengthens the holding before a gap up to its end.

    A side that nobody holds at the end is given back to its last grid while that grid lasts.
    """
    cut = 0
    for owner, column, tables in (
        ("grid", "grid_id", OF_GRID),
        ("segment", "segment_id", OF_SEGMENT),
    ):
        for table, (_, life) in tables.items():
            its = f"o.id = h.{column}"
            life = life.replace("g.", "o.").replace("s.", "o.")
            cut += _count(
                session,
                f"delete from {table} h using {owner} o where {its}"  # noqa: S608 (fixed words)
                f" and (isempty(h.valid) or not h.valid && {life})",
            )
            cut += _count(
                session,
                f"update {table} h set valid = h.valid * {life} from {owner} o"  # noqa: S608 (fixed words)
                f" where {its} and not {life} @> h.valid",
            )
    cut += _count(
        session,
        "delete from post_holding p using staff s where s.id = p.staff_id"
        " and lower(p.valid) >= s.left_at",
    )
    for table in ("absence", "shift"):
        cut += _count(
            session,
            f"delete from {table} h using staff s where s.id = h.staff_id"  # noqa: S608 (fixed words)
            " and (isempty(h.valid) or lower(h.valid) >= s.left_at)",
        )
    return Mended(cut, _count(session, _CLOSE_GAPS))


_CLOSE_GAPS = """
    update grid_segment h set valid = tstzrange(lower(h.valid), n.ends) from (
        select h.id, s.gone_at, least(
            lead(lower(h.valid)) over (partition by h.segment_id, h.side order by h.valid),
            s.gone_at, upper(g.valid)) as ends
        from grid_segment h join segment s on s.id = h.segment_id join grid g on g.id = h.grid_id
    ) n
    where n.id = h.id and upper(h.valid) is not null
        and (n.ends is null or upper(h.valid) < n.ends)
"""


def _count(session: Session, statement: str) -> int:
    return int(session.execute(text(statement)).rowcount)  # type: ignore[attr-defined]
