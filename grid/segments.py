"""Streets cut into segments: from crossing to crossing, each with its ends, length and house-number ranges.

Where lines meet is found in `grid.noding`; this file cuts there, joins what no crossing parts, and
gives every segment a key that stays the same as long as the source does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from grid import noding
from grid.core.crs import GEOD, WGS84
from grid.house_numbers import divide_range
from grid.sources.base import RANGE_COLUMNS

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

ALREADY_CUT_SHARE = 0.01
"""A file in which fewer meeting places than this lie inside a row is taken as cut already."""

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


@dataclass(slots=True)
class _Pieces:
    """Runs of vertices between two cuts. first, last: vertex positions; line: line of each; ordinal:
    position of the piece on its line."""

    first: Ints
    last: Ints
    line: Ints
    ordinal: Ints


def cut(
    streets: gpd.GeoDataFrame, merge: bool = True, keep_rows: bool | None = None
) -> Segmentation:
    """Cut street lines (ground frame "street lines", EPSG:4326) at every place where they really meet.

    Lines meet at shared OSM nodes where `node_ids` is filled, else at shared vertices (1e-7 degrees)
    and where an end lies within 0.3 m of another line of its level. Lines of level 0 that cross
    without a node meet all the same; off the ground they pass (`noding.meet`).
    merge: join two lines of equal name, class, form, one-way and level where only they meet; lines
    with house-number ranges are never joined.
    keep_rows: True keeps each row as one segment (a file whose rows run from crossing to crossing);
    None decides by ALREADY_CUT_SHARE for files without node ids when merge is False. In kept rows a
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
    if foreign is None:
        net = noding.join_ends(net)
        if keep_rows is None:
            keep_rows = not merge and _is_already_cut(net)
    if keep_rows:
        return _rows_as_segments(streets, net)
    if foreign is None:
        net, _ = noding.snap_ends(net)
    net, meetings = noding.meet(net)
    pieces = _pieces(net)
    chains = _chains(streets, net, pieces) if merge else _single(len(pieces.line))
    segments, ends = _assemble(streets, net, pieces, chains)
    crossings = _crossings(net, segments, ends)
    return Segmentation(
        segments, crossings, _crossed(streets, meetings), _touches([], [], [], []), False
    )


def _foreign_nodes(streets: gpd.GeoDataFrame, vertices: int) -> Ints | None:
    if "node_ids" not in streets or streets["node_ids"].isna().any():
        return None
    ids = np.concatenate([np.asarray(row, dtype=np.int64) for row in streets["node_ids"]])
    return ids if len(ids) == vertices else None


def _is_already_cut(net: noding.Network) -> bool:
    degree = net.degree()
    inner = ~net.is_end() & (degree[net.node] > 2)
    crossed = noding.find(net, np.ones(len(net.level), dtype=bool))
    inside = int(inner.sum()) + len(noding.loose_ends(net)[0]) + len(crossed.edge_a)
    return inside < ALREADY_CUT_SHARE * max(int((degree > 2).sum()), 1)


def _pieces(net: noding.Network) -> _Pieces:
    is_cut = net.is_end() | (net.degree()[net.node] > 2)
    at = np.flatnonzero(is_cut)
    same = net.line[at[1:]] == net.line[at[:-1]]
    first, last = at[:-1][same], at[1:][same]
    line = net.line[first]
    fresh = np.r_[True, line[1:] != line[:-1]]
    count = np.arange(len(line))
    return _Pieces(first, last, line, count - np.maximum.accumulate(np.where(fresh, count, 0)))


def _single(size: int) -> list[list[tuple[int, bool]]]:
    return [[(piece, False)] for piece in range(size)]


def _chains(
    streets: gpd.GeoDataFrame, net: noding.Network, pieces: _Pieces
) -> list[list[tuple[int, bool]]]:
    """Pieces to be joined, in order, each with True where it runs against the chain's direction.

    A chain runs the way its earliest piece runs; chains are ordered by their earliest piece.
    """
    count = len(pieces.line)
    node = np.r_[net.node[pieces.first], net.node[pieces.last]]
    arm_piece, arm_side = np.r_[np.arange(count), np.arange(count)], np.repeat([0, 1], count)
    order = np.argsort(node, kind="stable")
    two = np.bincount(node, minlength=len(net.origin))[node[order]] == 2
    arms = order[two].reshape(-1, 2)
    p, q = arm_piece[arms[:, 0]], arm_piece[arms[:, 1]]
    facing = arm_side[arms[:, 0]] == arm_side[arms[:, 1]]
    kind, oneway, ranged = _traits(streets, net.level)
    way_p, way_q = oneway[pieces.line[p]], oneway[pieces.line[q]]
    fit = (p != q) & (kind[pieces.line[p]] == kind[pieces.line[q]])
    fit &= np.where(facing, way_p == -way_q, way_p == way_q)
    fit &= ~(ranged[pieces.line[p]] | ranged[pieces.line[q]])
    mates: dict[int, list[tuple[int, int, bool]]] = {}
    for a, b, side_a, side_b in zip(
        p[fit].tolist(),
        q[fit].tolist(),
        arm_side[arms[fit, 0]].tolist(),
        arm_side[arms[fit, 1]].tolist(),
        strict=True,
    ):
        mates.setdefault(a, []).append((side_a, b, bool(side_b)))
        mates.setdefault(b, []).append((side_b, a, bool(side_a)))
    chains: list[list[tuple[int, bool]]] = []
    used = np.zeros(count, dtype=bool)
    for piece in range(count):
        if used[piece]:
            continue
        used[piece] = True
        chain = [(piece, False)]
        if piece in mates:
            chain += _walk(mates, used, piece, 1)
            before = _walk(mates, used, piece, 0)
            chain = [(other, not turned) for other, turned in reversed(before)] + chain
        chains.append(chain)
    return chains


def _walk(
    mates: dict[int, list[tuple[int, int, bool]]], used: NDArray[np.bool_], piece: int, side: int
) -> list[tuple[int, bool]]:
    """The pieces met on leaving `piece` by its side (0 start, 1 end); True where entered by its end."""
    met: list[tuple[int, bool]] = []
    while True:
        ahead = [(other, turned) for at, other, turned in mates.get(piece, []) if at == side]
        if not ahead or used[ahead[0][0]]:
            return met
        piece, turned = ahead[0]
        used[piece] = True
        met.append((piece, turned))
        side = 0 if turned else 1


def _traits(streets: gpd.GeoDataFrame, level: Ints) -> tuple[Ints, Ints, NDArray[np.bool_]]:
    """Per line: a code of (name, class, form, level), the one-way sense (1, -1, 0), has ranges."""
    columns = pd.DataFrame(
        {
            "name": streets["name"]
            .astype("object")
            .where(streets["name"].notna(), None)
            .to_numpy(),
            "class_": streets["class_"].to_numpy(),
            "form": streets["form"].to_numpy(),
            "level": level,
        }
    )
    kind = np.asarray(columns.groupby(list(columns), dropna=False, sort=False).ngroup(), np.int64)
    oneway = streets["oneway"].map({"forward": 1, "backward": -1}).fillna(0).to_numpy(np.int64)
    ranged = streets[list(RANGE_COLUMNS)].notna().any(axis=1).to_numpy(bool)
    return kind, oneway, ranged


def _assemble(
    streets: gpd.GeoDataFrame,
    net: noding.Network,
    pieces: _Pieces,
    chains: list[list[tuple[int, bool]]],
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
    names = [_joined_names(streets, pieces, chain) for chain in chains]
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


def _chain_vertices(pieces: _Pieces, chains: list[list[tuple[int, bool]]]) -> tuple[Ints, Ints]:
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


def _joined_names(
    streets: gpd.GeoDataFrame, pieces: _Pieces, chain: list[tuple[int, bool]]
) -> dict[str, str]:
    column = streets.columns.get_loc("names")
    joined: dict[str, str] = {}
    for line in sorted({int(pieces.line[piece]) for piece, _ in chain}):
        for language, name in (streets.iat[line, column] or {}).items():
            joined.setdefault(language, name)
    return joined


def _divided_ranges(
    source: pd.DataFrame, row: Ints, length_m: Floats
) -> dict[str, pd.arrays.IntegerArray]:
    """The range columns; lines that were cut share their ranges out by length, parity kept."""
    values: dict[str, Any] = {
        column: source[column].astype("Int64").array.copy() for column in RANGE_COLUMNS
    }
    ranged = source[list(RANGE_COLUMNS)].notna().any(axis=1).to_numpy(bool)
    cut_rows = np.flatnonzero(np.bincount(row, minlength=int(row.max(initial=0)) + 1) > 1)
    for line in np.intersect1d(cut_rows, np.unique(row[ranged])):
        at = np.flatnonzero(row == line)
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
    at = np.flatnonzero(net.is_end())
    pieces = _Pieces(at[::2], at[1::2], net.line[at[::2]], np.zeros(len(at) // 2, dtype=np.int64))
    meetings = _lift_flyovers(net)
    segments, ends = _assemble(streets, net, pieces, _single(len(pieces.line)))
    vertex, edge = noding.loose_ends(net)
    shared_vertex, shared_edge = _ends_on_inner_vertices(net)
    vertex, edge = np.r_[vertex, shared_vertex], np.r_[edge, shared_edge]
    segment_of = np.full(len(net.level), -1, dtype=np.int64)
    segment_of[pieces.line] = np.arange(len(pieces.line))
    crossings = _crossings(net, segments, ends)
    number = np.full(len(net.origin), -1, dtype=np.int64)
    number[ends.reshape(-1)] = segments[["from_node", "to_node"]].to_numpy().reshape(-1)
    points = shapely.points(net.xy[vertex])
    segment = segment_of[net.line[edge]]
    share = shapely.line_locate_point(segments.geometry.values[segment], points, normalized=True)
    along_m = share * segments["length_m"].to_numpy()[segment]
    touches = _touches(segment, number[net.node[vertex]], along_m, points)
    return Segmentation(segments, crossings, _crossed(streets, meetings), touches, True)


def _lift_flyovers(net: noding.Network) -> noding.Meetings:
    """Rows of one level that cross: the shorter is moved up, as a bridge is shorter than its road."""
    metres = net.metres()
    step = np.r_[np.hypot(*(metres[1:] - metres[:-1]).T), 0.0]
    step[:-1][net.line[1:] != net.line[:-1]] = 0.0
    length = np.bincount(net.line, weights=step, minlength=len(net.level))
    done = noding.Meetings()
    active = np.ones(len(net.level), dtype=bool)
    while active.any():
        found = noding.find(net, active)
        ended = (found.touch >= 0) & net.is_end()[found.touch]
        a, b = net.line[found.edge_a][~ended], net.line[found.edge_b][~ended]
        xy = found.xy[~ended]
        other = a != b
        a, b, xy = a[other], b[other], xy[other]
        shared = _shared_inner(net)
        a, b, xy = np.r_[a, shared[0]], np.r_[b, shared[1]], np.r_[xy, shared[2]]
        active = np.zeros(len(net.level), dtype=bool)
        for k, (one, two) in enumerate(zip(a.tolist(), b.tolist(), strict=True)):
            done.add(one, two, int(net.level[one]), "levels_apart", xy[k])
            short, long = (one, two) if length[one] < length[two] else (two, one)
            noding.lift(net, np.array([short]), np.array([long]))
            active[short] = True
    return done


def _shared_inner(net: noding.Network) -> tuple[Ints, Ints, Floats]:
    """Pairs of lines of one level that share a node inside both of them."""
    inner = np.flatnonzero(~net.is_end() & (net.degree()[net.node] > 2))
    inner = inner[np.argsort(net.node[inner], kind="stable")]
    a, b = inner[:-1], inner[1:]
    same = (net.node[a] == net.node[b]) & (net.line[a] != net.line[b])
    same &= net.level[net.line[a]] == net.level[net.line[b]]
    return net.line[a[same]], net.line[b[same]], net.xy[a[same]]


def _ends_on_inner_vertices(net: noding.Network) -> tuple[Ints, Ints]:
    """(end vertex, inner vertex) pairs that share a node: an end drawn to a vertex inside a row."""
    is_end = net.is_end()
    inner = np.flatnonzero(~is_end & (net.degree()[net.node] > 2))
    end_of = np.full(len(net.origin), -1, dtype=np.int64)
    end_of[net.node[is_end]] = np.flatnonzero(is_end)
    vertex = end_of[net.node[inner]]
    return vertex[vertex >= 0], inner[vertex >= 0]


def _crossed(streets: gpd.GeoDataFrame, meetings: noding.Meetings) -> gpd.GeoDataFrame:
    keys = streets["source_key"].to_numpy()
    return gpd.GeoDataFrame(
        {
            "first": keys[np.asarray(meetings.first, dtype=np.int64)],
            "second": keys[np.asarray(meetings.second, dtype=np.int64)],
            "level": np.asarray(meetings.level, dtype=np.int64),
            "resolution": meetings.resolution,
        },
        geometry=shapely.points(np.asarray(meetings.xy, dtype=np.float64).reshape(-1, 2)),
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
