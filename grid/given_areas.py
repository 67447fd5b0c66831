"""Parks, markets and squares given to a grid: their ground goes before the nearest segment, from a moment on.

A gift is first planned and shown, then put in force. It stays through moves, splits and new names, goes with a
merge, and ends with its grid. What was held until then stays in history.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import geopandas as gpd
import shapely
from sqlalchemy import text
from sqlalchemy.orm import Session

from grid.areas import SHARED_M2, as_area
from grid.core.bulk import ewkb
from grid.core.crs import geometries_from_plane, geometries_to_plane
from grid.core.errors import BadInput, Conflict, NotFound
from grid.town import ground_changed, lock_ground, town_facts
from grid.town_territory import BEYOND_STREETS_M

# Two drawings of one border differ: so much of an area may lie beyond the town's boundary.
OUTSIDE_SHARE = 0.01


@dataclass(frozen=True, slots=True)
class NamedArea:
    """Ground with a name, EPSG:4326."""

    name: str | None
    shape: shapely.Geometry


@dataclass(frozen=True, slots=True)
class AreaPlan:
    """A change of areas not yet in force. gives: (code, name, area in the plane); takes: ids of areas."""

    from_at: datetime
    gives: tuple[tuple[str, str | None, shapely.MultiPolygon], ...] = ()
    takes: tuple[int, ...] = ()

    def area_m2(self) -> float:
        """Plane square metres that are given."""
        return float(sum(shape.area for _, _, shape in self.gives))


def place_area(session: Session, named: str) -> NamedArea:
    """The ground of a place by its id or name.

    Raises NotFound `areas.place_unknown`; BadInput `areas.place_twice` for a name that several places with
    ground have, `areas.place_without_area` for a place that is a point only.
    """
    rows = session.execute(
        text(
            "select id, name, st_asbinary(area) as area from place"
            " where name = :named or cast(id as text) = :named order by id"
        ),
        {"named": named.strip()},
    ).all()
    if not rows:
        raise NotFound("areas.place_unknown", field="place", place=named)
    by_id = [row for row in rows if str(row.id) == named.strip()]
    found = [row for row in by_id or rows if row.area is not None]
    if not found:
        raise BadInput("areas.place_without_area", field="place", place=rows[0].name)
    if len(found) > 1:
        ids = ", ".join(str(row.id) for row in found)
        raise BadInput("areas.place_twice", field="place", place=named, ids=ids)
    return NamedArea(found[0].name, shapely.from_wkb(bytes(found[0].area)))


def plan_give(
    session: Session, code: str, areas: Sequence[NamedArea], from_at: datetime
) -> AreaPlan:
    """Areas to a grid from a moment on.

    Raises NotFound `grids.not_in_force`; BadInput `areas.none`, `areas.no_area`, `areas.invalid` (why),
    `areas.outside_town` (share); Conflict `areas.overlap` (grid and name of the other), `areas.grid_ends`.
    """
    row = session.execute(
        text(
            "select upper(valid) as ends from grid"
            " where code = :code and valid @> cast(:at as timestamptz)"
        ),
        {"code": code, "at": from_at},
    ).one_or_none()
    if row is None:
        raise NotFound("grids.not_in_force", field="code", grid_code=code)
    if row.ends is not None:
        raise Conflict("areas.grid_ends", field="code", grid_code=code, ends=row.ends.isoformat())
    if not areas:
        raise BadInput("areas.none", field="areas")
    town = town_boundary(session)
    shapely.prepare(town)
    gives = []
    for one in areas:
        shape = _checked(one, town, town_facts(session).plane_epsg)
        _refuse_overlap(session, code, one, shape, from_at)
        gives.append((code, one.name, shape))
    return AreaPlan(from_at, tuple(gives))


def plan_take(session: Session, area_ids: Sequence[int], from_at: datetime) -> AreaPlan:
    """Areas back from their grids from a moment on; NotFound `areas.unknown` for one not held then or later."""
    held = set(
        session.scalars(
            text(
                "select id from grid_area where id = any(:ids)"
                " and (upper_inf(valid) or upper(valid) > :at)"
            ),
            {"ids": list(area_ids), "at": from_at},
        )
    )
    missing = [area_id for area_id in area_ids if area_id not in held]
    if missing or not area_ids:
        raise NotFound("areas.unknown", field="area", area=missing[0] if missing else "")
    return AreaPlan(from_at, takes=tuple(dict.fromkeys(area_ids)))


def apply_areas(session: Session, plan: AreaPlan) -> list[int]:
    """Puts a plan in force from its moment; ids of the areas given, or of those taken."""
    lock_ground(session)
    for code, name, shape in plan.gives:
        # Asked again under the lock: somebody may have been quicker.
        _refuse_overlap(session, code, NamedArea(name, shape), shape, plan.from_at)
    ids = [
        int(
            session.scalar(
                text(
                    "insert into grid_area (grid_id, kind, name, area_plane, valid)"
                    " select id, 'given', :name, st_geomfromewkb(decode(:area, 'hex')),"
                    " tstzrange(:at, null) from grid"
                    " where code = :code and valid @> cast(:at as timestamptz) returning id"
                ),
                {"code": code, "name": name, "area": ewkb(shape, None), "at": plan.from_at},
            )
            or 0
        )
        for code, name, shape in plan.gives
    ]
    if plan.takes:
        values = {"ids": list(plan.takes), "at": plan.from_at}
        session.execute(
            text("delete from grid_area where id = any(:ids) and lower(valid) >= :at"), values
        )
        session.execute(
            text(
                "update grid_area set valid = tstzrange(lower(valid), :at)"
                " where id = any(:ids) and valid @> cast(:at as timestamptz)"
            ),
            values,
        )
    ground_changed(session)
    return ids or list(plan.takes)


def areas_frame(session: Session, at: datetime | None = None) -> gpd.GeoDataFrame:
    """Areas at a moment, or of all times (None): id, kind, name, grid_code, grid_name, from_at, until_at
    (None: open), area_m2, geometry EPSG:4326; by grid and id.
    """
    epsg = town_facts(session).plane_epsg
    rows = session.execute(
        text(
            "select a.id, a.kind, a.name, g.code as grid_code, g.name as grid_name,"
            " lower(a.valid) as from_at, upper(a.valid) as until_at, st_asbinary(a.area_plane) as area"
            " from grid_area a join grid g on g.id = a.grid_id"
            " where cast(:at as timestamptz) is null or a.valid @> cast(:at as timestamptz)"
            " order by g.code, a.id"
        ),
        {"at": at},
    ).all()
    shapes = shapely.from_wkb([bytes(row.area) for row in rows])
    names = ("id", "kind", "name", "grid_code", "grid_name", "from_at", "until_at")
    columns = {name: [getattr(row, name) for row in rows] for name in names}
    return gpd.GeoDataFrame(
        {**columns, "area_m2": shapely.area(shapes).round(1)},
        geometry=geometries_from_plane(shapes, epsg),
        crs=4326,
    )


def town_boundary(session: Session) -> shapely.Geometry:
    """The town's boundary in the plane, or the ground around its streets where none was imported."""
    epsg = town_facts(session).plane_epsg
    stored = session.scalar(
        text("select st_asbinary(boundary) from town where boundary is not null")
    )
    if stored is not None:
        return shapely.make_valid(geometries_to_plane([shapely.from_wkb(bytes(stored))], epsg)[0])
    hull = session.scalar(
        text(
            "select st_asbinary(st_convexhull(st_collect(line_plane))) from segment"
            " where gone_at is null"
        )
    )
    if hull is None:
        raise Conflict("town.empty")
    return shapely.buffer(shapely.from_wkb(bytes(hull)), BEYOND_STREETS_M)


def _checked(one: NamedArea, town: shapely.Geometry, epsg: int) -> shapely.MultiPolygon:
    """The area in the plane, as it may be stored."""
    name = one.name or ""
    if one.shape is None or one.shape.is_empty or shapely.get_dimensions(one.shape) != 2:
        raise BadInput("areas.no_area", field="geometry", name=name)
    if not one.shape.is_valid:
        why = shapely.is_valid_reason(one.shape)
        raise BadInput("areas.invalid", field="geometry", name=name, why=why)
    shape = as_area(geometries_to_plane([shapely.force_2d(one.shape)], epsg)[0])
    if shape is None:
        raise BadInput("areas.no_area", field="geometry", name=name)
    outside = shapely.difference(shape, town).area / shape.area
    if outside > OUTSIDE_SHARE:
        raise BadInput(
            "areas.outside_town", field="geometry", name=name, percent=round(outside * 100)
        )
    return shape


def _refuse_overlap(
    session: Session, code: str, one: NamedArea, shape: shapely.Geometry, from_at: datetime
) -> None:
    rows = session.execute(
        text(
            "select g.code, g.name as grid_name, a.name, st_asbinary(a.area_plane) as area"
            " from grid_area a join grid g on g.id = a.grid_id where g.code <> :code"
            " and (upper_inf(a.valid) or upper(a.valid) > :at)"
            " and a.area_plane && st_geomfromewkb(decode(:area, 'hex')) order by g.code, a.id"
        ),
        {"code": code, "at": from_at, "area": ewkb(shape, None)},
    )
    for row in rows:
        shared = shapely.intersection(shape, as_area(shapely.from_wkb(bytes(row.area))))
        if shared.area > SHARED_M2:
            raise Conflict(
                "areas.overlap",
                field="geometry",
                name=one.name or "",
                other=row.name or row.grid_name,
                grid_code=row.code,
                area_m2=round(float(shared.area), 1),
            )
