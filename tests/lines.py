"""Lines and points measured with shapely alone, for tests of the stated rule."""

from __future__ import annotations

import itertools

import numpy as np
import shapely


def beyond_m(line: shapely.LineString, x_m: float, y_m: float) -> float:
    """How far a point lies past the nearest end or corner of a line, in the line's direction there."""
    point = np.array([x_m, y_m])
    least_m = line.distance(shapely.Point(x_m, y_m))
    away = []
    for a, b in itertools.pairwise(shapely.get_coordinates(line)):
        length_m = np.hypot(*(b - a))
        if length_m == 0:
            if np.hypot(*(point - a)) <= least_m + 1e-6:
                away.append(float(np.hypot(*(point - a))))
            continue
        if shapely.LineString([a, b]).distance(shapely.Point(x_m, y_m)) <= least_m + 1e-6:
            share_m = float((point - a) @ (b - a) / length_m)
            away.append(max(0.0, -share_m, share_m - length_m))
    return min(away)
