"""The invariants of the ground, each with what is wrong and the command that mends it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
from sqlalchemy import text
from sqlalchemy.orm import Session

from grid.connected import Streets, in_pieces
from grid.crews import missing_posts
from grid.dividing import read_network
from grid.division.units import form_units

SHOWN = 10


@dataclass(frozen=True, slots=True)
class Finding:
    """One invariant that does not hold: its code, how often, which things, and the repair."""

    code: str
    count: int
    things: list[Any] = field(default_factory=list)
    repair: str = ""


def check_ground(session: Session, now: datetime) -> list[Finding]:
    """Every finding on the ground; empty when all is well."""
    found = [
        *_rows(
            session,
            "ground.side_without_grid",
            "select s.id from segment s cross join (values ('left'), ('right')) side (name)"
            " where s.gone_at is null and exists (select 1 from grid where valid @> cast(:now as timestamptz))"
            " and not exists (select 1 from grid_segment h where h.segment_id = s.id"
            " and h.side = side.name and h.valid @> cast(:now as timestamptz)) order by s.id",
            "gridward divide --grids N --keep --apply",
            now,
        ),
        *_rows(
            session,
            "ground.gone_segment_held",
            "select distinct s.id from segment s join grid_segment h on h.segment_id = s.id"
            " where s.gone_at is not null and h.valid @> cast(:now as timestamptz) order by s.id",
            "gridward import streets FILE",
            now,
        ),
        *_rows(
            session,
            "ground.ended_grid_holds",
            "select distinct g.code from grid g join grid_segment h on h.grid_id = g.id"
            " where h.valid @> cast(:now as timestamptz)"
            " and not g.valid @> cast(:now as timestamptz) order by g.code",
            "gridward divide --grids N --keep --apply",
            now,
        ),
        *_posts(session, now),
        *_connectedness(session, now),
    ]
    return found


def _posts(session: Session, now: datetime) -> list[Finding]:
    things = [
        f"{code} {post}" for code, posts in missing_posts(session, now).items() for post in posts
    ]
    if not things:
        return []
    return [Finding("ground.post_empty", len(things), things[:SHOWN], "gridward import crews FILE")]


def _connectedness(session: Session, now: datetime) -> list[Finding]:
    held = session.execute(
        text(
            "select distinct h.segment_id, h.grid_id from grid_segment h"
            " join segment s on s.id = h.segment_id and s.gone_at is null"
            " where h.valid @> cast(:now as timestamptz)"
        ),
        {"now": now},
    ).all()
    if not held:
        return []
    town = read_network(session, at=now)
    network = town.network
    units = form_units(network, max(len(town.grids), 1), in_force=town.in_force)
    row = np.searchsorted(network.segment_ids, [h.segment_id for h in held])
    broken = in_pieces(
        Streets(network.segment_ids, network.from_node, network.to_node),
        np.asarray(row, dtype=np.int64),
        np.array([h.grid_id for h in held], dtype=np.int64),
        np.asarray(units.links, dtype=np.int64).reshape(-1, 2),
    )
    codes = sorted(town.grids[grid_id][0] for grid_id in broken if grid_id in town.grids)
    if not codes:
        return []
    repair = "gridward divide --grids N --keep --apply"
    return [Finding("ground.grid_disconnected", len(codes), codes[:SHOWN], repair)]


def _rows(session: Session, code: str, query: str, repair: str, now: datetime) -> list[Finding]:
    things = [row[0] for row in session.execute(text(query), {"now": now})]
    return [Finding(code, len(things), things[:SHOWN], repair)] if things else []
