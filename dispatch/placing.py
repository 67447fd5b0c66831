"""Where a report lies: from its point, its words, or both, with an honest word when they disagree.

A point wins over words when both name the same neighbourhood. When they lie farther apart than the
town allows, or the point lies outside the town, nothing is chosen: the candidates go to a person.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from dispatch.placed_by_words import (
    candidates_of,
    from_answer,
    label_of,
    read_texts,
    reading_of,
)
from dispatch.placement import GivenPoint, Placement
from dispatch.reasons import reason
from grid.book import Ground
from grid.change_counts import Marks
from grid.core.crs import to_plane
from grid.core.datums import suspect_datum, to_wgs84
from grid.core.errors import BadInput
from grid.core.settings import TownSettings
from grid.geocode.doubt import disagrees
from grid.geocode.model import Answer
from grid.learning import is_default_point
from grid.locate import Located, locate
from grid.reach import ON_BOUNDARY_M, Reach

# Confidence of a bare point: phones are right within a street's width nine times in ten; a point
# that its own words confirm is as sure as anything gets.
POINT_ALONE = 0.9
POINT_CONFIRMED = 0.98
SUSPECT_CONFIDENCE = 0.3


def find_place(
    session: Session,
    ground: Ground,
    settings: TownSettings,
    at: datetime,
    point: GivenPoint | None,
    texts: tuple[str, ...],
    marks: Marks | None = None,
) -> Placement:
    """Finds the place of a report from its point and its texts (the first that reads is taken).

    `marks`: the counters of changes, where the same request has read them already. Raises BadInput `datum.unknown`, `point.not_finite`.
    """
    epsg = ground.town.plane_epsg
    if point is not None:
        place = _in_plane(point, epsg)
        doubted = place is not None and not point.by_hand
        if place and doubted and is_default_point(ground.default_points, place[0], place[1]):
            answer = read_texts(texts, ground, near=None)
            return _without_point(
                from_answer(session, ground, settings, at, answer, marks), place[0], place[1]
            )
        answer = read_texts(texts, ground, near=place[2:] if place else None)
        return _from_point(session, ground, settings, at, point, place, answer, marks)
    answer = read_texts(texts, ground, near=None)
    return from_answer(session, ground, settings, at, answer, marks)


def _in_plane(point: GivenPoint, epsg: int) -> tuple[float, float, float, float] | None:
    """lon, lat, x_m, y_m of a point; None for numbers that are no place on earth in that datum."""
    if not (_finite(point.lon) and _finite(point.lat)):
        raise BadInput("point.not_finite", field="location", lon=point.lon, lat=point.lat)
    try:
        lon, lat = (float(v) for v in to_wgs84(point.lon, point.lat, point.datum))
    except BadInput as error:
        if error.code == "datum.unknown":
            raise
        return None
    x, y = (float(v) for v in to_plane(lon, lat, epsg))
    on_earth = abs(lon) <= 180 and abs(lat) <= 90
    return (lon, lat, x, y) if on_earth and _finite(x) and _finite(y) else None


def _without_point(placement: Placement, lon: float, lat: float) -> Placement:
    """A place found by words alone, because the point given stands for "unknown"."""
    why = reason("place.default_point", lon=round(lon, 6), lat=round(lat, 6))
    return replace(
        placement,
        flags=("default_point", *placement.flags),
        reasons=(why, *placement.reasons),
    )


def _from_point(
    session: Session,
    ground: Ground,
    settings: TownSettings,
    at: datetime,
    given: GivenPoint,
    place: tuple[float, float, float, float] | None,
    answer: Answer | None,
    marks: Marks | None,
) -> Placement:
    epsg = ground.town.plane_epsg
    lon, lat, x, y = place or (0.0, 0.0, 0.0, 0.0)
    located = place and locate(session, x, y, at, neighbour_m=settings.neighbour_m, marks=marks)
    spoken = answer if answer is not None and answer.x_m is not None else None
    base = Placement(
        waits=False,
        match="point",
        confidence=POINT_ALONE,
        spread_m=15.0,
        lon=lon,
        lat=lat,
        located=located,
        reading=reading_of(answer),
        reasons=(reason("place.point", datum=given.datum),),
    )
    own = {"label": "", "lon": lon, "lat": lat, "match": "point", "confidence": POINT_ALONE}
    worded = candidates_of(answer, epsg)
    reach = Reach(ground.boundary, settings.reach_m)
    if located is None or not _of_town(reach, located, x, y, given.by_hand):
        distance = None if located is None else round(located.distance_m)
        datum = _other_datum(session, ground, settings, at, given)
        beyond_m = reach.point_beyond_m(x, y) if located else 0.0
        why = reason("place.point_outside", distance_m=distance, datum=given.datum)
        if beyond_m > ON_BOUNDARY_M:
            why = reason("place.point_beyond", beyond_m=round(beyond_m), datum=given.datum)
        return replace(
            base,
            waits=True,
            lon=None,
            lat=None,
            match="none",
            confidence=0.0,
            spread_m=None,
            located=None,
            candidates=tuple(worded) + tuple(datum),
            flags=("point_outside",) + (("datum_suspect",) if datum else ()),
            reasons=(
                why,
                *(reason("place.datum_suspect", datum=c["label"]) for c in datum[:1]),
            ),
        )
    if spoken is None:
        return base
    apart_m = disagrees((x, y), spoken, limit_m=settings.disagreement_m)
    if apart_m is None:
        return replace(
            base, confidence=POINT_CONFIRMED, reasons=(*base.reasons, reason("place.words_agree"))
        )
    if spoken.needs_person:
        # Words too vague to trust cannot overrule a point; the doubt is kept in sight.
        return replace(base, flags=("words_elsewhere",), candidates=(own, *worded))
    return replace(
        base,
        waits=True,
        confidence=min(POINT_ALONE, 1.0 - spoken.confidence),
        candidates=(*worded, own),
        flags=("point_disagrees",),
        reasons=(
            *base.reasons,
            reason("place.point_disagrees", apart_m=round(apart_m), words=label_of(spoken)),
        ),
    )


def _other_datum(
    session: Session, ground: Ground, settings: TownSettings, at: datetime, given: GivenPoint
) -> list[dict[str, Any]]:
    """Candidates from reading the same numbers in another datum, or swapped, that lie in the town."""

    def inside(lons: NDArray[np.float64], lats: NDArray[np.float64]) -> NDArray[np.bool_]:
        x, y = to_plane(lons, lats, ground.town.plane_epsg)
        reach = Reach(ground.boundary, settings.reach_m)
        return np.array([_in_reach(session, reach, at, *xy) for xy in zip(x, y, strict=True)])

    return [
        {
            "label": "swapped" if suspect.swapped else suspect.datum,
            "lon": round(suspect.lon, 7),
            "lat": round(suspect.lat, 7),
            "match": "point",
            "confidence": SUSPECT_CONFIDENCE,
            "datum": suspect.datum,
            "swapped": suspect.swapped,
        }
        for suspect in suspect_datum(given.lon, given.lat, inside, given.datum)
    ]


def _in_reach(session: Session, reach: Reach, at: datetime, x: float, y: float) -> bool:
    if not (_finite(x) and _finite(y)):
        return False
    found = locate(session, float(x), float(y), at, neighbour_m=0.0)
    return found is not None and _of_town(reach, found, float(x), float(y), by_hand=False)


def _of_town(reach: Reach, located: Located, x: float, y: float, by_hand: bool) -> bool:
    return reach.holds_point(x, y, located.distance_m, by_hand)


def _finite(value: float) -> bool:
    return value == value and abs(value) != float("inf")
