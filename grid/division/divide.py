"""The story of a division: check the wish, form units, find a start, refine it, count what came out."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import linear_sum_assignment

from grid.core.errors import BadInput
from grid.division.figures import DivisionFigures, figures_of
from grid.division.keep import Start, starts_in_force
from grid.division.network import Int64, SegmentNetwork
from grid.division.refine import Goal, Price, Progress, Schedule, cost_of, refine
from grid.division.seed import dense, metis_seed
from grid.division.units import Units, form_units

FRESH_CEILING = 1.03
KEEP_CEILING = 1.05

# A fresh division pays for whole streets and compact ground; one that keeps pays for hand-overs before these.
_FRESH = Price()
_KEEP = Price(over=6000.0, under=3000.0, uneven=0.0, moved=300.0)

# Trials of the refinement in all, and the fewest and most for each segment.
_TRIALS = 20_000_000
_FEWEST, _MOST = 250, 10_000


@dataclass(frozen=True, slots=True)
class Division:
    """A proposal: which grid each segment belongs to.

    labels Int64[n] in the order of the network's rows · links Int64[m, 2] pairs of segment ids that count as
    neighbours although they share no crossing (see `grid.division.units`) · ceiling, floor as asked, over the mean ·
    ceiling_met, floor_met · heavy_segments Int64 ids of segments that alone weigh more than a grid may: with one of
    them, or with a town in unequal parts, the ceiling cannot be met and the division says so instead of failing.
    """

    labels: Int64
    links: Int64
    ceiling: float
    floor: float | None
    ceiling_met: bool
    floor_met: bool
    heavy_segments: Int64
    figures: DivisionFigures


def divide(
    network: SegmentNetwork,
    grids: int,
    *,
    ceiling: float | None = None,
    floor: float | None = None,
    in_force: Int64 | None = None,
    keep: bool = False,
    seed: int = 0,
    progress: Progress | None = None,
) -> Division:
    """Divide the segments into exactly `grids` connected, non-empty grids of balanced weight.

    ceiling, floor: heaviest and lightest grid over the mean (default ceiling 1.03, or 1.05 with `keep`; without a
    floor a light grid is only disliked). in_force Int64[n]: labels now, -1 = none. keep=False: labels 0..grids-1,
    made anew from METIS, numbered after the grids in force they share most length with when these are given.
    keep=True: as little length as possible changes hands; grids that stay keep their numbers, new ones get numbers
    above all in force. Order of aims: connected, ceiling and floor, (keep: hand-overs), whole streets, compact
    ground. The same input and seed give the same labels. progress is called with the share done, 0..1.
    Raises BadInput division.grids_below_one, division.more_grids_than_segments,
    division.fewer_grids_than_communities, division.ceiling_below_one, division.floor_above_one,
    division.labels_missing, division.column_length, division.no_weight.
    """
    asked = ceiling if ceiling is not None else (KEEP_CEILING if keep else FRESH_CEILING)
    _check(network, grids, asked, floor, in_force, keep)
    if keep and in_force is not None:
        units = form_units(network, grids, in_force, asked)
        labels = _kept(network, units, in_force, asked, floor, seed, progress)
    else:
        units = form_units(network, grids, ceiling=asked)
        labels = _fresh(network, units, asked, floor, seed, progress)
        if in_force is not None:
            labels = _numbered_after(labels, in_force, network)
    links = np.asarray(network.segment_ids[units.links], dtype=np.int64).reshape(-1, 2)
    figures = figures_of(network, labels, links, in_force)
    mean = float(network.weight.sum()) / grids
    return Division(
        labels=labels,
        links=links,
        ceiling=asked,
        floor=floor,
        ceiling_met=figures.balance <= asked + 1e-9,
        floor_met=floor is None or figures.lightest >= floor - 1e-9,
        heavy_segments=network.segment_ids[network.weight > asked * mean * (1 + 1e-9)],
        figures=figures,
    )


def metis_alone(network: SegmentNetwork, grids: int, seed: int = 0) -> Int64:
    """What METIS gives by itself (k-way, contiguous, our units and mending, no refinement): the peer to compare with."""
    return dense(metis_seed(form_units(network, grids), network.weight, None, seed))


def _check(
    network: SegmentNetwork,
    grids: int,
    ceiling: float,
    floor: float | None,
    in_force: Int64 | None,
    keep: bool,
) -> None:
    if grids < 1:
        raise BadInput("division.grids_below_one", field="grids", grids=grids)
    if grids > len(network):
        raise BadInput(
            "division.more_grids_than_segments",
            field="grids",
            grids=grids,
            segments=len(network),
        )
    if not ceiling >= 1.0:
        raise BadInput("division.ceiling_below_one", field="ceiling", ceiling=ceiling)
    if floor is not None and not 0.0 <= floor <= 1.0:
        raise BadInput("division.floor_above_one", field="floor", floor=floor)
    if keep and (in_force is None or not (in_force >= 0).any()):
        raise BadInput("division.labels_missing", field="in_force")
    if in_force is not None and in_force.shape != (len(network),):
        raise BadInput(
            "division.column_length",
            field="in_force",
            rows=int(in_force.size),
            expected=len(network),
        )
    if not network.weight.sum() > 0:
        raise BadInput("division.no_weight", field="weight")


def _schedule(network: SegmentNetwork, effort: float, hot: float, cold: float) -> Schedule:
    sweeps = int(np.clip(effort * _TRIALS / len(network), effort * _FEWEST, effort * _MOST))
    return Schedule(sweeps=max(1, sweeps), hot=hot, cold=cold)


def _soft_floor(ceiling: float, floor: float | None) -> float:
    """Without a floor asked for, three times as far below the mean as the ceiling lies above it."""
    return floor if floor is not None else max(0.0, 1.0 - 3.0 * (ceiling - 1.0))


def _fresh(
    network: SegmentNetwork,
    units: Units,
    ceiling: float,
    floor: float | None,
    seed: int,
    progress: Progress | None,
) -> Int64:
    grids = int(units.grids.sum())
    if grids in (1, len(network)):
        return np.arange(len(network), dtype=np.int64) % grids
    mean = float(network.weight.sum()) / grids
    alone = dense(metis_seed(units, network.weight, None, seed))
    reached = float(np.bincount(alone, weights=network.weight, minlength=grids).max()) / mean
    start = dense(metis_seed(units, network.weight, network.street, seed))
    # Half of what is allowed costs nothing that can be measured and leaves room; never worse than METIS itself.
    must = min(ceiling, max(reached, 1.0))
    goal = Goal(
        aim=min(1.0 + (ceiling - 1.0) / 2, must),
        ceiling=must,
        floor=_soft_floor(ceiling, floor),
        home=np.full(len(network), -1, dtype=np.int64),
        price=_FRESH,
    )
    schedule = _schedule(network, 1.0, 0.3, 0.1)
    labels = refine(network, units, start, goal, schedule, seed, progress)
    heaviest = float(np.bincount(labels, weights=network.weight, minlength=grids).max()) / mean
    if heaviest <= max(must, reached) + 1e-9:
        return labels
    # Where the streets themselves forbid the ceiling METIS may be nearer to it: from there on, only downhill.
    down = replace(goal, aim=reached, ceiling=reached, price=replace(_FRESH, over=1e6))
    return refine(network, units, alone, down, replace(schedule, hot=0.05, cold=0.01), seed)


def _kept(
    network: SegmentNetwork,
    units: Units,
    in_force: Int64,
    ceiling: float,
    floor: float | None,
    seed: int,
    progress: Progress | None,
) -> Int64:
    offers = starts_in_force(network, units, in_force, seed, ceiling)
    schedule = replace(_schedule(network, 1.0 / len(offers), 5.0, 0.2), loose=0.3)
    best: tuple[tuple[float, float], Int64] | None = None
    for turn, offer in enumerate(offers):
        goal = Goal(ceiling, ceiling, _soft_floor(ceiling, floor), offer.home, _KEEP)
        if _nothing_to_do(network, offer, goal):
            return np.asarray(offer.names[offer.label], dtype=np.int64)
        part = _part_of(progress, turn, len(offers))
        label = offer.label
        if len(offer.names) not in (1, len(network)):
            label = refine(network, units, label, goal, schedule, seed, part)
        key = cost_of(network, units, label, goal, offer.label)
        if best is None or key < best[0]:
            best = (key, np.asarray(offer.names[label], dtype=np.int64))
    if best is None:
        raise RuntimeError("starts_in_force offered nothing")
    return best[1]


def _nothing_to_do(network: SegmentNetwork, offer: Start, goal: Goal) -> bool:
    """Every segment stays where it is and all bounds hold: no hand-over is the best answer."""
    if not np.array_equal(offer.label, offer.home):
        return False
    weight = np.bincount(offer.label, weights=network.weight)
    mean = float(weight.mean())
    return float(weight.max()) <= goal.ceiling * mean and float(weight.min()) >= goal.floor * mean


def _part_of(progress: Progress | None, turn: int, turns: int) -> Progress | None:
    if progress is None:
        return None
    return lambda share: progress((turn + share) / turns)


def _numbered_after(labels: Int64, in_force: Int64, network: SegmentNetwork) -> Int64:
    """The same grids, numbered after those in force so that the shared length is largest (assignment problem)."""
    had = in_force >= 0
    names, column = np.unique(in_force[had], return_inverse=True)
    count = int(labels.max()) + 1
    shared = np.zeros((count, len(names)))
    np.add.at(shared, (labels[had], column.reshape(-1)), network.length_m[had])
    rows, columns = linear_sum_assignment(shared, maximize=True)
    number = np.full(count, -1, dtype=np.int64)
    useful = shared[rows, columns] > 0
    number[rows[useful]] = names[columns[useful]]
    fresh = number < 0
    number[fresh] = int(in_force.max(initial=-1)) + 1 + np.arange(int(fresh.sum()))
    return np.asarray(number[labels], dtype=np.int64)
