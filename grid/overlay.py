"""Areas drawn by a bureau as grids: which area each side of each segment belongs to."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import shapely
from sqlalchemy.orm import Session

from grid.core.crs import geometries_to_plane
from grid.loading.grids import Holding
from grid.loading.streets import named_lines
from grid.models import SIDES
from grid.town import town_facts

# The side's ground is looked at so far from the line: beyond the kerb, before the next street.
ASIDE_M = 5.0


def segments_by_area(session: Session, areas: gpd.GeoDataFrame) -> list[Holding]:
    """Each side of each segment in force given to an area (code, geometry EPSG:4326).

    A side belongs to the area that holds most of its length, measured 5 m beside the line; one that
    no area touches goes to the nearest area. Of equal shares the area with the lower code wins.
    """
    epsg = town_facts(session).plane_epsg
    frame = named_lines(session)
    # An area drawn in several pieces is one.
    ordered = areas[["code", "geometry"]].dissolve("code", sort=True).reset_index()
    shapes = geometries_to_plane(ordered.geometry.to_numpy(), epsg)
    lines = geometries_to_plane(frame.geometry.to_numpy(), epsg)
    tree = shapely.STRtree(shapes)
    codes = ordered["code"].astype(str).to_numpy()
    holdings: list[Holding] = []
    for side, offset_m in zip(SIDES, (ASIDE_M, -ASIDE_M), strict=True):
        aside = shapely.offset_curve(lines, offset_m)
        # A short bent line may vanish when it is moved aside: then the line itself decides.
        aside = np.where(shapely.is_empty(aside), lines, aside)
        row, area = tree.query(aside, predicate="intersects")
        share = shapely.length(shapely.intersection(aside[row], shapes[area]))
        best = np.full(len(lines), -1)
        order = np.lexsort((area, -share, row))
        rows, first = np.unique(row[order], return_index=True)
        best[rows] = area[order][first]
        lost = best < 0
        if lost.any():
            best[lost] = tree.nearest(aside[lost])
        holdings += [
            Holding(int(segment_id), side, str(codes[position]))
            for segment_id, position in zip(frame["id"], best, strict=True)
        ]
    return holdings
