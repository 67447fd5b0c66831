"""A start from the division in force: every grid keeps its number and its largest piece, what is left finds a place."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from grid.division.network import Bool, Float64, Int64, SegmentNetwork, neighbours, pieces, totals
from grid.division.seed import bisect, merge_down, split_up
from grid.division.units import Units

# A piece of new streets at least this heavy (of a mean grid) may become a new grid where one is wanted.
_OWN_GRID = 0.5
# How many places for a new grid, or grids to dissolve, are tried out.
_TRIED = 6


@dataclass(frozen=True, slots=True)
class Start:
    """label Int64[n] dense 0..k-1 · home Int64[n] dense label in force or -1 · names Int64[k] the numbers to show."""

    label: Int64
    home: Int64
    names: Int64


def starts_in_force(
    network: SegmentNetwork, units: Units, in_force: Int64, seed: int, ceiling: float
) -> list[Start]:
    """Starts with exactly the allotted grids, each connected, to be refined and compared; at least one.

    A grid in force in several pieces keeps the longest; the others, and new segments (-1), join the lightest
    neighbour. Where grids are too few the most crowded places are split, where too many the grid whose neighbours
    have most room is dissolved; several such choices are offered when only one grid comes or goes. New grids get
    numbers above all in force.
    """
    start, other = neighbours(units.meeting)
    size = len(network)
    piece = pieces(
        units.meeting, np.where(in_force >= 0, in_force, -1) * len(units.grids) + units.unit
    )
    count = int(piece.max()) + 1
    length = totals(piece, network.length_m + 1e-9, count)
    weight = totals(piece, network.weight, count)
    old = np.full(count, -1, dtype=np.int64)
    old[piece] = np.maximum(in_force, -1)
    unit_of = np.zeros(count, dtype=np.int64)
    unit_of[piece] = units.unit
    # The longest piece of each label stays that grid.
    order = np.lexsort((np.arange(count), -length, old))
    first = np.r_[True, np.diff(old[order]) != 0]
    pinned = np.zeros(count, dtype=bool)
    pinned[order[first]] = True
    pinned &= old >= 0
    mean = float(network.weight.sum()) / int(units.grids.sum())
    held = np.bincount(unit_of[pinned], minlength=len(units.grids))
    for p in np.argsort(-weight, kind="stable").tolist():
        unit = unit_of[p]
        if old[p] < 0 and weight[p] >= _OWN_GRID * mean and held[unit] < units.grids[unit]:
            pinned[p] = True
            held[unit] += 1

    spare = int(np.maximum(held - units.grids, 0).sum())
    short = int(np.maximum(units.grids - held, 0)[held > 0].sum())
    choices: list[int | None] = [None]
    relative = weight / mean
    if spare == 1 and short == 0:
        crowded = held > units.grids
        room = _room(piece, pinned, relative, start, other, ceiling)
        pool = [p for p in np.flatnonzero(pinned).tolist() if crowded[unit_of[p]]]
        choices = list(sorted(pool, key=lambda p: (relative[p] - room[p], p))[:_TRIED])
    offers: list[Start] = []
    for dissolved in choices:
        kept = pinned.copy()
        if dissolved is not None:
            kept[dissolved] = False
        merged = merge_down(piece, units, start, other, network.weight, kept)
        split_first: list[int | None] = [None]
        if short == 1 and spare == 0:
            split_first = list(_crowded(merged, units, held, network.weight / mean, start, other))
        for chosen in split_first:
            label = merged
            if chosen is not None:
                rows = np.flatnonzero(merged == chosen)
                label = merged.copy()
                label[rows[_lesser(rows, network, start, other, seed)]] = size + count
            label = split_up(
                label,
                units,
                start,
                other,
                network.weight,
                lambda rows: _lesser(rows, network, start, other, seed),
            )
            offers.append(_named(label, old, kept, in_force))
    return offers


def _lesser(rows: Int64, network: SegmentNetwork, start: Int64, other: Int64, seed: int) -> Bool:
    """Half of a grid, the shorter side as the one split off: it is what changes hands."""
    off = bisect(rows, start, other, network.weight, seed)
    length = network.length_m[rows]
    return ~off if length[off].sum() > length[~off].sum() else off


def _room(
    piece: Int64,
    pinned: Bool,
    relative: Float64,
    start: Int64,
    other: Int64,
    ceiling: float,
) -> Float64:
    """For each piece: how much its pinned neighbours can still take up to the ceiling."""
    count = len(relative)
    one = np.repeat(piece, np.diff(start))
    code = np.unique((one * count + piece[other])[one != piece[other]])
    a, b = code // count, code % count
    free = np.where(pinned, np.maximum(ceiling - relative, 0.0), 0.0)
    return totals(a, free[b], count)


def _crowded(
    label: Int64,
    units: Units,
    held: Int64,
    relative_weight: Float64,
    start: Int64,
    other: Int64,
) -> list[int]:
    """Labels in units that are short of a grid, where grid and neighbours together weigh most above the mean."""
    names, at = np.unique(label, return_inverse=True)
    at = at.reshape(-1)
    count = len(names)
    weight = np.bincount(at, weights=relative_weight)
    segments = np.bincount(at)
    short = np.zeros(count, dtype=bool)
    short[at] = (held < units.grids)[units.unit]
    one = np.repeat(at, np.diff(start))
    code = np.unique((one * count + at[other])[one != at[other]])
    around = totals(code // count, weight[code % count] - 1.0, count)
    pool = np.flatnonzero(short & (segments > 1)).tolist()
    chosen = sorted(pool, key=lambda g: (-(weight[g] - 1.0 + around[g]), g))[:_TRIED]
    return [int(names[g]) for g in chosen]


def _named(
    label: Int64,
    old: Int64,
    kept: Bool,
    in_force: Int64,
) -> Start:
    ids, dense = np.unique(label, return_inverse=True)
    dense = dense.reshape(-1).astype(np.int64)
    names = np.full(len(ids), -1, dtype=np.int64)
    known = ids < len(old)
    names[known] = np.where(kept[ids[known]], old[ids[known]], -1)
    fresh = names < 0
    names[fresh] = int(in_force.max(initial=-1)) + 1 + np.arange(int(fresh.sum()))
    order = np.argsort(names)
    rank = np.empty(len(ids), dtype=np.int64)
    rank[order] = np.arange(len(ids))
    names = names[order]
    at = np.minimum(np.searchsorted(names, in_force), len(names) - 1)
    # A dissolved grid has no seat any more: its segments must move, whoever takes them.
    home = np.where((in_force >= 0) & (names[at] == in_force), at, -1).astype(np.int64)
    return Start(np.asarray(rank[dense], dtype=np.int64), home, names)
