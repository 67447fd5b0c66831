"""Files whose rows run from crossing to crossing already: how they are told, and their flyovers and T-junctions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from grid.meetings import Meetings, find, lift, loose_ends
from grid.noding import Network

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

ALREADY_CUT_SHARE = 0.01
"""A file in which fewer meeting places than this lie inside a row is taken as cut already."""


def is_already_cut(net: Network) -> bool:
    """True where fewer than ALREADY_CUT_SHARE of the meeting places lie inside a row."""
    degree = net.degree()
    inner = ~net.is_end() & (degree[net.node] > 2)
    allowed = ALREADY_CUT_SHARE * max(int((degree > 2).sum()), 1)
    inside = int(inner.sum())
    if inside < allowed:
        inside += len(loose_ends(net)[0])
        inside += len(find(net, np.ones(len(net.level), dtype=bool)).edge_a)
    return inside < allowed


def lift_flyovers(net: Network) -> Meetings:
    """Rows of one level that cross: the shorter is moved up, as a bridge is shorter than its road."""
    metres = net.metres()
    step = np.r_[np.hypot(*(metres[1:] - metres[:-1]).T), 0.0]
    step[:-1][net.line[1:] != net.line[:-1]] = 0.0
    length = np.bincount(net.line, weights=step, minlength=len(net.level))
    done = Meetings()
    active = np.ones(len(net.level), dtype=bool)
    while active.any():
        found = find(net, active)
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
            lift(net, np.array([short]), np.array([long]))
            active[short] = True
    return done


def _shared_inner(net: Network) -> tuple[Ints, Ints, Floats]:
    """Pairs of lines of one level that share a node inside both of them."""
    inner = np.flatnonzero(~net.is_end() & (net.degree()[net.node] > 2))
    inner = inner[np.argsort(net.node[inner], kind="stable")]
    a, b = inner[:-1], inner[1:]
    same = (net.node[a] == net.node[b]) & (net.line[a] != net.line[b])
    same &= net.level[net.line[a]] == net.level[net.line[b]]
    return net.line[a[same]], net.line[b[same]], net.xy[a[same]]


def ends_inside(net: Network) -> tuple[Ints, Ints]:
    """(end vertex, vertex that begins the edge it lies on): ends that meet a row away from its ends."""
    vertex, edge = loose_ends(net)
    is_end = net.is_end()
    inner = np.flatnonzero(~is_end & (net.degree()[net.node] > 2))
    end_of = np.full(len(net.origin), -1, dtype=np.int64)
    end_of[net.node[is_end]] = np.flatnonzero(is_end)
    shared = end_of[net.node[inner]]
    return np.r_[vertex, shared[shared >= 0]], np.r_[edge, inner[shared >= 0]]
