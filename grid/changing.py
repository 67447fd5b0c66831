"""Grids changed by hand: segments moved, a grid split, two merged, one renamed; in force from a moment.

A change is first planned (`Plan`): which sides of which segments go to which grid. The plan is checked
against the street network and shown; `apply_plan` puts it in force. What was held until then stays in
history, and nothing is different before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
from sqlalchemy import text
from sqlalchemy.orm import Session

from grid.areas import end_areas, hand_areas
from grid.connected import Streets, in_pieces
from grid.core.errors import BadInput, Conflict, NotFound
from grid.dividing import read_network
from grid.division import SegmentNetwork, divide
from grid.in_force import copy_crew, end_grid, new_grid, refuse_planned, rename_from
from grid.models import SIDES
from grid.town import ground_changed, lock_ground


@dataclass(frozen=True, slots=True)
class NewGrid:
    """A grid that a change makes; its people are those of the grid `crew_of`, until others are named."""

    code: str
    name: str
    crew_of: str


@dataclass(frozen=True, slots=True)
class Plan:
    """A change not yet in force: `moves` are (segment_id, side, code of the grid it goes to).

    renamed: (code, name, name_en) · ended: codes · disconnected: codes of grids that the change leaves in
    pieces and that were whole before.
    """

    from_at: datetime
    moves: tuple[tuple[int, str, str], ...] = ()
    made: tuple[NewGrid, ...] = ()
    renamed: tuple[tuple[str, str, str | None], ...] = ()
    ended: tuple[str, ...] = ()
    disconnected: tuple[str, ...] = ()


def plan_move(
    session: Session,
    segment_ids: Sequence[int],
    to_code: str,
    from_at: datetime,
    sides: Sequence[str] = SIDES,
) -> Plan:
    """Segments (or one side of them) to another grid.

    Raises NotFound `grids.not_in_force`, `grids.segment_unknown`; BadInput `grids.nothing_to_move`,
    `grids.side_unknown`, `grids.would_be_empty`.
    """
    bad = [side for side in sides if side not in SIDES]
    if bad:
        raise BadInput("grids.side_unknown", field="side", side=bad[0])
    _grid(session, to_code, from_at)
    wanted = list(dict.fromkeys(segment_ids))
    held = _held(session, wanted, from_at)
    moves = tuple(
        (segment_id, side, to_code)
        for segment_id in wanted
        for side in sides
        if held.get((segment_id, side)) != to_code
    )
    if not moves:
        raise BadInput("grids.nothing_to_move", field="segment_ids")
    emptied = _emptied(session, moves, from_at)
    if emptied:
        raise BadInput("grids.would_be_empty", field="segment_ids", codes=", ".join(emptied))
    return _checked(session, Plan(from_at, moves))


def plan_split(
    session: Session,
    code: str,
    from_at: datetime,
    new_name: str | None = None,
    segment_ids: Sequence[int] = (),
) -> Plan:
    """A grid in two: the given segments, or half of the length when none are given, make the new one.

    Only what the grid holds goes: of a street whose other side is another grid's, its own side. Raises
    NotFound `grids.not_in_force`; BadInput `grids.split_all`, `grids.segment_of_other_grid`,
    `grids.too_small_to_split`.
    """
    grid_id, name = _grid(session, code, from_at)
    own = _sides_of(session, grid_id, from_at)
    ids = sorted({segment_id for segment_id, _ in own})
    if segment_ids:
        strangers = sorted(set(segment_ids) - set(ids))
        if strangers:
            raise BadInput("grids.segment_of_other_grid", field="segment_ids", segment=strangers[0])
        part = set(segment_ids)
    else:
        part = set(_half(session, ids, code, from_at))
    if not part or len(part) >= len(ids):
        raise BadInput("grids.split_all", field="segment_ids", code=code)
    fresh = _free_code(session)
    moves = tuple((i, side, fresh) for i, side in own if i in part)
    made = NewGrid(fresh, (new_name or "").strip() or f"{name}·2", code)
    return _checked(session, Plan(from_at, moves, made=(made,)))


def plan_merge(session: Session, code: str, into_code: str, from_at: datetime) -> Plan:
    """One grid into another; the first ends. Raises NotFound `grids.not_in_force`, BadInput `grids.merge_self`."""
    if code == into_code:
        raise BadInput("grids.merge_self", field="into", code=code)
    grid_id, _ = _grid(session, code, from_at)
    _grid(session, into_code, from_at)
    moves = tuple((i, side, into_code) for i, side in _sides_of(session, grid_id, from_at))
    return _checked(session, Plan(from_at, moves, ended=(code,)))


def plan_rename(
    session: Session, code: str, name: str, from_at: datetime, name_en: str | None = None
) -> Plan:
    """Another name for a grid. Raises NotFound `grids.not_in_force`, BadInput `grids.name_missing`."""
    _grid(session, code, from_at)
    if not name.strip():
        raise BadInput("grids.name_missing", field="name")
    return Plan(from_at, renamed=((code, name.strip(), name_en),))


def apply_plan(
    session: Session,
    plan: Plan,
    *,
    allow_disconnected: bool = False,
    hand_over: str = "offered",
) -> int:
    """Puts a plan in force from its moment; how many sides changed hands.

    `hand_over` (HAND_OVERS) says which open incidents come along then; `dispatch.handover` does it. Raises Conflict `grids.would_be_disconnected` unless allowed, `grids.changed_later` when something is
    already planned for these segments after that moment.
    """
    if plan.disconnected and not allow_disconnected:
        raise Conflict("grids.would_be_disconnected", codes=", ".join(plan.disconnected))
    lock_ground(session)
    if plan.moves:
        refuse_planned(session, plan.from_at, sorted({m[0] for m in plan.moves}))
    for made in plan.made:
        source, _ = _grid(session, made.crew_of, plan.from_at)
        fresh = new_grid(session, made.code, made.name, None, plan.from_at)
        copy_crew(session, source, fresh, plan.from_at)
    for code, name, name_en in plan.renamed:
        rename_from(session, _grid(session, code, plan.from_at)[0], name, name_en, plan.from_at)
    _areas(session, plan)
    _put_moves(session, plan, hand_over)
    for code in plan.ended:
        end_grid(session, _grid(session, code, plan.from_at)[0], plan.from_at)
    ground_changed(session)
    return len(plan.moves)


def _areas(session: Session, plan: Plan) -> None:
    """A merged grid's drawn area goes with it; a grid that changes otherwise is no more as it was drawn."""
    if plan.ended:
        (into,) = {code for _, _, code in plan.moves}
        target, _ = _grid(session, into, plan.from_at)
        for code in plan.ended:
            hand_areas(session, _grid(session, code, plan.from_at)[0], target, plan.from_at)
        return
    held = _held(session, sorted({m[0] for m in plan.moves}), plan.from_at)
    touched = {m[2] for m in plan.moves} | {held.get((m[0], m[1])) for m in plan.moves}
    for code in sorted(code for code in touched if code is not None):
        end_areas(session, [_grid(session, code, plan.from_at)[0]], plan.from_at)


def _put_moves(session: Session, plan: Plan, hand_over: str) -> None:
    values = {
        "hand_over": hand_over,
        "segments": [m[0] for m in plan.moves],
        "sides": [m[1] for m in plan.moves],
        "codes": [m[2] for m in plan.moves],
        "at": plan.from_at,
    }
    moving = (
        "(select * from unnest(cast(:segments as bigint[]), cast(:sides as text[]),"
        " cast(:codes as text[])) as m (segment_id, side, code)) m"
    )
    session.execute(
        text(
            f"delete from grid_segment h using {moving} where m.segment_id = h.segment_id"  # noqa: S608
            " and m.side = h.side and lower(h.valid) = :at"
        ),
        values,
    )
    session.execute(
        text(
            f"update grid_segment h set valid = tstzrange(lower(h.valid), :at) from {moving}"  # noqa: S608
            " where m.segment_id = h.segment_id and m.side = h.side"
            " and h.valid @> cast(:at as timestamptz)"
        ),
        values,
    )
    session.execute(
        text(
            "insert into grid_segment (segment_id, side, grid_id, valid, hand_over)"  # noqa: S608 (fixed words)
            f" select m.segment_id, m.side, g.id, tstzrange(:at, null), :hand_over from {moving}"
            " join grid g on g.code = m.code and g.valid @> cast(:at as timestamptz)"
        ),
        values,
    )


def _checked(session: Session, plan: Plan) -> Plan:
    """The plan with the grids that it would leave in pieces (those in pieces before are not blamed on it)."""
    rows = session.execute(
        text(
            "select s.id, s.from_crossing_id, s.to_crossing_id,"
            " max(g.code) filter (where h.side = 'left') as left_code,"
            " max(g.code) filter (where h.side = 'right') as right_code from segment s"
            " left join grid_segment h on h.segment_id = s.id"
            " and h.valid @> cast(:at as timestamptz) left join grid g on g.id = h.grid_id"
            " where s.gone_at is null group by s.id order by s.id"
        ),
        {"at": plan.from_at},
    ).all()
    streets = Streets(*(np.array([row[k] for row in rows], dtype=np.int64) for k in range(3)))
    before = {(r.id, side): r[3 + k] for r in rows for k, side in enumerate(SIDES)}
    after = before | {(segment_id, side): code for segment_id, side, code in plan.moves}
    touched = {m[2] for m in plan.moves} | {before.get((m[0], m[1])) for m in plan.moves}
    broken = _broken(streets, after, touched) - _broken(streets, before, touched)
    return replace(plan, disconnected=tuple(sorted(broken)))


def _broken(
    streets: Streets, held: dict[tuple[int, str], str | None], touched: set[str | None]
) -> set[str]:
    names = sorted(name for name in touched if name is not None)
    number = {name: k for k, name in enumerate(names)}
    pairs = [(i, number[code]) for (i, _), code in held.items() if code in number]
    ids, labels = (np.array(column, dtype=np.int64) for column in zip(*pairs, strict=True))
    row = np.searchsorted(streets.segment_ids, ids)
    return {names[label] for label in in_pieces(streets, row, labels)}


def _half(session: Session, own: Sequence[int], code: str, at: datetime) -> list[int]:
    if len(own) < 2:
        raise BadInput("grids.too_small_to_split", field="code", code=code)
    network = read_network(session, at=at).network
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


def _grid(session: Session, code: str, at: datetime) -> tuple[int, str]:
    """Id and name of the grid with this code at a moment; NotFound `grids.not_in_force`."""
    row = session.execute(
        text("select id, name from grid where code = :code and valid @> cast(:at as timestamptz)"),
        {"code": code, "at": at},
    ).one_or_none()
    if row is None:
        raise NotFound("grids.not_in_force", field="code", grid_code=code)
    return int(row.id), str(row.name)


def _sides_of(session: Session, grid_id: int, at: datetime) -> list[tuple[int, str]]:
    rows = session.execute(
        text(
            "select segment_id, side from grid_segment where grid_id = :id"
            " and valid @> cast(:at as timestamptz) order by segment_id, side"
        ),
        {"id": grid_id, "at": at},
    )
    return [(int(row.segment_id), str(row.side)) for row in rows]


def _held(session: Session, segment_ids: Sequence[int], at: datetime) -> dict[tuple[int, str], str]:
    values = {"ids": list(segment_ids), "at": at}
    known = set(
        session.scalars(
            text("select id from segment where id = any(:ids) and gone_at is null"), values
        )
    )
    missing = [i for i in segment_ids if i not in known]
    if missing:
        raise NotFound("grids.segment_unknown", field="segment_ids", segment=missing[0])
    rows = session.execute(
        text(
            "select h.segment_id, h.side, g.code from grid_segment h join grid g on g.id = h.grid_id"
            " where h.segment_id = any(:ids) and h.valid @> cast(:at as timestamptz)"
        ),
        values,
    )
    return {(row.segment_id, row.side): row.code for row in rows}


def _emptied(session: Session, moves: Sequence[tuple[int, str, str]], at: datetime) -> list[str]:
    """Codes of grids that would hold nothing any more: those are merged, not emptied."""
    rows = session.execute(
        text(
            "select g.code from grid g"
            " join grid_segment h on h.grid_id = g.id and h.valid @> cast(:at as timestamptz)"
            " left join unnest(cast(:segments as bigint[]), cast(:sides as text[]))"
            " as m (segment_id, side) on m.segment_id = h.segment_id and m.side = h.side"
            " group by g.code having count(*) = count(m.segment_id) order by g.code"
        ),
        {"segments": [m[0] for m in moves], "sides": [m[1] for m in moves], "at": at},
    )
    targets = {m[2] for m in moves}
    return [row.code for row in rows if row.code not in targets]


def _free_code(session: Session) -> str:
    """A code that no grid has or ever had: an old incident must not seem to belong to a new grid."""
    taken = set(session.scalars(text("select code from grid")))
    return next(code for n in range(1, 1_000_000) if (code := f"G{n:03d}") not in taken)
