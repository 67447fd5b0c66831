"""Where a report lies by its words: the answer of the geocoder with its owner, its reasons and its doubts."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy.orm import Session

from dispatch.placement import Placement
from dispatch.reasons import Reason, reason
from dispatch.stretches import main_part, span_line, span_reasons, span_segments
from grid.book import Ground
from grid.change_counts import Marks
from grid.core.crs import from_plane
from grid.core.database import ask
from grid.core.settings import TownSettings
from grid.geocode.chain import geocode
from grid.geocode.model import Answer, Candidate
from grid.locate import Located, locate
from grid.reach import ON_BOUNDARY_M, Reach

CANDIDATES_KEPT = 6


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


def from_answer(
    session: Session,
    ground: Ground,
    settings: TownSettings,
    at: datetime,
    answer: Answer | None,
    marks: Marks | None,
) -> Placement:
    """A placement out of what the words were read as; it waits where they leave a doubt."""
    epsg = ground.town.plane_epsg
    if answer is None or answer.x_m is None or answer.y_m is None:
        why = reason("place.no_words") if answer is None else reason("place.not_read")
        return Placement(
            waits=True,
            candidates=candidates_of(answer, epsg),
            reading=reading_of(answer),
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
        candidates=candidates_of(answer, epsg),
        reading=reading_of(answer),
        reasons=(
            reason("place.words", match=answer.match, place=label_of(answer)),
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
    beyond_m = Reach(ground.boundary, settings.reach_m).point_beyond_m(x, y)
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


def candidates_of(answer: Answer | None, epsg: int) -> tuple[dict[str, Any], ...]:
    """The first of an answer's candidates as they are stored: label, lon, lat, match, confidence."""
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


def reading_of(answer: Answer | None) -> dict[str, Any]:
    """What the words said, without the empty fields."""
    if answer is None:
        return {}
    names = answer.reading.__dataclass_fields__
    found = {name: getattr(answer.reading, name) for name in names}
    return {name: value for name, value in found.items() if value not in ("", None)}


def label_of(answer: Answer) -> str:
    """What the place that the words name is called."""
    if answer.candidates:
        return answer.candidates[0].label
    return answer.street
