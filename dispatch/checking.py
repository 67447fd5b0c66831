"""The invariants of the record: history whole, nothing floating."""

from __future__ import annotations

from itertools import groupby
from zoneinfo import ZoneInfo

import numpy as np
import shapely
from sqlalchemy import text
from sqlalchemy.orm import Session

from dispatch.chain import Line, verify
from dispatch.incidents import chained_fields
from dispatch.reading import OPEN_STATUSES
from dispatch.seal import EARLIEST_ZONE, check_seals
from grid.checking import SHOWN, Finding
from grid.core.crs import to_plane
from grid.given_areas import town_boundary
from grid.reach import ON_BOUNDARY_M
from grid.town import town_facts

BATCH = 5000


def check_record(session: Session, zone: ZoneInfo = EARLIEST_ZONE) -> list[Finding]:
    """Every finding on incidents and their history; empty when all is well."""
    return [
        *_history(session),
        *check_seals(session, zone),
        *_floating(session),
        *_left_behind(session),
        *_outside(session),
    ]


def open_on_gone_segments(session: Session) -> list[str]:
    """Numbers of open incidents whose segment is no longer in force: their place is to be set again."""
    rows = session.execute(
        text(
            "select i.number from incident i join segment s on s.id = i.segment_id"
            " where i.status = any(:open) and s.gone_at is not null order by i.number"
        ),
        {"open": list(OPEN_STATUSES)},
    )
    return [row.number for row in rows]


def _left_behind(session: Session) -> list[Finding]:
    things = open_on_gone_segments(session)
    if not things:
        return []
    return [Finding("record.on_gone_segment", len(things), things[:SHOWN], "/console")]


def outside_town(session: Session) -> list[str]:
    """Numbers of open incidents that have a grid although their point lies outside the town.

    The town: its boundary, or the ground around its streets where none was imported.
    """
    rows = session.execute(
        text(
            "select number, st_x(point) as lon, st_y(point) as lat from incident"
            " where status = any(:open) and point is not null and grid_id is not null order by number"
        ),
        {"open": list(OPEN_STATUSES)},
    ).all()
    if not rows:
        return []
    boundary = town_boundary(session)
    shapely.prepare(boundary)
    x, y = to_plane([r.lon for r in rows], [r.lat for r in rows], town_facts(session).plane_epsg)
    inside = shapely.dwithin(boundary, shapely.points(x, y), ON_BOUNDARY_M)
    return [rows[k].number for k in np.flatnonzero(~inside).tolist()]


def _outside(session: Session) -> list[Finding]:
    things = outside_town(session)
    if not things:
        return []
    return [Finding("record.outside_town", len(things), things[:SHOWN], "/console")]


def _history(session: Session) -> list[Finding]:
    """Changed, missing and inserted lines, found by recomputing every hash."""
    result = session.execute(
        text(
            "select i.number, h.seq, h.at, h.actor, h.move, h.from_status, h.to_status, h.note,"
            " h.detail, h.previous_hash, h.hash from history h"
            " join incident i on i.id = h.incident_id order by h.incident_id, h.seq"
        ).execution_options(yield_per=BATCH)
    )
    broken: list[str] = []
    for number, rows in groupby(result.mappings(), key=lambda row: row["number"]):
        lines = [
            Line(row["seq"], row["previous_hash"], row["hash"], chained_fields(number, row))
            for row in rows
        ]
        broken += [f"{number} #{item.seq} {item.kind}" for item in verify(lines)]
    bare = [
        row.number
        for row in session.execute(
            text(
                "select number from incident i where not exists"
                " (select 1 from history h where h.incident_id = i.id) order by number"
            )
        )
    ]
    broken += [f"{number} #1 missing" for number in bare]
    if not broken:
        return []
    return [
        Finding("record.history_broken", len(broken), broken[:SHOWN], "gridward db restore FILE")
    ]


def _floating(session: Session) -> list[Finding]:
    """Open incidents that neither wait in a queue nor are on anybody's list."""
    rows = session.execute(
        text(
            "select number from incident i where status = any(:open) and queue is null"
            " and not exists (select 1 from task t where t.incident_id = i.id"
            " and t.status in ('offered', 'accepted', 'arrived') and num_nonnulls(t.assignee_id, t.unit_id) > 0)"
            " order by number"
        ),
        {"open": list(OPEN_STATUSES)},
    )
    things = [row.number for row in rows]
    if not things:
        return []
    return [Finding("record.floating", len(things), things[:SHOWN], "/console")]
