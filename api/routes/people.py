"""Staff, posts and units over HTTP: listed, added, changed, ended; a post handed on from a day. Every change is written down."""

from __future__ import annotations

from datetime import date, datetime, time
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import text
from sqlalchemy.orm import Session

from api import accounts_list
from api.auth import Account
from api.deps import DbSession, Now, ServicesDep, allowed
from api.routes.incidents import PROBLEMS, actor_of
from api.services import Services
from dispatch.following import follow_changes
from dispatch.open_work import open_work_of
from dispatch.rules_log import write_down
from grid import people, people_edits
from grid.core.errors import BadInput, Conflict
from grid.loading.people import STAFF_POSTS

router = APIRouter(prefix="/api/v1/admin", tags=["people"])
Administrator = Annotated[Account, Depends(allowed("administer"), scope="function")]
Word = Annotated[str, Field(max_length=100)]
LOGGED = ("name", "post", "unit", "phone", "leader", "left_at")
FromDay = Annotated[date | None, Query(alias="from")]


class PersonIn(BaseModel):
    """What is told of a person; `unit` by name or code, `reports_to` by staff number or name, empty for none."""

    model_config = ConfigDict(extra="forbid")

    name: Word | None = None
    post: Word | None = None
    unit: Word | None = None
    phone: Annotated[str, Field(max_length=40)] | None = None
    reports_to: Word | None = None


class NewPerson(PersonIn):
    """A new person."""

    staff_no: Annotated[str, Field(min_length=1, max_length=60)]


class EndIn(BaseModel):
    """The day from which a person is gone; who takes the posts over, or that they may stay vacant."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    from_day: date | None = Field(default=None, alias="from")
    hand_to: Word | None = None
    leave_vacant: bool = False
    close_accounts: bool = False


class PostIn(BaseModel):
    """Who holds a post (null: nobody) from a day on, and which open incidents come along."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    staff_no: Word | None
    from_day: date | None = Field(default=None, alias="from")
    hand_over: Literal["offered", "all", "none"] = "offered"


class UnitIn(BaseModel):
    """A unit; `head` by staff number, `parent` by name or code, empty for none."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=100)]
    code: Word | None = None
    kind: Literal["own", "contractor"] = "own"
    head: Word | None = None
    parent: Word | None = None


@router.get("/people", responses=PROBLEMS)
def all_people(session: DbSession, account: Administrator, now: Now) -> list[dict[str, Any]]:
    """Everybody with the posts held now and the accounts; who has left comes last."""
    accounts = _accounts(session)
    rows = people.people_at_hand(session, now)
    return [{**row, "accounts": accounts.get(row["id"], [])} for row in rows]


@router.post("/people", status_code=201, responses=PROBLEMS)
def add(
    asked: NewPerson, session: DbSession, services: ServicesDep, account: Administrator, now: Now
) -> dict[str, str]:
    """A new person."""
    staff_no = asked.staff_no.strip()
    values = asked.model_dump(exclude={"staff_no"}, exclude_unset=True)
    people_edits.add_person(session, staff_no, values)
    _written(session, services, account, staff_no, None, now)
    return {"staff_no": staff_no}


@router.get("/people/{staff_no}", responses=PROBLEMS)
def one_person(
    staff_no: str, session: DbSession, account: Administrator, now: Now
) -> dict[str, Any]:
    """A person with every post held before, now and later, and the open work."""
    found = people.person(session, staff_no, now)
    return {
        **found,
        "accounts": _accounts(session).get(found["id"], []),
        "history": people.posts_of_person(session, found["id"]),
        "open_work": open_work_of(session, found["id"]),
    }


@router.patch("/people/{staff_no}", status_code=204, responses=PROBLEMS)
def change(
    staff_no: str,
    asked: PersonIn,
    session: DbSession,
    services: ServicesDep,
    account: Administrator,
    now: Now,
) -> None:
    """Changes what is told of a person."""
    before = people.person(session, staff_no, now)
    people_edits.change_person(session, staff_no, asked.model_dump(exclude_unset=True))
    _written(session, services, account, staff_no, before, now)


@router.get("/people/{staff_no}/leaving", responses=PROBLEMS)
def leaving(
    staff_no: str,
    session: DbSession,
    services: ServicesDep,
    account: Administrator,
    now: Now,
    from_day: FromDay = None,
) -> dict[str, Any]:
    """What would be left without this person from a day on: posts, open work, people led, stand-ins, accounts."""
    found = people.person(session, staff_no, now)
    left = people.leaving(session, found["id"], begins(from_day, services.desk.zone, now))
    return {
        **left.plain(),
        "open_work": open_work_of(session, found["id"]),
        "accounts": _accounts(session).get(found["id"], []),
    }


@router.post("/people/{staff_no}/end", status_code=204, responses=PROBLEMS)
def end(
    staff_no: str,
    asked: EndIn,
    session: DbSession,
    services: ServicesDep,
    account: Administrator,
    now: Now,
) -> None:
    """Ends a person from a day on. Posts go to `hand_to`; with neither that nor `leave_vacant`, 409 names how many.

    Open work goes to whoever answers then, at that moment.
    """
    from_at = begins(asked.from_day, services.desk.zone, now)
    before = people.person(session, staff_no, now)
    left = people.leaving(session, before["id"], from_at)
    if left.posts and not asked.hand_to and not asked.leave_vacant:
        raise Conflict("staff.would_leave_gaps", field="hand_to", count=len(left.posts))
    if asked.hand_to == staff_no:
        raise BadInput("posts.person_left", field="hand_to", staff_no=staff_no)
    people_edits.end_person(session, staff_no, from_at)
    for held in left.posts if asked.hand_to else ():
        _hand(session, account, held["grid"], held["post"], asked.hand_to, from_at, "offered", now)
    if asked.close_accounts and from_at <= now:
        for username in _accounts(session).get(before["id"], []):
            accounts_list.set_disabled(session, account, username, now, disabled=True)
            write_down(session, "account", username, {"disabled": False}, {"disabled": True}, now,
                       _who(account), now)  # fmt: skip
    _written(session, services, account, staff_no, before, now, from_at)


@router.delete("/people/{staff_no}/end", status_code=204, responses=PROBLEMS)
def take_end_back(
    staff_no: str, session: DbSession, services: ServicesDep, account: Administrator, now: Now
) -> None:
    """Takes a person's end back; posts that were handed on stay where they are."""
    before = people.person(session, staff_no, now)
    people_edits.return_person(session, staff_no)
    _written(session, services, account, staff_no, before, now)


@router.get("/posts", responses=PROBLEMS)
def posts(session: DbSession, account: Administrator, now: Now) -> list[dict[str, Any]]:
    """The posts of every grid in force: who holds them since when, what is planned; vacant ones first."""
    return people.posts_at_hand(session, now)


@router.get("/posts/{code}/{post}", responses=PROBLEMS)
def history(
    code: str, post: str, session: DbSession, account: Administrator
) -> list[dict[str, Any]]:
    """Who held, holds and will hold a post, the newest first."""
    return people.post_history(session, code, post)


@router.put("/posts/{code}/{post}", status_code=204, responses=PROBLEMS)
def hand_on(
    code: str,
    post: str,
    asked: PostIn,
    session: DbSession,
    services: ServicesDep,
    account: Administrator,
    now: Now,
) -> None:
    """Gives a post to a person from a day on, or to nobody; what was planned for later falls away."""
    from_at = begins(asked.from_day, services.desk.zone, now)
    staff_no = asked.staff_no.strip() if asked.staff_no and asked.staff_no.strip() else None
    _hand(session, account, code, post, staff_no, from_at, asked.hand_over, now)
    follow_changes(session, services.desk, now, actor_of(account))


@router.delete("/posts/{code}/{post}/planned", status_code=204, responses=PROBLEMS)
def drop_planned(
    code: str, post: str, session: DbSession, account: Administrator, now: Now
) -> None:
    """Takes back what is planned for a post."""
    planned = people_edits.drop_planned_post(session, code, post, now)
    before = {"planned": ", ".join(planned)}
    write_down(session, "post", f"{code} {post}", before, None, now, _who(account), now)


@router.get("/units", responses=PROBLEMS)
def units(session: DbSession, account: Administrator) -> list[dict[str, Any]]:
    """Every unit with its head, what it is part of, and how many people it has."""
    return people.units_at_hand(session)


@router.post("/units", status_code=201, responses=PROBLEMS)
def add_unit(
    asked: UnitIn, session: DbSession, services: ServicesDep, account: Administrator, now: Now
) -> dict[str, str]:
    """A new unit."""
    _save_unit(session, services, account, asked, None, now)
    return {"name": asked.name.strip()}


@router.put("/units/{unit_id}", status_code=204, responses=PROBLEMS)
def change_unit(
    unit_id: int,
    asked: UnitIn,
    session: DbSession,
    services: ServicesDep,
    account: Administrator,
    now: Now,
) -> None:
    """Another name, kind, head or parent of a unit."""
    _save_unit(session, services, account, asked, unit_id, now)


def begins(asked: date | None, zone: ZoneInfo, now: datetime) -> datetime:
    """At once (no day, or today), or the first minute of a later day in the town; BadInput `people.from_past`."""
    today = now.astimezone(zone).date()
    if asked is None or asked == today:
        return now
    if asked < today:
        raise BadInput("people.from_past", field="from", day=asked.isoformat())
    return datetime.combine(asked, time(), zone)


def person_posts() -> tuple[str, ...]:
    """What a person may be."""
    return STAFF_POSTS


def _hand(
    session: Session, account: Account, code: str, post: str, staff_no: str | None,
    from_at: datetime, hand_over: str, now: datetime,
) -> None:  # fmt: skip
    before, after = people_edits.hand_post(session, code, post, staff_no, from_at, hand_over)
    told = {"holder": before}, {"holder": after}
    write_down(session, "post", f"{code} {post}", *told, from_at, _who(account), now)


def _save_unit(
    session: Session, services: Services, account: Account, asked: UnitIn, unit_id: int | None,
    now: datetime,
) -> None:  # fmt: skip
    def facts() -> dict[str, Any] | None:
        found = next(
            (
                row
                for row in people.units_at_hand(session)
                if (row["name"] == asked.name.strip() if unit_id is None else row["id"] == unit_id)
            ),
            None,
        )
        return found and {n: found[n] for n in ("name", "code", "kind", "parent", "head")}

    before = facts() if unit_id is not None else None
    people_edits.save_unit(session, asked.model_dump(), unit_id)
    write_down(session, "unit", asked.name.strip(), before, facts(), now, _who(account), now)
    follow_changes(session, services.desk, now, actor_of(account))


def _written(
    session: Session, services: Services, account: Account, staff_no: str,
    before: dict[str, Any] | None, now: datetime, from_at: datetime | None = None,
) -> None:  # fmt: skip
    """Writes the change of a person down, and lets open work follow."""
    after = people.person(session, staff_no, now)
    told = [facts and {name: facts[name] for name in LOGGED} for facts in (before, after)]
    who = _who(account)
    write_down(session, "person", staff_no, told[0], told[1], from_at or now, who, now)
    follow_changes(session, services.desk, now, actor_of(account))


def _accounts(session: Session) -> dict[int, list[str]]:
    """Open accounts by the id of their person."""
    found: dict[int, list[str]] = {}
    for row in session.execute(
        text(
            "select staff_id, username from account where staff_id is not null"
            " and disabled_at is null order by username"
        )
    ):
        found.setdefault(row.staff_id, []).append(row.username)
    return found


def _who(account: Account) -> str:
    return f"account:{account.username}"
