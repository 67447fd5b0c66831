"""What can be divided on its own: connected units of the network, and how many grids each one gets.

The rule for networks in several components (stated in full here, used by `divide` and by checks):
1. Components never join across a community border (`within`).
2. A component that weighs less than 0.9 of the mean grid cannot be a grid of its own. The lightest is linked to the
   nearest other component of its community, by the shortest straight line between two midpoints in the plane
   (the lower segment ids where two lines are equally short). The two are then one, and the rule is applied again.
3. So long as there are more components than grids, the lightest that can be linked is linked.
4. What remains are units. A larger component is never linked for the sake of balance: no grid jumps a river there.
5. Grids are given to units by the method of equal proportions (Huntington-Hill: the next grid goes where
   weight / sqrt(k (k + 1)) is greatest), or, where only that can meet the ceiling, to the unit whose grids are heaviest.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from grid.core.errors import BadInput
from grid.division.network import (
    NO_LINKS,
    Float64,
    Int64,
    Meetings,
    SegmentNetwork,
    meetings,
    pieces,
    totals,
)

SMALLEST_UNIT = 0.9
# Grids of a unit cannot all weigh exactly its mean; this share of the ceiling is taken as within reach.
_REACHABLE = 0.995


@dataclass(frozen=True, slots=True)
class Units:
    """unit Int64[n] of each segment · grids Int64[units] allotted · links Int64[m, 2] of row numbers · meeting ports."""

    unit: Int64
    grids: Int64
    links: Int64
    meeting: Meetings

    def weights(self, weight: Float64) -> Float64:
        """Summed weight of each unit."""
        return totals(self.unit, weight, len(self.grids))


def form_units(
    network: SegmentNetwork, grids: int, in_force: Int64 | None = None, ceiling: float = 1.03
) -> Units:
    """Components, the links between them and the number of grids for each unit.

    `in_force` Int64[n] (-1 = none): components that share a grid now are linked first, and each unit keeps its
    number of grids as far as that serves. Raises BadInput division.fewer_grids_than_communities.
    """
    size = len(network)
    region = (
        np.zeros(size, dtype=np.int64)
        if network.within is None
        else np.unique(network.within, return_inverse=True)[1].reshape(-1)
    )
    communities = int(region.max()) + 1
    if communities > grids:
        raise BadInput(
            "division.fewer_grids_than_communities",
            field="grids",
            grids=grids,
            communities=communities,
        )
    component = pieces(meetings(network), np.zeros(size, dtype=np.int64))
    joined = _Joined(network, region, component)
    if in_force is not None:
        _link_shared_grids(joined, network, region, in_force)
    _link_small(joined, float(network.weight.sum()) / grids, grids)
    links = np.array(joined.links, dtype=np.int64).reshape(-1, 2) if joined.links else NO_LINKS
    unit = np.unique(joined.root_of_segments(), return_inverse=True)[1].reshape(-1)
    unit = unit.astype(np.int64)
    allotted = _allot(
        totals(unit, network.weight, int(unit.max()) + 1),
        np.bincount(unit).astype(np.int64),
        grids,
        ceiling,
        None if in_force is None else _grids_now(unit, in_force, network.length_m),
    )
    return Units(unit, allotted, links, meetings(network, links))


class _Joined:
    """Components on their way to units: union-find with members, so that the nearest other one can be sought."""

    def __init__(self, network: SegmentNetwork, region: Int64, component: Int64) -> None:
        count = int(component.max()) + 1
        order = np.argsort(component, kind="stable")
        cuts = np.searchsorted(component[order], np.arange(1, count))
        self.members: list[Int64] = list(np.split(order.astype(np.int64), cuts))
        self.weight = np.bincount(component, weights=network.weight, minlength=count).tolist()
        self.parent = list(range(count))
        self.component = component
        self.region = region
        self.links: list[tuple[int, int]] = []
        self.points = np.stack([network.x_m, network.y_m], axis=1)
        self.ids = network.segment_ids
        self._trees: dict[int, tuple[cKDTree, Int64]] = {}

    def root(self, group: int) -> int:
        while self.parent[group] != group:
            self.parent[group] = self.parent[self.parent[group]]
            group = self.parent[group]
        return group

    def root_of_segments(self) -> Int64:
        roots = np.array([self.root(group) for group in range(len(self.parent))], dtype=np.int64)
        return np.asarray(roots[self.component], dtype=np.int64)

    def region_of(self, group: int) -> int:
        return int(self.region[self.members[group][0]])

    def nearest(self, group: int) -> tuple[int, int] | None:
        """Row numbers (inside, outside) of the shortest link from this group, or None when it is alone."""
        inside = self.members[group]
        tree, rows = self._tree(self.region_of(group))
        if len(rows) == len(inside):
            return None
        if len(inside) <= 200:
            # Among the m+1 nearest of a member at least one lies outside.
            asked = min(len(rows), len(inside) + 9)
            far, near = tree.query(self.points[inside], k=asked)
            candidates = rows[np.asarray(near)]
            own = np.isin(candidates, inside)
            distances = np.where(own, np.inf, np.asarray(far))
            a, b = np.nonzero(distances <= distances.min())
            pairs = [(int(inside[i]), int(candidates[i, j])) for i, j in zip(a, b, strict=True)]
        else:
            outside = rows[~np.isin(rows, inside)]
            far, near = cKDTree(self.points[inside]).query(self.points[outside])
            far, near = np.asarray(far), np.asarray(near)
            at = np.flatnonzero(far <= far.min())
            pairs = [(int(inside[near[i]]), int(outside[i])) for i in at]
        return min(pairs, key=lambda pair: (self.ids[pair[0]], self.ids[pair[1]]))

    def link(self, one: int, other: int) -> int:
        """Join the groups of two segments by a link; returns the group that remains."""
        self.links.append((one, other))
        a, b = self.root(int(self.component[one])), self.root(int(self.component[other]))
        if len(self.members[a]) < len(self.members[b]):
            a, b = b, a
        self.parent[b] = a
        self.members[a] = np.concatenate([self.members[a], self.members[b]])
        self.members[b] = self.members[b][:0]
        self.weight[a] += self.weight[b]
        return a

    def _tree(self, region: int) -> tuple[cKDTree, Int64]:
        if region not in self._trees:
            rows = np.flatnonzero(self.region == region).astype(np.int64)
            self._trees[region] = (cKDTree(self.points[rows]), rows)
        return self._trees[region]


def _link_small(joined: _Joined, mean: float, grids: int) -> None:
    alive = sum(1 for group, parent in enumerate(joined.parent) if group == parent)
    heap = [
        (joined.weight[group], group)
        for group, parent in enumerate(joined.parent)
        if group == parent
    ]
    heapq.heapify(heap)
    while heap:
        weight, group = heapq.heappop(heap)
        if joined.root(group) != group or weight != joined.weight[group]:
            continue
        if weight >= SMALLEST_UNIT * mean and alive <= grids:
            break
        pair = joined.nearest(group)
        if pair is None:
            continue
        left = joined.link(*pair)
        alive -= 1
        heapq.heappush(heap, (joined.weight[left], left))


def _link_shared_grids(
    joined: _Joined, network: SegmentNetwork, region: Int64, in_force: Int64
) -> None:
    """Where a grid in force already spans components of one community, the shortest link between them stays a link."""
    kept = np.flatnonzero(in_force >= 0)
    shared = np.unique(np.stack([in_force[kept], region[kept], joined.component[kept]], 1), axis=0)
    same = (np.diff(shared[:, :2], axis=0) == 0).all(axis=1)
    for at in np.flatnonzero(same):
        label, _, first = shared[at]
        second = shared[at + 1, 2]
        if joined.root(int(first)) == joined.root(int(second)):
            continue
        a = np.flatnonzero((in_force == label) & (joined.component == first))
        b = np.flatnonzero((in_force == label) & (joined.component == second))
        far, near = cKDTree(joined.points[a]).query(joined.points[b])
        i = int(np.argmin(far))
        joined.link(int(a[np.asarray(near)[i]]), int(b[i]))


def _grids_now(unit: Int64, in_force: Int64, length_m: Float64) -> Int64:
    """How many grids in force each unit holds; a grid that lies in several counts where most of its length is."""
    kept = in_force >= 0
    labels, at = np.unique(in_force[kept], return_inverse=True)
    units = int(unit.max()) + 1
    shares = np.zeros((len(labels), units))
    np.add.at(shares, (at.reshape(-1), unit[kept]), length_m[kept] + 1e-9)
    return np.bincount(np.argmax(shares, axis=1), minlength=units).astype(np.int64)


def _allot(
    weight: Float64, segments: Int64, grids: int, ceiling: float, now: Int64 | None
) -> Int64:
    """Grids for each unit, at least one and at most its segments."""
    mean = float(weight.sum()) / grids
    single = np.ones(len(weight), dtype=np.int64)
    best = _give(weight, segments, single, grids, fair=True)
    if (weight / best).max() > _REACHABLE * ceiling * mean:
        lowest = _give(weight, segments, single, grids, fair=False)
        if (weight / lowest).max() <= _REACHABLE * ceiling * mean:
            best = lowest
    if now is None:
        return best
    kept = np.clip(now, 1, segments)
    while kept.sum() > grids:
        # Take where the grids that remain are lightest.
        after = np.where(kept > 1, weight / np.maximum(kept - 1, 1), np.inf)
        kept[np.argmin(after)] -= 1
    kept = _give(weight, segments, kept, grids, fair=True)
    # When the numbers are dealt anew whole grids change hands; do so only where it really helps.
    helps = (weight / kept).max() > 1.1 * (weight / best).max()
    return best if helps else kept


def _give(weight: Float64, segments: Int64, start: Int64, grids: int, fair: bool) -> Int64:
    """Grids one by one, to the unit that deserves it most: by equal proportions (fair), or to lower the maximum."""
    given = start.copy()

    def claim(u: int) -> float:
        have = int(given[u])
        return -float(weight[u]) / (np.sqrt(have * (have + 1.0)) if fair else have)

    heap = [(claim(u), u) for u in range(len(weight)) if given[u] < segments[u]]
    heapq.heapify(heap)
    for _ in range(grids - int(given.sum())):
        _, u = heapq.heappop(heap)
        given[u] += 1
        if given[u] < segments[u]:
            heapq.heappush(heap, (claim(u), u))
    return given
