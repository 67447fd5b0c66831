"""Positions of people on a shift: sent by their own phones, read by the desk with their age."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from api.auth import Account
from api.deps import DbSession, Now, Reach, allowed
from api.routes.incidents import PROBLEMS
from api.routes.notices import staff_of
from dispatch import attendance
from dispatch.attendance import Fix

router = APIRouter(prefix="/api/v1", tags=["shift"])
Worker = Annotated[Account, Depends(allowed("field"), scope="function")]
Duty = Annotated[Account, Depends(allowed("see_duty"), scope="function")]


class FixIn(BaseModel):
    """One position, WGS 84."""

    model_config = ConfigDict(extra="forbid")

    at: AwareDatetime
    lon: float = Field(ge=-180, le=180)
    lat: float = Field(ge=-90, le=90)
    accuracy_m: float | None = Field(default=None, ge=0, le=100_000)


class TrackIn(BaseModel):
    """Positions since the last time, oldest first."""

    model_config = ConfigDict(extra="forbid")

    positions: list[FixIn] = Field(max_length=2000)


@router.post("/me/positions", responses=PROBLEMS)
def positions(asked: TrackIn, session: DbSession, account: Worker, now: Now) -> dict[str, int]:
    """Keeps my positions that lie within a shift of mine; all others are thrown away."""
    fixes = [Fix(fix.at, fix.lon, fix.lat, fix.accuracy_m) for fix in asked.positions]
    return attendance.keep_positions(session, staff_of(account), fixes, now)


@router.get("/on-duty", responses=PROBLEMS)
def on_duty(session: DbSession, account: Duty, scope: Reach, now: Now) -> list[dict[str, Any]]:
    """Who is on a shift now, with the last position, its age, and how much of their streets was patrolled."""
    return attendance.on_duty(session, None if scope is None else scope.staff_ids, now)
