"""Divisions kept as rows: proposals to look at and compare, and those that were put in force, with their figures."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from sqlalchemy import insert, text
from sqlalchemy.orm import Session

from grid.core.errors import Conflict, NotFound
from grid.dividing import Proposal
from grid.loading.grids import GridName, both_sides, put_in_force
from grid.models import Division


@dataclass(frozen=True, slots=True)
class StoredDivision:
    """A division as it was stored: its grids, and the grid code of each segment id."""

    id: int
    made_at: datetime
    in_force_from: datetime | None
    figures: dict[str, Any]
    grids: list[GridName]
    codes: dict[int, str]


def figures_plain(proposal: Proposal) -> dict[str, Any]:
    """The figures of a proposal: balance (largest over mean), lightest over mean, grids that are connected,
    compactness 0..1, named streets cut, and the segments and length (metres, share) that change hands from the
    division in force. Of a segment whose sides belong to two grids, the half that goes to another grid counts.
    """
    figures, town = proposal.division.figures, proposal.town
    codes = {grid_id: facts[0] for grid_id, facts in town.grids.items()}
    then = np.array([proposal.names[int(label)].code for label in proposal.division.labels])
    half_m = town.network.length_m / 2
    held_m = moved_m = 0.0
    changed = np.zeros(len(then), dtype=bool)
    for in_force in (town.in_force, town.in_force_right):
        now = np.array([codes.get(int(grid_id)) for grid_id in in_force], dtype=object)
        held = np.array([code is not None for code in now], dtype=bool)
        moves = held & (now != then)
        held_m += float(half_m[held].sum())
        moved_m += float(half_m[moves].sum())
        changed |= moves
    return {
        "grids": figures.grids,
        "balance": round(figures.balance, 4),
        "lightest": round(figures.lightest, 4),
        "connected": figures.connected,
        "compactness": round(figures.compactness, 4),
        "cut_streets": figures.cut_streets,
        "ceiling_met": proposal.division.ceiling_met,
        "floor_met": proposal.division.floor_met,
        "moved_segments": int(changed.sum()),
        "moved_length_m": round(moved_m, 1),
        "moved_length_share": round(moved_m / held_m, 4) if held_m else None,
    }


def store(session: Session, proposal: Proposal, now: datetime) -> int:
    """Keeps a proposal, not in force; its number."""
    names = list(proposal.names.values())
    place = {name.code: k for k, name in enumerate(names)}
    plan = {
        "grids": [[name.code, name.name, name.name_en] for name in names],
        "segment_ids": [int(i) for i in proposal.town.network.segment_ids],
        "grid_of": [place[proposal.names[int(x)].code] for x in proposal.division.labels],
    }
    number = session.scalar(
        insert(Division)
        .values(made_at=now, figures=figures_plain(proposal), plan=plan, applied=False)
        .returning(Division.id)
    )
    return int(number or 0)


def stored_divisions(session: Session) -> list[dict[str, Any]]:
    """Every division, newest first: id, made_at, applied, in_force_from, figures."""
    rows = session.execute(
        text("select id, made_at, applied, in_force_from, figures from division order by id desc")
    )
    return [dict(row._mapping) for row in rows]


def stored_division(session: Session, number: int) -> StoredDivision:
    """One division; NotFound `division.unknown`."""
    row = session.get(Division, number)
    if row is None:
        raise NotFound("division.unknown", field="number", number=number)
    grids = [GridName(*given) for given in row.plan["grids"]]
    pairs = zip(row.plan["segment_ids"], row.plan["grid_of"], strict=True)
    codes = {int(segment_id): grids[k].code for segment_id, k in pairs}
    return StoredDivision(row.id, row.made_at, row.in_force_from, dict(row.figures), grids, codes)


def apply_division(
    session: Session, number: int, from_at: datetime, *, hand_over: str = "offered"
) -> int:
    """Puts a stored division in force from a moment; how many sides of segments changed hands.

    `hand_over` (HAND_OVERS) says which open incidents come along then; `dispatch.handover` does it.
    Raises NotFound `division.unknown`; Conflict `division.outdated` when streets have come since it was
    made; what `put_in_force` raises.
    """
    stored = stored_division(session, number)
    present = set(session.scalars(text("select id from segment where gone_at is null")))
    fresh = present - set(stored.codes)
    if fresh:
        raise Conflict("division.outdated", number=number, count=len(fresh))
    codes = {i: code for i, code in stored.codes.items() if i in present}
    used = set(codes.values())
    names = [name for name in stored.grids if name.code in used]
    changed = put_in_force(session, names, both_sides(codes), from_at, hand_over=hand_over)
    session.execute(
        text("update division set applied = true, in_force_from = :at where id = :id"),
        {"at": from_at, "id": number},
    )
    return changed


def division_table(session: Session, number: int) -> pd.DataFrame:
    """Grids of a stored division: code, name, segments, length_m (of the segments that are still there)."""
    stored = stored_division(session, number)
    frame = division_frame(session, number)
    sums = frame.groupby("grid_code").agg(
        segments=("length_m", "size"), length_m=("length_m", "sum")
    )
    sums.insert(0, "name", [{g.code: g.name for g in stored.grids}[code] for code in sums.index])
    table: pd.DataFrame = sums.reset_index(names="code")
    return table


def division_frame(session: Session, number: int) -> gpd.GeoDataFrame:
    """A stored division as a layer, EPSG:4326: segment_id, street, length_m, grid_code, grid_name, grid_now
    (code that holds the left side now, None without one), changes_hands.
    """
    stored = stored_division(session, number)
    rows = session.execute(
        text(
            "select s.id as segment_id, t.name as street, s.length_m, g.code as grid_now,"
            " st_asbinary(s.line) as line from segment s left join street t on t.id = s.street_id"
            " left join grid_segment h on h.segment_id = s.id and h.side = 'left'"
            " and h.valid @> statement_timestamp() left join grid g on g.id = h.grid_id"
            " where s.gone_at is null and s.id = any(:ids) order by s.id"
        ),
        {"ids": list(stored.codes)},
    ).all()
    names = {grid.code: grid.name for grid in stored.grids}
    codes = [stored.codes[row.segment_id] for row in rows]
    frame = pd.DataFrame(
        {
            "segment_id": [row.segment_id for row in rows],
            "street": [row.street for row in rows],
            "length_m": [row.length_m for row in rows],
            "grid_code": codes,
            "grid_name": [names[code] for code in codes],
            "grid_now": [row.grid_now for row in rows],
            "changes_hands": [
                row.grid_now is not None and row.grid_now != code
                for row, code in zip(rows, codes, strict=True)
            ],
        }
    )
    lines = shapely.from_wkb([bytes(row.line) for row in rows])
    return gpd.GeoDataFrame(frame, geometry=lines, crs=4326)
