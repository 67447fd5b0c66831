"""What is of the town and what lies outside: one rule for single points, long files and words.

THE RULE (DECISIONS.md). Where the town's boundary was imported, a point more than 0.5 m beyond it is outside, however
near a street runs. A point farther than `reach_m` from every street is outside too (a wrong datum looks like that),
unless a person set it by hand within the boundary.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

import numpy as np
import shapely
from numpy.typing import NDArray
from sqlalchemy import text
from sqlalchemy.orm import Session

from grid.core.crs import geometries_to_plane

# Two who draw one line differ so much; as `gridward check` counts.
ON_BOUNDARY_M = 0.5

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Reach:
    """The town's boundary in the plane (None where none was imported) and how far its streets reach, metres."""

    boundary: shapely.Geometry | None
    reach_m: float

    def beyond_m(self, x_m: Floats, y_m: Floats) -> Floats:
        """How far points lie beyond the boundary, metres; 0 inside, and where no boundary is known."""
        found = np.zeros(len(x_m))
        if self.boundary is None:
            return found
        shapely.prepare(self.boundary)
        away = ~shapely.contains_xy(self.boundary, x_m, y_m)
        if not away.any():
            return found
        away &= np.isfinite(x_m) & np.isfinite(y_m)
        found[away] = shapely.distance(self.boundary, shapely.points(x_m[away], y_m[away]))
        return found

    def point_beyond_m(self, x_m: float, y_m: float) -> float:
        """`beyond_m` of one point."""
        if self.boundary is None or shapely.contains_xy(self.boundary, x_m, y_m):
            return 0.0
        return float(self.beyond_m(np.array([x_m]), np.array([y_m]))[0])

    def holds(
        self, x_m: Floats, y_m: Floats, distance_m: Floats, by_hand: bool = False
    ) -> NDArray[np.bool_]:
        """Which points are of the town; distance_m: to the nearest street, inf where there is none."""
        near = distance_m <= self.reach_m
        if self.boundary is None:
            return near
        inside = self.beyond_m(x_m, y_m) <= ON_BOUNDARY_M
        return inside & np.isfinite(distance_m) if by_hand else inside & near

    def holds_point(self, x_m: float, y_m: float, distance_m: float, by_hand: bool = False) -> bool:
        """`holds` of one point."""
        near = distance_m <= self.reach_m
        if self.boundary is None:
            return near
        inside = self.point_beyond_m(x_m, y_m) <= ON_BOUNDARY_M
        return inside and (isfinite(distance_m) if by_hand else near)


def read_boundary(session: Session, epsg: int) -> shapely.Geometry | None:
    """The town's boundary in the plane, None where none was imported."""
    stored = session.scalar(
        text("select st_asbinary(boundary) from town where boundary is not null")
    )
    if stored is None:
        return None
    boundary = shapely.make_valid(geometries_to_plane([shapely.from_wkb(bytes(stored))], epsg)[0])
    # Each report's place is asked of it.
    shapely.prepare(boundary)
    return boundary
