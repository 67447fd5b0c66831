"""The learned model in the database: trained from closed incidents, kept with its figures, read by every process."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select, text, update
from sqlalchemy.orm import Session

from dispatch.suggest import Suggestion
from dispatch.suggest_learned import LearnedModel, from_bytes, to_bytes, together
from dispatch.suggest_models import SuggestionModel
from dispatch.suggest_training import LEAST_CASES, MOST_CASES, Case, train
from grid.core.errors import Conflict
from grid.core.values import dataclass

KEPT = 3
"""So many models are kept whole; of older ones only the figures."""

# A category that has ended counts for the one that took its place, or not at all.
_CLOSED = text("""
    select coalesce(nullif(btrim(i.description), ''), i.address) as said,
        case when c.ended_at <= :now then c.replaced_by else c.code end as category
    from incident i join category c on c.code = i.category_code
    where i.status = 'closed' and i.reported_at <= :now
    order by i.reported_at desc, i.id desc limit :most
""")


def closed_cases(session: Session, now: datetime) -> list[Case]:
    """What was said of closed incidents and what they were closed as, the newest MOST_CASES, in order of time."""
    rows = session.execute(_CLOSED, {"now": now, "most": MOST_CASES}).all()
    return [Case(r.said, r.category) for r in reversed(rows) if r.said and r.category]


def train_and_keep(session: Session, who: str, now: datetime) -> SuggestionModel:
    """Trains on what is closed and keeps the model; it is used when it is good enough.

    Raises Conflict `suggest.too_few_cases` (cases, needed).
    """
    cases = closed_cases(session, now)
    made = train(cases)
    if made is None:
        raise Conflict("suggest.too_few_cases", cases=len(cases), needed=LEAST_CASES)
    model, figures = made
    row = SuggestionModel(
        trained_at=now,
        trained_by=who,
        cases=figures.cases,
        categories=figures.categories,
        held_back=figures.held_back,
        keywords_right=figures.keywords_right,
        learned_right=figures.learned_right,
        together_right=figures.together_right,
        in_use=figures.good_enough,
        model=to_bytes(model),
    )
    session.add(row)
    session.flush()
    newest = select(SuggestionModel.id).order_by(SuggestionModel.id.desc()).limit(KEPT)
    session.execute(
        update(SuggestionModel).where(SuggestionModel.id.not_in(newest)).values(model=None)
    )
    return row


def model_list(session: Session) -> list[dict[str, Any]]:
    """Every model trained, the newest first, with how it did; only the newest can be in use."""
    columns = [c for c in SuggestionModel.__table__.columns if c.name != "model"]
    rows = session.execute(select(*columns).order_by(SuggestionModel.id.desc())).mappings()
    listed = [dict(row) for row in rows]
    for older in listed[1:]:
        older["in_use"] = False
    return listed


@dataclass(frozen=True, slots=True)
class Learned:
    """The model in use with its number."""

    id: int
    model: LearnedModel


class SuggestionBook:
    """Keeps the model in use of one database; read anew when another has been trained."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: Learned | None = None

    def read(self, session: Session) -> Learned | None:
        """The model in use; None where there is none, or the newest was not good enough."""
        newest = session.execute(
            select(SuggestionModel.id, SuggestionModel.in_use)
            .order_by(SuggestionModel.id.desc())
            .limit(1)
        ).one_or_none()
        if newest is None or not newest.in_use:
            return None
        with self._lock:
            if self._kept is None or self._kept.id != newest.id:
                written = session.scalar(
                    select(SuggestionModel.model).where(SuggestionModel.id == newest.id)
                )
                self._kept = Learned(newest.id, from_bytes(written or b""))
            return self._kept


def suggestions(
    words: str, learned: Learned | None, codes: Sequence[str], at_most: int
) -> list[Suggestion]:
    """The best of the categories `codes` for a text; others (ended ones) are passed over."""
    open_codes = set(codes)
    found = together(words, learned.model if learned else None, at_most=at_most + 5)
    return [each for each in found if each.category in open_codes][:at_most]
