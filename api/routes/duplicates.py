"""Duplicates over HTTP: shown before and after saving, merged several at once, taken apart again."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from api.deps import DbSession, Now, Reach, ServicesDep, SignedIn, require
from api.routes.incidents import PROBLEMS, ShapeDep, actor_of
from api.schemas import IncidentOut
from dispatch import merging, reading, steps
from dispatch.duplicates import Sought, alike, rules_of, sought_of
from dispatch.merging import MOST_AT_ONCE
from grid.core.datums import to_wgs84
from grid.core.errors import BadInput

router = APIRouter(prefix="/api/v1", tags=["duplicates"])


class MergeIn(BaseModel):
    """Incidents to be merged into the one of the address; `version` is that of the only one, where it is one."""

    model_config = ConfigDict(extra="forbid")

    numbers: list[str] = Field(min_length=1, max_length=MOST_AT_ONCE)
    note: str | None = Field(default=None, max_length=4000)
    version: int | None = None


class DuplicatesOut(BaseModel):
    """Incidents alike, best first, each with score (0 to 1) and its signs; `flagged_from` marks a likely duplicate."""

    items: list[dict[str, Any]]
    flagged_from: float


@router.get("/duplicates", response_model=DuplicatesOut, responses=PROBLEMS)
def before_saving(
    session: DbSession,
    services: ServicesDep,
    account: SignedIn,
    scope: Reach,
    now: Now,
    lon: Annotated[float, Query(ge=-180, le=180)],
    lat: Annotated[float, Query(ge=-90, le=90)],
    datum: str = "wgs84",
    category: str | None = None,
    text: Annotated[str, Query(max_length=10_000)] = "",
    at: AwareDatetime | None = None,
) -> dict[str, Any]:
    """Incidents like one about to be recorded: place, category, words and moment (`at`: when it was seen)."""
    require(account, "report")
    try:
        x, y = to_wgs84(lon, lat, datum)
    except ValueError as error:
        raise BadInput("datum.unknown", field="datum", datum=datum) from error
    _, catalogue = services.desk.read(session)
    known = catalogue.category(category)
    rules = rules_of(services.desk.settings)
    sought = Sought(float(x), float(y), known.code if known else None, at or now, text)
    return {"items": alike(session, sought, rules, scope=scope), "flagged_from": rules.flagged_from}


@router.get("/incidents/{number}/duplicates", response_model=DuplicatesOut, responses=PROBLEMS)
def of_incident(
    number: str, session: DbSession, services: ServicesDep, account: SignedIn, scope: Reach
) -> dict[str, Any]:
    """Incidents like this one; none while its place is not known."""
    reading.one_incident(session, number, scope=scope)
    rules = rules_of(services.desk.settings)
    found = sought_of(session, number)
    items = alike(session, found[0], rules, scope=scope) if found else []
    return {"items": items, "flagged_from": rules.flagged_from}


@router.post("/incidents/{number}/merge", response_model=IncidentOut, responses=PROBLEMS)
def merge(
    number: str,
    asked: MergeIn,
    session: DbSession,
    services: ServicesDep,
    account: SignedIn,
    scope: Reach,
    shape: ShapeDep,
    now: Now,
) -> dict[str, Any]:
    """Merges incidents into this one, all or none; taken apart again by the move `unmerge` of each."""
    require(account, "move")
    for each in (number, *asked.numbers):
        reading.one_incident(session, each, scope=scope)
    merging.merge(
        session,
        services.desk,
        asked.numbers,
        number,
        steps.Asked("merge", asked.note, version=asked.version),
        actor_of(account),
        now,
    )
    return shape.whole(reading.one_incident(session, number))
