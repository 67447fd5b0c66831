"""The invariants of the ground, each with what is wrong and the command that mends it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
from sqlalchemy import text
from sqlalchemy.orm import Session

from grid.dividing import read_network
from grid.division import disconnected
from grid.division.units import form_units
from grid.models import POSTS

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
            " where s.gone_at is null and exists (select 1 from grid where upper_inf(valid))"
            " and not exists (select 1 from grid_segment h where h.segment_id = s.id"
            " and h.side = side.name and upper_inf(h.valid)) order by s.id",
            "gridward divide --grids N --keep --apply",
        ),
        *_rows(
            session,
            "ground.gone_segment_held",
            "select distinct s.id from segment s join grid_segment h on h.segment_id = s.id"
            " where s.gone_at is not null and upper_inf(h.valid) order by s.id",
            "gridward import streets FILE",
        ),
        *_rows(
            session,
            "ground.ended_grid_holds",
            "select distinct g.code from grid g join grid_segment h on h.grid_id = g.id"
            " where not upper_inf(g.valid) and upper_inf(h.valid) order by g.code",
            "gridward divide --grids N --keep --apply",
        ),
        *_posts(session, now),
        *_connectedness(session),
    ]
    return found


def _posts(session: Session, now: datetime) -> list[Finding]:
    rows = session.execute(
        text(
            "select g.code || ' ' || post.name as thing from grid g"
            " cross join unnest(cast(:posts as text[])) as post (name)"
            " where g.valid @> cast(:now as timestamptz) and not exists ("
            " select 1 from post_holding p join staff s on s.id = p.staff_id"
            " where p.grid_id = g.id and p.post = post.name"
            " and p.valid @> cast(:now as timestamptz) and s.left_at is null) order by 1"
        ),
        {"posts": list(POSTS), "now": now},
    )
    things = [row.thing for row in rows]
    if not things:
        return []
    return [Finding("ground.post_empty", len(things), things[:SHOWN], "gridward import crews FILE")]


def _connectedness(session: Session) -> list[Finding]:
    if not session.scalar(text("select count(*) from grid where upper_inf(valid)")):
        return []
    town = read_network(session)
    held = town.in_force >= 0
    if not held.all():
        return []
    _, labels = np.unique(town.in_force, return_inverse=True)
    ids = np.unique(town.in_force)
    units = form_units(town.network, len(ids), town.in_force)
    links = np.asarray(town.network.segment_ids[units.links], dtype=np.int64).reshape(-1, 2)
    broken = [int(label) for label in disconnected(town.network, labels.astype(np.int64), links)]
    if not broken:
        return []
    codes = [town.grids[int(ids[label])][0] for label in broken]
    repair = "gridward divide --grids N --keep --apply"
    return [Finding("ground.grid_disconnected", len(codes), codes[:SHOWN], repair)]


def _rows(session: Session, code: str, query: str, repair: str) -> list[Finding]:
    things = [row[0] for row in session.execute(text(query))]
    return [Finding(code, len(things), things[:SHOWN], repair)] if things else []
