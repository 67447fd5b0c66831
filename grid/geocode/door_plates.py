"""House numbers on the ground: the plate itself, a place between two known plates, or a place in a segment's range."""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass, field

from grid.geocode.lines import Point, StreetLines, aside, at, length
from grid.geocode.numbers import HouseNumber

_PART = 10000
CORNER_M = 40.0
"""How far the first and the last number of a range lie from the crossing (a fifth of a short segment): fitted to parcels."""
_FURTHEST = 400
FRONT_M = 20.0
"""From the middle of a street to the middle of the lots beside it."""


def order_key(house: HouseNumber) -> int:
    """Plates are ordered by main number, then by the part after it."""
    return house.main * _PART + min(house.part, _PART - 1)


@dataclass(slots=True)
class DoorPlates:
    """Plates sorted by street, lane and number; `derived` from a place's address; `groups` (street, lanes) -> slice of the sorted columns."""

    keys: list[int] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    x_m: list[float] = field(default_factory=list)
    y_m: list[float] = field(default_factory=list)
    segment: list[int] = field(default_factory=list)
    side: list[str] = field(default_factory=list)
    derived: list[bool] = field(default_factory=list)
    groups: dict[tuple[int, str], tuple[int, int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Located:
    """A number placed: how ("door_plate", "interpolated"), how surely (0..1), and on which segment and side."""

    point: Point
    match: str
    sureness: float
    spread_m: float
    segment: int = -1
    side: str = ""
    gap_m: float = 0.0


def by_plate(plates: DoorPlates, street: int, house: HouseNumber) -> Located | None:
    """The plate with exactly this number, or the mean of several that carry it within 60 m; None when there is none."""
    group = plates.groups.get((street, "".join(house.lanes)))
    if group is None:
        return None
    wanted, key = order_key(house), house.key
    i = bisect_left(plates.keys, wanted, *group)
    found: list[int] = []
    while i < group[1] and plates.keys[i] == wanted:
        if plates.texts[i] == key:
            found.append(i)
        i += 1
    if not found:
        return None
    x = sum(plates.x_m[i] for i in found) / len(found)
    y = sum(plates.y_m[i] for i in found) / len(found)
    apart = max(math.hypot(plates.x_m[i] - x, plates.y_m[i] - y) for i in found)
    first = found[0]
    if (
        apart > 60.0
    ):  # the same number in several places far apart: the one nearest to all others, and unsure
        first = min(found, key=lambda i: sum(_apart(plates, i, j) for j in found))
        point = (plates.x_m[first], plates.y_m[first])
        return Located(
            point, "door_plate", 0.3, apart * 2, plates.segment[first], plates.side[first]
        )
    return Located(
        (x, y),
        "door_plate",
        0.82 if plates.derived[first] else 1.0,
        max(20.0, apart),
        plates.segment[first],
        plates.side[first],
    )


def between_plates(plates: DoorPlates, street: int, house: HouseNumber) -> Located | None:
    """Between the nearest lower and upper known plates: those of the same main number first, then of the same parity."""
    group = plates.groups.get((street, "".join(house.lanes)))
    if group is None:
        return None
    wanted = order_key(house)
    i = bisect_left(plates.keys, wanted, *group)
    low = _neighbour(plates, i - 1, -1, group, house)
    high = _neighbour(plates, i, 1, group, house)
    if low is not None and high is not None:
        k0, k1 = plates.keys[low], plates.keys[high]
        same_low, same_high = k0 // _PART == house.main, k1 // _PART == house.main
        gap = math.hypot(plates.x_m[high] - plates.x_m[low], plates.y_m[high] - plates.y_m[low])
        if same_low != same_high:  # 7-4 with 7-1 known: next to 7-1, not half-way to 9
            near = low if same_low else high
            return _beside(plates, near, 0.96, max(20.0, min(gap / 2, 40.0)), gap)
        share = 0.5 if k1 == k0 else (_scale(wanted) - _scale(k0)) / (_scale(k1) - _scale(k0))
        point = (
            plates.x_m[low] + share * (plates.x_m[high] - plates.x_m[low]),
            plates.y_m[low] + share * (plates.y_m[high] - plates.y_m[low]),
        )
        nearer = low if share < 0.5 else high
        sure = 0.98 if gap <= 50 else 0.91 if gap <= 100 else 0.5 if gap <= 200 else 0.25
        if plates.derived[low] or plates.derived[high]:
            sure *= 0.88
        return Located(
            point,
            "interpolated",
            sure,
            max(20.0, gap / 2),
            plates.segment[nearer],
            plates.side[nearer],
            gap,
        )
    alone = low if low is not None else high
    if alone is None:
        return None
    missing = abs(house.main - plates.keys[alone] // _PART)
    if missing == 0:
        return _beside(plates, alone, 0.92, 25.0, 0.0)
    if missing <= 4:
        return _beside(plates, alone, 0.9, 20.0 + 4.0 * missing, 8.0 * missing)
    return _beyond(plates, alone, group, house) if missing <= _FURTHEST else None


def _beyond(plates: DoorPlates, last: int, group: tuple[int, int], house: HouseNumber) -> Located:
    """Past the last known plate: onward in the direction in which the numbers ran, at the frontage they had."""
    here = plates.keys[last] // _PART
    missing = house.main - here
    point = (plates.x_m[last], plates.y_m[last])
    spread = 20.0 + 4.0 * abs(missing)
    step = 1 if missing < 0 else -1
    other = last
    while group[0] <= other + step < group[1] and abs(plates.keys[other] // _PART - here) < max(
        10, abs(missing)
    ):
        other += step
    run = here - plates.keys[other] // _PART
    if run:
        share = missing / run
        far = _apart(plates, last, other) * abs(share)
        held = (
            min(1.0, 6.0 * abs(missing) / far) if far else 0.0
        )  # no more than 6 m for each number
        point = (
            point[0] + (point[0] - plates.x_m[other]) * share * held,
            point[1] + (point[1] - plates.y_m[other]) * share * held,
        )
    sure = 0.4 if abs(missing) <= 30 else 0.2 if abs(missing) <= 100 else 0.1
    return Located(
        point, "interpolated", sure, spread, plates.segment[last], plates.side[last], 2 * spread
    )


def _apart(plates: DoorPlates, i: int, j: int) -> float:
    return math.hypot(plates.x_m[i] - plates.x_m[j], plates.y_m[i] - plates.y_m[j])


def _scale(key: int) -> float:
    """A plate's place on the number line: parts lie within half a number after their main one."""
    part = key % _PART
    return key // _PART + part / (part + 3.0) * 0.9


def _beside(plates: DoorPlates, i: int, sure: float, spread_m: float, gap_m: float) -> Located:
    return Located(
        (plates.x_m[i], plates.y_m[i]),
        "interpolated",
        sure,
        spread_m,
        plates.segment[i],
        plates.side[i],
        gap_m,
    )


def _neighbour(
    plates: DoorPlates, i: int, step: int, group: tuple[int, int], house: HouseNumber
) -> int | None:
    """Nearest plate in one direction with the same main number or parity; any parity when none is within 12 places."""
    other: int | None = None
    for _ in range(12):
        if not group[0] <= i < group[1]:
            break
        main = plates.keys[i] // _PART
        if main == house.main or (main - house.main) % 2 == 0:
            return i
        if other is None:
            other = i
        i += step
    return other


@dataclass(slots=True)
class Ranges:
    """House-number ranges left and right of each segment; -1 none."""

    left_from: list[int] = field(default_factory=list)
    left_to: list[int] = field(default_factory=list)
    right_from: list[int] = field(default_factory=list)
    right_to: list[int] = field(default_factory=list)


def _range_sureness(outside: int, odd_one_out: bool) -> float:
    """Share of such numbers found within 50 m, as measured on a city's parcels: in the range, just outside it, of other parity."""
    if odd_one_out:
        return 0.75 if outside == 0 else 0.25
    return 0.95 if outside == 0 else 0.85 if outside < 4 else 0.65 if outside < 12 else 0.4


def in_range(ranges: Ranges, lines: StreetLines, street: int, house: HouseNumber) -> Located | None:
    """Along the side whose range holds the number with its parity; else in the nearest gap between two ranges."""
    n = house.main
    best: tuple[float, int, str, int, int] | None = None
    fit = (0, False)
    for s in lines.of_street[street]:
        for side, start, end in (
            ("left", ranges.left_from[s], ranges.left_to[s]),
            ("right", ranges.right_from[s], ranges.right_to[s]),
        ):
            if start <= 0 and end <= 0:
                continue
            low, high = (start, end) if start <= end else (end, start)
            outside = max(low - n, n - high, 0)
            parity = 0 if (n - start) % 2 == 0 else 1
            penalty = outside * 2.0 + parity * 20.0 + (high - low) * 1e-4
            if best is None or penalty < best[0]:
                best, fit = (penalty, s, side, start, end), (outside, parity == 1)
    if best is None or best[0] > 80:
        return None
    penalty, s, side, start, end = best
    line = lines.points(s)
    size = length(line)
    share = 0.5 if start == end else min(1.0, max(0.0, (n - start) / (end - start)))
    inset = min(CORNER_M, size / 5)
    point, tangent = at(line, inset + share * (size - 2 * inset))
    point, side = aside(point, tangent, side, FRONT_M)
    sure = _range_sureness(*fit)
    return Located(point, "interpolated", sure, max(20.0, size / 6) + penalty, s, side, size)
