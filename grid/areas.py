"""Areas that are the ground of grids: what lies in one is the grid's, whatever segment is nearest.

Drawn areas come with grids imported as polygons and hold as long as the grid is as it was drawn: a new division
ends them all; moving segments or a split ends those of the grids concerned. Given areas are parks, markets and
squares given to a grid (`grid/given_areas.py`): they stay until they are taken back or their grid ends. A merged
grid's areas go to the grid that takes it in.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import geopandas as gpd
import numpy as np
import shapely
from numpy.typing import NDArray
from sqlalchemy import text
from sqlalchemy.orm import Session

from grid.core.bulk import ewkb
from grid.core.crs import geometries_to_plane
from grid.town import ground_changed, town_facts

# Two areas that share less than this share a border.
SHARED_M2 = 0.01


def put_areas(session: Session, areas: gpd.GeoDataFrame, from_at: datetime) -> int:
    """Gives grids in force at a moment their drawn areas (code, geometry EPSG:4326; lines are none); how many areas.

    Ground that two of them share is the lower code's; ground given to another grid by name stays given.
    """
    areas = areas[shapely.get_dimensions(areas.geometry.to_numpy()) == 2]
    if areas.empty:
        return 0
    ordered = areas.assign(code=areas["code"].astype(str)).sort_values("code", kind="stable")
    planes = geometries_to_plane(ordered.geometry.to_numpy(), town_facts(session).plane_epsg)
    codes = ordered["code"].tolist()
    given = [(code, shape) for code, shape, kind in _held(session, from_at) if kind == "given"]
    shapes = _apart(codes, planes, given)
    kept = [(code, shape) for code, shape in zip(codes, shapes, strict=True) if shape is not None]
    session.execute(
        text(
            "insert into grid_area (grid_id, area_plane, valid)"
            " select g.id, st_geomfromewkb(decode(m.area, 'hex')), tstzrange(:at, null)"
            " from unnest(cast(:codes as text[]), cast(:areas as text[])) as m (code, area)"
            " join grid g on g.code = m.code and g.valid @> cast(:at as timestamptz)"
        ),
        {
            "codes": [code for code, _ in kept],
            "areas": [ewkb(shape, None) for _, shape in kept],
            "at": from_at,
        },
    )
    ground_changed(session)
    return len(kept)


def as_area(shape: shapely.Geometry) -> shapely.MultiPolygon | None:
    """The valid areas of a geometry as one MultiPolygon; None when it has none."""
    whole = shape if shape.is_valid else shapely.make_valid(shape)
    parts = shapely.get_parts(shapely.get_parts(whole))
    parts = parts[(shapely.get_dimensions(parts) == 2) & (shapely.area(parts) > 0)]
    if not len(parts):
        return None
    area = shapely.multipolygons(parts)
    return (
        area
        if area.is_valid
        else shapely.multipolygons(shapely.get_parts(shapely.union_all(parts)))
    )


def areas_in_force(session: Session, at: datetime) -> list[tuple[str, shapely.Geometry]]:
    """Code of the grid and area (plane) of each area at a moment, lower codes first: of two that overlap
    the first has the ground.
    """
    return [(code, shape) for code, shape, _ in _held(session, at)]


def end_areas(
    session: Session, grid_ids: Sequence[int] | None, from_at: datetime, *, given: bool = False
) -> None:
    """Ends the drawn areas of some grids, or of all (None), at a moment; `given` those given by name too.

    What would have begun later never does.
    """
    values = {"ids": list(grid_ids or ()), "every": grid_ids is None, "at": from_at, "all": given}
    chosen = "(:every or grid_id = any(:ids)) and (:all or kind = 'drawn')"
    session.execute(
        text(f"delete from grid_area where lower(valid) >= :at and {chosen}"),  # noqa: S608 (fixed words)
        values,
    )
    session.execute(
        text(
            "update grid_area set valid = tstzrange(lower(valid), :at)"  # noqa: S608 (fixed words)
            f" where valid @> cast(:at as timestamptz) and {chosen}"
        ),
        values,
    )


def hand_areas(session: Session, from_grid: int, to_grid: int, from_at: datetime) -> None:
    """Gives the areas of one grid to another from a moment on, those planned for later too."""
    session.execute(
        text(
            "insert into grid_area (grid_id, kind, name, area_plane, valid)"
            " select :fresh, kind, name, area_plane,"
            " tstzrange(greatest(lower(valid), :at), upper(valid)) from grid_area"
            " where grid_id = :id and (upper_inf(valid) or upper(valid) > :at)"
        ),
        {"id": from_grid, "fresh": to_grid, "at": from_at},
    )
    end_areas(session, [from_grid], from_at, given=True)


def areas_go_on(session: Session, now: datetime) -> None:
    """Takes back what was planned for after `now`."""
    session.execute(text("delete from grid_area where lower(valid) > :now"), {"now": now})
    session.execute(
        text(
            "update grid_area set valid = tstzrange(lower(valid), null) where upper(valid) > :now"
        ),
        {"now": now},
    )


def _held(session: Session, at: datetime) -> list[tuple[str, shapely.Geometry, str]]:
    rows = session.execute(
        text(
            "select g.code, a.kind, st_asbinary(a.area_plane) as area from grid_area a"
            " join grid g on g.id = a.grid_id where a.valid @> cast(:at as timestamptz)"
            " order by g.code, a.id"
        ),
        {"at": at},
    )
    return [(row.code, shapely.from_wkb(bytes(row.area)), row.kind) for row in rows]


def _apart(
    codes: Sequence[str],
    planes: NDArray[np.object_],
    given: Sequence[tuple[str, shapely.Geometry]],
) -> list[shapely.MultiPolygon | None]:
    """Areas without what they share with those of other codes before them, or with what was given."""
    placed: list[tuple[str, shapely.Geometry]] = list(given)
    shapes: list[shapely.MultiPolygon | None] = []
    whole = [as_area(shape) for shape in planes]
    tree = shapely.STRtree([shape or shapely.Polygon() for shape in whole])
    near: dict[int, list[tuple[str, shapely.Geometry]]] = {}
    for code, shape in placed:
        for row in tree.query(shape, predicate="intersects").tolist():
            near.setdefault(row, []).append((code, shape))
    for row, (code, shape) in enumerate(zip(codes, whole, strict=True)):
        for other, taken in near.get(row, []):
            if shape is None or other == code:
                continue
            if shapely.intersection(shape, taken).area > SHARED_M2:
                shape = as_area(shapely.difference(shape, taken))
        shapes.append(shape)
        if shape is not None:
            for later in tree.query(shape, predicate="intersects").tolist():
                if later > row:
                    near.setdefault(later, []).append((code, shape))
    return shapes
