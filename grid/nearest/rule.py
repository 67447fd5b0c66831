"""The stated rule of the nearest segment, for one point and a few lines.

THE RULE. In the plane, the segment at the least distance wins. Segments whose distance is within
0.001 m of the least are equal, and among equals the lower rank wins (the order of classes, trunk 0 to
path 7), then the lower segment id. The side is left or right of the line in its drawn direction at the
nearest point (the first along the line, to 0.000001 m); at a corner the two edges decide together (the sum of
their unit directions), beyond an end the last edge drawn on decides, the start of a closed line is a
corner like any other, and a point within 0.001 m of the line counts as right.

The bulk index and these functions run the same compiled arithmetic, so they agree to the last bit.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from grid.core.errors import BadInput
from grid.nearest import kernels

EQUAL_M = kernels.EQUAL_M
LEFT, RIGHT = 0, 1

Floats = NDArray[np.float64]


def as_line(line_xy: NDArray[np.float64]) -> Floats:
    """The line as a clean (m, 2) array of plane metres; BadInput `ground.line_unusable`."""
    line = np.ascontiguousarray(line_xy, dtype=np.float64)
    if line.ndim != 2 or line.shape[0] < 2 or line.shape[1] < 2 or not np.isfinite(line).all():
        raise BadInput("ground.line_unusable", field="geometry")
    return line if line.shape[1] == 2 else np.ascontiguousarray(line[:, :2])


def locate_on(line_xy: NDArray[np.float64], x_m: float, y_m: float) -> tuple[float, float, int]:
    """(distance_m, along_m from the start, side 0 left / 1 right) of a point on one line, plane metres.

    BadInput `ground.line_unusable` for a line with fewer than two vertices or a coordinate not finite.
    """
    distance_m, along_m, side = kernels.locate_kernel(as_line(line_xy), float(x_m), float(y_m))
    return float(distance_m), float(along_m), int(side)


def side_of(line_xy: NDArray[np.float64], x_m: float, y_m: float) -> int:
    """0 left or 1 right of the line in its drawn direction, by the rule above."""
    return locate_on(line_xy, x_m, y_m)[2]


def nearest_of(
    lines_xy: Sequence[NDArray[np.float64]],
    segment_ids: Sequence[int],
    rank: Sequence[int],
    x_m: float,
    y_m: float,
) -> tuple[int, float, float, int]:
    """The winner of a few lines: (position in the lists, distance_m, along_m, side); -1 and inf for none.

    For the path through SQL: hand in every line within 0.002 m of the least distance there, and the
    choice between them is made by the same arithmetic as in bulk.
    """
    found = [locate_on(line, x_m, y_m) for line in lines_xy]
    if not found:
        return -1, float("inf"), float("nan"), -1
    limit = min(distance for distance, _, _ in found) + EQUAL_M
    equals = [k for k, (distance, _, _) in enumerate(found) if distance <= limit]
    winner = min(equals, key=lambda k: (rank[k], segment_ids[k]))
    return (winner, *found[winner])
