"""Borders between labels over the tiles of an area: the compiled tracing, shared among threads."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from grid.nearest import SegmentIndex
from grid.territory import kernels

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

TILE_M = kernels.TILE * kernels.UNIT_M
GROUP = 8  # tiles a side that share one look at the index
SQUARE_M = kernels.ACCEPT * kernels.UNIT_M


@dataclass(frozen=True, slots=True)
class Borders:
    """k border lines: vertices (m, 2) in plane metres, offsets (k + 1), labels (k, 2) left and right,
    tile (k): position in the tiles traced."""

    vertices: Floats
    offsets: Ints
    labels: Ints
    tile: Ints

    def lines(self) -> NDArray[np.object_]:
        """The border lines as shapely LineStrings."""
        of = np.repeat(np.arange(len(self.labels)), np.diff(self.offsets))
        return np.asarray(shapely.linestrings(self.vertices, indices=of), dtype=object)


def tiles_touching(area: shapely.Geometry) -> Ints:
    """Least lattice corners (n, 2), in units, of the tiles that an area in the plane touches."""
    if area.is_empty:
        return np.empty((0, 2), np.int64)
    size = np.array([TILE_M * GROUP, TILE_M])
    shapely.prepare(area)
    west, south, east, north = area.bounds
    columns = np.arange(np.floor(west / size[0]), np.floor(east / size[0]) + 1)
    rows = np.arange(np.floor(south / size[0]), np.floor(north / size[0]) + 1)
    groups = np.stack(np.meshgrid(columns, rows), axis=-1).reshape(-1, 2)
    groups = groups[shapely.intersects(area, squares(groups, size[0]))]
    inside = np.stack(np.meshgrid(np.arange(GROUP), np.arange(GROUP)), axis=-1).reshape(-1, 2)
    tiles = (groups[:, None, :] * GROUP + inside).reshape(-1, 2)
    tiles = tiles[shapely.intersects(area, squares(tiles, size[1]))]
    corners: Ints = tiles.astype(np.int64) * kernels.TILE
    return corners


def squares(places: NDArray[np.generic], size_m: float) -> NDArray[np.object_]:
    """The squares of a lattice of size_m by their column and row (n, 2)."""
    low = np.asarray(places, np.float64) * size_m
    return np.asarray(
        shapely.box(low[:, 0], low[:, 1], low[:, 0] + size_m, low[:, 1] + size_m), dtype=object
    )


def traced(
    index: SegmentIndex, left: Ints, right: Ints, tiles: Ints, threads: int | None = None
) -> Borders:
    """The borders between labels left[row], right[row] inside the given tiles (`tiles_touching`)."""
    if not len(tiles):
        return Borders(
            np.empty((0, 2)),
            np.zeros(1, np.int64),
            np.empty((0, 2), np.int64),
            np.empty(0, np.int64),
        )
    group = tiles // (kernels.TILE * GROUP)
    order = np.lexsort((group[:, 0], group[:, 1]))
    starts = np.flatnonzero(np.r_[True, (np.diff(group[order], axis=0) != 0).any(axis=1)])
    tasks = np.split(order, starts[1:])
    half = TILE_M * GROUP / 2

    def one(members: Ints) -> Borders:
        middle = (group[members[0]] + 0.5) * TILE_M * GROUP
        edges = index.edges_about(float(middle[0]), float(middle[1]), half)
        vertices, offsets, labels, tile = kernels.trace(
            index.store.coords, index.vertex_row, index.row_lo, index.row_hi, index.rank,
            index.segment_ids, left, right, edges, tiles[members],
        )  # fmt: skip
        return Borders(vertices, offsets, labels, members[tile])

    workers = threads or os.cpu_count() or 1
    if workers == 1 or len(tasks) == 1:
        parts = [one(task) for task in tasks]
    else:
        with ThreadPoolExecutor(workers) as team:
            parts = list(team.map(one, tasks))
    sizes = np.cumsum([0] + [len(part.vertices) for part in parts[:-1]])
    return Borders(
        np.concatenate([part.vertices for part in parts]),
        np.concatenate(
            [np.zeros(1, np.int64)]
            + [part.offsets[1:] + size for part, size in zip(parts, sizes, strict=True)]
        ),
        np.concatenate([part.labels for part in parts]),
        np.concatenate([part.tile for part in parts]),
    )


def ground_of(
    index: SegmentIndex, segment_ids: NDArray[np.int64], boundary: shapely.Geometry
) -> Floats:
    """Squares (west, south, east, north), plane metres, outside which none of the segments is nearest.

    Only squares near the boundary's inside count. For `territory_after`: the ground of the changed
    segments in the index before the change and in the one after.
    """
    chosen = np.isin(index.segment_ids, segment_ids) & (index.row_lo >= 0)
    span = kernels.TILE * GROUP
    groups = np.unique(tiles_touching(boundary) // span, axis=0)
    half = TILE_M * GROUP / 2
    found = [np.empty((0, 2), np.int64)]
    for group in groups if chosen.any() else groups[:0]:
        middle = (group + 0.5) * TILE_M * GROUP
        edges = index.edges_about(float(middle[0]), float(middle[1]), half)
        if chosen[index.vertex_row[edges]].any():
            i, j = group * span
            found.append(
                kernels.ground(index.store.coords, index.vertex_row, edges, chosen, i, j, span)
            )
    low = np.concatenate(found) * kernels.UNIT_M
    return np.hstack([low, low + SQUARE_M])
