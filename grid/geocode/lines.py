"""The lines of the streets: points along a segment, walking along a street, the way to its side.

All in plane metres. Lines are short, so plain floats are faster here than arrays.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import field

import numpy as np
import shapely

from grid.core.values import dataclass
from grid.geocode.model import Floats

Point = tuple[float, float]
COMPASS: dict[str, Point] = {
    "north": (0.0, 1.0),
    "south": (0.0, -1.0),
    "east": (1.0, 0.0),
    "west": (-1.0, 0.0),
    "northeast": (math.sqrt(0.5), math.sqrt(0.5)),
    "northwest": (-math.sqrt(0.5), math.sqrt(0.5)),
    "southeast": (math.sqrt(0.5), -math.sqrt(0.5)),
    "southwest": (-math.sqrt(0.5), -math.sqrt(0.5)),
}
STEP_ASIDE_M = 8.0
"""From the middle of a street to its pavement or the front of its houses."""


@dataclass(slots=True)
class StreetLines:
    """Segments of all streets, flattened, with the segments of each street and the nodes at their ends."""

    xy: Floats
    offset: list[int]
    street: list[int]
    from_node: list[int]
    to_node: list[int]
    of_street: list[list[int]]
    _shapes: dict[int, shapely.Geometry] = field(default_factory=dict)
    _nodes: dict[int, dict[int, Point]] = field(default_factory=dict)
    _tree: shapely.STRtree | None = None
    _ends: dict[int, list[tuple[int, Point]]] | None = None

    def end_kind(self, segment: int, side: str, *, start: bool) -> str:
        """What one end of a segment is for the lots on one side of it.

        "corner": another street leaves to that side; "through": only ahead or to the other side; "dead_end".
        """
        node = self.from_node[segment] if start else self.to_node[segment]
        others = [out for s, out in self._leaving().get(node, ()) if s != segment]
        if not others:
            return "dead_end"
        first, last = self.offset[segment], self.offset[segment + 1] - 1
        low, high = (first, first + 1) if start else (last - 1, last)
        ahead = _unit(*(self.xy[high] - self.xy[low]).tolist())
        sign = 1.0 if side == "left" else -1.0
        across = [sign * (ahead[0] * out[1] - ahead[1] * out[0]) for out in others]
        return "corner" if max(across) > 0.5 else "through"

    def _leaving(self) -> dict[int, list[tuple[int, Point]]]:
        """Node -> (segment, the direction in which it leaves), made at the first use."""
        if self._ends is None:
            ends: dict[int, list[tuple[int, Point]]] = {}
            for s in range(len(self.street)):
                first, last = self.offset[s], self.offset[s + 1] - 1
                for node, here, there in (
                    (self.from_node[s], first, first + 1),
                    (self.to_node[s], last, last - 1),
                ):
                    out = _unit(*(self.xy[there] - self.xy[here]).tolist())
                    ends.setdefault(node, []).append((s, out))
            self._ends = ends
        return self._ends

    def points(self, segment: int) -> list[list[float]]:
        """Vertices [[x, y], …] of one segment."""
        part: list[list[float]] = self.xy[self.offset[segment] : self.offset[segment + 1]].tolist()
        return part

    def parts(self, street: int) -> tuple[Floats, ...]:
        """The segments of one street as (N, 2) arrays."""
        return tuple(self.xy[self.offset[s] : self.offset[s + 1]] for s in self.of_street[street])

    def shape(self, street: int) -> shapely.Geometry:
        """One street as a MultiLineString (kept after the first time)."""
        known = self._shapes.get(street)
        if known is None:
            known = self._shapes[street] = shapely.multilinestrings(
                [shapely.linestrings(p) for p in self.parts(street)]
            )
        return known

    def nodes(self, street: int) -> dict[int, Point]:
        """Node -> point for the ends of a street's segments (kept after the first time)."""
        known = self._nodes.get(street)
        if known is None:
            known = {}
            for s in self.of_street[street]:
                first, last = self.xy[self.offset[s]], self.xy[self.offset[s + 1] - 1]
                known[self.from_node[s]] = (float(first[0]), float(first[1]))
                known[self.to_node[s]] = (float(last[0]), float(last[1]))
            self._nodes[street] = known
        return known

    def nearest(self, point: Point, street: int | None = None) -> tuple[int, float, float] | None:
        """(segment, metres along it, distance) nearest to a point, on one street or on any; None without lines."""
        if street is None:
            if self._tree is None:
                if len(self.offset) < 2:
                    return None
                bounds = np.asarray(self.offset)
                self._tree = shapely.STRtree(
                    shapely.linestrings(
                        self.xy, indices=np.repeat(np.arange(len(bounds) - 1), np.diff(bounds))
                    )
                )
            found = int(self._tree.nearest(shapely.Point(point)))
            options = [found]
        else:
            options = self.of_street[street]
        best: tuple[int, float, float] | None = None
        for s in options:
            along, away = _project(self.points(s), point)
            if best is None or away < best[2]:
                best = (s, along, away)
        return best

    def middle(self, street: int) -> tuple[Point, float] | None:
        """(the point of a street nearest to the middle of its length, half its extent); None without lines."""
        parts = self.of_street[street]
        if not parts:
            return None
        shape = self.shape(street)
        centre = shape.centroid
        near = self.nearest((centre.x, centre.y), street)
        assert near is not None  # noqa: S101 - the street has segments
        x0, y0, x1, y1 = shape.bounds
        return at(self.points(near[0]), near[1])[0], math.hypot(x1 - x0, y1 - y0) / 2


def length(line: list[list[float]]) -> float:
    """Length of a polyline."""
    return sum(math.dist(a, b) for a, b in itertools.pairwise(line))


def at(line: list[list[float]], along_m: float) -> tuple[Point, Point]:
    """(point, unit tangent) at a distance along a polyline, held to its ends."""
    rest = max(along_m, 0.0)
    tangent = (1.0, 0.0)
    for a, b in itertools.pairwise(line):
        step = math.dist(a, b)
        if step == 0.0:
            continue
        tangent = ((b[0] - a[0]) / step, (b[1] - a[1]) / step)
        if rest <= step:
            return (a[0] + tangent[0] * rest, a[1] + tangent[1] * rest), tangent
        rest -= step
    return (line[-1][0], line[-1][1]), tangent


def _project(line: list[list[float]], point: Point) -> tuple[float, float]:
    """(metres along, distance) of the place on a polyline nearest to a point."""
    best_along, best_away, before = 0.0, math.inf, 0.0
    px, py = point
    for (ax, ay), (bx, by) in itertools.pairwise(line):
        dx, dy = bx - ax, by - ay
        square = dx * dx + dy * dy
        share = (
            0.0 if square == 0.0 else min(1.0, max(0.0, ((px - ax) * dx + (py - ay) * dy) / square))
        )
        away = math.hypot(ax + share * dx - px, ay + share * dy - py)
        step = math.sqrt(square)
        if away < best_away:
            best_away, best_along = away, before + share * step
        before += step
    return best_along, best_away


def aside(
    point: Point, tangent: Point, side: str, step_m: float = STEP_ASIDE_M
) -> tuple[Point, str]:
    """(point stepped off the line, "left" or "right") for a side given as left, right or a compass word."""
    left = (-tangent[1], tangent[0])
    if side in COMPASS:
        wanted = COMPASS[side]
        lean = left[0] * wanted[0] + left[1] * wanted[1]
        if abs(lean) < 0.3:  # "north side" of a street that runs north: nothing to step to
            return point, ""
        side = "left" if lean > 0 else "right"
    if side not in ("left", "right"):
        return point, ""
    sign = 1.0 if side == "left" else -1.0
    return (point[0] + sign * left[0] * step_m, point[1] + sign * left[1] * step_m), side


@dataclass(frozen=True, slots=True)
class Walked:
    """Where a walk ended: point, tangent of the segment as digitised, segment, metres along it, metres missing."""

    point: Point
    tangent: Point
    segment: int
    along_m: float
    missing_m: float


def walk(
    lines: StreetLines, segment: int, along_m: float, toward: Point, distance_m: float
) -> Walked:
    """Walk along a street from a place on it, first toward a compass vector, then wherever the street goes on."""
    line = lines.points(segment)
    size = length(line)
    _, tangent = at(line, along_m)
    if (
        along_m <= 0.1 or along_m >= size - 0.1
    ):  # at an end: judge by the whole piece that lies ahead
        head, tail = line[0], line[-1]
        tangent = _unit(tail[0] - head[0], tail[1] - head[1])
    forward = tangent[0] * toward[0] + tangent[1] * toward[1] >= 0
    rest = distance_m
    seen = {segment}
    while True:
        room = size - along_m if forward else along_m
        if rest <= room:
            along_m = along_m + rest if forward else along_m - rest
            point, tangent = at(line, along_m)
            return Walked(point, tangent, segment, along_m, 0.0)
        rest -= room
        node = lines.to_node[segment] if forward else lines.from_node[segment]
        end, heading = at(line, size if forward else 0.0)
        if not forward:
            heading = (-heading[0], -heading[1])
        following = _next(lines, segment, node, heading, seen)
        if following is None:
            point, tangent = at(line, size if forward else 0.0)
            return Walked(end, tangent, segment, size if forward else 0.0, rest)
        segment, forward = following
        seen.add(segment)
        line = lines.points(segment)
        size = length(line)
        along_m = 0.0 if forward else size


def _next(
    lines: StreetLines, segment: int, node: int, heading: Point, seen: set[int]
) -> tuple[int, bool] | None:
    """The segment of the same street that goes on most straightly from a node."""
    best: tuple[float, int, bool] | None = None
    street = lines.street[segment]
    if street < 0:
        return None
    for s in lines.of_street[street]:
        if s in seen:
            continue
        for end, forward in ((lines.from_node[s], True), (lines.to_node[s], False)):
            if end != node:
                continue
            line = lines.points(s)
            _, tangent = at(line, 0.0 if forward else length(line))
            sign = 1.0 if forward else -1.0
            straight = sign * (tangent[0] * heading[0] + tangent[1] * heading[1])
            if best is None or straight > best[0]:
                best = (straight, s, forward)
    return None if best is None or best[0] < -0.5 else (best[1], best[2])


def _unit(dx: float, dy: float) -> Point:
    size = math.hypot(dx, dy)
    return (dx / size, dy / size) if size else (1.0, 0.0)
