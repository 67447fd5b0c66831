"""Which open incidents a new division gives to another owner, asked of the ground as it will be at a moment."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

from dispatch.handover import BEGUN, Crews, HandOver
from dispatch.reading import OPEN_STATUSES
from grid.core.crs import to_plane
from grid.town import town_facts


def incidents_at(session: Session, from_at: datetime) -> list[HandOver]:
    """Open incidents whose ground belongs to another grid at a moment than the incident does now, by number.

    Call it when the change is written and not yet committed: an area goes before the side of the segment, as everywhere.
    """
    rows = session.execute(_OPEN, {"open": list(OPEN_STATUSES), "begun": list(BEGUN)}).all()
    if not rows:
        return []
    x, y = to_plane(
        [row.lon for row in rows], [row.lat for row in rows], town_facts(session).plane_epsg
    )
    owners = session.execute(
        _OWNERS,
        {
            "at": from_at,
            "xs": x.tolist(),
            "ys": y.tolist(),
            "segments": [row.segment_id for row in rows],
            "sides": [row.side for row in rows],
        },
    ).scalars()
    crews = Crews(session, from_at, {})
    found = []
    for row, code in zip(rows, owners, strict=True):
        if code is None or code == row.from_code:
            continue
        now = row.person or crews.named(row.from_code, row.segment_id, row.post)
        then = crews.named(code, row.segment_id, row.post)
        found.append(HandOver(row.number, row.from_code, code, row.post, now, then, row.begun))
    return found


_OPEN = text(
    "select i.number, i.segment_id, i.side, st_x(i.point) as lon, st_y(i.point) as lat,"
    " g.code as from_code, c.post, k.name as person, coalesce(k.status = any(:begun), false) as begun"
    " from incident i left join grid g on g.id = i.grid_id"
    " left join category c on c.code = i.category_code"
    " left join lateral (select p.name, t.status from task t join staff p on p.id = t.assignee_id"
    " where t.incident_id = i.id and t.status in ('offered', 'accepted', 'arrived', 'done')"
    " order by t.lead desc, t.id desc limit 1) k on true"
    " where i.status = any(:open) and i.point is not null and i.segment_id is not null"
    " order by i.number"
)
_OWNERS = text(
    "select owner.code from unnest(cast(:xs as float8[]), cast(:ys as float8[]),"
    " cast(:segments as bigint[]), cast(:sides as text[])) with ordinality as p (x, y, segment, side, row)"
    " left join lateral ("
    " select code from ("
    " select 0 as turn, g.code from grid_area a join grid g on g.id = a.grid_id"
    " where a.valid @> cast(:at as timestamptz) and st_intersects(a.area_plane, st_makepoint(p.x, p.y))"
    " union all select 1, g.code from grid_segment h join grid g on g.id = h.grid_id"
    " where h.segment_id = p.segment and h.side = p.side and h.valid @> cast(:at as timestamptz)"
    " ) owners order by turn, code limit 1) owner on true order by p.row"
)
