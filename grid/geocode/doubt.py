"""Reasons to doubt a point: it disagrees with its own words, or it is a default that many reports carry."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import shapely
from numpy.typing import ArrayLike

from grid.geocode.model import Answer

# One coordinate under so many different places in words is a default, not a place.
DEFAULT_POINT_TEXTS = 30
# Digits at which two points are one: a decimetre finer than any phone.
SAME_POINT_DIGITS = 6


@dataclass(frozen=True, slots=True)
class DefaultPoint:
    """A coordinate that stands for "unknown": how many rows carry it, with how many different texts."""

    lon: float
    lat: float
    rows: int
    texts: int


def disagrees(point: tuple[float, float], answer: Answer, *, limit_m: float) -> float | None:
    """Metres between a point (plane) and where its words lie, when more than `limit_m` beyond their spread.

    A span or street is measured to its line. None when they agree.
    """
    if answer.x_m is None or answer.y_m is None:
        return None
    if answer.line:
        here = shapely.Point(point)
        apart_m = min(
            here.distance(shapely.LineString(part)) for part in answer.line if len(part) > 1
        )
        beyond_m = apart_m
    else:
        apart_m = math.hypot(point[0] - answer.x_m, point[1] - answer.y_m)
        beyond_m = apart_m - answer.spread_m
    return apart_m if beyond_m > limit_m else None


def default_points(lon: ArrayLike, lat: ArrayLike, texts: Sequence[str]) -> list[DefaultPoint]:
    """Coordinates (degrees) that many rows with different texts share, the most frequent first.

    Rows without words count for none. A real place may carry many reports, but not many addresses: the
    rule is DEFAULT_POINT_TEXTS different texts at one coordinate, and ten times as many as at the
    coordinate in the 99th percentile.
    """
    frame = pd.DataFrame(
        {
            "lon": np.round(np.asarray(lon, dtype=np.float64), SAME_POINT_DIGITS),
            "lat": np.round(np.asarray(lat, dtype=np.float64), SAME_POINT_DIGITS),
            "text": pd.Series(list(texts), dtype=object).fillna("").astype(str).str.strip(),
        }
    ).dropna(subset=["lon", "lat"])
    if frame.empty:
        return []
    worded = frame[frame["text"] != ""]
    different = worded.groupby(["lon", "lat"])["text"].nunique()
    if different.empty:
        return []
    usual = float(np.percentile(different.to_numpy(), 99))
    bound = max(DEFAULT_POINT_TEXTS, 10.0 * usual)
    rows = frame.groupby(["lon", "lat"]).size()
    found = [
        DefaultPoint(float(key[0]), float(key[1]), int(rows[key]), int(count))
        for key, count in different[different >= bound].items()
    ]
    return sorted(found, key=lambda point: -point.texts)
