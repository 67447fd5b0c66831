"""The dispatcher's desk over HTTP: numbers of the queues, marks of the map, open neighbours, who is on duty."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query

from api.auth import Account
from api.deps import DbSession, Now, Reach, ServicesDep, allowed
from api.routes.incidents import PROBLEMS, AskedFilter
from dispatch import overview
from dispatch.duplicates import rules_of
from dispatch.patrolled import patrolled
from grid.core.datums import to_wgs84
from grid.core.errors import BadInput, Conflict
from maps.export_filters import parse_box
from maps.frames import grids_at_a_glance

router = APIRouter(prefix="/api/v1/desk", tags=["desk"])
AtDesk = Annotated[Account, Depends(allowed("console"), scope="function")]


@router.get("/queues", responses=PROBLEMS)
def queues(session: DbSession, account: AtDesk, scope: Reach, now: Now) -> dict[str, int]:
    """How many incidents wait in each queue, are `overdue` at this moment, and are `open`."""
    return overview.queue_numbers(session, now, scope)


@router.get("/marks", responses=PROBLEMS)
def marks(
    session: DbSession,
    account: AtDesk,
    asked: AskedFilter,
    now: Now,
    cell: Annotated[float, Query(gt=0, le=10)] = 0.005,
) -> dict[str, Any]:
    """Every incident of the list's filters as marks for a map: one by one, or counted by cells when there are many."""
    found = overview.marks(session, asked, now, cell)
    return {"total": found.total, "marks": found.marks, "clusters": found.clusters}


@router.get("/neighbours", responses=PROBLEMS)
def neighbours(
    session: DbSession,
    services: ServicesDep,
    account: AtDesk,
    scope: Reach,
    now: Now,
    lon: Annotated[float, Query(ge=-180, le=180)],
    lat: Annotated[float, Query(ge=-90, le=90)],
    datum: str = "wgs84",
    category: str = "",
    q: Annotated[str, Query(max_length=4000)] = "",
) -> list[dict[str, Any]]:
    """Open incidents around a place, the likest to what is being taken down first."""
    ground, _ = services.desk.read(session)
    if ground is None:
        raise Conflict("town.empty")
    x, y = to_wgs84(lon, lat, datum)
    new = (float(x), float(y), category, q)
    rules = rules_of(services.desk.settings)
    return overview.neighbours(session, ground.town.plane_epsg, new, now, scope, rules=rules)


@router.get("/on-duty", responses=PROBLEMS)
def on_duty(
    session: DbSession,
    now: Now,
    account: AtDesk,
    watcher: Annotated[Account, Depends(allowed("see_duty"), scope="function")],
    scope: Reach,
) -> list[dict[str, Any]]:
    """Every post of every grid now: who holds it, whether they are there, who stands in, where they were last.

    Heads of units and leaders see their own people alone.
    """
    return overview.on_duty(session, now, None if scope is None else scope.staff_ids)


@router.get("/patrolled", responses=PROBLEMS)
def streets_patrolled(
    session: DbSession,
    account: AtDesk,
    scope: Reach,
    now: Now,
    bbox: Annotated[str, Query(max_length=200)],
    hours: Annotated[int, Query(ge=1, le=24 * 7)] = 24,
) -> dict[str, Any]:
    """The streets in view that shifts of the last hours came near, as GeoJSON; of one's own people where one sees no others."""
    box = parse_box(bbox)
    if box is None:
        raise BadInput("bbox.unreadable", field="bbox", bbox=bbox)
    people = None if scope is None else scope.staff_ids
    found = patrolled(session, people, now - timedelta(hours=hours), box)
    return {"type": "FeatureCollection", "features": found}


@router.get("/grids", responses=PROBLEMS)
def grids(session: DbSession, account: AtDesk, now: Now) -> list[dict[str, Any]]:
    """The grids in force with crew, colour and where they lie, without their streets: those come as tiles."""
    return grids_at_a_glance(session, now, with_people=account.may("see_people"))


@router.get("/load", responses=PROBLEMS)
def load(session: DbSession, account: AtDesk, now: Now) -> list[dict[str, Any]]:
    """Open and overdue incidents of each grid."""
    return overview.load_of_grids(session, now)
