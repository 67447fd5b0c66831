"""Ready-made replies over HTTP: offered to those who write notes, kept by watch chiefs and administrators.

Beside them the words that a reporter would be sent for a move, before it is made.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import text

from api.auth import Account
from api.deps import DbSession, Lang, Now, Reach, ServicesDep, allowed
from api.notice_words import link_to, resident_values
from api.routes.incidents import PROBLEMS
from dispatch import reading, ready_replies
from dispatch.notice_reading import notice_facts
from dispatch.ready_replies import Reply
from dispatch.resident_templates import TURNS, fill, template_for

router = APIRouter(prefix="/api/v1", tags=["desk"])
Writer = Annotated[Account, Depends(allowed("move"), scope="function")]
Keeper = Annotated[Account, Depends(allowed("edit_replies"), scope="function")]


class ReplyIn(BaseModel):
    """A ready-made reply; without a unit for every bureau, without a category for all."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    move: str = Field(max_length=60)
    words: str = Field(max_length=500)
    language: Literal["zh", "en"] = "zh"
    unit_id: int | None = None
    category: str | None = Field(default=None, max_length=60)

    def plain(self) -> Reply:
        """As the floor below takes it."""
        return Reply(self.move, self.words, self.language, self.unit_id, self.category)


@router.get("/ready-replies", responses=PROBLEMS)
def offered(session: DbSession, account: Writer, language: Lang) -> list[dict[str, Any]]:
    """What I am offered where a move asks for a note: my bureau's own, then everybody's."""
    return ready_replies.replies_for(session, account.staff_id, language)


@router.get("/ready-replies/all", responses=PROBLEMS)
def kept(session: DbSession, account: Keeper) -> list[dict[str, Any]]:
    """Every reply of every bureau, to be edited."""
    return ready_replies.all_replies(session)


@router.post("/ready-replies", status_code=201, responses=PROBLEMS)
def add(asked: ReplyIn, session: DbSession, account: Keeper, now: Now) -> dict[str, int]:
    """Adds a reply; the same again is the one that is there."""
    actor = f"account:{account.username}"
    return {"id": ready_replies.save_reply(session, None, asked.plain(), actor, now)}


@router.put("/ready-replies/{reply}", responses=PROBLEMS)
def change(
    reply: int, asked: ReplyIn, session: DbSession, account: Keeper, now: Now
) -> dict[str, int]:
    """Changes a reply; what was written with it before stays as it is."""
    actor = f"account:{account.username}"
    return {"id": ready_replies.save_reply(session, reply, asked.plain(), actor, now)}


@router.delete("/ready-replies/{reply}", status_code=204, responses=PROBLEMS)
def forget(reply: int, session: DbSession, account: Keeper) -> None:
    """Takes a reply away."""
    ready_replies.delete_reply(session, reply)


@router.get("/incidents/{number}/resident-words", responses=PROBLEMS)
def resident_words(
    number: str,
    session: DbSession,
    services: ServicesDep,
    account: Writer,
    scope: Reach,
    language: Lang,
    move: Annotated[str, Query(max_length=60)],
    note: Annotated[str, Query(max_length=4000)] = "",
) -> dict[str, Any]:
    """What the reporter would read after a move with this note, and how many asked to be told; `title` null: nothing."""
    row = reading.one_incident(session, number, scope=scope)
    turn = TURNS.get(move)
    category = row["category_code"]
    words = template_for(session, turn, category, language) if turn else None
    if words is None:
        return {"title": None, "body": None, "told": 0}
    facts = replace(notice_facts(session, number), note=note or None)
    link = link_to(services.settings.notices.public_url, f"/track/{number}")
    filled = fill(words, resident_values(facts, language, link, services.settings.town.zone))
    told = session.scalar(
        text("select count(*) from reporter where incident_id = :id and tell_by is not null"),
        {"id": row["id"]},
    )
    return {"title": filled.title, "body": filled.body, "told": told}
