"""Areas of grids and the grids' territory over HTTP: given, taken back, listed; the ground of each grid."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any

import orjson
import shapely
from fastapi import APIRouter, BackgroundTasks, Depends, Request, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from shapely.errors import GEOSException
from sqlalchemy.orm import Session

from api.auth import Account
from api.deps import DbSession, Now, ServicesDep, SignedIn, allowed
from api.routes.ground import geojson
from api.routes.incidents import PROBLEMS, actor_of
from api.services import Services
from dispatch.area_handover import incidents_of_areas
from dispatch.following import follow_changes
from dispatch.handover import Moved
from grid.core.errors import BadInput, Trouble
from grid.given_areas import (
    AreaPlan,
    NamedArea,
    apply_areas,
    areas_frame,
    place_area,
    plan_give,
    plan_take,
)
from grid.kept_territory import keep_if_free, territory_frame
from grid.town import lock_ground

router = APIRouter()


class AreaIn(BaseModel):
    """Ground for a grid: a place by name or number, or a GeoJSON geometry (WGS 84 degrees) with a name."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    place: str | None = Field(default=None, max_length=200)
    geometry: dict[str, Any] | None = None
    name: str | None = Field(default=None, max_length=200)
    from_at: AwareDatetime | None = Field(default=None, alias="from")
    dry_run: bool = False


class AreaOut(BaseModel):
    """What was given or taken, from when, and the open incidents that change owner."""

    from_at: datetime = Field(serialization_alias="from")
    applied: bool
    area_ids: list[int]
    area_m2: float
    incidents: list[dict[str, Any]]
    handed_over: list[str]


Editor = Annotated[Account, Depends(allowed("edit_grids"), scope="function")]


@router.post("/{code}/areas", response_model=AreaOut, responses=PROBLEMS)
def give(
    code: str,
    asked: AreaIn,
    session: DbSession,
    services: ServicesDep,
    now: Now,
    account: Editor,
    after: BackgroundTasks,
) -> AreaOut:
    """Gives a park, market or square to a grid from a moment on; with `dry_run` only shows what would happen.

    Ground that another grid's area has is refused with 409.
    """
    from_at = _moment(asked.from_at, now)
    if not asked.dry_run:
        lock_ground(session)
    plan = plan_give(session, code, [_asked_area(session, asked)], from_at)
    return _done(session, plan, services, now, account, after, dry_run=asked.dry_run)


@router.delete("/areas/{area_id}", response_model=AreaOut, responses=PROBLEMS)
def take(
    area_id: int,
    session: DbSession,
    services: ServicesDep,
    now: Now,
    account: Editor,
    after: BackgroundTasks,
    from_at: AwareDatetime | None = None,
    dry_run: bool = False,
) -> AreaOut:
    """Takes an area back from `from_at` (now) on: the nearest segment decides again. Its past stays."""
    moment = _moment(from_at, now)
    if not dry_run:
        lock_ground(session)
    plan = plan_take(session, [area_id], moment)
    return _done(session, plan, services, now, account, after, dry_run=dry_run)


@router.get("/areas", responses=PROBLEMS)
def areas(
    session: DbSession,
    account: SignedIn,
    now: Now,
    at: AwareDatetime | None = None,
    every: bool = False,
) -> Response:
    """The areas of grids at a moment, or of all times with `every`, as GeoJSON."""
    frame = areas_frame(session, None if every else at or now)
    return Response(_collection(frame), media_type="application/geo+json")


@router.get("/territory.geojson", responses=PROBLEMS)
def territory(
    request: Request,
    session: DbSession,
    account: SignedIn,
    now: Now,
    at: AwareDatetime | None = None,
) -> Response:
    """The ground of each grid at a moment (now) as GeoJSON, gapless; `ground_version` says of which ground.

    Never an old one: what changed since it was kept is made anew first.
    """
    if at is None:
        keep_if_free(session, now)
    return geojson(request, _collection(territory_frame(session, at or now)))


def keep_after(services: Services, now: datetime) -> None:
    """The kept territory brought up to date after an answer has left; readers never depend on it."""
    with services.sessions() as session:
        try:
            keep_if_free(session, now)
            session.commit()
        except (Trouble, GEOSException):
            # Told by `gridward check`; every reader works out what is not kept.
            session.rollback()


def _moment(asked: datetime | None, now: datetime) -> datetime:
    if asked is not None and asked < now:
        raise BadInput("grids.date_past", field="from", text=asked.isoformat())
    return asked or now


def _asked_area(session: Session, asked: AreaIn) -> NamedArea:
    if asked.place is not None:
        return place_area(session, asked.place)
    if asked.geometry is None:
        raise BadInput("areas.none", field="place")
    try:
        shape = shapely.from_geojson(orjson.dumps(asked.geometry))
    except GEOSException as error:
        raise BadInput("areas.no_area", field="geometry", name=asked.name or "") from error
    return NamedArea(asked.name, shape)


def _done(
    session: Session,
    plan: AreaPlan,
    services: Services,
    now: datetime,
    account: Account,
    after: BackgroundTasks,
    *,
    dry_run: bool,
) -> AreaOut:
    incidents = [asdict(item) for item in incidents_of_areas(session, plan)]
    ids: list[int] = []
    moved: list[Moved] = []
    if not dry_run:
        ids = apply_areas(session, plan)
        moved = follow_changes(session, services.desk, now, actor_of(account)).moved
        after.add_task(keep_after, services, datetime.now(UTC))
    return AreaOut(
        from_at=plan.from_at,
        applied=not dry_run,
        area_ids=ids,
        area_m2=round(plan.area_m2(), 1),
        incidents=incidents,
        handed_over=[item.number for item in moved],
    )


def _collection(frame: Any) -> bytes:
    """A GeoJSON collection of a frame's rows."""
    shapes = shapely.to_geojson(frame.geometry.to_numpy())
    rows = frame.drop(columns="geometry").astype(object).where(frame.notna(), None)
    features = [
        {"type": "Feature", "properties": row, "geometry": orjson.Fragment(shape)}
        for row, shape in zip(rows.to_dict("records"), shapes, strict=True)
    ]
    return orjson.dumps({"type": "FeatureCollection", "features": features}, default=str)
