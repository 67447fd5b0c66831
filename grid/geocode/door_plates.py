"""House numbers on the ground: the plate itself, a place between two known plates, or a place in a segment's range."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import field, replace

from grid.core.values import dataclass
from grid.geocode.lines import Point, StreetLines, aside, at, length
from grid.geocode.numbers import HouseNumber

_PART = 10000
INSET_M = {"corner": 25.0, "through": 10.0, "dead_end": 15.0}
"""How far the first and the last number of a range lie from the end of their segment. At a corner the lot of the cross
street lies between, and a wide lot is more (`inset_m`). Fitted to parcels, like all constants down to OPPOSITE."""
SHORT = 2.5
"""Of a short segment the inset is at most this part: 1 / SHORT of it."""
_FURTHEST = 400
FRONT_M = 20.0
"""From the middle of a street to the middle of the lots beside it; …"""
WIDE_LOT_M, DEEPER, DEEPEST_M = 20.0, 0.5, 40.0
"""… of lots wider than this half of what is more, to a most (`front_m`)."""
OPPOSITE = 0.7
"""How much the numbers on the other side of the street count for the place along it (`_share`)."""
WIDEST_GAP_M = 250.0
"""Two ranges whose ends lie further apart have no number between them."""


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
    learned_id: int = 0


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


@dataclass(frozen=True, slots=True)
class _Range:
    """One side of a segment with its numbers, as drawn and in order."""

    segment: int
    side: str
    start: int
    end: int
    low: int
    high: int
    over: tuple[int, int] = (0, 0)
    """The numbers of the other side in the same direction; (0, 0) when there are none."""


def turned(ranges: Ranges, lines: StreetLines) -> Ranges:
    """The ranges, with those put right that run against their street: drawn the other way round than they say.

    When the numbers of the street's pieces before and after a segment rise (or fall) through its own, and its ranges
    on both sides do the opposite, its left and right and its beginning and end are exchanged.
    """
    given = (ranges.left_from, ranges.left_to, ranges.right_from, ranges.right_to)
    left_from, left_to, right_from, right_to = (list(column) for column in given)

    def middle(s: int) -> float | None:
        numbers = [column[s] for column in given if column[s] > 0]
        return sum(numbers) / len(numbers) if numbers else None

    for of_street in lines.of_street:
        middles = {s: middle(s) for s in of_street}
        at_node: dict[int, list[int]] = {}
        for s in of_street:
            if middles[s] is not None:
                at_node.setdefault(lines.from_node[s], []).append(s)
                at_node.setdefault(lines.to_node[s], []).append(s)
        for s in of_street:
            own = middles[s]
            before, after = (
                [middles[o] for o in at_node.get(node, ()) if o != s]
                for node in (lines.from_node[s], lines.to_node[s])
            )
            if own is None or len(before) != 1 or len(after) != 1:
                continue
            low, high = before[0], after[0]
            if low is None or high is None or not (low < own < high or low > own > high):
                continue
            rises = high > low
            runs = [
                (b > a)
                for a, b in ((left_from[s], left_to[s]), (right_from[s], right_to[s]))
                if a > 0 and b > 0 and a != b
            ]
            if runs and all(run != rises for run in runs):
                left_from[s], left_to[s], right_from[s], right_to[s] = (
                    right_to[s],
                    right_from[s],
                    left_to[s],
                    left_from[s],
                )
    return Ranges(left_from, left_to, right_from, right_to)


def _range_sureness(outside: int, odd_one_out: bool) -> float:
    """Share of such numbers found within 50 m, as measured on a city's parcels: in the range, just outside it, of other parity."""
    if odd_one_out:
        return 0.75 if outside == 0 else 0.25
    return 0.95 if outside == 0 else 0.85 if outside < 4 else 0.65 if outside < 12 else 0.4


def in_range(ranges: Ranges, lines: StreetLines, street: int, house: HouseNumber) -> Located | None:
    """Along the side whose range holds the number with its parity; else between the two ranges next to it.

    A number that no range of its parity holds lies between the range below and the range above it; past the last
    one it lies opposite the number of the other side where that side's range holds it, else at the range's end.
    """
    n = house.main
    best: tuple[float, _Range] | None = None
    below: _Range | None = None
    above: _Range | None = None
    opposite: _Range | None = None
    for each in _ranges_of(ranges, lines, street):
        outside = max(each.low - n, n - each.high, 0)
        same = (n - each.start) % 2 == 0
        penalty = outside * 2.0 + (0.0 if same else 20.0) + (each.high - each.low) * 1e-4
        if best is None or penalty < best[0]:
            best = penalty, each
        if not same:
            if outside == 0 and (
                opposite is None or each.high - each.low < opposite.high - opposite.low
            ):
                opposite = each
        elif each.high < n and (below is None or each.high > below.high):
            below = each
        elif each.low > n and (above is None or each.low < above.low):
            above = each
    if best is None or best[0] > 80:
        return None
    penalty, held = best
    outside = max(held.low - n, n - held.high, 0)
    odd_one_out = (n - held.start) % 2 != 0
    if outside or odd_one_out:
        gap = _in_gap(lines, below, above, n)
        if gap is not None:
            return gap
        if opposite is not None:
            held, outside, odd_one_out = opposite, 0, True
    size = length(lines.points(held.segment))
    point = _along(lines, held, n)
    side = held.side
    if odd_one_out and held is opposite:
        side = "right" if side == "left" else "left"
        point = _along(lines, replace(held, side=side), n)
    return Located(
        point,
        "interpolated",
        _range_sureness(outside, odd_one_out),
        max(20.0, size / 6) + penalty,
        held.segment,
        side,
        size,
    )


def _ranges_of(ranges: Ranges, lines: StreetLines, street: int) -> Iterator[_Range]:
    for s in lines.of_street[street]:
        left = ranges.left_from[s], ranges.left_to[s]
        right = ranges.right_from[s], ranges.right_to[s]
        for side, (start, end), over in (("left", left, right), ("right", right, left)):
            if start > 0 or end > 0:
                known = over if min(over) > 0 else (0, 0)
                yield _Range(s, side, start, end, min(start, end), max(start, end), known)


def _along(lines: StreetLines, held: _Range, n: int) -> Point:
    """The place of a number on its range's side, its lot's middle off the street."""
    line = lines.points(held.segment)
    size = length(line)
    share = _share(held, n)
    lot = size / ((held.high - held.low) / 2 + 1)
    begin, rest = (
        inset_m(lines.end_kind(held.segment, held.side, start=start), lot, size)
        for start in (True, False)
    )
    point, tangent = at(line, begin + share * (size - begin - rest))
    return aside(point, tangent, held.side, front_m(lot))[0]


def _share(held: _Range, n: int) -> float:
    """How far along its segment a number lies, 0 to 1, by its own side and by both sides together.

    Numbers stand opposite each other: where one side runs from 2 to 40 and the other from 1 to 21, number 21 lies
    half-way rather than at the end. Both sides together count OPPOSITE of 1.
    """
    own = 0.5
    if held.start != held.end:
        own = min(1.0, max(0.0, (n - held.start) / (held.end - held.start)))
    if not held.over[0]:
        return own
    falls, over_falls = held.start > held.end, held.over[0] > held.over[1]
    if held.start != held.end and held.over[0] != held.over[1] and falls != over_falls:
        return own
    # Numbers in pairs: 1 and 2 stand opposite each other, 3 and 4.
    low, high = ((end(held.low, held.high, *held.over) - 1) // 2 for end in (min, max))
    if high == low:
        return own
    both = min(1.0, max(0.0, ((n - 1) // 2 - low) / (high - low)))
    if falls or (held.start == held.end and over_falls):
        both = 1.0 - both
    return own + OPPOSITE * (both - own)


def inset_m(end: str, lot_m: float, size_m: float) -> float:
    """From an end of a segment (see `StreetLines.end_kind`) to the middle of its first lot."""
    more = min(0.5 * lot_m, 25.0) if end == "corner" else 0.0
    return min(INSET_M[end] + more, size_m / SHORT)


def front_m(lot_m: float) -> float:
    """From the middle of a street to the middle of the lots beside it: wide lots are deep ones (fitted to parcels)."""
    return min(FRONT_M + max(0.0, lot_m - WIDE_LOT_M) * DEEPER, DEEPEST_M)


def _in_gap(
    lines: StreetLines, below: _Range | None, above: _Range | None, n: int
) -> Located | None:
    """Between the end of the range below and the beginning of the one above, where they lie near each other."""
    if below is None or above is None:
        return None
    a, b = _along(lines, below, n), _along(lines, above, n)
    gap = math.dist(a, b)
    if gap > WIDEST_GAP_M:
        return None
    share = (n - below.high) / (above.low - below.high)
    point = (a[0] + share * (b[0] - a[0]), a[1] + share * (b[1] - a[1]))
    nearer = below if share < 0.5 else above
    sure = 0.85 if gap <= 100 else 0.7
    return Located(
        point, "interpolated", sure, max(20.0, gap / 2), nearer.segment, nearer.side, gap
    )
