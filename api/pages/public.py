"""Pages for everybody: reporting a problem and following it, without an account.

No name of a person and no word of the report itself is shown to somebody who only knows its number.
"""

from __future__ import annotations

import secrets
from typing import Annotated, Any

from fastapi import APIRouter, File, Form, Request, Response, UploadFile
from fastapi.responses import RedirectResponse
from sqlalchemy.orm import Session

from api.deps import DbSession, Lang, MaybeAccount, Now, ServicesDep
from api.i18n import Language, translate
from api.limits import limits_of
from api.pages.rendering import map_of, page
from api.routes.ground import geojson
from api.routes.incidents import parse_bbox
from api.schemas import lamp_of
from dispatch import evidence as evidence_store
from dispatch import reading
from dispatch.intake import Report, take_in
from dispatch.merging import lead_of
from dispatch.moves import ENDED
from dispatch.placing import GivenPoint
from grid.core.errors import BadInput, NotFound, TooMany
from maps import frames
from maps.page import Mark

router = APIRouter(include_in_schema=False)
CHANNEL = "citizen"
LONGEST_WORDS = 2000
ANYBODY = "anonymous"
# How far a report has come, in four steps a resident understands.
STEPS = ("received", "with_crew", "done", "checked")
STEP_OF = {
    "dispatched": 1,
    "in_disposal": 1,
    "suspended": 1,
    "disposed": 2,
    "checking": 2,
    "pending_close": 2,
    "closed": 3,
    "fixed_on_spot": 3,
}


@router.get("/report")
def report_form(request: Request, account: MaybeAccount) -> Response:
    """The resident's form; it works without scripts and without the map."""
    return _form(request, account)


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
    photo: Annotated[UploadFile | None, File()] = None,
) -> Response:
    """Takes the report in and leads to its own page; what cannot be used is said beside the form."""
    given: dict[str, Any] = {"description": description, "lon": lon, "lat": lat, "key": key}
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
                point=_point(lon, lat),
                idempotency_key=f"{ANYBODY}|page-{key}" if key else None,
            ),
            ANYBODY,
            now,
        )
    except (BadInput, TooMany) as refusal:
        sentence = translate(language, refusal.code, **refusal.values)
        status = 429 if isinstance(refusal, TooMany) else 422
        return _form(request, None, status=status, problem=sentence, given=given)
    kept = True
    if content and taken.created:
        folder = services.settings.database.home_folder / "evidence"
        kept = _keep_photo(session, folder, taken, content, limit_bytes, now)
    target = f"/track/{taken.number}?new={'1' if kept else 'photo'}"
    return RedirectResponse(target, status_code=303)


@router.get("/report/streets.geojson")
def streets(request: Request, session: DbSession, bbox: str) -> Response:
    """The streets around a place, for the form's own map: no people, no incidents."""
    west_south_east_north = parse_bbox(bbox)
    if west_south_east_north is None:
        raise BadInput("bbox.unreadable", field="bbox", bbox=bbox)
    west, south, east, north = west_south_east_north
    if east - west > 0.2 or north - south > 0.2:
        raise BadInput("bbox.too_large", field="bbox")
    return geojson(request, frames.segments_geojson(session, west_south_east_north))


@router.get("/track")
def track_search(number: str = "") -> Response:
    """From the start page's field to the report's own page."""
    plain = "".join(sign for sign in number.strip() if sign.isalnum() or sign in "-_")
    return RedirectResponse(f"/track/{plain}" if plain else "/", status_code=303)


@router.get("/track/{number}")
def track(
    number: str,
    request: Request,
    session: DbSession,
    account: MaybeAccount,
    language: Lang,
    services: ServicesDep,
    now: Now,
    new: str = "",
    merged: str = "",
) -> Response:
    """Where a report stands, in plain words."""
    try:
        row = reading.one_incident(session, number)
    except NotFound:
        return page(
            request,
            "error.html",
            account=account,
            status=404,
            code=404,
            title_key="error.title_404",
            detail=translate(language, "track.not_found"),
        )
    lead = lead_of(session, number)
    if lead is not None:
        # One problem, one story: whoever reported it too follows the incident that is worked on.
        return RedirectResponse(f"/track/{lead}?merged={number}", status_code=303)
    ended = row["status"] in ENDED
    zone = services.settings.town.zone
    shown = {
        "number": row["number"],
        "status": row["status"],
        "ended": ended,
        "category": _named(row, language),
        "street": row["street"],
        "body_key": _body_key(row),
        "reported_at": row["reported_at"].astimezone(zone),
        "due_at": row["due_at"].astimezone(zone) if row["due_at"] and not ended else None,
    }
    mark = None
    if row["lon"] is not None:
        bubble = ((translate(language, "track.where"), row["street"] or ""),)
        mark = Mark(row["lon"], row["lat"], row["number"], bubble, lamp_of(row, now) or "green")
    step = STEP_OF.get(row["status"], 0)
    return page(
        request,
        "track.html",
        account=account,
        map_pieces=map_of(request, mark=mark) if mark else None,
        messages=("map.", "grid.", "post."),
        incident=shown,
        steps=STEPS,
        step=None if ended and row["status"] not in STEP_OF else step,
        new=new,
        merged=merged if merged and lead_of(session, merged) == number else "",
    )


def _form(
    request: Request,
    account: Any,
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
        messages=("public.", "map.", "field.photo", "grid.", "post."),
        problem=problem,
        given=given or {"description": "", "lon": "", "lat": "", "key": secrets.token_urlsafe(16)},
        bounds=_bounds(request),
    )


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


def _named(row: dict[str, Any], language: Language) -> str | None:
    name: str | None = row[f"category_{language}"]
    return name


def _body_key(row: dict[str, Any]) -> str:
    """The body that deals with it, never a private name."""
    posts = [task["post"] for task in row["tasks"]]
    return f"track.body_{posts[0]}" if posts else "track.body_none"
