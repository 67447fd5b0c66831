"""The stated rule of the nearest segment, for one point and a few lines.

THE RULE. In the plane, the segment at the least distance wins. Segments whose distance is within
0.000001 m of the least are equal. Among equals the one wins that the point lies least beyond: how far it
lies past the end (or corner) of the line that is nearest, measured in the line's direction there, 0 beside
the line; to 0.000001 m. So on the outside of a joint each segment keeps the half on its own side. Then the
lower rank wins (the order of classes, trunk 0 to path 7), then the lower segment id. The side is left or
right of the line in its drawn direction at the nearest point (the first along the line, to 0.000001 m); at
a corner the two edges decide together (the sum of their unit directions), beyond an end the last edge drawn
on decides, the start of a closed line is a corner like any other, and a point within 0.001 m of the line
counts as right.

The bulk index and these functions run the same compiled arithmetic, so they agree to the last bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from grid.core.errors import BadInput
from grid.core.values import dataclass
from grid.nearest import kernels

EQUAL_M = kernels.EQUAL_M
LEFT, RIGHT = 0, 1

Floats = NDArray[np.float64]


class Measured(NamedTuple):
    """A point against one line: distance_m, along_m from the start, side (0 left, 1 right), and how far
    the point lies beyond the line (what decides among equals)."""

    distance_m: float
    along_m: float
    side: int
    beyond_m: float


@dataclass(frozen=True, slots=True)
class Choice:
    """Who won among lines, by position: the winner, all that were equally near (the winner too), and
    what decided: "distance" when nobody was equal, else "way_on" (least beyond), "rank" or "id"."""

    winner: int
    equals: tuple[int, ...]
    decided_by: str


def as_line(line_xy: NDArray[np.float64]) -> Floats:
    """The line as a clean (m, 2) array of plane metres; BadInput `ground.line_unusable`."""
    line = np.ascontiguousarray(line_xy, dtype=np.float64)
    if line.ndim != 2 or line.shape[0] < 2 or line.shape[1] < 2 or not np.isfinite(line).all():
        raise BadInput("ground.line_unusable", field="geometry")
    return line if line.shape[1] == 2 else np.ascontiguousarray(line[:, :2])


def measure(line_xy: NDArray[np.float64], x_m: float, y_m: float) -> Measured:
    """A point against one line, plane metres.

    BadInput `ground.line_unusable` for a line with fewer than two vertices or a coordinate not finite.
    """
    found = kernels.locate_kernel(as_line(line_xy), float(x_m), float(y_m))
    return Measured(float(found[0]), float(found[1]), int(found[2]), float(found[3]))


def locate_on(line_xy: NDArray[np.float64], x_m: float, y_m: float) -> tuple[float, float, int]:
    """(distance_m, along_m from the start, side 0 left / 1 right) of a point on one line, plane metres.

    BadInput `ground.line_unusable` for a line with fewer than two vertices or a coordinate not finite.
    """
    found = measure(line_xy, x_m, y_m)
    return found.distance_m, found.along_m, found.side


def side_of(line_xy: NDArray[np.float64], x_m: float, y_m: float) -> int:
    """0 left or 1 right of the line in its drawn direction, by the rule above."""
    return measure(line_xy, x_m, y_m).side


def choose(found: Sequence[Measured], rank: Sequence[int], segment_ids: Sequence[int]) -> Choice:
    """The winner among at least one measured line, by the rule above."""
    limit_m = min([one.distance_m for one in found]) + EQUAL_M
    equals = [k for k, one in enumerate(found) if one.distance_m <= limit_m]
    if len(equals) == 1:
        return Choice(equals[0], (equals[0],), "distance")
    limit_m = min(found[k].beyond_m for k in equals) + kernels.SAME_M
    beside = [k for k in equals if found[k].beyond_m <= limit_m]
    winner = min(beside, key=lambda k: (rank[k], segment_ids[k]))
    if len(beside) == 1:
        decided_by = "way_on"
    else:
        alone = sum(rank[k] == rank[winner] for k in beside) == 1
        decided_by = "rank" if alone else "id"
    return Choice(winner, tuple(equals), decided_by)


def nearest_of(
    lines_xy: Sequence[NDArray[np.float64]],
    segment_ids: Sequence[int],
    rank: Sequence[int],
    x_m: float,
    y_m: float,
) -> tuple[int, float, float, int]:
    """The winner of a few lines: (position in the lists, distance_m, along_m, side); -1 and inf for none.

    The choice between them is made by the same arithmetic as in bulk.
    """
    if not len(lines_xy):
        return -1, float("inf"), float("nan"), -1
    found = [measure(line, x_m, y_m) for line in lines_xy]
    winner = choose(found, rank, segment_ids).winner
    best = found[winner]
    return winner, best.distance_m, best.along_m, best.side
