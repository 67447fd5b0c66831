"""Broken shapes, overlaps, gaps and slivers among the areas of a file, as they were drawn."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from sqlalchemy import text
from sqlalchemy.orm import Session

from grid.area_faults import area_faults
from grid.core.crs import geometries_to_plane, plane_for
from grid.core.errors import Conflict
from grid.sources.fields import Columns
from grid.sources.files import DatumChange, open_frame
from grid.town import town_facts


def faults_of_file(
    session: Session,
    file: Path,
    layer: str | None,
    mapping: dict[str, str] | None,
    crs: str | None,
    change: DatumChange,
    *,
    named: str,
    by: str | None = None,
    covering: bool = True,
) -> gpd.GeoDataFrame:
    """Faults of the areas of a file as they were drawn: columns of `grid.area_faults`, and `level` with `by`.

    `named` is the field that tells areas apart; with `by` (a level) each value is a layer of its own. A file
    without areas has none; the town's boundary, if there is one, is what should be covered. Raises as `open_frame`.
    """
    raw, _ = open_frame(file, layer, crs, change, mapping or {})
    shapes = np.asarray(raw.geometry.values, dtype=object)
    if not len(raw) or not (shapely.get_dimensions(shapes) == 2).any():
        return area_faults([], np.array([], dtype=object), 3857)
    columns = Columns(raw, mapping)
    names = columns.text(named).fillna("").astype(str)
    try:
        epsg = town_facts(session).plane_epsg
    except Conflict:
        # The first file of a town may be its boundaries.
        west, south, east, north = raw.total_bounds
        epsg = plane_for((west + east) / 2, (south + north) / 2)
    within = _town(session, epsg)
    levels = columns.text(by).fillna("") if by else pd.Series("", index=raw.index)
    found = []
    for level in sorted(set(levels)):
        rows = (levels == level).to_numpy()
        # A town's own boundary is what is covered, and covers nothing.
        inside = None if by and level.lower() == "town" else within
        faults = area_faults(
            names[rows].tolist(), shapes[rows], epsg, within=inside, covering=covering
        )
        found.append(faults.assign(level=level) if by else faults)
    whole = pd.concat([one for one in found if len(one)] or found[:1], ignore_index=True)
    return gpd.GeoDataFrame(whole, geometry="geometry", crs=4326)


def _town(session: Session, epsg: int) -> shapely.Geometry | None:
    stored = session.scalar(
        text("select st_asbinary(boundary) from town where boundary is not null")
    )
    if stored is None:
        return None
    return shapely.make_valid(geometries_to_plane([shapely.from_wkb(bytes(stored))], epsg)[0])
