"""A street file edited at random from a seed, with the list of what was done to which row."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
import shapely.ops

from grid.core.crs import geometries_from_plane, geometries_to_plane

EDITS = ("moved", "reversed", "renamed", "split", "gone", "new")
SHORTEST_M = 20.0
BOW_M = 4.0
CROSSING_SHIFT_M = 3.0


@dataclass
class EditList:
    """Per kind the source keys of the rows that were edited; merged: one tuple of parts a new row."""

    rows: dict[str, list[str]] = field(default_factory=lambda: {kind: [] for kind in EDITS})
    merged: list[tuple[str, str]] = field(default_factory=list)

    def touched(self) -> set[str]:
        """Rows of the first file that something was done to."""
        plain = (key for kind in EDITS if kind != "new" for key in self.rows[kind])
        return {*plain, *(key for pair in self.merged for key in pair)}


def edited_streets(
    streets: gpd.GeoDataFrame, epsg: int, share: float, seed: int
) -> tuple[gpd.GeoDataFrame, EditList]:
    """`share` of the streets changed, each in one way; every row of the result has a new source key.

    streets: ground frame "street lines", one row a segment. Moved: bowed by 4 m, or a crossing shifted by
    3 m with all its rows; split: each row in the middle; merged: two rows where only they meet.
    """
    random = np.random.default_rng(seed)
    planes = dict(
        zip(
            streets["source_key"],
            geometries_to_plane(streets.geometry.to_numpy(), epsg),
            strict=True,
        )
    )
    names = dict(zip(streets["source_key"], streets["name"], strict=True))
    done = EditList()
    result: list[tuple[str, str, Any, str]] = []  # key of origin, new key, plane line, name
    pairs = _joinable(planes, names)
    merged_streets = {names[a] for a, _ in pairs}
    by_street = streets.groupby("name")["source_key"].apply(list)
    shortest = streets.groupby("name")["source_key"].apply(
        lambda keys: min(planes[key].length for key in keys)
    )
    free = [n for n in by_street.index if shortest[n] >= SHORTEST_M and n not in merged_streets]
    wanted = round(share * len(by_street)) - len(merged_streets)
    chosen = random.choice(np.array(free, dtype=object), wanted, replace=False)
    for number, name in enumerate(chosen):
        kind = EDITS[number % len(EDITS)]
        for key in by_street[name]:
            _edit(kind, key, planes[key], name, number, done, result)
    for first, second in pairs:
        done.merged.append((first, second))
        joined = shapely.line_merge(shapely.union_all([planes[first], planes[second]]))
        result.append((first, f"{first}+{second}", joined, names[first]))
    left = {key: line for key, line in planes.items() if key not in done.touched()}
    for spot in _crossings_of(left, planes, random, count=5):
        for key in [k for k, line in left.items() if spot in _ends(line)]:
            done.rows["moved"].append(key)
            result.append((key, f"new:{key}", _shifted(left.pop(key), spot), names[key]))
    result += [(key, f"new:{key}", line, names[key]) for key, line in left.items()]
    return _frame(streets, result, epsg, random), done


def _edit(
    kind: str, key: str, line: Any, name: str, number: int, done: EditList, result: list[Any]
) -> None:
    if kind == "new":
        # The street itself stays; a new one leaves from its first end, away from the town's directions.
        x, y = line.coords[0]
        if f"added:{number}" not in done.rows["new"]:
            done.rows["new"].append(f"added:{number}")
            away = shapely.LineString([(x, y), (x + 23, y + 31)])
            result.append((key, f"added:{number}", away, f"新街{number}"))
        return
    done.rows[kind].append(key)
    middle = line.interpolate(0.5, normalized=True)
    if kind == "moved":
        result.append((key, f"new:{key}", _bowed(line), name))
    elif kind == "reversed":
        result.append((key, f"new:{key}", shapely.reverse(line), name))
    elif kind == "renamed":
        result.append((key, f"new:{key}", line, f"{name} 改"))
    elif kind == "split":
        at = line.project(middle)
        for half, (low, high) in enumerate(((0.0, at), (at, line.length))):
            piece = shapely.ops.substring(line, low, high)
            result.append((key, f"half{half}:{key}", piece, name))


def _bowed(line: Any) -> Any:
    """The line with its ends in place and the rest up to BOW_M to one side."""
    points = [line.interpolate(share, normalized=True) for share in np.linspace(0, 1, 9)]
    (x0, y0), (x1, y1) = line.coords[0], line.coords[-1]
    length = float(np.hypot(x1 - x0, y1 - y0)) or 1.0
    nx, ny = -(y1 - y0) / length, (x1 - x0) / length
    bow = BOW_M * np.sin(np.linspace(0, np.pi, 9))
    return shapely.LineString(
        [(p.x + nx * b, p.y + ny * b) for p, b in zip(points, bow, strict=True)]
    )


Spot = tuple[float, float]


def _ends(line: Any) -> set[Spot]:
    return {tuple(np.round(line.coords[at], 2)) for at in (0, -1)}


def _shifted(line: Any, spot: Spot) -> Any:
    xy = np.array(line.coords)
    for at in (0, -1):
        if tuple(np.round(xy[at], 2)) == spot:
            xy[at, 0] += CROSSING_SHIFT_M
    return shapely.LineString(xy)


def _joinable(planes: dict[str, Any], names: dict[str, str]) -> list[tuple[str, str]]:
    """Pairs of rows of one street that meet where nothing else does; each row at most once."""
    at: dict[Spot, list[str]] = {}
    for key, line in planes.items():
        for spot in (line.coords[0], line.coords[-1]):
            at.setdefault(tuple(np.round(spot, 2)), []).append(key)
    pairs: list[tuple[str, str]] = []
    for keys in at.values():
        used = {key for pair in pairs for key in pair}
        same = len(keys) == 2 and names[keys[0]] == names[keys[1]] and keys[0] != keys[1]
        long = all(planes[key].length >= SHORTEST_M for key in keys)
        if same and long and not used & set(keys):
            pairs.append((keys[0], keys[1]))
    return pairs


def _crossings_of(
    left: dict[str, Any], planes: dict[str, Any], random: Any, count: int
) -> list[Spot]:
    """Crossings all of whose rows are long and still untouched; no row is at two of them."""
    meeting = Counter(spot for line in planes.values() for spot in _ends(line))
    ends = [_ends(line) for line in left.values()]
    untouched = Counter(spot for pair in ends for spot in pair)
    short = {spot for line in planes.values() if line.length < SHORTEST_M for spot in _ends(line)}
    fit = sorted(s for s, n in untouched.items() if n == meeting[s] >= 3 and s not in short)
    found: list[Spot] = []
    taken: set[Spot] = set()
    for position in random.permutation(len(fit)):
        spot = fit[position]
        if spot not in taken and len(found) < count:
            found.append(spot)
            taken |= {other for pair in ends if spot in pair for other in pair}
    return found


def _frame(
    streets: gpd.GeoDataFrame, result: list[tuple[str, str, Any, str]], epsg: int, random: Any
) -> gpd.GeoDataFrame:
    origin = streets.set_index("source_key", drop=False)
    rows = origin.loc[[key for key, _, _, _ in result]].reset_index(drop=True)
    rows["source_key"] = [new for _, new, _, _ in result]
    rows["name"] = [name for _, _, _, name in result]
    lines = geometries_from_plane(np.array([line for _, _, line, _ in result], dtype=object), epsg)
    frame = gpd.GeoDataFrame(pd.DataFrame(rows.drop(columns="geometry")), geometry=lines, crs=4326)
    return frame.iloc[random.permutation(len(frame))].reset_index(drop=True)
