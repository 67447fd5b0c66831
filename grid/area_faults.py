"""What is wrong with areas that somebody drew: broken shapes, overlaps, gaps, slivers. Pure; plane in, frame out.

Areas of one layer should cover their ground once. An editor's slips leave pieces that two areas share, pieces that no
area has, and pieces of both kinds that are only as wide as a slip of the hand (slivers). Each comes as a piece
of ground, so that it can be shown in QGIS and mended there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from grid.areas import SHARED_M2, as_area
from grid.core.crs import geometries_from_plane, geometries_to_plane

KINDS = ("invalid", "overlap", "gap", "sliver", "outside")
# Pieces with a lesser mean width are a slip of the hand, not a decision.
SLIVER_M = 1.0
# Areas that lie apart by less than this are meant to meet.
MEANT_TO_MEET_M = 5.0
# Half the width of what is rounding and no gap.
HAIR_M = 0.002
# How much of an area may lie beyond the town: two drawings of one border differ.
OUTSIDE_SHARE = 0.01
COLUMNS = ("kind", "of", "name", "other", "area_m2", "width_m", "why", "geometry")


def area_faults(
    names: Sequence[str],
    shapes: NDArray[Any],
    epsg: int,
    *,
    within: shapely.Geometry | None = None,
    covering: bool = True,
) -> gpd.GeoDataFrame:
    """Faults of areas (EPSG:4326, as drawn, not repaired): COLUMNS, one row a piece, EPSG:4326, the largest first.

    kind: one of KINDS; of: for a sliver what it is a sliver of (overlap, gap, area). `within` is the ground to be
    covered, in the plane of `epsg` (None: only what the areas enclose). `covering` False: areas may overlap and
    need not meet, as parks and markets do. Areas of one name are one area; points and lines are left alone.
    """
    planes = geometries_to_plane(shapely.force_2d(np.asarray(shapes, dtype=object)), epsg)
    found: list[dict[str, Any]] = []
    whole: dict[str, list[shapely.Geometry]] = {}
    for name, shape in zip(names, planes, strict=True):
        if shape is None or shapely.is_empty(shape) or shapely.get_dimensions(shape) != 2:
            continue
        area = as_area(shape)
        if not shapely.is_valid(shape):
            found.append(_invalid(str(name), shape, area))
        if area is None:
            continue
        whole.setdefault(str(name), []).append(area)
        if width_m(area) < SLIVER_M:
            found.append(_row("sliver", area, name=str(name), of="area"))
    areas = {name: shapely.union_all(parts) for name, parts in sorted(whole.items())}
    if within is not None:
        found += _outside(areas, within)
    if covering:
        found += _overlaps(areas) + _gaps(areas, within)
    found.sort(key=lambda row: (KINDS.index(row["kind"]), -row["area_m2"], row["name"]))
    if not found:
        return gpd.GeoDataFrame({name: [] for name in COLUMNS}, geometry="geometry", crs=4326)
    frame = pd.DataFrame(found)
    geometry = geometries_from_plane(frame.pop("plane").to_numpy(), epsg)
    return gpd.GeoDataFrame(frame, geometry=geometry, crs=4326)[list(COLUMNS)]


def width_m(shape: shapely.Geometry) -> float:
    """The mean width of a piece: that of a long strip with its area and its edge."""
    edge = float(shapely.length(shape))
    return 2.0 * float(shapely.area(shape)) / edge if edge else 0.0


def counts_of(faults: gpd.GeoDataFrame) -> dict[str, int]:
    """How many faults of each kind, kinds without one left out."""
    return {kind: int(n) for kind in KINDS if (n := (faults["kind"] == kind).sum())}


def _overlaps(areas: dict[str, shapely.Geometry]) -> list[dict[str, Any]]:
    names = list(areas)
    shapes = np.array([areas[name] for name in names], dtype=object)
    if len(shapes) < 2:
        return []
    one, two = shapely.STRtree(shapes).query(shapes, predicate="intersects")
    found = []
    for i, k in zip(one.tolist(), two.tolist(), strict=True):
        if i >= k:
            continue
        shared = as_area(shapely.intersection(shapes[i], shapes[k]))
        parts = shapely.get_parts(shared) if shared is not None else ()
        found += [
            _piece("overlap", part, names[i], names[k])
            for part in parts
            if shapely.area(part) > SHARED_M2
        ]
    return found


def _gaps(
    areas: dict[str, shapely.Geometry], within: shapely.Geometry | None
) -> list[dict[str, Any]]:
    """Enclosed holes, narrow gaps between neighbours, and ground of `within` that no area has."""
    if not areas:
        return []
    shapes = list(areas.values())
    covered = shapely.union_all(shapes)
    filled = shapely.polygons([part.exterior for part in shapely.get_parts(covered)])
    wanted = [*filled]
    # Out and in again: what closes is what was meant to be closed. Straight corners, else every bend leaves a splinter.
    half = MEANT_TO_MEET_M / 2
    closed = shapely.buffer(covered, half, join_style="mitre")
    wanted.append(shapely.buffer(closed, -half, join_style="mitre"))
    if within is not None:
        wanted = [shapely.intersection(shapely.union_all(wanted), within), within]
    apart = shapely.difference(shapely.union_all(wanted), covered)
    # Rounding leaves hairs along long borders, which would tie one gap to the next.
    thinned = shapely.buffer(apart, -HAIR_M, join_style="mitre")
    missing = as_area(shapely.buffer(thinned, HAIR_M, join_style="mitre"))
    if missing is None:
        return []
    names, tree = list(areas), shapely.STRtree(shapes)
    found = []
    for part in shapely.get_parts(missing):
        if shapely.area(part) <= SHARED_M2:
            continue
        beside = sorted(
            names[k] for k in tree.query(part, predicate="dwithin", distance=2 * HAIR_M).tolist()
        )
        # A bay of one outline, open to the outside, is its shape and no gap between two.
        if within is None and len(beside) < 2 and not shapely.union_all(filled).covers(part):
            continue
        found.append(_piece("gap", part, "", ", ".join(beside[:4])))
    return found


def _outside(areas: dict[str, shapely.Geometry], within: shapely.Geometry) -> list[dict[str, Any]]:
    found = []
    for name, shape in areas.items():
        beyond = as_area(shapely.difference(shape, within))
        if beyond is not None and beyond.area > OUTSIDE_SHARE * shape.area:
            found.append(_row("outside", beyond, name=name))
    return found


def _invalid(name: str, shape: shapely.Geometry, area: shapely.Geometry | None) -> dict[str, Any]:
    """The broken area as it would be repaired, or its outline as a strip where nothing is left of it."""
    why = str(shapely.is_valid_reason(shape)).partition("[")[0]
    shown = area if area is not None else shapely.buffer(shapely.convex_hull(shape), SLIVER_M)
    return _row("invalid", shown, name=name, why=why)


def _piece(kind: str, part: shapely.Geometry, name: str, other: str) -> dict[str, Any]:
    if width_m(part) < SLIVER_M:
        return _row("sliver", part, name=name, other=other, of=kind)
    return _row(kind, part, name=name, other=other)


def _row(
    kind: str, shape: shapely.Geometry, *, name: str = "", other: str = "", of: str = "", why: str = ""
) -> dict[str, Any]:  # fmt: skip
    return {
        "kind": kind, "of": of, "name": name, "other": other,
        "area_m2": round(float(shapely.area(shape)), 2), "width_m": round(width_m(shape), 3), "why": why,
        "plane": as_area(shape) or shape,
    }  # fmt: skip
