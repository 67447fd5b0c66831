"""The ways to find a place, one function each: number, crossing, kilometre post, facility, street, community."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

from grid.geocode.crossings import MEETING_M, Crossing, arms, crossings
from grid.geocode.door_plates import Located, between_plates, by_plate, in_range
from grid.geocode.findings import Finding, moved, options, to_side
from grid.geocode.fold import fold
from grid.geocode.gazetteer import Gazetteer, facility_key
from grid.geocode.km_posts import at_km
from grid.geocode.lines import COMPASS, Point, aside, at, length, walk
from grid.geocode.names import STREET, Hit
from grid.geocode.numbers import HouseNumber
from grid.geocode.parsed import Parsed


def find_number(parsed: Parsed, gazetteer: Gazetteer) -> Iterator[Finding]:
    """Street and house number: the plate, between plates, or in a segment's range."""
    house = parsed.house
    if house is None:
        return
    for street, likeness in options(parsed.street):
        located, owner, reasons = locate_number(gazetteer, street, house)
        if located is None:
            continue
        yield moved(
            Finding(
                located.match,
                located.point,
                located.sureness,
                located.spread_m,
                f"{gazetteer.street_names[owner]} {house.text}",
                street=owner,
                segment=located.segment,
                side=located.side,
                reasons=reasons,
                likeness=likeness,
                confirmed=located.sureness >= 0.8 or located.learned_id > 0,
                learned_id=located.learned_id,
            ),
            parsed,
            gazetteer,
        )


def locate_number(
    gazetteer: Gazetteer, street: int, house: HouseNumber
) -> tuple[Located | None, int, tuple[str, ...]]:
    """(place, the street that carries it, reasons); a number in a lane falls back to the lane's own number."""
    for owner, number in _in_lanes(gazetteer, street, house):
        found = by_plate(gazetteer.plates, owner, number)
        if found is not None:
            return found, owner, ()
    for owner, number in _in_lanes(gazetteer, street, house):
        told = gazetteer.learned_plates.get((owner, "".join(number.lanes), number.key))
        if told is not None:
            return (
                Located(told.point, "door_plate", told.sureness, told.spread_m, learned_id=told.id),
                owner,
                ("learned",),
            )
    for owner, number in _in_lanes(gazetteer, street, house):
        found = between_plates(gazetteer.plates, owner, number)
        ranged = in_range(gazetteer.ranges, gazetteer.lines, owner, number)
        if found is None or (ranged is not None and ranged.sureness > found.sureness):
            found = ranged
        if found is not None:
            return found, owner, ("number.interpolated",)
    if house.lanes:
        lane = HouseNumber(house.lanes[0], int("".join(c for c in house.lanes[0] if c.isdigit())))
        for look in (by_plate, between_plates):
            found = look(gazetteer.plates, street, lane)
            if found is not None:
                return (
                    replace(
                        found,
                        match="interpolated",
                        sureness=found.sureness * 0.8,
                        spread_m=max(60.0, found.spread_m),
                    ),
                    street,
                    ("number.lane_only",),
                )
        found = in_range(gazetteer.ranges, gazetteer.lines, street, lane)
        if found is not None:
            return (
                replace(found, sureness=found.sureness * 0.8, spread_m=max(60.0, found.spread_m)),
                street,
                ("number.lane_only",),
            )
        # Numbers of the lane are known, this one is not near any of them: the lane itself.
        return _whole_lane(gazetteer, street, house)
    return None, street, ()


def _whole_lane(
    gazetteer: Gazetteer, street: int, house: HouseNumber
) -> tuple[Located | None, int, tuple[str, ...]]:
    for depth in range(len(house.lanes), 0, -1):
        group = gazetteer.plates.groups.get((street, "".join(house.lanes[:depth])))
        if group is not None:
            xs, ys = (
                gazetteer.plates.x_m[group[0] : group[1]],
                gazetteer.plates.y_m[group[0] : group[1]],
            )
            x, y = sum(xs) / len(xs), sum(ys) / len(ys)
            wide = max(math.hypot(a - x, b - y) for a, b in zip(xs, ys, strict=True))
            return (
                Located((x, y), "interpolated", 0.85 if wide <= 50 else 0.5, max(30.0, wide)),
                street,
                ("number.lane_only",),
            )
    return None, street, ()


def _in_lanes(
    gazetteer: Gazetteer, street: int, house: HouseNumber
) -> Iterator[tuple[int, HouseNumber]]:
    """The number as it stands, and on a street that is named after the lane (愛七路14巷)."""
    yield street, house
    name = gazetteer.street_names[street]
    for depth in range(len(house.lanes), 0, -1):
        key = fold(name) + "".join(house.lanes[:depth])
        for owner in Hit(0, 0, key, gazetteer.chinese.refs.get(key, ())).of(STREET):
            yield owner, replace(house, lanes=house.lanes[depth:])


def find_crossing(parsed: Parsed, gazetteer: Gazetteer) -> Iterator[Finding]:
    """The crossing of two streets, and what lies at a bearing and distance from it."""
    for a, like_a in options(parsed.street):
        for b, like_b in options(parsed.cross):
            meetings = crossings(gazetteer.lines, a, b)
            for meeting in meetings[:4]:
                yield _crossing(
                    parsed,
                    gazetteer,
                    a,
                    b,
                    meeting,
                    like_a
                    * like_b
                    * (1.0 if len(meeting.nodes) == len(meetings[0].nodes) else 0.7),
                )


def _crossing(
    parsed: Parsed, gazetteer: Gazetteer, a: int, b: int, meeting: Crossing, likeness: float
) -> Finding:
    names = gazetteer.street_names
    reasons: tuple[str, ...] = ()
    if meeting.apart_m == 0.0:
        sure = 0.97 if meeting.nodes else 0.9
    elif meeting.apart_m <= MEETING_M:
        sure, reasons = 0.8, ("crossing.nearest_approach",)
    else:
        sure, reasons = (
            max(0.05, 0.3 * MEETING_M / meeting.apart_m),
            ("crossing.streets_do_not_meet",),
        )
    finding = Finding(
        "crossing",
        meeting.point,
        sure,
        meeting.spread_m,
        f"{names[a]} / {names[b]}",
        street=a,
        cross=b,
        reasons=reasons,
        likeness=likeness,
        confirmed=meeting.apart_m == 0.0,
    )
    if not parsed.direction:
        return moved(finding, parsed, gazetteer)
    toward = COMPASS.get(parsed.direction)
    if toward is None:
        return moved(finding, parsed, gazetteer)
    return _from_crossing(finding, parsed, gazetteer, (a, b), meeting, toward)


def _from_crossing(
    finding: Finding,
    parsed: Parsed,
    gazetteer: Gazetteer,
    pair: tuple[int, int],
    meeting: Crossing,
    toward: Point,
) -> Finding:
    distance = parsed.offset_m if parsed.offset_m is not None else 20.0
    best: tuple[float, int, float, int] | None = None
    for street in pair:
        for segment, along, heading in arms(gazetteer.lines, street, meeting):
            fit = heading[0] * toward[0] + heading[1] * toward[1]
            if fit > 0.5 and (best is None or fit > best[0] + 1e-9):
                best = (fit, segment, along, street)
    spread = max(20.0, distance / 4)
    if best is None:
        point = (meeting.point[0] + toward[0] * distance, meeting.point[1] + toward[1] * distance)
        return replace(
            finding,
            match="crossing_offset",
            point=point,
            spread_m=spread,
            sureness=finding.sureness * 0.8,
            reasons=(*finding.reasons, "offset.straight"),
        )
    _, segment, along, _ = best
    walked = walk(gazetteer.lines, segment, along, toward, distance)
    point, hand = (
        aside(walked.point, walked.tangent, parsed.side) if parsed.side else (walked.point, "")
    )
    return replace(
        finding,
        match="crossing_offset",
        point=point,
        segment=walked.segment,
        side=hand,
        spread_m=spread,
        sureness=finding.sureness * (0.95 if walked.missing_m == 0 else 0.6),
    )


def find_km_post(parsed: Parsed, gazetteer: Gazetteer) -> Iterator[Finding]:
    """A kilometre of a road: its post, or a place between two posts."""
    if parsed.km_m is None:
        return
    for street, likeness in options(parsed.street):
        found = at_km(gazetteer.km_posts, street, parsed.km_m)
        if found is not None:
            point, sure, spread = found
            yield moved(
                Finding(
                    "km_post",
                    point,
                    sure,
                    spread,
                    f"{gazetteer.street_names[street]} {parsed.km_text}",
                    street=street,
                    likeness=likeness,
                    confirmed=True,
                ),
                parsed,
                gazetteer,
            )


def find_facility(parsed: Parsed, gazetteer: Gazetteer) -> Iterator[Finding]:
    """A numbered pole, cover or stop, on its street or anywhere when the number is the town's only one."""
    if not parsed.facility:
        return
    key = facility_key(parsed.facility)
    for street, likeness in [*options(parsed.street), (-1, 1.0)]:
        point = gazetteer.facilities.points.get((street, key))
        if point is not None:
            yield moved(
                Finding(
                    "place",
                    point,
                    0.95,
                    10.0,
                    parsed.facility,
                    street=street,
                    likeness=likeness,
                    confirmed=True,
                ),
                parsed,
                gazetteer,
            )


def find_street(parsed: Parsed, gazetteer: Gazetteer) -> Iterator[Finding]:
    """A street alone: its line, the point in the middle (or in the named part), and its side."""
    for street, likeness in options(parsed.street):
        anchor = gazetteer.street_anchor(street)
        if anchor is None:
            continue
        lines = gazetteer.lines
        parts = lines.parts(street) if lines.of_street[street] else None
        middle = lines.middle(street)
        spread = max(40.0, middle[1]) if middle else 500.0
        point, segment = anchor, -1
        if parts is not None and parsed.part in COMPASS:
            point, segment = part_of_street(gazetteer, street, parsed.part)
            spread = max(40.0, spread / 2)
        elif parts is not None:
            near = lines.nearest(anchor, street)
            segment = near[0] if near else -1
        sure = 0.6 if spread <= 100 else 0.4 if spread <= 200 else 0.25 if spread <= 400 else 0.15
        finding = Finding(
            "street",
            point,
            sure,
            spread,
            gazetteer.street_names[street],
            street=street,
            segment=segment,
            line=parts,
            likeness=likeness,
        )
        yield to_side(finding, gazetteer, parsed.side) if parsed.side else finding


def part_of_street(gazetteer: Gazetteer, street: int, part: str) -> tuple[Point, int]:
    """The middle of the segments that lie in the named third of a street's extent, and one of them."""
    lines, toward = gazetteer.lines, COMPASS[part]
    rows: list[tuple[float, int, Point]] = []
    for segment in lines.of_street[street]:
        line = lines.points(segment)
        point, _ = at(line, length(line) / 2)
        rows.append((point[0] * toward[0] + point[1] * toward[1], segment, point))
    low, high = min(r[0] for r in rows), max(r[0] for r in rows)
    chosen = [r for r in rows if r[0] >= high - (high - low) / 3] or rows
    chosen.sort()
    _, segment, point = chosen[len(chosen) // 2]
    return point, segment


def find_community(parsed: Parsed, gazetteer: Gazetteer) -> Iterator[Finding]:
    """A community or district alone: its middle, with its extent as the spread."""
    named = gazetteer.communities
    for c in parsed.communities:
        spread = max(100.0, named.spread_m[c])
        yield Finding(
            "community",
            (named.x_m[c], named.y_m[c]),
            0.3 if spread <= 500 else 0.2,
            spread,
            named.name[c],
        )
