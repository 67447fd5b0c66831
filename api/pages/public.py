"""The resident's form: reporting a problem without an account. What becomes of it is told in `track.py`."""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, File, Form, Query, Request, Response, UploadFile
from fastapi.responses import RedirectResponse
from sqlalchemy.orm import Session

from api.deps import (
    DbSession,
    Lang,
    MaybeAccount,
    Now,
    ServicesDep,
    get_language,
    get_services,
)
from api.i18n import Language, translate
from api.limits import limits_of
from api.pages.rendering import map_of, page
from api.resident_links import page_of
from api.routes.ground import geojson
from dispatch import evidence as evidence_store
from dispatch import overview
from dispatch.catalogue import CategoryFacts
from dispatch.duplicates import rules_of
from dispatch.intake import take_in
from dispatch.placement import GivenPoint
from dispatch.reports import Report
from dispatch.suggest_kept import suggestions as suggested
from grid.core.errors import BadInput, TooMany
from maps import frames
from maps.export_filters import parse_box

router = APIRouter(include_in_schema=False)
CHANNEL = "citizen"
LONGEST_WORDS = 2000
ANYBODY = "anonymous"
MOST_NEAR = 5
MOST_SUGGESTED = 3
EMPTY = dict.fromkeys(("description", "lon", "lat", "category", "name", "phone", "mail"), "")


@router.get("/report")
def report_form(request: Request, account: MaybeAccount, now: Now) -> Response:
    """The resident's form; it works without scripts and without the map."""
    return _form(request, account, now)


@router.post("/report")
def report(
    request: Request,
    session: DbSession,
    services: ServicesDep,
    language: Lang,
    now: Now,
    description: Annotated[str, Form(max_length=10_000)] = "",
    lon: Annotated[str, Form(max_length=40)] = "",
    lat: Annotated[str, Form(max_length=40)] = "",
    key: Annotated[str, Form(max_length=100)] = "",
    category: Annotated[str, Form(max_length=40)] = "",
    name: Annotated[str, Form(max_length=100)] = "",
    phone: Annotated[str, Form(max_length=40)] = "",
    mail: Annotated[str, Form(max_length=200)] = "",
    photo: Annotated[UploadFile | None, File()] = None,
) -> Response:
    """Takes the report in and leads to its own page; what cannot be used is said beside the form."""
    typed = (description, lon, lat, category, name, phone, mail)
    given: dict[str, Any] = {**dict(zip(EMPTY, typed, strict=True)), "key": key}
    limit_bytes = services.settings.web.upload_limit_mb * 1_000_000
    content = photo.file.read(limit_bytes + 1) if photo is not None and photo.filename else b""
    try:
        if not description.strip() and not lon:
            raise BadInput("report.empty", field="description")
        if len(description) > LONGEST_WORDS:
            raise BadInput(
                "report.too_long",
                field="description",
                length=len(description),
                most=LONGEST_WORDS,
            )
        limits_of(request).open_report(request)
        taken = take_in(
            session,
            services.desk,
            Report(
                channel=CHANNEL,
                description=description.strip(),
                category=category or None,
                point=_point(lon, lat),
                reporter_name=name.strip() or None,
                reporter_phone=phone.strip() or None,
                reporter_mail=mail.strip() or None,
                tell_by="sms" if phone.strip() else "mail" if mail.strip() else None,
                language=language,
                idempotency_key=f"{ANYBODY}|page-{key}" if key else None,
            ),
            ANYBODY,
            now,
        )
    except (BadInput, TooMany) as refusal:
        sentence = translate(language, refusal.code, **refusal.values)
        status = 429 if isinstance(refusal, TooMany) else 422
        return _form(request, None, now, status=status, problem=sentence, given=given)
    kept = True
    if content and taken.created:
        folder = services.evidence
        kept = _keep_photo(session, folder, taken, content, limit_bytes, now)
    target = page_of(services.settings.database.home_folder, taken.number)
    return RedirectResponse(f"{target}&new={'1' if kept else 'photo'}", status_code=303)


@router.get("/report/streets.geojson")
def streets(request: Request, session: DbSession, bbox: str) -> Response:
    """The streets around a place, for the form's own map: no people, no incidents."""
    west_south_east_north = parse_box(bbox)
    if west_south_east_north is None:
        raise BadInput("bbox.unreadable", field="bbox", bbox=bbox)
    west, south, east, north = west_south_east_north
    if east - west > 0.2 or north - south > 0.2:
        raise BadInput("bbox.too_large", field="bbox")
    return geojson(request, frames.segments_geojson(session, west_south_east_north))


@router.get("/report/suggestions.json")
def suggestions(
    session: DbSession,
    services: ServicesDep,
    language: Lang,
    now: Now,
    q: Annotated[str, Query(max_length=LONGEST_WORDS)] = "",
) -> list[dict[str, str]]:
    """Categories that the words speak of, best first: `code`, `name`. A help, never a decision."""
    _, catalogue = services.desk.read(session)
    open_now = {each.code: each for each in catalogue.open_categories(now)}
    learned = services.suggestions.read(session)
    known = [
        open_now[found.category] for found in suggested(q, learned, list(open_now), MOST_SUGGESTED)
    ]
    return [{"code": each.code, "name": name_of(each, language)} for each in known]


@router.get("/report/near.json")
def near(
    session: DbSession,
    services: ServicesDep,
    language: Lang,
    now: Now,
    lon: Annotated[float, Query(ge=-180, le=180)],
    lat: Annotated[float, Query(ge=-90, le=90)],
) -> list[dict[str, Any]]:
    """Open reports around a place, the nearest first: number, what, where it stands, when, distance; nobody's words."""
    ground, _ = services.desk.read(session)
    if ground is None:
        return []
    new, rules = (lon, lat, "", ""), rules_of(services.desk.settings)
    found = overview.neighbours(session, ground.town.plane_epsg, new, now, rules=rules)
    nearest = sorted(found, key=lambda each: float(each["distance_m"]))[:MOST_NEAR]
    return [
        {
            "number": each["number"],
            "category": each[f"category_{language}"],
            "status": translate(language, f"track.plain_{each['status']}"),
            "reported_at": each["reported_at"],
            "distance_m": round(each["distance_m"]),
        }
        for each in nearest
    ]


def _form(
    request: Request,
    account: Any,
    now: datetime,
    *,
    status: int = 200,
    problem: str | None = None,
    given: dict[str, Any] | None = None,
) -> Response:
    return page(
        request,
        "report.html",
        account=account,
        status=status,
        map_pieces=map_of(request),
        messages=("public.", "map.", "field.photo", "grid.", "post.", "time."),
        problem=problem,
        given=given or {**EMPTY, "key": secrets.token_urlsafe(16)},
        categories=_categories(request, now),
        bounds=_bounds(request),
    )


def _categories(request: Request, now: datetime) -> list[tuple[str, str]]:
    """Code and name of what may be reported, in the reader's language."""
    services, language = get_services(request), get_language(request)
    with services.sessions() as session:
        _, catalogue = services.desk.read(session)
    return [(each.code, name_of(each, language)) for each in catalogue.open_categories(now)]


def name_of(category: CategoryFacts, language: Language) -> str:
    """A category's name in one language."""
    return category.name_zh if language == "zh" else category.name_en


def _bounds(request: Request) -> str:
    """West, south, east, north of the town for the map's first view; empty in an empty town."""
    with request.app.state.services.sessions() as session:
        found = frames.town_bounds(session)
    return ",".join(f"{value:.5f}" for value in found) if found else ""


def _point(lon: str, lat: str) -> GivenPoint | None:
    if not lon or not lat:
        return None
    try:
        return GivenPoint(float(lon), float(lat), "wgs84")
    except ValueError as error:
        raise BadInput("point.not_finite", field="location", lon=lon, lat=lat) from error


def _keep_photo(
    session: Session, folder: Any, taken: Any, content: bytes, limit_bytes: int, now: Any
) -> bool:
    """Keeps the photo; one that cannot be read never costs the report itself."""
    if len(content) > limit_bytes:
        return False
    try:
        with session.begin_nested():
            evidence_store.keep_photo(
                session,
                folder,
                taken.incident_id,
                taken.number,
                evidence_store.Photo(
                    content=content, stage="before", point=None, taken_at=None, client_id=None
                ),
                ANYBODY,
                now,
            )
    except BadInput:
        return False
    return True
