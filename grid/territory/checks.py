"""Whether a territory is whole: gaps, overlaps and what lies outside, each with its place and size."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely

from grid.territory.cover import Territory

LEAST_M2 = 0.01


@dataclass(frozen=True, slots=True)
class BadPart:
    """A part of the ground at fault: kind "gap", "overlap", "outside" or "invalid", labels, area, shape."""

    kind: str
    labels: tuple[int, ...]
    area_m2: float
    shape: shapely.Geometry


def bad_parts(
    whole: Territory, boundary: shapely.Geometry, least_m2: float = LEAST_M2
) -> list[BadPart]:
    """Everything wrong with a territory inside a boundary, parts under least_m2 left out; empty when whole."""
    out = [
        BadPart("invalid", (int(label),), float(shape.area), shape)
        for label, shape in zip(whole.labels, whole.polygons, strict=True)
        if not shape.is_valid
    ]
    polygons = np.where(
        shapely.is_valid(whole.polygons), whole.polygons, shapely.make_valid(whole.polygons)
    )
    loose = ~shapely.is_empty(shapely.coverage_invalid_edges(polygons))
    suspects = np.flatnonzero(loose)
    pairs = shapely.STRtree(polygons).query(polygons[suspects], predicate="intersects")
    seen = {(min(suspects[a], b), max(suspects[a], b)) for a, b in pairs.T if suspects[a] != b}
    for a, b in sorted(seen):
        shared = shapely.intersection(polygons[a], polygons[b])
        if shared.area > least_m2:
            labels = (int(whole.labels[a]), int(whole.labels[b]))
            out.append(BadPart("overlap", labels, float(shared.area), shared))
    covered = shapely.union_all(polygons) if len(suspects) else shapely.coverage_union_all(polygons)
    for kind, rest in (
        ("gap", shapely.difference(boundary, covered)),
        ("outside", shapely.difference(covered, boundary)),
    ):
        out += [
            BadPart(kind, (), float(shape.area), shape)
            for shape in shapely.get_parts(rest)
            if shape.area > least_m2
        ]
    return out
