"""Stretches of a street: between two crossings, numbers, places or kilometre posts, clipped to the street's own line."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import shapely
from shapely.ops import linemerge, substring

from grid.geocode.crossings import MEETING_M, crossings
from grid.geocode.finders import locate_number
from grid.geocode.findings import Finding, options, to_side
from grid.geocode.gazetteer import Gazetteer
from grid.geocode.km_posts import at_km
from grid.geocode.lines import Point
from grid.geocode.model import Floats
from grid.geocode.parsed import End, Parsed
from grid.geocode.places import place_ids


def find_span(parsed: Parsed, gazetteer: Gazetteer) -> Iterator[Finding]:
    """The line between the two ends that the text names, along its street."""
    if parsed.span is None:
        return
    one, two = parsed.span
    for street, likeness in options(parsed.street):
        pairs = [
            (a, b)
            for a in _end_points(one, street, gazetteer)
            for b in _end_points(two, street, gazetteer)
        ]
        if not pairs:
            continue
        (a, sure_a), (b, sure_b) = max(
            pairs, key=lambda p: (p[0][1] * p[1][1], -math.dist(p[0][0], p[1][0]))
        )
        label = f"{gazetteer.street_names[street]} {one.text}-{two.text}"
        line = between(gazetteer, street, a, b)
        yield replace(
            _finding(parsed, gazetteer, a, b, sure_a * sure_b, label, street, line),
            likeness=likeness,
            confirmed=True,
        )
    if parsed.street is None:
        ends_a, ends_b = (
            list(_end_points(one, -1, gazetteer)),
            list(_end_points(two, -1, gazetteer)),
        )
        if ends_a and ends_b:
            (a, sure_a), (b, sure_b) = max(
                ((p, q) for p in ends_a for q in ends_b),
                key=lambda p: (p[0][1] * p[1][1], -math.dist(p[0][0], p[1][0])),
            )
            if math.dist(a, b) <= 3000.0:
                yield _finding(
                    parsed,
                    gazetteer,
                    a,
                    b,
                    sure_a * sure_b * 0.8,
                    f"{one.text}-{two.text}",
                    -1,
                    None,
                )


def _finding(
    parsed: Parsed,
    gazetteer: Gazetteer,
    a: Point,
    b: Point,
    sure: float,
    label: str,
    street: int,
    line: Floats | None,
) -> Finding:
    middle = ((a[0] + b[0]) / 2, (a[1] + b[1]) / 2)
    segment = -1
    held: tuple[tuple[int, float], ...] = ()
    if line is not None and len(line) > 1:
        shape = shapely.LineString(line)
        half = shape.interpolate(0.5, normalized=True)
        middle = (half.x, half.y)
        held = segments_held(gazetteer, street, line)
        segment = held[0][0] if held else -1
    else:
        line = np.asarray([a, b], dtype=np.float64)
        sure *= 0.8
    spread = max(20.0, math.dist(a, b) / 2)
    finding = Finding(
        "span",
        middle,
        0.95 * sure,
        spread,
        label,
        street=street,
        segment=segment,
        line=(line,),
        segments=held,
    )
    return to_side(finding, gazetteer, parsed.side) if parsed.side and street >= 0 else finding


def segments_held(gazetteer: Gazetteer, street: int, line: Floats) -> tuple[tuple[int, float], ...]:
    """(dense segment, metres of it on a stretch of its own street), most first; less than a metre is left out."""
    stretch = shapely.buffer(shapely.LineString(line), 0.2, cap_style="flat")
    found = [
        (
            s,
            float(
                shapely.length(
                    shapely.intersection(shapely.LineString(gazetteer.lines.points(s)), stretch)
                )
            ),
        )
        for s in gazetteer.lines.of_street[street]
    ]
    return tuple(sorted(((s, m) for s, m in found if m >= 1.0), key=lambda f: (-f[1], f[0])))


def _end_points(end: End, street: int, gazetteer: Gazetteer) -> Iterator[tuple[Point, float]]:
    """(point, sureness) for one end of a stretch."""
    if end.street is not None and street >= 0:
        for other, likeness in options(end.street):
            for meeting in crossings(gazetteer.lines, street, other)[:3]:
                if meeting.apart_m <= MEETING_M * 3:
                    yield meeting.point, likeness * (1.0 if meeting.apart_m == 0 else 0.7)
    if end.house is not None and street >= 0:
        located, _, _ = locate_number(gazetteer, street, end.house)
        if located is not None:
            yield located.point, located.sureness
    if end.km_m is not None and street >= 0:
        found = at_km(gazetteer.km_posts, street, end.km_m)
        if found is not None:
            yield found[0], found[1]
    if end.place is not None:
        named = gazetteer.places
        for place, likeness, _ in place_ids(end.place, gazetteer)[:8]:
            point = (named.x_m[place], named.y_m[place])
            near = (
                gazetteer.lines.nearest(point, street)
                if street >= 0 and gazetteer.lines.of_street[street]
                else None
            )
            yield point, 0.95 * likeness * (0.4 if near is not None and near[2] > 300 else 1.0)


def between(gazetteer: Gazetteer, street: int, a: Point, b: Point) -> Floats | None:
    """The street's line from the place nearest to one point to that nearest to another; None when they lie on separate pieces."""
    if not gazetteer.lines.of_street[street]:
        return None
    merged = linemerge(gazetteer.lines.shape(street))
    pieces = list(merged.geoms) if merged.geom_type == "MultiLineString" else [merged]
    best: tuple[float, shapely.LineString] | None = None
    start, stop = shapely.Point(a), shapely.Point(b)
    for piece in pieces:
        away = piece.distance(start) + piece.distance(stop)
        if best is None or away < best[0]:
            best = (away, piece)
    if best is None or best[0] > 150.0:
        return None
    piece = best[1]
    clipped = substring(piece, piece.project(start), piece.project(stop))
    if clipped.geom_type != "LineString" or clipped.length == 0:
        return None
    coordinates: Floats = shapely.get_coordinates(clipped)
    return coordinates
