"""A division put in force: grids and the segments they hold, from a moment on.

Nothing is deleted: what a grid held until then is ended at that moment, so yesterday's incident
keeps yesterday's owner.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

from grid.areas import end_areas
from grid.core.bulk import copy_rows
from grid.core.errors import BadInput
from grid.in_force import end_grid, new_grid, refuse_planned, rename_from
from grid.models import SIDES
from grid.town import ground_changed, lock_ground


@dataclass(frozen=True, slots=True)
class GridName:
    """What a grid is called."""

    code: str
    name: str
    name_en: str | None = None


@dataclass(frozen=True, slots=True)
class Holding:
    """One side of one segment given to the grid with this code."""

    segment_id: int
    side: str
    grid_code: str


def both_sides(grid_codes: Mapping[int, str]) -> list[Holding]:
    """Holdings where both sides of each segment go to one grid."""
    return [Holding(i, side, code) for i, code in grid_codes.items() for side in SIDES]


def put_in_force(
    session: Session,
    names: Sequence[GridName],
    holdings: Sequence[Holding],
    from_at: datetime,
    *,
    hand_over: str = "offered",
) -> int:
    """Makes `holdings` the division from `from_at`; returns how many holdings changed hands.

    `hand_over` (HAND_OVERS) says which open incidents come along then; `dispatch.handover` does it.
    A grid whose code stays keeps its crew. Nothing changes before `from_at`. Raises BadInput
    `grids.unknown_code`, `grids.segment_missing` when a segment in force would be left without a grid;
    Conflict `grids.changed_later` when something is planned for after `from_at`.
    """
    lock_ground(session)
    codes = {name.code for name in names}
    strangers = sorted({h.grid_code for h in holdings} - codes)
    if strangers:
        raise BadInput("grids.unknown_code", field="grid_code", codes=strangers[:5])
    wanted = {(h.segment_id, h.side) for h in holdings}
    left_out = [
        segment_id
        for (segment_id,) in session.execute(text("select id from segment where gone_at is null"))
        if any((segment_id, side) not in wanted for side in SIDES)
    ]
    if left_out:
        raise BadInput("grids.segment_missing", count=len(left_out), segments=left_out[:5])
    refuse_planned(session, from_at)
    end_areas(session, None, from_at)
    grid_ids = _grid_rows(session, names, from_at)
    _arriving(session, holdings, grid_ids)
    ended = session.execute(
        text(
            "update grid_segment g set valid = tstzrange(lower(g.valid), :at)"
            " where g.valid @> cast(:at as timestamptz) and not exists (select 1 from arriving_holding a"
            " where a.segment_id = g.segment_id and a.side = g.side and a.grid_id = g.grid_id)"
        ),
        {"at": from_at},
    )
    session.execute(text("delete from grid_segment where isempty(valid)"))
    session.execute(
        text(
            "insert into grid_segment (segment_id, side, grid_id, valid, hand_over)"
            " select a.segment_id, a.side, a.grid_id, tstzrange(:at, null), :hand_over"
            " from arriving_holding a"
            " where not exists (select 1 from grid_segment g where g.segment_id = a.segment_id"
            " and g.side = a.side and g.valid @> cast(:at as timestamptz))"
        ),
        {"at": from_at, "hand_over": hand_over},
    )
    session.execute(text("drop table arriving_holding"))
    _end_empty_grids(session, codes, from_at)
    session.execute(text("analyze grid_segment"))
    ground_changed(session)
    return int(ended.rowcount)  # type: ignore[attr-defined]


def _grid_rows(session: Session, names: Sequence[GridName], from_at: datetime) -> dict[str, int]:
    """Row ids by code; a code in force at that moment keeps its row and takes the new name."""
    present = _grids_at(session, from_at)
    return {
        name.code: rename_from(session, present[name.code], name.name, name.name_en, from_at)
        if name.code in present
        else new_grid(session, name.code, name.name, name.name_en, from_at)
        for name in names
    }


def _grids_at(session: Session, at: datetime) -> dict[str, int]:
    rows = session.execute(
        text("select code, id from grid where valid @> cast(:at as timestamptz)"), {"at": at}
    )
    return {row.code: row.id for row in rows}


def _arriving(session: Session, holdings: Sequence[Holding], grid_ids: dict[str, int]) -> None:
    session.execute(
        text(
            "create temp table arriving_holding"
            " (segment_id bigint, side text, grid_id bigint) on commit drop"
        )
    )
    copy_rows(
        session,
        "arriving_holding",
        ("segment_id", "side", "grid_id"),
        ((h.segment_id, h.side, grid_ids[h.grid_code]) for h in holdings),
    )
    session.execute(text("create index on arriving_holding (segment_id, side)"))
    session.execute(text("analyze arriving_holding"))


def _end_empty_grids(session: Session, codes: set[str], at: datetime) -> None:
    """Ends the grids that the new division no longer has, and the posts held in them."""
    for code, grid_id in _grids_at(session, at).items():
        if code not in codes:
            end_grid(session, grid_id, at)
