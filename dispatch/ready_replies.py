"""Ready-made replies: which are offered to whom, and how the bureau keeps them.

First contents in `dispatch/data/ready_replies.csv`. They are plain words: nothing in them is filled in.
"""

from __future__ import annotations

import csv
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import delete, func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from dispatch.models import Category
from dispatch.moves import MOVES, TASK_MOVES
from dispatch.reply_models import ReadyReply
from grid.core.errors import BadInput, NotFound
from grid.core.values import dataclass
from grid.models import Unit

SHIPPED = Path(__file__).parent / "data" / "ready_replies.csv"
LANGUAGES = ("zh", "en")
# Moves at which somebody writes a note.
NOTED = frozenset(
    {name for name, move in MOVES.items() if "reason" in move.needs}
    | {name for name, move in TASK_MOVES.items() if "reason" in move.needs}
    | {"accept", "file", "dispatch", "close", "answered", "check_passed", "grant_extension"}
    | {"add_task", "finish_task"}
)


@dataclass(frozen=True, slots=True)
class Reply:
    """A text for a move; without a unit for every bureau, without a category for all."""

    move: str
    words: str
    language: str
    unit_id: int | None = None
    category: str | None = None


def replies_for(session: Session, staff_id: int | None, language: str) -> list[dict[str, Any]]:
    """What somebody is offered: their own bureau's and everybody's, in one language.

    id, move, category, words; a bureau's own stand first.
    """
    rows = session.execute(
        text(
            "select r.id, r.move, r.category_code as category, r.words from ready_reply r"
            " where r.language = :language and (r.unit_id is null"
            " or r.unit_id = (select unit_id from staff where id = :staff))"
            " order by r.move, r.unit_id is null, r.category_code nulls last, r.id"
        ),
        {"language": language, "staff": staff_id},
    )
    return [dict(row._mapping) for row in rows]


def all_replies(session: Session) -> list[dict[str, Any]]:
    """Every reply with its bureau's name: id, move, unit_id, unit, category, language, words, changed_at, changed_by."""
    rows = session.execute(
        text(
            "select r.id, r.move, r.unit_id, u.name as unit, r.category_code as category,"
            " r.language, r.words, r.changed_at, r.changed_by from ready_reply r"
            " left join unit u on u.id = r.unit_id"
            " order by r.move, r.language desc, r.unit_id nulls first, r.category_code nulls first, r.id"
        )
    )
    return [dict(row._mapping) for row in rows]


def save_reply(
    session: Session, reply_id: int | None, reply: Reply, actor: str, now: datetime
) -> int:
    """Writes a new reply or changes one; the same text again is the one that is there. Returns its id.

    Raises BadInput `reply.move_unknown`, `reply.empty`, `category.unknown`, `unit.unknown`; NotFound `reply.unknown`.
    """
    if reply.move not in NOTED or reply.language not in LANGUAGES:
        raise BadInput("reply.move_unknown", field="move", move=reply.move)
    words = reply.words.strip()
    if not words:
        raise BadInput("reply.empty", field="words")
    if reply.category is not None and session.get(Category, reply.category) is None:
        raise BadInput("category.unknown", field="category", category=reply.category)
    if reply.unit_id is not None and session.get(Unit, reply.unit_id) is None:
        raise BadInput("unit.unknown", field="unit_id", unit=reply.unit_id)
    values = {
        "move": reply.move,
        "unit_id": reply.unit_id,
        "category_code": reply.category,
        "language": reply.language,
        "words": words,
    }
    said = {"changed_at": now, "changed_by": actor}
    if reply_id is not None:
        row = session.get(ReadyReply, reply_id)
        if row is None:
            raise NotFound("reply.unknown", reply=reply_id)
        session.delete(row)
        session.flush()
    kept: int = session.execute(
        insert(ReadyReply)
        .values(**values, **said)
        .on_conflict_do_update(index_elements=list(values), set_=said)
        .returning(ReadyReply.id)
    ).scalar_one()
    return kept


def delete_reply(session: Session, reply_id: int) -> None:
    """Takes a reply away. Raises NotFound `reply.unknown`."""
    gone = session.scalar(
        delete(ReadyReply).where(ReadyReply.id == reply_id).returning(ReadyReply.id)
    )
    if gone is None:
        raise NotFound("reply.unknown", reply=reply_id)


def load_shipped(session: Session, now: datetime) -> None:
    """Fills an empty table with the shipped replies."""
    if session.scalar(select(func.count()).select_from(ReadyReply)):
        return
    rows = [{**row, "changed_at": now, "changed_by": "system"} for row in shipped()]
    session.execute(insert(ReadyReply).on_conflict_do_nothing(), rows)


@cache
def shipped() -> tuple[dict[str, str], ...]:
    """The shipped replies: move, language, words."""
    with SHIPPED.open(encoding="utf-8", newline="") as file:
        return tuple(csv.DictReader(file))
