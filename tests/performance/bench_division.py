"""Division against METIS alone, in one run: `python -m tests.performance.bench_division [--metropolis]`.

10,000 segments into 500 grids and, when asked, 100,000 into 2,000, on a street lattice made from a seed: balance and
cut streets as ratios to METIS with contiguity (pymetis, same adjacency), seconds, and one grid more with few
hand-overs. Compilation by numba is measured apart.
"""

from __future__ import annotations

import argparse
import os
import resource
import time

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import minimum_spanning_tree

from grid.division import DivisionFigures, SegmentNetwork, divide, figures_of, metis_alone


def lattice_town(segments: int, seed: int = 0) -> SegmentNetwork:
    """A connected, irregular street lattice of about so many segments; streets run nine blocks on average."""
    rng = np.random.default_rng(seed)
    kept, run = 0.82, 9.0
    side = int(np.ceil(np.sqrt(segments / 2 / (kept + 0.09))))
    node = np.arange(side * side).reshape(side, side)
    x = (np.arange(side)[None, :] * 100.0 + rng.normal(0, 22, (side, side))).ravel()
    y = (np.arange(side)[:, None] * 90.0 + rng.normal(0, 22, (side, side))).ravel()
    across = np.stack([node[:, :-1].ravel(), node[:, 1:].ravel()], axis=1)
    upward = np.stack([node[:-1].ravel(), node[1:].ravel()], axis=1)
    ends = np.concatenate([across, upward])
    breaks_across = np.cumsum(rng.random((side, side - 1)) < 1 / run, axis=1)
    breaks_upward = np.cumsum(rng.random((side - 1, side)) < 1 / run, axis=0)
    street = np.concatenate(
        [
            (node[:, :1] * side + breaks_across).ravel(),
            side**3 + (node[:1, :] * side + breaks_upward).ravel(),
        ]
    )
    chance = coo_array((rng.random(len(ends)) + 1, (ends[:, 0], ends[:, 1])))
    chance.resize((side * side, side * side))
    tree = minimum_spanning_tree(chance).tocoo()
    low, high = np.minimum(tree.row, tree.col), np.maximum(tree.row, tree.col)
    needed = np.isin(ends[:, 0] * side**2 + ends[:, 1], low.astype(np.int64) * side**2 + high)
    used = needed | (rng.random(len(ends)) < kept)
    ends = ends[used]
    street = np.where(rng.random(len(ends)) < 0.1, -1, street[used])
    a, b = ends[:, 0], ends[:, 1]
    length = np.hypot(x[a] - x[b], y[a] - y[b]) * rng.uniform(1, 1.2, len(ends))
    return SegmentNetwork(
        np.arange(len(ends)), a, b, length, length, street, (x[a] + x[b]) / 2, (y[a] + y[b]) / 2
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--metropolis", action="store_true", help="also 100,000 into 2,000")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    print(f"cores {os.cpu_count()}, load {os.getloadavg()[0]:.1f}")
    began = time.perf_counter()
    divide(lattice_town(60), 4)
    print(f"first division of 60 segments, with compilation or its cache: {_since(began)}")
    sizes = [(10_000, 500), *([(100_000, 2_000)] if chosen.metropolis else [])]
    for segments, grids in sizes:
        _compare(segments, grids, chosen.seed)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory {peak:.0f} MB")


def _compare(segments: int, grids: int, seed: int) -> None:
    town = lattice_town(segments, seed)
    print(f"\n{len(town)} segments into {grids} grids")
    began = time.perf_counter()
    alone = figures_of(town, metis_alone(town, grids, seed))
    _show("METIS alone", alone, _since(began))
    began = time.perf_counter()
    ours = divide(town, grids, seed=seed)
    _show("divide", ours.figures, _since(began))
    print(
        f"  ratio to METIS: excess over the mean {(ours.figures.balance - 1) / (alone.balance - 1):.2f}, "
        f"cut streets {ours.figures.cut_streets / alone.cut_streets:.2f}, "
        f"pieces {ours.figures.street_pieces / alone.street_pieces:.2f}, "
        f"compactness {ours.figures.compactness / alone.compactness:.2f}"
    )
    began = time.perf_counter()
    more = divide(town, grids + 1, in_force=ours.labels, keep=True, seed=seed)
    _show("one more, keep", more.figures, _since(began))


def _show(name: str, figures: DivisionFigures, taken: str) -> None:
    moved = figures.moved_length_share
    print(
        f"  {name:15s} {taken:>8s}  balance {figures.balance:.4f}  connected {figures.connected}"
        f"/{figures.grids}  cut streets {figures.cut_streets}  pieces {figures.street_pieces}"
        f"  compactness {figures.compactness:.3f}"
        + ("" if moved is None else f"  moved {100 * moved:.2f} % of the length")
    )


def _since(began: float) -> str:
    return f"{time.perf_counter() - began:.1f} s"


if __name__ == "__main__":
    main()
