"""Incidents over HTTP: report, read, move, place, photograph."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, File, Form, Header, Query, UploadFile
from fastapi.responses import FileResponse
from pydantic import AwareDatetime
from sqlalchemy import text
from sqlalchemy.orm import Session

from api.auth import Account
from api.deps import (
    DbSession,
    Lang,
    MaybeAccount,
    Now,
    Reach,
    ServicesDep,
    SignedIn,
    require,
)
from api.i18n import Language
from api.schemas import (
    IncidentOut,
    IncidentPage,
    MoveIn,
    PlaceIn,
    incident_out,
    merged_part,
    reason_text,
)
from api.services import Services
from dispatch import evidence as evidence_store
from dispatch import place_needed, reading, steps
from dispatch.candidate_owners import with_owners
from dispatch.chasing import chases_of
from dispatch.desk import Known
from dispatch.media import DOCUMENT, HEAD_BYTES, PDF, VIDEO, likely_kind
from dispatch.merging import parts_of
from dispatch.placement import GivenPoint
from dispatch.reports import JustTaken
from dispatch.sent_once import first_time
from dispatch.standing import clocks_at, from_json
from dispatch.step_places import MadeAt, places_of
from grid.core.errors import BadInput
from maps.export_filters import parse_box

router = APIRouter(prefix="/api/v1/incidents", tags=["incidents"])
PROBLEMS: dict[int | str, dict[str, Any]] = {
    code: {"description": "A problem, as application/problem+json"}
    for code in (401, 403, 404, 409, 422)
}


class Shape:
    """Rows as one account may see them, in its language."""

    def __init__(
        self,
        services: Services,
        session: Session,
        account: Account | None,
        language: Language,
        now: datetime,
    ) -> None:
        self._services, self._session = services, session
        self._language, self._now, self._account = language, now, account
        self._moves: steps.MoveList | None = None

    def __call__(self, row: dict[str, Any], taken: JustTaken | None = None) -> dict[str, Any]:
        if self._account is None:
            return incident_out(row, self._language, self._now, with_people=False)
        if self._moves is None:
            catalogue = taken.known.catalogue if taken else None
            actor, desk = actor_of(self._account), self._services.desk
            self._moves = steps.MoveList(self._session, desk, actor, self._now, catalogue)
        moves = self._moves.of(row, taken.standing if taken else None)
        return incident_out(row, self._language, self._now, moves)

    def new(self, taken: JustTaken) -> dict[str, Any]:
        """`whole` of one taken in just now: nobody was told of its clocks, nothing merged into it."""
        shown = self(taken.row, taken)
        if self._account is None:
            return shown
        self._name_owners(taken.row, shown, self._account, taken.known)
        clocks = clocks_at(taken.standing, self._now, taken.known.catalogue.calendar)
        return {**shown, "clocks": clocks, "chases": [], "merged": []}

    def whole(self, row: dict[str, Any]) -> dict[str, Any]:
        """One incident with its clocks, with whom they made us tell, and with who would answer at each candidate."""
        shown = self(row)
        if self._account is None:
            return shown
        ground, catalogue = self._services.desk.read(self._session)
        self._name_owners(row, shown, self._account, Known(ground, catalogue, None))
        standing = from_json(row["facts"], row["clocks"])
        return {
            **shown,
            "clocks": clocks_at(standing, self._now, catalogue.calendar),
            "chases": chases_of(self._session, row["id"]),
            "merged": [merged_part(part) for part in parts_of(self._session, row["id"])],
        }

    def _name_owners(
        self,
        row: dict[str, Any],
        shown: dict[str, Any],
        account: Account,
        known: Known,
    ) -> None:
        """Who would answer at each candidate of one that waits for its place."""
        if row["queue"] != place_needed.QUEUE or not shown["candidates"]:
            return
        if known.ground is not None:
            shown["candidates"] = with_owners(
                self._session,
                known.ground,
                self._services.settings.town,
                shown["candidates"],
                known.catalogue.category(row["category_code"]),
                self._now,
                with_people=account.may("see_people"),
                marks=known.marks,
            )


async def get_shape(
    services: ServicesDep, session: DbSession, account: MaybeAccount, language: Lang, now: Now
) -> Shape:
    """The shape of answers for whoever asks."""
    return Shape(services, session, account, language, now)


ShapeDep = Annotated[Shape, Depends(get_shape, scope="function")]


def asked_filter(
    scope: Reach,
    now: Now,
    status: Annotated[list[str] | None, Query()] = None,
    queue: str | None = None,
    grid: str | None = None,
    category: str | None = None,
    channel: str | None = None,
    post: str | None = None,
    assignee: int | None = None,
    flag: str | None = None,
    bbox: str | None = None,
    from_at: Annotated[AwareDatetime | None, Query(alias="from")] = None,
    to_at: Annotated[AwareDatetime | None, Query(alias="to")] = None,
    q: Annotated[str | None, Query(max_length=200)] = None,
    open_only: Annotated[bool, Query(alias="open")] = False,
    overdue: bool = False,
) -> reading.IncidentFilter:
    """The filters of a list: `q` is a number or words; `status` may be given several times or with commas."""
    return reading.IncidentFilter(
        statuses=tuple(s for part in status or () for s in part.split(",") if s),
        queue=queue or None,
        grid=grid or None,
        category=category or None,
        channel=channel or None,
        post=post or None,
        assignee_id=assignee,
        scope=scope,
        flag=flag or None,
        bbox=parse_box(bbox),
        from_at=from_at,
        to_at=to_at,
        words=q or None,
        open_only=open_only,
        overdue_at=now if overdue else None,
    )


AskedFilter = Annotated[reading.IncidentFilter, Depends(asked_filter, scope="function")]


@router.get("", response_model=IncidentPage, responses=PROBLEMS)
def list_incidents(
    session: DbSession,
    asked: AskedFilter,
    shape: ShapeDep,
    sort: str = "-reported_at",
    page: int = 1,
    page_size: int = 50,
) -> dict[str, Any]:
    """Incidents by filters; `q` is a number or words; `status` may be given several times or with commas."""
    found = reading.list_incidents(session, asked, sort, page, page_size)
    return {
        "items": [shape(row) for row in found.items],
        "total": found.total,
        "total_is_least": found.total_is_least,
        "page": found.page,
        "page_size": found.page_size,
    }


@router.get("/queues")
def queues(session: DbSession, account: SignedIn, scope: Reach) -> dict[str, int]:
    """How many incidents wait in each queue."""
    require(account, "console")
    return reading.queue_counts(session, scope)


@router.get("/{number}", response_model=IncidentOut, responses=PROBLEMS)
def one(number: str, session: DbSession, scope: Reach, shape: ShapeDep) -> dict[str, Any]:
    """One incident, with the moves that this account may make now."""
    row = reading.one_incident(session, number, scope=scope)
    return shape.whole(row)


@router.get("/{number}/history", responses=PROBLEMS)
def history(
    number: str, session: DbSession, account: MaybeAccount, scope: Reach, language: Lang
) -> list[dict[str, Any]]:
    """The record of one incident, oldest line first; `actor_name` is the person behind an account.

    A line in which somebody was named keeps the decision in `detail.decision` (text, reading, candidates, place, grid,
    rule, person, reason, versions of ground and rules); `why` is its reason in words. A step of the field says in
    `detail.away_m` how far from the incident it was made (`off_m`: the phone's error) to whoever checks, the desk and the
    heads, and to the one who made it; the heads and the desk get its `place` (lon, lat) as long as it is kept.
    """
    row = reading.one_incident(session, number, scope=scope)
    lines = reading.history_of(session, row["id"])
    names = names_of(session, {line["actor"] for line in lines})
    with_people = account is not None and account.may("see_people")
    places = places_of(session, row["id"]) if account and account.may("see_duty") else {}
    return [
        {
            **_with_distance(line, account),
            **({"place": places[line["seq"]]} if line["seq"] in places else {}),
            "actor_name": names.get(line["actor"]),
            "why": reason_text(
                line["detail"]["decision"]["reason"], language, with_people=with_people
            )
            if "decision" in line["detail"]
            else None,
        }
        for line in lines
    ]


@router.post("/{number}/moves", response_model=IncidentOut, responses=PROBLEMS)
def move(
    number: str,
    asked: MoveIn,
    session: DbSession,
    services: ServicesDep,
    account: SignedIn,
    scope: Reach,
    shape: ShapeDep,
    now: Now,
    idempotency_key: Annotated[str | None, Header(max_length=200)] = None,
) -> dict[str, Any]:
    """Makes a later step: 409 when somebody was faster or it is not possible now, 403 when not yours.

    The same `Idempotency-Key` of the same account counts once.
    """
    require(account, "move")
    if not first_time(session, f"{account.id}|{number}", idempotency_key, now):
        return shape.whole(reading.one_incident(session, number))
    reading.one_incident(session, number, scope=scope)
    steps.make_move(
        session,
        services.desk,
        number,
        steps.Asked(
            move=asked.move,
            note=asked.note,
            to=asked.to,
            until=asked.until,
            condition=asked.condition,
            category=asked.category,
            version=asked.version,
            task=asked.task,
            after_lead=asked.after_lead,
            done_at=asked.done_at,
            made_at=None
            if asked.lon is None or asked.lat is None
            else MadeAt(asked.lon, asked.lat, asked.accuracy_m),
        ),
        actor_of(account),
        now,
    )
    return shape.whole(reading.one_incident(session, number))


@router.post("/{number}/place", response_model=IncidentOut, responses=PROBLEMS)
def place(
    number: str,
    asked: PlaceIn,
    session: DbSession,
    services: ServicesDep,
    account: SignedIn,
    scope: Reach,
    shape: ShapeDep,
    now: Now,
) -> dict[str, Any]:
    """Gives a waiting incident its place (a pin or a candidate); it then goes on by itself."""
    require(account, "fix_place")
    reading.one_incident(session, number, scope=scope)
    point = None
    if asked.lon is not None and asked.lat is not None:
        point = GivenPoint(asked.lon, asked.lat, asked.datum or "wgs84")
    place_needed.choose_place(
        session,
        services.desk,
        number,
        steps.PlaceGiven(point, asked.candidate, asked.category, asked.version),
        place_needed.Teaching(asked.learn, asked.words or None),
        actor_of(account),
        now,
    )
    return shape.whole(reading.one_incident(session, number))


@router.post("/{number}/evidence", status_code=201, responses=PROBLEMS)
def add_evidence(
    number: str,
    session: DbSession,
    services: ServicesDep,
    account: SignedIn,
    scope: Reach,
    now: Now,
    photo: Annotated[UploadFile, File()],
    stage: Annotated[Literal["before", "during", "after"], Form()] = "before",
    lon: Annotated[float | None, Form()] = None,
    lat: Annotated[float | None, Form()] = None,
    taken_at: Annotated[datetime | None, Form()] = None,
    client_id: Annotated[str | None, Form(max_length=100)] = None,
) -> dict[str, Any]:
    """Adds a photograph, voice note, video clip or document (PDF); the same `client_id` counts once."""
    require(account, "move")
    row = reading.one_incident(session, number, scope=scope)
    content = _read(photo, services)
    kept = evidence_store.keep_photo(
        session,
        services.evidence,
        row["id"],
        number,
        evidence_store.Photo(
            content=content,
            stage=stage,
            point=None if lon is None or lat is None else (lon, lat),
            taken_at=taken_at if taken_at and taken_at.tzinfo else None,
            client_id=f"{account.id}|{client_id}" if client_id else None,
        ),
        f"account:{account.username}",
        now,
        others=True,
    )
    return {"id": kept, "stage": stage, "url": f"/api/v1/incidents/{number}/evidence/{kept}"}


@router.get("/{number}/evidence/{evidence_id}", responses=PROBLEMS)
def get_evidence(
    number: str,
    evidence_id: int,
    session: DbSession,
    services: ServicesDep,
    scope: Reach,
    size: Literal["full", "thumbnail"] = "full",
) -> FileResponse:
    """A photograph, whole or small, or another file; a document is given out to be kept, never to be shown here."""
    row = reading.one_incident(session, number, scope=scope)
    path, media_type = evidence_store.photo_file(
        session, services.evidence, row["id"], evidence_id, size
    )
    document = media_type == PDF.media_type
    return FileResponse(
        path,
        media_type=media_type,
        filename=f"{number}-{evidence_id}.{PDF.ending}" if document else None,
        headers={
            "Cache-Control": "private, max-age=86400, immutable",
            "X-Content-Type-Options": "nosniff",
            **({"Content-Security-Policy": "default-src 'none'; sandbox"} if document else {}),
        },
    )


@router.get("/{number}/evidence/{evidence_id}/metadata", responses=PROBLEMS)
def evidence_metadata(
    number: str, evidence_id: int, session: DbSession, account: SignedIn, scope: Reach
) -> dict[str, Any]:
    """What a photograph said of itself (camera, time, place), which was taken out of it."""
    require(account, "console")
    row = reading.one_incident(session, number, scope=scope)
    return evidence_store.notes_of(session, row["id"], evidence_id)


def _with_distance(line: dict[str, Any], account: Account | None) -> dict[str, Any]:
    """A line of the record, without how far its doer was for those whom that is no business of."""
    detail = line["detail"]
    if "away_m" not in detail and "off_m" not in detail:
        return line
    own = account is not None and line["actor"] == f"account:{account.username}"
    if account is not None and (own or account.may("see_step_distance")):
        return line
    return {**line, "detail": {k: v for k, v in detail.items() if k not in ("away_m", "off_m")}}


def names_of(session: Session, actors: set[str]) -> dict[str, str]:
    """Names of the people behind the actors of a record (`account:USERNAME`)."""
    rows = session.execute(
        text(
            "select a.username, s.name from account a join staff s on s.id = a.staff_id"
            " where a.username = any(:names)"
        ),
        {"names": [actor.removeprefix("account:") for actor in actors]},
    )
    return {f"account:{row.username}": row.name for row in rows}


def actor_of(account: Account) -> steps.Actor:
    """The account as the workflow knows it."""
    return steps.Actor(f"account:{account.username}", account.role, account.staff_id, account.unit)


def _read(upload: UploadFile, services: Services) -> bytes:
    """The file, unless it is larger than its kind may be; its first bytes say what it is. BadInput `evidence.too_large`."""
    web = services.settings.web
    head = upload.file.read(HEAD_BYTES)
    limits = {VIDEO: web.video_limit_mb, DOCUMENT: web.document_limit_mb}
    most_mb = limits.get(likely_kind(head) or "", web.upload_limit_mb)
    rest = upload.file.read(most_mb * 1_000_000 - len(head) + 1)
    if len(head) + len(rest) > most_mb * 1_000_000:
        raise BadInput("evidence.too_large", field="photo", most_mb=most_mb)
    return head + rest
