"""Which open incidents a change of areas would give to another owner: tried in the database, and taken back."""

from __future__ import annotations

import shapely
from sqlalchemy import text
from sqlalchemy.orm import Session

from dispatch.handover import Crews, HandOver
from dispatch.reading import OPEN_STATUSES
from grid.core.crs import to_plane
from grid.given_areas import AreaPlan, apply_areas
from grid.town import town_facts


def incidents_of_areas(session: Session, plan: AreaPlan) -> list[HandOver]:
    """Open incidents in the areas of a plan that would belong to another grid at its moment, by number.

    An incident in an area is its grid's; else the side of its segment decides, as everywhere.
    """
    rows = session.execute(_OPEN, {"open": list(OPEN_STATUSES)}).all()
    shapes = [shape for _, _, shape in plan.gives]
    stored = session.scalars(
        text("select st_asbinary(area_plane) from grid_area where id = any(:ids)"),
        {"ids": list(plan.takes)},
    )
    shapes += [shapely.from_wkb(bytes(area)) for area in stored]
    x, y = to_plane(
        [row.lon for row in rows], [row.lat for row in rows], town_facts(session).plane_epsg
    )
    points = shapely.points(x, y)
    concerned = sorted(set(shapely.STRtree(points).query(shapes, "intersects")[1].tolist()))
    tried = session.begin_nested()
    try:
        apply_areas(session, plan)
        crews = Crews(session, plan.from_at, {})
        found = []
        for k in concerned:
            row = rows[k]
            values = {"x": x[k], "y": y[k], "segment": row.segment_id, "side": row.side}
            code = session.scalar(_OWNER, {**values, "at": plan.from_at})
            if code == row.from_code:
                continue
            now = row.person or crews.named(row.from_code, row.segment_id, row.post)
            then = crews.named(code, row.segment_id, row.post)
            found.append(HandOver(row.number, row.from_code, code, row.post, now, then))
    finally:
        tried.rollback()
    return found


_OPEN = text(
    "select i.number, i.segment_id, i.side, st_x(i.point) as lon, st_y(i.point) as lat,"
    " g.code as from_code, c.post, k.name as person from incident i"
    " left join grid g on g.id = i.grid_id left join category c on c.code = i.category_code"
    " left join lateral (select p.name from task t join staff p on p.id = t.assignee_id"
    " where t.incident_id = i.id and t.status in ('offered', 'accepted', 'arrived', 'done')"
    " order by t.lead desc, t.id desc limit 1) k on true"
    " where i.status = any(:open) and i.point is not null and i.segment_id is not null"
    " order by i.number"
)
_OWNER = text(
    "select code from ("
    " select 0 as turn, g.code from grid_area a join grid g on g.id = a.grid_id"
    " where a.valid @> cast(:at as timestamptz) and st_intersects(a.area_plane, st_makepoint(:x, :y))"
    " union all select 1, g.code from grid_segment h join grid g on g.id = h.grid_id"
    " where h.segment_id = :segment and h.side = :side and h.valid @> cast(:at as timestamptz)"
    ") owners order by turn, code limit 1"
)
