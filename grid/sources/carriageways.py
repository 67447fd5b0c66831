"""Dual carriageways: one-way lines of one name that run side by side in opposite directions."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import shapely
from numpy.typing import NDArray

SIDE_BY_SIDE_M = 60.0
"""Widest distance between the two carriageways of one street."""
_OPPOSITE_COSINE = -0.8
"""Directions more than about 143 degrees apart count as opposite."""
_SHARE = 0.5
_METRES_PER_DEGREE = 111_319.49


def mark_dual(streets: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Street lines with form "dual" where at least half of a one-way, named, single line has a
    carriageway of the same name in the opposite direction within SIDE_BY_SIDE_M."""
    named = streets["name"].notna() & (streets["oneway"] != "no") & (streets["form"] == "single")
    rows = np.flatnonzero(named.to_numpy())
    if not len(rows):
        return streets
    lines = np.asarray(streets.geometry.values, dtype=object)[rows]
    xy, line = shapely.get_coordinates(lines, return_index=True)
    scale = np.array([np.cos(np.radians(float(np.median(xy[:, 1])))), 1.0]) * _METRES_PER_DEGREE
    metres = xy * scale
    first = np.flatnonzero(line[1:] == line[:-1])
    along = metres[first + 1] - metres[first]
    length_m = np.maximum(np.hypot(along[:, 0], along[:, 1]), 1e-9)
    backward = (streets["oneway"].to_numpy()[rows] == "backward")[line[first]]
    heading = along / length_m[:, None] * np.where(backward, -1.0, 1.0)[:, None]
    owner = line[first]
    _, name = np.unique(streets["name"].to_numpy(dtype=str)[rows], return_inverse=True)
    edges = shapely.linestrings(np.stack([metres[first], metres[first + 1]], axis=1))
    middle = shapely.points((metres[first] + metres[first + 1]) / 2)
    a, b = shapely.STRtree(edges).query(middle, predicate="dwithin", distance=SIDE_BY_SIDE_M)
    fits = (name[owner[a]] == name[owner[b]]) & (owner[a] != owner[b])
    fits &= (heading[a] * heading[b]).sum(axis=1) < _OPPOSITE_COSINE
    paired: NDArray[np.bool_] = np.zeros(len(first), dtype=bool)
    paired[a[fits]] = True
    beside_m = np.bincount(owner, weights=np.where(paired, length_m, 0.0), minlength=len(rows))
    whole_m = np.bincount(owner, weights=length_m, minlength=len(rows))
    form = streets["form"].to_numpy(dtype=object, copy=True)
    form[rows[beside_m >= _SHARE * whole_m]] = "dual"
    return streets.assign(form=form)
