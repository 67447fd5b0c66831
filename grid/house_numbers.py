"""House numbers as written on plates, the side of a segment they stand on, and ranges along both sides."""

from __future__ import annotations

import re
import unicodedata
from itertools import accumulate, pairwise
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from grid.core.crs import geometries_to_plane

Ints = NDArray[np.int64]

_DIGITS = re.compile(r"\d+")
LARGEST_NUMBER = 99_999
"""A longer number is no house number (a postcode, a telephone)."""
FARTHEST_M = 300.0
"""A plate farther than this from every segment of its street is left without one."""
_SAME_PARITY_SHARE = 2 / 3
_EPSILON_M = 0.5


def leading_number(text: str | None) -> int | None:
    """The first whole number in a house number as written, or None.

    Full-width digits count: "１２" -> 12, "12A" -> 12, "12-14" -> 12, "15附2" -> 15, "32之1號" -> 32.
    """
    if not text:
        return None
    found = _DIGITS.search(unicodedata.normalize("NFKC", text))
    number = int(found.group()) if found else None
    return number if number is not None and 0 < number <= LARGEST_NUMBER else None


def divide_range(first: int, last: int, lengths_m: list[float]) -> list[tuple[int, int] | None]:
    """Share out the numbers first..last over consecutive pieces in proportion to their lengths.

    Steps of two where both ends have one parity, else of one; a piece too short for a number gets
    None. Every number falls into exactly one piece, and the order of the range is kept.
    """
    step = 2 if (last - first) % 2 == 0 else 1
    step = step if last >= first else -step
    numbers = range(first, last + (1 if step > 0 else -1), step)
    total = sum(lengths_m) or 1.0
    cuts = [0, *(round(len(numbers) * part / total) for part in accumulate(lengths_m))]
    cuts[-1] = len(numbers)
    return [
        (numbers[begin], numbers[end - 1]) if end > begin else None for begin, end in pairwise(cuts)
    ]


def assign_plates(
    segments: gpd.GeoDataFrame, door_plates: gpd.GeoDataFrame, plane_epsg: int
) -> gpd.GeoDataFrame:
    """Each plate with the nearest segment of its own street, and where on it the plate stands.

    segments: name, names, length_m, LineString; door_plates: street, house_number, Point; both
    EPSG:4326. Returns the plates with segment (Int64 label of `segments`, NA where no segment of that
    name lies within FARTHEST_M), side ("left", "right" as seen along the line; on the line: right),
    along_m (of length_m), offset_m, number (Int64 leading number). Names are compared in any of a
    segment's languages, without regard to case, width and spacing. Ties go to the first segment.
    """
    lines = geometries_to_plane(segments.geometry.values, plane_epsg)
    points = geometries_to_plane(door_plates.geometry.values, plane_epsg)
    chosen = np.full(len(points), -1, dtype=np.int64)
    by_name = _rows_by_name(segments)
    streets = pd.Series([_folded(street) for street in door_plates["street"]])
    for street, at in streets.groupby(streets, sort=False).indices.items():
        rows = by_name.get(str(street))
        if rows is None:
            continue
        tree = shapely.STRtree(lines[rows])
        which, hit = tree.query_nearest(points[at], max_distance=FARTHEST_M, all_matches=True)
        order = np.lexsort((rows[hit], which))
        which, hit = which[order], hit[order]
        first = np.r_[True, which[1:] != which[:-1]] if len(which) else np.zeros(0, dtype=bool)
        chosen[np.asarray(at)[which[first]]] = rows[hit[first]]
    found = chosen >= 0
    line, point = lines[chosen[found]], points[found]
    share = shapely.line_locate_point(line, point, normalized=True)
    length_m = segments["length_m"].to_numpy(dtype=np.float64)[chosen[found]]
    label = segments.index.to_numpy()[np.maximum(chosen, 0)] if len(segments) else chosen
    return door_plates.assign(
        segment=pd.array(np.where(found, label, 0), dtype="Int64"),
        side=_spread(np.where(_left_of(line, point, share), "left", "right"), found),
        along_m=_spread(share * length_m, found, np.nan).astype(np.float64),
        offset_m=_spread(shapely.distance(line, point), found, np.nan).astype(np.float64),
        number=pd.array([leading_number(n) for n in door_plates["house_number"]], dtype="Int64"),
    ).assign(segment=lambda plates: plates["segment"].where(found))


def ranges_from_plates(segments: gpd.GeoDataFrame, plates: gpd.GeoDataFrame) -> pd.DataFrame:
    """left_from, left_to, right_from, right_to (Int64) per segment, index of `segments`.

    plates: from `assign_plates`. Sides that have a range in `segments` keep it. On the others the
    range runs from the lowest to the highest number, or back, the way the numbers run along the
    line. Where two thirds of a side's numbers are all odd or all even, the rest is left aside, so
    that both ends have that parity.
    """
    ranges = segments[["left_from", "left_to", "right_from", "right_to"]].copy()
    usable = plates[plates["segment"].notna() & plates["number"].notna()]
    table = pd.DataFrame(
        {
            "segment": segments.index.get_indexer(usable["segment"].to_numpy(dtype=np.int64)),
            "side": usable["side"].to_numpy(dtype=str),
            "along": usable["along_m"].to_numpy(dtype=np.float64),
            "number": usable["number"].to_numpy(dtype=np.int64),
        }
    )
    odd = (table["number"] % 2).groupby([table["segment"], table["side"]]).transform("mean")
    rule = np.maximum(odd, 1 - odd) >= _SAME_PARITY_SHARE
    kept = table[~rule | (table["number"] % 2 == (odd > 0.5))]
    way = _rising(table, ["segment", "side"]).rename("way")
    ends = kept.groupby(["segment", "side"])["number"].agg(["min", "max"]).join(way)
    both = _rising(table, ["segment"]).reindex(ends.index.get_level_values(0)).to_numpy()
    falls = np.where(ends["way"] != 0, ends["way"], both) < 0
    ends["from"] = np.where(falls, ends["max"], ends["min"])
    ends["to"] = np.where(falls, ends["min"], ends["max"])
    for side in ("left", "right"):
        columns = [f"{side}_from", f"{side}_to"]
        blank = ranges[columns].isna().all(axis=1).to_numpy()
        found = ends[ends.index.get_level_values(1) == side]
        row = found.index.get_level_values(0).to_numpy(dtype=np.int64)
        for column, end in zip(columns, ("from", "to"), strict=True):
            values = pd.array(ranges[column], dtype="Int64")
            values[row[blank[row]]] = found[end].to_numpy(dtype=np.int64)[blank[row]]
            ranges[column] = values
    return pd.DataFrame(ranges)


def _rising(table: pd.DataFrame, keys: list[str]) -> pd.Series[int]:
    """Per group 1 where the numbers rise along the line, -1 where they fall, 0 where it cannot be said."""
    groups = [table[key] for key in keys]
    parts = table[["along", "number"]].astype(float)
    centred = parts - parts.groupby(groups).transform("mean")
    slope = (centred["along"] * centred["number"]).groupby(groups).sum()
    return pd.Series(np.where(slope.abs() > 1e-6, np.sign(slope), 0).astype(int), index=slope.index)


def _rows_by_name(segments: gpd.GeoDataFrame) -> dict[str, Ints]:
    rows: dict[str, list[int]] = {}
    for row, (name, others) in enumerate(zip(segments["name"], segments["names"], strict=True)):
        spoken = [name, *(part for other in (others or {}).values() for part in other.split(";"))]
        for one in {_folded(text) for text in spoken} - {""}:
            rows.setdefault(one, []).append(row)
    return {name: np.array(found, dtype=np.int64) for name, found in rows.items()}


def _folded(name: object) -> str:
    return (
        " ".join(unicodedata.normalize("NFKC", name).casefold().split())
        if isinstance(name, str)
        else ""
    )


def _left_of(line: NDArray[Any], point: NDArray[Any], share: NDArray[Any]) -> NDArray[np.bool_]:
    """True where the point is left of its line, judged on the stretch about its foot."""
    length = shapely.length(line)
    foot = share * length
    before = shapely.line_interpolate_point(line, np.maximum(foot - _EPSILON_M, 0.0))
    after = shapely.line_interpolate_point(line, np.minimum(foot + _EPSILON_M, length))
    ahead_x = shapely.get_x(after) - shapely.get_x(before)
    ahead_y = shapely.get_y(after) - shapely.get_y(before)
    aside_x = shapely.get_x(point) - shapely.get_x(before)
    aside_y = shapely.get_y(point) - shapely.get_y(before)
    return np.asarray(ahead_x * aside_y - ahead_y * aside_x > 0)


def _spread(values: NDArray[Any], found: NDArray[np.bool_], blank: Any = None) -> NDArray[Any]:
    whole = np.full(len(found), blank, dtype=object)
    whole[found] = values
    return whole
