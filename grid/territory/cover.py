"""The territory of a town: every point of the ground belongs to the nearest segment's label.

Borders are traced on a lattice (trace.py), joined with the town's boundary and with the areas that go
before, and closed to faces. Neighbours share every vertex of their common border: no gap, no overlap.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray

from grid.core.errors import BadInput
from grid.nearest import SegmentIndex
from grid.territory import kernels
from grid.territory.trace import TILE_M, Borders, squares, tiles_touching, traced

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Shapes = NDArray[np.object_]

ON_LINE_M = 1e-6
SPECK_M2 = 1e-9  # the rounding of three vertices, not ground


@dataclass(frozen=True, slots=True)
class Territory:
    """One (Multi)Polygon in the plane for each label that has ground, labels ascending."""

    labels: Ints
    polygons: Shapes


@dataclass(frozen=True, slots=True)
class Reserved:
    """An area given to a label before the segments' ground; of two that overlap the first has it."""

    area: shapely.Geometry
    label: int


def territory(
    index: SegmentIndex,
    labels_left: ArrayLike,
    labels_right: ArrayLike,
    boundary: shapely.Geometry,
    reserved: Sequence[Reserved] = (),
    threads: int | None = None,
) -> Territory:
    """The ground of each label inside the boundary, a gapless coverage without overlaps, plane metres.

    labels_left[row], labels_right[row]: whole numbers for the two sides of each row of the index (a grid,
    or a number for each segment or side). Within 0.15 m of the borders of the stated rule; ground thinner
    than 6 cm may be missing. BadInput `territory.no_segments`, `territory.boundary_unusable`,
    `ground.lengths_differ`, `territory.area_unusable` (position).
    """
    left, right = checked_labels(index, labels_left, labels_right)
    town, areas = checked_boundary(boundary), checked_areas(reserved)
    tiles = tiles_touching(town)
    borders = traced(index, left, right, tiles, threads)
    faces, labels = closed(borders, tiles, town, areas, index, left, right)
    if abs(float(shapely.area(faces).sum()) - town.area) > 1e-6 * town.area:
        # thinned lines met where ground is thinner than the thinning
        faces, labels = closed(borders, tiles, town, areas, index, left, right, node_all=True)
    return gathered(faces, labels)


def territory_after(
    before: Territory,
    index: SegmentIndex,
    labels_left: ArrayLike,
    labels_right: ArrayLike,
    boundary: shapely.Geometry,
    changed: NDArray[np.float64],
    reserved: Sequence[Reserved] = (),
    threads: int | None = None,
) -> tuple[Territory, Ints]:
    """The territory after a change, made anew only where needed: (territory, labels made anew).

    `changed` (k, 4): squares outside which the answers are the same: `ground_of` the changed segments in
    the index before and in `index`. Boundary and reserved areas must be those of `before`. The result is
    the same as that of `territory`. Same troubles.
    """
    left, right = checked_labels(index, labels_left, labels_right)
    town, areas = checked_boundary(boundary), checked_areas(reserved)
    boxes = shapely.box(*np.asarray(changed, np.float64).reshape(-1, 4).T)
    # a tile cut by the boundary changes as a whole: what changed outside may move its lines inside
    rings = all_rings(town, areas)
    corners = tiles_touching(shapely.union_all(boxes)) // kernels.TILE
    whole_tiles = squares(corners, TILE_M)
    boxes = np.concatenate([boxes, whole_tiles[shapely.intersects(rings, whole_tiles)]])
    shapely.prepare(town)
    boxes = boxes[shapely.intersects(town, boxes)]
    if not len(boxes):
        return before, np.empty(0, np.int64)
    tree = shapely.STRtree(before.polygons)
    touched = np.unique(before.labels[tree.query(boxes, predicate="intersects")[1]])
    while True:
        old = np.isin(before.labels, touched)
        region = shapely.union_all([*before.polygons[old], *boxes])
        tiles = tiles_touching(region)
        tiles = tiles[shapely.intersects(town, squares(tiles // kernels.TILE, TILE_M))]
        borders = traced(index, left, right, tiles, threads)
        near = shapely.STRtree(boxes).query(borders.lines(), predicate="intersects")[0]
        grown = np.union1d(touched, borders.labels[near])
        if len(grown) == len(touched):
            break
        touched = grown
    faces, labels = closed(borders, tiles, town, areas, index, left, right)
    ours = np.isin(labels, touched)
    part = gathered(faces[ours], labels[ours])
    owed = float(shapely.area(before.polygons[old]).sum())
    beside = tree.query(part.polygons, predicate="intersects")[1]
    others = before.polygons[np.setdiff1d(beside, np.flatnonzero(old))]
    fits = shapely.coverage_is_valid(np.concatenate([part.polygons, others]))
    if not fits or abs(float(shapely.area(part.polygons).sum()) - owed) > 1e-6 * max(owed, 1.0):
        # a line beside the change came out otherwise than before: only the whole is sure
        whole = territory(index, left, right, town, reserved, threads)
        return whole, np.union1d(before.labels, whole.labels)
    everything = np.concatenate([before.labels[~old], part.labels])
    polygons = np.concatenate([before.polygons[~old], part.polygons])
    order = np.argsort(everything)
    return Territory(everything[order], polygons[order]), touched


def checked_labels(index: SegmentIndex, left: ArrayLike, right: ArrayLike) -> tuple[Ints, Ints]:
    a = np.ascontiguousarray(left, dtype=np.int64)
    b = np.ascontiguousarray(right, dtype=np.int64)
    if a.shape != index.segment_ids.shape or b.shape != index.segment_ids.shape:
        raise BadInput("ground.lengths_differ", field="labels")
    if not (index.row_lo >= 0).any():
        raise BadInput("territory.no_segments", field="segments")
    return a, b


def checked_boundary(boundary: shapely.Geometry) -> shapely.Geometry:
    usable = shapely.get_dimensions(boundary) == 2 and not boundary.is_empty and boundary.is_valid
    if not usable:
        raise BadInput("territory.boundary_unusable", field="boundary")
    return boundary


def checked_areas(reserved: Sequence[Reserved]) -> list[Reserved]:
    """The reserved areas, each without those before it."""
    out: list[Reserved] = []
    taken = shapely.Polygon()
    for position, one in enumerate(reserved):
        if shapely.get_dimensions(one.area) != 2 or not one.area.is_valid:
            raise BadInput("territory.area_unusable", field="reserved", position=position)
        rest = shapely.difference(one.area, taken) if taken.intersects(one.area) else one.area
        taken = shapely.union(taken, one.area)
        if rest.area > 0:
            out.append(Reserved(rest, one.label))
    return out


def all_rings(town: shapely.Geometry, areas: list[Reserved]) -> shapely.Geometry:
    """The boundary and the outlines of the reserved areas, noded with each other and prepared."""
    rings = shapely.union_all([town.boundary, *(shapely.boundary(one.area) for one in areas)])
    shapely.prepare(rings)
    return rings


def closed(
    borders: Borders,
    tiles: Ints,
    town: shapely.Geometry,
    areas: list[Reserved],
    index: SegmentIndex,
    left: Ints,
    right: Ints,
    node_all: bool = False,
) -> tuple[Shapes, Ints]:
    """Faces inside the town and the label of each, from border lines in tiles.

    Only lines in tiles that the boundary or a reserved area cuts have to be noded with them; the others
    fit together as they are. `node_all` nodes everything.
    """
    lines = borders.lines()
    rings = all_rings(town, areas)
    given = shapely.union_all([one.area for one in areas])
    for shape in (town, given):
        shapely.prepare(shape)
    cut = shapely.intersects(rings, squares(tiles // kernels.TILE, TILE_M)) | node_all
    at_edge = cut[borders.tile]
    inner = lines[~at_edge]
    inner = inner[~shapely.contains(given, shapely.get_point(inner, 0))]
    noded = shapely.get_parts(shapely.union_all([rings, *lines[at_edge]]))
    middle = shapely.line_interpolate_point(noded, 0.5, normalized=True)
    on_ring = shapely.dwithin(rings, middle, ON_LINE_M)
    free = shapely.contains(town, middle) & ~shapely.contains(given, middle)
    wanted = np.where(on_ring, shapely.dwithin(town, middle, ON_LINE_M), free)
    faces = shapely.get_parts(shapely.polygonize(np.concatenate([inner, noded[wanted]])))
    faces = shapely.orient_polygons(faces[shapely.area(faces) > SPECK_M2])
    labels, told = labels_by_edges(faces, borders)
    unsure = np.flatnonzero(~told)
    points = shapely.point_on_surface(faces[unsure])
    labels[unsure] = labels_by_rule(points, index, left, right)
    keep = np.ones(len(faces), bool)
    keep[unsure] = shapely.contains(town, points)
    if areas:
        where, which = shapely.STRtree([one.area for one in areas]).query(points, "within")
        labels[unsure[where]] = np.array([one.label for one in areas], np.int64)[which]
    return faces[keep], labels[keep]


def edge_keys(start: Floats, end: Floats) -> NDArray[np.uint64]:
    """A number for each directed edge, equal for equal coordinates."""
    key = np.zeros(len(start), np.uint64)
    for column in (start[:, 0], start[:, 1], end[:, 0], end[:, 1]):
        key ^= np.ascontiguousarray(column).view(np.uint64)
        key *= np.uint64(0x9E3779B97F4A7C15)
        key ^= key >> np.uint64(29)
    return key


def labels_by_edges(faces: Shapes, borders: Borders) -> tuple[Ints, NDArray[np.bool_]]:
    """Labels of faces (counter-clockwise) that have a whole border edge, by the longest; and which have."""
    labels = np.zeros(len(faces), np.int64)
    told = np.zeros(len(faces), bool)
    if not len(faces) or not len(borders.labels):
        return labels, told
    inside = np.ones(len(borders.vertices), bool)
    inside[borders.offsets[1:] - 1] = False
    at = np.flatnonzero(inside)
    line = np.searchsorted(borders.offsets, at, side="right") - 1
    a, b = borders.vertices[at], borders.vertices[at + 1]
    keys = np.concatenate([edge_keys(a, b), edge_keys(b, a)])
    known = np.concatenate([borders.labels[line, 0], borders.labels[line, 1]])
    order = np.argsort(keys)
    keys, known = keys[order], known[order]
    rings, of = shapely.get_rings(faces, return_index=True)
    xy, ring = shapely.get_coordinates(rings, return_index=True)
    start = np.flatnonzero(ring[:-1] == ring[1:])
    asked = edge_keys(xy[start], xy[start + 1])
    place = np.minimum(np.searchsorted(keys, asked), len(keys) - 1)
    hit = keys[place] == asked
    start, place = start[hit], place[hit]
    face = of[ring[start]]
    length = np.hypot(*(xy[start + 1] - xy[start]).T)
    by_length = np.lexsort((length, face))
    last = np.flatnonzero(np.diff(face[by_length], append=-1))
    longest = by_length[last]
    labels[face[longest]] = known[place[longest]]
    told[face[longest]] = True
    return labels, told


def labels_by_rule(points: Shapes, index: SegmentIndex, left: Ints, right: Ints) -> Ints:
    """Labels of points by the stated rule."""
    got = index.nearest(shapely.get_x(points), shapely.get_y(points), second=False)
    return np.where(got.side == 0, left[got.row], right[got.row])


def gathered(faces: Shapes, labels: Ints) -> Territory:
    """One geometry for each label."""
    order = np.argsort(labels, kind="stable")
    faces, labels = faces[order], labels[order]
    names, starts, counts = np.unique(labels, return_index=True, return_counts=True)
    polygons = faces[starts].copy()
    for k in np.flatnonzero(counts > 1):
        polygons[k] = shapely.coverage_union_all(faces[starts[k] : starts[k] + counts[k]])
    return Territory(names, polygons)
