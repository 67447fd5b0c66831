"""The queue of incidents whose place a person must decide: choose, drop a pin, ask back; and what is learned from it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from dispatch import incidents
from dispatch.desk import Desk
from dispatch.incidents import Line
from dispatch.models import Incident
from dispatch.placement import Placement
from dispatch.placing import find_place
from dispatch.steps import Actor, Asked, PlaceGiven, fix_place, make_move
from grid.book import Ground
from grid.core.errors import BadInput, Conflict
from grid.core.values import dataclass
from grid.geocode.fold import fold
from grid.geocode.learned import Lesson, known_name, lesson, specific
from grid.learning import forget, learn

QUEUE = "place_needed"
LONGEST_PAGE = 200


@dataclass(frozen=True, slots=True)
class Teaching:
    """What a person wants to be learned: nothing, what the text itself teaches, or words marked in it."""

    wanted: bool = True
    words: str | None = None


def waiting(session: Session, page: int, page_size: int) -> tuple[list[dict[str, Any]], int]:
    """One page of the queue, longest waiting first, and how many wait; BadInput `list.page_bad`.

    Each: number, version, status, description, address, given point, reading, candidates, flags, reason, question
    (what the reporter was asked and has not answered), reported_at.
    """
    if page < 1 or not 1 <= page_size <= LONGEST_PAGE:
        raise BadInput("list.page_bad", field="page", most=LONGEST_PAGE)
    rows = session.execute(
        text(
            "select number, version, status, channel_code as channel, description, address,"
            " given_lon, given_lat, given_datum, geocoding, flags, reason, reported_at,"
            " (select h.note from history h where h.incident_id = i.id"
            " and h.move in ('ask_reporter', 'answered') order by h.seq desc limit 1) as note,"
            " (select h.move from history h where h.incident_id = i.id"
            " and h.move in ('ask_reporter', 'answered') order by h.seq desc limit 1) as asked"
            " from incident i where queue = :queue order by reported_at, id"
            " limit :limit offset :offset"
        ),
        {"queue": QUEUE, "limit": page_size, "offset": (page - 1) * page_size},
    )
    found = [_row(dict(row._mapping)) for row in rows]
    total = session.scalar(
        text("select count(*) from incident where queue = :queue"), {"queue": QUEUE}
    )
    return found, int(total or 0)


def _row(row: dict[str, Any]) -> dict[str, Any]:
    geocoding = row.pop("geocoding") or {}
    note, asked = row.pop("note"), row.pop("asked")
    given = {name: row.pop(f"given_{name}") for name in ("lon", "lat", "datum")}
    return {
        **row,
        "given_point": given if given["lon"] is not None else None,
        "reading": geocoding.get("reading", {}),
        "candidates": [
            {"position": position, **candidate}
            for position, candidate in enumerate(geocoding.get("candidates", []))
        ],
        "question": note if asked == "ask_reporter" else None,
    }


def choose_place(
    session: Session,
    desk: Desk,
    number: str,
    given: PlaceGiven,
    teaching: Teaching,
    actor: Actor,
    now: datetime,
) -> int | None:
    """Gives an incident the chosen place; it goes on by itself, and its words are known from now on.

    Returns the id of what was learned, None when the text teaches nothing. Raises what `fix_place` raises, and
    BadInput `learn.words_not_said`, `learn.words_not_specific`, `learn.words_known` for words marked by hand.
    """
    incident = incidents.lock_incident(session, number, given.version)
    ground, _ = desk.read(session)
    if ground is None:
        raise Conflict("town.empty")
    taught = _lesson(incident, ground, teaching)
    if given.point is not None:
        given = replace(given, point=replace(given.point, by_hand=True))
    fix_place(session, desk, number, given, actor, now)
    session.refresh(incident)
    if taught is None:
        return None
    lon, lat = session.execute(
        text("select st_x(point), st_y(point) from incident where id = :id"), {"id": incident.id}
    ).one()
    learned_id = learn(session, taught, lon, lat, number, actor.key, now)
    detail = {"learned": learned_id, "words": taught.words}
    _write(
        session,
        incident,
        Line("learn_place", incident.status, incident.status, detail=detail),
        actor,
        now,
    )
    return learned_id


def _lesson(incident: Incident, ground: Ground, teaching: Teaching) -> Lesson | None:
    said = [words for words in (incident.address, incident.description) if words]
    if not teaching.wanted:
        return None
    if teaching.words:
        words = teaching.words.strip()
        if not any(fold(words) in fold(each) for each in said):
            raise BadInput("learn.words_not_said", field="words", words=words)
        if not specific(words):
            raise BadInput("learn.words_not_specific", field="words", words=words)
        if known_name(words, ground.gazetteer):
            raise BadInput("learn.words_known", field="words", words=words)
        return Lesson(words)
    lessons = (lesson(each, ground.gazetteer) for each in said)
    return next((each for each in lessons if each is not None), None)


def ask_back(
    session: Session,
    desk: Desk,
    number: str,
    question: str,
    version: int | None,
    actor: Actor,
    now: datetime,
) -> None:
    """Asks the reporter; the limits stand still until the answer. Raises what `make_move` raises."""
    make_move(
        session, desk, number, Asked("ask_reporter", note=question, version=version), actor, now
    )


def take_answer(
    session: Session,
    desk: Desk,
    number: str,
    words: str,
    version: int | None,
    actor: Actor,
    now: datetime,
) -> bool:
    """Takes the reporter's answer and looks for the place with it; True when the incident went on by itself.

    Else the candidates of the new words wait with it. Raises what `make_move` raises.
    """
    make_move(session, desk, number, Asked("answered", note=words, version=version), actor, now)
    incident = incidents.lock_incident(session, number, None)
    ground, _ = desk.read(session)
    if ground is None or incident.queue != QUEUE:
        return False
    found = _found_with(session, desk, ground, incident, words, now)
    if found.waits or found.point() is None:
        geocoding = {"reading": found.reading, "candidates": list(found.candidates)}
        reasons = [r.plain() for r in found.reasons]
        incidents.change_incident(session, incident, {"geocoding": geocoding, "reason": reasons})
        incidents.announce(session, incident.id, now)
        return False
    fix_place(session, desk, number, PlaceGiven(found.point(), None, None, None), actor, now)
    session.refresh(incident)
    # The words were understood by the system: their own match, certainty and reasons are kept, not "by hand".
    kept = [r for r in incident.reason if r["code"] != "place.by_hand"]
    incidents.change_incident(
        session,
        incident,
        {
            "match": found.match,
            "confidence": found.confidence,
            "spread_m": found.spread_m,
            "geocoding": {**incident.geocoding, "reading": found.reading},
            "reason": [*(r.plain() for r in found.reasons), *kept],
        },
    )
    return True


def _found_with(
    session: Session, desk: Desk, ground: Ground, incident: Incident, words: str, now: datetime
) -> Placement:
    """The place by the answer alone, else by what was said first together with it."""
    found = find_place(session, ground, desk.settings, now, None, (words,))
    if not found.waits:
        return found
    for said in (incident.address, incident.description):
        if said:
            together = find_place(session, ground, desk.settings, now, None, (f"{said} {words}",))
            if not together.waits:
                return together
    return found


def forget_place(session: Session, learned_id: int, who: str, now: datetime) -> None:
    """Undoes a correction, and says so in the record of the incident it came from. Raises what `forget` raises."""
    number = forget(session, learned_id, who, now)
    if number is None:
        return
    incident = incidents.lock_incident(session, number, None)
    line = Line("forget_place", incident.status, incident.status, detail={"learned": learned_id})
    incidents.write_history(session, incident.id, number, [line], [who], now)


def _write(session: Session, incident: Incident, line: Line, actor: Actor, now: datetime) -> None:
    incidents.write_history(session, incident.id, incident.number, [line], [actor.key], now)
