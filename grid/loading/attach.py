"""New segments in a town that is already divided: each goes to the grid it touches most."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

from grid.town import ground_changed


def attach_to_grids(session: Session, now: datetime) -> int:
    """Gives every side without a grid to a neighbour's grid, from `now`; how many segments were attached.

    Rule: the grid of the segment that shares a crossing with it, the same street first, then the longest;
    ring by ring; what touches nothing goes to the grid of the nearest segment. Does nothing in a town
    that has no grids.
    """
    attached = 0
    while True:
        result = session.execute(_BY_CROSSING, {"now": now})
        count = int(result.rowcount)  # type: ignore[attr-defined]
        if count == 0:
            break
        attached += count
    result = session.execute(_BY_DISTANCE, {"now": now})
    attached += int(result.rowcount)  # type: ignore[attr-defined]
    if attached:
        ground_changed(session)
    return attached // 2


_HOMELESS = """
    homeless as (
        select s.id, s.street_id, s.line_plane, s.from_crossing_id, s.to_crossing_id from segment s
        where s.gone_at is null and not exists (
            select 1 from grid_segment h where h.segment_id = s.id and upper_inf(h.valid))
    )
"""
_INSERT = """
    insert into grid_segment (segment_id, side, grid_id, valid)
    select f.id, side.name, f.grid_id, tstzrange(:now, null)
    from found f cross join (values ('left'), ('right')) as side (name)
"""
_BY_CROSSING = text(
    f"""
    with {_HOMELESS}, found as (
        select distinct on (n.id) n.id, h.grid_id
        from homeless n
        join segment o on o.gone_at is null and o.id <> n.id
            and (o.from_crossing_id in (n.from_crossing_id, n.to_crossing_id)
                 or o.to_crossing_id in (n.from_crossing_id, n.to_crossing_id))
        join grid_segment h on h.segment_id = o.id and upper_inf(h.valid)
        order by n.id, (o.street_id = n.street_id) desc nulls last, o.length_m desc, o.id
    )
    {_INSERT}
    """  # noqa: S608 (fixed words)
)
_BY_DISTANCE = text(
    f"""
    with {_HOMELESS}, found as (
        select n.id, near.grid_id from homeless n
        cross join lateral (
            select h.grid_id from segment o
            join grid_segment h on h.segment_id = o.id and upper_inf(h.valid)
            where o.gone_at is null order by o.line_plane <-> n.line_plane limit 1
        ) near
    )
    {_INSERT}
    """  # noqa: S608 (fixed words)
)
