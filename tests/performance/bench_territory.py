"""Territory of 100,000 segments, of 2,000 grids, and after moving one segment.

    python -m tests.performance.bench_territory [segments] [grids]

The peer is the usual way: points every few metres along the streets, shapely's Voronoi polygons, joined
by segment. It runs on a small part of the town only, because it takes so long.
"""

from __future__ import annotations

import itertools
import os
import resource
import sys
import time

import numpy as np
import shapely

from grid.nearest import SegmentIndex
from grid.territory import bad_parts, ground_of, territory, territory_after
from tests.performance.bench_nearest import lattice_town

PEER_SEGMENTS = 2000
STEP_M = 5.0


def clocked(work):
    start = time.perf_counter()
    answer = work()
    return time.perf_counter() - start, answer


def share_wrong(whole, index, left, right, count=200_000):
    """Share of random points whose label is not the rule's, and the farthest of them from a border."""
    west, south, east, north = shapely.total_bounds(whole.polygons)
    x, y = np.random.default_rng(3).uniform([[west], [south]], [[east], [north]], (2, count))
    points = shapely.points(x, y)
    at, which = shapely.STRtree(whole.polygons).query(points, "intersects")
    got = index.nearest(x[at], y[at], second=False)
    wrong = whole.labels[which] != np.where(got.side == 0, left[got.row], right[got.row])
    edges = shapely.boundary(whole.polygons[which[wrong]])
    off = shapely.distance(edges, points[at[wrong]])
    return wrong.mean(), off.max(initial=0.0)


def by_points(lines, town):
    """The peer: Voronoi polygons of points along the lines, joined by line."""
    dense = [shapely.get_coordinates(shapely.segmentize(line, STEP_M)) for line in lines]
    owner = np.repeat(np.arange(len(lines)), [len(xy) for xy in dense])
    points = shapely.multipoints(np.concatenate(dense))
    cells = shapely.get_parts(shapely.voronoi_polygons(points, extend_to=town))
    tree = shapely.STRtree(cells)
    at, cell = tree.query(shapely.get_parts(points), "intersects")
    labels = np.zeros(len(cells), int)
    labels[cell] = owner[at]
    order = np.argsort(labels, kind="stable")
    starts = np.flatnonzero(np.diff(labels[order], prepend=-1))
    joined = [shapely.union_all(group) for group in np.split(cells[order], starts[1:])]
    return shapely.intersection(joined, town)


def main(segments=100_000, grids=2000):
    ids, coords, offsets, rank = lattice_town(segments)
    index = SegmentIndex.build(ids, coords, offsets, rank)
    town = shapely.box(*coords.min(axis=0), *coords.max(axis=0)).buffer(60)
    each = np.arange(len(ids))
    print(f"{len(ids)} segments, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    ready, _ = clocked(
        lambda: territory(index, each, each, shapely.box(*coords[0], *coords[0] + 50))
    )
    print(f"kernels ready after {ready:.1f} s")

    took, whole = clocked(lambda: territory(index, each, each, town))
    wrong, off = share_wrong(whole, index, each, each)
    valid, sound = clocked(lambda: shapely.coverage_is_valid(whole.polygons))
    print(f"by segment: {took:.1f} s, valid coverage {sound} ({valid:.1f} s), area off by "
          f"{abs(shapely.area(whole.polygons).sum() - town.area):.6f} m2, {wrong:.2e} of the points wrong, "
          f"the farthest {off:.2f} m from a border")  # fmt: skip

    one = int(np.flatnonzero(ids == ids[len(ids) // 2])[0])
    line = index.line(one) + np.array([12.0, 9.0])

    def move():
        after = index.replace([], ids[[one]], line, [0, len(line)], [0])
        changed = np.vstack(
            [ground_of(each_index, ids[[one]], town) for each_index in (index, after)]
        )
        return territory_after(whole, after, each, each, town, changed)

    move_took, (_, anew) = clocked(move)
    print(f"after moving one segment: {move_took:.2f} s, {len(anew)} polygons made anew")

    middle = coords[offsets[:-1]]
    side = round(grids**0.5)
    place = (
        ((middle - middle.min(axis=0)) / np.ptp(middle, axis=0) * side)
        .astype(int)
        .clip(0, side - 1)
    )
    grid = place[:, 0] * side + place[:, 1]
    took, of_grids = clocked(lambda: territory(index, grid, grid, town))
    print(f"by {len(of_grids.labels)} grids: {took:.1f} s")
    handed = grid.copy()
    edge = np.flatnonzero(np.diff(place[:, 0]) != 0)[0]
    handed[edge] = grid[edge + 1]

    def hand_over():
        changed = ground_of(index, ids[[edge]], town)
        return territory_after(of_grids, index, handed, handed, town, changed)

    took, (_, anew) = clocked(hand_over)
    print(f"after handing one segment over: {took:.2f} s, {len(anew)} grids made anew")
    took, bad = clocked(lambda: bad_parts(of_grids, town))
    print(f"check of {len(of_grids.labels)} grids: {took:.1f} s, {len(bad)} bad parts")
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3:.0f} MB")

    ids, coords, offsets, rank = lattice_town(PEER_SEGMENTS)
    index = SegmentIndex.build(ids, coords, offsets, rank)
    town = shapely.box(*coords.min(axis=0), *coords.max(axis=0)).buffer(60)
    each = np.arange(len(ids))
    lines = [shapely.LineString(coords[a:b]) for a, b in itertools.pairwise(offsets)]
    ours, whole = clocked(lambda: territory(index, each, each, town))
    took, peer = clocked(lambda: by_points(lines, town))
    wrong, _ = share_wrong(whole, index, each, each)
    peer_wrong, off = share_wrong(type(whole)(each, np.array(peer)), index, each, each)
    print(f"{len(ids)} segments: ours {ours:.2f} s, Voronoi of points every {STEP_M:.0f} m {took:.2f} s: "
          f"{took / ours:.1f} times as fast; of the points {wrong:.2e} and {peer_wrong:.2e} wrong, "
          f"the peer's up to {off:.1f} m from a border")  # fmt: skip


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
