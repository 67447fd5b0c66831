"""What a division is worth, in figures: balance, connectedness, compactness, cut streets, hand-overs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely

from grid.division.network import (
    NO_LINKS,
    Bool,
    Float64,
    Int64,
    SegmentNetwork,
    meetings,
    pieces,
    totals,
)


@dataclass(frozen=True, slots=True)
class DivisionFigures:
    """Figures of one division.

    balance: heaviest grid over the mean · lightest: lightest grid over the mean · connected: number of connected
    grids · compactness: mean of the grids' (see `compactness_of`) · cut_streets: named streets that lie in more
    than one grid · street_pieces: pairs of a named street and a grid it lies in · moved_length_share: length whose
    grid is another than in force, over all length that had a grid (None without a division in force).
    By grid, in the order of `grid_labels` Int64[k]: weight, length_m, segments, is_connected, compactness_by_grid.
    """

    grids: int
    balance: float
    lightest: float
    connected: int
    compactness: float
    cut_streets: int
    street_pieces: int
    moved_length_share: float | None
    grid_labels: Int64
    weight: Float64
    length_m: Float64
    segments: Int64
    is_connected: Bool
    compactness_by_grid: Float64


def figures_of(
    network: SegmentNetwork,
    labels: Int64,
    links: Int64 = NO_LINKS,
    in_force: Int64 | None = None,
) -> DivisionFigures:
    """Figures of any labels, made here or drawn by hand; rows with label -1 have no grid and are left out.

    links Int64[m, 2] are segment ids, as `Division.links` gives them; in_force Int64[n] the labels now (-1 = none).
    """
    placed = labels >= 0
    grid_labels, at = np.unique(labels[placed], return_inverse=True)
    count = len(grid_labels)
    weight = totals(at, network.weight[placed], count)
    broken = disconnected(network, labels, links)
    is_connected = ~np.isin(grid_labels, broken)
    compact = compactness_of(
        at, count, network.x_m[placed], network.y_m[placed], network.length_m[placed]
    )
    cut, parts = street_cuts(network.street[placed], labels[placed])
    mean = float(weight.mean()) if count else 0.0
    return DivisionFigures(
        grids=count,
        balance=float(weight.max()) / mean if mean > 0 else 1.0,
        lightest=float(weight.min()) / mean if mean > 0 else 1.0,
        connected=int(is_connected.sum()),
        compactness=float(compact.mean()) if count else 1.0,
        cut_streets=cut,
        street_pieces=parts,
        moved_length_share=None if in_force is None else moved_share(network, labels, in_force),
        grid_labels=grid_labels.astype(np.int64),
        weight=weight,
        length_m=totals(at, network.length_m[placed], count),
        segments=np.bincount(at, minlength=count).astype(np.int64),
        is_connected=is_connected,
        compactness_by_grid=compact,
    )


def street_cuts(street: Int64, labels: Int64) -> tuple[int, int]:
    """(streets in more than one grid, pairs of street and grid); unnamed segments (-1) count for neither."""
    named = street >= 0
    if not named.any():
        return 0, 0
    pairs = np.unique(np.stack([street[named], labels[named]], axis=1), axis=0)
    grids_of = np.unique(pairs[:, 0], return_counts=True)[1]
    return int((grids_of > 1).sum()), len(pairs)


def disconnected(network: SegmentNetwork, labels: Int64, links: Int64 = NO_LINKS) -> Int64:
    """Labels whose segments are not connected by shared crossings and links (segment ids), sorted; -1 is left out."""
    piece = pieces(meetings(network, link_rows(network, links)), labels)
    pairs = np.unique(np.stack([labels, piece], axis=1), axis=0)
    names, count = np.unique(pairs[:, 0], return_counts=True)
    return np.asarray(names[(count > 1) & (names >= 0)], dtype=np.int64)


def link_rows(network: SegmentNetwork, links: Int64) -> Int64:
    """Links given as segment ids, as row numbers; links to segments that are gone are left out."""
    if len(links) == 0:
        return NO_LINKS
    order = np.argsort(network.segment_ids)
    ids = network.segment_ids[order]
    at = np.minimum(np.searchsorted(ids, links), len(ids) - 1)
    known = (ids[at] == links).all(axis=1)
    return np.asarray(order[at[known]], dtype=np.int64)


def moved_share(network: SegmentNetwork, labels: Int64, in_force: Int64) -> float:
    """Length whose grid changed over all length that had a grid in force; 0 where nothing had one."""
    had = in_force >= 0
    total = float(network.length_m[had].sum())
    moved = float(network.length_m[had & (labels != in_force)].sum())
    return moved / total if total > 0 else 0.0


def compactness_of(at: Int64, count: int, x_m: Float64, y_m: Float64, length_m: Float64) -> Float64:
    """Compactness by grid, 0..1: A / (2 pi m), with A the area of the convex hull of the segments' midpoints and m
    their mean squared distance to the grid's centre, both weighted by length.

    1 for ground evenly spread over a disc, 0.95 for a square, near 0 for a string (the moment of inertia measure of
    shape). Few points lie mostly on their own hull, so compare only divisions into about as many grids. A grid of
    one segment is 1.
    """
    mass = np.maximum(length_m, 1e-9)
    total = totals(at, mass, count)
    centre_x = totals(at, mass * x_m, count) / total
    centre_y = totals(at, mass * y_m, count) / total
    squared = (x_m - centre_x[at]) ** 2 + (y_m - centre_y[at]) ** 2
    spread = totals(at, mass * squared, count) / total
    order = np.argsort(at, kind="stable")
    clouds = shapely.multipoints(
        shapely.points(x_m[order], y_m[order]), indices=at[order].astype(np.intp)
    )
    area = shapely.area(shapely.convex_hull(clouds))
    single = np.bincount(at, minlength=count) == 1
    with np.errstate(divide="ignore", invalid="ignore"):
        shape = np.minimum(area / (2 * np.pi * spread), 1.0)
    return np.where(single | (spread <= 0), 1.0, shape)
