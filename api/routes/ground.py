"""The ground over HTTP: geocode words, route a point, streets and grids as GeoJSON, the catalogue."""

from __future__ import annotations

import hashlib
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import AwareDatetime

from api.deps import DbSession, Lang, MaybeAccount, Now, Reader, ServicesDep
from api.routes.incidents import PROBLEMS
from api.schemas import reason_text
from dispatch.candidate_owners import with_owners
from dispatch.placement import GivenPoint
from dispatch.placing import find_place
from dispatch.routing import route as route_report
from grid.core.errors import Conflict, NotFound
from grid.locate import crew_of
from maps import frames
from maps.export_filters import parse_box

router = APIRouter(prefix="/api/v1", tags=["ground"])


@router.get("/geocode", responses=PROBLEMS)
def geocode(
    session: DbSession,
    services: ServicesDep,
    language: Lang,
    now: Now,
    account: MaybeAccount,
    q: Annotated[str, Query(min_length=1, max_length=2000)],
    owners: bool = False,
    category: str | None = None,
) -> dict[str, Any]:
    """Where a text lies: point, match, confidence, reading, candidates, with segment and grid.

    With `owners` each candidate says who would answer there for the `category`.
    """
    ground, rules = services.desk.read(session)
    if ground is None:
        raise Conflict("town.empty")
    town = services.settings.town
    found = find_place(session, ground, town, now, None, (q,))
    located = found.located
    candidates = list(found.candidates)
    if owners:
        shown = account is not None and account.may("see_people")
        kind = rules.category(category)
        candidates = with_owners(session, ground, town, candidates, kind, now, with_people=shown)
    return {
        "query": q,
        "match": found.match,
        "confidence": found.confidence,
        "lon": found.lon,
        "lat": found.lat,
        "spread_m": found.spread_m,
        "waits": found.waits,
        "street": located.street if located else None,
        "segment_id": located.segment_id if located else None,
        "grid": _grid(located.grid) if located else None,
        "reading": found.reading,
        "candidates": candidates,
        "flags": list(found.flags),
        "reason": reason_text([r.plain() for r in found.reasons], language),
    }


@router.get("/route", responses=PROBLEMS)
def route(
    session: DbSession,
    services: ServicesDep,
    account: MaybeAccount,
    language: Lang,
    now: Now,
    lon: float,
    lat: float,
    datum: str = "wgs84",
    category: str | None = None,
    at: AwareDatetime | None = None,
) -> dict[str, Any]:
    """Who answers for a point: segment, side, grid, post, person, and why."""
    ground, rules = services.desk.read(session)
    if ground is None:
        raise Conflict("town.empty")
    moment = at or now
    kind = rules.category(category)
    placed = find_place(
        session, ground, services.settings.town, moment, GivenPoint(lon, lat, datum), ()
    )
    located = placed.located
    crew = crew_of(session, located, moment) if located is not None else None
    routed = route_report(placed, kind, crew)
    shown = account is not None and account.may("see_people")
    reasons = [r.plain() for r in (*placed.reasons, *routed.reasons)]
    assignee = None
    if routed.answering and shown:
        assignee = {"id": routed.answering.person.id, "name": routed.answering.person.name}
    return {
        "lon": placed.lon,
        "lat": placed.lat,
        "segment_id": located.segment_id if located else None,
        "street": located.street if located else None,
        "side": located.side if located else None,
        "distance_m": round(located.distance_m, 3) if located else None,
        "grid": _grid(located.grid) if located else None,
        "grid_code": located.grid.code if located and located.grid else None,
        "neighbour_grid": _grid(located.neighbour) if located else None,
        "post": routed.post,
        "assignee": assignee,
        "queue": routed.queue,
        "candidates": list(placed.candidates),
        "reason": reason_text(reasons, language, with_people=shown),
        "reasons": reasons if shown else [],
    }


@router.get("/grids")
def grids(session: DbSession, account: Reader, now: Now) -> list[dict[str, Any]]:
    """The grids in force with their crews and figures."""
    return frames.grids_list(session, now, with_people=account.may("see_people"))


@router.get("/grids.geojson")
def grids_geojson(request: Request, session: DbSession, account: Reader, now: Now) -> Response:
    """The grids in force: their streets as one geometry each, with code, name, colour and crew."""
    body = frames.grids_geojson(session, now, with_people=account.may("see_people"))
    return geojson(request, body)


@router.get("/segments.geojson", responses=PROBLEMS)
def segments_geojson(
    request: Request, session: DbSession, account: Reader, bbox: str | None = None
) -> Response:
    """Street segments in force, with street, class and grid."""
    return geojson(request, frames.segments_geojson(session, parse_box(bbox)))


@router.get("/categories")
def categories(
    session: DbSession, services: ServicesDep, now: Now, ended: bool = False
) -> list[dict[str, Any]]:
    """The categories that a new report may have; with `ended` also those that it may not have any more."""
    _, rules = services.desk.read(session)
    return [
        {
            "code": c.code,
            "class_zh": c.class_zh,
            "class_en": c.class_en,
            "kind": c.kind,
            "name_zh": c.name_zh,
            "name_en": c.name_en,
            "post": c.post,
            "support_posts": list(c.support_posts),
            "urgency": c.urgency,
        }
        for c in (rules.categories.values() if ended else rules.open_categories(now))
    ]


@router.get("/categories/{code}/conditions", responses=PROBLEMS)
def conditions(
    code: str, session: DbSession, services: ServicesDep, account: Reader, now: Now
) -> list[dict[str, Any]]:
    """The filing conditions of a category in force now, each with the limit that follows from it."""
    _, rules = services.desk.read(session)
    if code not in rules.categories:
        raise NotFound("category.unknown", field="code", category=code)
    return [
        {
            "code": c.code,
            "name_zh": c.name_zh,
            "name_en": c.name_en,
            "limit": {"value": c.limit.value, "unit": c.limit.unit.value},
        }
        for c in rules.conditions.get(code, ())
        if c.holds(now)
    ]


@router.get("/channels")
def channels(session: DbSession, services: ServicesDep) -> list[dict[str, Any]]:
    """The channels reports come in by."""
    _, rules = services.desk.read(session)
    return [
        {
            "code": c.code,
            "name_zh": c.name_zh,
            "name_en": c.name_en,
            "datum": c.datum,
            "open_to_all": c.open_to_all,
        }
        for c in rules.channels.values()
    ]


def geojson(request: Request, body: bytes) -> Response:
    """A GeoJSON answer with an ETag; 304 when the reader has it already."""
    tag = f'"{hashlib.sha256(body).hexdigest()[:24]}"'
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(body, media_type="application/geo+json", headers=headers)


def _grid(ref: Any) -> dict[str, str] | None:
    return None if ref is None else {"code": ref.code, "name": ref.name}
