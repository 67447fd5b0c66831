"""One step for many incidents: each stands or falls by itself, and none is left half done."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from sqlalchemy import text
from sqlalchemy.orm import Session

from api.deps import DbSession, Lang, Now, Reach, ServicesDep, SignedIn, require
from api.i18n import translate
from api.routes.incidents import PROBLEMS, actor_of
from dispatch import reading, steps
from grid.core.errors import BadInput, Conflict, NotFound, Trouble
from grid.crews import crew_at

router = APIRouter(prefix="/api/v1/incidents", tags=["desk"])
MOST_AT_ONCE = 200
# "give" is whichever of these the incident's state allows: the desk need not know which it is.
GIVING = ("dispatch", "reassign", "assign")


class BulkMoveIn(BaseModel):
    """One move for many incidents. `to` is a person (id) or a unit (name); or `post`, in `grid` or each one's own.

    `move` "give" means dispatch, reassign or assign, as each incident's state allows.
    """

    model_config = ConfigDict(extra="forbid")

    numbers: list[Annotated[str, Field(max_length=40)]] = Field(
        min_length=1, max_length=MOST_AT_ONCE
    )
    move: str = Field(max_length=40)
    note: str | None = Field(default=None, max_length=4000)
    to: str | int | None = None
    grid: str | None = Field(default=None, max_length=100)
    post: str | None = Field(default=None, max_length=40)
    until: AwareDatetime | None = None
    condition: str | None = Field(default=None, max_length=4000)
    # What the caller has seen of each; an incident that changed since is left alone.
    versions: dict[str, int] = Field(default_factory=dict)


@router.post("/moves", responses=PROBLEMS)
def moves(
    asked: BulkMoveIn,
    session: DbSession,
    services: ServicesDep,
    account: SignedIn,
    scope: Reach,
    language: Lang,
    now: Now,
) -> dict[str, Any]:
    """Makes the move for each number; every one has its own result: `done`, or the code and sentence of its refusal."""
    require(account, "move")
    actor = actor_of(account)
    possible = steps.MoveList(session, services.desk, actor, now)
    results: dict[str, dict[str, Any]] = {}
    # In the order of the numbers: two people who move the same many never wait for each other in a ring.
    for number in sorted(set(asked.numbers)):
        try:
            with session.begin_nested():
                row = reading.one_incident(session, number, scope=scope)
                step = _step(session, asked, row, possible, now)
                steps.make_move(session, services.desk, number, step, actor, now)
            results[number] = {"number": number, "done": True, "move": step.move}
        except Trouble as trouble:
            values = dict(trouble.values)
            if "state" in values:
                values["state"] = translate(language, f"status.{values['state']}")
            sentence = translate(language, trouble.code, **values)
            results[number] = {
                "number": number,
                "done": False,
                "code": trouble.code,
                "detail": sentence,
            }
    ordered = [results[number] for number in dict.fromkeys(asked.numbers)]
    return {"results": ordered, "done": sum(item["done"] for item in ordered)}


def _step(
    session: Session,
    asked: BulkMoveIn,
    row: dict[str, Any],
    possible: steps.MoveList,
    now: datetime,
) -> steps.Asked:
    move = asked.move
    if move == "give":
        allowed = possible.of(row)
        move = next((name for name in GIVING if name in allowed), "")
        if not move:
            raise Conflict(
                "move.not_now", move="reassign", state=row["status"], status=row["status"]
            )
    return steps.Asked(
        move=move,
        note=asked.note,
        to=_target(session, asked, row, now),
        until=asked.until,
        condition=asked.condition,
        version=asked.versions.get(row["number"]),
    )


def _target(
    session: Session, asked: BulkMoveIn, row: dict[str, Any], now: datetime
) -> str | int | None:
    """Whom it goes to: the one named, or whoever answers for a post of a grid at this moment."""
    if asked.post is None:
        return asked.to
    code = asked.grid or row["grid_code"]
    grid_id = session.scalar(
        text("select id from grid where code = :code and valid @> cast(:at as timestamptz)"),
        {"code": code, "at": now},
    )
    if code is None or grid_id is None:
        raise NotFound("grids.not_in_force", field="grid", grid_code=code or "")
    # A segment's own holder goes before the grid's only where the incident lies in that grid.
    segment = row["segment_id"] if code == row["grid_code"] else None
    crew = crew_at(session, grid_id, segment, now)
    if asked.post not in crew.posts:
        raise BadInput("move.person_unknown", field="post", to=asked.post)
    answering = crew.answering(asked.post)
    if answering is None:
        raise NotFound("move.person_unknown", field="post", to=asked.post)
    return answering.person.id
