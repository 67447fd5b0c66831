"""Streets of Keelung as a bureau would draw them that has only door plates: a line between the odd and the even side.

The source has plates and no street lines. Each road of a district (plates in lanes left out) gets one line: along the
side with more numbers, halfway to the other side where that is near, half a road's width off where it is not; cut
where the village changes on either side, as every border of a responsibility is drawn.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
import shapely.ops
from numpy.typing import NDArray

from grid.core.crs import from_plane, plane_for, to_plane

Floats = NDArray[np.float64]
EPSG = plane_for(121.7, 25.1)
NEAR_M = 45.0  # the other side is opposite, not round the corner
HALF_ROAD_M = 8.0
STEP_M = 12.0  # a vertex of a street at most so often
FEWEST = 2  # plates of a village in a row along one side that make a border


def plates(folder: Path) -> pd.DataFrame:
    """Plates on roads themselves: district, road, village code, number, plane x, y, and whether odd."""
    frame = pd.read_csv(
        folder / "taiwan/keelung-addresses.csv.gz", dtype=str, keep_default_na=False
    )
    frame = frame[frame.LANE == ""].drop_duplicates("ADDRESS").reset_index(drop=True)
    x, y = to_plane(frame.LON.astype(float), frame.LAT.astype(float), EPSG)
    number = frame.NUMBER.str.extract(r"(\d+)")[0].astype(int)
    name = frame.ROAD + frame.SECTION
    return frame.assign(x=x, y=y, number=number, odd=number % 2 == 1, street=name)


def with_a_village_on_one_side(frame: pd.DataFrame) -> pd.MultiIndex:
    """(district, road) of the roads in several villages, one of which has plates of one parity only."""
    sides = frame.groupby(["DISTRICT", "ROAD", "VILLAGE_CODE"]).odd.nunique()
    several = sides.groupby(level=[0, 1]).size() > 1
    single = (sides == 1).groupby(level=[0, 1]).any()
    return several.index[several & single]


def streets(frame: pd.DataFrame) -> gpd.GeoDataFrame:
    """One row for each stretch of a road between two borders of villages: name, geometry in WGS 84."""
    names: list[str] = []
    lines: list[shapely.LineString] = []
    for (_, name), road in frame.groupby(["DISTRICT", "street"], sort=True):
        line = _middle(road)
        if line is None:
            continue
        for piece in _cut(line, _borders(line, road)):
            names.append(str(name))
            lines.append(piece)
    lines = list(shapely.transform(lines, lambda xy: np.column_stack(from_plane(*xy.T, EPSG))))
    columns = {"name": names, "class": "tertiary"}
    return gpd.GeoDataFrame(columns, geometry=lines, crs=4326)


def _side(road: pd.DataFrame) -> Floats:
    """Points of one side in the order of its numbers, single outliers smoothed away."""
    points = road.groupby("number")[["x", "y"]].median().sort_index()
    smooth = points.rolling(5, center=True, min_periods=1).median()
    return np.asarray(smooth.to_numpy(dtype=np.float64))


def _middle(road: pd.DataFrame) -> shapely.LineString | None:
    one, other = (_side(road[road.odd == odd]) for odd in (True, False))
    if len(one) < len(other):
        one, other = other, one
    one = _thinned(one)
    if len(one) < 2:
        return None
    ahead = np.gradient(one, axis=0)
    aside = np.column_stack([-ahead[:, 1], ahead[:, 0]])
    aside /= np.maximum(np.hypot(*aside.T), 1e-9)[:, None]
    shift = np.full(len(one), np.nan)
    if len(other):
        far = shapely.LineString(other) if len(other) > 1 else shapely.Point(other[0])
        foot = shapely.get_coordinates(
            [shapely.shortest_line(shapely.Point(p), far) for p in one]
        ).reshape(-1, 2, 2)[:, 1]
        across = ((foot - one) * aside).sum(axis=1)
        near = np.hypot(*(foot - one).T) <= NEAR_M
        shift[near] = across[near] / 2
    usual = np.nanmedian(shift) if np.isfinite(shift).any() else HALF_ROAD_M
    shift = pd.Series(shift).rolling(5, center=True, min_periods=1).median().to_numpy()
    middle = one + aside * np.where(np.isfinite(shift), shift, usual)[:, None]
    line = shapely.LineString(_thinned(middle)) if len(_thinned(middle)) > 1 else None
    return line


def _thinned(points: Floats) -> Floats:
    kept = [points[0]] if len(points) else []
    for point in points[1:]:
        if np.hypot(*(point - kept[-1])) >= STEP_M:
            kept.append(point)
    return np.array(kept).reshape(-1, 2)


def _borders(line: shapely.LineString, road: pd.DataFrame) -> list[float]:
    """Metres along the line at which the village changes on one of its sides."""
    along = shapely.line_locate_point(line, shapely.points(road.x, road.y))
    found: list[float] = []
    for odd in (True, False):
        side = pd.DataFrame({"along": along, "village": road.VILLAGE_CODE})[road.odd == odd]
        runs = list(_runs(side.sort_values("along", kind="stable")))
        for before, after in pairwise(runs):
            found.append((before[1] + after[0]) / 2)
    return sorted(found)


def _runs(side: pd.DataFrame) -> Iterator[tuple[float, float]]:
    """First and last metre of each row of plates of one village; a stray plate makes no row."""
    steps = (side.village != side.village.shift()).cumsum()
    groups = [g for _, g in side.groupby(steps) if len(g) >= FEWEST]
    begin: Any = None
    for k, group in enumerate(groups):
        begin = group.along.iloc[0] if begin is None else begin
        follows = groups[k + 1].village.iloc[0] if k + 1 < len(groups) else None
        if follows != group.village.iloc[0]:
            yield float(begin), float(group.along.iloc[-1])
            begin = None


def _cut(line: shapely.LineString, at_m: list[float]) -> list[shapely.LineString]:
    cuts = [0.0]
    for metres in [*at_m, line.length]:
        if metres - cuts[-1] >= STEP_M:
            cuts.append(metres)
    cuts[-1] = line.length
    return [shapely.ops.substring(line, a, b) for a, b in pairwise(cuts)] or [line]
