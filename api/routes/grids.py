"""Grids changed by hand over HTTP: the plan, the incidents that change owner, and the change itself."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, BackgroundTasks, Depends
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from sqlalchemy.orm import Session

from api.auth import Account
from api.deps import DbSession, Now, ServicesDep, allowed
from api.routes.grid_areas import keep_after
from api.routes.grid_areas import router as areas_router
from api.routes.incidents import PROBLEMS, actor_of
from dispatch.following import follow_changes
from dispatch.handover import Moved, incidents_of_plan
from grid.changing import Plan, apply_plan, plan_merge, plan_move, plan_rename, plan_split
from grid.core.errors import BadInput
from grid.crews import grid_crew
from grid.models import SIDES
from grid.town import lock_ground

router = APIRouter(prefix="/api/v1/grids", tags=["grids"])
router.include_router(areas_router)
MOST_SEGMENTS = 20_000


class ChangeIn(BaseModel):
    """A change of grids.

    move: `segment_ids`, `to`, `side`? · split: `code`, `name`?, `segment_ids`? (half of the length without
    them) · merge: `code`, `into` · rename: `code`, `name`, `name_en`?
    """

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    action: Literal["move", "split", "merge", "rename"]
    segment_ids: list[int] = Field(default_factory=list, max_length=MOST_SEGMENTS)
    side: Literal["left", "right"] | None = None
    code: str | None = None
    to: str | None = None
    into: str | None = None
    name: str | None = Field(default=None, max_length=200)
    name_en: str | None = Field(default=None, max_length=200)
    from_at: AwareDatetime | None = Field(default=None, alias="from")
    dry_run: bool = False
    allow_disconnected: bool = False
    hand_over: Literal["offered", "all", "none"] = "offered"


class ChangeOut(BaseModel):
    """What the change is, what it would do to open incidents, and whether it is in force (from a moment).

    `handed_over`: numbers of the incidents that went along at once; what is planned goes at its moment.
    """

    action: str
    from_at: datetime = Field(serialization_alias="from")
    applied: bool
    moves: list[dict[str, Any]]
    made: list[dict[str, Any]]
    renamed: list[dict[str, Any]]
    ended: list[str]
    disconnected: list[str]
    incidents: list[dict[str, Any]]
    handed_over: list[str]


@router.post("/changes", response_model=ChangeOut, responses=PROBLEMS)
def change(
    asked: ChangeIn,
    session: DbSession,
    services: ServicesDep,
    now: Now,
    account: Annotated[Account, Depends(allowed("edit_grids"), scope="function")],
    after: BackgroundTasks,
) -> ChangeOut:
    """Moves, splits, merges or renames grids from a moment on; with `dry_run` only shows what would happen.

    A change that leaves a grid in pieces is refused with 409 unless `allow_disconnected`. `hand_over` says which
    open incidents come along: those that nobody has begun, all, none.
    """
    from_at = asked.from_at or now
    if from_at < now:
        raise BadInput("grids.date_past", field="from", text=from_at.isoformat())
    if not asked.dry_run:
        lock_ground(session)
    plan = _planned(session, asked, from_at)
    incidents = [asdict(item) for item in incidents_of_plan(session, plan)]
    moved: list[Moved] = []
    if not asked.dry_run:
        apply_plan(
            session,
            plan,
            allow_disconnected=asked.allow_disconnected,
            hand_over=asked.hand_over,
        )
        moved = follow_changes(session, services.desk, now, actor_of(account)).moved
        after.add_task(keep_after, services, datetime.now(UTC))
    return ChangeOut(
        action=asked.action,
        from_at=plan.from_at,
        applied=not asked.dry_run,
        moves=[dict(zip(("segment_id", "side", "to"), m, strict=True)) for m in plan.moves],
        made=[asdict(made) for made in plan.made],
        renamed=[dict(zip(("code", "name", "name_en"), r, strict=True)) for r in plan.renamed],
        ended=list(plan.ended),
        disconnected=list(plan.disconnected),
        incidents=incidents,
        handed_over=[item.number for item in moved],
    )


@router.get("/{code}/crew", responses=PROBLEMS)
def crew(
    code: str,
    session: DbSession,
    now: Now,
    account: Annotated[Account, Depends(allowed("see_people"), scope="function")],
    at: AwareDatetime | None = None,
) -> dict[str, Any]:
    """Who holds each post of a grid at a moment, past ones too, and who answers for it then.

    `answering.standing`: holder, substitute, unit_head, leader or leader_above.
    """
    moment = at or now
    return {"at": moment, **grid_crew(session, code, moment)}


def _planned(session: Session, asked: ChangeIn, from_at: datetime) -> Plan:
    if asked.action == "move":
        sides = SIDES if asked.side is None else (asked.side,)
        return plan_move(session, asked.segment_ids, _given(asked, "to"), from_at, sides)
    code = _given(asked, "code")
    if asked.action == "split":
        return plan_split(session, code, from_at, asked.name, asked.segment_ids)
    if asked.action == "merge":
        return plan_merge(session, code, _given(asked, "into"), from_at)
    return plan_rename(session, code, asked.name or "", from_at, asked.name_en)


def _given(asked: ChangeIn, name: str) -> str:
    value: str | None = getattr(asked, name)
    if not value:
        raise BadInput("grids.field_missing", field=name, missing=name, action=asked.action)
    return value
