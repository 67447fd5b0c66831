"""Where lines meet: street lines as flat vertex arrays, and the search for meetings that share no vertex.

A `Network` holds every vertex of every line in one array. Two lines meet where they share a node.
`meet` finds the places where lines of one level touch or cross without sharing one, and mends them:
it inserts the common node into both, or, off the ground, moves one line a level away.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

SNAP_M = 0.3
"""An end this near to another line is meant to lie on it; drawings by hand are rarely nearer."""
TOUCH_M = 0.001
"""Below this a vertex lies on a line; a millimetre is far above rounding and far below any survey."""
_METRES_PER_DEGREE = 111_319.49
_SNAP_ROUNDS = 4
_ROUNDS = 12


@dataclass(slots=True)
class Network:
    """Lines as flat arrays. xy: (N, 2) lon/lat; line: (N,) line of each vertex, ascending; node: (N,)
    node of each vertex; level: (L,) level of each line; origin: (M,) foreign id of each node, -1 if none."""

    xy: Floats
    line: Ints
    node: Ints
    level: Ints
    origin: Ints

    def metres(self) -> Floats:
        """Vertices in metres on a flat sheet about the middle latitude: good for tolerances, affine."""
        middle = float(np.median(self.xy[:, 1])) if len(self.xy) else 0.0
        scale = np.array([np.cos(np.radians(middle)), 1.0]) * _METRES_PER_DEGREE
        origin = self.xy.mean(axis=0) if len(self.xy) else np.zeros(2)
        return np.asarray((self.xy - origin) * scale)

    def is_end(self) -> Bools:
        """(N,) True at the first and last vertex of a line."""
        first = np.ones(len(self.line), dtype=bool)
        first[1:] = self.line[1:] != self.line[:-1]
        last = np.ones(len(self.line), dtype=bool)
        last[:-1] = first[1:]
        return first | last

    def degree(self) -> Ints:
        """(M,) how many line arms leave each node: an end counts one, an inner vertex two."""
        arms = np.where(self.is_end(), 1, 2)
        return np.bincount(self.node, weights=arms, minlength=len(self.origin)).astype(np.int64)


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


def network(xy: Floats, line: Ints, level: Ints, foreign_nodes: Ints | None) -> Network:
    """Nodes from foreign ids where given, else from places: coordinates rounded to 1e-7 degrees (1 cm).

    Without foreign ids two inner vertices of different levels at one place are no common node (a road
    drawn with a vertex under a bridge); an end at that place joins them all.
    """
    if foreign_nodes is not None:
        origin, node = np.unique(foreign_nodes, return_inverse=True)
        return _without_repeats(Network(xy, line, node.astype(np.int64), level, origin))
    place = np.round(xy * 1e7).astype(np.int64)
    _, spot = np.unique(place, axis=0, return_inverse=True)
    spot = spot.reshape(-1).astype(np.int64)
    bare = Network(
        xy, line, spot, level, np.full(int(spot.max(initial=-1)) + 1, -1, dtype=np.int64)
    )
    ended = np.zeros(len(bare.origin), dtype=bool)
    ended[spot[bare.is_end()]] = True
    by_level = np.where(ended[spot], 0, level[line] + 1000)
    _, node = np.unique(np.column_stack([spot, by_level]), axis=0, return_inverse=True)
    node = node.reshape(-1).astype(np.int64)
    xy = _one_place_per_node(xy, node)
    origin = np.full(int(node.max(initial=-1)) + 1, -1, dtype=np.int64)
    return _without_repeats(Network(xy, line, node, level, origin))


def join_ends(net: Network) -> Network:
    """Ends of different lines within SNAP_M of each other become one node, nearest pairs first.

    Lines shorter than twice SNAP_M keep their ends, so that none collapses.
    """
    metres = net.metres()
    end = np.flatnonzero(net.is_end())
    starts = np.flatnonzero(np.r_[True, net.line[1:] != net.line[:-1]])
    step = np.r_[np.hypot(*(metres[1:] - metres[:-1]).T), 0.0]
    step[np.r_[starts[1:] - 1, len(net.line) - 1]] = 0.0
    long_enough = np.add.reduceat(step, starts) > 2 * SNAP_M
    end = end[long_enough[net.line[end]]]
    pairs = cKDTree(metres[end]).query_pairs(SNAP_M, output_type="ndarray")
    a, b = end[pairs[:, 0]], end[pairs[:, 1]]
    differ = (net.node[a] != net.node[b]) & (net.line[a] != net.line[b])
    if not differ.any():
        return net
    return _united(net, net.node[a[differ]], net.node[b[differ]])


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
    on_line = np.unique(np.column_stack([net.node, net.line]), axis=0)
    known = on_line[:, 0] * (len(net.level) + 1) + on_line[:, 1]
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
    return _united(grown, *pairs) if len(pairs[0]) else _without_repeats(grown)


def _united(net: Network, a: Ints, b: Ints) -> Network:
    """Make one node of each pair; it lies where the lowest-numbered of its group lay."""
    size = len(net.origin)
    graph = coo_array((np.ones(len(a), dtype=np.int8), (a, b)), shape=(size, size))
    _, group = connected_components(graph, directed=False)
    lowest = np.full(int(group.max()) + 1, size, dtype=np.int64)
    np.minimum.at(lowest, group, np.arange(size))
    node = lowest[group][net.node]
    changed = np.flatnonzero(node != net.node)
    xy = net.xy.copy()
    place = np.zeros((size, 2))
    place[net.node[::-1]] = net.xy[::-1]
    xy[changed] = place[node[changed]]
    return _without_repeats(Network(xy, net.line, node, net.level, net.origin))


def _one_place_per_node(xy: Floats, node: Ints) -> Floats:
    place = np.zeros((int(node.max(initial=-1)) + 1, 2))
    place[node[::-1]] = xy[::-1]
    return place[node]


def _without_repeats(net: Network) -> Network:
    """Drop a vertex that repeats the node before it on its line, and a line of which only a dot is left."""
    keep = np.ones(len(net.line), dtype=bool)
    keep[1:] = (net.node[1:] != net.node[:-1]) | (net.line[1:] != net.line[:-1])
    left = np.bincount(net.line[keep], minlength=len(net.level))
    keep &= left[net.line] > 1
    if keep.all():
        return net
    return Network(net.xy[keep], net.line[keep], net.node[keep], net.level, net.origin)


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
