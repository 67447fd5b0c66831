"""The town's own territory: the ground of each grid in force, worked out from the streets as they stand.

Nothing is stored, so nothing can be stale: whoever shows it keeps it for one version of the ground.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import geopandas as gpd
import numpy as np
import shapely
from sqlalchemy import text
from sqlalchemy.orm import Session

from grid.areas import areas_in_force
from grid.bulk_locate import GroundIndex, read_ground_index
from grid.core.crs import geometries_from_plane, geometries_to_plane
from grid.core.errors import Conflict
from grid.territory import BadPart, Reserved, Territory, bad_parts, territory
from grid.town import town_facts

# Without a boundary the town ends so far beyond its outermost streets.
BEYOND_STREETS_M = 250.0


@dataclass(frozen=True, slots=True)
class TownTerritory:
    """The ground of the grids in the plane, the town's boundary there, and code and name by grid id."""

    whole: Territory
    boundary: shapely.Geometry
    plane_epsg: int
    grids: dict[int, tuple[str, str]]

    def frame(self) -> gpd.GeoDataFrame:
        """code, name, area_m2, geometry (Multi)Polygon EPSG:4326, ordered by code."""
        shapes = geometries_from_plane(self.whole.polygons, self.plane_epsg)
        frame = gpd.GeoDataFrame(
            {
                "code": [self.grids[int(label)][0] for label in self.whole.labels],
                "name": [self.grids[int(label)][1] for label in self.whole.labels],
                "area_m2": np.round(shapely.area(self.whole.polygons), 1),
            },
            geometry=shapes,
            crs=4326,
        )
        return frame.sort_values("code").reset_index(drop=True)

    def bad_parts(self) -> list[BadPart]:
        """Gaps, overlaps and broken shapes; empty when the coverage is whole."""
        return bad_parts(self.whole, self.boundary)


def town_territory(session: Session, at: datetime) -> TownTerritory:
    """The territory of the grids in force at a moment, on the streets as they stand; drawn areas go before.

    Raises Conflict `town.empty`, `territory.not_divided` when a side of a segment has no grid; BadInput
    as `grid.territory` does.
    """
    town = town_facts(session)
    ground = read_ground_index(session)
    left, right = _labels(session, ground, at)
    if (left < 0).any() or (right < 0).any():
        raise Conflict("territory.not_divided", count=int((left < 0).sum() + (right < 0).sum()))
    boundary = _boundary(session, ground, town.plane_epsg)
    by_code = {code: grid_id for grid_id, (code, _) in ground.grids.items()}
    drawn = areas_in_force(session, at)
    reserved = [Reserved(shapely.make_valid(area), by_code[code]) for code, area in drawn]
    whole = territory(ground.index, left, right, boundary, reserved)
    return TownTerritory(whole, boundary, town.plane_epsg, ground.grids)


def _labels(
    session: Session, ground: GroundIndex, at: datetime
) -> tuple[np.ndarray[tuple[int], np.dtype[np.int64]], np.ndarray[tuple[int], np.dtype[np.int64]]]:
    """Grid id of the left and the right side of each row of the index, -1 for none."""
    held = np.full((2, len(ground.segment_ids)), -1, dtype=np.int64)
    rows = session.execute(
        text(
            "select segment_id, side, grid_id from grid_segment"
            " where valid @> cast(:at as timestamptz)"
        ),
        {"at": at},
    ).all()
    if rows:
        segment = np.array([row.segment_id for row in rows], dtype=np.int64)
        place = np.minimum(
            np.searchsorted(ground.segment_ids, segment), len(ground.segment_ids) - 1
        )
        known = ground.segment_ids[place] == segment
        side = np.array([row.side == "right" for row in rows], dtype=np.int64)
        grid = np.array([row.grid_id for row in rows], dtype=np.int64)
        held[side[known], place[known]] = grid[known]
    return held[0], held[1]


def _boundary(session: Session, ground: GroundIndex, epsg: int) -> shapely.Geometry:
    """The town's boundary, or the ground around its streets where none was imported."""
    stored = session.scalar(
        text("select st_asbinary(boundary) from town where boundary is not null")
    )
    if stored is not None:
        shape = geometries_to_plane([shapely.from_wkb(bytes(stored))], epsg)[0]
        return shapely.make_valid(shape)
    hull = shapely.convex_hull(shapely.GeometryCollection(list(ground.lines)))
    return shapely.buffer(hull, BEYOND_STREETS_M)
