"""The place-needed queue over HTTP, and what people taught the gazetteer: list it, undo it."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from api.deps import DbSession, Lang, Now, ServicesDep, SignedIn, require
from api.routes.incidents import PROBLEMS, ShapeDep, actor_of
from api.schemas import IncidentOut, PlaceIn, reason_text
from dispatch import place_needed, reading, steps
from dispatch.placement import GivenPoint
from grid import learning
from grid.core.datums import to_wgs84
from grid.core.errors import BadInput

router = APIRouter(prefix="/api/v1", tags=["places"])


class DecisionIn(PlaceIn):
    """One decision on a waiting incident: a candidate or a pin, or a question to the reporter, or their answer."""

    ask: str | None = Field(default=None, min_length=1, max_length=2000)
    answer: str | None = Field(default=None, min_length=1, max_length=2000)


class DefaultPointIn(BaseModel):
    """A point that stands for "unknown"."""

    model_config = ConfigDict(extra="forbid")

    lon: float = Field(strict=True, allow_inf_nan=False)
    lat: float = Field(strict=True, allow_inf_nan=False)
    datum: str = "wgs84"


@router.get("/queues/place_needed", responses=PROBLEMS)
def queue(
    session: DbSession,
    account: SignedIn,
    language: Lang,
    page: int = 1,
    page_size: Annotated[int, Query(le=place_needed.LONGEST_PAGE)] = 50,
) -> dict[str, Any]:
    """Incidents whose place a person must decide: text, reading, candidates with points and confidence, and why."""
    require(account, "fix_place")
    items, total = place_needed.waiting(session, page, page_size)
    return {
        "items": [{**item, "why": reason_text(item.pop("reason"), language)} for item in items],
        "total": total,
        "page": page,
        "page_size": page_size,
    }


@router.post("/queues/place_needed/{number}", response_model=IncidentOut, responses=PROBLEMS)
def decide(
    number: str,
    asked: DecisionIn,
    session: DbSession,
    services: ServicesDep,
    account: SignedIn,
    shape: ShapeDep,
    now: Now,
) -> dict[str, Any]:
    """Choose a candidate, drop a pin in any datum, ask the reporter, or give the answer; then it goes on by itself."""
    require(account, "fix_place")
    actor = actor_of(account)
    pinned = asked.lon is not None and asked.lat is not None
    ways = (asked.candidate is not None, pinned, bool(asked.ask), bool(asked.answer))
    if sum(ways) != 1:
        raise BadInput("place.one_decision", field="candidate")
    if asked.ask:
        place_needed.ask_back(session, services.desk, number, asked.ask, asked.version, actor, now)
    elif asked.answer:
        place_needed.take_answer(
            session, services.desk, number, asked.answer, asked.version, actor, now
        )
    else:
        place_needed.choose_place(
            session, services.desk, number, given(asked), teaching(asked), actor, now
        )
    return shape(reading.one_incident(session, number))


def given(asked: PlaceIn) -> steps.PlaceGiven:
    """The chosen place of a request as the workflow takes it."""
    point = None
    if asked.lon is not None and asked.lat is not None:
        point = GivenPoint(asked.lon, asked.lat, asked.datum or "wgs84")
    return steps.PlaceGiven(point, asked.candidate, asked.category, asked.version)


def teaching(asked: PlaceIn) -> place_needed.Teaching:
    """What the chosen place is to teach."""
    return place_needed.Teaching(asked.learn, asked.words or None)


@router.get("/places/learned", responses=PROBLEMS)
def learned(session: DbSession, account: SignedIn, undone: bool = False) -> list[dict[str, Any]]:
    """What people taught, newest first; with `undone` also what was forgotten again."""
    require(account, "fix_place")
    return learning.learned_list(session, with_undone=undone)


@router.delete("/places/learned/{learned_id}", status_code=204, responses=PROBLEMS)
def forget(learned_id: int, session: DbSession, account: SignedIn, now: Now) -> None:
    """Undoes what was learned; reports answered before stay as they are."""
    require(account, "fix_place")
    place_needed.forget_place(session, learned_id, f"account:{account.username}", now)


@router.get("/places/default-points", responses=PROBLEMS)
def default_points(session: DbSession, account: SignedIn) -> list[dict[str, Any]]:
    """Points that stand for "unknown" and are never taken for a place."""
    require(account, "fix_place")
    return learning.default_point_list(session)


@router.post("/places/default-points", status_code=201, responses=PROBLEMS)
def add_default_point(
    asked: DefaultPointIn, session: DbSession, account: SignedIn, now: Now
) -> dict[str, int]:
    """Keeps a point that stands for "unknown"."""
    require(account, "edit_grids")
    lon, lat = (float(v) for v in to_wgs84(asked.lon, asked.lat, asked.datum))
    added = learning.add_default_points(session, [(lon, lat)], f"account:{account.username}", now)
    return {"added": added}


@router.delete("/places/default-points/{point_id}", status_code=204, responses=PROBLEMS)
def drop_default_point(point_id: int, session: DbSession, account: SignedIn, now: Now) -> None:
    """Believes a point again."""
    require(account, "edit_grids")
    learning.drop_default_point(session, point_id, now)
