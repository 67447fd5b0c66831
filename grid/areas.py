"""Areas drawn as the ground of grids: what lies in one is the grid's, as long as the grid is as it was drawn.

A new division ends them all; moving segments or a split ends those of the grids concerned; a merged grid's area
goes to the grid that takes it in.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import geopandas as gpd
import shapely
from sqlalchemy import text
from sqlalchemy.orm import Session

from grid.core.bulk import ewkb
from grid.core.crs import geometries_to_plane
from grid.town import ground_changed, town_facts


def put_areas(session: Session, areas: gpd.GeoDataFrame, from_at: datetime) -> int:
    """Gives grids in force at a moment their drawn areas (code, geometry EPSG:4326); how many areas."""
    planes = geometries_to_plane(areas.geometry.to_numpy(), town_facts(session).plane_epsg)
    shapes = [
        shape if shape.geom_type == "MultiPolygon" else shapely.multipolygons([shape])
        for shape in planes
    ]
    session.execute(
        text(
            "insert into grid_area (grid_id, area_plane, valid)"
            " select g.id, st_geomfromewkb(decode(m.area, 'hex')), tstzrange(:at, null)"
            " from unnest(cast(:codes as text[]), cast(:areas as text[])) as m (code, area)"
            " join grid g on g.code = m.code and g.valid @> cast(:at as timestamptz)"
        ),
        {
            "codes": [str(code) for code in areas["code"]],
            "areas": [ewkb(shape, None) for shape in shapes],
            "at": from_at,
        },
    )
    ground_changed(session)
    return len(shapes)


def areas_in_force(session: Session, at: datetime) -> list[tuple[str, shapely.Geometry]]:
    """Code of the grid and area (plane) of each drawn area at a moment, lower codes first: of two that overlap
    the first has the ground.
    """
    rows = session.execute(
        text(
            "select g.code, st_asbinary(a.area_plane) as area from grid_area a"
            " join grid g on g.id = a.grid_id where a.valid @> cast(:at as timestamptz)"
            " order by g.code, a.id"
        ),
        {"at": at},
    )
    return [(row.code, shapely.from_wkb(bytes(row.area))) for row in rows]


def end_areas(session: Session, grid_ids: Sequence[int] | None, from_at: datetime) -> None:
    """Ends the areas of some grids, or of all (None), at a moment."""
    values = {"ids": list(grid_ids or ()), "every": grid_ids is None, "at": from_at}
    session.execute(
        text("delete from grid_area where lower(valid) = :at and (:every or grid_id = any(:ids))"),
        values,
    )
    session.execute(
        text(
            "update grid_area set valid = tstzrange(lower(valid), :at)"
            " where valid @> cast(:at as timestamptz) and (:every or grid_id = any(:ids))"
        ),
        values,
    )


def hand_areas(session: Session, from_grid: int, to_grid: int, from_at: datetime) -> None:
    """Gives the areas of one grid to another from a moment on."""
    session.execute(
        text(
            "insert into grid_area (grid_id, area_plane, valid)"
            " select :fresh, area_plane, tstzrange(:at, upper(valid)) from grid_area"
            " where grid_id = :id and valid @> cast(:at as timestamptz)"
        ),
        {"id": from_grid, "fresh": to_grid, "at": from_at},
    )
    end_areas(session, [from_grid], from_at)


def areas_go_on(session: Session, now: datetime) -> None:
    """Takes back what was planned for after `now`."""
    session.execute(text("delete from grid_area where lower(valid) > :now"), {"now": now})
    session.execute(
        text(
            "update grid_area set valid = tstzrange(lower(valid), null) where upper(valid) > :now"
        ),
        {"now": now},
    )
