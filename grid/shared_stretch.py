"""How much of a way two lines share: measured along the lines, not by area, so that crossing streets share none."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

STRETCHES = 20
PAIRS_AT_ONCE = 20_000


@dataclass(frozen=True, slots=True)
class Shared:
    """Of each pair of lines: metres of way shared, whether in opposite directions, mean distance in metres."""

    metres: Floats
    turned: Bools
    apart_m: Floats


def shared_stretch(
    first: NDArray[np.object_], second: NDArray[np.object_], near_m: Floats
) -> Shared:
    """Compares pairs of plane lines (P,), each within its own `near_m` (P,).

    The shorter line is parted into 20 equal stretches. A stretch counts when both its ends lie within
    `near_m` of the longer line, by what the feet of its ends are apart along that line, at most its own
    length: a line that crosses, or only goes on where the other ends, shares nothing.
    """
    parts = [
        _shared(
            first[at : at + PAIRS_AT_ONCE],
            second[at : at + PAIRS_AT_ONCE],
            near_m[at : at + PAIRS_AT_ONCE],
        )
        for at in range(0, len(first), PAIRS_AT_ONCE)
    ]
    if not parts:
        return Shared(np.empty(0), np.empty(0, dtype=bool), np.empty(0))
    return Shared(
        np.concatenate([part.metres for part in parts]),
        np.concatenate([part.turned for part in parts]),
        np.concatenate([part.apart_m for part in parts]),
    )


def _shared(first: NDArray[np.object_], second: NDArray[np.object_], near_m: Floats) -> Shared:
    first_m, second_m = shapely.length(first), shapely.length(second)
    swap = first_m > second_m
    short = np.where(swap, second, first)
    long = np.where(swap, first, second)
    step = np.minimum(first_m, second_m)[:, None] / STRETCHES
    points = shapely.line_interpolate_point(
        short[:, None], np.linspace(0.0, 1.0, STRETCHES + 1)[None, :], normalized=True
    )
    foot = shapely.line_locate_point(long[:, None], points)
    apart = shapely.distance(points, long[:, None])
    near = apart <= near_m[:, None]
    counted = near[:, 1:] & near[:, :-1]
    ahead = np.diff(foot, axis=1)
    # A ring has a seam: feet that jump over it are a step apart all the same.
    jump = np.abs(ahead) > 4 * step
    metres = np.where(counted, np.minimum(np.abs(ahead), step), 0.0).sum(axis=1)
    forward = np.where(counted & ~jump, np.clip(ahead, -step, step), 0.0).sum(axis=1)
    return Shared(
        metres.astype(np.float64),
        forward < 0,
        np.where(near, apart, near_m[:, None]).mean(axis=1).astype(np.float64),
    )
