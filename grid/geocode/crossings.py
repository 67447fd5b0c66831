"""Where two streets meet: shared nodes, the mean of a dual carriageway's nodes, or the nearest approach of two lines."""

from __future__ import annotations

import math

import shapely

from grid.core.values import dataclass
from grid.geocode.lines import Point, StreetLines, length

TOGETHER_M = 60.0
"""Nodes nearer than this are one crossing (dual carriageways, staggered arms)."""
MEETING_M = 80.0
"""Two streets that share no node but come this near are taken to meet there."""


@dataclass(frozen=True, slots=True)
class Crossing:
    """One crossing of two streets: its middle, its nodes, the metres between the streets (0 = they share nodes)."""

    point: Point
    nodes: frozenset[int]
    apart_m: float
    spread_m: float


def crossings(lines: StreetLines, a: int, b: int) -> list[Crossing]:
    """All crossings of two streets, those with most nodes first; streets that never meet give the nearest approach."""
    if a == b:
        return []
    at_a, at_b = lines.nodes(a), lines.nodes(b)
    if len(at_b) < len(at_a):
        at_a, at_b = at_b, at_a
    shared = [(node, point) for node, point in at_a.items() if node in at_b]
    if shared:
        return [_crossing(group) for group in _together(shared)]
    if not lines.of_street[a] or not lines.of_street[b]:
        return []
    first, second = lines.shape(a), lines.shape(b)
    meet = shapely.intersection(first, second)
    if not meet.is_empty:
        points = [
            (-1 - i, (float(x), float(y))) for i, (x, y) in enumerate(shapely.get_coordinates(meet))
        ]
        return [
            Crossing(c.point, frozenset(), 0.0, c.spread_m)
            for c in map(_crossing, _together(points))
        ]
    (ax, ay), (bx, by) = shapely.get_coordinates(shapely.shortest_line(first, second))
    apart = math.hypot(ax - bx, ay - by)
    return [
        Crossing(((ax + bx) / 2, (ay + by) / 2), frozenset(), max(apart, 0.1), max(15.0, apart / 2))
    ]


def _crossing(group: list[tuple[int, Point]]) -> Crossing:
    x = sum(p[0] for _, p in group) / len(group)
    y = sum(p[1] for _, p in group) / len(group)
    wide = max(math.hypot(p[0] - x, p[1] - y) for _, p in group)
    return Crossing((x, y), frozenset(n for n, _ in group), 0.0, max(15.0, wide))


def _together(points: list[tuple[int, Point]]) -> list[list[tuple[int, Point]]]:
    """Points in groups that lie within TOGETHER_M of the group's first; largest group first."""
    groups: list[list[tuple[int, Point]]] = []
    for node, point in points:
        for group in groups:
            if math.dist(group[0][1], point) <= TOGETHER_M:
                group.append((node, point))
                break
        else:
            groups.append([(node, point)])
    groups.sort(key=len, reverse=True)
    return groups


def arms(lines: StreetLines, street: int, crossing: Crossing) -> list[tuple[int, float, Point]]:
    """(segment, metres along it, heading away) of each arm of a street that leaves a crossing."""
    found: list[tuple[int, float, Point]] = []
    for s in lines.of_street[street]:
        begins, ends = lines.from_node[s] in crossing.nodes, lines.to_node[s] in crossing.nodes
        if begins == ends:
            continue
        line = lines.points(s)
        head, far = (line[0], line[-1]) if begins else (line[-1], line[0])
        size = math.dist(head, far) or 1.0
        found.append(
            (
                s,
                0.0 if begins else length(line),
                ((far[0] - head[0]) / size, (far[1] - head[1]) / size),
            )
        )
    return found
