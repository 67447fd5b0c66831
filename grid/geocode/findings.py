"""A possible answer while the chain is still weighing it, and the small steps several finders share."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

from grid.core.values import dataclass
from grid.geocode.gazetteer import Gazetteer
from grid.geocode.lines import COMPASS, STEP_ASIDE_M, Point, aside, at, walk
from grid.geocode.model import Correction, Floats
from grid.geocode.parsed import Parsed, StreetRef


@dataclass(frozen=True, slots=True)
class Finding:
    """One possible place with dense indices.

    sureness: that the place is right if the names were meant so; likeness: that they were. `confirmed` when something
    else in the text bears the names out (a plate with that number, two streets that really cross).
    """

    match: str
    point: Point
    sureness: float
    spread_m: float
    label: str = ""
    street: int = -1
    cross: int = -1
    place: int = -1
    segment: int = -1
    side: str = ""
    line: tuple[Floats, ...] | None = None
    reasons: tuple[str, ...] = ()
    likeness: float = 1.0
    confirmed: bool = False
    place_correction: Correction | None = None
    segments: tuple[tuple[int, float], ...] = ()
    learned_id: int = 0


def options(ref: StreetRef | None) -> Iterator[tuple[int, float]]:
    """(dense street, likeness) of a street reference and its rivals; nothing for an unknown street."""
    if ref is None:
        return
    for each in (ref, *ref.rivals):
        for street in each.ids:
            yield street, each.likeness


def correction_of(ref: StreetRef | None, street: int) -> Correction | None:
    """The correction that made a street of what was typed; None when it was typed so, or is not this reference's."""
    if ref is None:
        return None
    return next((each.correction for each in (ref, *ref.rivals) if street in each.ids), None)


def moved(finding: Finding, parsed: Parsed, gazetteer: Gazetteer) -> Finding:
    """A finding after the bearing and distance, then the side that the text adds to its anchor."""
    result = finding
    if parsed.offset_m and parsed.direction in COMPASS:
        result = offset(result, gazetteer, COMPASS[parsed.direction], parsed.offset_m)
    elif parsed.offset_m:
        spread = max(result.spread_m, parsed.offset_m)
        result = replace(
            result,
            spread_m=spread,
            reasons=(*result.reasons, "offset.no_direction"),
            sureness=result.sureness * 0.9,
        )
    if parsed.side == "opposite":
        return across(result, gazetteer)
    if parsed.side:
        return to_side(result, gazetteer, parsed.side)
    return result


def offset(finding: Finding, gazetteer: Gazetteer, toward: Point, distance_m: float) -> Finding:
    """Walk along the finding's street (or the nearest one) toward a bearing; straight over the ground without streets."""
    spread = max(20.0, distance_m / 4)
    start = gazetteer.lines.nearest(
        finding.point,
        finding.street
        if finding.street >= 0 and gazetteer.lines.of_street[finding.street]
        else None,
    )
    if start is not None and start[2] <= 80.0:
        segment, along, _ = start
        walked = walk(gazetteer.lines, segment, along, toward, distance_m)
        dx, dy = walked.point[0] - finding.point[0], walked.point[1] - finding.point[1]
        size = math.hypot(dx, dy) or 1.0
        if walked.missing_m < distance_m / 3 and (dx * toward[0] + dy * toward[1]) / size > 0.5:
            return replace(
                finding,
                point=walked.point,
                segment=walked.segment,
                spread_m=spread,
                side="",
                sureness=finding.sureness * 0.95,
            )
    point = (finding.point[0] + toward[0] * distance_m, finding.point[1] + toward[1] * distance_m)
    return replace(
        finding,
        point=point,
        segment=-1,
        side="",
        spread_m=spread,
        sureness=finding.sureness * 0.85,
        reasons=(*finding.reasons, "offset.straight"),
    )


def to_side(finding: Finding, gazetteer: Gazetteer, side: str) -> Finding:
    """Step from the middle of the street to a compass side or to its left or right."""
    if side not in COMPASS and side not in ("left", "right"):
        return finding
    if finding.match in ("crossing", "place") and side in COMPASS:
        step = 15.0 if finding.match == "crossing" else min(finding.spread_m, 30.0)
        toward = COMPASS[side]
        return replace(
            finding,
            point=(finding.point[0] + toward[0] * step, finding.point[1] + toward[1] * step),
        )
    near = _nearest(finding, gazetteer)
    if near is None:
        return finding
    segment, along, _ = near
    point, tangent = at(gazetteer.lines.points(segment), along)
    stepped, hand = aside(point, tangent, side)
    return replace(finding, point=stepped, segment=segment, side=hand or finding.side)


def across(finding: Finding, gazetteer: Gazetteer) -> Finding:
    """The other side of the street, at the same distance along it."""
    near = _nearest(finding, gazetteer)
    if near is None or near[2] > 120.0:
        return replace(finding, spread_m=max(finding.spread_m, 30.0))
    segment, along, away = near
    point, tangent = at(gazetteer.lines.points(segment), along)
    left = (finding.point[0] - point[0]) * -tangent[1] + (finding.point[1] - point[1]) * tangent[0]
    stepped, hand = aside(
        point, tangent, "right" if left > 0 else "left", max(STEP_ASIDE_M, min(away, 20.0))
    )
    return replace(
        finding, point=stepped, segment=segment, side=hand, spread_m=max(finding.spread_m, 30.0)
    )


def _nearest(finding: Finding, gazetteer: Gazetteer) -> tuple[int, float, float] | None:
    """The segment a finding lies on: of its own street when that has lines, else any within 60 m."""
    if finding.street >= 0:
        return (
            gazetteer.lines.nearest(finding.point, finding.street)
            if gazetteer.lines.of_street[finding.street]
            else None
        )
    near = gazetteer.lines.nearest(finding.point)
    return near if near is not None and near[2] <= 60.0 else None
