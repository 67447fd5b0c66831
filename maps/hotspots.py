"""Where incidents gather more than chance would have it: Getis and Ord's Gi* over the units of a town.

The statistic is esda's `G_Local` (star: the unit itself counts as its own neighbour), with weight 1 for the unit and
its neighbours, and its normal approximation (Ord & Getis 1995, Geographical Analysis 27(4), eq. 14). Only
gathering is asked for, so the test is one-sided. A town has thousands of units and so thousands of tests: the
p-values are corrected by Benjamini and Hochberg (1995), as Caldas de Castro & Singer (2006, Geographical
Analysis 38(2)) do for local statistics. A unit is hot by its corrected value, never by the bare one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray
from scipy import stats

SQUARE_M = 200.0
# Corrected p-value → what a legend calls it, the strongest first.
LEVELS: tuple[tuple[float, int], ...] = ((0.01, 99), (0.05, 95), (0.10, 90))


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Pairs of units that count as near each other, both ways, without the unit itself; rows of the unit frame."""

    focal: NDArray[np.int64]
    other: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Gathering:
    """One value a unit: Gi* as a standard score, its one-sided p, the p corrected for all units, level 99, 95, 90 or 0."""

    z: NDArray[np.float64]
    p: NDArray[np.float64]
    corrected: NDArray[np.float64]
    level: NDArray[np.int64]


def gathering(counts: NDArray[Any], near: Neighbours) -> Gathering:
    """Gi* of every unit's count. Equal counts everywhere, or fewer than three units, gather nowhere."""
    values = np.asarray(counts, dtype=float)
    z = np.zeros(len(values))
    if len(values) >= 3 and np.ptp(values) > 0:
        z = _scores(values, near)
    p = stats.norm.sf(z)
    corrected = stats.false_discovery_control(p, method="bh") if len(p) else p
    level = np.zeros(len(values), dtype=np.int64)
    for most, name in reversed(LEVELS):
        level[corrected <= most] = name
    return Gathering(z, p, corrected, level)


def _scores(values: NDArray[np.float64], near: Neighbours) -> NDArray[np.float64]:
    # Both import half of scientific Python: only whoever asks for hot spots pays.
    from esda.getisord import G_Local
    from libpysal.graph import Graph

    own = np.arange(len(values), dtype=np.int64)
    graph = Graph.from_arrays(
        np.concatenate([own, near.focal]),
        np.concatenate([own, near.other]),
        np.ones(len(values) + len(near.focal)),
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        found = G_Local(values, graph, transform="B", star=True, permutations=0)
    # A unit that is near every other cannot differ from the whole: 0 / 0.
    z: NDArray[np.float64] = np.asarray(found.Zs, dtype=float)
    z[~np.isfinite(z)] = 0.0
    return z


def squares(
    ground: NDArray[np.float64], points: NDArray[np.float64], side_m: float = SQUARE_M
) -> tuple[pd.DataFrame, NDArray[np.int64]]:
    """The squares of the plane that hold ground or a point: columns cx, cy (by cx, cy); the row of each point.

    `ground` and `points` are (n, 2) metres of the plane: where a street is, and where incidents are.
    """
    both = np.floor(np.vstack([ground, points]) / side_m).astype(np.int64)
    units, row = np.unique(both, axis=0, return_inverse=True)
    return pd.DataFrame(units, columns=["cx", "cy"]), row.reshape(-1)[len(ground) :].astype(
        np.int64
    )


def square_shapes(units: pd.DataFrame, side_m: float = SQUARE_M) -> NDArray[np.object_]:
    """The squares as polygons of the plane."""
    west, south = units["cx"].to_numpy() * side_m, units["cy"].to_numpy() * side_m
    return np.asarray(shapely.box(west, south, west + side_m, south + side_m), dtype=object)


def square_neighbours(units: pd.DataFrame) -> Neighbours:
    """Squares that share an edge or a corner."""
    at = {key: row for row, key in enumerate(zip(units["cx"], units["cy"], strict=True))}
    pairs = [
        (row, at[cx + dx, cy + dy])
        for (cx, cy), row in at.items()
        for dx in (-1, 0, 1)
        for dy in (-1, 0, 1)
        if (dx or dy) and (cx + dx, cy + dy) in at
    ]
    return _pairs(pairs)


def shape_neighbours(shapes: gpd.GeoSeries, within_m: float = 1.0) -> Neighbours:
    """Areas of the plane that touch, up to a metre of drawing."""
    tree = shapely.STRtree(shapes.to_numpy())
    focal, other = tree.query(shapes.to_numpy(), predicate="dwithin", distance=within_m)
    apart = focal != other
    return Neighbours(focal[apart].astype(np.int64), other[apart].astype(np.int64))


def crossing_neighbours(ends: NDArray[np.int64]) -> Neighbours:
    """Segments that meet: `ends` is (n, 2), the crossings at both ends of each."""
    own = np.repeat(np.arange(len(ends)), 2)
    met = pd.DataFrame({"crossing": ends.reshape(-1), "segment": own})
    pairs = met.merge(met, on="crossing")
    pairs = pairs[pairs["segment_x"] != pairs["segment_y"]].drop_duplicates(
        ["segment_x", "segment_y"]
    )
    return Neighbours(pairs["segment_x"].to_numpy(), pairs["segment_y"].to_numpy())


def repeat_places(incidents: pd.DataFrame, least: int = 3) -> pd.DataFrame:
    """Stretches where one category came at least `least` times, most first.

    `incidents`: segment_id, street, grid_code, category, reported_at, lon, lat. Columns of the answer: segment_id,
    street, grid_code, category, times, first_at, last_at, lon, lat (the mean of the points).
    """
    known = incidents.dropna(subset=["segment_id", "category"])
    grouped = known.groupby(["segment_id", "category"], sort=True).agg(
        street=("street", "first"),
        grid_code=("grid_code", "first"),
        times=("reported_at", "size"),
        first_at=("reported_at", "min"),
        last_at=("reported_at", "max"),
        lon=("lon", "mean"),
        lat=("lat", "mean"),
    )
    found = grouped[grouped["times"] >= least].reset_index()
    return found.sort_values(
        ["times", "segment_id", "category"], ascending=[False, True, True]
    ).reset_index(drop=True)


def _pairs(pairs: list[tuple[int, int]]) -> Neighbours:
    found = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return Neighbours(found[:, 0], found[:, 1])
