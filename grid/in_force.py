"""From when grids hold: named anew, given a crew, ended at a moment; what is planned for later, and taken back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

from grid.areas import areas_go_on, end_areas, hand_areas
from grid.core.errors import Conflict
from grid.town import ground_changed, lock_ground


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """What was planned and is taken back: sides of segments, grids that would have begun or ended."""

    sides: int
    grids: int


def refuse_planned(session: Session, from_at: datetime, segment_ids: Sequence[int] = ()) -> None:
    """Conflict `grids.changed_later` when something is planned for after `from_at`.

    Looks at the given segments, at all of them and the grids when none are given.
    """
    row = session.execute(
        text(
            "select count(*) as changes, min(since) as since from ("
            " select lower(valid) as since from grid_segment where lower(valid) > :at"
            " and (:every or segment_id = any(:ids)) union all"
            " select lower(valid) from grid where lower(valid) > :at and :every"
            ") planned"
        ),
        {"at": from_at, "ids": list(segment_ids), "every": not segment_ids},
    ).one()
    if row.changes:
        raise Conflict("grids.changed_later", count=row.changes, since=row.since.isoformat())


def withdraw_planned(session: Session, now: datetime) -> Withdrawn:
    """Takes back every change of grids that is planned for after `now`: what holds now goes on."""
    lock_ground(session)
    values = {"now": now}
    sides = _count(session, "delete from grid_segment where lower(valid) > :now", values)
    session.execute(
        text(
            "update grid_segment set valid = tstzrange(lower(valid), null) where upper(valid) > :now"
        ),
        values,
    )
    # A post that was to end with its grid, or to go on in a grid of another name, goes on here.
    session.execute(
        text(
            "delete from post_holding p using grid g where g.id = p.grid_id and lower(g.valid) > :now"
        ),
        values,
    )
    session.execute(
        text(
            "update post_holding p set valid = tstzrange(lower(p.valid), null) from grid g"
            " where g.id = p.grid_id and upper(g.valid) > :now and upper(p.valid) = upper(g.valid)"
        ),
        values,
    )
    session.execute(text("delete from grid_area where lower(valid) > :now"), values)
    begun = _count(session, "delete from grid where lower(valid) > :now", values)
    ended = _count(
        session,
        "update grid set valid = tstzrange(lower(valid), null) where upper(valid) > :now",
        values,
    )
    session.execute(
        text(
            "update division set applied = false, in_force_from = null where in_force_from > :now"
        ),
        values,
    )
    areas_go_on(session, now)
    ground_changed(session)
    return Withdrawn(sides, begun + ended)


def rename_from(
    session: Session, grid_id: int, name: str, name_en: str | None, from_at: datetime
) -> int:
    """Another name from a moment; the id of the grid under its new name.

    From now on or earlier the grid simply takes the name. For later a successor with the same code
    takes over its segments and posts at that moment, so that nothing is shown before.
    """
    values = {"id": grid_id, "name": name, "name_en": name_en, "at": from_at}
    later = session.scalar(
        text(
            "select cast(:at as timestamptz) > statement_timestamp() and lower(valid) < :at"
            " and (name, name_en) is distinct from (cast(:name as text), cast(:name_en as text))"
            " from grid where id = :id"
        ),
        values,
    )
    if not later:
        session.execute(
            text("update grid set name = :name, name_en = :name_en where id = :id"), values
        )
        return grid_id
    code = session.scalar(
        text("update grid set valid = tstzrange(lower(valid), :at) where id = :id returning code"),
        values,
    )
    fresh = new_grid(session, str(code), name, name_en, from_at)
    _hand_segments(session, grid_id, fresh, from_at)
    copy_crew(session, grid_id, fresh, from_at)
    hand_areas(session, grid_id, fresh, from_at)
    end_posts(session, grid_id, from_at)
    return fresh


def new_grid(session: Session, code: str, name: str, name_en: str | None, from_at: datetime) -> int:
    """A grid from a moment on; its id."""
    made = session.scalar(
        text(
            "insert into grid (code, name, name_en, valid)"
            " values (:code, :name, :name_en, tstzrange(:at, null)) returning id"
        ),
        {"code": code, "name": name, "name_en": name_en, "at": from_at},
    )
    return int(made or 0)


def copy_crew(session: Session, from_grid: int, to_grid: int, from_at: datetime) -> None:
    """The people of one grid serve in another too, from a moment on and as long as they do."""
    session.execute(
        text(
            "insert into post_holding (grid_id, post, staff_id, valid)"
            " select :fresh, post, staff_id, tstzrange(greatest(lower(valid), :at), upper(valid))"
            " from post_holding where grid_id = :id"
            " and (upper_inf(valid) or upper(valid) > cast(:at as timestamptz))"
        ),
        {"id": from_grid, "fresh": to_grid, "at": from_at},
    )


def end_posts(session: Session, grid_id: int, from_at: datetime) -> None:
    """Ends the posts of a grid at a moment; those that would begin later never do."""
    values = {"id": grid_id, "at": from_at}
    session.execute(
        text("delete from post_holding where grid_id = :id and lower(valid) >= :at"), values
    )
    session.execute(
        text(
            "update post_holding set valid = tstzrange(lower(valid), :at) where grid_id = :id"
            " and valid @> cast(:at as timestamptz)"
        ),
        values,
    )


def end_grid(session: Session, grid_id: int, from_at: datetime) -> None:
    """Ends a grid and its posts at a moment; one that begins at that moment stays as it is."""
    end_posts(session, grid_id, from_at)
    end_areas(session, [grid_id], from_at, given=True)
    session.execute(
        text(
            "update grid set valid = tstzrange(lower(valid), :at) where id = :id"
            " and valid @> cast(:at as timestamptz) and lower(valid) < :at"
        ),
        {"id": grid_id, "at": from_at},
    )


def _hand_segments(session: Session, from_grid: int, to_grid: int, from_at: datetime) -> None:
    values = {"id": from_grid, "fresh": to_grid, "at": from_at}
    rows = session.execute(
        text(
            "update grid_segment set valid = tstzrange(lower(valid), :at) where grid_id = :id"
            " and valid @> cast(:at as timestamptz) and lower(valid) < :at returning segment_id, side"
        ),
        values,
    ).all()
    session.execute(
        text("update grid_segment set grid_id = :fresh where grid_id = :id and lower(valid) = :at"),
        values,
    )
    session.execute(
        text(
            "insert into grid_segment (segment_id, side, grid_id, valid)"
            " select m.segment_id, m.side, :fresh, tstzrange(:at, null)"
            " from unnest(cast(:segments as bigint[]), cast(:sides as text[]))"
            " as m (segment_id, side)"
        ),
        {**values, "segments": [r.segment_id for r in rows], "sides": [r.side for r in rows]},
    )


def _count(session: Session, statement: str, values: dict[str, datetime]) -> int:
    return int(session.execute(text(statement), values).rowcount)  # type: ignore[attr-defined]
