"""A first division: METIS on the adjacency of segments, mended to exactly N connected, non-empty parts."""

from __future__ import annotations

import heapq
from collections.abc import Callable

import numpy as np
import pymetis

from grid.division.network import Bool, Float64, Int64, neighbours, pieces, totals
from grid.division.silence import silent_stdout
from grid.division.units import Units

# What an edge between two segments of one street weighs for METIS against 1 for any other: a hint, refined later.
_SAME_STREET = 4


def metis_seed(
    units: Units, weight: Float64, street: Int64 | None, seed: int, share: float = 0.03
) -> Int64:
    """Labels 0..sum(grids)-1, unit after unit, each label connected and non-empty: Int64[n].

    METIS k-way with contiguity; `street` Int64[n] (-1 = unnamed) makes it reluctant to cut streets, None is METIS
    alone; `share` is the imbalance it may leave.
    """
    start, other = neighbours(units.meeting)
    label = np.zeros(len(weight), dtype=np.int64)
    first = 0
    for unit, grids in enumerate(units.grids.tolist()):
        rows = np.flatnonzero(units.unit == unit)
        if grids == len(rows):
            label[rows] = first + np.arange(grids)
        elif grids > 1:
            label[rows] = first + _metis(rows, grids, start, other, weight, street, seed, share)
        else:
            label[rows] = first
        first += grids
    return mend(label, units, weight)


def bisect(
    rows: Int64, start: Int64, other: Int64, weight: Float64, seed: int, lighter: float = 0.5
) -> Bool:
    """Cut one connected set of at least two segments (row numbers, sorted) in two connected ones: a mask over rows.

    The masked side should weigh the share `lighter` of the whole; the better of METIS and a tree cut is taken.
    """
    target = lighter * weight[rows].sum()
    cut = _tree_cut(rows, start, other, weight, target)
    if len(rows) < 4:
        return cut
    trial = _metis(rows, 2, start, other, weight, None, seed, 0.03, [1 - lighter, lighter]) == 1
    if not trial.any() or trial.all() or not _both_connected(rows, start, other, trial):
        return cut
    worse = abs(weight[rows][trial].sum() - target) > 2 * abs(weight[rows][cut].sum() - target)
    return cut if worse and abs(weight[rows][trial].sum() - target) > 0.2 * target else trial


def mend(label: Int64, units: Units, weight: Float64) -> Int64:
    """Exactly the allotted number of connected, non-empty grids in each unit, by merging and splitting pieces."""
    start, other = neighbours(units.meeting)
    piece = pieces(units.meeting, _pair(label, units.unit))
    piece = merge_down(piece, units, start, other, weight)
    return split_up(piece, units, start, other, weight)


def merge_down(
    piece: Int64,
    units: Units,
    start: Int64,
    other: Int64,
    weight: Float64,
    pinned: Bool | None = None,
) -> Int64:
    """Merge the lightest pieces into their lightest neighbours until no unit has more than its number of grids.

    piece Int64[n] connected pieces · pinned Bool[pieces]: pieces that keep their number; all others are merged away
    first, whatever the count, and a unit without any pinned piece keeps its own.
    """
    count = int(piece.max()) + 1
    unit_of = np.zeros(count, dtype=np.int64)
    unit_of[piece] = units.unit
    heavy = (np.bincount(piece, weights=weight, minlength=count)).tolist()
    near = _touching(piece, start, other, count)
    held = np.zeros(count, dtype=bool) if pinned is None else pinned.copy()
    if pinned is not None:
        held |= ~np.isin(unit_of, unit_of[pinned])
    left = np.bincount(unit_of, minlength=len(units.grids))
    into = list(range(count))
    heap = [(bool(held[p]), heavy[p], p) for p in range(count)]
    heapq.heapify(heap)
    while heap:
        kept, weighed, p = heapq.heappop(heap)
        unit = unit_of[p]
        if into[p] != p or weighed != heavy[p] or kept != bool(held[p]):
            continue
        wanted = left[unit] > units.grids[unit] or (pinned is not None and not kept)
        if not wanted or not near[p]:
            continue
        target = min(near[p], key=lambda q: (heavy[q], q))
        into[p] = target
        heavy[target] += heavy[p]
        held[target] = bool(held[target]) or kept
        for q in near[p]:
            near[q].discard(p)
            if q != target:
                near[q].add(target)
                near[target].add(q)
        left[unit] -= 1
        heapq.heappush(heap, (bool(held[target]), heavy[target], target))
    final = np.array([_end(into, p) for p in range(count)], dtype=np.int64)
    return np.asarray(final[piece], dtype=np.int64)


def split_up(
    piece: Int64,
    units: Units,
    start: Int64,
    other: Int64,
    weight: Float64,
    cut: Callable[[Int64], Bool] | None = None,
) -> Int64:
    """Split the heaviest grid of each unit that has too few; the part split off gets the next free label.

    `cut` takes sorted row numbers and answers the mask of the part to split off (default: a balanced tree cut).
    """
    label = piece.copy()
    fresh = int(label.max()) + 1
    order = np.argsort(label, kind="stable")
    names, firsts = np.unique(label[order], return_index=True)
    members = dict(zip(names.tolist(), np.split(order, firsts[1:]), strict=True))
    per_unit: dict[int, list[tuple[float, int]]] = {}
    for name, rows in members.items():
        per_unit.setdefault(int(units.unit[rows[0]]), []).append((-_mass(weight, rows), name))
    for unit, heap in per_unit.items():
        heapq.heapify(heap)
        single: list[tuple[float, int]] = []
        while len(heap) + len(single) < units.grids[unit]:
            weighed, name = heapq.heappop(heap)
            rows = members[name]
            if len(rows) == 1:
                single.append((weighed, name))
                continue
            off = (
                cut(rows)
                if cut is not None
                else _tree_cut(rows, start, other, weight, weight[rows].sum() / 2)
            )
            members[name], members[fresh] = rows[~off], rows[off]
            label[rows[off]] = fresh
            heapq.heappush(heap, (-_mass(weight, rows[~off]), name))
            heapq.heappush(heap, (-_mass(weight, rows[off]), fresh))
            fresh += 1
    return label


def relocate(
    label: Int64, units: Units, weight: Float64, excess: Float64, turn: int
) -> Int64 | None:
    """Split the grid with most excess and merge two light neighbours of its unit, so that the number stays the same.

    label Int64[n] dense · excess Float64[k] weight beyond the ceiling by grid · turn 0, 1, … picks the lightest pair,
    the next lightest, … None when nothing can be split or merged. Border moves alone cannot carry a seat across town.
    """
    start, other = neighbours(units.meeting)
    count = len(excess)
    segments = np.bincount(label, minlength=count)
    heavy = int(np.argmax(np.where(segments > 1, excess, -np.inf)))
    if excess[heavy] <= 0 or segments[heavy] < 2:
        return None
    unit_of = np.zeros(count, dtype=np.int64)
    unit_of[label] = units.unit
    one, two = np.repeat(label, np.diff(start)), label[other]
    apart = (one < two) & (one != heavy) & (two != heavy) & (unit_of[one] == unit_of[heavy])
    code = np.unique(one[apart] * count + two[apart])
    if turn >= len(code):
        return None
    grid_weight = totals(label, weight, count)
    together = grid_weight[code // count] + grid_weight[code % count]
    gone, stays = divmod(int(code[np.argsort(together, kind="stable")[turn]]), count)
    rows = np.flatnonzero(label == heavy)
    moved = label.copy()
    moved[label == gone] = stays
    moved[rows[_tree_cut(rows, start, other, weight, weight[rows].sum() / 2)]] = gone
    return moved


def dense(label: Int64) -> Int64:
    """The same grouping with labels 0..k-1 in the order of the old ones."""
    return np.asarray(np.unique(label, return_inverse=True)[1].reshape(-1), dtype=np.int64)


def _mass(weight: Float64, rows: Int64) -> float:
    # Among weightless grids the one with most segments is split first.
    return float(weight[rows].sum()) + 1e-12 * len(rows)


def _end(into: list[int], piece: int) -> int:
    while into[piece] != piece:
        piece = into[piece]
    return piece


def _pair(label: Int64, unit: Int64) -> Int64:
    return label * (int(unit.max()) + 1) + unit


def _touching(piece: Int64, start: Int64, other: Int64, count: int) -> list[set[int]]:
    one = np.repeat(piece, np.diff(start))
    two = piece[other]
    code = np.unique((one * count + two)[one != two])
    near: list[set[int]] = [set() for _ in range(count)]
    for a, b in zip((code // count).tolist(), (code % count).tolist(), strict=True):
        near[a].add(b)
    return near


def _metis(
    rows: Int64,
    grids: int,
    start: Int64,
    other: Int64,
    weight: Float64,
    street: Int64 | None,
    seed: int,
    share: float,
    targets: list[float] | None = None,
) -> Int64:
    """METIS on the sub-network of `rows` (sorted): part of each row, possibly empty or broken parts."""
    xadj, local, source = _within(rows, start, other)
    total = float(weight[rows].sum())
    # METIS counts in 32-bit integers; a thousand steps for the mean segment are fine enough.
    scale = min(1000.0 * len(rows), 1e9) / total if total > 0 else 0.0
    counted = np.rint(weight[rows] * scale).astype(np.int64)
    if counted.sum() < grids:
        counted = np.ones(len(rows), dtype=np.int64)
    edges = None
    if street is not None:
        mine, its = street[rows[source]], street[rows[local]]
        edges = np.where((mine == its) & (mine >= 0), _SAME_STREET, 1).astype(np.int64)
    options = pymetis.Options(seed=seed, contig=1, ufactor=max(1, round(1000 * share)))
    with silent_stdout():
        _, part = pymetis.part_graph(
            grids,
            pymetis.CSRAdjacency(xadj, local),
            vweights=counted,
            eweights=edges,
            tpwgts=targets,
            recursive=False,
            options=options,
        )
    return np.asarray(part, dtype=np.int64)


def _within(rows: Int64, start: Int64, other: Int64) -> tuple[Int64, Int64, Int64]:
    """CSR of the sub-network of sorted `rows`, in local numbers, and the local source of each entry."""
    degree = start[rows + 1] - start[rows]
    source = np.repeat(np.arange(len(rows), dtype=np.int64), degree)
    offset = np.arange(len(source), dtype=np.int64) - np.repeat(np.cumsum(degree) - degree, degree)
    targets = other[start[rows][source] + offset]
    at = np.minimum(np.searchsorted(rows, targets), len(rows) - 1)
    inside = rows[at] == targets
    source, local = source[inside], at[inside].astype(np.int64)
    xadj = np.searchsorted(source, np.arange(len(rows) + 1)).astype(np.int64)
    return xadj, local, source


def _both_connected(rows: Int64, start: Int64, other: Int64, side: Bool) -> bool:
    xadj, local, _ = _within(rows, start, other)
    return all(_reach(xadj, local, mask) == int(mask.sum()) for mask in (side, ~side))


def _reach(xadj: Int64, local: Int64, mask: Bool) -> int:
    seen = {int(np.argmax(mask))}
    queue = list(seen)
    while queue:
        at = queue.pop()
        for near in local[xadj[at] : xadj[at + 1]].tolist():
            if mask[near] and near not in seen:
                seen.add(near)
                queue.append(near)
    return len(seen)


def _tree_cut(rows: Int64, start: Int64, other: Int64, weight: Float64, target: float) -> Bool:
    """The subtree of a depth-first tree whose weight is nearest to the target: both sides stay connected."""
    xadj, local, _ = _within(rows, start, other)
    begin, near = xadj.tolist(), local.tolist()
    parent = [-1] * len(rows)
    order = [0]
    seen = [False] * len(rows)
    seen[0] = True
    cursor = begin[:-1].copy()
    stack = [0]
    while stack:
        at = stack[-1]
        if cursor[at] == begin[at + 1]:
            stack.pop()
            continue
        to = near[cursor[at]]
        cursor[at] += 1
        if not seen[to]:
            seen[to] = True
            parent[to] = at
            order.append(to)
            stack.append(to)
    below = weight[rows].tolist()
    size = [1] * len(rows)
    for at in reversed(order[1:]):
        below[parent[at]] += below[at]
        size[parent[at]] += size[at]
    half = len(rows) / 2
    best = min(order[1:], key=lambda at: (abs(below[at] - target), abs(size[at] - half), at))
    cut = np.zeros(len(rows), dtype=bool)
    cut[best] = True
    for at in order:
        if parent[at] >= 0 and cut[parent[at]]:
            cut[at] = True
    return cut
