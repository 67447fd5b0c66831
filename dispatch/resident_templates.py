"""What residents are told at which turn: the turns, the places a template may hold, choosing and filling.

The words are data in both languages (`resident_template`; first contents in
`dispatch/data/resident_templates.csv`), for all categories or for one. Nothing here names a person.
"""

from __future__ import annotations

import csv
import string
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import cache
from pathlib import Path

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from dispatch.models import Category
from dispatch.notice_models import ResidentTemplate
from grid.core.errors import BadInput, NotFound
from grid.core.values import dataclass

SHIPPED = Path(__file__).parent / "data" / "resident_templates.csv"
KINDS = ("taken_on", "finished", "refused", "delayed", "question")
# The turns at which an incident ends: whoever reported one that was merged into it hears of these too.
ENDINGS = ("finished", "refused")
LANGUAGES = ("zh", "en")
# number, category's name, place in words, the body that deals with it, the date by which something
# should happen, the question asked, the reason noted with the step, the page that follows it.
PLACES = frozenset(
    {"number", "category", "place", "body", "due_date", "question", "reason", "link"}
)
LONGEST_TITLE, LONGEST_BODY = 100, 1000
TURNS = {
    "accept": "taken_on",
    "close": "finished",
    "force_close": "finished",
    "found_and_fixed": "finished",
    "refuse": "refused",
    "decline": "refused",
    "void": "refused",
    "grant_extension": "delayed",
    "suspend": "delayed",
    "ask_reporter": "question",
}


@dataclass(frozen=True, slots=True)
class Words:
    """A message's title and text, unfilled or filled."""

    title: str
    body: str


def turn_of(moves: Iterable[str]) -> str | None:
    """The turn that a resident hears of when these moves were made together: the last one counts."""
    found = [TURNS[move] for move in moves if move in TURNS]
    return found[-1] if found else None


def check_words(words: Words) -> None:
    """BadInput `template.empty`, `template.too_long`, `template.unreadable`, `template.place_unknown`."""
    for field, written, most in (
        ("title", words.title, LONGEST_TITLE),
        ("body", words.body, LONGEST_BODY),
    ):
        if not written.strip():
            raise BadInput("template.empty", field=field)
        if len(written) > most:
            raise BadInput("template.too_long", field=field, length=len(written), most=most)
        for name in _places(field, written):
            if name not in PLACES:
                raise BadInput(
                    "template.place_unknown",
                    field=field,
                    place=name,
                    known=", ".join(sorted(PLACES)),
                )


def fill(words: Words, values: Mapping[str, str]) -> Words:
    """The words with their places filled; a place without a value becomes nothing."""
    complete = {name: values.get(name) or "" for name in PLACES}
    return Words(words.title.format_map(complete), words.body.format_map(complete))


def template_for(
    session: Session, kind: str, category_code: str | None, language: str
) -> Words | None:
    """The template of the category, else of all categories; None when the bureau has taken it away."""
    row = session.execute(
        select(ResidentTemplate.title, ResidentTemplate.body)
        .where(
            ResidentTemplate.kind == kind,
            ResidentTemplate.language == language,
            ResidentTemplate.category_code.is_(None)
            | (ResidentTemplate.category_code == category_code),
        )
        .order_by(ResidentTemplate.category_code.asc().nulls_last())
        .limit(1)
    ).one_or_none()
    return None if row is None else Words(row.title, row.body)


def list_templates(session: Session) -> list[ResidentTemplate]:
    """Every template, by kind, category and language."""
    columns = (
        ResidentTemplate.kind,
        ResidentTemplate.category_code.asc().nulls_first(),
        ResidentTemplate.language.desc(),
    )
    return list(session.scalars(select(ResidentTemplate).order_by(*columns)))


def save_template(
    session: Session,
    kind: str,
    category_code: str | None,
    language: str,
    words: Words,
    actor: str,
    now: datetime,
) -> None:
    """Writes or changes a template. Raises what `check_words` raises, BadInput `template.kind_unknown`,
    `category.unknown`.
    """
    if kind not in KINDS or language not in LANGUAGES:
        raise BadInput("template.kind_unknown", field="kind", kind=kind, known=", ".join(KINDS))
    if category_code is not None and session.get(Category, category_code) is None:
        raise BadInput("category.unknown", field="category", category=category_code)
    check_words(words)
    values = {"title": words.title, "body": words.body, "changed_at": now, "changed_by": actor}
    session.execute(
        insert(ResidentTemplate)
        .values(kind=kind, category_code=category_code, language=language, **values)
        .on_conflict_do_update(index_elements=["kind", "category_code", "language"], set_=values)
    )


def words_at(
    session: Session, kind: str, category_code: str | None, language: str
) -> dict[str, str] | None:
    """Title and body of exactly this template; None where there is none."""
    row = session.execute(
        select(ResidentTemplate.title, ResidentTemplate.body).where(
            ResidentTemplate.kind == kind,
            ResidentTemplate.category_code.is_not_distinct_from(category_code),
            ResidentTemplate.language == language,
        )
    ).one_or_none()
    return None if row is None else {"title": row.title, "body": row.body}


def delete_template(session: Session, template_id: int) -> ResidentTemplate:
    """Takes a template away, and tells it: at that turn residents hear nothing, or the general words.

    Raises NotFound `template.unknown`.
    """
    found = session.get(ResidentTemplate, template_id, with_for_update=True)
    if found is None:
        raise NotFound("template.unknown", template=template_id)
    session.delete(found)
    session.flush()
    return found


def load_shipped(session: Session, now: datetime) -> None:
    """Fills an empty table with the shipped templates."""
    if session.scalar(select(func.count()).select_from(ResidentTemplate)):
        return
    rows = [{**row, "changed_at": now, "changed_by": "system"} for row in shipped()]
    session.execute(insert(ResidentTemplate).on_conflict_do_nothing(), rows)


@cache
def shipped() -> tuple[dict[str, str], ...]:
    """The shipped templates: kind, language, title, body."""
    with SHIPPED.open(encoding="utf-8", newline="") as file:
        return tuple(csv.DictReader(file))


def _places(field: str, written: str) -> list[str]:
    """Names of the places; anything but a plain {name} is refused, so that filling can never fail."""
    try:
        parts = list(string.Formatter().parse(written))
    except ValueError as error:
        raise BadInput("template.unreadable", field=field) from error
    if any(spec or conversion for _, name, spec, conversion in parts if name is not None):
        raise BadInput("template.unreadable", field=field)
    return [name for _, name, _, _ in parts if name is not None]
