"""Places where lines of one level touch or cross without sharing a node, and how each is mended.

`meet` inserts the common node into both lines or, off the ground, moves one line a level away.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import shapely
from numpy.typing import NDArray

from grid.noding import SNAP_M, Network, united, without_repeats

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

TOUCH_M = 0.001
"""Below this a vertex lies on a line; a millimetre is far above rounding and far below any survey."""
_SNAP_ROUNDS = 4
_ROUNDS = 12


@dataclass(slots=True)
class Meetings:
    """What `meet` found and did; one entry per place. resolution: "cut" or "levels_apart"."""

    first: list[int] = field(default_factory=list)
    second: list[int] = field(default_factory=list)
    level: list[int] = field(default_factory=list)
    resolution: list[str] = field(default_factory=list)
    xy: list[tuple[float, float]] = field(default_factory=list)

    def add(self, first: int, second: int, level: int, resolution: str, xy: Floats) -> None:
        self.first.append(first)
        self.second.append(second)
        self.level.append(level)
        self.resolution.append(resolution)
        self.xy.append((float(xy[0]), float(xy[1])))


@dataclass(slots=True)
class Findings:
    """Meetings without a common node. Parallel arrays: edge_a, edge_b (first vertex of each edge),
    xy (lon/lat of the place), t_a, t_b (position on each edge, 0..1), touch (the vertex that lies on
    the other line, -1 at a true crossing), touched (the edge it lies on)."""

    edge_a: Ints
    edge_b: Ints
    xy: Floats
    touch: Ints
    touched: Ints
    t: Floats


def loose_ends(net: Network) -> tuple[Ints, Ints]:
    """Ends that lie within SNAP_M of the inside of another line of their level without a common node.

    Returns (vertex, edge): the end, and the first vertex of the nearest edge; one per end and line.
    """
    metres = net.metres()
    edge = np.flatnonzero(net.line[1:] == net.line[:-1])
    end = np.flatnonzero(net.is_end())
    tree = shapely.STRtree(_edge_lines(metres, edge))
    which, hit = tree.query(shapely.points(metres[end]), predicate="dwithin", distance=SNAP_M)
    vertex, on = end[which], edge[hit]
    keep = net.line[vertex] != net.line[on]
    keep &= net.level[net.line[vertex]] == net.level[net.line[on]]
    vertex, on = vertex[keep], on[keep]
    known = net.node * (len(net.level) + 1) + net.line
    asked = net.node[vertex] * (len(net.level) + 1) + net.line[on]
    keep = ~np.isin(asked, known)
    vertex, on = vertex[keep], on[keep]
    away_m, _ = _distance_to_edges(metres[vertex], metres[on], metres[on + 1])
    order = np.lexsort((on, away_m, net.line[on], vertex))
    vertex, on = vertex[order], on[order]
    first = np.ones(len(vertex), dtype=bool)
    first[1:] = (vertex[1:] != vertex[:-1]) | (net.line[on[1:]] != net.line[on[:-1]])
    return vertex[first], on[first]


def snap_ends(net: Network) -> tuple[Network, int]:
    """Each loose end becomes a node of the line it lies on; returns the network and how many."""
    vertex, edge = loose_ends(net)
    if not len(vertex):
        return net, 0
    metres = net.metres()
    _, t = _distance_to_edges(metres[vertex], metres[edge], metres[edge + 1])
    return _mended(net, metres, vertex, edge, t, SNAP_M), len(vertex)


def find(net: Network, active: Bools) -> Findings:
    """Pairs of edges of one level that touch or cross without a common node, at least one of them on
    an active line (active: (L,))."""
    metres = net.metres()
    edge = np.flatnonzero(net.line[1:] == net.line[:-1])
    lines = _edge_lines(metres, edge)
    asked = np.flatnonzero(active[net.line[edge]])
    which, hit = shapely.STRtree(lines).query(lines[asked])
    which = asked[which]
    both = active[net.line[edge[which]]] & active[net.line[edge[hit]]]
    keep = ~both | (which < hit)
    i, j = edge[which[keep]], edge[hit[keep]]
    i, j = np.minimum(i, j), np.maximum(i, j)
    keep = net.level[net.line[i]] == net.level[net.line[j]]
    for end_i in (i, i + 1):
        for end_j in (j, j + 1):
            keep &= net.node[end_i] != net.node[end_j]
    i, j = i[keep], j[keep]
    a, b, c, d = metres[i], metres[i + 1], metres[j], metres[j + 1]
    away = np.column_stack(
        [
            _distance_to_edges(a, c, d)[0],
            _distance_to_edges(b, c, d)[0],
            _distance_to_edges(c, a, b)[0],
            _distance_to_edges(d, a, b)[0],
        ]
    )
    vertices = np.column_stack([i, i + 1, j, j + 1])
    # An end is named before an inner vertex: where an end lies on a line, the line is what is cut.
    rank = np.where(away <= TOUCH_M, np.where(net.is_end()[vertices], 0.0, 1.0) + away, np.inf)
    best = np.argmin(rank, axis=1) if len(i) else np.zeros(0, dtype=np.int64)
    row = np.arange(len(i))
    touches = np.isfinite(rank[row, best])
    touch = np.where(touches, vertices[row, best], -1)
    touched = np.where(best < 2, j, i)
    crosses = (_turn(a, b, c) * _turn(a, b, d) < 0) & (_turn(c, d, a) * _turn(c, d, b) < 0)
    keep = touches | crosses
    i, j, touch, touched = i[keep], j[keep], touch[keep], touched[keep]
    a, b, c, d = a[keep], b[keep], c[keep], d[keep]
    with np.errstate(divide="ignore", invalid="ignore"):
        t = _turn(c, d, a) / (_turn(c, d, a) - _turn(c, d, b))
    place = net.xy[i] + np.where(touch >= 0, 0.0, t)[:, None] * (net.xy[i + 1] - net.xy[i])
    place = np.where((touch >= 0)[:, None], net.xy[touch], place)
    return Findings(i, j, place, touch, touched, t)


def meet(net: Network) -> tuple[Network, Meetings]:
    """Mend every meeting without a common node; returns the mended network and what was found.

    Rule. An end that lies on another line of its level meets it there. Two lines of level 0 that
    cross meet: both get a node. Two different lines of one level other than 0 are both on bridges or
    both in tunnels and pass each other: the later one is moved a level further from the ground. A
    line that crosses itself is cut on any level. A crossing within SNAP_M of an end or a crossing of
    either line is taken to be at that end, so that no stub of a few centimetres is left.
    """
    done = Meetings()
    active = np.ones(len(net.level), dtype=bool)
    for turn in range(_ROUNDS):
        found = find(net, active)
        if not len(found.edge_a):
            break
        line_a, line_b = net.line[found.edge_a], net.line[found.edge_b]
        level = net.level[line_a]
        ends_there = (found.touch >= 0) & net.is_end()[found.touch]
        cut = (level == 0) | (line_a == line_b) | ends_there
        seen: set[tuple[int, int, float, float]] = set()
        for k in range(len(level)):
            place = (int(line_a[k]), int(line_b[k]), *np.round(found.xy[k], 7).tolist())
            if place not in seen and not ends_there[k]:
                seen.add(place)
                resolution = "cut" if cut[k] else "levels_apart"
                done.add(place[0], place[1], int(level[k]), resolution, found.xy[k])
        active = np.zeros(len(net.level), dtype=bool)
        active[line_a] = active[line_b] = True
        lift(net, np.maximum(line_a, line_b)[~cut], np.minimum(line_a, line_b)[~cut])
        if cut.any():
            net = _cut_there(net, found, cut, SNAP_M if turn < _SNAP_ROUNDS else 0.0)
    return net, done


def lift(net: Network, line: Ints, other: Ints) -> None:
    """Move each line one level further from the ground than the other, where they still share one."""
    for moved, kept in zip(line.tolist(), other.tolist(), strict=True):
        if net.level[moved] == net.level[kept]:
            net.level[moved] += 1 if net.level[moved] >= 0 else -1


def _cut_there(net: Network, found: Findings, cut: Bools, snap_m: float) -> Network:
    metres = net.metres()
    edge_a, edge_b, touch, touched = (
        column[cut] for column in (found.edge_a, found.edge_b, found.touch, found.touched)
    )
    place = found.xy[cut]
    at = metres[edge_a] + found.t[cut][:, None] * (metres[edge_a + 1] - metres[edge_a])
    special = net.is_end() | (net.degree()[net.node] > 2)
    # A crossing near an end or a crossing of either line becomes a touch of that vertex.
    if snap_m:
        near = np.column_stack([edge_a, edge_a + 1, edge_b, edge_b + 1])
        away = np.hypot(*np.moveaxis(metres[near] - at[:, None, :], -1, 0))
        away = np.where(special[near] & (away <= snap_m), away, np.inf)
        best = np.argmin(away, axis=1)
        row = np.arange(len(edge_a))
        snapped = (touch < 0) & np.isfinite(away[row, best])
        touch = np.where(snapped, near[row, best], touch)
        touched = np.where(snapped, np.where(best < 2, edge_b, edge_a), touched)
    on = touch >= 0
    vertex, edge = touch[on], touched[on]
    _, t = _distance_to_edges(metres[vertex], metres[edge], metres[edge + 1])
    new_node = len(net.origin) + np.arange(int((~on).sum()))
    _, t_b = _distance_to_edges(at[~on], metres[edge_b[~on]], metres[edge_b[~on] + 1])
    extra = (
        np.r_[edge_a[~on], edge_b[~on]],
        np.r_[found.t[cut][~on], t_b],
        np.r_[new_node, new_node],
        np.r_[place[~on], place[~on]],
    )
    net.origin = np.r_[net.origin, np.full(len(new_node), -1, dtype=np.int64)]
    return _mended(net, metres, vertex, edge, t, max(TOUCH_M, snap_m), extra)


def _mended(
    net: Network,
    metres: Floats,
    vertex: Ints,
    edge: Ints,
    t: Floats,
    unite_m: float,
    extra: tuple[Ints, Floats, Ints, Floats] | None = None,
) -> Network:
    """Put each vertex's node onto its edge: united with a vertex of the edge within unite_m if that is
    an end or a crossing (or within TOUCH_M if plain), else inserted at t; plus the extra insertions."""
    special = net.is_end() | (net.degree()[net.node] > 2)
    ends = np.column_stack([edge, edge + 1])
    away = np.hypot(*np.moveaxis(metres[ends] - metres[vertex][:, None, :], -1, 0))
    near = np.where(special[ends], away <= unite_m, away <= TOUCH_M)
    away = np.where(near, away, np.inf)
    best = np.argmin(away, axis=1)
    row = np.arange(len(edge))
    unite = np.isfinite(away[row, best]) if len(edge) else np.zeros(0, dtype=bool)
    mate = ends[row, best] if len(edge) else edge
    where, at = edge[~unite], t[~unite]
    nodes, xy = net.node[vertex[~unite]], net.xy[vertex[~unite]]
    if extra is not None:
        where, at = np.r_[where, extra[0]], np.r_[at, extra[1]]
        nodes, xy = np.r_[nodes, extra[2]], np.r_[xy, extra[3]]
    pairs = net.node[vertex[unite]], net.node[mate[unite]]
    order = np.lexsort((nodes, at, where))
    where, nodes, xy = where[order] + 1, nodes[order], xy[order]
    grown = Network(
        np.insert(net.xy, where, xy, axis=0),
        np.insert(net.line, where, net.line[where - 1]),
        np.insert(net.node, where, nodes),
        net.level,
        net.origin,
    )
    return united(grown, *pairs) if len(pairs[0]) else without_repeats(grown)


def _edge_lines(metres: Floats, edge: Ints) -> NDArray[np.object_]:
    return np.asarray(shapely.linestrings(np.stack([metres[edge], metres[edge + 1]], axis=1)))


def _turn(a: Floats, b: Floats, c: Floats) -> Floats:
    """Twice the signed area of the triangle a, b, c: positive where c is left of a -> b."""
    return np.asarray(
        (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    )


def _distance_to_edges(point: Floats, a: Floats, b: Floats) -> tuple[Floats, Floats]:
    """Metres from each point to its edge a-b, and where on the edge the foot lies (0..1)."""
    along = b - a
    squared = np.maximum((along**2).sum(axis=1), 1e-18)
    t = np.clip(((point - a) * along).sum(axis=1) / squared, 0.0, 1.0)
    foot = a + t[:, None] * along
    return np.hypot(*(point - foot).T), t
