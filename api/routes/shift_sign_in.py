"""Signing in and out of a shift, by place (考勤)."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from api.auth import Account
from api.deps import DbSession, Now, allowed
from api.routes.incidents import PROBLEMS
from api.routes.notices import staff_of
from dispatch import attendance
from dispatch.sent_once import first_time

router = APIRouter(prefix="/api/v1/shift", tags=["shift"])
Worker = Annotated[Account, Depends(allowed("field"), scope="function")]


class ShiftIn(BaseModel):
    """When, and where (WGS 84, as a phone gives it); no place when the phone gave none."""

    model_config = ConfigDict(extra="forbid")

    at: AwareDatetime
    lon: float | None = Field(default=None, ge=-180, le=180)
    lat: float | None = Field(default=None, ge=-90, le=90)
    client_id: str | None = Field(default=None, max_length=100)

    @property
    def place(self) -> tuple[float, float] | None:
        return None if self.lon is None or self.lat is None else (self.lon, self.lat)


@router.get("", responses=PROBLEMS)
def my_shift(session: DbSession, account: Worker, now: Now) -> dict[str, Any]:
    """Whether I am on a shift, since when, how far from my grids I signed in, and what I have patrolled."""
    return attendance.shift_of(session, staff_of(account), now)


@router.post("/sign-in", responses=PROBLEMS)
def sign_in(asked: ShiftIn, session: DbSession, account: Worker, now: Now) -> dict[str, Any]:
    """Begins my shift; the same `client_id` counts once."""
    staff = staff_of(account)
    if first_time(session, f"{account.id}|shift", asked.client_id, now):
        return attendance.sign_in(session, staff, asked.at, asked.place, now)
    return attendance.shift_of(session, staff, now)


@router.post("/sign-out", responses=PROBLEMS)
def sign_out(asked: ShiftIn, session: DbSession, account: Worker, now: Now) -> dict[str, Any]:
    """Ends my shift; the same `client_id` counts once."""
    staff = staff_of(account)
    if first_time(session, f"{account.id}|shift", asked.client_id, now):
        return attendance.sign_out(session, staff, asked.at, asked.place, now)
    return attendance.shift_of(session, staff, now)
