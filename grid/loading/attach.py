"""New segments in a town that is already divided: each goes to the grid it touches most."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

from grid.town import ground_changed


def attach_to_grids(session: Session, now: datetime) -> int:
    """Gives every side without a grid to a neighbour's grid, from `now`; how many segments were attached.

    Rule: the grid of the segment that shares a crossing with it, the same street first, then the longest;
    ring by ring; what touches nothing goes to the grid of the nearest segment. It also follows its neighbour
    through every change already planned. Does nothing in a town that has no grids.
    """
    if not session.scalar(_DIVIDED, {"now": now}):
        return 0
    attached: set[int] = set()
    while found := set(session.scalars(_BY_CROSSING, {"now": now})):
        attached |= found
    attached |= set(session.scalars(_BY_DISTANCE, {"now": now}))
    if attached:
        ground_changed(session)
    return len(attached)


_DIVIDED = text(
    "select exists (select 1 from grid_segment where valid @> cast(:now as timestamptz))"
)
_HOMELESS = """
    homeless as (
        select s.id, s.street_id, s.line_plane, s.from_crossing_id, s.to_crossing_id from segment s
        where s.gone_at is null and not exists (
            select 1 from grid_segment h
            where h.segment_id = s.id and h.valid @> cast(:now as timestamptz))
    )
"""
# The neighbour's left side stands for the neighbour, now and in what is planned.
_INSERT = """
    insert into grid_segment (segment_id, side, grid_id, valid)
    select f.id, side.name, h.grid_id, tstzrange(greatest(lower(h.valid), :now), upper(h.valid))
    from found f join grid_segment h on h.segment_id = f.neighbour_id and h.side = 'left'
        and (upper_inf(h.valid) or upper(h.valid) > :now)
    cross join (values ('left'), ('right')) as side (name)
    returning segment_id
"""
_BY_CROSSING = text(
    f"""
    with {_HOMELESS}, found as (
        select distinct on (n.id) n.id, o.id as neighbour_id
        from (select id, street_id, unnest(array[from_crossing_id, to_crossing_id]) as crossing_id
            from homeless) n
        join (select id, street_id, length_m,
                unnest(array[from_crossing_id, to_crossing_id]) as crossing_id
            from segment where gone_at is null) o on o.crossing_id = n.crossing_id and o.id <> n.id
        join grid_segment h on h.segment_id = o.id and h.side = 'left'
            and h.valid @> cast(:now as timestamptz)
        order by n.id, (o.street_id = n.street_id) desc nulls last, o.length_m desc, o.id
    )
    {_INSERT}
    """  # noqa: S608 (fixed words)
)
_BY_DISTANCE = text(
    f"""
    with {_HOMELESS}, found as (
        select n.id, near.neighbour_id from homeless n
        cross join lateral (
            select o.id as neighbour_id from segment o
            join grid_segment h on h.segment_id = o.id and h.side = 'left'
                and h.valid @> cast(:now as timestamptz)
            where o.gone_at is null order by o.line_plane <-> n.line_plane limit 1
        ) near
    )
    {_INSERT}
    """  # noqa: S608 (fixed words)
)
