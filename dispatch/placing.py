"""Where a report lies: from its point, its words, or both, with an honest word when they disagree.

A point wins over words when both name the same neighbourhood. When they lie farther apart than the
town allows, or the point lies outside the town, nothing is chosen: the candidates go to a person.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import lru_cache
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from sqlalchemy import text
from sqlalchemy.orm import Session

from dispatch.models import Incident
from dispatch.reasons import Reason, reason
from dispatch.stretches import main_part, span_line, span_reasons, span_segments
from grid.book import Ground
from grid.change_counts import Marks
from grid.core.crs import from_plane, to_plane
from grid.core.database import ask
from grid.core.datums import suspect_datum, to_wgs84
from grid.core.errors import BadInput
from grid.core.settings import TownSettings
from grid.geocode.chain import geocode
from grid.geocode.doubt import disagrees
from grid.geocode.model import Answer, Candidate
from grid.learning import is_default_point
from grid.locate import GridRef, Located, locate
from grid.reach import ON_BOUNDARY_M, Reach

# Confidence of a bare point: phones are right within a street's width nine times in ten; a point
# that its own words confirm is as sure as anything gets.
POINT_ALONE = 0.9
POINT_CONFIRMED = 0.98
SUSPECT_CONFIDENCE = 0.3
CANDIDATES_KEPT = 6


@dataclass(frozen=True, slots=True)
class GivenPoint:
    """A point as it came in: longitude, latitude (or x, y of a projected datum) and its datum."""

    lon: float
    lat: float
    datum: str
    # Set by a person who saw the map: never taken for a default point.
    by_hand: bool = False


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a report lies and how that was found; `waits` when a person must decide."""

    waits: bool
    match: str = "none"
    confidence: float = 0.0
    spread_m: float | None = None
    lon: float | None = None
    lat: float | None = None
    span: shapely.LineString | None = None
    located: Located | None = None
    candidates: tuple[dict[str, Any], ...] = ()
    reading: dict[str, Any] = field(default_factory=dict)
    flags: tuple[str, ...] = ()
    reasons: tuple[Reason, ...] = ()
    # Of a stretch: each segment it runs along with the metres of it there and the grid, most first.
    segments: tuple[dict[str, Any], ...] = ()

    def point(self) -> GivenPoint | None:
        """The place as a point in WGS 84; None when none is known."""
        if self.lon is None or self.lat is None:
            return None
        return GivenPoint(self.lon, self.lat, "wgs84", by_hand=True)


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
                _from_answer(session, ground, settings, at, answer, marks), place[0], place[1]
            )
        answer = read_texts(texts, ground, near=place[2:] if place else None)
        return _from_point(session, ground, settings, at, point, place, answer, marks)
    answer = read_texts(texts, ground, near=None)
    return _from_answer(session, ground, settings, at, answer, marks)


def read_texts(
    texts: tuple[str, ...], ground: Ground, near: tuple[float, float] | None
) -> Answer | None:
    """The best answer among the texts in their order; the first sure one ends the search."""
    best: Answer | None = None
    for words in texts:
        if not words.strip():
            continue
        answer = geocode(words, ground.gazetteer, near=near)
        if best is None or answer.confidence > best.confidence:
            best = answer
        if not best.needs_person:
            break
    return best


def find_words(
    texts: list[str], ground: Ground, near: list[tuple[float, float] | None]
) -> list[Answer]:
    """The answer of each text; what the town's words do not tell is answered `none`."""
    return [
        geocode(words, ground.gazetteer, near=point)
        for words, point in zip(texts, near, strict=True)
    ]


def stored_placement(session: Session, incident: Incident) -> Placement:
    """Where a recorded incident lies, as it was written down; for naming its person again."""
    row = session.execute(
        text(
            "select s.street_id, t.name as street, g.id, g.code, g.name, st_x(i.point) as lon,"
            " st_y(i.point) as lat from segment s left join incident i on i.id = :incident"
            " left join street t on t.id = s.street_id left join grid g on g.id = :grid"
            " where s.id = :segment"
        ),
        {"grid": incident.grid_id, "segment": incident.segment_id, "incident": incident.id},
    ).one_or_none()
    if row is None or incident.segment_id is None:
        return Placement(waits=True)
    grid = None if row.id is None else GridRef(row.id, row.code, row.name)
    located = Located(
        segment_id=incident.segment_id,
        street_id=row.street_id,
        street=row.street,
        side=incident.side or "",
        distance_m=incident.distance_m or 0.0,
        along_m=0.0,
        grid=grid,
        neighbour=None,
        neighbour_distance_m=None,
        held_then=True,
    )
    return Placement(waits=False, lon=row.lon, lat=row.lat, located=located)


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
        reading=_reading(answer),
        reasons=(reason("place.point", datum=given.datum),),
    )
    own = {"label": "", "lon": lon, "lat": lat, "match": "point", "confidence": POINT_ALONE}
    worded = _candidates(answer, epsg)
    reach = Reach(ground.boundary, settings.reach_m)
    if located is None or not _of_town(reach, located, x, y, given.by_hand):
        distance = None if located is None else round(located.distance_m)
        datum = _other_datum(session, ground, settings, at, given)
        beyond_m = _beyond_m(reach, x, y) if located else 0.0
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
            reason("place.point_disagrees", apart_m=round(apart_m), words=_label(spoken)),
        ),
    )


def _from_answer(
    session: Session,
    ground: Ground,
    settings: TownSettings,
    at: datetime,
    answer: Answer | None,
    marks: Marks | None,
) -> Placement:
    epsg = ground.town.plane_epsg
    if answer is None or answer.x_m is None or answer.y_m is None:
        why = reason("place.no_words") if answer is None else reason("place.not_read")
        return Placement(
            waits=True,
            candidates=_candidates(answer, epsg),
            reading=_reading(answer),
            reasons=(why,),
        )
    x, y = main_part(answer, ground.gazetteer) or (answer.x_m, answer.y_m)
    lon, lat = _degrees(x, y, epsg)
    located = _locate_answer(session, answer, (x, y), at, settings, marks)
    span = span_line(answer, epsg)
    parts = span_segments(session, answer, at)
    found = Placement(
        waits=False,
        match=answer.match,
        confidence=round(answer.confidence, 3),
        spread_m=round(answer.spread_m, 1),
        lon=lon,
        lat=lat,
        span=span,
        located=located,
        candidates=_candidates(answer, epsg),
        reading=_reading(answer),
        reasons=(
            reason("place.words", match=answer.match, place=_label(answer)),
            *(
                reason("place.correction", typed=c.typed, taken=c.taken, how=c.how)
                for c in answer.corrections
            ),
            *_learned_reason(answer, ground),
            *span_reasons(parts),
        ),
        segments=parts,
        flags=("corrected",) if answer.corrections else (),
    )
    beyond_m = _beyond_m(Reach(ground.boundary, settings.reach_m), x, y)
    if beyond_m > ON_BOUNDARY_M:
        return replace(
            found,
            waits=True,
            flags=("point_outside", *found.flags),
            reasons=(*found.reasons, reason("place.words_beyond", beyond_m=round(beyond_m))),
        )
    if answer.match == "street":
        return _whole_street(session, answer, found, settings)
    if answer.confidence < settings.place_confidence or located is None:
        return replace(found, waits=True, reasons=(*found.reasons, reason("place.not_sure")))
    return found


def _learned_reason(answer: Answer, ground: Ground) -> tuple[Reason, ...]:
    fact = ground.learned.get(answer.learned_id or 0)
    if fact is None:
        return ()
    return (
        reason(
            "place.learned",
            words=fact.words,
            day=fact.learned_at.date().isoformat(),
            number=fact.incident_number or "",
        ),
    )


def _locate_answer(
    session: Session,
    answer: Answer,
    place: tuple[float, float],
    at: datetime,
    settings: TownSettings,
    marks: Marks | None,
) -> Located | None:
    """The owner of an answer's place; a plate's own segment goes before the nearest one."""
    return locate(
        session,
        *place,
        at,
        neighbour_m=settings.neighbour_m,
        street_id=answer.owner_street_id,
        marks=marks,
    )


def _whole_street(
    session: Session, answer: Answer, found: Placement, settings: TownSettings
) -> Placement:
    """A street alone matches a section, not a point: it goes on only when one grid holds most of it."""
    share = _share_of_main_grid(session, answer, found)
    if share is not None and share >= settings.street_share:
        return replace(
            found,
            flags=(*found.flags, "street_only"),
            reasons=(
                *found.reasons,
                reason("place.street_of_one_grid", percent=round(100 * share)),
            ),
        )
    return replace(
        found, waits=True, reasons=(*found.reasons, reason("place.street_of_many_grids"))
    )


def _share_of_main_grid(session: Session, answer: Answer, found: Placement) -> float | None:
    from_located = found.located
    if answer.street_id is None or from_located is None or from_located.grid is None:
        return None
    return street_share(session, answer.street_id, from_located.grid.id)


def street_share(session: Session, street_id: int, grid_id: int) -> float:
    """Share of a street's length (0..1) that one grid holds now."""
    held, whole = ask(session, _SHARE, {"grid": grid_id, "street": street_id})[0]
    return float(held / whole) if whole else 0.0


_SHARE = """
select coalesce(sum(s.length_m) filter (where h.grid_id = %(grid)s), 0), sum(s.length_m)
from segment s join grid_segment h on h.segment_id = s.id and h.valid @> statement_timestamp()
where s.street_id = %(street)s and s.gone_at is null
"""


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
    distance_m = np.array([located.distance_m])
    return bool(reach.holds(np.array([x]), np.array([y]), distance_m, by_hand)[0])


def _beyond_m(reach: Reach, x: float, y: float) -> float:
    return float(reach.beyond_m(np.array([x]), np.array([y]))[0])


def _candidates(answer: Answer | None, epsg: int) -> tuple[dict[str, Any], ...]:
    if answer is None:
        return ()
    return tuple(_candidate(c, epsg) for c in answer.candidates[:CANDIDATES_KEPT])


def _candidate(candidate: Candidate, epsg: int) -> dict[str, Any]:
    lon, lat = _degrees(candidate.x_m, candidate.y_m, epsg)
    return {
        "label": candidate.label,
        "lon": round(lon, 7),
        "lat": round(lat, 7),
        "match": candidate.match,
        "confidence": round(candidate.confidence, 3),
    }


@lru_cache(maxsize=4096)
def _degrees(x_m: float, y_m: float, epsg: int) -> tuple[float, float]:
    """Longitude and latitude of a place in the plane, kept: what was found is also the first of the candidates."""
    lon, lat = from_plane(x_m, y_m, epsg)
    return float(lon), float(lat)


def _reading(answer: Answer | None) -> dict[str, Any]:
    """What the words said, without the empty fields."""
    if answer is None:
        return {}
    names = answer.reading.__dataclass_fields__
    found = {name: getattr(answer.reading, name) for name in names}
    return {name: value for name, value in found.items() if value not in ("", None)}


def _label(answer: Answer) -> str:
    if answer.candidates:
        return answer.candidates[0].label
    return answer.street


def _finite(value: float) -> bool:
    return value == value and abs(value) != float("inf")
