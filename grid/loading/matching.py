"""What a file's row is of what is there already: the same shape, the same names, and what a load did."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
import shapely

# Degrees, about a millimetre: what a file loses by its decimals, or by another system and back.
SAME_DEG = 1e-8

Names = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Loaded:
    """How many rows of a load were new, how many changed one that was there, how many were taken away."""

    new: int = 0
    changed: int = 0
    retired: int = 0

    @property
    def touched(self) -> int:
        """Rows that are new or changed."""
        return self.new + self.changed

    def plain(self) -> dict[str, int]:
        """As printed."""
        return {"new_or_changed": self.touched, "new": self.new, "retired": self.retired}


def same_shape(one: shapely.Geometry | None, other: shapely.Geometry | None) -> bool:
    """Whether two geometries (degrees) are the same within SAME_DEG, wherever their rings begin and however they turn."""
    if one is None or other is None:
        return one is other
    if max(abs(a - b) for a, b in zip(one.bounds, other.bounds, strict=True)) > SAME_DEG:
        return False
    if one.normalize().equals_exact(other.normalize(), SAME_DEG):
        return True
    # The last digit may let a ring begin elsewhere; the line that it draws stays.
    areas = one.area > 0 and other.area > 0
    return areas and bool(shapely.hausdorff_distance(one.boundary, other.boundary) <= SAME_DEG)


def joined_names(was: Names, now: Names, spoken: Collection[str]) -> dict[str, Any]:
    """Names by language: those of the file, and those in languages that it does not speak."""
    return {key: value for key, value in was.items() if key not in spoken} | dict(now)


def multipolygon(geometry: shapely.Geometry) -> shapely.MultiPolygon | None:
    """The area of a geometry as a MultiPolygon; None for points and lines."""
    parts = [part for part in shapely.get_parts(geometry) if isinstance(part, shapely.Polygon)]
    return shapely.MultiPolygon(parts) if parts else None


def plain_text(value: object) -> str | None:
    """Text, None where there is none."""
    return None if value is None or pd.isna(value) else str(value)  # type: ignore[call-overload]
