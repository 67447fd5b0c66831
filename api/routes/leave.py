"""Leave and shifts over HTTP: listed, added, ended; open work follows at once, and every change is written down."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from api.auth import Account
from api.deps import DbSession, Now, ServicesDep, allowed
from api.routes.incidents import PROBLEMS, actor_of
from api.routes.people import begins
from dispatch.following import follow_changes
from dispatch.rules_log import write_down
from grid import leave, people

router = APIRouter(prefix="/api/v1/admin", tags=["people"])
Administrator = Annotated[Account, Depends(allowed("administer"), scope="function")]
Who = Annotated[str, Field(min_length=1, max_length=100)]


class LeaveIn(BaseModel):
    """A leave from a day to its last day, and who stands in; people by staff number."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    staff_no: Who
    from_day: date = Field(alias="from")
    to_day: date = Field(alias="to")
    substitute: Who | None = None
    reason: Annotated[str, Field(max_length=400)] | None = None


class ShiftIn(BaseModel):
    """Hours of the week from a day on (today at the earliest); without `begins` and `ends` always at work."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    shift: Annotated[str, Field(max_length=100)] | None = None
    weekdays: Annotated[str, Field(max_length=60)] = ""
    begins: Annotated[str, Field(max_length=8)] | None = None
    ends: Annotated[str, Field(max_length=8)] | None = None
    substitute: Who | None = None
    from_day: date | None = Field(default=None, alias="from")


@router.get("/leave", responses=PROBLEMS)
def all_leave(session: DbSession, account: Administrator, now: Now) -> list[dict[str, Any]]:
    """Who is away or will be, with who stands in."""
    return leave.leave_at_hand(session, now)


@router.post("/leave", status_code=201, responses=PROBLEMS)
def add(
    asked: LeaveIn, session: DbSession, services: ServicesDep, account: Administrator, now: Now
) -> dict[str, str]:
    """A new leave; open work goes to the substitute when it begins."""
    person = people.person(session, asked.staff_no.strip(), now)
    told = {
        "from": asked.from_day.isoformat(),
        "to": asked.to_day.isoformat(),
        "substitute": asked.substitute,
        "reason": asked.reason,
    }
    values = {"staff_no": person["staff_no"], **told}
    leave.add_leave(session, values, time_zone=services.desk.settings.time_zone)
    said = f"{asked.from_day} – {asked.to_day}"
    after = {"leave": said, "substitute": asked.substitute, "reason": asked.reason}
    write_down(session, "person", person["staff_no"], None, after, now, _who(account), now)
    follow_changes(session, services.desk, now, actor_of(account))
    return {"staff_no": person["staff_no"]}


@router.delete("/leave/{leave_id}", status_code=204, responses=PROBLEMS)
def end(
    leave_id: int, session: DbSession, services: ServicesDep, account: Administrator, now: Now
) -> None:
    """Takes a leave back, or ends now the one that goes on."""
    before = leave.end_leave(session, leave_id, now)
    zone = services.desk.zone
    days = [before[name].astimezone(zone).date() for name in ("from", "to")]
    told = {"leave": f"{days[0]} – {days[1]}", "substitute": before["substitute_no"]}
    write_down(session, "person", before["staff_no"], told, None, now, _who(account), now)
    follow_changes(session, services.desk, now, actor_of(account))


@router.get("/shifts", responses=PROBLEMS)
def all_shifts(session: DbSession, account: Administrator, now: Now) -> list[dict[str, Any]]:
    """Who works which hours now or from a day on; who is not listed is always at work."""
    return leave.shifts_at_hand(session, now)


@router.put("/people/{staff_no}/shift", status_code=204, responses=PROBLEMS)
def set_shift(
    staff_no: str,
    asked: ShiftIn,
    session: DbSession,
    services: ServicesDep,
    account: Administrator,
    now: Now,
) -> None:
    """Other hours of one person from a day on, in the place of all that stood before."""
    person = people.person(session, staff_no, now)
    from_at = begins(asked.from_day, services.desk.zone, now)
    always = not asked.begins and not asked.ends
    values = {
        "staff_no": person["staff_no"],
        "shift": "none" if always else asked.shift or f"{asked.begins}-{asked.ends}",
        "weekdays": asked.weekdays,
        "from": asked.begins,
        "to": asked.ends,
        "substitute": asked.substitute,
        "valid_from": from_at.isoformat(),
    }
    leave.set_shift(session, values, now, time_zone=services.desk.settings.time_zone)
    hours = None if always else f"{asked.weekdays} {asked.begins}-{asked.ends}".strip()
    after = {"shift": hours, "substitute": asked.substitute}
    write_down(session, "person", staff_no, {"shift": ""}, after, from_at, _who(account), now)
    follow_changes(session, services.desk, now, actor_of(account))


def _who(account: Account) -> str:
    return f"account:{account.username}"
