"""Grids changed by hand: segments moved, a grid split, two merged, one renamed; in force from a moment.

A change is first planned (`Plan`): which sides of which segments go to which grid. The plan is checked
against the network and shown; `apply_plan` puts it in force. What was held until then stays in history.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray
from psycopg.types.range import TimestamptzRange
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from grid.core.errors import BadInput, Conflict, NotFound
from grid.dividing import TownNetwork, read_network
from grid.division import SegmentNetwork, disconnected, divide
from grid.division.units import form_units
from grid.models import SIDES, Grid
from grid.town import ground_changed, lock_ground

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Plan:
    """A change not yet in force: `moves` are (segment_id, side, grid code it goes to); grids made, renamed, ended."""

    moves: tuple[tuple[int, str, str], ...]
    made: tuple[tuple[str, str, str | None], ...] = ()
    renamed: tuple[tuple[str, str, str | None], ...] = ()
    ended: tuple[str, ...] = ()
    disconnected: tuple[str, ...] = ()


def plan_move(
    session: Session, segment_ids: Sequence[int], to_code: str, sides: Sequence[str] = SIDES
) -> Plan:
    """Segments (or one side of them) to another grid.

    Raises NotFound `grids.unknown_code`, `grids.segment_unknown`; BadInput `grids.nothing_to_move`,
    `grids.side_unknown`, `grids.would_be_empty`.
    """
    bad = [side for side in sides if side not in SIDES]
    if bad:
        raise BadInput("grids.side_unknown", field="side", side=bad[0])
    _grid(session, to_code)
    held = _held(session, segment_ids)
    moves = tuple(
        (segment_id, side, to_code)
        for segment_id in dict.fromkeys(segment_ids)
        for side in sides
        if held.get((segment_id, side)) != to_code
    )
    if not moves:
        raise BadInput("grids.nothing_to_move", field="segment_ids")
    emptied = _emptied(session, moves)
    if emptied:
        raise BadInput("grids.would_be_empty", field="segment_ids", codes=", ".join(emptied))
    return _checked(session, Plan(moves))


def plan_split(
    session: Session, code: str, new_name: str | None = None, segment_ids: Sequence[int] = ()
) -> Plan:
    """A grid in two: the given segments, or by balanced length when none are given, make the new one.

    Raises NotFound `grids.unknown_code`; BadInput `grids.split_all`, `grids.segment_of_other_grid`,
    `grids.too_small_to_split`.
    """
    grid = _grid(session, code)
    own = _segments_of(session, grid.id)
    if segment_ids:
        strangers = sorted(set(segment_ids) - set(own))
        if strangers:
            raise BadInput("grids.segment_of_other_grid", field="segment_ids", segment=strangers[0])
        part = list(dict.fromkeys(segment_ids))
    else:
        part = _half(session, own, code)
    if not part or len(part) >= len(own):
        raise BadInput("grids.split_all", field="segment_ids", code=code)
    fresh = _free_code(session)
    moves = tuple((segment_id, side, fresh) for segment_id in part for side in SIDES)
    name = new_name or f"{grid.name}·2"
    return _checked(session, Plan(moves, made=((fresh, name, None),)))


def plan_merge(session: Session, code: str, into_code: str) -> Plan:
    """One grid into another; the first ends. Raises NotFound `grids.unknown_code`, BadInput `grids.merge_self`."""
    if code == into_code:
        raise BadInput("grids.merge_self", field="into", code=code)
    grid, _ = _grid(session, code), _grid(session, into_code)
    rows = session.execute(
        text("select segment_id, side from grid_segment where grid_id = :id and upper_inf(valid)"),
        {"id": grid.id},
    )
    moves = tuple((row.segment_id, row.side, into_code) for row in rows)
    return _checked(session, Plan(moves, ended=(code,)))


def plan_rename(session: Session, code: str, name: str, name_en: str | None = None) -> Plan:
    """Another name for a grid. Raises NotFound `grids.unknown_code`, BadInput `grids.name_missing`."""
    _grid(session, code)
    if not name.strip():
        raise BadInput("grids.name_missing", field="name")
    return Plan((), renamed=((code, name.strip(), name_en),))


def apply_plan(
    session: Session, plan: Plan, from_at: datetime, *, allow_disconnected: bool = False
) -> int:
    """Puts a plan in force from a moment; how many sides changed hands.

    Raises Conflict `grids.would_be_disconnected` unless allowed, `grids.changed_later` when something is
    already planned for after `from_at`.
    """
    if plan.disconnected and not allow_disconnected:
        raise Conflict("grids.would_be_disconnected", codes=", ".join(plan.disconnected))
    lock_ground(session)
    for code, name, name_en in plan.made:
        session.add(
            Grid(code=code, name=name, name_en=name_en, valid=TimestamptzRange(from_at, None))
        )
    session.flush()
    for code, name, name_en in plan.renamed:
        session.execute(
            text(
                "update grid set name = :name, name_en = :en where code = :code and upper_inf(valid)"
            ),
            {"name": name, "en": name_en, "code": code},
        )
    changed = _put_moves(session, plan, from_at)
    for code in plan.ended:
        values = {"code": code, "at": from_at}
        session.execute(
            text(
                "update post_holding p set valid = tstzrange(lower(p.valid), :at) from grid g"
                " where g.id = p.grid_id and g.code = :code and upper_inf(g.valid)"
                " and upper_inf(p.valid) and lower(p.valid) < :at"
            ),
            values,
        )
        session.execute(
            text(
                "update grid set valid = tstzrange(lower(valid), :at)"
                " where code = :code and upper_inf(valid) and lower(valid) < :at"
            ),
            values,
        )
    ground_changed(session)
    return changed


def _put_moves(session: Session, plan: Plan, from_at: datetime) -> int:
    if not plan.moves:
        return 0
    values = {
        "segments": [m[0] for m in plan.moves],
        "sides": [m[1] for m in plan.moves],
        "codes": [m[2] for m in plan.moves],
        "at": from_at,
    }
    moving = (
        "(select * from unnest(cast(:segments as bigint[]), cast(:sides as text[]),"
        " cast(:codes as text[])) as m (segment_id, side, code)) m"
    )
    later = session.scalar(
        text(
            f"select count(*) from grid_segment h join {moving}"  # noqa: S608 (fixed words)
            " on m.segment_id = h.segment_id and m.side = h.side where lower(h.valid) > :at"
        ),
        values,
    )
    if later:
        raise Conflict("grids.changed_later", count=later)
    session.execute(
        text(
            f"delete from grid_segment h using {moving} where m.segment_id = h.segment_id"  # noqa: S608
            " and m.side = h.side and upper_inf(h.valid) and lower(h.valid) = :at"
        ),
        values,
    )
    session.execute(
        text(
            f"update grid_segment h set valid = tstzrange(lower(h.valid), :at) from {moving}"  # noqa: S608
            " where m.segment_id = h.segment_id and m.side = h.side and upper_inf(h.valid)"
        ),
        values,
    )
    session.execute(
        text(
            "insert into grid_segment (segment_id, side, grid_id, valid)"  # noqa: S608 (fixed words)
            f" select m.segment_id, m.side, g.id, tstzrange(:at, null) from {moving}"
            " join grid g on g.code = m.code and upper_inf(g.valid)"
        ),
        values,
    )
    return len(plan.moves)


def _checked(session: Session, plan: Plan) -> Plan:
    """The plan with the grids that it would leave in pieces (those in pieces before are not blamed on it)."""
    town = read_network(session)
    codes = {grid_id: facts[0] for grid_id, facts in town.grids.items()}
    before = [codes.get(int(g), "") for g in town.in_force]
    left = {segment_id: code for segment_id, side, code in plan.moves if side == "left"}
    after = [
        left.get(int(segment_id), code)
        for segment_id, code in zip(town.network.segment_ids, before, strict=True)
    ]
    broken = _broken(town, after) - _broken(town, before)
    return Plan(plan.moves, plan.made, plan.renamed, plan.ended, tuple(sorted(broken)))


def _broken(town: TownNetwork, codes: list[str]) -> set[str]:
    names, labels = np.unique(np.array(codes, dtype=object).astype(str), return_inverse=True)
    given = labels.astype(np.int64)
    units = form_units(town.network, len(names), given)
    links = np.asarray(town.network.segment_ids[units.links], dtype=np.int64).reshape(-1, 2)
    return {str(names[label]) for label in disconnected(town.network, given, links)} - {""}


def _half(session: Session, own: list[int], code: str) -> list[int]:
    if len(own) < 2:
        raise BadInput("grids.too_small_to_split", field="code", code=code)
    network = read_network(session).network
    rows = np.flatnonzero(np.isin(network.segment_ids, own))
    part = SegmentNetwork(
        segment_ids=network.segment_ids[rows],
        from_node=network.from_node[rows],
        to_node=network.to_node[rows],
        weight=network.length_m[rows],
        length_m=network.length_m[rows],
        street=network.street[rows],
        x_m=network.x_m[rows],
        y_m=network.y_m[rows],
    )
    labels = divide(part, 2).labels
    return [int(i) for i in part.segment_ids[labels == 1]]


def _grid(session: Session, code: str) -> Grid:
    grid = session.scalar(select(Grid).where(Grid.code == code, text("upper_inf(grid.valid)")))
    if grid is None:
        raise NotFound("grids.unknown_code", field="code", codes=code)
    return grid


def _segments_of(session: Session, grid_id: int) -> list[int]:
    return list(
        session.scalars(
            text(
                "select distinct segment_id from grid_segment where grid_id = :id"
                " and upper_inf(valid) order by segment_id"
            ),
            {"id": grid_id},
        )
    )


def _held(session: Session, segment_ids: Sequence[int]) -> dict[tuple[int, str], str]:
    known = set(
        session.scalars(
            text("select id from segment where id = any(:ids) and gone_at is null"),
            {"ids": list(segment_ids)},
        )
    )
    missing = [i for i in segment_ids if i not in known]
    if missing:
        raise NotFound("grids.segment_unknown", field="segment_ids", segment=missing[0])
    rows = session.execute(
        text(
            "select h.segment_id, h.side, g.code from grid_segment h join grid g on g.id = h.grid_id"
            " where h.segment_id = any(:ids) and upper_inf(h.valid)"
        ),
        {"ids": list(segment_ids)},
    )
    return {(row.segment_id, row.side): row.code for row in rows}


def _emptied(session: Session, moves: Sequence[tuple[int, str, str]]) -> list[str]:
    """Codes of grids that would hold nothing any more: those are merged, not emptied."""
    rows = session.execute(
        text(
            "select g.code, count(*) as sides, count(m.segment_id) as leaving from grid g"
            " join grid_segment h on h.grid_id = g.id and upper_inf(h.valid)"
            " left join unnest(cast(:segments as bigint[]), cast(:sides as text[]))"
            " as m (segment_id, side) on m.segment_id = h.segment_id and m.side = h.side"
            " where upper_inf(g.valid) group by g.code"
        ),
        {"segments": [m[0] for m in moves], "sides": [m[1] for m in moves]},
    )
    targets = {m[2] for m in moves}
    return [row.code for row in rows if row.sides == row.leaving and row.code not in targets]


def _free_code(session: Session) -> str:
    taken = set(session.scalars(text("select code from grid where upper_inf(valid)")))
    return next(code for n in range(1, 100_000) if (code := f"G{n:03d}") not in taken)
