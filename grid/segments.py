"""Streets cut into segments: from crossing to crossing, each with its ends, length and house-number ranges.

`grid.noding` and `grid.meetings` find where lines meet, `grid.chains` what no crossing parts,
`grid.kept_rows` treats files that are cut already. Keys stay the same as long as the source does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from grid import kept_rows, meetings, noding
from grid.chains import Chain, Pieces, chains_of, pieces_of, unjoined, whole_lines
from grid.core.crs import GEOD, WGS84
from grid.house_numbers import divide_range
from grid.sources.base import RANGE_COLUMNS

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SEGMENT_COLUMNS = (
    "source_key",
    "name",
    "names",
    "class_",
    "oneway",
    "level",
    "form",
    *RANGE_COLUMNS,
    "from_node",
    "to_node",
    "length_m",
    "geometry",
)


@dataclass(frozen=True, slots=True)
class Segmentation:
    """Segments and the crossings between them, all EPSG:4326.

    segments: columns SEGMENT_COLUMNS, 0-based index; from_node and to_node are labels of `crossings`;
    length_m geodesic on WGS 84. crossings: index node, columns source_key, geometry Point (dead ends
    are there too). crossed_without_node: first, second (source keys), level, resolution ("cut",
    "levels_apart"), geometry Point. touches: segment, node, along_m, geometry: ends that lie inside
    a row which was kept whole (`rows_kept`); empty otherwise.
    """

    segments: gpd.GeoDataFrame
    crossings: gpd.GeoDataFrame
    crossed_without_node: gpd.GeoDataFrame
    touches: gpd.GeoDataFrame
    rows_kept: bool


def cut(
    streets: gpd.GeoDataFrame, merge: bool = True, keep_rows: bool | None = None
) -> Segmentation:
    """Cut street lines (ground frame "street lines", EPSG:4326) at every place where they really meet.

    Lines meet at shared OSM nodes where `node_ids` is filled, else at shared vertices (1e-7 degrees)
    and where an end lies within 0.3 m of another line of its level. Lines of level 0 that cross
    without a node meet all the same; off the ground they pass (`meetings.meet`).
    merge: join two lines of equal name, class, form, one-way and level where only they meet; lines
    with house-number ranges are never joined.
    keep_rows: True keeps each row as one segment (a file whose rows run from crossing to crossing);
    None decides by `kept_rows.is_already_cut` for files without node ids when merge is False. In kept rows a
    crossing without a common end is a flyover: the shorter row is moved a level up.
    Keys are `<source_key of the first line>:<piece on that line>`; order is that of the source.
    """
    lines = np.asarray(streets.geometry.values, dtype=object)
    if not len(lines):
        return _empty()
    xy, line = shapely.get_coordinates(lines, return_index=True)
    level = streets["level"].fillna(0).to_numpy(dtype=np.int64, copy=True)
    foreign = _foreign_nodes(streets, len(xy))
    net = noding.network(xy, line.astype(np.int64), level, foreign)
    if not len(net.line):
        return _empty()
    if foreign is None:
        net = noding.join_ends(net)
        if keep_rows is None:
            keep_rows = not merge and kept_rows.is_already_cut(net)
    if keep_rows:
        return _rows_as_segments(streets, net)
    if foreign is None:
        net, _ = meetings.snap_ends(net)
    net, met = meetings.meet(net)
    pieces = pieces_of(net)
    chains = chains_of(streets, net, pieces) if merge else unjoined(len(pieces.line))
    segments, ends = _assemble(streets, net, pieces, chains)
    crossings = _crossings(net, segments, ends)
    return Segmentation(
        segments, crossings, _crossed(streets, met), _touches([], [], [], []), False
    )


def _foreign_nodes(streets: gpd.GeoDataFrame, vertices: int) -> Ints | None:
    if "node_ids" not in streets or streets["node_ids"].isna().any():
        return None
    ids = np.concatenate([np.asarray(row, dtype=np.int64) for row in streets["node_ids"]])
    return ids if len(ids) == vertices else None


def _assemble(
    streets: gpd.GeoDataFrame,
    net: noding.Network,
    pieces: Pieces,
    chains: list[Chain],
) -> tuple[gpd.GeoDataFrame, Ints]:
    """Segments of the chains, and (S, 2) network nodes of their two ends."""
    vertices, owner = _chain_vertices(pieces, chains)
    xy = net.xy[vertices]
    step_m = _steps(xy, owner)
    length_m = np.asarray(np.bincount(owner, step_m, len(chains)), dtype=np.float64)
    lead = np.array([min(piece for piece, _ in chain) for chain in chains], dtype=np.int64)
    row = pieces.line[lead]
    starts = np.flatnonzero(np.r_[True, owner[1:] != owner[:-1]])
    stops = np.r_[starts[1:] - 1, len(owner) - 1]
    ends = np.column_stack([net.node[vertices[starts]], net.node[vertices[stops]]])
    source = streets.iloc[row].reset_index(drop=True)
    keys = streets["source_key"].to_numpy()[row]
    spoken = streets["names"].tolist()
    line_of = pieces.line.tolist()
    names = [_joined_names(spoken, {line_of[piece] for piece, _ in chain}) for chain in chains]
    frame = gpd.GeoDataFrame(
        {
            "source_key": [f"{key}:{n}" for key, n in zip(keys, pieces.ordinal[lead], strict=True)],
            "name": source["name"].to_numpy(),
            "names": names,
            "class_": source["class_"].to_numpy(),
            "oneway": source["oneway"].to_numpy(),
            "level": net.level[row],
            "form": source["form"].to_numpy(),
            **_divided_ranges(source, row, length_m),
            "from_node": ends[:, 0],
            "to_node": ends[:, 1],
            "length_m": length_m,
        },
        geometry=shapely.linestrings(xy, indices=owner),
        crs=WGS84,
    )
    return frame[list(SEGMENT_COLUMNS)], ends


def _chain_vertices(pieces: Pieces, chains: list[Chain]) -> tuple[Ints, Ints]:
    """Vertex positions of every chain in order, and the chain of each; joints are not repeated."""
    flat = [(piece, turned) for chain in chains for piece, turned in chain]
    piece = np.array([p for p, _ in flat], dtype=np.int64)
    turned = np.array([t for _, t in flat], dtype=bool)
    chain = np.repeat(np.arange(len(chains)), [len(chain) for chain in chains])
    joint = np.r_[False, chain[1:] == chain[:-1]]
    first, last = pieces.first[piece], pieces.last[piece]
    size = last - first + 1
    offset = np.repeat(np.cumsum(size) - size, size)
    within = np.arange(int(size.sum())) - offset
    whole = np.repeat(turned, size)
    vertices = np.where(whole, np.repeat(last, size) - within, np.repeat(first, size) + within)
    keep = ~(np.repeat(joint, size) & (within == 0))
    return vertices[keep], np.repeat(chain, size)[keep]


def _steps(xy: Floats, owner: Ints) -> Floats:
    """(N,) geodesic metres from each vertex to the next of its owner, 0 at the last."""
    step = np.zeros(len(xy))
    if len(xy) > 1:
        _, _, metres = GEOD.inv(xy[:-1, 0], xy[:-1, 1], xy[1:, 0], xy[1:, 1])
        step[:-1] = np.where(owner[1:] == owner[:-1], metres, 0.0)
    return step


def _joined_names(spoken: list[dict[str, str] | None], lines: set[int]) -> dict[str, str]:
    """Names by language of all the lines of a segment, the earliest line's word first."""
    joined: dict[str, str] = {}
    for line in sorted(lines):
        joined = {**(spoken[line] or {}), **joined}
    return joined


def _divided_ranges(
    source: pd.DataFrame, row: Ints, length_m: Floats
) -> dict[str, pd.arrays.IntegerArray]:
    """The range columns; lines that were cut share their ranges out by length, parity kept."""
    values: dict[str, Any] = {
        column: source[column].astype("Int64").array.copy() for column in RANGE_COLUMNS
    }
    ranged = source[list(RANGE_COLUMNS)].notna().any(axis=1).to_numpy(bool)
    _, start, count = np.unique(row, return_index=True, return_counts=True)
    for n in np.flatnonzero((count > 1) & ranged[start]):
        at = np.arange(start[n], start[n] + count[n])  # pieces of one line follow each other
        for low, high in (RANGE_COLUMNS[:2], RANGE_COLUMNS[2:]):
            begin, end = values[low][at[0]], values[high][at[0]]
            if begin is pd.NA or end is pd.NA:
                continue
            shares = divide_range(int(begin), int(end), length_m[at].tolist())
            for segment, share in zip(at, shares, strict=True):
                values[low][segment] = pd.NA if share is None else share[0]
                values[high][segment] = pd.NA if share is None else share[1]
    return values


def _crossings(net: noding.Network, segments: gpd.GeoDataFrame, ends: Ints) -> gpd.GeoDataFrame:
    """Crossings numbered by first use; rewrites from_node and to_node of the segments to them."""
    used, first, dense = np.unique(ends.reshape(-1), return_index=True, return_inverse=True)
    rank = np.empty(len(used), dtype=np.int64)
    rank[np.argsort(first, kind="stable")] = np.arange(len(used))
    dense = rank[dense.reshape(-1)].reshape(-1, 2)
    segments["from_node"], segments["to_node"] = dense[:, 0], dense[:, 1]
    place = np.zeros((len(net.origin), 2))
    place[net.node[::-1]] = net.xy[::-1]
    node = used[np.argsort(rank)]
    keys = [
        f"osm:node/{origin}" if origin >= 0 else f"at:{lon:.7f},{lat:.7f}"
        for origin, (lon, lat) in zip(net.origin[node].tolist(), place[node].tolist(), strict=True)
    ]
    return gpd.GeoDataFrame(
        {"source_key": keys}, geometry=shapely.points(place[node]), crs=WGS84
    ).rename_axis("node")


def _rows_as_segments(streets: gpd.GeoDataFrame, net: noding.Network) -> Segmentation:
    """Each row one segment; flyovers get levels apart, ends inside a row are listed as touches."""
    pieces = whole_lines(net)
    met = kept_rows.lift_flyovers(net)
    segments, ends = _assemble(streets, net, pieces, unjoined(len(pieces.line)))
    vertex, edge = kept_rows.ends_inside(net)
    crossings = _crossings(net, segments, ends)
    number = np.full(len(net.origin), -1, dtype=np.int64)
    number[ends.reshape(-1)] = segments[["from_node", "to_node"]].to_numpy().reshape(-1)
    points = shapely.points(net.xy[vertex])
    segment = np.searchsorted(pieces.line, net.line[edge])
    share = shapely.line_locate_point(segments.geometry.values[segment], points, normalized=True)
    along_m = share * segments["length_m"].to_numpy()[segment]
    touches = _touches(segment, number[net.node[vertex]], along_m, points)
    return Segmentation(segments, crossings, _crossed(streets, met), touches, True)


def _crossed(streets: gpd.GeoDataFrame, met: meetings.Meetings) -> gpd.GeoDataFrame:
    keys = streets["source_key"].to_numpy()
    return gpd.GeoDataFrame(
        {
            "first": keys[np.asarray(met.first, dtype=np.int64)],
            "second": keys[np.asarray(met.second, dtype=np.int64)],
            "level": np.asarray(met.level, dtype=np.int64),
            "resolution": met.resolution,
        },
        geometry=shapely.points(np.asarray(met.xy, dtype=np.float64).reshape(-1, 2)),
        crs=WGS84,
    )


def _touches(segment: Any, node: Any, along_m: Any, points: Any) -> gpd.GeoDataFrame:
    return gpd.GeoDataFrame(
        {
            "segment": np.asarray(segment, dtype=np.int64),
            "node": np.asarray(node, dtype=np.int64),
            "along_m": np.asarray(along_m, dtype=np.float64),
        },
        geometry=np.asarray(points, dtype=object),
        crs=WGS84,
    )


def _empty() -> Segmentation:
    columns: dict[str, list[object]] = {
        column: [] for column in SEGMENT_COLUMNS if column != "geometry"
    }
    crossings = gpd.GeoDataFrame({"source_key": []}, geometry=[], crs=WGS84).rename_axis("node")
    crossed: dict[str, list[object]] = {"first": [], "second": [], "level": [], "resolution": []}
    return Segmentation(
        gpd.GeoDataFrame(columns, geometry=[], crs=WGS84),
        crossings,
        gpd.GeoDataFrame(crossed, geometry=[], crs=WGS84),
        _touches([], [], [], []),
        False,
    )
