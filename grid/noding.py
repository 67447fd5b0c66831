"""Street lines as flat vertex arrays: two lines meet where they share a node."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

SNAP_M = 0.3
"""An end this near to another line is meant to lie on it; drawings by hand are rarely nearer."""
_METRES_PER_DEGREE = 111_319.49


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


def network(xy: Floats, line: Ints, level: Ints, foreign_nodes: Ints | None) -> Network:
    """Nodes from foreign ids where given, else from places: coordinates rounded to 1e-7 degrees (1 cm).

    Without foreign ids two inner vertices of different levels at one place are no common node (a road
    drawn with a vertex under a bridge); an end at that place joins them all.
    """
    if foreign_nodes is not None:
        origin, node = np.unique(foreign_nodes, return_inverse=True)
        return without_repeats(Network(xy, line, node.astype(np.int64), level, origin))
    east, north = np.round(xy * 1e7).astype(np.int64).T
    # Longitude and latitude in one whole number: 32 and 31 bits.
    _, spot = np.unique(((east + 1_800_000_000) << 31) + north + 900_000_000, return_inverse=True)
    spot = spot.astype(np.int64)
    bare = Network(
        xy, line, spot, level, np.full(int(spot.max(initial=-1)) + 1, -1, dtype=np.int64)
    )
    ended = np.zeros(len(bare.origin), dtype=bool)
    ended[spot[bare.is_end()]] = True
    by_level = np.where(ended[spot], 0, level[line] + 1000)
    _, node = np.unique(spot * 10_000 + by_level, return_inverse=True)
    node = node.astype(np.int64)
    xy = _one_place_per_node(xy, node)
    origin = np.full(int(node.max(initial=-1)) + 1, -1, dtype=np.int64)
    return without_repeats(Network(xy, line, node, level, origin))


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
    return united(net, net.node[a[differ]], net.node[b[differ]])


def united(net: Network, a: Ints, b: Ints) -> Network:
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
    return without_repeats(Network(xy, net.line, node, net.level, net.origin))


def _one_place_per_node(xy: Floats, node: Ints) -> Floats:
    place = np.zeros((int(node.max(initial=-1)) + 1, 2))
    place[node[::-1]] = xy[::-1]
    return place[node]


def without_repeats(net: Network) -> Network:
    """Drop a vertex that repeats the node before it on its line, and a line of which only a dot is left."""
    keep = np.ones(len(net.line), dtype=bool)
    keep[1:] = (net.node[1:] != net.node[:-1]) | (net.line[1:] != net.line[:-1])
    left = np.bincount(net.line[keep], minlength=len(net.level))
    keep &= left[net.line] > 1
    if keep.all():
        return net
    return Network(net.xy[keep], net.line[keep], net.node[keep], net.level, net.origin)
