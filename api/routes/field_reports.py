"""The phone's own calls: everything it needs in one answer, reports from patrol, a pin put right."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, File, Form, Request, Response, UploadFile
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from api.auth import Account
from api.deps import DbSession, Lang, Now, Reach, ServicesDep, allowed
from api.i18n import Language
from api.pages.rendering import renew_session
from api.routes.ground import geojson
from api.routes.incidents import PROBLEMS, actor_of
from api.routes.notices import staff_of
from api.schemas import incident_out, lamp_of
from api.services import Services
from dispatch import attendance, field_desk, reading, ready_replies, step_places, steps
from dispatch import evidence as evidence_store
from dispatch.intake import take_in
from dispatch.placement import GivenPoint
from dispatch.reports import Report
from dispatch.sent_once import first_time
from grid.core.errors import BadInput

router = APIRouter(prefix="/api/v1/field", tags=["field"])
Worker = Annotated[Account, Depends(allowed("field"), scope="function")]
ENDED_SHOWN = timedelta(hours=24)
MOST_PHOTOS = 6


class PinIn(BaseModel):
    """Where it really is."""

    model_config = ConfigDict(extra="forbid")

    lon: float = Field(ge=-180, le=180, strict=True)
    lat: float = Field(ge=-90, le=90, strict=True)
    datum: str = "wgs84"
    version: int | None = None
    client_id: str | None = Field(default=None, max_length=100)


@router.get("/desk", responses=PROBLEMS)
def desk(
    request: Request,
    response: Response,
    session: DbSession,
    services: ServicesDep,
    account: Worker,
    language: Lang,
    now: Now,
) -> dict[str, Any]:
    """All that my phone keeps: tasks, checks (collectors), earlier incidents at each spot, record, shift, colleagues.

    Of checks those due first come, `checks_total` counts all. A page's session lasts on with this.
    """
    renew_session(request, response, session, now)
    staff = staff_of(account)
    rows = field_desk.tasks_for(session, staff, now - ENDED_SHOWN)
    checker = account.role == "collector"
    checks = field_desk.checks_for(session) if checker else []
    ids = [row["incident_id"] for row in rows] + [row["id"] for row in checks]
    earlier, lines = field_desk.earlier_at(session, ids), field_desk.lines_of(session, ids)
    distances = step_places.distances_of(session, [row["id"] for row in checks])
    moves = steps.MoveList(session, services.desk, actor_of(account), now)
    local = now.astimezone(services.settings.town.zone)
    day = local.replace(hour=0, minute=0, second=0, microsecond=0)

    def shown(row: dict[str, Any]) -> dict[str, Any]:
        return {
            "incident": incident_out(row, language, now, moves.of(row)),
            "lamp": lamp_of(row, now),
            "earlier": earlier.get(row["id"], []),
            **lines.get(row["id"], {"seq": 0, "extension": None}),
        }

    hidden = ("incident", "incident_id")
    return {
        "tasks": [
            {**{k: v for k, v in row.items() if k not in hidden}, **shown(row["incident"])}
            for row in rows
        ],
        "checks": [{**shown(row), "distances": distances.get(row["id"], [])} for row in checks],
        "checks_total": field_desk.count_checks(session) if checker else 0,
        "record": field_desk.record_of(session, staff, day, day.replace(day=1), now),
        "shift": attendance.shift_of(session, staff, now),
        "replies": ready_replies.replies_for(session, staff, language),
        "colleagues": field_desk.colleagues_of(session, staff, now),
        "at": now,
    }


@router.get("/ground", responses=PROBLEMS)
def ground(request: Request, session: DbSession, account: Worker, now: Now) -> Response:
    """The streets and outlines of my grids, small enough to keep on the phone."""
    return geojson(request, field_desk.ground_of(session, staff_of(account), now))


@router.post("/incidents/{number}/pin", responses=PROBLEMS)
def pin(
    number: str,
    asked: PinIn,
    session: DbSession,
    services: ServicesDep,
    account: Worker,
    language: Lang,
    scope: Reach,
    now: Now,
) -> dict[str, Any]:
    """Puts the pin of my task where it really is; somebody else may answer for it then."""
    if first_time(session, f"{account.id}|{number}", asked.client_id, now):
        reading.one_incident(session, number, scope=scope)
        steps.fix_place(
            session,
            services.desk,
            number,
            steps.PlaceGiven(
                GivenPoint(asked.lon, asked.lat, asked.datum), None, None, asked.version
            ),
            actor_of(account),
            now,
        )
    return _answer(session, services, number, account, language, now)


@router.post("/reports", status_code=201, responses=PROBLEMS)
def report(
    response: Response,
    session: DbSession,
    services: ServicesDep,
    account: Worker,
    language: Lang,
    now: Now,
    client_id: Annotated[str, Form(min_length=8, max_length=100)],
    description: Annotated[str, Form(max_length=4000)] = "",
    category: Annotated[str | None, Form(max_length=40)] = None,
    lon: Annotated[float | None, Form(ge=-180, le=180)] = None,
    lat: Annotated[float | None, Form(ge=-90, le=90)] = None,
    occurred_at: Annotated[AwareDatetime | None, Form()] = None,
    fixed_on_spot: Annotated[bool, Form()] = False,
    before: Annotated[list[UploadFile] | None, File()] = None,
    after: Annotated[list[UploadFile] | None, File()] = None,
) -> dict[str, Any]:
    """Found on patrol, with its photographs, in one piece: all of it arrives or nothing does.

    `fixed_on_spot` with photographs before and after ends it at once (state fixed_on_spot) where the place is
    known; else it waits for its place. The same `client_id` gives the same incident with status 200. 422
    `evidence.too_many`, `move.photo_missing`.
    """
    actor, photos = actor_of(account), [("before", before or []), ("after", after or [])]
    taken = take_in(
        session,
        services.desk,
        Report(
            channel="patrol",
            description=description,
            category=category or None,
            point=None if lon is None or lat is None else GivenPoint(lon, lat, "wgs84"),
            idempotency_key=f"{actor.key}|{client_id}",
            occurred_at=occurred_at,
            fixed_by=actor.person if fixed_on_spot else None,
        ),
        actor.key,
        now,
    )
    response.status_code = 201 if taken.created else 200
    if taken.created:
        place = None if lon is None or lat is None else (lon, lat)
        for stage, files in photos:
            if len(files) > MOST_PHOTOS:
                raise BadInput("evidence.too_many", field=stage, most=MOST_PHOTOS)
            for file in files:
                _keep(session, services, taken.incident_id, taken.number, stage, file, place, occurred_at, actor.key, now)  # fmt: skip
        known = reading.one_incident(session, taken.number)["lon"] is not None
        if fixed_on_spot and known:
            move = steps.Asked("found_and_fixed", note=description or None)
            steps.make_move(session, services.desk, taken.number, move, actor, now)
    return _answer(session, services, taken.number, account, language, now)


def _keep(
    session: DbSession,
    services: Services,
    incident_id: int,
    number: str,
    stage: str,
    file: UploadFile,
    place: tuple[float, float] | None,
    taken_at: datetime | None,
    actor: str,
    now: datetime,
) -> None:
    most_mb = services.settings.web.upload_limit_mb
    content = file.file.read(most_mb * 1_000_000 + 1)
    if len(content) > most_mb * 1_000_000:
        raise BadInput("evidence.too_large", field=stage, most_mb=most_mb)
    evidence_store.keep_photo(
        session,
        services.evidence,
        incident_id,
        number,
        evidence_store.Photo(content, stage, place, taken_at, None),
        actor,
        now,
    )


def _answer(
    session: DbSession,
    services: Services,
    number: str,
    account: Account,
    language: Language,
    now: datetime,
) -> dict[str, Any]:
    row = reading.one_incident(session, number)
    moves = steps.MoveList(session, services.desk, actor_of(account), now)
    return incident_out(row, language, now, moves.of(row))
