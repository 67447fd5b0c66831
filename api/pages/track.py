"""A resident's page of one report: where it stands for everybody; the result and a say for whoever reported it.

A number can be guessed, so it shows no name, no word of the report and no photograph. The reporter is known by the link
(`api/resident_links.py`) or by the telephone number given with the report.
"""

from __future__ import annotations

import secrets
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import FileResponse, RedirectResponse
from sqlalchemy.orm import Session

from api.deps import DbSession, Lang, MaybeAccount, Now, ServicesDep
from api.i18n import Language, translate
from api.limits import limits_of
from api.pages.public import ANYBODY
from api.pages.rendering import map_of, page
from api.resident_links import fits, page_of
from api.schemas import lamp_of
from api.services import Services
from dispatch import evidence as evidence_store
from dispatch import personal, place_needed, reading, steps
from dispatch.merging import lead_of
from dispatch.moves import ENDED
from dispatch.support import support, supporters
from grid.core.errors import BadInput, NotFound, TooMany, Trouble
from maps.page import Mark

router = APIRouter(include_in_schema=False)
LONGEST_WORDS = 1000
RATINGS = ("satisfied", "fairly", "dissatisfied")
REPORTER = steps.Actor(ANYBODY, "reporter", None)
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
RESULT_SHOWN = frozenset({"closed", "fixed_on_spot"})
Act = Literal["phone", "solved", "not_solved", "answer", "support"]


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
    key: str = "",
    said: str = "",
) -> Response:
    """Where a report stands, in plain words."""
    home = services.settings.database.home_folder
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
    own = fits(home, number, key)
    lead = lead_of(session, number)
    if lead is not None:
        # One problem, one story: whoever reported it too follows the incident that is worked on.
        target = page_of(home, lead) if own else f"/track/{lead}?"
        return RedirectResponse(f"{target}&merged={number}".replace("?&", "?"), status_code=303)
    with_lead = merged if merged and lead_of(session, merged) == number else ""
    return _shown(
        request, session, services, account, language, row, now, own, new=new, merged=with_lead, said=said
    )  # fmt: skip


@router.post("/track/{number}")
def say(
    number: str,
    request: Request,
    session: DbSession,
    language: Lang,
    services: ServicesDep,
    now: Now,
    act: Annotated[Act, Form()],
    key: Annotated[str, Form(max_length=100)] = "",
    phone: Annotated[str, Form(max_length=100)] = "",
    rating: Annotated[str, Form(max_length=20)] = "",
    words: Annotated[str, Form(max_length=10_000)] = "",
) -> Response:
    """What its reporter says: a telephone number to be known by, solved or not, an answer; or anybody: me too."""
    home = services.settings.database.home_folder
    row = reading.one_incident(session, number)
    said = words.strip()
    try:
        if act == "phone":
            _known_by_phone(request, session, row["id"], phone)
            return RedirectResponse(page_of(home, number), status_code=303)
        if act == "support":
            limits_of(request).open_report(request)
            support(session, number, key or secrets.token_urlsafe(16), ANYBODY, now)
            return RedirectResponse(f"/track/{number}?said=support", status_code=303)
        if not fits(home, number, key):
            raise BadInput("track.key_wrong", field="key")
        if len(said) > LONGEST_WORDS:
            raise BadInput("report.too_long", field="words", length=len(said), most=LONGEST_WORDS)
        limits_of(request).open_report(request)
        with session.begin_nested():
            _take(session, services, language, number, act, rating, said, now)
    except Trouble as refusal:
        sentence = translate(language, refusal.code, **refusal.values)
        status = 429 if isinstance(refusal, TooMany) else 422
        own = fits(home, number, key)
        return _shown(request, session, services, None, language, row, now, own,
                      status=status, problem=sentence, given=words)  # fmt: skip
    return RedirectResponse(f"{page_of(home, number)}&said={act}", status_code=303)


@router.get("/track/{number}/photo/{evidence}")
def photo(
    number: str,
    evidence: int,
    session: DbSession,
    services: ServicesDep,
    key: str = "",
    size: Literal["full", "thumbnail"] = "full",
) -> FileResponse:
    """A photograph of the result, for whoever reported it."""
    home = services.settings.database.home_folder
    row = reading.one_incident(session, number)
    shown = {item["id"] for item in _result_photos(row)}
    if not fits(home, number, key) or evidence not in shown:
        raise NotFound("evidence.unknown", field="evidence")
    path, media_type = evidence_store.photo_file(
        session, services.evidence, row["id"], evidence, size
    )
    return FileResponse(
        path, media_type=media_type, headers={"Cache-Control": "private, max-age=86400"}
    )


def _take(
    session: Session,
    services: Services,
    language: Language,
    number: str,
    act: Act,
    rating: str,
    said: str,
    now: Any,
) -> None:
    desk = services.desk
    if act == "answer":
        if not said:
            raise BadInput("track.words_missing", field="words")
        place_needed.take_answer(session, desk, number, said, None, REPORTER, now)
        return
    if act == "solved":
        told = rating if rating in RATINGS else None
        asked = steps.Asked("confirm_solved", note=said or None, rating=told)
    else:
        asked = steps.Asked("reopen", note=said or translate(language, "track.note_not_solved"))
    steps.make_move(session, desk, number, asked, REPORTER, now)


def _known_by_phone(request: Request, session: Session, incident_id: int, phone: str) -> None:
    """TooMany `auth.too_many`; BadInput `track.phone_unknown`."""
    limits = limits_of(request)
    limits.before_sign_in(request, "track")
    given = _figures(phone)
    known = {_figures(row["phone"] or "") for row in personal.reporters_of(session, incident_id)}
    if len(given) < 7 or given not in known:
        limits.failed_sign_in(request, "track")
        raise BadInput("track.phone_unknown", field="phone")


def _figures(phone: str) -> str:
    """Figures alone; a telephone's own country code is no difference."""
    figures = "".join(sign for sign in phone if sign.isdecimal())
    return figures[2:] if len(figures) == 13 and figures.startswith("86") else figures


def _result_photos(row: dict[str, Any]) -> list[dict[str, Any]]:
    """The newest photographs of the result, at most four, once it is checked."""
    if row["status"] not in RESULT_SHOWN:
        return []
    after = [e for e in row["evidence"] if e["stage"] == "after"]
    return [e for e in after if e["media_type"].startswith("image/")][-4:]


def _shown(
    request: Request,
    session: Session,
    services: Services,
    account: Any,
    language: Language,
    row: dict[str, Any],
    now: Any,
    own: bool,
    *,
    new: str = "",
    merged: str = "",
    said: str = "",
    status: int = 200,
    problem: str | None = None,
    given: str = "",
) -> Response:
    home = services.settings.database.home_folder
    ended = row["status"] in ENDED
    zone = services.settings.town.zone
    shown = {
        "number": row["number"],
        "status": row["status"],
        "ended": ended,
        "category": row[f"category_{language}"],
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
    moves = steps.MoveList(session, services.desk, REPORTER, now).of(row) if own else []
    return page(
        request,
        "track.html",
        account=account,
        status=status,
        map_pieces=map_of(request, mark=mark) if mark else None,
        messages=("map.", "grid.", "post."),
        incident=shown,
        steps=STEPS,
        step=None if ended and row["status"] not in STEP_OF else step,
        new=new,
        merged=merged,
        own=own,
        link=page_of(home, row["number"]) if own else f"/track/{row['number']}",
        key=page_of(home, row["number"]).rpartition("=")[2] if own else "",
        moves=moves,
        words=row["description"] if own else None,
        question=_question(session, row) if own and "answered" in moves else None,
        photos=_result_photos(row) if own else [],
        ratings=RATINGS,
        content=row["facts"].get("solved_said") is not None and own,
        said=said if said in ("solved", "not_solved", "answer", "support") else "",
        supporters=supporters(session, row["id"]),
        support_key=secrets.token_urlsafe(16),
        problem=problem,
        given=given,
    )


def _question(session: Session, row: dict[str, Any]) -> str | None:
    """What the reporter was asked and has not answered."""
    asked = [
        line
        for line in reading.history_of(session, row["id"])
        if line["move"] in ("ask_reporter", "answered")
    ]
    return asked[-1]["note"] if asked and asked[-1]["move"] == "ask_reporter" else None


def _body_key(row: dict[str, Any]) -> str:
    """The body that deals with it, never a private name."""
    posts = [task["post"] for task in row["tasks"]]
    return f"track.body_{posts[0]}" if posts else "track.body_none"
