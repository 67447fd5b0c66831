"""Our refinement: simulated annealing over border moves, balance first, then whole streets and compact ground."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from grid.division import kernel
from grid.division.figures import street_cuts
from grid.division.network import Float64, Int64, SegmentNetwork
from grid.division.seed import relocate
from grid.division.units import Units

Progress = Callable[[float], None]

# How often a division that misses its ceiling is tried again: in a small town, in a large one.
_ATTEMPTS = (12, 4)
_LARGE = 20_000


@dataclass(frozen=True, slots=True)
class Price:
    """What the refinement pays for, in units of "one more grid on one street".

    over, under: weight beyond ceiling or below floor, per mean grid · uneven: squared deviation from the usual
    weight · spread: mean squared distance to the grid's centre, over that of a usual grid · piece: one more grid on
    a street · cut: a street no longer in one grid · crossing: one more grid at a crossing · moved: length that
    changes hands, per mean grid.
    """

    over: float = 150.0
    under: float = 60.0
    uneven: float = 2.0
    spread: float = 3.0
    piece: float = 1.0
    cut: float = 0.6
    crossing: float = 0.15
    moved: float = 0.0

    def row(self) -> Float64:
        return np.array(
            [
                self.over,
                self.under,
                self.uneven,
                self.spread,
                self.piece,
                self.cut,
                self.crossing,
                self.moved,
            ]
        )


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long and how hot: `sweeps` trials per segment, from `hot` to `cold` in `steps` geometric steps.

    loose: the share of the price for weight out of bounds that is asked at the start.
    """

    sweeps: int
    hot: float = 0.3
    cold: float = 0.1
    steps: int = 60
    loose: float = 0.05


@dataclass(frozen=True, slots=True)
class Goal:
    """Bounds on a grid's weight, over the mean of all grids; `home` Int64[n] the grid in force of each segment, or -1.

    aim: what the refinement works towards; ceiling: what must be met, at least as high.
    """

    aim: float
    ceiling: float
    floor: float
    home: Int64
    price: Price


def refine(
    network: SegmentNetwork,
    units: Units,
    label: Int64,
    goal: Goal,
    schedule: Schedule,
    seed: int,
    progress: Progress | None = None,
) -> Int64:
    """A better division from a valid one: label Int64[n] dense 0..k-1, each connected; the answer keeps both.

    Moves only between segments that meet (crossings and links of `units`). Deterministic for a seed.
    """
    table = _Table(network, units, label, goal, seed)
    trials = max(1, schedule.sweeps * len(network) // schedule.steps)
    table.cool(schedule, trials, goal.price, progress)
    best, best_key = table.label.copy(), table.key(goal.price)
    unavoidable = max(0.0, float(table.weight.max()) - goal.ceiling)
    turn = 0
    for attempt in range(_ATTEMPTS[len(network) > _LARGE]):
        if best_key[0] <= unavoidable:
            break
        # The ceiling is not met: carry a seat to where it is missing (not where grids keep their ground), or shake.
        seated = None
        if attempt % 2 == 0 and (goal.home < 0).all():
            seated = relocate(best, units, table.weight, table.excess(best), turn)
        table.relabel(best if seated is None else seated)
        table.cool(replace(schedule, steps=10), trials, goal.price, None)
        key = table.key(goal.price)
        if key < best_key:
            best, best_key, turn = table.label.copy(), key, 0
        elif seated is not None:
            turn += 1
    return best


def cost_of(
    network: SegmentNetwork,
    units: Units,
    label: Int64,
    goal: Goal,
    scale_label: Int64 | None = None,
) -> tuple[float, float]:
    """(most weight beyond the ceiling in mean grids, all costs): what `refine` lowers, to compare two divisions.

    `scale_label` is the division whose spread counts as usual; give the same one for both.
    """
    table = _Table(network, units, label if scale_label is None else scale_label, goal, 0)
    if scale_label is not None:
        table.relabel(label)
    return table.key(goal.price)


class _Table:
    """The state that the kernel works on, in relative quantities."""

    def __init__(
        self, network: SegmentNetwork, units: Units, label: Int64, goal: Goal, seed: int
    ) -> None:
        size, count = len(network), int(units.grids.sum())
        self.units = units
        self.goal = goal
        self.weight = network.weight * (count / network.weight.sum())
        length = np.maximum(network.length_m, 1e-6)
        self.mass = length * (count / length.sum())
        self.x = network.x_m - network.x_m.mean()
        self.y = network.y_m - network.y_m.mean()
        named = network.street >= 0
        streets, at = np.unique(network.street[named], return_inverse=True)
        self.street = np.full(size, -1, dtype=np.int64)
        self.street[named] = at.reshape(-1)
        per_street = np.bincount(self.street[named], minlength=len(streets))
        self.street_start = np.concatenate([[0], np.cumsum(per_street)]).astype(np.int64)
        self.home = goal.home
        ports = len(units.meeting.port_start) - 1
        self.mark = np.zeros(size, dtype=np.int64)
        self.seen = np.zeros(max(1, ports), dtype=np.int64)
        self.clock = np.array([2], dtype=np.int64)
        self.one = np.zeros(size + 1, dtype=np.int64)
        self.two = np.zeros(size + 1, dtype=np.int64)
        # splitmix64 of the seed: a state that is never zero.
        self.random = np.array(
            [((seed + 1) * 0x9E3779B97F4A7C15 ^ 0xD1B54A32D192ED03) % 2**64 or 1], dtype=np.uint64
        )
        self.relabel(label)
        usual = self.spread() / self.mass.sum()
        if usual > 0:
            self.x = self.x / np.sqrt(usual)
            self.y = self.y / np.sqrt(usual)
        self.relabel(label)

    def relabel(self, label: Int64) -> None:
        """Set the labels and count everything anew (which also removes what rounding has gathered)."""
        count = int(self.units.grids.sum())
        self.label = label.astype(np.int64).copy()
        unit_of = np.zeros(count, dtype=np.int64)
        unit_of[self.label] = self.units.unit
        unit_mean = self.units.weights(self.weight) / self.units.grids
        self.grids = np.zeros((8, count))
        for row, value in (
            (kernel.WEIGHT, self.weight),
            (kernel.MASS, self.mass),
            (kernel.MX, self.mass * self.x),
            (kernel.MY, self.mass * self.y),
            (kernel.MR, self.mass * (self.x**2 + self.y**2)),
        ):
            self.grids[row] = np.bincount(self.label, weights=value, minlength=count)
        usual = unit_mean[unit_of]
        self.grids[kernel.HIGH] = np.maximum(self.goal.aim, self.goal.aim * usual)
        self.grids[kernel.LOW] = np.minimum(self.goal.floor, self.goal.floor * usual)
        self.grids[kernel.USUAL] = usual
        self.count = np.bincount(self.label, minlength=count).astype(np.int64)
        named = np.flatnonzero(self.street >= 0)
        streets = len(self.street_start) - 1
        self.slot_grid = np.zeros(max(1, len(named)), dtype=np.int64)
        self.slot_count = np.zeros(max(1, len(named)), dtype=np.int64)
        self.used = np.zeros(max(1, streets), dtype=np.int64)
        if len(named):
            pairs, times = np.unique(
                self.street[named] * count + self.label[named], return_counts=True
            )
            road = pairs // count
            self.used[:] = np.bincount(road, minlength=streets)
            place = np.arange(len(pairs)) - np.searchsorted(road, road)
            self.slot_grid[self.street_start[road] + place] = pairs % count
            self.slot_count[self.street_start[road] + place] = times

    def run(self, trials: int, heat: float, price: Price) -> int:
        meeting = self.units.meeting
        made: int = kernel.anneal(
            trials,
            heat,
            self.random,
            self.label,
            self.home,
            self.weight,
            self.mass,
            self.x,
            self.y,
            self.street,
            self.street_start,
            self.used,
            self.slot_grid,
            self.slot_count,
            self.grids,
            self.count,
            meeting.seg_start,
            meeting.seg_ports,
            meeting.port_start,
            meeting.port_segs,
            price.row(),
            self.mark,
            self.seen,
            self.clock,
            self.one,
            self.two,
        )
        return made

    def cool(
        self, schedule: Schedule, trials: int, price: Price, progress: Progress | None
    ) -> None:
        """From hot to cold, `trials` at each step, then only improvements."""
        heats = np.geomspace(schedule.hot, schedule.cold, schedule.steps)
        for step, heat in enumerate(heats):
            # Loose about weight while hot, so that whole streets find their grid; strict at the end.
            strict = schedule.loose ** (1.0 - (step + 1) / schedule.steps)
            at_step = replace(price, over=price.over * strict, under=price.under * strict)
            self.run(trials, float(heat), at_step)
            if progress is not None:
                progress((step + 1) / schedule.steps)
        self.settle(price)

    def settle(self, price: Price) -> None:
        """Only improvements, until hardly any is left."""
        self.relabel(self.label)
        for _ in range(30):
            if self.run(8 * len(self.label), 0.0, price) == 0:
                break

    def spread(self) -> float:
        mass = np.maximum(self.grids[kernel.MASS], 1e-300)
        own = (
            self.grids[kernel.MR] - (self.grids[kernel.MX] ** 2 + self.grids[kernel.MY] ** 2) / mass
        )
        return float(own.sum())

    def excess(self, label: Int64) -> Float64:
        """Weight beyond the ceiling by grid, in mean grids."""
        self.relabel(label)
        usual = self.grids[kernel.USUAL]
        most = np.maximum(self.goal.ceiling, self.goal.ceiling * usual)
        return np.asarray(np.maximum(self.grids[kernel.WEIGHT] - most, 0.0), dtype=np.float64)

    def key(self, price: Price) -> tuple[float, float]:
        """(most weight beyond the ceiling, all costs), freshly counted."""
        over = float(self.excess(self.label).max())
        weight = self.grids[kernel.WEIGHT]
        beyond = np.maximum(weight - self.grids[kernel.HIGH], 0.0)
        under = np.maximum(self.grids[kernel.LOW] - weight, 0.0)
        cut, parts = street_cuts(self.street, self.label)
        meeting = self.units.meeting
        seg = np.repeat(np.arange(len(self.label)), np.diff(meeting.seg_start))
        count = len(weight)
        corners = len(np.unique(meeting.seg_ports * count + self.label[seg]))
        away = (self.home >= 0) & (self.home != self.label)
        return (
            round(over, 6),
            price.over * float((beyond + 10 * beyond**2).sum())
            + price.under * float((under + 10 * under**2).sum())
            + price.uneven * float(((weight - self.grids[kernel.USUAL]) ** 2).sum())
            + price.spread * self.spread()
            + price.piece * parts
            + price.cut * cut
            + price.crossing * corners
            + price.moved * float(self.mass[away].sum()),
        )
