"""Points that should not be believed: one coordinate under hundreds of different addresses, or far from its own text."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from grid.core.values import dataclass
from grid.geocode.lines import Point
from grid.geocode.model import Answer

LEAST_TEXTS = 30
"""So many different texts on one coordinate before it can be called a default point."""
TIMES_USUAL = 5.0
"""… and so many times the 99.9th percentile of the other coordinates."""


@dataclass(frozen=True, slots=True)
class DefaultPoint:
    """A coordinate that stands for "unknown": rows that carry it, different texts among them, their row numbers."""

    lon: float
    lat: float
    rows: int
    texts: int
    row_numbers: tuple[int, ...]


def default_points(
    lon: ArrayLike, lat: ArrayLike, text: Sequence[str | None], decimals: int = 6
) -> list[DefaultPoint]:
    """Coordinates of a batch that carry clearly too many different address texts, most texts first.

    lon, lat: degrees (or metres), nan where none. text: the address as written, blank where none. A coordinate
    counts from LEAST_TEXTS different texts on, when that is also TIMES_USUAL times what all but one in a
    thousand of the batch's coordinates carry.
    """
    x = np.round(np.asarray(lon, dtype=np.float64), decimals)
    y = np.round(np.asarray(lat, dtype=np.float64), decimals)
    words = np.asarray(
        [(t or "").strip() if isinstance(t, str) else "" for t in text], dtype=object
    )
    valid = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
    if len(valid) == 0:
        return []
    points, of_row = np.unique(np.column_stack([x[valid], y[valid]]), axis=0, return_inverse=True)
    of_row = of_row.reshape(-1)
    names = {name: i for i, name in enumerate(dict.fromkeys(words[valid]))}
    said = np.fromiter((names[w] for w in words[valid]), dtype=np.int64, count=len(valid))
    has_text = words[valid] != ""
    pairs = np.unique(np.column_stack([of_row[has_text], said[has_text]]), axis=0)
    texts = (
        np.bincount(pairs[:, 0], minlength=len(points))
        if len(pairs)
        else np.zeros(len(points), dtype=np.int64)
    )
    rows = np.bincount(of_row, minlength=len(points))
    found = []
    for p in np.flatnonzero(texts >= LEAST_TEXTS):
        others = np.delete(texts, p)
        usual = float(np.quantile(others, 0.999)) if len(others) else 0.0
        if texts[p] >= TIMES_USUAL * max(usual, 1.0):
            numbers = tuple(int(r) for r in valid[of_row == p])
            found.append(
                DefaultPoint(
                    float(points[p, 0]), float(points[p, 1]), int(rows[p]), int(texts[p]), numbers
                )
            )
    found.sort(key=lambda d: (-d.texts, d.lon, d.lat))
    return found


def disagrees(point: Point, answer: Answer, limit_m: float = 200.0) -> float | None:
    """Metres by which a point (plane metres) lies further from where its own text lies than may be; None when it agrees.

    A point may lie `limit_m` beyond the text answer's own spread; for spans and whole streets the distance is taken
    from the line. Answers that a person must decide say nothing against a point, except a whole street's line.
    """
    if answer.x_m is None or answer.y_m is None or answer.match == "none":
        return None
    if answer.line is not None:
        away = min(_to_line(point, part.tolist()) for part in answer.line)
        allowed = limit_m
    else:
        away = math.dist(point, (answer.x_m, answer.y_m))
        allowed = limit_m + answer.spread_m
    if answer.needs_person and answer.line is None:
        return None
    if answer.corrections and answer.needs_person:
        return None
    return away if away > allowed else None


def _to_line(point: Point, line: list[list[float]]) -> float:
    best = math.inf
    for (ax, ay), (bx, by) in itertools.pairwise(line):
        dx, dy = bx - ax, by - ay
        square = dx * dx + dy * dy
        share = (
            0.0
            if square == 0
            else min(1.0, max(0.0, ((point[0] - ax) * dx + (point[1] - ay) * dy) / square))
        )
        best = min(best, math.hypot(ax + share * dx - point[0], ay + share * dy - point[1]))
    return best
