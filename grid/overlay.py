"""Grids drawn by a bureau, as areas or as their streets: which grid each side of each segment belongs to."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from sqlalchemy import text
from sqlalchemy.orm import Session

from grid.core.crs import geometries_to_plane
from grid.core.errors import BadInput
from grid.loading.grids import Holding
from grid.loading.streets import named_lines
from grid.models import SIDES
from grid.town import town_facts

# The side's ground is looked at so far from the line: beyond the kerb, before the next street.
ASIDE_M = 5.0
# A segment is of a drawn line when its ends and quarters lie so near it.
ON_LINE_M = 0.5


def segments_by_area(session: Session, areas: gpd.GeoDataFrame) -> list[Holding]:
    """Each side of each segment in force given to a grid by its area or its streets (code, geometry EPSG:4326).

    A side belongs to the area that holds most of its length, measured 5 m beside the line; one that
    no area touches goes to the nearest area. Of equal shares the area with the lower code wins. Grids drawn as lines (as
    exported) hold the segments that lie on them; where several do, each side stays with the one that holds it now, else
    the lower code wins. Raises BadInput `grids.file_empty`.
    """
    if areas.empty:
        raise BadInput("grids.file_empty", field="file")
    if (shapely.get_dimensions(areas.geometry.to_numpy()) == 1).all():
        return _by_lines(session, areas)
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


def _by_lines(session: Session, drawn: gpd.GeoDataFrame) -> list[Holding]:
    epsg = town_facts(session).plane_epsg
    frame = named_lines(session)
    ordered = drawn[["code", "geometry"]].explode(ignore_index=True)
    ordered = ordered.sort_values("code", kind="stable")
    lines = geometries_to_plane(frame.geometry.to_numpy(), epsg)
    tree = shapely.STRtree(geometries_to_plane(ordered.geometry.to_numpy(), epsg))
    places = np.linspace(0.0, 1.0, 5)
    points = shapely.line_interpolate_point(np.repeat(lines, 5), np.tile(places, len(lines)), True)
    point, near = tree.query(points, predicate="dwithin", distance=ON_LINE_M)
    # A grid's own pieces follow one another: every place of a segment lies on one of them.
    met = pd.DataFrame(
        {
            "row": point // 5,
            "place": point % 5,
            "code": ordered["code"].astype(str).to_numpy()[near],
        }
    )
    counted = met.drop_duplicates().groupby(["row", "code"], sort=True).size()
    claims: dict[int, list[str]] = {}
    for row, code in counted[counted == 5].index:
        claims.setdefault(int(row), []).append(str(code))
    held = {
        (row.segment_id, row.side): row.code
        for row in session.execute(
            text(
                "select h.segment_id, h.side, g.code from grid_segment h join grid g on g.id = h.grid_id"
                " where h.valid @> statement_timestamp()"
            )
        )
    }
    ids = frame["id"].astype(int).tolist()
    return [
        Holding(ids[row], side, now if (now := held.get((ids[row], side))) in codes else codes[0])
        for row, codes in sorted(claims.items())
        for side in SIDES
    ]
